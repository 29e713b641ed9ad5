"""The revenue performance figures of a cohort of leads: what they are worth by stage, and what the database is worth."""

from __future__ import annotations

from decimal import Decimal
from typing import NamedTuple

from service.dashboard.desk import Desk
from service.dashboard.labels import STEPS, called
from service.dashboard.tables import Cell, Column, Line, Table
from service.domain.contributions import REPORTS


class Performance(NamedTuple):
    """What leads are worth by stage, and figures of all of them: (label, value, reason)."""

    table: Table
    figures: list[tuple[str, str, str]]


async def read(desk: Desk) -> Performance | None:
    """Return them for the leads captured in the period; None where a filter is in force that the report lacks."""
    report = REPORTS["revenue-performance"]
    if desk.lacks(report):
        return None
    total = await desk.total(report)
    lines = []
    for step in STEPS:
        of = total["value"][step]
        each = of["value_per_lead"]
        cells = [
            Cell(desk.writer.number(of["leads"]), value=str(of["leads"])),
            Cell(desk.writer.number(of["standing"]), value=str(of["standing"])),
            Cell("–" if each is None else desk.writer.number(Decimal(each), 0), value=each),
        ]  # fmt: skip
        lines.append(Line(Cell(called(desk.language, "step", step)), cells))
    columns = [
        Column(desk.gettext("Leads")),
        Column(desk.gettext("Standing there")),
        Column(desk.gettext("Value of each")),
    ]
    head = [Column(desk.gettext("Step"), numeric=False)]
    note = desk.gettext("booked revenue of those captured, per lead that got so far")
    table = Table(desk.gettext("What is a lead worth?"), head, columns, lines, note, name="performance")
    reasons, velocity, roi = total["reasons"], total["velocity"], total["roi"]
    figures = [
        (desk.gettext("Database value"), desk.money(total["database_value"]), reasons.get("database_value", "")),
        *(
            (called(desk.language, "duration", name), desk.writer.figure(velocity[name]["mean_days"], "days"), "")
            for name in ("captured_to_qualified", "full_cycle", "lead_to_cash")
        ),
        (
            called(desk.language, "figure", "roas"),
            desk.writer.figure(roi["roas"], "ratio", "roas"),
            reasons.get("roi.roas", ""),
        ),
    ]
    return Performance(table, figures)
