"""Why a figure is what it is: which postings add up to it, and what each event did, in words.

`why` is a pure function of the event that caused a posting and of what else that event posted about the same entity: an
amount that left one campaign and entered another in the same event was re-attributed, one that came alone was booked.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any, NamedTuple

from service.domain import details
from service.domain.contributions import DURATIONS, UNITS
from service.domain.details import Converted, Detail, Unconverted
from service.domain.kinds import KINDS, RULES
from service.domain.money import minor_of, parse_amount
from service.domain.reports.conversion import OUTCOMES
from service.domain.units import MONEY


class Line(NamedTuple):
    """One posting, as `why` sees it; `where` are its dimensions by name."""

    measure: str
    entity: str
    where: Mapping[str, str | None]
    day: date
    cohort: date
    amount: int
    value: int | None = None
    detail: str | None = None

    @property
    def said(self) -> Detail | None:
        """What it says beside its amount."""
        return details.read(self.measure, self.detail)


# What an event did that states something of its own entity, where its type does not end in that.
_DONE = {"campaign.cost_booked": "booked", "campaign.cost_reversed": "reversed", "campaign.budget_set": "set"}
_DEFINED = {"stage.defined": ("stage", "stage"), "sla.defined": ("agreement", "sla_id")}
# By kind of entity, the field by which an event names its own.
_OWN = {kind: field for rule in RULES.values() for field, kind in rule.ties[:1] if field != "survivor_id"}
_STATING = {"campaign.cost_booked", "order.placed", "invoice.posted", "invoice.credited", "campaign.budget_set"}


def _done(event_type: str) -> str:
    return _DONE.get(event_type) or event_type.partition(".")[2].replace("_", " ")


def split_entity(entity: str) -> tuple[str, str]:
    """Return (kind, id) of an entity as postings write it."""
    kind, _, identity = entity.partition(":")
    return kind, identity


def why(event_type: str, data: Mapping[str, Any], line: Line, others: Sequence[Line]) -> str:
    """Say why an event posted a line; `others` are the lines of the same event about the same entity, this one too."""
    base = _why(event_type, data, line, others)
    said = line.said
    if isinstance(said, Unconverted):
        return f"{base}: {_waiting(said, line.amount)}"
    if not isinstance(said, Converted) or base.startswith(("rate changed", "converted")):
        return base
    return f"{base}, converted at rate {said.rate} of {said.rate_day}"


def _waiting(said: Unconverted, amount: int) -> str:
    """Say what an amount without a rate waits for, or that it does no longer."""
    of = f"{said.measure} of {said.amount} {said.currency}"
    return f"{of} waits for a rate of {said.rate_day} or before" if amount > 0 else f"{of} waits for no rate any more"


def _why(event_type: str, data: Mapping[str, Any], line: Line, others: Sequence[Line]) -> str:
    alike = [one for one in others if one.measure == line.measure and one != line]
    opposite = next((one for one in alike if (one.amount > 0) != (line.amount > 0)), None)
    source, target = (line, opposite) if line.amount < 0 else (opposite, line)
    if event_type == "fx.rate_published":
        return _rated(line, opposite)
    if event_type in _DEFINED:
        return "defined"
    if event_type == "event.voided":
        return f"voided: {data.get('source')} {data.get('id')} counts as never sent"
    if source is None or target is None:
        return _alone(event_type, data, line, others)
    return _changed(event_type, data, source, target)


def _changed(event_type: str, data: Mapping[str, Any], source: Line, target: Line) -> str:
    """Explain what left one place and entered another in the same event."""
    old, new = source.where.get("campaign"), target.where.get("campaign")
    if old != new:
        return _moved(event_type, data, old, new)
    if (source.day, source.cohort) != (target.day, target.cohort):
        return f"restated: moved from {source.day} to {target.day}"
    return "restated" if source.where == target.where else f"restated: {_changed_dimensions(source, target)} changed"


def _changed_dimensions(source: Line, target: Line) -> str:
    return ", ".join(name for name, label in target.where.items() if source.where.get(name) != label)


def _rated(line: Line, opposite: Line | None) -> str:
    used = line.said
    if not isinstance(used, Converted):
        return "rate published"
    rate = f"rate {used.rate} of {used.rate_day}"
    if opposite is None:
        return f"converted at {rate}"
    return f"rate changed: now converted at {rate}" if line.amount * _sign(used) > 0 else f"rate changed: was {rate}"


def _sign(used: Converted) -> int:
    return -1 if used.amount.startswith("-") else 1


def _moved(event_type: str, data: Mapping[str, Any], old: str | None, new: str | None) -> str:
    if event_type.endswith(".merged"):
        merged = f"merged: {data.get('merged_id')} into {data.get('survivor_id')}"
        return f"{merged}, from {old or 'unattributed'} to {new or 'unattributed'}"
    if old is None and event_type != "lead.campaign_reassigned":
        return f"link arrived: attributed to {new}"
    return f"re-attributed from {old or 'unattributed'} to {new or 'unattributed'}"


def _alone(event_type: str, data: Mapping[str, Any], line: Line, others: Sequence[Line]) -> str:
    """Explain a line that no other of the same event makes up for."""
    kind, identity = split_entity(line.entity)
    field = _OWN.get(kind, "campaign_id")
    own = not field or data.get(field) == identity or kind == "budget"
    done = _done(event_type)
    if event_type.endswith(".merged"):
        return f"merged: {data.get('merged_id')} into {data.get('survivor_id')}"
    counted = _counted(line.measure, done)
    if counted:
        return counted[0 if line.amount > 0 else 1]
    if own and event_type in _STATING and _restates(data, line, others):
        return "restated"
    if kind in KINDS and KINDS[kind].restates and any(one.amount < 0 for one in others):
        return "restated"
    return done if own else f"{done}: link arrived"


def _counted(measure: str, done: str) -> tuple[str, str] | None:
    """Return what it means that a count of what follows from events goes up, and that it goes down."""
    name, _, part = measure.partition(".")
    if name == "funnel":
        return f"reached {part}", f"no longer reached {part}"
    if name in DURATIONS:
        return f"{done}: the duration ends", f"{done}: the duration ends elsewhere, or no longer"
    if name in OUTCOMES:
        return name, f"no longer {name}"
    return ("new customer", "no longer a new customer") if name == "new_customers" else None


def _restates(data: Mapping[str, Any], line: Line, others: Sequence[Line]) -> bool:
    """Tell whether an amount is another than the event states, because something else was stated before."""
    stated = data.get("net_value") or data.get("net_amount") or data.get("amount")
    first = any(one.measure.startswith("entered.") and one.amount > 0 for one in others)
    if first or not stated or line.measure == "cogs" or UNITS.get(line.measure) != MONEY:
        return False
    used = line.said
    moved = minor_of(used.amount) if isinstance(used, Converted) else line.amount
    return abs(moved) != parse_amount(stated["amount"], stated["currency"])


_OF_CAMPAIGNS = {"campaign.messages_sent"}  # without an id of their own
_VERBS = {
    "campaign.messages_sent": "noted to have sent messages",
    "invoice.credited": "posted", "campaign.budget_set": "given its budget", "lead.campaign_reassigned": "reassigned",
}  # fmt: skip


def happened(event_type: str, data: Mapping[str, Any], day: date) -> str:
    """Say in a few words what happened, and on which local day: credit note CN-17 was posted on 2026-04-09."""
    if event_type == "fx.rate_published":
        text = f"the rate {data.get('base')}/{data.get('quote')} of {data.get('rate_date')} was published"
    elif event_type == "event.voided":
        text = f"event {data.get('id')} of {data.get('source')} was voided"
    elif event_type in _DEFINED:
        what, field = _DEFINED[event_type]
        text = f"{what} {data.get(field)} was defined"
    elif event_type.endswith(".merged"):
        text = f"{event_type.partition('.')[0]} {data.get('merged_id')} was merged into {data.get('survivor_id')}"
    else:
        field, kind = RULES[event_type].ties[0] if event_type not in _OF_CAMPAIGNS else ("campaign_id", "campaign")
        name = "cost entry" if kind == "cost" else kind.replace("_", " ")
        text = f"{name} {data.get(field)} was {_VERBS.get(event_type) or _done(event_type)}"
    return f"{text} on {day}"


_TOUCHED = {"contact_linked": "was linked", "contact_unlinked": "was unlinked"}


def why_dealt(event_type: str, data: Mapping[str, Any], *, anew: bool) -> str:
    """Say why an event changed what is dealt of a deal; `anew` where some of it was dealt before."""
    kind, _, done = event_type.partition(".")
    if event_type == "event.voided":
        return f"voided: {data.get('source')} {data.get('id')} counts as never sent"
    if event_type == "fx.rate_published":
        return f"rate {data.get('base')}/{data.get('quote')} of {data.get('rate_date')} published"
    if kind in {"order", "invoice"} or not anew:
        return _done(event_type) if kind in {"order", "invoice"} else f"{_done(event_type)}: link arrived"
    return f"dealt anew because {_dealt_anew(kind, done, data)}"


def _dealt_anew(kind: str, done: str, data: Mapping[str, Any]) -> str:
    if kind == "touchpoint":
        came = {"recorded": "came in late, or was restated", "suppressed": "was suppressed"}
        return f"touch {data.get('touchpoint_id')} {came.get(done, done)}"
    if done == "merged":
        return f"{kind} {data.get('merged_id')} was merged into {data.get('survivor_id')}"
    if done in _TOUCHED:
        return f"contact {data.get('contact_id')} {_TOUCHED[done]}"
    if kind == "attribution":
        return f"model {data.get('model_id')} was published"
    return f"{kind} {data.get(f'{kind}_id')} was {done.replace('_', ' ')}"
