"""Signed webhooks, as standardwebhooks.com says: {"type", "timestamp", "data"} with an id that stays the same for each attempt.

They go out like whatever the service asks by itself: to public addresses only, unless the operator names the host.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import time
from collections.abc import Sequence
from typing import Any

import httpx
import msgspec

from service.intake import outgoing

PAUSES = (1.0, 5.0, 30.0)  # seconds before another attempt
_SUCCESS = range(200, 300)
_FINAL = (400, 401, 403, 404, 405, 410, 413, 415, 422)  # answers that another attempt would not change


class NotTakenError(RuntimeError):
    """A message that its receiver has not taken."""


def signature(secret: str, identity: str, timestamp: int, body: bytes) -> str:
    """Return the signature of an attempt, version 1."""
    key = base64.b64decode(secret.removeprefix("whsec_"))
    digest = hmac.digest(key, f"{identity}.{timestamp}.".encode() + body, hashlib.sha256)
    return f"v1,{base64.b64encode(digest).decode()}"


async def post(
    transport: outgoing.GuardedTransport, url: str, secret: str, identity: str, payload: dict[str, Any],
    pauses: Sequence[float] = PAUSES,
) -> None:  # fmt: skip
    """Post a message until it is taken, or it is of no use; NotTakenError says why."""
    body, reason = msgspec.json.encode(payload), ""
    http = outgoing.client_over(transport)
    for pause in (*pauses, None):
        timestamp = int(time.time())
        headers = {
            "Content-Type": "application/json", "User-Agent": "campaign-ledger", "Webhook-Id": identity,
            "Webhook-Timestamp": str(timestamp), "Webhook-Signature": signature(secret, identity, timestamp, body),
        }  # fmt: skip
        try:
            answer = await http.post(url, content=body, headers=headers)
        except outgoing.ForbiddenAddressError as error:
            raise NotTakenError(str(error)) from None
        except httpx.HTTPError as error:
            reason = str(error) or type(error).__name__
        else:
            if answer.status_code in _SUCCESS:
                return
            reason = f"it answered {answer.status_code}"
            if answer.status_code in _FINAL:
                break
        if pause is not None:
            await asyncio.sleep(pause)
    raise NotTakenError(f"{httpx.URL(url).host} did not take a message: {reason}")
