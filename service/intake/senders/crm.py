"""What CRMs have in common: a mapping from their fields and statuses to ours, and how a record stood at each instant.

For `hubspot` and `salesforce`; `crm_events` makes events of what stands here. Each record is of one sort: lead, deal, quote,
order, invoice, credit_note, payment, campaign, member (a lead's or contact's membership in a campaign), contact_role (of a
deal), call, email, meeting, task (which says itself what it is), case or stage. The mapping:

    currency     what amounts are in whose record names no currency; without it they wait
    time_zone    in which an instant's calendar day is meant
    objects      the sender's name of a sort of record → our sort
    fields       per sort: our name → the sender's field ("" = there is none)
    events       per sort: a status of the sender → event type, or a list of them ("lead.qualified:mql" names the level)
    activities   what a task is by its kind: call, email, meeting, demo, visit, other
    outcomes     what came of a call, by the sender's word: answered, missed, voicemail
    touches      fields of a lead that have the time of a touch → what it was: see `crm_touches`
    campaigns    the sender's name or id of a campaign → campaign_id; what is not listed stands as it is
    on_delete    per sort: whether what a deleted record has given is withdrawn, or kept and listed
    probability_of  what a certain deal's probability is: 1 or 100
    blanks       what stands where no campaign, channel or source is stated
    amounts_include_tax  whether the tax of an order or invoice has to be taken off its amount; unknown tax is waited for
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Any, NamedTuple

from service.domain.calendar import parse_instant
from service.domain.catalogue import shown
from service.intake.blanks import BLANKS
from service.intake.senders import fields as read
from service.intake.senders.contract import MalformedError, Statement, states
from service.intake.senders.mappings import check_campaigns, check_zone

NEVER = "1970-01-01T00:00:00Z"  # the time of a statement that says nothing but that something is not known
# What is so from the creation on, whenever a message says it; statuses and amounts are so from some moment on.
TIMELESS = (
    "created", "campaign", "channel", "source", "owner", "account", "contact", "name", "type", "parent", "start", "end",
    "opportunity", "quote", "order", "invoice", "lead", "currency",
)  # fmt: skip
WITHDRAW, KEEP = "withdraw", "keep"
CREATION = "no message has stated when it was created: what happens first is waited for"
_OPEN, _ORDER = ("opportunity.opened", "opportunity.won", "opportunity.lost"), ("order.placed", "order.cancelled")
_LEVELS = ("mql", "sal", "sql")
ACTIVITIES = ("call", "email", "meeting", "demo", "visit", "other")
OUTCOMES = ("answered", "missed", "voicemail")
INTERACTIONS = ("view", "click", "response", "offline")

# Which events a status may give, per sort.
GIVES: dict[str, tuple[str, ...]] = {
    "lead": (
        "lead.captured", "lead.qualified", *(f"lead.qualified:{level}" for level in _LEVELS), "lead.handed_over",
        "lead.accepted", "lead.rejected", "lead.followed_up", "lead.disqualified", "lead.reopened",
    ),
    "deal": (*_OPEN, "quote.accepted", *_ORDER),
    "quote": ("quote.sent", "quote.accepted", "quote.rejected", "quote.expired"),
    "order": _ORDER,
    "invoice": ("invoice.posted", "invoice.cancelled"),
    "credit_note": ("invoice.credited", "invoice.cancelled"),
    "payment": ("payment.received", "payment.received:back"),
    "campaign": (),
    "member": (),
    "contact_role": (),
    **dict.fromkeys(("call", "email", "meeting", "task"), ("activity.completed",)),
    "case": ("case.resolved",),
    "stage": (),
}  # fmt: skip

_ACTIVITY = (
    "created",
    "status",
    "kind",
    "at",
    "owner",
    "lead",
    "contact",
    "opportunity",
    "outcome",
    "seconds",
    "minutes",
    "milliseconds",
)
# Our names of fields, per sort; a kind gives each its default.
FIELDS: dict[str, tuple[str, ...]] = {
    "lead": ("created", "status", "campaign", "channel", "source", "owner", "account", "contact"),
    "deal": (
        "created", "status", "amount", "currency", "campaign", "account", "owner", "probability", "close", "closed",
        "won", "lost", "reason", "name", "team", "region",
    ),
    "quote": ("created", "status", "amount", "currency", "opportunity"),
    "order": (
        "created", "status", "placed_at", "amount", "currency", "tax", "opportunity", "quote", "account", "campaign",
        "reduces",
    ),
    "invoice": ("created", "status", "amount", "currency", "tax", "posting", "due", "order", "account"),
    "credit_note": ("created", "status", "amount", "currency", "posting", "invoice", "reason"),
    "payment": ("created", "status", "at", "amount", "refunded", "currency", "invoice"),
    **dict.fromkeys(("call", "email", "meeting", "task"), _ACTIVITY),
    "case": ("created", "status", "closed", "closed_at", "owner", "account", "score"),
    "stage": ("created", "name", "rank", "probability"),
    "campaign": (
        "created", "name", "type", "channel", "parent", "start", "end", "currency", "expected", "budget", "cost",
    ),
    "member": ("created", "campaign", "lead", "contact", "activity", "responded"),
    "contact_role": ("created", "opportunity", "contact", "role"),
}  # fmt: skip

_WORDS = ("campaign", "parent", "channel", "source")  # where some systems write a word for nothing

# Where no field names it, a link to another record does.
_LINKED = {"opportunity": "deal", "quote": "quote", "order": "order", "invoice": "invoice"}


class View(NamedTuple):
    """How a record stood from an instant on, by our names; what is not known is None. `number` counts from 0."""

    number: int
    at: str
    values: Mapping[str, Any]


def defaults(
    fields: Mapping[str, Mapping[str, str]], events: Mapping[str, Mapping[str, Any]], **more: Any
) -> dict[str, Any]:
    """Return the default mapping of a kind."""
    return {
        "currency": None,
        "time_zone": "UTC",
        "probability_of": 100,
        "amounts_include_tax": False,
        "campaigns": {},
        "touches": {},
        "activities": {},
        "outcomes": {},
        "blanks": list(BLANKS),
        "on_delete": dict.fromkeys(GIVES, WITHDRAW) | {"lead": KEEP, "campaign": KEEP},
        "fields": {
            sort: {name: fields.get(sort, {}).get(name, "") for name in names} for sort, names in FIELDS.items()
        },
        "events": {sort: dict(events.get(sort, {})) for sort in GIVES},
        **more,
    }


def check(mapping: Mapping[str, Any], default: Mapping[str, Any]) -> dict[str, Any]:
    """Return a mapping with its defaults; ValueError names the key that is wrong, and what is expected."""
    tables = (
        "objects",
        "campaigns",
        "touches",
        "associations",
        "activities",
        "outcomes",
        *(f"events.{sort}" for sort in GIVES),
    )
    checked = read.with_defaults(mapping, default, tables)
    checked["campaigns"] = {str(name): ours for name, ours in checked["campaigns"].items()}
    for sort, table in checked["events"].items():  # YAML makes numbers of statuses that are digits
        checked["events"][sort] = {str(status): types for status, types in table.items()}
    checked["blanks"] = read.blanks(checked["blanks"])
    check_zone(checked, "time_zone")
    try:
        checked["currency"] = checked["currency"] and read.currency(checked["currency"], "currency")
    except MalformedError as error:
        raise ValueError(str(error)) from None
    if checked["probability_of"] < 1:
        raise ValueError(f"probability_of: expected 1 or 100, got {checked['probability_of']}")
    for name, sort in checked["objects"].items():
        _one_of(sort, GIVES, f"objects.{name}")
    check_campaigns(checked)
    for key, known in (("activities", ACTIVITIES), ("outcomes", OUTCOMES)):
        for name, ours in checked[key].items():
            _one_of(ours, known, f"{key}.{name}")
    for name, rule in checked["touches"].items():
        _check_touch(rule, f"touches.{name}")
    for sort, what in checked["on_delete"].items():
        _one_of(what, (WITHDRAW, KEEP), f"on_delete.{sort}")
    for sort, table in checked["events"].items():
        for status, types in table.items():
            for one in types if isinstance(types, list) else [types]:
                _one_of(one, GIVES[sort], f"events.{sort}.{status}")
    return checked


def _check_touch(rule: Any, key: str) -> None:
    names = ("campaign", "activity", "interaction")
    if (
        not isinstance(rule, Mapping)
        or {*rule} != {*names}
        or not all(isinstance(one, str) and one for one in rule.values())
    ):
        raise ValueError(f"{key}: expected {', '.join(names)}, each a text, got {shown(rule)}")
    _one_of(rule["interaction"], INTERACTIONS, f"{key}.interaction")


def _one_of(value: Any, known: Iterable[str], key: str) -> None:
    if not isinstance(value, str) or value not in known:
        raise ValueError(f"{key}: expected one of {', '.join(known) or 'nothing'}, got {shown(value)}")


def mapped(mapping: Mapping[str, Any], sort: str) -> set[str]:
    """Return the sender's fields that a sort of record is read from: others need not be kept."""
    fields = {field for field in mapping["fields"][sort].values() if field}
    return fields.union(*((at, rule["campaign"]) for at, rule in _touches(sort, mapping)))


