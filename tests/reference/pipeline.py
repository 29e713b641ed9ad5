"""The naive reference of the forecast, its accuracy, targets and revenue performance (REPORTS sections 3 and 4)."""

from __future__ import annotations

import calendar
from dataclasses import dataclass
from datetime import date, timedelta
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from tests.reference.facts import Event, Facts, Lead, Money, Opportunity, digits_of, is_stated, last_stated, money
from tests.reference.ledger import Ledger
from tests.reference.oracle import STEPS, answer, decimal, number

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from zoneinfo import ZoneInfo

Raw = list[dict[str, Any]]


def before(day: date, months: int) -> date:
    """Give the same day so many months before; the last one of a month that has no such day."""
    year, month = day.year, day.month
    for _ in range(months):
        year, month = (year, month - 1) if month > 1 else (year - 1, 12)
    return date(year, month, min(day.day, calendar.monthrange(year, month)[1]))


def month_of(day: date) -> str:
    return day.isoformat()[:7]


@dataclass
class Deal:
    """An opened opportunity, as a forecast sees it."""

    of: Opportunity
    outcome: str
    decided: date | None
    stages: list[str]  # that it ever entered, in order
    close: date | None
    value: Fraction | None  # in the ledger's currency
    chance: Fraction | None
    owner: str | None
    lead: Lead | None

    @property
    def stage(self) -> str | None:
        return self.stages[-1] if self.stages else None


class Pipeline:
    """All deals of a heap of events."""

    def __init__(self, raw: Raw, zone: ZoneInfo, currency: str) -> None:
        self.facts, self.currency, self.digits = Facts(raw, zone), currency, digits_of(currency)
        self.ledger = Ledger(self.facts, currency)
        self.deals = [self._deal(one) for one in self.facts.opportunities.values()]

    def convert(self, amount: Money, day: date) -> Fraction | None:
        rate = self.ledger.rate(amount.currency, day)
        return None if rate is None else Fraction(round(amount.amount * rate, self.digits))

    def _deal(self, one: Opportunity) -> Deal:
        about = ("opportunity.opened", "opportunity.value_changed", "opportunity.stage_changed")
        events = [e for e in self.facts.family(*about) if e.data["opportunity_id"] == one.id]
        estimate, close = last_stated(events, "estimated_value"), last_stated(events, "expected_close")
        entered: list[Event] = []
        for event in events:
            if is_stated(event.data.get("stage")) and (not entered or entered[-1].data["stage"] != event.data["stage"]):
                entered.append(event)
        live, decided = self.ledger.places.live_orders(one), one.decided
        outcome, day = "open", None
        if decided is not None and decided.type != "opportunity.reopened":
            outcome, day = decided.type.partition(".")[2], decided.day(self.facts.zone)
        elif decided is None and live:
            outcome, day = "won", live[0].day
        return Deal(
            one, outcome, day, [e.data["stage"] for e in entered], close and date.fromisoformat(close),
            estimate and self.convert(money(estimate), one.opened.day(self.facts.zone)), self._chance(events, entered),
            self.ledger.places.place_opportunity(one).owner, self.ledger.places.campaign_and_lead(one)[1],
        )  # fmt: skip

    def _chance(self, events: Sequence[Event], entered: Sequence[Event]) -> Fraction | None:
        found: tuple[Any, Fraction] | None = None
        for event in events:
            defined = self.facts.of("stage.defined", "stage", event.data.get("stage", ""))
            by_stage = last_stated(defined[-1:], "probability") if event in entered else None
            for said in (by_stage, event.data.get("probability")):  # the deal's own word is the last
                if is_stated(said):
                    found = (event.key, Fraction(str(said)))
        return found and found[1]

    def booked(self, first: date | None, end: date | None) -> list[tuple[date, str | None, Fraction]]:
        return [
            (one.day, one.place.owner, one.amount)
            for one in self.ledger.postings
            if one.measure == "booked_revenue" and one.day is not None
            and (first is None or one.day >= first) and (end is None or one.day < end)
        ]  # fmt: skip

    def targets(self) -> dict[tuple[Any, ...], Event]:
        names = ("measure", "period", "campaign_id", "campaign_type", "channel", "owner_id", "team")
        found: dict[tuple[Any, ...], Event] = {}
        for event in self.facts.family("target.set"):
            found[tuple(event.data.get(name) or None for name in names)] = event
        return found


