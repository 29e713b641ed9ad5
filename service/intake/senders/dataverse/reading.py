"""From a RemoteExecutionContext to statements."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

from service.domain.catalogue import shown
from service.intake.senders.contract import Ignored, MalformedError, Request, Source, Statement, Wanted
from service.intake.senders.dataverse.mapping import COMMON, MERGING
from service.intake.senders.fields import from_epoch, identifier, instant, json_of, list_of, object_of, padded, text
from service.intake.senders.ordering import BEFORE

SIZE_EXCEEDED = "x-ms-dynamics-msg-size-exceeded"
_AFTER = 40  # the stage "post-operation"; what comes before it may still be refused
_DATE = re.compile(r"/Date\((-?\d{1,15})(?:[+-]\d{4})?\)/", re.ASCII)
_NOBODY = "00000000-0000-0000-0000-000000000000"
_AUTOMATIC = "AsynchronousStepPrimaryName"  # the image that every asynchronous step has: id and name only
_TURN = {"Create": "0", "Delete": "2"}  # within one second, what is created comes first and what is deleted last

# Messages that close or reopen a record: the state that they lead to, and the parameter that says what about.
_CLOSINGS = {
    ("Win", "opportunity"): (1, "OpportunityClose"), ("Lose", "opportunity"): (2, "OpportunityClose"),
    ("Win", "quote"): (2, "QuoteClose"), ("Close", "quote"): (3, "QuoteClose"),
    ("Cancel", "salesorder"): (2, "OrderClose"), ("Fulfill", "salesorder"): (3, "OrderClose"),
    ("Close", "incident"): (1, "IncidentResolution"),
}  # fmt: skip
_KEPT_WHEN_DELETED = ("lead", "opportunity", "quote")
_VALUED = ("Create", "Update", "SetState", "SetStateDynamicEntity")  # say nothing without their parameters


def read(request: Request, source: Source) -> list[Statement | Ignored | Wanted]:
    """Return what one operation states about its record, completed by the images; QualifyLead also about what it made."""
    context = object_of(json_of(request.body), "body")
    message, table = (text(context.get(name), name) or "" for name in ("MessageName", "PrimaryEntityName"))
    if not (message and table):
        raise MalformedError(
            "MessageName and PrimaryEntityName: expected such as Create and lead, got nothing: is this from Dataverse?"
        )
    stage = context.get("Stage")
    if isinstance(stage, int) and stage < _AFTER:
        return [Ignored(f"stage {stage} comes before the operation has succeeded: register the step as PostOperation")]
    columns = source.mapping["columns"]
    if table not in columns and not (message == "Merge" and table in MERGING):
        return [Ignored(f"{shown(message)} of {shown(table)}: this table states nothing that is counted")]
    operation = _Operation(message, table, context, columns)
    if message in _VALUED and (SIZE_EXCEEDED in request.headers or context.get("InputParameters") is None):
        return [operation.states(None, {}, verb="truncated")]
    handler = (
        _closed if (message, table) in _CLOSINGS else _HANDLERS.get((message, table), _HANDLERS.get((message, "")))
    )
    if handler is None:
        return [
            Ignored(f"{shown(message)} of {table} states nothing that its Create, Update or state does not state too")
        ]
    return list(handler(operation)) or [Ignored(f"{message} of {table} names no record")]


class _Operation(NamedTuple):
    """One operation: a message about a table, and its context."""

    message: str
    table: str
    context: Mapping[str, Any]
    columns: Mapping[str, Mapping[str, str | None]]  # that are mapped, by table

    @property
    def parameters(self) -> dict[str, Any]:
        """The input parameters by name."""
        return _pairs(self.context.get("InputParameters") or [], "InputParameters")

    def part(self, name: str) -> dict[str, Any]:
        """Return a parameter that is an object; an empty one if it is not there."""
        return object_of(self.parameters.get(name) or {}, name)

    @property
    def time(self) -> str:
        """When the operation took place."""
        value = self.context.get("OperationCreatedOn")
        at = instant(_plain(value, "OperationCreatedOn"), "OperationCreatedOn")
        if at is None:
            raise MalformedError(
                f"OperationCreatedOn: expected a time such as /Date(1772442600000)/, got {shown(value)}"
            )
        return at

    def states(self, given: Any, fields: dict[str, Any], *, verb: str | None = None) -> Statement:
        """Return the statement about the record of id `given`, else the operation's own.

        Its columns stand over those of the images before and under those after, as far as they are mapped.
        """
        identity = _id(self.context.get("PrimaryEntityId") if given in (None, "", _NOBODY) else given)
        before, after = (_image(self.context, name, identity) for name in ("PreEntityImages", "PostEntityImages"))
        whole, now = {**before, **fields, **after}, {**fields, **after}
        at = instant(now.get("modifiedon"), "modifiedon") or self.time
        kept = {*self.columns.get(self.table, {}).values(), *COMMON}
        stated = {name: value for name, value in whole.items() if name in kept or name.startswith("@")}
        if self.message == "Create":
            stated["@since"] = at
        if told := {name: value for name, value in before.items() if name in kept}:
            stated[BEFORE] = told
        if verb is None and (self.message == "Create" or after):
            stated["@whole"] = True  # settles what a message that was too large has left open
        order = _TURN.get(self.message, "1") + padded(now.get("versionnumber"), "versionnumber")
        content = repr((order, sorted(whole.items()), *([sorted(before.items())] if before else [])))
        digest = hashlib.sha256(content.encode()).hexdigest()
        key = f"{at}/{self.message}/{digest[:24]}"
        return Statement(f"{self.table}:{identity}", key, at, order, verb or self.message.lower(), stated)


def _set(operation: _Operation) -> Iterator[Statement]:
    target = operation.part("Target")
    yield operation.states(target.get("Id"), _attributes(target))


def _set_several(operation: _Operation) -> Iterator[Statement]:
    one_by_one = operation._replace(message=operation.message.removesuffix("Multiple"))
    for one in list_of(operation.part("Targets").get("Entities"), "Targets.Entities"):
        target = object_of(one, "Targets.Entities")
        yield one_by_one.states(identifier(target.get("Id"), "Targets.Entities.Id"), _attributes(target))


def _deleted(operation: _Operation) -> Iterator[Statement | Ignored]:
    if operation.table in _KEPT_WHEN_DELETED:
        yield Ignored(f"a deleted {operation.table} keeps what it gave: it happened all the same")
    else:
        yield operation.states(operation.part("Target").get("Id"), {"@deleted": True})


def _state_set(operation: _Operation) -> Iterator[Statement]:
    state = _plain(operation.parameters.get("State"), "State")
    yield operation.states(operation.part("EntityMoniker").get("Id"), {"statecode": state, **_status(operation)})


def _closed(operation: _Operation) -> Iterator[Statement]:
    """Read a message that closes a record, by the activity that says so."""
    state, name = _CLOSINGS[operation.message, operation.table]
    closing = _attributes(operation.part(name))
    fields = {"statecode": state, **_status(operation)}
    revenue = operation.columns[operation.table].get("actual_value")
    if operation.message == "Win" and revenue and closing.get("actualrevenue") is not None:
        fields[revenue] = closing["actualrevenue"]
    reference = closing.get(f"{operation.table}id")
    yield operation.states(reference.get("id") if isinstance(reference, dict) else reference, fields)


def _qualified(operation: _Operation) -> Iterator[Statement]:
    """Read QualifyLead: the lead, and each opportunity that came of it."""
    lead = operation.states(operation.part("LeadId").get("Id"), {"statecode": 1, **_status(operation)})
    yield lead
    bare = {**operation.context, "PreEntityImages": [], "PostEntityImages": []}  # the images are those of the lead
    opportunity = operation._replace(table="opportunity", context=bare)
    columns, parameters = operation.columns["opportunity"], operation.parameters
    fields = {
        columns["lead"]: {"id": lead.record.partition(":")[2], "type": "lead"},
        columns["campaign"]: _plain(parameters.get("SourceCampaignId"), "SourceCampaignId"),
        "transactioncurrencyid": _plain(parameters.get("OpportunityCurrencyId"), "OpportunityCurrencyId"),
        "@since": operation.time,
    }
    known = {name: value for name, value in fields.items() if name and value is not None}
    made = _pairs(operation.context.get("OutputParameters") or [], "OutputParameters").get("CreatedEntities") or []
    several = made if isinstance(made, list) else object_of(made, "CreatedEntities").get("Entities")
    for one in list_of(several, "CreatedEntities"):
        reference = _plain(one, "CreatedEntities")
        if isinstance(reference, dict) and reference.get("type") == "opportunity":
            yield opportunity.states(reference["id"], known)


def _merged(operation: _Operation) -> Iterator[Statement]:
    merged = _id(operation.parameters.get("SubordinateId"))
    yield operation.states(operation.part("Target").get("Id"), {f"@merged/{merged}": operation.time})


Handler = Callable[[_Operation], Iterator[Statement | Ignored]]
_HANDLERS: dict[tuple[str, str], Handler] = {
    ("Create", ""): _set,
    ("Update", ""): _set,
    ("CreateMultiple", ""): _set_several,
    ("UpdateMultiple", ""): _set_several,
    ("Delete", ""): _deleted,
    ("SetState", ""): _state_set,
    ("SetStateDynamicEntity", ""): _state_set,
    ("QualifyLead", "lead"): _qualified,
    **{("Merge", table): _merged for table in MERGING},
}


def _image(context: Mapping[str, Any], name: str, identity: str) -> dict[str, Any]:
    """Return the columns of the images of a record; the one that every asynchronous step has is no image of one's own."""
    found: dict[str, Any] = {}
    for alias, image in sorted(_pairs(context.get(name) or [], name).items()):
        value = object_of(image, name)
        if alias != _AUTOMATIC and text(value.get("Id"), "Id") in (None, _NOBODY, identity):
            found |= _attributes(value)
    return found


