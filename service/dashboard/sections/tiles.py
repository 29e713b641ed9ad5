"""Six tiles: what a period came to, how that changed, and how it went from month to month."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from markupsafe import Markup

from service.charts import bars
from service.dashboard import figures
from service.dashboard.desk import Desk
from service.dashboard.labels import called
from service.dashboard.tables import value_of
from service.domain.units import MONEY
from service.projections.reports import comparison

_RISING_IS_BAD = ("actual_cost", "cac")
_MOST_MONTHS = 24


@dataclass
class Tile:
    """One figure in large: what it is, with what is to be known beside it, and its way since."""

    label: str
    figure: str
    href: str | None
    exact: str
    beside: str
    change: str = ""
    tone: str = ""
    against: str = ""
    picture: Markup | None = None
    reason: str = ""


async def read(desk: Desk, now: dict[str, Any]) -> list[Tile]:
    """Return the tiles of a period, of which `now` is the total of ROI."""
    wanted = ("actual_cost", "invoiced_revenue", "gross_margin", f"roi.{desk.returns}", "new_customers")
    months = await _months(desk, wanted)
    before = await desk.total("roi", desk.other) if desk.other else None
    changes = comparison.changes(figures.report("roi"), now, before) if before else {}
    speed = figures.some_of("velocity", "pipeline_velocity", "sales_cycle.mean_days")
    velocity = await desk.total(speed, basis="cohort")
    velocity_before = await desk.total(speed, desk.other, basis="cohort") if desk.other else None
    if velocity_before:
        changes |= comparison.changes(speed, velocity, velocity_before)
    beside = {
        "actual_cost": _budget(desk, now), "invoiced_revenue": _credited(desk, now), "gross_margin": _coverage(desk, now),
        f"roi.{desk.returns}": desk.gettext("break-even is at zero"),
        "new_customers": desk.gettext("CAC %(amount)s") % {"amount": desk.money(now["cac"])} if now["cac"] else "",
    }  # fmt: skip
    found = [
        _tile(desk, "roi", name, now, before, changes.get(name), beside[name], months.get(name)) for name in wanted
    ]
    told = await _cycle(desk, velocity)
    name = "pipeline_velocity"
    found.append(_tile(desk, "velocity", name, velocity, velocity_before, changes.get(name), told, None))
    return found


def _tile(
    desk: Desk, report: str, name: str, now: dict[str, Any], before: dict[str, Any] | None, change: dict[str, Any] | None,
    beside: str, months: list[float | None] | None,
) -> Tile:  # fmt: skip
    figure, value = figures.report(report).figures[name], value_of(now, name)
    large = desk.money(value) if figure.unit == MONEY else desk.writer.figure(value, figure.unit, name)
    if name == "pipeline_velocity" and value is not None:
        large = desk.gettext("%(amount)s/day") % {"amount": large}
    was = None if before is None else value_of(before, name)
    tile = Tile(
        called(desk.language, "figure", name), large, desk.entries(report, name),
        desk.writer.exactly(value, figure.unit, name), beside,
        reason=now["reasons"].get(name, "") if value is None else "",
    )  # fmt: skip
    if change and change["absolute"] is not None and (Decimal(str(value)) or Decimal(str(was))):
        tile.change, tile.tone = _change(desk, name, figure.unit, change)
        against = desk.money(was) if figure.unit == MONEY else desk.writer.figure(was, figure.unit, name)
        tile.against = desk.gettext("against %(amount)s") % {"amount": against}
    if months and len(months) > 1:
        tile.picture = Markup(bars.spark(months, "cost" if name == "actual_cost" else "good"))  # noqa: S704  charts escape
    return tile


def _change(desk: Desk, name: str, unit: str, change: dict[str, Any]) -> tuple[str, str]:
    """Return how far a figure went in words, and whether that is good or bad."""
    moved = Decimal(str(change["absolute"]))
    if moved == 0:
        return desk.gettext("unchanged"), ""
    arrow = "▲" if moved > 0 else "▼"
    tone = "good" if (moved > 0) != (name in _RISING_IS_BAD) else "bad"
    if unit == "ratio":
        points = desk.writer.number(moved * 100, 0).lstrip("\N{MINUS SIGN}")
        told = desk.gettext("%(count)s points") % {"count": points}
        return f"{arrow} {told}", tone
    if change["relative"] is not None:
        return f"{arrow} {desk.writer.ratio(abs(change['relative']), 'change')}", tone
    return f"{arrow} {desk.writer.figure(str(abs(moved)), unit)}", tone


def _budget(desk: Desk, now: dict[str, Any]) -> str:
    if Decimal(now["budget"]) == 0:
        return desk.gettext("no budget set")
    return desk.gettext("budget %(amount)s, not cut to the period") % {"amount": desk.money(now["budget"])}


def _credited(desk: Desk, now: dict[str, Any]) -> str:
    return desk.gettext("after %(amount)s credited") % {"amount": desk.money(now["credited"])}


def _coverage(desk: Desk, now: dict[str, Any]) -> str:
    if now["margin_coverage"] is None:
        return ""
    share = desk.writer.ratio(now["margin_coverage"], "margin_coverage")
    return desk.gettext("cost of goods known for %(share)s") % {"share": share}


async def _cycle(desk: Desk, velocity: dict[str, Any]) -> str:
    days = velocity["sales_cycle"]["mean_days"]
    if days is None:
        return ""
    return desk.gettext("sales cycle %(days)s days") % {"days": desk.writer.number(Decimal(str(days)), 1)}


async def _months(desk: Desk, wanted: tuple[str, ...]) -> dict[str, list[float | None]]:
    """Return how figures went from month to month, oldest first: the last two years of the period at most."""
    answer = await desk.report(figures.some_of("roi", *wanted), "month")
    rows = [row for row in answer.rows if row["month"] is not None][-_MOST_MONTHS:]
    return {name: [None if (value := value_of(row, name)) is None else float(value) for row in rows] for name in wanted}