# ---- forecast ------------------------------------------------------------------------------------------------


def rate_of(deals: Sequence[Deal], today: date) -> Callable[[str | None], Fraction | None]:
    decided = [one for one in deals if one.decided and before(today, 24) <= one.decided < today]

    def rate(stage: str | None) -> Fraction | None:
        ever = [one for one in decided if stage is not None and stage in one.stages]
        of = ever if len(ever) >= 10 else decided
        return Fraction(sum(one.outcome == "won" for one in of), len(of)) if of else None

    return rate


def forecast(pipeline: Pipeline, today: date, first: date | None, end: date | None) -> dict[str | None, dict[str, Any]]:
    """Give rows by month, and the total under "total"."""
    digits = pipeline.digits
    low = first if first or end else today.replace(day=1)
    rate = rate_of(pipeline.deals, today)
    rows: dict[str | None, list[Deal]] = {"overdue": [], None: []}
    for deal in pipeline.deals:
        if deal.outcome != "open":
            continue
        if deal.close is None:
            rows[None].append(deal)
        elif deal.close < today:
            rows["overdue"].append(deal)
        elif (low is None or deal.close >= low) and (end is None or deal.close < end):
            rows.setdefault(month_of(deal.close), []).append(deal)
    booked: dict[str, Fraction] = {}
    for day, _, amount in pipeline.booked(low, end):
        if day <= today:
            booked[month_of(day)] = booked.get(month_of(day), Fraction(0)) + amount
    aims = {}
    for (measure, period, *of), event in pipeline.targets().items():
        if measure == "booked_revenue" and len(period) == 7 and "Q" not in period and not any(of):
            start = date.fromisoformat(f"{period}-01")
            ends = start + timedelta(calendar.monthrange(start.year, start.month)[1])
            value = pipeline.convert(money(event.data["value"]), event.day(pipeline.facts.zone))
            if value is not None and (low is None or ends > low) and (end is None or start < end):
                aims[period] = value
    for month in (*(one for one, amount in booked.items() if amount), *aims):
        rows.setdefault(month, [])

    def row(deals: Sequence[Deal], month: str | None, whole: bool = False) -> dict[str, Any]:
        valued = [(one, one.value) for one in deals if one.value]
        shares = [(value, rate(one.stage)) for one, value in valued]
        known = [value * share for value, share in shares if share is not None]
        weighted = [round(value * one.chance, digits) for one, value in valued if one.chance is not None]
        in_month = sum(booked.values(), Fraction(0)) if whole else booked.get(month or "", Fraction(0))
        aim = (sum(aims.values(), Fraction(0)) if aims else None) if whole else aims.get(month or "")
        dateless = month in ("overdue", None) and not whole
        return {
            "count": len(deals),
            "value": decimal(sum((value for _, value in valued), Fraction(0)), digits),
            "weighted": decimal(sum(map(Fraction, weighted), Fraction(0)), digits),
            "empirical": decimal(sum(known, Fraction(0)), digits) if len(known) == len(shares) else None,
            "booked": None if dateless else decimal(in_month, digits),
            "target": None if aim is None else decimal(aim, digits),
        }

    found: dict[str | None, dict[str, Any]] = {month: row(deals, month) for month, deals in rows.items()}
    return {**found, "total": row([one for deals in rows.values() for one in deals], None, whole=True)}


