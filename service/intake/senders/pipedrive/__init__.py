"""`pipedrive`: deals, leads, merged persons and organizations of Pipedrive, from its webhooks of version 2.

Facts, from Pipedrive's documentation (pipedrive.readme.io: "Guide for Webhooks v2", "Webhooks v2 migration guide"; its API):
- A message is {"meta", "data", "previous"}: `data` the whole record as of this change (null when it is deleted), `previous`
  what it was before, of the changed fields only (the last state of what is deleted). `meta` has action (create, change,
  delete), entity, entity_id, timestamp (milliseconds in RFC 3339), host, attempt (1 to 4), version "2.0".
- Merging two records sends a delete with `merged_to_id` and a change with `merged_from_id`.
- The only proof of the sender is HTTP Basic authentication, by the user and password that the webhook was made with.
- 2xx within 10 seconds is success; else it tries again after 3, 30 and 150 seconds. After ten first attempts that failed a
  webhook is banned for half an hour, whose messages are lost; after three days without success it is deleted.
- A deal has value, currency, stage_id, status (open, won, lost), add_time, won_time, lost_time, person_id, org_id. Amounts
  are JSON numbers. Custom fields stand under hashes in `custom_fields`, as {"type", "value"}, or {"type", "id"} for options.
- A lead of the leads inbox becomes a deal by being deleted, and the deal does not name it; its custom fields (which are
  those of deals), person and organization go along. So a person is what ties the two together.

A lead of the ledger is therefore a person (or a lead without one), captured when their first lead or deal was added.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

from service.domain.calendar import parse_instant
from service.domain.catalogue import shown
from service.intake.senders import crm, crm_events
from service.intake.senders.contract import (
    Draft,
    Ignored,
    Kind,
    MalformedError,
    Request,
    Source,
    Statement,
    Waiting,
)
from service.intake.senders.fields import from_epoch, identifier, instant, json_of, object_of, padded, text
from service.intake.senders.pipedrive import rules

_EVER = {"created": "add_time", "owner": "owner_id"}
DEFAULTS = crm.defaults(
    fields={
        "lead": {**_EVER, "source": "source_name", "account": "organization_id"},
        "deal": {
            **_EVER, "status": rules.PHASE, "amount": "value", "currency": "currency", "account": "org_id",
            "probability": "probability", "close": "expected_close_date", "reason": "lost_reason",
        },
    },
    events={"deal": {"won": "opportunity.won", "lost": "opportunity.lost"}},
    objects={"deal": "deal", "lead": "lead"},
    stages={},  # stage_id → the name by which `events` and reports know a stage
    host=None,  # whose messages count, such as northwind.pipedrive.com
    deals_qualify=True,  # a person with a deal is a qualified lead
    archived_disqualifies=True,  # a lead that is archived, and never became a deal, is disqualified
)  # fmt: skip
_VERSION = "expected a message of version 2.0 with meta, data and previous: is this from Pipedrive, and the webhook of version 2?"


def check_mapping(mapping: Mapping[str, Any]) -> dict[str, Any]:
    """Check fields, events and names of stages."""
    stages = mapping.get("stages", {}) if isinstance(mapping, Mapping) else {}
    if not isinstance(stages, Mapping) or not all(isinstance(one, str) and one for one in stages.values()):
        raise ValueError(f"stages: expected names by stage_id, got {shown(stages)}")
    rest = (
        {name: value for name, value in mapping.items() if name != "stages"}
        if isinstance(mapping, Mapping)
        else mapping
    )
    checked = crm.check(rest, DEFAULTS)
    for name, sort in checked["objects"].items():
        if (name, sort) not in (("deal", "deal"), ("lead", "lead")):
            raise ValueError(f"objects.{name}: expected deal: deal and lead: lead, or one of the two")
    return {**checked, "stages": {str(name): ours for name, ours in stages.items()}}


def read(request: Request, source: Source) -> list[Statement | Ignored]:
    """A deal states itself, and of its person that there is a deal; a lead states it of its person."""
    body = object_of(json_of(request.body), "body")
    meta = body.get("meta")
    if not isinstance(meta, dict) or not {"data", "previous"} & body.keys() or "action" not in meta:
        raise MalformedError(f"body: {_VERSION}")
    entity, action = str(meta.get("entity")), str(meta.get("action"))
    host = source.mapping["host"]
    if host and meta.get("host") != host:
        return [Ignored(f"of {shown(meta.get('host'))}, not of the host that the mapping names")]
    at = _time(meta.get("timestamp"))
    identity = identifier(meta.get("entity_id"), "meta.entity_id")
    if action == "delete" and meta.get("merged_to_id"):
        return _merged(entity, identity, identifier(meta["merged_to_id"], "meta.merged_to_id"), at, source)
    if entity not in source.mapping["objects"]:
        return [Ignored(f"{action}.{entity} states nothing for campaigns")]
    if action == "delete" and entity == "deal":
        return [Statement(f"deal:{identity}", f"deleted/{at}", at, "", crm_events.DELETED, {})]
    if action == "delete":
        return [Ignored("a lead that is deleted was a lead all the same: it may have become a deal")]
    if action not in ("create", "change"):
        raise MalformedError(f"meta.action: expected create, change or delete, got {shown(action)}")
    data = object_of(body.get("data"), "data")
    before = object_of(body.get("previous") or {}, "previous")
    return _deal(identity, data, at, source) if entity == "deal" else _lead(identity, data, before, at, source)


def _time(value: Any) -> str:
    """Return when something was changed; the documentation also tells of Unix seconds."""
    seconds = isinstance(value, int) or (isinstance(value, str) and value.isdigit())
    at = from_epoch(value, "meta.timestamp", unit=1) if seconds else instant(value, "meta.timestamp")
    if at is None:
        raise MalformedError("meta.timestamp: expected a time such as 2026-03-01T09:30:00.000Z, got nothing")
    return at


def _merged(entity: str, away: str, survivor: str, at: str, source: Source) -> list[Statement | Ignored]:
    sort = {"person": "lead", "organization": "account"}.get(entity, entity)
    if sort not in ("lead", "account", *source.mapping["objects"]):
        return [Ignored(f"merging one {shown(entity)} into another states nothing for campaigns")]
    fields = {"survivor": survivor}
    return [Statement(f"{sort}:{away}", f"merged/{survivor}", at, "", crm_events.MERGED, fields)]


def _kept(data: Mapping[str, Any], sort: str, source: Source) -> dict[str, Any]:
    """Return the mapped fields; of custom fields the value, or the number of the chosen option."""
    custom = object_of(data.get("custom_fields") or {}, "custom_fields")
    worth = data.get("value")
    if isinstance(worth, dict):  # of leads
        data = {**data, "value": worth.get("amount"), "currency": worth.get("currency")}
    found: dict[str, Any] = {}
    for name in sorted(crm.mapped(source.mapping, sort)):
        value = data.get(name) if name in data else custom.get(name)
        if isinstance(value, dict):
            value = value.get("value", value.get("id"))
        if name in data or name in custom:
            found[name] = value
    return found


def _statement(record: str, at: str, data: Mapping[str, Any], verb: str, fields: dict[str, Any]) -> Statement:
    """Return a statement whose key is its content: two webhooks may tell one change."""
    updated = instant(data.get("update_time"), "update_time")
    order = padded(parse_instant(updated).micros, "update_time") if updated else ""
    content = hashlib.sha256(repr((verb, sorted(fields.items(), key=repr))).encode(errors="replace")).hexdigest()
    return Statement(record, f"{at}/{content[:32]}", at, order, verb, fields)


def _deal(identity: str, data: Mapping[str, Any], at: str, source: Source) -> list[Statement | Ignored]:
    status, stage = text(data.get("status"), "status"), text(data.get("stage_id"), "stage_id") or ""
    phase = status if status in ("won", "lost") else source.mapping["stages"].get(stage, stage) or None
    person = rules.person_of(data)
    fields = {
        **_kept(data, "deal", source), rules.PHASE: phase, rules.PERSON: person,
        **{name: data.get(name) for name in ("won_time", "lost_time")},
    }  # fmt: skip
    # Its latest state says that it is there: a deal that was deleted, and is changed after that, has been restored.
    parts: list[Statement | Ignored] = [_statement(f"deal:{identity}", at, data, crm_events.RESTORED, fields)]
    if person and "lead" in source.mapping["objects"]:
        parts.append(_of_person(f"lead:{person}", identity, "deal", data, at, source))
    return parts


def _lead(
    identity: str, data: Mapping[str, Any], before: Mapping[str, Any], at: str, source: Source
) -> list[Statement | Ignored]:
    person = rules.person_of(data)
    parts: list[Statement | Ignored] = [_of_person(f"lead:{person or identity}", identity, "lead", data, at, source)]
    if person and "person_id" in before and before["person_id"] is None:
        fields = {"survivor": person}  # it was a lead without a person until now
        parts.append(Statement(f"lead:{identity}", f"merged/{person}", at, "", crm_events.MERGED, fields))
    return parts


def _of_person(
    record: str, identity: str, entity: str, data: Mapping[str, Any], at: str, source: Source
) -> Statement:  # fmt: skip
    """State of a person which lead or deal they have, and what it says of where they came from."""
    fields = _kept({"organization_id": data.get("org_id"), **data}, "lead", source)
    more = {
        "entity": entity,
        "id": identity,
        "contact": rules.person_of(data),
        "archived": data.get("is_archived") is True,
    }
    return _statement(record, at, data, rules.HAS, {**more, "fields": fields})


def translate(record: str, statements: Sequence[Statement], source: Source) -> list[Draft | Waiting]:
    """Return the events of a deal, a lead, or a merged organization."""
    sort, _, identity = record.partition(":")
    if sort == "deal":
        return rules.deal(identity, statements, source.mapping, source.known)
    return list({"lead": rules.lead}.get(sort, rules.account)(identity, statements, source.mapping))


def unsaid(record: str, statements: Sequence[Statement], source: Source) -> str:
    """Say why a deal or lead gives no event, and what would make it."""
    sort = record.partition(":")[0]
    return crm_events.unsaid("deal", statements, source.mapping) if sort == "deal" else f"the {sort} says nothing"


def _lookups(record: str, statements: Sequence[Statement], source: Source) -> list[str]:
    """Return the deals that a deal was merged into; merged organizations need nobody else."""
    return crm_events.lookups(record, statements, source) if record.startswith("deal:") else []


KIND = Kind(
    name="pipedrive",
    about="Pipedrive: deals, leads and their stages, from webhooks of version 2",
    check_mapping=check_mapping,
    read=read,
    translate=translate,
    lookups=_lookups,
    unsaid=unsaid,
    authentication={"scheme": "basic"},  # a secret of the source is "user:password"
)
