"""Names that a hypernetwork can have, so that `<hypernet:NAME:1>` finds it in A1111."""

from trainer.errors import AppError
from trainer.text import printable

_MAX_BYTES = 200


def check_name(name: str) -> str:
    """Return `name` if A1111 would keep it as it is and every file system can hold `NAME-100000.pt.optim`.

    A1111 keeps alphanumeric characters and `._- ` only (hypernetwork.py:441-447), cuts a name at its last
    `(`, and hides a file called None.pt.

    Raises:
        AppError: it would not; the hint gives the nearest name that is possible.
    """
    possible = "".join(c for c in name if c.isalnum() or c in "._- ").strip(" .")
    while len(possible.encode("utf-8", "ignore")) > _MAX_BYTES:
        possible = possible[:-1]
    if possible and possible == name and name.lower() != "none":
        return name
    usable = possible and possible.lower() != "none"
    hint = f"Use {possible}." if usable else "Use letters, digits, dots, hyphens and spaces."
    raise AppError("Bad name", f"A hypernetwork cannot be called {printable(name, 80)!r} in A1111.", hint)
