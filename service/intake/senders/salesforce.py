"""Salesforce: Change Data Capture events that a bridge forwards as JSON, and outbound messages (SOAP) sent by itself.

Change Data Capture, from Salesforce's Change Data Capture Developer Guide:
- Salesforce does not post them; a bridge subscribes (Pub/Sub API, CometD, an event relay) and posts what it gets, one
  event or an array, bare or in its envelope ({"payload": …}, {"data": {"payload": …}}, {"detail": {"payload": …}}).
- ChangeEventHeader ("ChangeEventHeader Fields"): entityName, recordIds, changeType, changeOrigin, transactionKey and
  sequenceNumber (together they name a change), commitTimestamp (ms), commitNumber, changedFields, nulledFields,
  diffFields. Large text fields in diffFields carry a difference, not a value. One change may come to two subscribers with
  different fields, as each may see them.
- "Change Event Body Fields": a creation or undeletion has the fields that are not empty, an update those that changed
  (emptied ones as null), a deletion none. Decoded Avro has every field, null where nothing changed. So null alone says
  nothing: a field is emptied where nulledFields names it.
- "Merged Change Events": one event may tell the same change of several records. After a change of a field's type
  recordIds is a prefix and "*".
- "Gap Events", "Overflow Events": GAP_CREATE, _UPDATE, _DELETE, _UNDELETE have no fields; GAP_OVERFLOW not even an id.
  They are listed, and what the record gave stands, until it is undeleted or sent whole by an outbound message.
- "Change Events for Lead Conversion": the lead's update carries ConvertedOpportunityId; its account, contact and
  opportunity come as creations of the same transaction.
- Events are kept for 72 hours and may be delivered again. Merging two records is told as an update and a deletion,
  without saying which went into which.

Outbound messages, from the SOAP API Developer Guide ("Outbound Messaging", "Understanding Notifications"):
- Up to 100 Notification elements of one object, each with an Id; retried until the answer holds Ack true, for 24 hours,
  ever more slowly, without order, sometimes twice; always with the record's latest state of the chosen fields.
- They carry no signature: the URL has to be secret (path secret, or ?key=), or Salesforce's client certificate checked
  before this service. The organization's id is compared where the mapping names it.

Answers of a query (REST API, "Query": {"totalSize", "done", "records": [{"attributes": {"type"}, …}]}) are taken, too: for what
was there before, and for OpportunityStage ("MasterLabel", "SortOrder", "DefaultProbability"), of which no change is told.
Activities ("Task", "Event" in the Object Reference): WhoId is a lead or contact, WhatId may be an opportunity; TaskSubtype,
CompletedDateTime, CallDurationInSeconds, CallDisposition; EndDateTime, DurationInMinutes. "PaymentLineInvoice" is what of a
payment was applied to an invoice (Type Applied) or taken back from it (Unapplied). "Case": ClosedDate, IsClosed.
"OpportunityContactRole": OpportunityId (which stays), ContactId, Role.

A bridge proves itself by `Authorization: Bearer <secret>`, or by `X-Signature`: HMAC-SHA256 of the body in hexadecimal.
Ids of 15 characters are completed to 18, so that a record has one name. All sorts of records: see `crm`.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from service.domain.catalogue import shown
from service.intake.senders import crm, crm_events
from service.intake.senders.contract import (
    Draft,
    Ignored,
    Kind,
    MalformedError,
    Reply,
    Request,
    Screened,
    Source,
    Statement,
    Waiting,
    Wanted,
    default_reply,
)
from service.intake.senders.fields import dig, from_epoch, identifier, instant, json_of, list_of, object_of, padded
from service.intake.senders.salesforce_mapping import DEFAULTS
from service.intake.senders.salesforce_soap import ACK, is_xml, notifications_of, without_session
from service.intake.senders.signatures import check_any, check_secret, hmac_hex

SIGNATURE = "x-signature"
# An activity is about whoever and whatever; the first three characters of an id say what it is of. 005 is a user.
_KEYS_OF = {"lead_id": "00Q", "contact_id": "003", "opportunity_id": "006", "agent_id": "005"}
_PEOPLE = ("task", "meeting", "case")

_VERBS = {
    "CREATE": crm_events.CREATED, "UPDATE": crm_events.UPDATED, "DELETE": crm_events.DELETED,
    "UNDELETE": crm_events.RESTORED,
}  # fmt: skip
_GAPS = ("GAP_CREATE", "GAP_UPDATE", "GAP_DELETE", "GAP_UNDELETE")
_CONVERTED = ("IsConverted", "ConvertedOpportunityId", "ConvertedContactId")
_SHORT_ID = re.compile(r"(?:0[0-9A-Za-z]{2}|[78]01)[0-9A-Za-z]{12}", re.ASCII)


def check_mapping(mapping: Mapping[str, Any]) -> dict[str, Any]:
    """Check fields, events and objects; ids of campaigns may have 15 or 18 characters."""
    checked = crm.check(mapping, DEFAULTS)
    return {**checked, "campaigns": {long_id(name): ours for name, ours in checked["campaigns"].items()}}


def long_id(value: Any) -> Any:
    """Return a record's id with 18 characters: three more say which of the letters are capitals."""
    if not (isinstance(value, str) and _SHORT_ID.fullmatch(value)):
        return value
    thirds = (value[at : at + 5] for at in (0, 5, 10))
    bits = (sum(1 << place for place, letter in enumerate(third) if letter.isupper()) for third in thirds)
    return value + "".join("ABCDEFGHIJKLMNOPQRSTUVWXYZ012345"[one] for one in bits)


