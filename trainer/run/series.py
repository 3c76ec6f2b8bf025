"""A sequence that never changes and yet can be extended a hundred thousand times."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Generic, TypeVar, overload

T = TypeVar("T")


class Series(Sequence[T], Generic[T]):
    """An immutable sequence whose versions share one list: `plus` takes constant time.

    Only the newest version extends the list in place; extending an older one copies it.
    """

    __slots__ = ("_items", "_length")

    def __init__(self, items: Iterable[T] = ()) -> None:
        self._items = list(items)
        self._length = len(self._items)

    def plus(self, item: T) -> "Series[T]":
        """Return the series with one more item; this one stays as it is."""
        return self.plus_all((item,))

    def plus_all(self, more: Sequence[T]) -> "Series[T]":
        """Return the series with more items; this one stays as it is."""
        items = self._items
        if len(items) != self._length:
            items = items[: self._length]
        items.extend(more)
        longer: Series[T] = Series.__new__(Series)
        longer._items = items
        longer._length = len(items)
        return longer

    def first(self, count: int) -> "Series[T]":
        """Return the first `count` items."""
        return self if count >= self._length else Series(self._items[:count])

    def __len__(self) -> int:
        return self._length

    def __iter__(self) -> Iterator[T]:
        return iter(self._items[: self._length])

    @overload
    def __getitem__(self, index: int) -> T: ...
    @overload
    def __getitem__(self, index: slice) -> list[T]: ...
    def __getitem__(self, index: int | slice) -> T | list[T]:
        if isinstance(index, slice):
            return [self._items[i] for i in range(*index.indices(self._length))]
        return self._items[range(self._length)[index]]

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Series) and list(self) == list(other)

    def __hash__(self) -> int:
        return hash(tuple(self))

    def __repr__(self) -> str:
        return f"Series({list(self)!r})"
