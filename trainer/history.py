"""What was changed, step by step, so that it can be undone."""

from typing import Generic, TypeVar

State = TypeVar("State")

_MOST = 200


class History(Generic[State]):
    """States of something that is replaced, never changed in place.

    Args:
        state: The first state.
    """

    def __init__(self, state: State) -> None:
        self.state = state
        self._past: list[tuple[State, str]] = []

    @property
    def last(self) -> str:
        """What was done last; empty where nothing can be undone."""
        return self._past[-1][1] if self._past else ""

    def change(self, state: State, what: str) -> None:
        """Take another state; the same `what` as before, one key pressed repeatedly, is undone together with it."""
        if state == self.state:
            return
        if self.last != what:
            self._past = [*self._past[-(_MOST - 1) :], (self.state, what)]
        self.state = state

    def undo(self) -> str:
        """Go back to the state before the last change and return what is undone; "" where there is nothing."""
        if not self._past:
            return ""
        self.state, what = self._past.pop()
        return what
