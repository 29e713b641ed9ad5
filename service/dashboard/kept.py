"""Pages that still hold: asked again, a page is what it was, as long as nothing can have changed it."""

from __future__ import annotations

from collections import OrderedDict
from typing import NamedTuple

_ABOUT = 1_000  # bytes that a page takes besides its own
_MOST = 8  # a page larger than this part of what may be kept is not


class Kept(NamedTuple):
    """A page and the tag that it holds for."""

    tag: str
    body: bytes


class Pages:
    """The pages given last, up to so many bytes."""

    def __init__(self, most_bytes: int) -> None:
        self._most, self._bytes = most_bytes, 0
        self._kept: OrderedDict[tuple[str, ...], Kept] = OrderedDict()

    def get(self, key: tuple[str, ...], tag: str) -> bytes | None:
        """Return a page, if it still holds."""
        found = self._kept.get(key)
        if found is None or found.tag != tag:
            return None
        self._kept.move_to_end(key)
        return found.body

    def keep(self, key: tuple[str, ...], tag: str, body: bytes) -> None:
        """Keep a page, forgetting those that were not asked for longest."""
        if (gone := self._kept.pop(key, None)) is not None:
            self._bytes -= len(gone.body) + _ABOUT
        if len(body) + _ABOUT > self._most // _MOST:
            return
        self._kept[key] = Kept(tag, body)
        self._bytes += len(body) + _ABOUT
        while self._bytes > self._most:
            _, first = self._kept.popitem(last=False)
            self._bytes -= len(first.body) + _ABOUT
