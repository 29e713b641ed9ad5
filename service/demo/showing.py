"""How the demo shows what the service answered: tables that fit into 100 columns, and with a little less into 80."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from rich import box
from rich.bar import Bar
from rich.table import Table
from rich.text import Text

from service.demo.sending import Sent

_NONE = "–"
_WIDE = 94  # what the ranking needs with all of its columns
_BAR = 40
_BESIDE_THE_BAR = 46
_RETURNS = ("cost", "booked", "invoiced", "ROI", "ROAS", "cost/lead", "break-even")
_STEPS = {
    "captured": "captured", "qualified": "qualified", "opportunity": "opportunity", "quote_accepted": "quote accepted",
    "ordered": "ordered", "invoiced": "invoiced",
}  # fmt: skip
_DURATIONS = {
    "captured_to_qualified": "captured → qualified",
    "qualified_to_opened": "qualified → opportunity opened",
    "opened_to_accepted": "opened → quote accepted",
    "accepted_to_ordered": "quote accepted → ordered",
    "ordered_to_invoiced": "ordered → invoiced",
    "sales_cycle": "sales cycle: opened → ordered",
    "full_cycle": "full cycle: captured → ordered",
    "lead_to_cash": "lead to cash: captured → invoiced",
}


def ranking(roi: dict[str, Any], width: int) -> Table:
    """Return the campaigns by their return, best first; what belongs to none comes last, then the total."""
    table = _table(f"ROI by campaign on invoiced revenue, in {roi['currency']}", "campaign")
    left_out = {"cost/lead"} if width < _WIDE else set()
    for heading in (one for one in _RETURNS if one not in left_out):
        table.add_column(heading, justify="right", no_wrap=True)

    def best_first(row: dict[str, Any]) -> tuple[bool, bool, float]:
        value = row["roi"]["invoiced"]
        return row["campaign_id"] is None, value is None, -(value or 0.0)

    for row in sorted(roi["rows"], key=best_first):
        campaign = row["campaign_id"]
        name = Text("unattributed", style="dim") if campaign is None else Text(roi["names"].get(campaign, campaign))
        name.no_wrap, name.overflow = True, "ellipsis"
        table.add_row(name, *(cell for heading, cell in _returns(row) if heading not in left_out))
    table.add_section()
    total = (cell for heading, cell in _returns(roi["total"]) if heading not in left_out)
    table.add_row("total", *total, style="bold")
    table.caption = "ROI = (invoiced − cost) / cost. Break-even is on gross margin where known, else on invoiced."
    table.caption_justify = "left"
    return table


def _returns(row: dict[str, Any]) -> Iterable[tuple[str, Text]]:
    value = row["roi"]["invoiced"]
    cells = (
        *(_money(row[name]) for name in ("actual_cost", "booked_revenue", "invoiced_revenue")),
        Text(_NONE) if value is None else Text(f"{value:+,.1%}", style="green" if value >= 0 else "red"),
        Text(_NONE if row["roas"] is None else f"{row['roas']:,.2f}"),
        _money(row["cost_per_lead"]),
        Text(row["break_even_on"] or _NONE),
    )
    return zip(_RETURNS, cells, strict=True)


def _money(amount: str | None) -> Text:
    """Return an amount without its cents; the exact one is a request away."""
    return Text(_NONE if amount is None else f"{round(float(amount)):,}")


def funnel(conversion: dict[str, Any], width: int) -> Table:
    """Return the funnel of all leads, with bars."""
    table = _table("Funnel: of all captured leads, how many got how far", "step")
    for heading in ("leads", "of previous", "of all"):
        table.add_column(heading, justify="right", no_wrap=True)
    room = max(1, min(_BAR, width - _BESIDE_THE_BAR))
    table.add_column(width=room)
    for name, shown in _STEPS.items():
        step = conversion["total"]["funnel"][name]
        share = step["rate_from_start"] or 0.0
        table.add_row(
            shown, f"{step['count']:,}", _percent(step["rate_from_previous"]), _percent(step["rate_from_start"]),
            Bar(1.0, 0.0, share, width=room, color="cyan"),
        )  # fmt: skip
    return table


def _percent(rate: float | None) -> str:
    return _NONE if rate is None else f"{rate:.1%}"


def velocity(answer: dict[str, Any]) -> Table:
    """Return how long the steps take."""
    table = _table("Velocity, in days", "from → to")
    for heading in ("count", "mean", "p50", "p90", "out of sequence"):
        table.add_column(heading, justify="right", no_wrap=True)
    for name, shown in _DURATIONS.items():
        one = answer["total"][name]
        days = (_NONE if one[part] is None else f"{one[part]:,.1f}" for part in ("mean_days", "p50_days", "p90_days"))
        table.add_row(shown, f"{one['count']:,}", *days, f"{one['out_of_sequence']:,}")
    return table


def sent(what: Sent, ready: float) -> Table:
    """Return what became of the events; `ready` are the seconds until every figure had all of them."""
    rate = what.events / max(what.seconds, 1e-9)
    table = _table(f"{what.events:,} events in {what.requests} requests", "")
    table.show_header = False
    table.add_column(justify="right", no_wrap=True)
    shown = {"accepted": "accepted", "duplicate": "duplicates", "conflict": "conflicts", "invalid": "invalid"}
    for status, count in what.counts.items():
        if count or status in ("accepted", "duplicate"):
            table.add_row(shown[status], f"{count:,}")
    table.add_row("sent per second", f"{rate:,.0f}")
    table.add_row("all in the figures after", f"{ready:.1f} s")
    return table


def commands(url: str, key: str, moment: str) -> str:
    """Return what to try next, to be pasted into a shell."""
    return rf"""
Open {url} in a browser on this machine: which campaigns paid off, and why?

KEY={key}

# return by channel
curl -sw '\n' -H "Authorization: Bearer $KEY" "{url}/v1/roi?group_by=channel"

# one campaign, as it was known half-way through the import
curl -sw '\n' -H "Authorization: Bearer $KEY" \
  "{url}/v1/campaigns/CMP-FAIR/roi?as_of={moment}"

# a lead of your own
curl -sw '\n' -H "Authorization: Bearer $KEY" -H "Content-Type: application/json" \
  {url}/v1/events -d '
  {{"specversion": "1.0", "id": "my-first", "source": "/me", "type": "lead.captured",
   "time": "2026-06-30T12:00:00Z", "data": {{"lead_id": "LD-ME", "campaign_id": "CMP-NEWS"}}}}'

The service listens at {url}; it answers these until Ctrl-C.
"""


def _table(title: str, first: str) -> Table:
    table = Table(
        title=title, title_justify="left", title_style="bold", box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False,
        padding=(0, 1, 0, 0),
    )  # fmt: skip
    table.add_column(first, overflow="ellipsis")
    return table
