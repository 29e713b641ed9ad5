"""The naive reference: what SPEC sections 2 to 4 and REPORTS sections 1 to 3 make of a heap of events.

Slow and plain on purpose. It knows nothing of the service; the property tests compare the two.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from math import floor
from typing import TYPE_CHECKING, Any, Literal
from zoneinfo import ZoneInfo

from tests.reference.facts import Facts, digits_of
from tests.reference.ledger import Entry, Ledger, Posting, Sample

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from datetime import date

STEPS = ("captured", "qualified", "opportunity", "quote_accepted", "ordered", "invoiced")
DURATIONS = (
    "captured_to_qualified",
    "qualified_to_opened",
    "full_cycle",
    "lead_to_cash",
    "opened_to_accepted",
    "sales_cycle",
    "accepted_to_ordered",
    "ordered_to_invoiced",
)
SUMS = {
    "roi": (
        *("budget", "actual_cost", "booked_revenue", "gross", "credited", "cogs", "captured", "qualified"),
        *("opportunity", "ordered", "new_customers"),
    ),
    "conversion": (*STEPS, *(f"funnel:{s}" for s in STEPS), "won", "lost", "open", "booked_revenue"),
    "calls": ("calls", "answered", "missed", "voicemail", "talk", "advanced", "booked_revenue"),
}
REPORTS = ("roi", "conversion", "velocity", "calls")
Group = tuple[str | None, ...]
Basis = Literal["event", "cohort"]


def divide(a: Fraction, b: Fraction) -> Fraction | None:
    return a / b if b > 0 else None


def decimal(amount: Fraction, digits: int) -> str:
    """Write money; round() of a Fraction is half-even and exact."""
    units = round(amount * 10**digits)
    text = str(abs(units)).rjust(digits + 1, "0")
    text = f"{text[:-digits]}.{text[-digits:]}" if digits else text
    return f"-{text}" if units < 0 else text


def number(value: Fraction | None, places: int = 6) -> float | None:
    return None if value is None else float(round(value, places))


PERIODS: Mapping[str, Callable[[date], str]] = {
    "day": lambda day: day.isoformat(),
    "week": lambda day: "{:04}-W{:02}".format(*day.isocalendar()),
    "month": lambda day: f"{day.year:04}-{day.month:02}",
    "quarter": lambda day: f"{day.year:04}-Q{(day.month + 2) // 3}",
    "year": lambda day: f"{day.year:04}",
}


def group_of(entry: Posting | Sample | Entry, group_by: Sequence[str], basis: Basis) -> Group:
    day = day_of(entry, basis)
    return tuple(
        getattr(entry.place, name) if name not in PERIODS else None if day is None else PERIODS[name](day)
        for name in group_by
    )


def day_of(entry: Posting | Sample | Entry, basis: Basis) -> date | None:
    """Give the day that the entry stands on; None for what is never windowed."""
    if isinstance(entry, Posting) and entry.measure.startswith("funnel:"):
        return entry.day  # always the cohort of leads captured in the period
    return entry.place.cohort if basis == "cohort" else entry.day


@dataclass(frozen=True)
class Window:
    """Days [first, end) of what has, by dimension, one of the wanted values; an empty one is had by what has none."""

    first: date | None
    end: date | None
    only: Mapping[str, Sequence[str]]

    def holds(self, entry: Posting | Sample | Entry, basis: Basis) -> bool:
        if any((getattr(entry.place, name) or "") not in values for name, values in self.only.items()):
            return False
        day = day_of(entry, basis)
        if day is None:
            return True
        return (self.first is None or day >= self.first) and (self.end is None or day < self.end)


def total_of(postings: Sequence[Posting], measure: str) -> Fraction:
    return sum((p.amount for p in postings if p.measure == measure), Fraction(0))


# ---- ROI -----------------------------------------------------------------------------------------------------


def break_even_on(postings: Sequence[Posting], basis: Basis, *, on_margin: bool) -> str | None:
    days = sorted({day for p in postings if (day := day_of(p, basis)) is not None})
    for day in days:
        so_far = [p for p in postings if (on := day_of(p, basis)) is not None and on <= day]
        cost = total_of(so_far, "actual_cost")
        back = total_of(so_far, "gross") - total_of(so_far, "credited")
        if on_margin:
            back -= total_of(so_far, "cogs")
        if cost > 0 and back >= cost:
            return day.isoformat()
    return None


def roi_row(postings: Sequence[Posting], digits: int, basis: Basis) -> dict[str, Any]:
    of = {m: total_of(postings, m) for m in (*SUMS["roi"], "known_gross", "known_credited")}
    cost, booked, cogs = of["actual_cost"], of["booked_revenue"], of["cogs"]
    invoiced = of["gross"] - of["credited"]
    known = of["known_gross"] - of["known_credited"]
    coverage = divide(known, invoiced)
    nothing = of["gross"] == of["credited"] == cogs == 0
    margin = invoiced - cogs if known == invoiced and not nothing else None
    margin_rate = None if margin is None else divide(margin, invoiced)

    def each(measure: str) -> str | None:
        value = divide(cost, of[measure])
        return None if value is None else decimal(value, digits)

    return {
        "budget": decimal(of["budget"], digits),
        "actual_cost": decimal(cost, digits),
        "budget_variance": decimal(of["budget"] - cost, digits),
        "booked_revenue": decimal(booked, digits),
        "invoiced_revenue_gross": decimal(of["gross"], digits),
        "credited": decimal(of["credited"], digits),
        "invoiced_revenue": decimal(invoiced, digits),
        "cogs": decimal(cogs, digits),
        "gross_margin": None if margin is None else decimal(margin, digits),
        "margin_coverage": number(coverage),
        "roi": {
            "booked": number(divide(booked - cost, cost)),
            "invoiced": number(divide(invoiced - cost, cost)),
            "margin": None if margin is None else number(divide(margin - cost, cost)),
        },
        "roas": number(divide(invoiced, cost)),
        "cost_to_revenue": number(divide(cost, invoiced)),
        "break_even_roas": None if margin_rate is None else number(divide(Fraction(1), margin_rate)),
        "leads": int(of["captured"]),
        "qualified_leads": int(of["qualified"]),
        "opportunities": int(of["opportunity"]),
        "orders": int(of["ordered"]),
        "new_customers": int(of["new_customers"]),
        "cost_per_lead": each("captured"),
        "cost_per_qualified_lead": each("qualified"),
        "cost_per_opportunity": each("opportunity"),
        "cost_per_order": each("ordered"),
        "cac": each("new_customers"),
        "break_even_on": break_even_on(postings, basis, on_margin=margin is not None),
    }


# ---- Conversion ----------------------------------------------------------------------------------------------


def conversion_row(postings: Sequence[Posting], digits: int) -> dict[str, Any]:
    of = {m: total_of(postings, m) for m in SUMS["conversion"]}
    funnel: dict[str, Any] = {}
    start, previous = of["funnel:captured"], None
    for step in STEPS:
        count = of[f"funnel:{step}"]
        funnel[step] = {
            "count": int(count),
            "rate_from_previous": None if previous is None else number(divide(count, previous)),
            "rate_from_start": number(divide(count, start)),
        }
        previous = count
    deal = divide(of["booked_revenue"], of["ordered"])
    return {
        "entered": {step: int(of[step]) for step in STEPS},
        "funnel": funnel,
        "won": int(of["won"]),
        "lost": int(of["lost"]),
        "open": int(of["open"]),
        "win_rate": number(divide(of["won"], of["won"] + of["lost"])),
        "average_deal_size": None if deal is None else decimal(deal, digits),
    }


# ---- Velocity ------------------------------------------------------------------------------------------------


def percentile(ordered: Sequence[Fraction], q: Fraction) -> Fraction:
    """Interpolate linearly at q·(n - 1)."""
    at = q * (len(ordered) - 1)
    low = floor(at)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (ordered[high] - ordered[low]) * (at - low)


def duration(samples: Sequence[Sample], name: str) -> dict[str, Any]:
    mine = [s.days for s in samples if s.name == name]
    good = sorted(days for days in mine if days >= 0)
    return {
        "count": len(good),
        "mean_days": number(sum(good, Fraction(0)) / len(good), 4) if good else None,
        "p50_days": number(percentile(good, Fraction(1, 2)), 4) if good else None,
        "p90_days": number(percentile(good, Fraction(9, 10)), 4) if good else None,
        "out_of_sequence": len(mine) - len(good),
    }


def pipeline_velocity(postings: Sequence[Posting], samples: Sequence[Sample], digits: int) -> str | None:
    """Opportunities x win rate x average deal size / mean sales cycle, of what belongs to one cohort."""
    cycles = [s.days for s in samples if s.name == "sales_cycle" and s.days >= 0]
    won, lost = total_of(postings, "won"), total_of(postings, "lost")
    win_rate = divide(won, won + lost)
    deal = divide(total_of(postings, "booked_revenue"), total_of(postings, "ordered"))
    cycle = sum(cycles, Fraction(0)) / len(cycles) if cycles else Fraction(0)
    if win_rate is None or deal is None or cycle <= 0:
        return None
    return decimal(total_of(postings, "opportunity") * win_rate * deal / cycle, digits)


# ---- Calls ---------------------------------------------------------------------------------------------------


def calls_row(postings: Sequence[Posting], digits: int) -> dict[str, Any]:
    of = {m: total_of(postings, m) for m in SUMS["calls"]}
    per_call = divide(of["booked_revenue"], of["calls"])
    return {
        "calls": int(of["calls"]),
        "answered": int(of["answered"]),
        "missed": int(of["missed"]),
        "voicemail": int(of["voicemail"]),
        "answer_rate": number(divide(of["answered"], of["calls"])),
        "talk_s": number(of["talk"]),
        "mean_talk_s": number(divide(of["talk"], of["answered"])),
        "advanced": int(of["advanced"]),
        "advance_rate": number(divide(of["advanced"], of["answered"])),
        "booked_revenue": decimal(of["booked_revenue"], digits),
        "revenue_per_call": None if per_call is None else decimal(per_call, digits),
    }


# ---- the entry point -----------------------------------------------------------------------------------------


def answer(
    events: Sequence[Mapping[str, Any]],
    report: str,
    *,
    currency: str = "EUR",
    timezone: str = "UTC",
    group_by: str | Sequence[str] = "campaign",
    from_: date | None = None,
    to: date | None = None,
    date_basis: str = "event",
    only: Mapping[str, Sequence[str]] | None = None,
) -> dict[str, Any]:
    if report not in REPORTS or date_basis not in {"event", "cohort"}:
        raise ValueError(report, date_basis)
    groups = (group_by,) if isinstance(group_by, str) else tuple(group_by)
    basis: Basis = "cohort" if date_basis == "cohort" else "event"
    ledger = Ledger(Facts(events, ZoneInfo(timezone)), currency)
    window, digits = Window(from_, to, only or {}), digits_of(currency)
    postings = [p for p in ledger.postings if window.holds(p, basis)]
    samples = [s for s in ledger.samples if window.holds(s, basis)]
    cohort_postings = [p for p in ledger.postings if window.holds(p, "cohort")]
    cohort_samples = [s for s in ledger.samples if window.holds(s, "cohort")]

    def row(name: Group | None) -> dict[str, Any]:
        def belongs(entry: Posting | Sample, basis: Basis) -> bool:
            return name is None or group_of(entry, groups, basis) == name

        mine = [p for p in postings if belongs(p, basis)]
        if report == "roi":
            return roi_row(mine, digits, basis)
        if report == "conversion":
            return conversion_row(mine, digits)
        if report == "calls":
            return calls_row(mine, digits)
        here = [s for s in samples if belongs(s, basis)]
        pipeline = pipeline_velocity(
            [p for p in cohort_postings if belongs(p, "cohort")],
            [s for s in cohort_samples if belongs(s, "cohort")],
            digits,
        )
        return {name: duration(here, name) for name in DURATIONS} | {"pipeline_velocity": pipeline}

    names: set[Group] = {(None,)} if groups == ("campaign",) and not only else set()
    if report == "velocity":
        names |= {group_of(s, groups, basis) for s in samples}
        of_cohorts = {group_of(p, groups, "cohort") for p in cohort_postings}
        names |= {name for name in of_cohorts if row(name)["pipeline_velocity"] is not None}
    else:
        for name in {group_of(p, groups, basis) for p in postings}:
            mine = [p for p in postings if group_of(p, groups, basis) == name]
            if any(total_of(mine, measure) != 0 for measure in SUMS[report]):
                names.add(name)
    keys = ["campaign_id" if name == "campaign" else name for name in groups]
    ordered = sorted(names, key=lambda name: [(label is None, label or "") for label in name])
    return {
        "rows": [dict(zip(keys, name, strict=True)) | row(name) for name in ordered],
        "total": row(None),
        "unconverted": [unconverted(e, basis) for e in ledger.unconverted if window.holds(e, basis)],
        "pending_links": len(ledger.pending),
    }


def unconverted(entry: Entry, basis: Basis) -> dict[str, Any]:
    day = day_of(entry, basis)
    return {
        "kind": entry.kind,
        "id": entry.id,
        "campaign_id": entry.place.campaign,
        "measure": entry.measure,
        "amount": decimal(entry.amount.amount * entry.sign, digits_of(entry.amount.currency)),
        "currency": entry.amount.currency,
        "date": None if day is None else day.isoformat(),
    }
