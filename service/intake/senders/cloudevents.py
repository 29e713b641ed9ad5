"""CloudEvents over HTTP: middleware and brokers that deliver events of our catalogue by themselves.

Facts, from the CloudEvents specification 1.0.2 (github.com/cloudevents/spec):
- "HTTP Protocol Binding": binary mode (attributes in `ce-` headers, the body is the data), structured mode
  (`application/cloudevents+json`) and batches (`application/cloudevents-batch+json`). Header values are percent-encoded.
- "HTTP 1.1 Web Hooks for Event Delivery": before it delivers, a sender may ask with OPTIONS and `WebHook-Request-Origin`;
  the receiver agrees with `WebHook-Allowed-Origin` (the origin, or *) and `WebHook-Allowed-Rate` (requests per minute, or
  *). `WebHook-Request-Callback` (agreeing later through a URL of the sender) is optional for receivers and not used here.
  Deliveries carry `Authorization: Bearer`, or the query parameter `access_token`. 2xx is success, 410 ends deliveries,
  415 says that the form is not understood, 429 with `Retry-After` slows down.
- "Core": `source` + `id` identify an event; a repeated delivery has the same. `time` is optional there; we need it.

Azure Event Grid also delivers in a schema of its own (learn.microsoft.com, "Azure Event Grid event schema", "Endpoint validation
with Event Grid event schema"): a list of events with id, topic, subject, eventType, eventTime and data. It first posts one with
the header `aeg-event-type: SubscriptionValidation`, whose data.validationCode has to come back as validationResponse. Those
events are read as CloudEvents of the source `topic`.

An event keeps its identity, so that it may also come through `POST /v1/events`. `types` in the mapping renames types.
Delivery is at least once and in any order, as brokers do it. The limit on the size is ours (64 KiB is what the
specification asks every intermediary to carry).
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from service.domain.catalogue import CATALOGUE, shown
from service.domain.events import InvalidEventError, read_event
from service.intake.decoding import header_text
from service.intake.senders.contract import (
    Draft,
    Ignored,
    Kind,
    MalformedError,
    Reply,
    Request,
    Source,
    Statement,
    Unreadable,
    Waiting,
)
from service.intake.senders.fields import blanks, dig, json_of, list_of, object_of, with_defaults, without_blanks
from service.store.rows import encode_json

STRUCTURED = "application/cloudevents+json"
BATCH = "application/cloudevents-batch+json"
DEFAULTS: dict[str, Any] = {
    "types": {},  # the sender's type → the type of our catalogue
    # What stands where no campaign, channel, source or medium is stated. Nothing, unless a mapping says so: an event may
    # also come through POST /v1/events, and has to be the same there.
    "blanks": [],
    "origins": ["*"],  # who may send here, as the handshake names them
}
_ENVELOPE = ("specversion", "id", "source", "type", "time", "subject", "datacontenttype", "data", "data_base64")


def check_mapping(mapping: Mapping[str, Any]) -> dict[str, Any]:
    """Check that `types` leads to types of the catalogue."""
    checked = with_defaults(mapping, DEFAULTS, tables=("types",))
    for name, ours in checked["types"].items():
        if ours not in CATALOGUE:
            raise ValueError(f"types.{name}: expected an event type of the catalogue, got {shown(ours)}")
    if not all(isinstance(one, str) for one in checked["origins"]):
        raise ValueError('origins: expected a list of origins such as ["eventemitter.example.com"], or ["*"]')
    return {**checked, "blanks": blanks(checked["blanks"])}


def handshake(request: Request, source: Source) -> Reply | None:
    """Agree to deliveries from an origin that the mapping allows; say nothing to others, which means no."""
    if request.headers.get("aeg-event-type") == "SubscriptionValidation":
        return _validated(request)
    if request.method != "OPTIONS":
        return None
    origin = request.headers.get("webhook-request-origin", "")
    headers = {"allow": "POST"}
    if origin and ("*" in source.mapping["origins"] or origin in source.mapping["origins"]):
        headers |= {"webhook-allowed-origin": origin, "webhook-allowed-rate": str(source.rate_per_minute)}
    return Reply(200, headers)


def _validated(request: Request) -> Reply:
    """Answer Event Grid's question whether somebody here wants its events: whose code it is, only Event Grid knows."""
    try:
        code = dig(list_of(json_of(request.body), "the events"), "[0].data.validationCode")
    except MalformedError:
        code = None
    if not isinstance(code, str):
        return Reply(
            400, {"content-type": "text/plain"}, b"expected a list with one event that has data.validationCode\n"
        )
    return Reply(200, {"content-type": "application/json"}, encode_json({"validationResponse": code}))