def accuracy(
    known_at: Callable[[date], Pipeline], now: Pipeline, today: date, owners: bool
) -> dict[Any, tuple[Fraction, Fraction]]:  # fmt: skip
    """Give (weighted, booked) by month, of the last twelve; with `owners` by month and owner, where there is anything."""
    months = [before(today.replace(day=1), n) for n in range(12, 0, -1)]
    found: dict[Any, list[Fraction]] = {} if owners else {month_of(one): [Fraction(0), Fraction(0)] for one in months}
    for month in months:
        end = month + timedelta(calendar.monthrange(month.year, month.month)[1])
        then = known_at(month)
        for deal in then.deals:
            expected = deal.outcome == "open" and deal.close is not None and month <= deal.close < end
            if expected and deal.value is not None and deal.chance is not None:
                key = (month_of(month), deal.owner) if owners else month_of(month)
                found.setdefault(key, [Fraction(0), Fraction(0)])[0] += round(deal.value * deal.chance, then.digits)
        for _, owner, amount in now.booked(month, end):
            key = (month_of(month), owner) if owners else month_of(month)
            found.setdefault(key, [Fraction(0), Fraction(0)])[1] += amount
    return {key: (one, other) for key, (one, other) in found.items() if one or other or not owners}


# ---- targets -------------------------------------------------------------------------------------------------

_OF_PERIOD = {4: 12, 7: 1}
_MONEY = ("booked_revenue", "invoiced_revenue", "gross_margin", "actual_cost")
_RATIOS = ("win_rate", "roi.booked", "roi.invoiced", "roi.margin")


def days_of(period: str) -> tuple[date, date]:
    if "Q" in period:
        month, months = int(period[-1]) * 3 - 2, 3
    else:
        month, months = (int(period[5:7]), 1) if len(period) > 4 else (1, 12)
    first = date(int(period[:4]), month, 1)
    end = first
    for _ in range(months):
        end += timedelta(calendar.monthrange(end.year, end.month)[1])
    return first, end


def targets(raw: Raw, pipeline: Pipeline, timezone: str, today: date) -> dict[tuple[Any, ...], dict[str, Any]]:
    """Give each target with what came of it: exact where it is no ratio."""
    found = {}
    for key, event in pipeline.targets().items():
        measure, period, *of = key
        first, end = days_of(period)
        names = ("campaign", "campaign_type", "channel", "owner", "team")
        only = {name: [label] for name, label in zip(names, of, strict=True) if label is not None}
        actual = _actual(raw, pipeline, timezone, measure, first, end, only)
        value: Fraction | None = Fraction(str(event.data["value"])) if measure not in _MONEY else None
        if measure in _MONEY:
            value = pipeline.convert(money(event.data["value"]), event.day(pipeline.facts.zone))
        past = min(max((today - first).days + 1, 0), (end - first).days)
        elapsed = Fraction(past, (end - first).days)
        expected = None if value is None else value if measure in _RATIOS else value * elapsed
        ahead = None
        if actual is not None and expected is not None:
            ahead = actual <= expected if measure == "actual_cost" else actual >= expected

        def written(amount: Fraction | None, measure: str = measure) -> Any:
            return decimal(amount, pipeline.digits) if measure in _MONEY and amount is not None else number(amount)

        attained = actual / value if actual is not None and value is not None and value > 0 else None
        found[key] = {
            "target": written(value), "actual": written(actual), "attainment": number(attained), "elapsed": number(elapsed),
            "expected_by_now": written(expected), "ahead": ahead,
        }  # fmt: skip
    return found


