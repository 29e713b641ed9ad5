"""Velocity (SPEC section 4): how long the steps take; means are exact, percentiles exact or within 1 %.

A duration is posted as a count with its length in microseconds. Its length also falls into a bucket of a logarithmic
histogram, as DDSketch has it (Masson, Rim, Lee: "DDSketch", VLDB 2019): buckets add up and can be taken back like any
count, and the middle of a bucket is within 1 % of everything in it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fractions import Fraction
from functools import lru_cache
from math import ceil, floor, log
from typing import Any

from service.domain.calendar import MICROS_PER_DAY
from service.domain.facts import Fact
from service.domain.journey import Invoice, Journey, Order, Where
from service.domain.postings import Book
from service.domain.ratios import Figures, Sums

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
End = tuple[Fact, str, Where, int]  # the first fact of its kind, of which entity, its dimensions, its cohort day


# What journeys contribute


def contribute(journey: Journey, book: Book) -> None:
    """Post the durations of a journey; each belongs to the entity that ends it, on that end's day."""
    for lead in journey.leads.values():
        entity = f"lead:{lead.id}"
        if lead.captured and lead.qualified:
            _post(book, "captured_to_qualified", lead.captured, (lead.qualified, entity, lead.where, lead.cohort))
        if not lead.branch:
            continue
        orders = [order for one in lead.branch for order in one.orders]
        if lead.qualified:
            opened = [(one.opened, f"opportunity:{one.id}", one.where, one.cohort) for one in lead.branch if one.opened]
            _post(book, "qualified_to_opened", lead.qualified, _first(opened), entity)
        if lead.captured:
            _post(book, "full_cycle", lead.captured, _first_order(orders), entity)
            invoices = [invoice for order in orders for invoice in order.invoices]
            _post(book, "lead_to_cash", lead.captured, _first_invoice(invoices), entity)
    if journey.only_leads:
        return
    for one in journey.opportunities.values():
        if one.opened:
            accepted = [(q.accepted, f"quote:{q.id}", q.where, q.cohort) for q in one.quotes if q.accepted]
            _post(book, "opened_to_accepted", one.opened, _first(accepted), f"opportunity:{one.id}")
            _post(book, "sales_cycle", one.opened, _first_order(one.orders), f"opportunity:{one.id}")
    for order in journey.orders.values():
        if order.live and order.placed:
            _post_order(order, journey, book)


def _post_order(order: Order, journey: Journey, book: Book) -> None:
    quote = journey.quotes.get(order.quote_id or "")
    accepted = quote.accepted if quote else None
    if accepted is None and order.parent:
        accepted = min(
            (one.accepted for one in order.parent.quotes if one.accepted), key=lambda one: one[:4], default=None
        )
    end = _end(order)
    if accepted:
        _post(book, "accepted_to_ordered", accepted, end)
    _post(book, "ordered_to_invoiced", end[0], _first_invoice(order.invoices), end[1])


def _end(order: Order) -> End:
    assert order.placed is not None  # noqa: S101  the callers' condition, for the types
    return order.placed, f"order:{order.id}", order.where, order.cohort


def _first_order(orders: Sequence[Order]) -> End | None:
    return _first([_end(order) for order in orders if order.live])


def _first_invoice(invoices: Sequence[Invoice]) -> End | None:
    return _first(
        [(one.posted, f"invoice:{one.id}", one.where, one.cohort) for one in invoices if one.live and one.posted]
    )


def _first(ends: list[End]) -> End | None:
    return min(ends, key=lambda end: end[0][:4], default=None)


def _post(book: Book, name: str, start: Fact, end: End | None, entity: str | None = None) -> None:
    if end is None:
        return
    mark, ending, where, cohort = end
    day = book.zone.day(mark.micros)
    if mark[:2] < start[:2]:
        book.add(f"{name}.out_of_sequence", entity or ending, where, day, cohort)
        book.flag(f"{name} ends before it starts", entity or ending, where, day, cohort)
    else:
        segment, length = book.segments[where], mark.micros - start.micros
        book.put((name, entity or ending, segment, day, cohort, length, None))


# Percentiles


@lru_cache(maxsize=65_536)
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
            "p50_days": _days(percentile(of, SHARES[0])) if count else None,
            "p90_days": _days(percentile(of, SHARES[1])) if count else None,
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
