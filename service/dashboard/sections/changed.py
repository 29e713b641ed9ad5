"""What changed since the reader last looked: the largest restatements, in sentences."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any, NamedTuple

from service.dashboard import words
from service.dashboard.desk import Desk
from service.dashboard.labels import called
from service.domain.contributions import REPORTS, UNITS
from service.domain.units import MONEY
from service.projections.reports import restatement
from service.projections.reports.reading import Snapshot

_SHOWN = 8  # sentences
_LINES = 400  # entries that reasons are looked for in
Row = Mapping[str, Any]


class Sentence(NamedTuple):
    """What moved, in words, and where that is told in full."""

    text: str
    href: str | None


class Changed(NamedTuple):
    """Since when, what moved in sentences, and where all of it is; `since` is None for who looks for the first time."""

    since: str | None
    moment: str
    sentences: list[Sentence]
    told: str
    href: str


async def read(desk: Desk) -> Changed | None:
    """Return what changed in the figures of the period; None where an earlier moment is looked at."""
    if not desk.view.current:
        return None
    href = desk.state.url("changed", sort=None, group_by=None)
    if desk.looked is None:
        return Changed(None, "", [], "", href)
    then = await desk.view.at(min(desk.looked, desk.view.as_of.position))
    href = desk.state.url("changed", from_as_of=str(then.as_of.position), sort=None, group_by=None)
    rows, lines = await between(desk, then, desk.view)
    told = sentences(desk, rows, lines, _SHOWN)
    count = desk.ngettext("one figure moved", "%(count)s figures moved", len(rows)) % {
        "count": desk.writer.number(len(rows))
    }
    since = desk.writer.number(then.as_of.position)
    return Changed(since, desk.writer.moment(then.as_of.recorded_at), told, count if rows else "", href)


async def between(desk: Desk, then: Snapshot, now: Snapshot, limit: int = _LINES) -> tuple[list[Row], list[Row]]:
    """Return what of ROI moved between two moments, by campaign and month, the most first, and the entries behind it."""
    if then.as_of.position >= now.as_of.position:
        return [], []
    report = REPORTS["roi"]
    query = desk.query(report, "campaign", "month")
    compared = restatement.measures(report, None, query.group_by)
    body, _ = await restatement.read(then, now, query, compared, (0, 0), limit)
    rows: list[Row] = sorted(
        body["rows"], key=lambda row: -abs(Decimal(str(row["difference"]))) * _weight(row["measure"])
    )
    return rows, body["lines"]


def _weight(measure: str) -> int:
    """Money comes before counts."""
    return 1_000_000 if UNITS.get(measure) == MONEY else 1


def sentences(desk: Desk, rows: Iterable[Row], lines: Iterable[Row], most: int) -> list[Sentence]:
    """Say what moved most, and why; costs of goods move with the invoices that state them."""
    reasons: dict[tuple[Any, ...], dict[int, str]] = {}
    for line in lines:
        key = (line["campaign_id"], line.get("month"), line["measure"])
        reasons.setdefault(key, {})[line["event"]["position"]] = line["sentence"].partition(" because ")[2]
    told = [row for row in rows if row["measure"] != "cogs"][:most]
    return [_sentence(desk, row, reasons.get(_key(row), {})) for row in told]


def _key(row: Row) -> tuple[Any, ...]:
    figure = REPORTS["roi"].figures[row["measure"]]
    (measure,) = getattr(figure, "of", {row["measure"]: 1})
    return row["campaign_id"], row["month"], measure


def _sentence(desk: Desk, row: Row, reasons: Mapping[int, str]) -> Sentence:
    unit = REPORTS["roi"].figures[row["measure"]].unit
    moved, writer = Decimal(str(row["difference"])), desk.writer
    amount = writer.money(abs(moved), cents=True) if unit == MONEY else writer.number(abs(moved))
    told = {
        "period": writer.period(row["month"], "month") if row["month"] else desk.gettext("no day"),
        "campaign": desk.campaign(row["campaign_id"]),
        "figure": called(desk.language, "figure", row["measure"]), "amount": f"{'−' if moved < 0 else '+'}{amount}",
    }  # fmt: skip
    text = desk.gettext("%(period)s, %(campaign)s: %(figure)s %(amount)s") % told
    if len(reasons) == 1:
        ((position, reason),) = reasons.items()
        because = desk.gettext("because %(reason)s") % {"reason": words.happened(writer, reason)}
        href = desk.state.url("event", position=str(position), sort=None, group_by=None) if desk.sees_entries else None
        return Sentence(f"{text} {because}", href)
    if reasons:
        because = desk.gettext("because of %(count)s events") % {"count": writer.number(len(reasons))}
        return Sentence(f"{text} {because}", None)
    return Sentence(text, None)
