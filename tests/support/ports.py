"""Ports for servers of a test's own, where the number has to be known before the server is there."""

from __future__ import annotations

import contextlib
import secrets
import socket

# Below those that systems give out by themselves, so that no connection and no other server is given one meanwhile.
_LEAST, _MOST = 20_000, 32_000


def free_port() -> int:
    """Return a port that nobody listens at."""
    while True:
        port = _LEAST + secrets.randbelow(_MOST - _LEAST)
        with socket.socket() as one, contextlib.suppress(OSError):
            one.bind(("127.0.0.1", port))
            return port
