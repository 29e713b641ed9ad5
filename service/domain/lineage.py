"""Why a figure is what it is: which postings add up to it, and what each event did, in words.

`why` is a pure function of the event that caused a posting and of what else that event posted about the same entity: an
amount that left one campaign and entered another in the same event was re-attributed, one that came alone was booked.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any, NamedTuple

from service.domain import details
from service.domain.details import Converted, Detail, Unconverted
from service.domain.money import minor_of, parse_amount
from service.domain.reports import conversion, velocity

Parts = Mapping[str, int]  # posted measure → sign

_DERIVED: dict[str, Parts] = {
    "budget_variance": {"budget": 1, "actual_cost": -1},
    "invoiced_revenue": {"invoiced_revenue_gross": 1, "credited": -1},
    "gross_margin": {"invoiced_revenue_gross": 1, "credited": -1, "cogs": -1},
}
_MONEY = ("budget", "actual_cost", "booked_revenue", "invoiced_revenue_gross", "credited", "cogs")
_COUNTS = {
    "leads": "entered.captured", "qualified_leads": "entered.qualified", "opportunities": "entered.opportunity",
    "orders": "entered.ordered", "new_customers": "new_customers",
}  # fmt: skip


def _same(names: Sequence[str]) -> dict[str, Parts]:
    return {name: {name: 1} for name in names}


# Per report, the additive figures by their names there, and the postings that each adds up.
MEASURES: dict[str, dict[str, Parts]] = {
    "roi": {**_same(_MONEY), **_DERIVED, **{name: {posted: 1} for name, posted in _COUNTS.items()}},
    "conversion": _same([one for one in conversion.MEASURES if one not in _MONEY]),
    "velocity": _same(velocity.MEASURES),
}


# Figures that are made of others: what is divided and by what, or what a day is found from.
RATIOS: dict[str, dict[str, tuple[str, ...]]] = {
    "roi": {
        "roi.booked": ("booked_revenue", "actual_cost"), "roi.invoiced": ("invoiced_revenue", "actual_cost"),
        "roi.margin": ("gross_margin", "actual_cost"), "roas": ("invoiced_revenue", "actual_cost"),
        "cost_to_revenue": ("actual_cost", "invoiced_revenue"), "break_even_roas": ("invoiced_revenue", "cogs"),
        "margin_coverage": ("invoiced_revenue", "cogs"), "cost_per_lead": ("actual_cost", "leads"),
        "cost_per_qualified_lead": ("actual_cost", "qualified_leads"), "cost_per_opportunity": ("actual_cost", "opportunities"),
        "cost_per_order": ("actual_cost", "orders"), "cac": ("actual_cost", "new_customers"),
        "break_even_on": ("actual_cost", "invoiced_revenue", "cogs"),
    },
    "conversion": {"win_rate": ("won", "lost")},
    "velocity": {},
}  # fmt: skip


def parts_of(report: str, figure: str) -> dict[str, Parts]:
    """Return the additive figures that a figure is, or is made of, with the postings of each; KeyError if there is none."""
    return {name: MEASURES[report][name] for name in RATIOS[report].get(figure, (figure,))}


def is_money(measure: str) -> bool:
    """Tell whether a figure is an amount of money; the others are counts."""
    return measure in _MONEY or measure in _DERIVED or measure == "invoiced_with_cogs"


class Line(NamedTuple):
    """One posting, as `why` sees it; `where` are its dimensions, campaign first."""

    measure: str
    entity: str
    where: tuple[str | None, ...]
    day: date
    cohort: date
    amount: int
    value: int | None = None
    detail: str | None = None

    @property
    def said(self) -> Detail | None:
        """What it says beside its amount."""
        return details.read(self.measure, self.detail)


# What an event that states something of its own entity did.
_DONE = {
    "campaign.cost_booked": "booked", "campaign.cost_reversed": "reversed", "campaign.budget_set": "set",
    "lead.captured": "captured", "lead.qualified": "qualified", "lead.merged": "merged", "account.merged": "merged",
    "opportunity.opened": "opened", "opportunity.won": "won", "opportunity.lost": "lost",
    "opportunity.reopened": "reopened", "quote.accepted": "accepted", "order.placed": "placed", "order.amended": "amended",
    "order.cancelled": "cancelled", "invoice.posted": "posted", "invoice.credited": "credited",
    "invoice.cancelled": "cancelled", "fx.rate_published": "rate published", "event.voided": "voided",
}  # fmt: skip
_OWN = {
    "lead": "lead_id", "opportunity": "opportunity_id", "quote": "quote_id", "order": "order_id", "invoice": "invoice_id",
    "credit_note": "credit_note_id", "cost": "cost_entry_id",
}  # fmt: skip
_STATING = {"campaign.cost_booked", "order.placed", "invoice.posted", "invoice.credited", "campaign.budget_set"}


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
    if event_type == "event.voided":
        return f"voided: {data.get('source')} {data.get('id')} counts as never sent"
    if source is None or target is None:
        return _alone(event_type, data, line, others)
    return _changed(event_type, data, source, target)


def _changed(event_type: str, data: Mapping[str, Any], source: Line, target: Line) -> str:
    """Explain what left one place and entered another in the same event."""
    if source.where[0] != target.where[0]:
        return _moved(event_type, data, source.where[0], target.where[0])
    if (source.day, source.cohort) != (target.day, target.cohort):
        return f"restated: moved from {source.day} to {target.day}"
    return "restated" if source.where == target.where else "restated: channel, source, medium or owner changed"


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
    own = data.get(_OWN.get(kind, "campaign_id")) == identity or kind == "budget"
    done = _DONE.get(event_type, event_type)
    if event_type.endswith(".merged"):
        return f"merged: {data.get('merged_id')} into {data.get('survivor_id')}"
    counted = _counted(line.measure, done)
    if counted:
        return counted[0 if line.amount > 0 else 1]
    if own and event_type in _STATING and _restates(data, line, others):
        return "restated"
    return done if own else f"{done}: link arrived"


def _counted(measure: str, done: str) -> tuple[str, str] | None:
    """Return what it means that a count of what follows from events goes up, and that it goes down."""
    name, _, part = measure.partition(".")
    if name == "funnel":
        return f"reached {part}", f"no longer reached {part}"
    if name in velocity.DURATIONS:
        return f"{done}: the duration ends", f"{done}: the duration ends elsewhere, or no longer"
    if name in conversion.OUTCOMES:
        return name, f"no longer {name}"
    return ("new customer", "no longer a new customer") if name == "new_customers" else None


def _restates(data: Mapping[str, Any], line: Line, others: Sequence[Line]) -> bool:
    """Tell whether an amount is another than the event states, because something else was stated before."""
    stated = data.get("net_value") or data.get("net_amount") or data.get("amount")
    first = any(one.measure.startswith("entered.") and one.amount > 0 for one in others)
    if first or not stated or line.measure == "cogs" or not is_money(line.measure):
        return False
    used = line.said
    moved = minor_of(used.amount) if isinstance(used, Converted) else line.amount
    return abs(moved) != parse_amount(stated["amount"], stated["currency"])


_SUBJECTS = {
    "campaign.cost_": ("cost entry", "cost_entry_id"), "campaign.": ("campaign", "campaign_id"),
    "lead.": ("lead", "lead_id"), "opportunity.": ("opportunity", "opportunity_id"), "quote.": ("quote", "quote_id"),
    "order.": ("order", "order_id"), "invoice.credited": ("credit note", "credit_note_id"),
    "invoice.": ("invoice", "invoice_id"),
}  # fmt: skip
_VERBS = {
    "invoice.credited": "posted", "campaign.budget_set": "given its budget", "lead.campaign_reassigned": "reassigned",
}  # fmt: skip


def happened(event_type: str, data: Mapping[str, Any], day: date) -> str:
    """Say in a few words what happened, and on which local day: credit note CN-17 was posted on 2026-04-09."""
    if event_type == "fx.rate_published":
        text = f"the rate {data.get('base')}/{data.get('quote')} of {data.get('rate_date')} was published"
    elif event_type == "event.voided":
        text = f"event {data.get('id')} of {data.get('source')} was voided"
    elif event_type.endswith(".merged"):
        text = f"{event_type.partition('.')[0]} {data.get('merged_id')} was merged into {data.get('survivor_id')}"
    else:
        subjects = {prefix: one for prefix, one in _SUBJECTS.items() if event_type.startswith(prefix)}
        name, field = subjects[max(subjects, key=len)] if subjects else (event_type, "id")
        verb = _VERBS.get(event_type) or _DONE.get(event_type) or event_type.partition(".")[2].replace("_", " ")
        text = f"{name} {data.get(field)} was {verb}"
    return f"{text} on {day}"
