"""Service (REPORTS section 3): cases, how long they take, and how content customers are."""

from __future__ import annotations

from decimal import Decimal

from service.domain.components.cases import Case, Step
from service.domain.cubes import Cube, Posts
from service.domain.durations import SHARES
from service.domain.figures import Mean, Percentile, quotient, total
from service.domain.postings import Book
from service.domain.report import Report
from service.domain.standing import Stock
from service.domain.units import COUNT, HOURS, NUMBER

CASES = Cube("cases", by=("owner",))
_SATISFIED = 4  # of 5
_TIME = "resolution_time"


def contribute_case(one: Case, book: Book) -> None:
    """A case counts on the day of its first opening, once it is resolved on that of its last resolution, and when scored."""
    if one.opened is not None:
        opened = _day(one.opened.micros, book)
        _put(book, "cases.opened", one, opened)
        if one.open:
            _put(book, "cases.open", one, opened)
    if one.resolved is not None and not one.open:
        resolved = _day(one.resolved.micros, book)
        _put(book, "cases.resolved", one, resolved)
        if one.opened is not None:
            _put(book, _TIME, one, resolved, value=one.resolved.micros - one.opened.micros)
            if _day(one.opened.micros, book) == resolved:
                _put(book, "cases.same_day", one, resolved)
    if one.scored is not None:
        score, day = Decimal(one.scored.data["score"]), _day(one.scored.micros, book)
        _put(book, "csat.count", one, day)
        _put(book, "csat.score", one, day, int(score * 1_000_000))
        if score >= _SATISFIED:
            _put(book, "csat.satisfied", one, day)


def contribute_step(one: Step, book: Book) -> None:
    """An opening after a resolution counts on its day, and so does each change from open to not open and back."""
    day = _day(one.fact.micros, book)
    if one.reopens:
        _put(book, "cases.reopened", one.of, day)
    if one.opens != one.from_open:
        _put(book, "cases.backlog", one.of, day, 1 if one.opens else -1)


def _day(micros: int, book: Book) -> int:
    return book.zone.day(micros)


def _put(book: Book, measure: str, case: Case, day: int, amount: int = 1, value: int | None = None) -> None:
    book.put((measure, case.name, book.at(CASES, owner=case.agent), day, day, value, None), amount)


POSTS = Posts(
    CASES,
    rules={"case": contribute_case, "case_step": contribute_step},
    counts=(
        "cases.opened", "cases.open", "cases.resolved", "cases.same_day", "cases.reopened", "cases.backlog", "csat.count",
        "csat.satisfied",
    ),
    numbers=("csat.score",),
    durations=(_TIME,),
)  # fmt: skip

REPORT = Report(
    "service",
    "How many cases come in and are resolved, how fast, and how content are customers?",
    CASES,
    {
        "opened": total("cases.opened", COUNT, "cases, on the day of their first opening"),
        "resolved": total("cases.resolved", COUNT, "cases whose last event is a resolution, on its day"),
        "reopened": total("cases.reopened", COUNT, "openings after a resolution, on their own day"),
        "open": total("cases.open", COUNT, "cases opened in the window that are open now"),
        "backlog": Stock(
            unit=COUNT, of={"cases.backlog": 1}, definition="cases that are open when the period, or the window, ends",
            note="without `to`, periods end with the last in which anything happens",
        ),
        "same_day": total("cases.same_day", COUNT, "cases first opened and last resolved on one day"),
        "same_day_rate": quotient("same_day", "resolved"),
        "mean_hours": Mean(unit=HOURS, of=_TIME, definition="first opening to last resolution"),
        "p50_hours": Percentile(
            unit=HOURS, of=_TIME, share=SHARES[0], definition="median time from first opening to last resolution"
        ),
        "p90_hours": Percentile(
            unit=HOURS, of=_TIME, share=SHARES[1], definition="90th percentile from first opening to last resolution"
        ),
        "csat_count": total("csat.count", COUNT, "cases scored, on the day of their last score"),
        "csat_mean": quotient("csat.score", "csat_count", NUMBER, note="from 1 to 5"),
        "csat_satisfied": quotient("csat.satisfied", "csat_count", note="scores from 4 on"),
    },
    group_by="owner",
)  # fmt: skip
