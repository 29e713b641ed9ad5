"""The one filter bar: what a screen is of can be chosen there, and nowhere else."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import date
from itertools import groupby
from typing import NamedTuple

from service.dashboard import periods
from service.dashboard.desk import Desk
from service.dashboard.labels import RETURNS, called
from service.dashboard.language import N_
from service.dashboard.screen import Screen
from service.dashboard.state import ANY, COMPARED

_RELATIVE = {
    "ytd": N_("This year so far"),
    "12m": N_("Last 12 months"),
    "all": N_("All time"),
    "custom": N_("Own days …"),
}
_COMPARED = {"year": N_("year before"), "previous": N_("period before"), "none": N_("nothing")}
_BASES = {"event": N_("each its own"), "cohort": N_("that of its lead")}
_OFFERED = ("campaign_type", "channel")  # filters with all of their values to choose from


class Option(NamedTuple):
    """Something to choose; `group` is what it stands under."""

    value: str
    label: str
    chosen: bool
    group: str = ""


@dataclass
class Control:
    """A field of the bar."""

    name: str
    label: str
    options: list[Option] = field(default_factory=list)
    value: str = ""
    kind: str = "select"

    @property
    def grouped(self) -> list[tuple[str, list[Option]]]:
        """Its options by what they stand under."""
        return [(name, list(options)) for name, options in groupby(self.options, lambda one: one.group)]


class Chip(NamedTuple):
    """A filter that is in force, and the URL without it."""

    label: str
    href: str


class Bar(NamedTuple):
    """The bar: its fields, what the form carries along, the filters in force, and the URL that pins the position."""

    controls: list[Control]
    hidden: list[tuple[str, str]]
    chips: list[Chip]
    pin: str | None
    unpin: str | None
    told: str  # what is chosen, in words, for print


async def of(desk: Desk, screen: Screen) -> Bar:
    """Return the bar of a screen."""
    controls = [control for name in screen.controls for control in await _controls(desk, name)]
    if screen.groups:
        controls.insert(min(2, len(controls)), _groups(desk, screen))
    names = {control.name for control in controls}
    chips = [] if "filters" not in screen.controls else await _chips(desk, names)
    pinned = desk.state.one("as_of")
    return Bar(
        controls, desk.state.hidden(*names), chips, None if pinned else _pin(desk),
        desk.state.url(as_of=None) if pinned else None, "; ".join(_told(desk, controls)),
    )  # fmt: skip


async def _controls(desk: Desk, name: str) -> list[Control]:
    """Return the fields that a control of a screen has."""
    if name == "filters":
        return [await _filter(desk, one) for one in _OFFERED]
    return _CONTROLS[name](desk)


def _basis(desk: Desk) -> list[Control]:
    options = [Option(one, desk.gettext(words), one == desk.state.basis) for one, words in _BASES.items()]
    return [Control("date_basis", desk.gettext("Days"), options)]


def _returns(desk: Desk) -> list[Control]:
    options = [Option(one, called(desk.language, "return", one), one == desk.returns) for one in RETURNS]
    return [Control("return", desk.gettext("Return"), options)]


def _moment(desk: Desk, name: str, label: str) -> Control:
    """Return the field of a moment of knowing: a day, or the position or time that a link has."""
    asked = desk.state.one(name)
    is_day = not asked or len(asked) == len("2026-01-01")
    return Control(name, label, value=asked, kind="date" if is_day else "pinned")


def _periods(desk: Desk) -> list[Control]:
    window = desk.window
    offered = [*periods.offered(desk.today, desk.years, window), "custom"]
    options = [Option(one, *_period(desk, one, chosen=one == window.period)) for one in offered]
    found = [Control("period", desk.gettext("Period"), options)]
    if window.period == "custom":
        for name, label, day in (
            ("from", desk.gettext("From"), window.since),
            ("to", desk.gettext("To, not with it"), window.until),
        ):
            found.append(Control(name, label, value=day.isoformat() if day else "", kind="date"))
    return found


def _period(desk: Desk, period: str, *, chosen: bool) -> tuple[str, bool, str]:
    """Return how a period is called, whether it is chosen, and what it stands under."""
    if period in _RELATIVE:
        return desk.gettext(_RELATIVE[period]), chosen, ""
    year, _, part = period.partition("-")
    grain = "year" if not part else "quarter" if part.startswith("Q") else "month"
    return desk.writer.period(period, grain), chosen, desk.gettext("Years") if grain == "year" else year


def _compared(desk: Desk) -> Control:
    asked = desk.state.one("compare", "year")
    options = [Option(one, desk.gettext(_COMPARED[one]), one == asked) for one in COMPARED]
    if asked not in COMPARED:
        options.append(
            Option(asked, days(desk, desk.other.since, desk.other.until) if desk.other else asked, chosen=True)
        )
    return Control("compare", desk.gettext("Compared with"), options)


def _groups(desk: Desk, screen: Screen) -> Control:
    asked = desk.state.among("group_by", screen.groups, screen.groups[0])
    options = [Option(one, _grouped(desk, one), one == asked) for one in screen.groups]
    return Control("group_by", desk.gettext("Rows by"), options)


_CONTROLS: dict[str, Callable[[Desk], list[Control]]] = {
    "period": _periods, "compare": lambda desk: [_compared(desk)] if desk.window.bounded else [], "basis": _basis,
    "return": _returns, "as_of": lambda desk: [_moment(desk, "as_of", desk.gettext("As known on"))],
    "moments": lambda desk: [
        _moment(desk, "from_as_of", desk.gettext("Known then")), _moment(desk, "to_as_of", desk.gettext("Known later"))
    ],
}  # fmt: skip


async def _filter(desk: Desk, name: str) -> Control:
    known = await desk.campaigns()
    values = sorted({str(one[name]) for one in known.values() if one.get(name)})
    chosen = desk.state.filters.get(name, ())
    options = [Option(ANY, desk.gettext("all"), not chosen), *(Option(one, one, chosen == (one,)) for one in values)]
    if chosen and chosen not in [(one,) for one in values]:
        options.append(Option(chosen[-1], ", ".join(chosen) or desk.gettext("without one"), chosen=True))
    return Control(name, called(desk.language, "group", name), options)


def _grouped(desk: Desk, groups: str) -> str:
    return " × ".join(called(desk.language, "group", one) for one in groups.split(","))


async def _chips(desk: Desk, shown: Iterable[str]) -> list[Chip]:
    found = []
    names = await desk.names()
    for name, values in desk.state.filters.items():
        if name in shown:
            continue
        group = "campaign" if name == "campaign_id" else name
        told = [names.get(one, one) if group in ("campaign", "parent") else one for one in values]
        words = ", ".join(one or desk.gettext("without one") for one in told)
        found.append(Chip(f"{called(desk.language, 'group', group)}: {words}", desk.state.url(**{name: None})))
    return found


def _pin(desk: Desk) -> str:
    """Return the URL that shows the same whatever comes: the days that are meant now, and the position."""
    window = desk.window
    days_of = {"period": "custom", "from": window.since, "to": window.until}
    fixed = {name: None if value is None else str(value) for name, value in days_of.items()}
    return desk.state.url(**(fixed if window.period in ("ytd", "12m") else {}), as_of=str(desk.view.as_of.position))


def days(desk: Desk, since: date | None, until: date | None) -> str:
    """Return a window in words: its first and its last day."""
    last = periods.Window("", since, until).last
    if since is None and last is None:
        return desk.gettext("all time")
    return f"{desk.writer.day(since) if since else '…'} – {desk.writer.day(last) if last else '…'}"


def _told(desk: Desk, controls: Iterable[Control]) -> Iterable[str]:
    """Say what is chosen, control by control."""
    for control in controls:
        chosen = next((one.label for one in control.options if one.chosen), control.value)
        if control.name == "period":
            chosen = days(desk, desk.window.since, desk.window.until)
        if chosen and control.name not in ("from", "to"):
            yield f"{control.label}: {chosen}"