def _touches(sort: str, mapping: Mapping[str, Any]) -> Iterable[tuple[str, Mapping[str, str]]]:
    return mapping["touches"].items() if sort == "lead" else ()


def views(sort: str, statements: Iterable[Statement], mapping: Mapping[str, Any]) -> list[View]:
    """Return how a record stood, instant by instant: what was stated of one instant counts together."""
    stood: list[tuple[str, dict[str, Any]]] = []
    for one, state in states(statements):
        if stood and parse_instant(stood[-1][0]) == parse_instant(one.at):
            stood[-1] = (stood[-1][0], state)
        else:
            stood.append((one.at, state))
    return [View(number, at, _values(sort, state, mapping)) for number, (at, state) in enumerate(stood)]


def link(sort: str, identity: str) -> str:
    """Return the name under which a statement says that a record is linked (true) or no longer (false)."""
    return f"→{sort}/{identity}"


def links(state: Mapping[str, Any], sort: str) -> list[str]:
    """Return the ids of the linked records of a sort, sorted."""
    start = link(sort, "")
    return sorted(name.removeprefix(start) for name, true in state.items() if true is True and name.startswith(start))


def _values(sort: str, state: Mapping[str, Any], mapping: Mapping[str, Any]) -> dict[str, Any]:
    fields: Mapping[str, str] = mapping["fields"][sort]
    values = {name: _read(name, state, fields, mapping) if field else None for name, field in fields.items()}
    for name, other in _LINKED.items():
        if name in values and values[name] is None:
            values[name] = next(iter(links(state, other)), None)
    for name in _WORDS:
        if name in values:
            values[name] = read.unless_blank(values[name], mapping)
    for name in ("campaign", "parent"):
        if values.get(name) is not None:
            values[name] = mapping["campaigns"].get(values[name], values[name])
    if sort == "invoice" and values["order"] is None and gives("deal", "order.placed", mapping):
        values["order"] = next(iter(links(state, "deal")), None)
    if mapping["amounts_include_tax"] and sort in ("order", "invoice") and values["amount"]:
        values["amount"] = values["tax"] and read.difference(values["amount"], values["tax"])
    values["unpriced"] = not _currency(state, fields, mapping) and any(
        state.get(field) not in (None, "") for name, field in fields.items() if field and name in _MONEY
    )
    values["leads"], values["contacts"] = links(state, "lead"), links(state, "contact")
    values["touches"] = {
        at: (
            _instant(state.get(at), at, mapping["time_zone"]),
            mapping["campaigns"].get(read.text(state.get(name), name)),
        )
        for at, rule in _touches(sort, mapping)
        if (name := rule["campaign"])
    }
    return values


