"""Opportunities, each as it stands, with a way to its journey."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from service.api import parameters
from service.dashboard import figures
from service.dashboard.desk import Desk
from service.dashboard.language import N_
from service.dashboard.tables import Cell, Column, Line, Table
from service.domain.money import MINOR_DIGITS
from service.projections.reports import opportunities
from service.projections.reports.opportunities import Chosen

STATUSES = {"open": N_("open"), "won": N_("won"), "lost": N_("lost")}

_COLUMNS = (  # label, member of a row, from which width on, whether it is a number
    (N_("Status"), "status", "", False), (N_("Stage"), "stage", "p2", False), (N_("Value"), "value", "", True),
    (N_("Probability"), "probability", "p3", True), (N_("Weighted"), "weighted_value", "p2", True),
    (N_("Expected close"), "expected_close", "p3", True), (N_("Owner"), "owner", "p3", False),
)  # fmt: skip


async def read(desk: Desk, most: int, chosen: Chosen = Chosen(), sort: str = "-value", *, sorts: bool = False) -> Table:
    """Return the opportunities opened in the period, those of the greatest value first."""
    by = sort.removeprefix("-")
    if by not in opportunities.SORTS:
        raise parameters.invalid(
            "deals_sort", f"one of {', '.join(opportunities.SORTS)}, perhaps with - before it", sort
        )
    query = desk.query(figures.report("opportunities"))
    rows, total = await opportunities.read(desk.view, query, chosen, desk.today, desk.service.subjects)
    ordered = opportunities.in_order(rows, by, falling=sort.startswith("-"))
    lines = [_line(desk, row) for row in ordered[:most]]
    value, weighted = [
        Cell(desk.writer.figure(total[name], "money"), desk.entries("opportunities", name), value=total[name])
        for name in ("pipeline_value", "weighted_value")
    ]
    sums = [Cell(), Cell(), value, Cell(), weighted, Cell(), Cell()]
    lines.append(
        Line(Cell(desk.gettext("Total of %(count)s") % {"count": desk.writer.number(total["opened"])}), sums, "total")
    )
    columns = [_column(desk, *one, sort if sorts else "") for one in _COLUMNS]
    note = desk.gettext("opened in the period, as they stand now")
    if len(rows) > most:
        note += "; " + desk.gettext("the %(count)s greatest") % {"count": desk.writer.number(most)}
    head = [_column(desk, N_("Opportunity"), "name", "", False, sort if sorts else "")]
    return Table(desk.gettext("Which deals came of it?"), head, columns, lines, note, name="deals")


def _column(desk: Desk, label: str, member: str, rank: str, numeric: bool, sort: str) -> Column:
    is_sorted, falls = sort.removeprefix("-") == member, sort.startswith("-")
    by = member if is_sorted and falls else f"-{member}"
    href = desk.state.url(deals_sort=by) + "#deals" if sort else None
    direction = "descending" if falls else "ascending"
    return Column(desk.gettext(label), "", numeric, rank, href, direction if is_sorted else None)


def _line(desk: Desk, row: dict[str, Any]) -> Line:
    identity = row["opportunity_id"]
    late = desk.gettext("overdue") if row["overdue"] else ""
    close = desk.writer.day(row["expected_close"]) if row["expected_close"] else "–"
    cells = [
        Cell(desk.gettext(STATUSES[row["status"]])), Cell(row["stage"] or "–", own=True), _money(desk, row["value"]),
        Cell(desk.writer.figure(row["probability"], "ratio", "change")), _money(desk, row["weighted_value"]),
        Cell(close, title=late, tone="bad" if late else ""), Cell(row["owner"] or "–", own=True),
    ]  # fmt: skip
    href = desk.state.url("journey", kind="opportunity", id=identity, sort=None, group_by=None)
    return Line(Cell(row["name"] or identity, href, identity, own=True), cells)


def _money(desk: Desk, minor: int | None) -> Cell:
    if minor is None:
        return Cell("–")
    amount = Decimal(minor).scaleb(-MINOR_DIGITS[desk.writer.currency])
    return Cell(desk.writer.number(amount, 0), value=str(amount), title=desk.writer.exactly(str(amount), "money"))
