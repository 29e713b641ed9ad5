"""What is being written, held on disk until it has been sent: whoever reads slowly keeps neither memory nor the database.

spool = Spool(packer)                     # a compressor, or None
spool.sink.write(b"…"); spool.publish()   # in any thread: what is written so far may be read
spool.end()
async for piece in spool.pieces(): ...
"""

from __future__ import annotations

import asyncio
import io
import os
import tempfile
import threading
from collections.abc import AsyncGenerator
from typing import Any

_PIECE = 262_144  # bytes that are read at a time


class Spool:
    """A file that is read while it is written: `size` bytes of it, and no more to come once it is `complete`."""

    def __init__(self, packer: Any = None) -> None:
        """`packer` compresses what is written, by the methods `compress` and `flush`."""
        self._file = tempfile.TemporaryFile(prefix="campaign-ledger-")  # noqa: SIM115  closed by `close`
        self._packer = packer
        self._loop = asyncio.get_running_loop()
        self._grown = asyncio.Event()
        self._lock = threading.Lock()  # who goes away closes it while a thread may still write or read
        self.sink = _Sink(self)
        self.size = 0
        self.complete = False

    def write(self, data: bytes) -> None:
        """Write bytes."""
        self._put(data if self._packer is None else self._packer.compress(data))

    def publish(self) -> None:
        """Let what has been written be read."""
        with self._lock:
            self._file.flush()
            self.size = self._file.tell()
        self._loop.call_soon_threadsafe(self._grown.set)

    def end(self) -> None:
        """Say that it is complete."""
        if self._packer is not None:
            self._put(self._packer.flush())
        self.complete = True
        self.publish()

    def close(self) -> None:
        """Give its space back."""
        with self._lock:
            self._file.close()

    async def pieces(self) -> AsyncGenerator[bytes, None]:
        """Yield all of it, as it grows."""
        at = 0
        while True:
            self._grown.clear()
            complete, size = self.complete, self.size
            while at < size:
                piece = await asyncio.to_thread(self._read, at, min(_PIECE, size - at))
                yield piece
                at += len(piece)
            if complete:
                return
            await self._grown.wait()

    def _put(self, data: bytes) -> None:
        with self._lock:
            if (
                not self._file.closed
            ):  # else whoever still writes what nobody waits for, as Parquet's writer does at its end
                self._file.write(data)

    def _read(self, at: int, size: int) -> bytes:
        with self._lock:
            return os.pread(self._file.fileno(), size, at)


class _Sink(io.RawIOBase):
    """A spool as a file that can only be written; who closes it does not close the spool."""

    def __init__(self, spool: Spool) -> None:
        self._spool = spool

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        self._spool.write(bytes(data))
        return len(data)