def _read(name: str, state: Mapping[str, Any], fields: Mapping[str, str], mapping: Mapping[str, Any]) -> Any:
    field = fields[name]
    raw = state.get(field)
    if name in _MONEY:
        code = _currency(state, fields, mapping)
        return read.money(raw, code, field) if code else None
    if name == "probability":
        share = read.number(raw, field)
        share = None if share is None else share / mapping["probability_of"]
        return share if share is not None and 0 <= share <= 1 else None
    if name in _NUMBERS:
        return read.number(raw, field)
    reader: Callable[[Any, str, str], Any] = _READERS.get(name, _text)
    return reader(raw, field, mapping["time_zone"])


def readable(field: str, raw: Any, sort: str, mapping: Mapping[str, Any]) -> bool:
    """Whether anything can be made of what the sender's field of a sort of record holds."""
    try:
        for name, other in mapping["fields"][sort].items():
            if other == field and name in _MONEY:
                read.number(raw, field)
            elif other == field:
                _read(name, {field: raw}, {name: field}, mapping)
    except MalformedError:
        return False
    return True


def _currency(state: Mapping[str, Any], fields: Mapping[str, str], mapping: Mapping[str, Any]) -> Any:
    return state.get(fields.get("currency") or "") or mapping["currency"]


def _text(raw: Any, field: str, _: str) -> str | None:
    return read.text(raw, field)


