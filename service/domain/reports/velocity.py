"""Velocity (SPEC section 4): how long the steps take; means are exact, percentiles exact or within 1 %.

A duration is posted as a count with its length in microseconds. Its length also falls into a bucket of a logarithmic
histogram, as DDSketch has it (Masson, Rim, Lee: "DDSketch", VLDB 2019): buckets add up and can be taken back like any
count, and the middle of a bucket is within 1 % of everything in it.
"""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from functools import lru_cache
from math import ceil, floor, log
from typing import Any

from service.domain.calendar import MICROS_PER_DAY
from service.domain.components.entities import Entity, Lead, Opportunity, Order
from service.domain.facts import Fact
from service.domain.figures import Figures, Sums
from service.domain.postings import Book

DURATIONS = (
    "captured_to_qualified", "qualified_to_opened", "opened_to_accepted", "accepted_to_ordered", "ordered_to_invoiced",
    "sales_cycle", "full_cycle", "lead_to_cash",
)  # fmt: skip
MEASURES = (*DURATIONS, *(f"{name}.out_of_sequence" for name in DURATIONS))
TOTALS = tuple(f"{name}.total" for name in DURATIONS)
COHORT_MEASURES = (
    "entered.opportunity", "entered.ordered", "booked_revenue", "won", "lost", "sales_cycle", "sales_cycle.total",
)  # fmt: skip
SHARES = (Fraction(1, 2), Fraction(9, 10))
EXACT_BELOW = 1000  # samples: percentiles are exact below, within 1 % from here on

_ERROR = 0.01
_GAMMA = (1 + _ERROR) / (1 - _ERROR)
_LOG_GAMMA = log(_GAMMA)


# What entities contribute


def contribute_lead(lead: Lead, book: Book) -> None:
    """Post the durations that begin with a lead; each belongs to the entity that ends it, on that end's day."""
    captured, qualified = lead.captured, lead.qualified
    if captured and qualified:
        _post(book, "captured_to_qualified", captured, qualified, lead, lead)
    _post_first(book, "qualified_to_opened", qualified, "opened", lead)
    _post_first(book, "full_cycle", captured, "ordered", lead)
    _post_first(book, "lead_to_cash", captured, "invoiced", lead)


def contribute_opportunity(one: Opportunity, book: Book) -> None:
    """Post the durations that begin with an opened opportunity."""
    _post_first(book, "opened_to_accepted", one.opened, "accepted", one)
    _post_first(book, "sales_cycle", one.opened, "ordered", one)


def contribute_order(order: Order, book: Book) -> None:
    """Post the durations that end and begin with a live order."""
    if not order.live or order.placed is None:
        return
    accepted = order.quote.accepted if order.quote else None
    if accepted is None and order.parent and "accepted" in order.parent.marks:
        accepted = order.parent.marks["accepted"][0]
    if accepted:
        _post(book, "accepted_to_ordered", accepted, order.placed, order, order)
    _post_first(book, "ordered_to_invoiced", order.placed, "invoiced", order)


def _post_first(book: Book, name: str, start: Fact | None, end: str, entity: Entity) -> None:
    """Post a duration of an entity that ends with its first mark of a name, if both ends are there."""
    mark = entity.marks.get(end)
    if start is not None and mark is not None:
        _post(book, name, start, *mark, entity)


def _post(book: Book, name: str, start: Fact, end: Fact, ending: Entity, entity: Entity) -> None:
    """Post a duration of an entity that ends with another one's first mark."""
    day = book.zone.day(end[0])
    if end[:2] < start[:2]:
        book.put((f"{name}.out_of_sequence", entity.name, book.segments[ending.where], day, ending.cohort, None, None))
        book.flag(f"{name} ends before it starts", entity.name, ending.where, day, ending.cohort)
    else:
        book.put((name, entity.name, book.segments[ending.where], day, ending.cohort, end[0] - start[0], None))


# Percentiles


@lru_cache(maxsize=4_096)
def bucket_of(micros: int) -> int:
    """Return the histogram bucket of a duration; 0 holds durations of nothing."""
    return 1 + ceil(log(micros) / _LOG_GAMMA) if micros > 0 else 0


def middle_of(bucket: int) -> Fraction:
    """Return the length in microseconds that is within 1 % of everything in a bucket."""
    return Fraction(2 * _GAMMA ** (bucket - 1) / (_GAMMA + 1)) if bucket else Fraction(0)


def percentile(samples: Mapping[Any, int], share: Fraction) -> Fraction:
    """Return the percentile of {length: how often}, interpolated linearly at share·(n−1)."""
    lengths = sorted(samples)
    at = share * (sum(samples.values()) - 1)
    low, high = _nth(lengths, samples, floor(at)), _nth(lengths, samples, ceil(at))
    return low + (high - low) * (at - floor(at))


def _nth(lengths: list[Any], samples: Mapping[Any, int], rank: int) -> Fraction:
    passed = 0
    for length in lengths:
        passed += samples[length]
        if passed > rank:
            return Fraction(length)
    raise ValueError("no samples")


# The figures


Samples = Mapping[str, Mapping[Any, int]]  # duration → length in microseconds → how often


def figures(sums: Sums, samples: Samples, cohort: Sums, currency: str) -> dict[str, Any]:
    """Return the velocity row of the given sums and samples; `cohort` holds the sums of the same cohort."""
    make = Figures(currency)
    row: dict[str, Any] = {}
    for name in DURATIONS:
        count, of = sums.get(name, 0), samples.get(name, {})
        if not count:
            make.reasons[name] = "no such duration yet"
        row[name] = {
            "count": count,
            "mean_days": _days(Fraction(sums.get(f"{name}.total", 0), count)) if count else None,
            "p50_days": _days(percentile(of, SHARES[0])) if of else None,
            "p90_days": _days(percentile(of, SHARES[1])) if of else None,
            "out_of_sequence": sums.get(f"{name}.out_of_sequence", 0),
        }
    row["pipeline_velocity"] = _pipeline(make, cohort)
    return make.row(row)


def _days(micros: Fraction) -> float:
    return float(round(micros / MICROS_PER_DAY, 4))


def _pipeline(make: Figures, cohort: Sums) -> str | None:
    """Return opportunities × win rate × average deal size / mean sales cycle: money per day, all of one cohort."""
    name, won, lost = "pipeline_velocity", cohort.get("won", 0), cohort.get("lost", 0)
    rate = make.divide(name, won, won + lost, "won + lost")
    size = make.divide(name, cohort.get("booked_revenue", 0), cohort.get("entered.ordered", 0), "the number of orders")
    total = Fraction(cohort.get("sales_cycle.total", 0), MICROS_PER_DAY)
    days = make.divide(name, total, cohort.get("sales_cycle", 0), "the number of sales cycles")
    if rate is None or size is None or days is None:
        return None
    return make.price(name, cohort.get("entered.opportunity", 0) * rate * size, days, "the mean sales cycle")