def _actual(
    raw: Raw, pipeline: Pipeline, timezone: str, measure: str, first: date, end: date, only: Mapping[str, Sequence[str]]
) -> Fraction | None:  # fmt: skip
    if measure in ("calls", "activities"):
        if only.keys() - {"owner"}:
            return None
        if measure == "activities":
            ids = {e.data["activity_id"] for e in pipeline.facts.family("activity.completed")}
            last = [pipeline.facts.of("activity.completed", "activity_id", one) for one in ids]
            done = [(last_stated(told, "rep_id"), told[-1].day(pipeline.facts.zone)) for told in last]
        else:
            done = [(call.rep, call.day) for call in pipeline.facts.calls.values()]
        mine = [day for rep, day in done if rep in only.get("owner", [rep])]
        return Fraction(sum(first <= day < end for day in mine))
    report = "conversion" if measure == "win_rate" else "roi"
    row: Any = answer(
        raw, report, currency=pipeline.currency, timezone=timezone, group_by=("year",), from_=first, to=end,
        date_basis="event", only=only,
    )["total"]  # fmt: skip
    for part in measure.split("."):
        row = row[part]
    return None if row is None else Fraction(str(row))


# ---- revenue performance -------------------------------------------------------------------------------------


def performance(raw: Raw, pipeline: Pipeline, timezone: str, first: date, end: date) -> dict[str, Any]:
    """Give the total for the cohort captured in [first, end)."""
    facts, places = pipeline.facts, pipeline.ledger.places
    cohort = [
        one for one in facts.leads.values() if one.captured is not None and first <= one.captured.day(facts.zone) < end
    ]
    reached = {one.id: pipeline.ledger.steps_reached(one) for one in cohort}
    booked = sum((_worth(pipeline, one.id) for one in cohort), Fraction(0))
    standing = dict.fromkeys(STEPS, 0)
    for lead in cohort:
        ended = [
            e
            for e in facts.family("lead.disqualified", "lead.reopened")
            if facts.lead_name(e.data["lead_id"]) == lead.id
        ]
        outcomes = {deal.outcome for deal in pipeline.deals if lead.id in deal.of.lead_ids}
        dead = bool(ended) and ended[-1].type == "lead.disqualified"
        dead = dead or ("lost" in outcomes and "open" not in outcomes)
        if not dead and reached[lead.id][-1] not in ("ordered", "invoiced"):
            standing[reached[lead.id][-1]] += 1
    assert places
    leads = {step: sum(step in one for one in reached.values()) for step in STEPS}
    worth = {step: booked / leads[step] if leads[step] else None for step in STEPS}
    asked: dict[str, Any] = {
        "currency": pipeline.currency, "timezone": timezone, "from_": first, "to": end, "date_basis": "cohort", "only": {}
    }  # fmt: skip
    roi, conversion, velocity = (
        answer(raw, report, group_by=("year",), **asked)["total"] for report in ("roi", "conversion", "velocity")
    )
    value = {}
    for step in STEPS:
        each = worth[step]
        value[step] = {
            "leads": leads[step], "standing": standing[step],
            "value_per_lead": None if each is None else decimal(each, pipeline.digits),
        }  # fmt: skip
    total = sum((count * (worth[step] or Fraction(0)) for step, count in standing.items()), Fraction(0))
    return {
        "value": value,
        "database_value": decimal(total, pipeline.digits),
        "conversion": conversion["funnel"],
        "velocity": {name: velocity[name] for name in ("captured_to_qualified", "full_cycle", "lead_to_cash")},
        "roi": {name: roi[name] for name in ("roas", "cost_to_revenue", "roi")},
    }


def _worth(pipeline: Pipeline, lead_id: str) -> Fraction:
    """Give the live orders of opportunities whose cohort day a lead gave."""
    places, total = pipeline.ledger.places, Fraction(0)
    for order in pipeline.facts.orders.values():
        parent = places.parent_of(order)
        lead = None if parent is None else places.campaign_and_lead(parent)[1]
        if lead is None or lead.id != lead_id or order.cancelled is not None:
            continue
        standing, left, here = Fraction(0), Fraction(0), Fraction(0)
        for amount in (order.value.amount, *(money(e.data["net_value"]).amount for e in order.amendments)):
            moved, standing = amount - standing, amount
            if moved == 0:
                continue
            left += moved
            converted = pipeline.convert(Money(moved, order.value.currency), order.day)
            here += Fraction(0) if converted is None else -here if left == 0 else converted
        total += here
    return total
