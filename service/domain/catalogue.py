"""The closed catalogue of event types (SPEC section 1), as data: validation, OpenAPI and the docs are made from it.

`CATALOGUE[type]` names each field of `data` and its kind. A kind knows how to say what it expects and how to check it.
Unknown fields are kept and never refused. An optional field that is absent, null or an empty text states nothing, of whatever
kind it is.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Iterator, Mapping
from decimal import Decimal
from types import MappingProxyType
from typing import Any, NamedTuple

from service.domain import definitions as defined
from service.domain.attribution import models
from service.domain.fields import (
    BOOL,
    COUNT,
    CURRENCY,
    DATE,
    ID,
    IDS,
    MONEY,
    MONEY_ABOVE_0,
    NUMBER,
    NUMBER_0,
    NUMBER_OR_TEXT,
    OBJECT,
    RATE,
    SCORE,
    SHARE,
    TEXT,
    TEXTS,
    UTM,
    WHOLE,
    Kind,
    one_of,
)


class Problem(NamedTuple):
    """What is wrong with one field: where it is, what was expected, what came."""

    field: str
    expected: str
    got: str

    def as_dict(self) -> dict[str, str]:
        """Return the problem as JSON members."""
        return self._asdict()


class EventType(NamedTuple):
    """The fields of one event type; of each group in `any_of` at least one field must be stated.

    `agrees` is asked where every field is good: it returns a field that does not go with the others, and what would.

    `sealed` are the fields that say more of a person than any figure needs: what is made of one stays open, and the field itself
    is encrypted (`personal`). All others are open, and what is not in the catalogue is sealed.
    """

    required: dict[str, Kind]
    optional: dict[str, Kind]
    any_of: tuple[str, ...] = ()
    nullable: tuple[str, ...] = ()
    agrees: Callable[[Mapping[str, Any]], tuple[str, str] | None] | None = None
    sealed: Mapping[str, Callable[[Any], Any]] = MappingProxyType({})


GONE = {"erased": True}  # what stands in the place of what was erased: an exported log is taken in again


def nothing(_: Any) -> None:
    """Keep nothing of a field open."""


def some(addresses: Any) -> bool:
    """Keep open whether there is any address."""
    return addresses if type(addresses) is bool else not all(map(states_nothing, addresses))


def networks(handles: Any) -> list[str]:
    """Keep open the networks that a person has a handle of."""
    if type(handles) is list or handles == GONE:
        return [*handles] if type(handles) is list else []
    return sorted(name for name, handle in handles.items() if not states_nothing(handle))


def states_nothing(value: Any) -> bool:
    """Tell whether an optional field of this value states nothing: forms send an empty text for what they have not."""
    return value is None or value == ""


_REASON = {"reason": nothing}

_CAMPAIGN = {
    "campaign_type": TEXT, "channel": TEXT, "parent_id": ID, "start_date": DATE, "end_date": DATE,
    "expected_revenue": MONEY, "target_audience_size": COUNT,
}  # fmt: skip
_LEAD = EventType({"lead_id": ID}, {"reason": TEXT}, sealed=_REASON)
_LEAD_STEP = EventType({"lead_id": ID}, {"owner_id": ID, "reason": TEXT}, sealed=_REASON)
_MERGE = EventType({"survivor_id": ID, "merged_id": ID}, {})
_OUTCOME = EventType({"opportunity_id": ID}, {"value": MONEY, "reason": TEXT})
_QUOTE_STEP = EventType({"quote_id": ID, "opportunity_id": ID}, {"value": MONEY})
_CONTACT_LINK = EventType({"opportunity_id": ID, "contact_id": ID}, {"role": TEXT}, sealed={"role": nothing})
_ACCOUNT_STEP = EventType({"account_id": ID}, {"amount": MONEY})
_CASE_STEP = EventType({"case_id": ID}, {"agent_id": ID, "account_id": ID})

CATALOGUE: dict[str, EventType] = {
    "campaign.cost_booked": EventType(
        {"cost_entry_id": ID, "campaign_id": ID, "amount": MONEY_ABOVE_0, "cost_date": DATE},
        {"category": TEXT, "activity_id": ID, "supplier_ref": TEXT},
    ),
    "lead.captured": EventType(
        {"lead_id": ID},
        {
            "campaign_id": ID,
            "channel": TEXT,
            "source": TEXT,
            "medium": TEXT,
            "utm": UTM,
            "lead_magnet": TEXT,
            "contact_id": ID,
            "account_id": ID,
            "owner_id": ID,
            "criteria": defined.CRITERIA,
        },
    ),
    "lead.qualified": EventType(
        {"lead_id": ID},
        {"level": one_of("mql", "sal", "sql"), "score": NUMBER, "owner_id": ID, "criteria": defined.CRITERIA},
    ),
    "opportunity.opened": EventType(
        {"opportunity_id": ID},
        {
            "name": TEXT,
            "lead_ids": IDS,
            "contact_ids": IDS,
            "account_id": ID,
            "campaign_id": ID,
            "estimated_value": MONEY,
            "probability": SHARE,
            "expected_close": DATE,
            "stage": TEXT,
            "owner_id": ID,
            "team": TEXT,
            "region": TEXT,
        },
        sealed={"name": nothing},
    ),
    "quote.accepted": EventType({"quote_id": ID, "opportunity_id": ID}, {"value": MONEY, "revision": NUMBER_OR_TEXT}),
    "order.placed": EventType(
        {"order_id": ID, "net_value": MONEY},
        {
            "opportunity_id": ID,
            "quote_id": ID,
            "account_id": ID,
            "campaign_id": ID,
            "cogs": MONEY,
            "new_customer": BOOL,
        },
    ),
    "invoice.posted": EventType(
        {"invoice_id": ID, "net_amount": MONEY, "posting_date": DATE},
        {"order_id": ID, "account_id": ID, "tax": MONEY, "cogs": MONEY, "due_date": DATE},
    ),
    "campaign.registered": EventType({"campaign_id": ID, "name": TEXT}, _CAMPAIGN),
    "campaign.updated": EventType({"campaign_id": ID}, {"name": TEXT, **_CAMPAIGN}),
    "campaign.budget_set": EventType({"campaign_id": ID, "amount": MONEY}, {"period": TEXT}),
    "campaign.cost_reversed": EventType({"cost_entry_id": ID}, {"amount": MONEY, "cost_date": DATE, "reason": TEXT}),
    "campaign.messages_sent": EventType({"campaign_id": ID, "count": COUNT}, {"channel": TEXT}),
    "touchpoint.recorded": EventType(
        {"touchpoint_id": ID, "campaign_id": ID, "activity_type": TEXT},
        {
            "contact_id": ID,
            "lead_id": ID,
            "channel": TEXT,
            "interaction": one_of("view", "click", "response", "offline"),
        },
        any_of=("contact_id", "lead_id"),
    ),
    "touchpoint.suppressed": EventType({"touchpoint_id": ID}, {"reason": TEXT}),
    "lead.campaign_reassigned": EventType(
        {"lead_id": ID, "campaign_id": ID}, {"reason": TEXT}, nullable=("campaign_id",), sealed=_REASON
    ),
    "lead.handed_over": _LEAD_STEP,
    "lead.accepted": _LEAD_STEP,
    "lead.rejected": EventType({"lead_id": ID}, {"owner_id": ID, "reason": TEXT}),  # leads are counted by the reason
    "lead.followed_up": _LEAD_STEP,
    "lead.disqualified": _LEAD,
    "lead.reopened": _LEAD,
    "lead.merged": _MERGE,
    "contact.merged": _MERGE,
    "account.merged": _MERGE,
    "contact.registered": EventType(
        {"contact_id": ID},
        {"account_id": ID, "emails": TEXTS, "phones": TEXTS, "handles": OBJECT},
        sealed={"emails": some, "phones": some, "handles": networks},
    ),
    "contact.consent_changed": EventType({"contact_id": ID, "channel": TEXT, "granted": BOOL}, {}),
    "opportunity.stage_changed": EventType({"opportunity_id": ID, "stage": TEXT}, {}),
    "opportunity.value_changed": EventType(
        {"opportunity_id": ID, "estimated_value": MONEY}, {"probability": SHARE, "expected_close": DATE}
    ),
    "opportunity.contact_linked": _CONTACT_LINK,
    "opportunity.contact_unlinked": _CONTACT_LINK,
    "opportunity.won": _OUTCOME,
    "opportunity.lost": _OUTCOME,
    "opportunity.reopened": _OUTCOME,
    "quote.sent": _QUOTE_STEP,
    "quote.rejected": _QUOTE_STEP,
    "quote.expired": _QUOTE_STEP,
    "order.amended": EventType({"order_id": ID, "net_value": MONEY}, {"cogs": MONEY, "reason": TEXT}),
    "order.cancelled": EventType({"order_id": ID}, {"reason": TEXT}),
    "invoice.credited": EventType(
        {"credit_note_id": ID, "invoice_id": ID, "net_amount": MONEY_ABOVE_0, "posting_date": DATE},
        {"cogs": MONEY, "reason": TEXT},
    ),
    "invoice.cancelled": EventType({"invoice_id": ID}, {"reason": TEXT}),
    "payment.received": EventType({"payment_id": ID, "invoice_id": ID, "amount": MONEY}, {}),
    "call.completed": EventType(
        {"call_id": ID, "rep_id": ID, "duration_s": NUMBER_0, "outcome": one_of("answered", "missed", "voicemail")},
        {"lead_id": ID, "contact_id": ID, "opportunity_id": ID, "advanced": BOOL},
    ),
    "activity.completed": EventType(
        {"activity_id": ID, "rep_id": ID, "activity": one_of("email", "meeting", "demo", "visit", "other")},
        {"lead_id": ID, "contact_id": ID, "opportunity_id": ID, "duration_s": NUMBER_0},
    ),
    "case.opened": _CASE_STEP,
    "case.resolved": _CASE_STEP,
    "csat.recorded": EventType({"case_id": ID, "score": SCORE}, {}),
    "account.churned": _ACCOUNT_STEP,
    "account.renewed": _ACCOUNT_STEP,
    "fx.rate_published": EventType(
        {"base": CURRENCY, "quote": CURRENCY, "rate": RATE, "rate_date": DATE}, {"provider": TEXT}
    ),
    "attribution.model_published": EventType(
        {"model_id": ID, "version": NUMBER_OR_TEXT, "definition": models.DEFINITION},
        {"official": BOOL},
        agrees=models.check,
    ),
    "stage.defined": EventType({"stage": TEXT}, {"probability": SHARE, "order": WHOLE}),
    "target.set": EventType(
        {"measure": defined.MEASURE, "period": defined.PERIOD, "value": defined.TARGET_VALUE},
        {"campaign_id": ID, "campaign_type": TEXT, "channel": TEXT, "owner_id": ID, "team": TEXT},
        agrees=defined.check_target,
    ),
    "sla.defined": EventType(
        {"sla_id": ID, "from_event": defined.START, "to_event": defined.END, "within_hours": NUMBER_0},
        {"segment": TEXT, "where": defined.WHERE, "hours": defined.HOURS, "holidays": defined.DAYS},
        agrees=defined.check_sla,
    ),
    "subject.erased": EventType({"subject_id": ID}, {"legal_basis": TEXT}),
    "event.voided": EventType({"source": TEXT, "id": ID}, {"reason": TEXT}),
}

CORE_TYPES = (
    "campaign.cost_booked", "lead.captured", "lead.qualified", "opportunity.opened", "quote.accepted", "order.placed",
    "invoice.posted",
)  # fmt: skip


def shown(value: Any) -> str:
    """Show a refused value shortly, so that its sender finds it again."""
    text = value if isinstance(value, str) else "".join(itertools.islice(_written(value), 81))
    return text if len(text) <= 80 else text[:77] + "..."  # noqa: PLR2004


def _written(value: Any) -> Iterator[str]:
    """Yield JSON as its sender may have written it, no further than it is asked for: numbers with all of their digits."""
    if isinstance(value, dict):
        yield "{"
        for number, (name, one) in enumerate(value.items()):
            yield ", " if number else ""
            yield json.dumps(name, ensure_ascii=False) + ": "
            yield from _written(one)
        yield "}"
    elif isinstance(value, list | tuple):
        yield "["
        for number, one in enumerate(value):
            yield ", " if number else ""
            yield from _written(one)
        yield "]"
    elif isinstance(value, Decimal):
        yield str(value)
    else:
        yield json.dumps(value, ensure_ascii=False, default=str)


_FIELDS = {name: {**entry.required, **entry.optional} for name, entry in CATALOGUE.items()}
_REQUIRED = {name: frozenset(entry.required) for name, entry in CATALOGUE.items()}


def check_data(event_type: str, data: Mapping[str, Any]) -> Iterator[Problem]:
    """Yield every problem of `data` against the catalogue entry of a known `event_type`."""
    problems = list(_field_problems(event_type, data))
    yield from problems
    agrees = CATALOGUE[event_type].agrees
    if agrees and not problems and (wrong := agrees(data)):
        field, expected = wrong
        yield Problem(f"data.{field}", expected, _shown_at(data, field))


def _shown_at(data: Any, path: str) -> str:
    """Show what there is at a path of names with points; a name may have some itself."""
    while path:
        if not isinstance(data, Mapping):
            return "nothing"
        name = path if path in data else path.partition(".")[0]
        data, path = data.get(name), path[len(name) + 1 :]
    return "nothing" if data is None else shown(data)


def _field_problems(event_type: str, data: Mapping[str, Any]) -> Iterator[Problem]:
    entry, fields = CATALOGUE[event_type], _FIELDS[event_type]
    for name in _REQUIRED[event_type] - data.keys():
        yield Problem(f"data.{name}", f"{_expected(fields[name])} (required for {event_type})", "nothing")
    for name, value in data.items():
        kind = fields.get(name)
        if kind is None:
            continue
        if name in entry.optional and (states_nothing(value) or (name in entry.sealed and value == GONE)):
            continue
        if value is None:
            if name not in entry.nullable:
                yield Problem(f"data.{name}", f"{_expected(kind)} (required for {event_type})", "null")
        elif (expected := kind.check(value)) is not None:
            yield Problem(f"data.{name}", expected, shown(value))
    if entry.any_of and all(states_nothing(data.get(name)) for name in entry.any_of):
        yield Problem("data", f"one of {', '.join(entry.any_of)}", "none of them")


def _expected(kind: Kind) -> str:
    return kind.check(None) or "a value"
