"""What changed: two moments of knowing, what moved between them, and the events behind it."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, NamedTuple

from service.api import parameters
from service.dashboard import periods, tables, words
from service.dashboard.desk import Desk
from service.dashboard.labels import called
from service.dashboard.language import N_
from service.dashboard.periods import OWN, Window
from service.dashboard.screen import Screen
from service.dashboard.sections import changed
from service.dashboard.tables import Cell, Column, Line, Table
from service.domain.calendar import parse_period
from service.domain.contributions import REPORTS
from service.projections.reports import restatement
from service.projections.reports.reading import Snapshot

_LAST = (100, 1_000)  # events that may be looked back on
_DAYS = (1, 7, 30)
_LINES, _SENTENCES, _ROWS = 1_000, 12, 200


class Moment(NamedTuple):
    """A moment of knowing in words."""

    position: str
    moment: str


async def build(desk: Desk) -> dict[str, Any]:
    """Put the screen together."""
    zone = desk.view.ledger.timezone
    later = periods.moment_of(desk.state.one("to_as_of") or None, zone, "to_as_of")
    now = await desk.view.at(later)
    asked = periods.moment_of(desk.state.one("from_as_of") or None, zone, "from_as_of")
    if asked is None:
        asked = desk.looked if desk.looked is not None else max(0, now.as_of.position - _LAST[0])
    then = await desk.view.at(asked)
    if then.as_of.position > now.as_of.position:
        raise parameters.invalid("to_as_of", "a moment not before the other one", desk.state.one("to_as_of"))
    rows, lines = await changed.between(desk, then, now, _LINES)
    figure = desk.state.one("measure")
    return {
        "then": _moment(desk, then), "now": _moment(desk, now), "choices": _choices(desk, now),
        "sentences": [] if figure else changed.sentences(desk, rows, lines, _SENTENCES),
        "rows": _table(desk, [row for row in rows if figure in ("", row["measure"])]),
        "lines": await _lines(desk, then, now, figure) if figure and desk.sees_entries else None,
        "crumbs": [(desk.gettext("What changed"), desk.state.url(measure=None, campaign_id=None))] if figure else [],
    }  # fmt: skip


def _moment(desk: Desk, view: Snapshot) -> Moment:
    return Moment(desk.writer.number(view.as_of.position), desk.writer.moment(view.as_of.recorded_at))


def _choices(desk: Desk, now: Snapshot) -> list[tuple[str, str]]:
    """Return moments to look back to, with their URLs."""
    found = []
    if desk.looked is not None:
        found.append(
            (desk.gettext("since you last looked"), desk.state.url(from_as_of=str(desk.looked), to_as_of=None))
        )
    for count in _LAST:
        words_of = desk.gettext("the last %(count)s events") % {"count": desk.writer.number(count)}
        found.append((words_of, desk.state.url(from_as_of=str(max(0, now.as_of.position - count)))))
    for days in _DAYS:
        day = desk.today - timedelta(days=days)
        told = desk.ngettext("since yesterday", "in the last %(count)s days", days) % {
            "count": desk.writer.number(days)
        }
        found.append((told, desk.state.url(from_as_of=day.isoformat())))
    return found


def _table(desk: Desk, rows: list[changed.Row]) -> Table:
    """Return what moved: by campaign, month and figure, then, now, and the difference, which opens to its events."""
    lines = []
    for row in rows[:_ROWS]:
        then, now, moved = (desk.writer.number(words.decimal(row[name])) for name in ("then", "now", "difference"))
        href = desk.state.url(
            measure=row["measure"], campaign_id=row["campaign_id"] or "", **_within(desk, row["month"])
        )
        cells = [
            Cell(called(desk.language, "figure", row["measure"])),
            Cell(then, value=str(row["then"])), Cell(now, value=str(row["now"])),
            Cell(moved, href if desk.sees_entries else None, value=str(row["difference"]), tone=_tone(row["difference"])),
        ]  # fmt: skip
        lines.append(
            Line(
                Cell(desk.campaign(row["campaign_id"]), own=True, note=desk.writer.period(row["month"], "month")), cells
            )
        )
    columns = [
        Column(desk.gettext("Figure"), numeric=False),
        Column(desk.gettext("Then"), rank="p2"), Column(desk.gettext("Later"), rank="p2"), Column(desk.gettext("Difference")),
    ]  # fmt: skip
    note = desk.gettext("the most first, money in %(currency)s before counts") % {"currency": desk.writer.currency}
    if len(rows) > _ROWS:
        told = {"shown": desk.writer.number(_ROWS), "count": desk.writer.number(len(rows))}
        note += "; " + desk.gettext("the first %(shown)s of %(count)s") % told
    return Table(
        desk.gettext("By campaign, month and figure"), [Column(desk.gettext("Campaign"), numeric=False)], columns, lines, note,
        name="restated",
    )  # fmt: skip


def _tone(amount: Any) -> str:
    return "bad" if str(amount).startswith("-") else ""


def _within(desk: Desk, month: str | None) -> dict[str, str]:
    """Return the parameters of a month, as far as it is in the period."""
    if month is None:
        return {}
    since, until = parse_period(month)
    window = desk.within(Window(OWN, since, until))
    return {"period": OWN, "from_": str(window.since), "to": str(window.until)}


async def _lines(desk: Desk, then: Snapshot, now: Snapshot, name: str) -> Table:
    """Return the entries behind the difference of one figure."""
    report = REPORTS["roi"]
    compared = restatement.measures(report, name)
    if not compared:
        raise parameters.invalid("measure", "a figure that is a sum", name)
    query = desk.query(report, "campaign", "month")
    body, _ = await restatement.read(then, now, query, compared, (0, 0), _LINES)
    lines = []
    for line in body["lines"]:
        amount, position = line["amount"], line["event"]["position"]
        reason = words.happened(desk.writer, line["sentence"].partition(" because ")[2])
        cells = [
            Cell(reason, note=words.why(desk.writer, line["why"]), own=True),
            Cell(desk.writer.number(words.decimal(amount)), value=str(amount), tone=_tone(amount)),
            tables.event_cell(desk, position, line["event"]["type"]),
        ]  # fmt: skip
        lines.append(Line(Cell(desk.writer.day(line["day"]) if line["day"] else desk.gettext("no day")), cells))
    total = body["total"][name]["difference"]
    told = Cell(desk.writer.number(words.decimal(total)), value=str(total), tone=_tone(total))
    lines.append(Line(Cell(desk.gettext("Difference")), [Cell(), told, Cell()], "total"))
    columns = [
        Column(desk.gettext("Why"), numeric=False),
        Column(desk.gettext("Amount")),
        Column(desk.gettext("Event")),
    ]
    return Table(
        desk.gettext("The events behind it"), [Column(desk.gettext("Day"), numeric=False)], columns, lines,
        called(desk.language, "figure", name), name="entries",
    )  # fmt: skip


SCREENS = [
    Screen(
        "changed", N_("What changed between two moments of knowing?"), "changed.html", build, N_("What changed"), 6,
        controls=("moments", "period", "basis"),
    )
]  # fmt: skip