def _pairs(value: Any, what: str) -> dict[str, Any]:
    """Return a list of {key, value} as an object."""
    several = [object_of(one, what) for one in list_of(value, what)]
    return {identifier(one.get("key"), f"key in {what}"): one.get("value") for one in several}


def _attributes(entity: Mapping[str, Any]) -> dict[str, Any]:
    pairs = _pairs(entity.get("Attributes") or [], "Attributes").items()
    return {name: _plain(value, name) for name, value in pairs if not name.startswith("@")}


def _plain(value: Any, what: str) -> Any:
    """Return a value without its type: amounts and options as numbers, references as {id, type, name}, times as RFC 3339."""
    if isinstance(value, str) and (match := _DATE.fullmatch(value)):
        return from_epoch(match[1], what)
    if isinstance(value, dict):
        if "Entities" in value:  # a list of parties, of which the first is whom it is about
            parties = list_of(value["Entities"] or [], what)
            return _attributes(object_of(parties[0], what)).get("partyid") if parties else None
        if "LogicalName" in value and "Attributes" not in value:
            identity = text(value.get("Id"), f"{what}.Id") or _NOBODY
            name, table = (text(value.get(one), f"{what}.{one}") for one in ("Name", "LogicalName"))
            return None if identity == _NOBODY else {"id": identity.lower(), "type": table, "name": name}
        inner = value.get("Value")
        return _plain(inner, what) if not isinstance(inner, list) else None
    return None if isinstance(value, list) else value


def _status(operation: _Operation) -> dict[str, Any]:
    status = _plain(operation.parameters.get("Status"), "Status")  # -1 asks for the default of the state
    return {"statuscode": status if isinstance(status, int) and status > 0 else None}


def _id(value: Any) -> str:
    identity = identifier(value, "id of the record").lower()
    if identity == _NOBODY:
        raise MalformedError(f"id of the record: expected the record's GUID, got {_NOBODY}")
    return identity
