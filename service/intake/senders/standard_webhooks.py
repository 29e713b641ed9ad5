"""Standard Webhooks: any sender that signs as standardwebhooks.com says, with our own catalogue as payload.

Facts, all from the Standard Webhooks specification 1.0 (github.com/standard-webhooks/standard-webhooks, spec):
- Headers `webhook-id` (the same for each attempt at one message), `webhook-timestamp` (Unix seconds of the attempt) and
  `webhook-signature`: signatures with a version each, divided by spaces, so that secrets can be rotated ("v1,… v1,…").
- v1 is HMAC-SHA256 in base64 over `id.timestamp.body`; the secret is base64 behind the prefix `whsec_`.
- The receiver refuses timestamps too far from now; the libraries use 5 minutes.
- Retries with exponential backoff; 2xx is success, 410 may disable the endpoint, 429 and 502-504 slow the sender down.
- Payload: {"type": "group.event", "timestamp": ISO 8601, "data": {…}}. Order of delivery is not promised.

The `type` is one of our catalogue, `data` its data: for senders that you write yourself, or that transform what they
send. `types` in the mapping renames types of the sender. Systems with shapes of their own are mapped by `generic`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

from service.domain.catalogue import CATALOGUE, check_data, shown
from service.intake.blanks import BLANKS
from service.intake.senders.contract import (
    Draft,
    Ignored,
    Kind,
    MalformedError,
    Request,
    Source,
    Statement,
    Waiting,
    Wanted,
)
from service.intake.senders.fields import blanks, identifier, instant, json_of, object_of, with_defaults, without_blanks

DEFAULTS: dict[str, Any] = {
    "types": {},  # the sender's type → the type of our catalogue
    "blanks": list(BLANKS),  # what stands where no campaign, channel, source or medium is stated
}


def check_mapping(mapping: Mapping[str, Any]) -> dict[str, Any]:
    """Check that `types` leads to types of the catalogue."""
    checked = with_defaults(mapping, DEFAULTS, tables=("types",))
    for name, ours in checked["types"].items():
        if ours not in CATALOGUE:
            raise ValueError(f"types.{name}: expected an event type of the catalogue, got {shown(ours)}")
    return {**checked, "blanks": blanks(checked["blanks"])}


def read(request: Request, source: Source) -> list[Statement | Ignored | Wanted]:
    """One message is one statement, about a record of its own: it is an event already."""
    payload = object_of(json_of(request.body), "body")
    kind = source.mapping["types"].get(payload.get("type"), payload.get("type")) if _is_text(payload) else None
    if kind not in CATALOGUE:
        return [Ignored(f"type {shown(payload.get('type'))} is none of the catalogue, nor in the mapping's types")]
    at = instant(payload.get("timestamp"), "timestamp")
    if at is None:
        raise MalformedError("timestamp: expected a time such as 2026-03-01T09:30:00Z, got nothing")
    # Where another scheme is chosen (`authentication`), there may be no id: the content tells repeats then.
    content = hashlib.sha256(request.body).hexdigest()
    key = identifier(request.headers.get("webhook-id") or content, "the header webhook-id")
    data = object_of(payload.get("data"), "data")
    return [Statement(f"message:{key}", key, at, "", kind, without_blanks(data, source.mapping))]


def _is_text(payload: Mapping[str, Any]) -> bool:
    return isinstance(payload.get("type"), str)


def translate(_: str, statements: Sequence[Statement], __: Source) -> list[Draft | Waiting]:
    """Give the event that the message is."""
    last = statements[-1]
    for problem in check_data(last.verb, last.fields):
        raise MalformedError(f"{problem.field}: expected {problem.expected}, got {problem.got}")
    return [Draft("event", last.verb, last.at, last.fields)]


def delivery_id(request: Request) -> str | None:
    """The id is the same for each attempt."""
    return request.headers.get("webhook-id")


KIND = Kind(
    name="standard-webhooks",
    about="any sender that signs by Standard Webhooks and sends events of the catalogue",
    check_mapping=check_mapping,
    read=read,
    translate=translate,
    authentication={"scheme": "standard-webhooks"},
    delivery_id=delivery_id,
)
