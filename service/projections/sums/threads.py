"""Work on many rows, in a thread: the event loop, which stores what others post, goes on meanwhile.

A report of 50,000 rows takes seconds to put together. Thirty of them, asked at once, left a post waiting for half a minute.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

_T = TypeVar("_T")
_FEW = 500  # rows that are done sooner than a thread has begun
_threads = ThreadPoolExecutor(2, "rows")  # more would only take turns with the event loop's more often


async def apart(rows: int, work: Callable[..., _T], *arguments: object) -> _T:
    """Return what a pure function makes of so many rows."""
    if rows < _FEW:
        return work(*arguments)
    return await asyncio.get_running_loop().run_in_executor(_threads, work, *arguments)