def verify(request: Request, source: Source, _: datetime) -> None:
    """Check the bridge's signature or bearer token, or the key in the URL of an outbound message."""
    if given := request.headers.get(SIGNATURE):
        check_any([given.removeprefix("sha256=").lower()], [hmac_hex(one, request.body) for one in source.secrets])
    elif given := request.headers.get("authorization", ""):
        check_secret(given.removeprefix("Bearer "), source.secrets, "the bearer token")
    else:
        check_secret(request.query.get("key"), source.secrets, "X-Signature, Authorization or the parameter key")


def screened(request: Request, _: Source) -> Screened:
    """Keep an outbound message without the session's id that it may carry."""
    return Screened(without_session(request.body) if is_xml(request.body) else request.body)


def sign(body: bytes, source: Source, _: datetime) -> dict[str, str]:
    """Sign as a bridge does."""
    kind = "text/xml; charset=utf-8" if is_xml(body) else "application/json"
    return {"content-type": kind, SIGNATURE: hmac_hex(source.secrets[0], body) if source.secrets else ""}


def reply(request: Request, accepted: bool) -> Reply:
    """Acknowledge outbound messages as SOAP wants it: anything else is sent again."""
    if accepted and is_xml(request.body):
        return Reply(200, {"content-type": "text/xml; charset=utf-8"}, ACK)
    return default_reply(request, accepted)


def read(request: Request, source: Source) -> list[Statement | Ignored | Wanted]:
    """Take an outbound message, or one or several change events, apart. What is bad in company is listed as ignored."""
    if is_xml(request.body):
        return _outbound(request, source)
    body = json_of(request.body)
    if isinstance(body, dict) and isinstance(body.get("records"), list):
        return [_queried(object_of(one, "records"), source) for one in body["records"]]
    parts: list[Statement | Ignored | Wanted] = []
    problems: list[MalformedError] = []
    for number, one in enumerate(events := body if isinstance(body, list) else [body]):
        try:
            parts += _change(one, source)
        except MalformedError as error:
            problems.append(error)
            parts.append(Ignored(f"event {number}: {error}"))
    if len(problems) == len(events):
        raise problems[0] if problems else MalformedError("body: expected change events, got an empty list")
    return parts


