"""Lists as JSON, item by item: what an answer says of itself stands around them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, BinaryIO


class Document:
    """A JSON document in the making, with a list in it; `around` gives what comes before the list and after it."""

    def __init__(
        self, sink: BinaryIO, encode: Callable[[Any], bytes], around: tuple[bytes, Callable[[int], bytes]]
    ) -> None:
        self._sink, self._encode = sink, encode
        before, self._after = around
        self._count = 0
        sink.write(before)

    def items(self, items: Iterable[Any]) -> None:
        """Write items of the list."""
        written = list(map(self._encode, items))
        if written:
            self._sink.write((b"," if self._count else b"") + b",".join(written))
            self._count += len(written)

    def close(self) -> None:
        """Write what comes after the list."""
        self._sink.write(self._after(self._count))

    def abandon(self) -> None:
        """Leave it unfinished."""
