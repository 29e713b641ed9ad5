"""HubSpot: webhooks of an app – contacts, deals, quotes, orders and invoices as they change – read back if a token is given.

From HubSpot's developer documentation ("Webhooks API", "Create generic webhook subscriptions", "Validate requests",
"New subscription types for Webhooks", "CRM API | Objects"):
- A request holds up to 100 events as a JSON array. Each has eventId (not unique), subscriptionType, portalId, occurredAt
  (ms), attemptNumber and objectId; a propertyChange propertyName and propertyValue; a merge primaryObjectId,
  mergedObjectIds and newObjectId; an association fromObjectId, toObjectId and associationRemoved.
- Classic subscriptions are named after the object (contact.creation, deal.propertyChange, contact.associationChange
  with associationType "CONTACT_TO_DEAL"); generic ones object.* with objectTypeId ("0-3" = deal), and fromObjectTypeId
  and toObjectTypeId for associations. An app may have both: one fact, two messages.
- X-HubSpot-Signature-v3 is base64 of HMAC-SHA256 by the app's client secret over method, URL, body and
  X-HubSpot-Request-Timestamp (ms, at most 5 minutes old). Of the URL certain escapes are decoded first (`_DECODED`).
- Answers are awaited for 5 seconds; 4xx, 5xx and timeouts are tried again up to 10 times within 24 hours. Neither order
  nor single delivery is promised.
- Creations carry no properties: subscribe to the changes of those that are mapped, or give a token of a private app, by
  which the record is read back with the history of its properties, so that nothing that happened before is missing.
- Dates are milliseconds of midnight UTC or ISO; amounts are decimal texts in the record's currency.

Calls, emails, meetings, tickets and payments ("Engagements", "Tickets", "Payments API"): hs_call_disposition is the id of an
outcome, of which there are six at first; hs_call_duration is in milliseconds; hs_email_direction EMAIL is one that
was sent. The stages of deals are read back ("Pipelines") when a deal is created.

Form submissions and marketing e-mails ("HubSpot's default contact properties"): a contact has the time and name of its last
conversion (recent_conversion_date, recent_conversion_event_name), when it last opened and clicked a marketing e-mail
(hs_email_last_open_date, hs_email_last_click_date) and the name of the last one (hs_email_last_email_name). There are no
subscriptions to single ones: changes of these, and their history, tell them.

Deals count as opened when created, unless a stage is mapped to opportunity.opened; stages of other pipelines than the
default one have numbers, and are won or lost by hs_is_closed_won and hs_is_closed_lost where no mapping says so. See `crm`.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from service.domain.calendar import parse_instant
from service.domain.catalogue import shown
from service.intake.senders import crm, crm_events, hubspot_api
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
    in_order,
)
from service.intake.senders.fields import from_epoch, identifier, json_of, list_of, object_of, padded, text
from service.intake.senders.hubspot_mapping import DEFAULTS
from service.intake.senders.mappings import check_url
from service.intake.senders.signatures import check_any, check_fresh, header, hmac_base64

TOLERANCE = 300  # seconds
_LAST = "~"  # orders what a record says of now behind its history
_DECODED = re.compile(r"%(?:3A|2F|3F|40|21|24|27|28|29|2A|2C|3B)", re.IGNORECASE)
_CHAIN = (
    "lead",
    "deal",
    "quote",
    "order",
    "invoice",
    "credit_note",
    "payment",
    "call",
    "email",
    "meeting",
    "case",
)  # a link is stated of the later record
_VERBS = {
    "creation": crm_events.CREATED, "propertyChange": crm_events.UPDATED, "deletion": crm_events.DELETED,
    "restore": crm_events.RESTORED, "privacyDeletion": crm_events.ERASED, "merge": crm_events.MERGED,
    "associationChange": crm_events.UPDATED,
}  # fmt: skip

Parts = list[Statement | Ignored | Wanted]


def check_mapping(mapping: Mapping[str, Any]) -> dict[str, Any]:
    """Check fields, events and objects, and where the API is."""
    checked = crm.check(mapping, DEFAULTS)
    for name, sort in checked["objects"].items():
        if list(checked["objects"].values()).count(sort) > 1:
            raise ValueError(f"objects.{name}: another object is {sort} already, whose ids may be the same")
    for sort, names in checked["associations"].items():
        if not isinstance(names, str):
            raise ValueError(f'associations.{sort}: expected names such as "deals,orders", got {shown(names)}')  # noqa: TRY004
    check_url(checked, "api_url", "a URL such as https://api.hubapi.com")
    return checked


def verify(request: Request, source: Source, now: datetime) -> None:
    """Check signature v3 over method, URL, raw body and timestamp, and that it is of these minutes."""
    timestamp = header(request, "x-hubspot-request-timestamp")
    check_fresh(timestamp, now, tolerance=TOLERANCE, unit=0.001)
    expected = [_signature(one, request.method, request.url, request.body, timestamp) for one in source.secrets]
    check_any([header(request, "x-hubspot-signature-v3")], expected)


def _signature(secret: str, method: str, url: str, body: bytes, timestamp: str) -> str:
    decoded = _DECODED.sub(lambda match: chr(int(match[0][1:], 16)), url)
    return hmac_base64(secret, f"{method}{decoded}".encode() + body + timestamp.encode())


def sign(body: bytes, source: Source, now: datetime) -> dict[str, str]:
    """Sign as HubSpot does."""
    timestamp = str(int(now.timestamp() * 1000))
    signature = _signature(source.secrets[0], "POST", source.public_url, body, timestamp) if source.secrets else ""
    return {
        "content-type": "application/json",
        "x-hubspot-request-timestamp": timestamp,
        "x-hubspot-signature-v3": signature,
    }


def read(request: Request, source: Source) -> list[Statement | Ignored | Wanted]:
    """Take a batch of events apart. What cannot be read in company of what can is listed as ignored."""
    events = list_of(json_of(request.body), "body")
    parts: Parts = []
    problems: list[MalformedError] = []
    for number, one in enumerate(events):
        try:
            parts += _event(object_of(one, "event"), source)
        except MalformedError as error:
            problems.append(error)
            parts.append(Ignored(f"event {number}: {error}"))
    if len(problems) == len(events):
        raise problems[0] if problems else MalformedError("body: expected events, got an empty list")
    return parts + _wanted(parts, source)


def _event(event: Mapping[str, Any], source: Source) -> Parts:
    kind = identifier(event.get("subscriptionType"), "subscriptionType")
    name, _, what = kind.partition(".")
    portal = source.mapping["portal"]
    if portal is not None and text(event.get("portalId"), "portalId") != portal:
        return [Ignored("portalId is not the one that the mapping names")]
    if what not in _VERBS:
        return [Ignored(f"{kind} states nothing for campaigns")]
    at = from_epoch(event.get("occurredAt"), "occurredAt")
    if at is None:
        raise MalformedError("occurredAt: expected milliseconds since 1970, got nothing")
    if what == "associationChange":
        return _association(event, at, source)
    name = _name(event.get("objectTypeId"), "objectTypeId") if name == "object" else name
    sort = source.mapping["objects"].get(name)
    if sort is None:
        return [Ignored(f"{name} is not among the mapping's objects")]
    return _merge(event, sort, at) if what == "merge" else _change(event, sort, what, at, source)


def _change(event: Mapping[str, Any], sort: str, what: str, at: str, source: Source) -> Parts:
    fields: dict[str, Any] = {}
    if what == "creation":
        fields = {source.mapping["fields"][sort]["created"] or "createdate": at}
    elif what == "propertyChange":
        field = identifier(event.get("propertyName"), "propertyName")
        if field not in crm.mapped(source.mapping, sort):
            return [Ignored(f"the property {field} of a {sort} is not mapped")]
        fields = {field: text(event.get("propertyValue"), field)}
    identity = identifier(event.get("objectId"), "objectId")
    return [_statement(f"{sort}:{identity}", at, _VERBS[what], fields)]


def _statement(record: str, at: str, verb: str, fields: dict[str, Any]) -> Statement:
    """Return a statement whose key is its content: eventId is not unique, and two subscriptions tell one fact."""
    content = hashlib.sha256(repr((verb, sorted(fields.items()))).encode(errors="replace")).hexdigest()
    return Statement(record, f"{record}/{at}/{content[:24]}", at, "", verb, fields)


def _name(type_id: Any, what: str) -> str:
    identity = identifier(type_id, what)
    return hubspot_api.TYPES.get(identity, identity)


def _merge(event: Mapping[str, Any], sort: str, at: str) -> Parts:
    """State of each record that was merged away which one it is in."""
    primary = identifier(event.get("primaryObjectId", event.get("objectId")), "primaryObjectId")
    survivor = identifier(event["newObjectId"], "newObjectId") if event.get("newObjectId") else primary
    several = {identifier(one, "mergedObjectIds") for one in list_of(event.get("mergedObjectIds"), "mergedObjectIds")}
    away = sorted({*several, primary} - {survivor})
    if not away:
        return [Ignored("a merge of a record with itself")]
    return [_statement(f"{sort}:{one}", at, crm_events.MERGED, {"survivor": survivor}) for one in away]


def _association(event: Mapping[str, Any], at: str, source: Source) -> Parts:
    """State of the later of two records that it is linked with the earlier: a deal with its contact, an order with a deal."""
    if event.get("fromObjectTypeId") is not None:
        names = [_name(event[one], one) for one in ("fromObjectTypeId", "toObjectTypeId") if one in event]
    else:
        names = identifier(event.get("associationType"), "associationType").lower().split("_to_")
    ends = [
        (source.mapping["objects"].get(name), identifier(event.get(field), field))
        for name, field in zip(names, ("fromObjectId", "toObjectId"), strict=False)
    ]
    if len(ends) != 2 or any(sort not in _CHAIN for sort, _ in ends) or ends[0][0] == ends[1][0]:  # noqa: PLR2004  both
        return [Ignored(f"an association of {' and '.join(names)} ties nothing together here")]
    (sort, identity), (later, record) = sorted(ends, key=lambda end: _CHAIN.index(end[0] or ""))
    linked = event.get("associationRemoved") is not True
    fields = {crm.link(sort or "", identity): linked}
    if sort == "lead":
        fields[crm.link("contact", identity)] = linked
    return [_statement(f"{later}:{record}", at, crm_events.UPDATED, fields)]


def _wanted(parts: Parts, source: Source) -> list[Wanted]:
    """Ask, where a token is given, for each record once that a message speaks of and that is still there."""
    if not source.credentials.get("token"):
        return []
    spoken = [one for one in parts if isinstance(one, Statement)]
    latest = {one.record: one for one in sorted(spoken, key=lambda one: (parse_instant(one.at), one.key))}
    for one in spoken:
        if one.verb == crm_events.MERGED:  # of what it was merged into, the message says nothing but its id
            survivor = f"{one.record.partition(':')[0]}:{one.fields['survivor']}"
            latest.setdefault(survivor, one._replace(record=survivor, verb=crm_events.UPDATED))
    new = [one for one in spoken if one.verb == crm_events.CREATED and one.record.startswith("deal:")]
    stages = [hubspot_api.stages(one.at, source) for one in new[:1]]
    gone = (crm_events.DELETED, crm_events.ERASED, crm_events.MERGED)
    return stages + [
        Wanted(record, f"{record}/read/{one.at}", one.at, "", crm_events.SNAPSHOT, hubspot_api.url(record, source))
        for record, one in latest.items()
        if one.verb not in gone
    ]


def _unfolded(sort: str, statements: Sequence[Statement], source: Source) -> Iterator[Statement]:
    """Yield what was read back as the changes that it tells of; links that it does not name are no longer.

    A value that cannot be read and that another has replaced since is history that nobody needs.
    """
    ever = {name for one in statements for name in one.fields.get("links") or one.fields if name.startswith("→")}
    for one in statements:
        if one.verb != crm_events.SNAPSHOT:
            yield one
            continue
        for name, entries in one.fields["history"].items():
            # The newest comes first: what HubSpot lists decides between two values of one instant.
            for number, (at, value) in enumerate(reversed(entries)):
                entry = _statement(one.record, at, crm_events.UPDATED, {name: value})
                if number == len(entries) - 1 or crm.readable(name, value, sort, source.mapping):
                    yield entry._replace(order=padded(number, name))
        links = one.fields["links"]
        fields = {**one.fields["properties"], **{name: name in links for name in ever}}
        yield one._replace(order=_LAST, fields=fields)


def translate(record: str, statements: Sequence[Statement], source: Source) -> list[Draft | Waiting]:
    """Return the events of a record."""
    sort, _, identity = record.partition(":")
    several = in_order(_unfolded(sort, statements, source))
    drafts = crm_events.translate(sort, identity, several, source.mapping, source.known)
    return [_of_contact(one, identity) if sort == "lead" and isinstance(one, Draft) else one for one in drafts]


def _of_contact(draft: Draft, identity: str) -> Draft:
    """Name as its contact the contact that a lead is."""
    named = draft.type in ("lead.captured", "touchpoint.recorded")
    return draft._replace(data={**draft.data, "contact_id": identity}) if named else draft


def unsaid(record: str, statements: Sequence[Statement], source: Source) -> str:
    """Say why a record gives no event: without a token, only what is subscribed to is known."""
    sort = record.partition(":")[0]
    hint = "" if source.credentials.get("token") else "; or give the source a token, so that records are read back"
    return crm_events.unsaid(sort, in_order(_unfolded(sort, statements, source)), source.mapping) + hint


KIND = Kind(
    name="hubspot",
    about="HubSpot: webhooks of an app, classic and generic; records read back with a token",
    check_mapping=check_mapping,
    verify=verify,
    read=read,
    translate=translate,
    lookups=crm_events.lookups,
    unsaid=unsaid,
    sign=sign,
    fetch=hubspot_api.fetch,
    credentials=("token",),
)
