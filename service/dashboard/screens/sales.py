"""Sales: what is in the pipeline, where does it stand, and who does what?"""

from __future__ import annotations

from typing import Any

from service.api import parameters
from service.dashboard.desk import Desk
from service.dashboard.language import N_
from service.dashboard.periods import Window
from service.dashboard.screen import WITHOUT_RETURN, Screen
from service.dashboard.sections import deals, panel
from service.dashboard.tables import Shown, Table
from service.projections.reports.opportunities import Chosen

_GROUPS = ("owner", "team", "region", "stage", "campaign", "channel", "account", "lost_reason", "month", "quarter")
_DEALS = 50
_FROM_NOW_ON = Window("all", None, None)  # which these reports take for their own usual one


async def build(desk: Desk) -> dict[str, Any]:
    """Put the screen together."""
    first = [await one(desk) for one in (_pipeline, _forecast, _stages)]
    more = [await one(desk) for one in (_accuracy, _lost, _quotes, _calls, _activities, _agreements)]
    return {
        "first": first,
        "deals": await _deals(desk) if desk.sees_entries else None,
        "more": more,
        "statuses": _statuses(desk),
    }


async def _pipeline(desk: Desk) -> Table | None:
    group = desk.state.among("group_by", _GROUPS, "owner")
    shown = [
        Shown("opened", "p2"), Shown("pipeline_value", "p2"), Shown("open", "p2"), Shown("open_value"),
        Shown("weighted_value", "p2"), Shown("win_rate"), Shown("average_deal_size", "p3"), Shown("mean_cycle_days", "p3"),
    ]  # fmt: skip
    caption, note = (
        desk.gettext("What is in the pipeline?"),
        desk.gettext("opportunities opened in the period, as they stand now"),
    )
    return await panel.read(
        desk,
        "opportunities",
        (group,),
        shown,
        caption,
        note,
        sort="-open_value",
        bar="open_value",
        sorts=True,
        table="pipeline",
    )


async def _forecast(desk: Desk) -> Table | None:
    shown = [
        Shown("count", "p2"), Shown("value"), Shown("weighted"), Shown("empirical", "p3"), Shown("booked", "p2"),
        Shown("target", "p3"),
    ]  # fmt: skip
    caption, note = (
        desk.gettext("What will come, month by month?"),
        desk.gettext("from this month on, by the day expected"),
    )
    return await panel.read(desk, "forecast", ("month",), shown, caption, note, bar="weighted", window=_FROM_NOW_ON)


async def _accuracy(desk: Desk) -> Table | None:
    shown = [Shown("weighted"), Shown("booked"), Shown("error", "p2"), Shown("error_rate")]
    caption = desk.gettext("How good was the forecast?")
    note = desk.gettext("the last twelve months, as known when each began")
    return await panel.read(desk, "forecast-accuracy", ("month",), shown, caption, note, window=_FROM_NOW_ON)


async def _stages(desk: Desk) -> Table | None:
    shown = [
        Shown("entered"), Shown("rate_on", "p2"), Shown("win_rate"), Shown("p50_days", "p2"), Shown("p90_days", "p3"),
        Shown("open", "p2"),
        Shown("open_value"),
    ]  # fmt: skip
    caption = desk.gettext("How far do deals get from each stage?")
    return await panel.read(
        desk, "stages", ("stage",), shown, caption, desk.gettext("in the total a deal counts once"), sort="-entered"
    )


async def _lost(desk: Desk) -> Table | None:
    shown = [Shown("lost"), Shown("pipeline_value")]
    caption = desk.gettext("Why are deals lost?")
    return await panel.read(
        desk, "opportunities", ("lost_reason",), shown, caption, sort="-lost", bar="lost", table="lost"
    )


async def _quotes(desk: Desk) -> Table | None:
    shown = [
        Shown("sent"), Shown("sent_value", "p2"), Shown("accepted"), Shown("accepted_value", "p2"), Shown("rejected", "p3"),
        Shown("expired", "p3"), Shown("acceptance_rate"),
    ]  # fmt: skip
    return await panel.read(desk, "quotes", ("owner",), shown, desk.gettext("What becomes of quotes?"))


async def _calls(desk: Desk) -> Table | None:
    shown = [
        Shown("calls"), Shown("answer_rate"), Shown("mean_talk_s", "p2"), Shown("advanced", "p3"), Shown("advance_rate", "p2"),
        Shown("booked_revenue", "p3"), Shown("revenue_per_call", "p2"),
    ]  # fmt: skip
    return await panel.read(desk, "calls", ("owner",), shown, desk.gettext("Who calls, and what comes of it?"))


async def _activities(desk: Desk) -> Table | None:
    shown = [
        Shown("emails", "p2"), Shown("meetings"), Shown("demos", "p2"), Shown("visits", "p3"), Shown("quotes_sent", "p2"),
        Shown("opportunities", "p3"), Shown("won"), Shown("won_per_activity", "p3"),
    ]  # fmt: skip
    return await panel.read(desk, "activities", ("owner",), shown, desk.gettext("Who does what?"))


async def _agreements(desk: Desk) -> Table | None:
    shown = [
        Shown("started"), Shown("met", "p2"), Shown("late", "p2"), Shown("running", "p3"), Shown("overdue"), Shown("met_rate"),
        Shown("p50_hours", "p3"), Shown("p90_hours", "p3"),
    ]  # fmt: skip
    return await panel.read(desk, "sla", ("sla",), shown, desk.gettext("Is what was agreed done in time?"))


async def _deals(desk: Desk) -> Table:
    """Return the list of deals, which the reader may filter by status and sort."""
    status = desk.state.one("status")
    if status and status not in deals.STATUSES:
        raise parameters.invalid("status", f"one of {', '.join(deals.STATUSES)}", status)
    chosen = Chosen(status=frozenset([status] if status else []))
    return await deals.read(desk, _DEALS, chosen, desk.state.one("deals_sort", "-value"), sorts=True)


def _statuses(desk: Desk) -> list[tuple[str, str, bool]]:
    """Return the statuses that deals may be filtered by: what each is called, its URL, and whether it is chosen."""
    asked = desk.state.one("status")
    found = [(desk.gettext("all"), desk.state.url(status=None), not asked)]
    return found + [
        (desk.gettext(label), desk.state.url(status=name), name == asked) for name, label in deals.STATUSES.items()
    ]


SCREENS = [
    Screen(
        "sales", N_("What is in the pipeline, and will it come?"), "sales.html", build, N_("Sales"), 2, groups=_GROUPS,
        controls=WITHOUT_RETURN,
    )
]  # fmt: skip
