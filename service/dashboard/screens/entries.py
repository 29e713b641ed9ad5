"""Entries: what makes up a figure? Their sum stands on top, and is the figure."""

from __future__ import annotations

from typing import Any, NamedTuple

from service.api import parameters, reports
from service.dashboard import data, figures, words
from service.dashboard.desk import Desk
from service.dashboard.labels import called
from service.dashboard.language import N_
from service.dashboard.screen import Screen
from service.dashboard.tables import Cell, Column, Line, Table, event_cell, value_of
from service.domain.contributions import REPORTS, UNITS
from service.domain.figures import Formula
from service.domain.report import Report
from service.domain.reports import attribution
from service.domain.units import COUNT, MONEY
from service.projections.reports import entries, timeline

_PAGE = 100


class Part(NamedTuple):
    """A sum that a figure is made of, with the entries that it opens to."""

    label: str
    name: str
    sum: str
    exact: str
    value: str
    href: str | None


async def build(desk: Desk) -> dict[str, Any]:
    """Put the screen together."""
    report = await _report(desk)
    name = desk.state.one("measure") or next(iter(report.figures))
    made_of, figure = report.additive(name), report.figures.get(name)
    if made_of is None:
        raise parameters.invalid("measure", f"one of {', '.join(report.figures)}", name)
    query = desk.query(report, "campaign")
    reports.check_opened(report, query, made_of)
    after = reports.read_place(desk.state.one("after"))
    opened = await entries.asked(desk.view, query, report, name, desk.local)
    body, following = await entries.read(desk.view, opened, after, _PAGE)
    total = await desk.total(report, basis="cohort" if isinstance(figure, Formula) else None) if figure else {}
    value = value_of(total, name, report) if figure else None
    unit = figure.unit if figure else UNITS.get(name, COUNT)
    mark = reports.mark(following)
    return {
        "crumbs": [(desk.gettext("Campaigns"), desk.state.url("campaigns", report=None, measure=None))],
        "label": called(desk.language, "figure", name), "formula": figure.formula if figure else "", "figure": figure,
        "value": desk.writer.exactly(body["sum"] if body["sum"] is not None else value, unit, name),
        "is_sum": body["sum"] is not None, "made_of": _parts(desk, report, body), "reason": _reason(body, total, name),
        "count": None if body["count"] is None else desk.writer.number(body["count"]),
        "table": _table(desk, body, data.entries(desk, report, name)),
        "more": None if mark is None else desk.state.url(after=mark, as_of=str(desk.view.as_of.position)),
    }  # fmt: skip


async def _report(desk: Desk) -> Report:
    name = desk.state.one("report", "roi")
    if name not in REPORTS:
        raise parameters.invalid("report", f"one of {', '.join(REPORTS)}", name)
    report = figures.report(name)
    return attribution.by_models((await desk.view.models()).models()) if report.keyed else report


def _reason(body: dict[str, Any], total: dict[str, Any], name: str) -> str:
    """Return why a figure is not known."""
    reasons = {**total.get("reasons", {}), **body.get("reasons", {})}
    found: str = reasons.get(name) or reasons.get(name.rpartition(".")[0], "")
    return found


def _parts(desk: Desk, report: Report, body: dict[str, Any]) -> list[Part]:
    found = []
    for name, amount in (body.get("sums") or {}).items():
        figure = report.figures.get(name)
        unit = figure.unit if figure else UNITS.get(name, MONEY)
        exact = desk.writer.exactly(amount, unit)
        href = desk.entries(report.name, name)
        found.append(
            Part(
                called(desk.language, "figure", name),
                name,
                desk.writer.figure(amount, unit, name),
                exact,
                str(amount),
                href,
            )
        )
    return found


def _table(desk: Desk, body: dict[str, Any], files: list[tuple[str, str]]) -> Table:
    measures = {one["measure"] for one in body["entries"]}
    lines = []
    for one in body["entries"]:
        campaign, event, amount = one["campaign_id"], one["event"], one["amount"]
        shown = (
            desk.writer.number(words.decimal(one["days"]), 4)
            if "days" in one
            else desk.writer.number(words.decimal(amount))
        )
        cells = [
            _entity(desk, one),
            Cell(desk.campaign(campaign), own=True),
            Cell(shown, value=str(amount), title=_original(desk, one), tone="bad" if str(amount).startswith("-") else ""),
            event_cell(desk, event["position"], event["type"]),
        ]  # fmt: skip
        if len(measures) > 1:
            cells.insert(0, Cell(called(desk.language, "figure", one["measure"])))
        lines.append(Line(Cell(desk.writer.day(one["day"]) if one["day"] else desk.gettext("no day")), cells))
    columns = [
        Column(desk.gettext("Of, and why"), numeric=False),
        Column(desk.gettext("Campaign"), numeric=False, rank="p2"), Column(desk.gettext("Amount")),
        Column(desk.gettext("Event"), desk.gettext("its position in the log")),
    ]  # fmt: skip
    if len(measures) > 1:
        columns.insert(0, Column(desk.gettext("Measure"), numeric=False, rank="p2"))
    note = desk.gettext("in %(currency)s, in the order in which they were recorded") % {
        "currency": desk.writer.currency
    }
    head = [Column(desk.gettext("Day"), numeric=False)]
    return Table(desk.gettext("Entries"), head, columns, lines, note, downloads=files, name="entries")


def _original(desk: Desk, entry: dict[str, Any]) -> str:
    """Say in which currency an amount was, and at which rate it is told here."""
    if "original" not in entry:
        return ""
    told = desk.money(entry["original"]["amount"], entry["original"]["currency"], cents=True)
    rate = {"amount": told, "rate": entry["rate"], "day": desk.writer.day(entry["rate_day"])}
    return desk.gettext("%(amount)s at a rate of %(rate)s of %(day)s") % rate


def _entity(desk: Desk, entry: dict[str, Any]) -> Cell:
    kind, identity = entry["entity"]["kind"], entry["entity"]["id"]
    href = desk.state.url("journey", kind=kind, id=identity) if kind in timeline.KINDS else None
    return Cell(
        f"{called(desk.language, 'kind', kind)} {identity}", href, own=True, note=words.why(desk.writer, entry["why"])
    )


SCREENS = [
    Screen(
        "entries", N_("What makes up this figure?"), "entries.html", build, scope="read",
        controls=("period", "basis", "as_of", "filters"), above="campaigns",
    )
]  # fmt: skip