def _flag(raw: Any, field: str, _: str) -> bool | None:
    return {"true": True, "false": False}.get((read.text(raw, field) or "").lower())


def _instant(raw: Any, field: str, zone: str) -> str | None:
    return read.from_epoch(raw, field) if _is_epoch(raw) else read.instant(raw, field, zone)


def _day(raw: Any, field: str, zone: str) -> str | None:
    if not _is_epoch(raw):
        return read.day(raw, field, zone)
    moment = read.from_epoch(raw, field) or ""
    # Both systems write a date as milliseconds of its midnight in UTC, whatever the site's time zone is.
    return moment[:10] if moment.endswith("T00:00:00Z") else read.day(moment, field, zone)


def _is_epoch(raw: Any) -> bool:
    """Whether a time is counted in milliseconds."""
    if isinstance(raw, int | Decimal):
        return not isinstance(raw, bool)
    return isinstance(raw, str) and raw.isascii() and raw.isdigit() and len(raw) > 8  # noqa: PLR2004  more than YYYYMMDD


_NUMBERS = ("seconds", "minutes", "milliseconds", "rank", "score")
_MONEY = ("amount", "refunded", "tax", "expected", "budget", "cost")
_READERS: dict[str, Callable[[Any, str, str], Any]] = (
    dict.fromkeys(("created", "placed_at", "at", "closed_at"), _instant)
    | dict.fromkeys(("close", "start", "end", "posting", "due"), _day)
    | dict.fromkeys(("closed", "won", "lost", "responded", "reduces"), _flag)
)


def moves(sort: str, seen: Sequence[View], mapping: Mapping[str, Any]) -> list[tuple[View, str]]:
    """Return the events that the record's statuses give, each where the record comes into the status."""
    table, before = mapping["events"][sort], None
    found: list[tuple[View, str]] = []
    for view in seen:
        status = view.values["status"]
        if status is not None and status != before:
            types = table.get(status, [])
            found.extend((view, one) for one in (types if isinstance(types, list) else [types]))
        before = status
    return found


def gives(sort: str, event: str, mapping: Mapping[str, Any]) -> bool:
    """Whether any status gives an event: if none does, the record's creation does."""
    return any(event == types or event in types for types in mapping["events"][sort].values())


def created(seen: Sequence[View]) -> str | None:
    """Return when a record was created: the earliest that was ever stated."""
    return min((one for view in seen if (one := view.values["created"])), key=parse_instant, default=None)


def first(seen: Sequence[View], name: str) -> Any:
    """Return the first value that was stated."""
    return next((view.values[name] for view in seen if view.values[name] is not None), None)


def local_day(at: str, mapping: Mapping[str, Any]) -> str:
    """Return the calendar day of an instant at the sender's site."""
    return read.day(at, "time", mapping["time_zone"]) or ""
