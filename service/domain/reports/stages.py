"""Stages (REPORTS section 3): how far opportunities get from each, how long they stay, and what is in it.

An opportunity counts in every stage that it ever entered, and in all of them together once (`stages.once`).
"""

from __future__ import annotations

from collections.abc import Iterator

from service.domain.components.entities import Opportunity
from service.domain.cubes import Cube, Dimensions, Posts
from service.domain.durations import SHARES
from service.domain.facets import Facets
from service.domain.facts import Fact
from service.domain.figures import Mean, Percentile, quotient, total
from service.domain.money import money_of
from service.domain.postings import Book, Remainder
from service.domain.report import Report
from service.domain.reports.conversion import decided_by, outcome_of
from service.domain.units import COUNT, DAYS, MONEY

STAGES = Cube("stages", by=(*Dimensions._fields, "account", "stage"))
VISIT = "stages.visit"
_COUNTS = ("entered", "moved_on", "won", "lost", "open")


def contribute_opportunity(one: Opportunity, book: Book) -> None:
    """Post an opened opportunity under each stage that it ever entered, and once under none."""
    entered = [*one.entered()][::-1]
    if one.opened is None or not entered:
        return
    opened, outcome = book.zone.day(one.opened.micros), outcome_of(one)[0]
    names = [*dict.fromkeys(fact.data["stage"] for fact in entered)]
    orders = {name: book.order(name) for name in names}
    furthest = max((order for order in orders.values() if order is not None), default=None)
    for name in names:
        order = orders[name]
        further = order is not None and furthest is not None and order < furthest
        _post(one, book, opened, outcome, name, moved_on=further or outcome == "won")
    further = len({order for order in orders.values() if order is not None}) > 1
    _post(one, book, opened, outcome, None, moved_on=further or outcome == "won")
    for fact, end in _visits(entered, decided_by(one)):
        place = (one.name, _segment(one, book, fact.data["stage"]), opened, opened)
        book.put((VISIT, *place, end.micros - fact.micros, None))


def _post(one: Opportunity, book: Book, opened: int, outcome: str, stage: str | None, *, moved_on: bool) -> None:
    """Post an opportunity under a stage; under none, to the measures of what counts once."""
    segment, prefix = _segment(one, book, stage), "stages" if stage is not None else "stages.once"
    for measure in ("entered", outcome, *(["moved_on"] if moved_on else [])):
        book.put((f"{prefix}.{measure}", one.name, segment, opened, opened, None, None))
    if outcome == "open" and one.estimate is not None:
        estimate = money_of(one.estimate.data["estimated_value"])
        left = Remainder(book, estimate.currency, opened)
        left.post({f"{prefix}.open_value": 1}, one.name, one.where, opened, opened, estimate.minor, segment)


def _visits(entered: list[Fact], decided: Fact | None) -> Iterator[tuple[Fact, Fact]]:
    """Yield (beginning, end) of each visit to a stage that has ended: with the next stage, or the outcome if that is between."""
    for fact, following in zip(entered, [*entered[1:], None], strict=True):
        ends = [one for one in (following, decided) if one is not None and one[:4] > fact[:4]]
        if ends:
            yield fact, min(ends)


def _segment(one: Opportunity, book: Book, stage: str | None) -> int:
    return book.at(STAGES, **one.where._asdict(), account=book.account(one.account), stage=stage)


# The figures

_ENTERED = "opportunities opened in the window that ever entered the stage"
POSTS = Posts(
    STAGES,
    counts=tuple(f"{prefix}.{one}" for prefix in ("stages", "stages.once") for one in _COUNTS),
    money=("stages.open_value", "stages.once.open_value"),
    durations=(VISIT,),
    rules={"opportunity": contribute_opportunity},
)

REPORT = Report(
    "stages",
    "How far do opportunities get from each stage, and how long do they stay in it?",
    STAGES,
    {
        "entered": total("stages.once.entered", COUNT, _ENTERED),
        "moved_on": total("stages.once.moved_on", COUNT, "those that ever entered one with a greater order, or are won"),
        "won": total("stages.once.won", COUNT, "those that are won"),
        "lost": total("stages.once.lost", COUNT, "those that are lost"),
        "open": total("stages.once.open", COUNT, "those that are open"),
        "rate_on": quotient("moved_on", "entered"),
        "win_rate": quotient("won", "won + lost"),
        "mean_days": Mean(unit=DAYS, of=VISIT, definition="mean length of a visit to the stage", note="of those that ended"),
        "p50_days": Percentile(unit=DAYS, of=VISIT, share=SHARES[0], definition="median length of a visit"),
        "p90_days": Percentile(unit=DAYS, of=VISIT, share=SHARES[1], definition="90th percentile length of a visit"),
        "open_value": total("stages.once.open_value", MONEY, "Σ value of the open ones", "wherever they stand"),
    },
    group_by="stage",
    facets=Facets({"stage": ("stage",)}, {f"stages.once.{one}": f"stages.{one}" for one in (*_COUNTS, "open_value")}),
    notes=("In the total, and in rows that are not by stage, an opportunity counts once.",),
)  # fmt: skip