def sign(body: bytes, _: Source, __: datetime) -> dict[str, str]:
    """Return the headers of structured mode, or of a batch where the body is a list."""
    return {"content-type": BATCH if body.lstrip()[:1] == b"[" else STRUCTURED}


def read(request: Request, source: Source) -> Sequence[Statement | Ignored | Unreadable]:
    """Give one statement per event."""
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if "ce-specversion" in request.headers and media_type not in (STRUCTURED, BATCH):
        return [_statement(_binary(request), source)]
    body = json_of(request.body)
    if media_type == BATCH or isinstance(body, list):
        items = list_of(body, "the batch")
        return [_item(number, one, source) for number, one in enumerate(items)] or [Ignored("the batch is empty")]
    return [_statement(object_of(body, "the event"), source)]


def _item(number: int, event: Any, source: Source) -> Statement | Ignored | Unreadable:
    """Read one of several; what is wrong with it names it."""
    try:
        return _statement(object_of(event, "the event"), source)
    except MalformedError as error:
        named = (
            [shown(event[name]) for name in ("source", "topic", "id") if event.get(name)]
            if isinstance(event, dict)
            else []
        )
        return Unreadable(f"item {number} ({' '.join(named) or 'without an id'}): {error}")


def _of_event_grid(event: dict[str, Any]) -> dict[str, Any]:
    """Return an event of Event Grid's own schema as a CloudEvent."""
    names = {
        "eventType": "type",
        "eventTime": "time",
        "topic": "source",
        "id": "id",
        "subject": "subject",
        "data": "data",
    }
    return {"specversion": "1.0", **{ours: event[theirs] for theirs, ours in names.items() if theirs in event}}


def _binary(request: Request) -> dict[str, Any]:
    event: dict[str, Any] = {"data": json_of(request.body)}
    for name, value in request.headers.items():
        if name.startswith("ce-") and name != "ce-data":
            if (text := header_text(value)) is None:
                raise MalformedError(f"{name}: expected percent-encoded UTF-8, got {shown(value)}")
            event[name[3:]] = text
    return event


def _statement(event: dict[str, Any], source: Source) -> Statement | Ignored:
    if "eventType" in event and "specversion" not in event:
        event = _of_event_grid(event)
    given = event.get("type")
    kind = source.mapping["types"].get(given, given) if isinstance(given, str) else None
    if kind not in CATALOGUE:
        return Ignored(f"type {shown(given)} is none of the catalogue, nor in the mapping's types")
    data = _data(event)
    if source.mapping["blanks"] and isinstance(data, dict):
        data = without_blanks(data, source.mapping)
    event = {**event, "type": kind, "data": data}
    try:
        checked = read_event({**event, "datacontenttype": None, "data_base64": None})
    except InvalidEventError as error:
        raise MalformedError(str(error)) from None
    identity = hashlib.sha256(encode_json([checked.source, checked.id])).hexdigest()
    record = f"event:{checked.id[:100]}:{identity}"
    fields = {name: value for name, value in event.items() if name not in ("specversion", "time", "data_base64")}
    content = hashlib.sha256(encode_json([checked.time, *sorted(fields.items(), key=str)])).hexdigest()
    return Statement(record, content, checked.time, "", kind, fields)


def _data(event: Mapping[str, Any]) -> Any:
    if "data_base64" not in event:
        return event.get("data")
    try:
        return json_of(base64.b64decode(event["data_base64"], validate=True))
    except (binascii.Error, TypeError, ValueError) as error:
        raise MalformedError(f"data_base64: expected JSON in base64 ({error})") from None


def translate(_: str, statements: Sequence[Statement], __: Source) -> list[Draft | Waiting]:
    """Give the event as it came. Two contents under one identity are a conflict, which a person has to solve."""
    last = statements[-1]
    fields = last.fields
    if len(statements) > 1:
        raise MalformedError(f"the event {fields['id']} of {fields['source']} was sent with different contents")
    extensions = {name: value for name, value in fields.items() if name not in _ENVELOPE}
    draft = Draft("event", last.verb, last.at, fields["data"], fields.get("subject"), fields["source"], fields["id"])
    return [draft._replace(extensions=extensions)]


def delivery_id(request: Request) -> str | None:
    """In binary mode the id of the event is in a header."""
    return request.headers.get("ce-id")


KIND = Kind(
    name="cloudevents",
    about="brokers and middleware that deliver CloudEvents of the catalogue over HTTP",
    check_mapping=check_mapping,
    handshake=handshake,
    read=read,
    translate=translate,
    authentication={"scheme": "bearer", "prefix": "Bearer ", "query": "access_token"},
    sign=sign,
    delivery_id=delivery_id,
)
