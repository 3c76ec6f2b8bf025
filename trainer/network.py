"""Why something could not be fetched, in plain words."""

import socket
from collections.abc import Iterator

from trainer.text import printable


def network_reason(error: BaseException) -> str:
    """Return a network's failure as a phrase; a resolver's own words tell nobody what is wrong."""
    if any(isinstance(each, socket.gaierror) for each in _chain(error)):
        return "the server's name can't be resolved: no network, or a wrong address"
    reason = str(getattr(error, "reason", None) or error)
    return printable(reason.splitlines()[0] if reason else type(error).__name__, 160)


def _chain(error: object) -> Iterator[BaseException]:
    while isinstance(error, BaseException):
        yield error
        error = getattr(error, "reason", None) or error.__cause__ or error.__context__
