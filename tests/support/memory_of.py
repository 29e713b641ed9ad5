"""The memory of a running service, as the system counts it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.conftest import Running

MIB = 2**20


def memory(running: Running) -> int:
    """Return the bytes of memory that the service has at this moment."""
    status = Path(f"/proc/{running.process.pid}/status")
    if not status.exists():
        pytest.skip("how much memory another process has is told by /proc, which this system has not: Linux does")
    found = re.search(r"VmRSS:\s+(\d+) kB", status.read_text(encoding="ascii"))
    assert found
    return int(found[1]) * 1024