def _change(value: Any, source: Source) -> list[Statement | Ignored | Wanted]:
    event = object_of(value, "change event")
    while "ChangeEventHeader" not in event:
        inner = next((event[name] for name in ("payload", "data", "detail") if isinstance(event.get(name), dict)), None)
        if inner is None:
            raise MalformedError("ChangeEventHeader is missing: expected a change event, bare or below payload")
        event = inner
    header = object_of(event["ChangeEventHeader"], "ChangeEventHeader")
    entity, change = identifier(header.get("entityName"), "entityName"), header.get("changeType")
    sort = source.mapping["objects"].get(entity)
    if sort is None:
        return [Ignored(f"{entity} is not among the mapping's objects")]
    if change == "GAP_OVERFLOW":
        return [Ignored(f"GAP_OVERFLOW: Salesforce does not say which {entity} records changed; have them sent again")]
    if not isinstance(change, str) or (change not in _VERBS and change not in _GAPS):
        raise MalformedError(f"changeType: expected CREATE, UPDATE, DELETE, UNDELETE or a GAP_, got {shown(change)}")
    at = from_epoch(header.get("commitTimestamp"), "commitTimestamp")
    if at is None:
        raise MalformedError("commitTimestamp: expected milliseconds since 1970, got nothing")
    order = padded(header.get("commitNumber"), "commitNumber") + padded(header.get("sequenceNumber"), "sequenceNumber")
    transaction = identifier(header.get("transactionKey"), "transactionKey")
    fields = {"change": change} if change in _GAPS else _stated(event, header, source, sort)
    verb = _VERBS.get(change, crm_events.GAP)
    if verb == crm_events.DELETED and (master := event.get("MasterRecordId")):  # where the bridge has looked it up
        verb, fields = crm_events.MERGED, {"survivor": long_id(identifier(master, "MasterRecordId"))}
    if verb == crm_events.CREATED:
        fields.setdefault(source.mapping["fields"][sort]["created"] or "CreatedDate", at)
    parts: list[Statement | Ignored | Wanted] = []
    for one in list_of(header.get("recordIds"), "recordIds"):
        identity = long_id(identifier(one, "recordIds"))
        if "*" in identity:
            parts.append(Ignored(f"{change} of all {entity} records: Salesforce does not say what of them changed"))
            continue
        # Two subscribers may be told of one change with different fields: both count, none is chosen.
        content = hashlib.sha256(repr(sorted(fields.items(), key=str)).encode(errors="replace")).hexdigest()
        key = f"{transaction[:120]}/{str(header.get('sequenceNumber'))[:40]}/{change}/{identity}/{content[:16]}"
        parts += _with_conversion(Statement(f"{sort}:{identity}", key[:300], at, order, verb, fields))
    return parts or [Ignored(f"{change} of no {entity} record")]


def _stated(event: Mapping[str, Any], header: Mapping[str, Any], source: Source, sort: str) -> dict[str, Any]:
    """Return what a change event says of the fields that are mapped: null only where a field was emptied."""
    changed, emptied, differences = (
        {str(one) for one in list_of(header.get(name) or [], name)}
        for name in ("changedFields", "nulledFields", "diffFields")
    )
    if any(one.startswith("0x") or "-0x" in one for one in changed | emptied | differences):
        raise MalformedError(
            "changedFields, nulledFields: expected names of fields; have the bridge decode the bitmaps"
        )
    wanted = crm.mapped(source.mapping, sort) | {*_CONVERTED}
    stated: dict[str, Any] = {}
    for name, value in _flat(event):
        if name in differences:
            stated[name] = None
        elif name in wanted and (value is not None or name in emptied):
            stated[name] = long_id(value)
    stated |= dict.fromkeys(emptied)
    return {name: value for name, value in stated.items() if name in wanted}


def _flat(value: Mapping[str, Any], path: str = "") -> Iterator[tuple[str, Any]]:
    """Yield fields; those of compound fields as Name.LastName."""
    for name, one in value.items():
        if isinstance(one, dict):
            if name != "ChangeEventHeader":
                yield from _flat(one, f"{path}{name}.")
        else:
            yield f"{path}{name}", one


def _with_conversion(one: Statement) -> Iterator[Statement]:
    """Yield a statement; a converted lead states of its opportunity, too, which lead and contact it comes from."""
    yield one
    deal = one.fields.get("ConvertedOpportunityId")
    if one.record.startswith("lead:") and isinstance(deal, str) and deal:
        links = {crm.link("lead", one.record.removeprefix("lead:")): True}
        if isinstance(contact := one.fields.get("ConvertedContactId"), str) and contact:
            links[crm.link("contact", contact)] = True
        yield Statement(f"deal:{deal}", f"{one.key}/lead", one.at, one.order, crm_events.UPDATED, links)


