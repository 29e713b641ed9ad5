"""Signatures over raw bytes: HMAC, compared in constant time, with several secrets and a replay window."""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime

from service.intake.senders.contract import RejectedError, Request

Digest = Callable[[bytes | str, bytes], str]


def hmac_hex(secret: bytes | str, message: bytes, algorithm: str = "sha256") -> str:
    """Return the HMAC in lower-case hexadecimal."""
    return hmac.new(_bytes(secret), message, getattr(hashlib, algorithm)).hexdigest()


def hmac_base64(secret: bytes | str, message: bytes, algorithm: str = "sha256") -> str:
    """Return the HMAC in base64."""
    return base64.b64encode(hmac.new(_bytes(secret), message, getattr(hashlib, algorithm)).digest()).decode()


def header(request: Request, name: str) -> str:
    """Return a header that has to be there; RejectedError if it is not."""
    value = request.headers.get(name.lower(), "")
    if not value:
        raise RejectedError(f"the header {name} is missing")
    return value


def check_any(given: Iterable[str], expected: Sequence[str], what: str = "the signature") -> None:
    """Accept if one of the given signatures is one of the expected; all are compared, in constant time."""
    found = False
    for one in given:
        for other in expected:
            found |= hmac.compare_digest(one.encode(), other.encode())
    if not found:
        raise RejectedError(f"{what} does not fit any secret of this source")


def check_secret(given: str | None, secrets: Sequence[str], what: str) -> None:
    """Accept if a secret that was sent as it is (a key, a bearer token, a client state) is one of the source's."""
    if not given:
        raise RejectedError(f"{what} is missing")
    check_any([given], secrets, what)


def check_fresh(timestamp: str, now: datetime, *, tolerance: float, unit: float = 1.0) -> None:
    """Refuse what was signed too long before or after now. `timestamp` counts `unit` seconds (0.001 = milliseconds)."""
    if not (timestamp.isascii() and timestamp.isdigit() and len(timestamp) < 20):  # noqa: PLR2004  more is no time
        raise RejectedError("the timestamp is not a whole number")
    if abs(now.timestamp() - int(timestamp) * unit) > tolerance:
        raise RejectedError(
            f"the timestamp is more than {tolerance:g} seconds from now: a replay, or a clock that is wrong"
        )


def _bytes(secret: bytes | str) -> bytes:
    return secret if isinstance(secret, bytes) else secret.encode()