def _outbound(request: Request, source: Source) -> list[Statement | Ignored | Wanted]:
    organization, notifications = notifications_of(request.body)
    expected = source.mapping["organization"]
    if expected and organization[:15] != expected[:15]:
        return [Ignored("OrganizationId is not the one that the mapping names")]
    parts: list[Statement | Ignored | Wanted] = []
    for one in notifications:
        sort = source.mapping["objects"].get(one.entity)
        if sort is None:
            parts.append(Ignored(f"{shown(one.entity)} is not among the mapping's objects"))
            continue
        identity = long_id(identifier(one.fields.get("Id"), f"{one.entity} Id"))
        wanted = crm.mapped(source.mapping, sort) | {*_CONVERTED}
        fields = {name: long_id(value) for name, value in one.fields.items() if name in wanted}
        key, record = f"notification/{one.identity}", f"{sort}:{identity}"
        moment = one.fields.get("SystemModstamp") or one.fields.get("LastModifiedDate")
        if at := instant(moment, "LastModifiedDate"):
            parts += _with_conversion(Statement(record, key, at, "", crm_events.SNAPSHOT, fields))
        else:
            parts.append(_undated(record, key, sort, fields, source))
    return parts


def _queried(record: Mapping[str, Any], source: Source) -> Statement | Ignored:
    """Return what a record of a query's answer states: how it is as a whole."""
    entity = identifier(dig(record, "attributes.type"), "attributes.type")
    sort = source.mapping["objects"].get(entity)
    if sort is None:
        return Ignored(f"{entity} is not among the mapping's objects")
    name = f"{sort}:{long_id(identifier(record.get('Id'), f'{entity} Id'))}"
    wanted = crm.mapped(source.mapping, sort) | {*_CONVERTED}
    fields = {field: long_id(value) for field, value in _flat(record) if field in wanted}
    moment = record.get("SystemModstamp") or record.get("LastModifiedDate")
    if at := instant(moment, "SystemModstamp"):
        return Statement(name, f"query/{name}/{at}", at, "", crm_events.SNAPSHOT, fields)
    content = hashlib.sha256(repr(sorted(fields.items(), key=str)).encode(errors="replace")).hexdigest()
    return _undated(name, f"query/{name}/{content[:16]}", sort, fields, source)


def _undated(record: str, key: str, sort: str, fields: dict[str, Any], source: Source) -> Statement:
    """State what a message says that does not say when: of the creation what it can, of all else that it has to be sent again.

    Neither the time at which it came nor that at which it came again is a time of the business.
    """
    names = source.mapping["fields"][sort]
    created = instant(fields.get(names["created"]), names["created"]) if names["created"] else None
    kept = {names[one] for one in crm.TIMELESS if names.get(one)}
    stated = {name: value for name, value in fields.items() if name in kept} if created else {}
    return Statement(record, key, created or crm.NEVER, "", crm_events.UNDATED, stated)


def translate(record: str, statements: Sequence[Statement], source: Source) -> list[Draft | Waiting]:
    """Return the events of a record; conversion qualifies a lead, if no status has done so before."""
    sort, _, identity = record.partition(":")
    out = crm_events.translate(sort, identity, statements, source.mapping)
    converted = next((one for one in statements if one.fields.get("IsConverted") in (True, "true")), None)
    sql = any(isinstance(one, Draft) and one.key == "qualified/sql" for one in out)
    if sort == "lead" and converted and not sql:
        data = {"lead_id": identity, "level": "sql"}
        out.append(Draft("qualified/sql", "lead.qualified", converted.at, data))
    return [_of_users(one) if sort in _PEOPLE and isinstance(one, Draft) else one for one in out]


def _of_users(draft: Draft) -> Draft:
    """Keep of an activity or case the ids that are of what they should be: cases may be a queue's."""
    kept = {name: value for name, value in draft.data.items() if str(value).startswith(_KEYS_OF.get(name, ""))}
    return draft._replace(data=kept)


def unsaid(record: str, statements: Sequence[Statement], source: Source) -> str:
    """Say why a record gives no event."""
    return crm_events.unsaid(record.partition(":")[0], statements, source.mapping)


KIND = Kind(
    name="salesforce",
    about="Salesforce: Change Data Capture through a bridge, and outbound messages",
    check_mapping=check_mapping,
    verify=verify,
    read=read,
    translate=translate,
    unsaid=unsaid,
    sign=sign,
    screened=screened,
    reply=reply,
)
