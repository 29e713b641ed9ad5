"""Attribution: does the answer depend on the model? And one deal explained."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from service.api.problems import ProblemError
from service.dashboard import figures, tables
from service.dashboard.desk import Desk
from service.dashboard.labels import called
from service.dashboard.language import N_
from service.dashboard.screen import Screen
from service.dashboard.tables import Cell, Column, Line, Row, Shown, Table
from service.domain.catalogue import shown
from service.domain.reports import attribution
from service.projections.attribution import explained
from service.projections.reports.answers import Page

_GROUPS = ("campaign", "campaign_type", "parent", "channel", "owner", "team", "region", "month", "quarter")
_RANKS = (
    "",
    "p2",
    "p2",
    "",
    "p3",
    "p4",
    "p4",
    "p3",
    "p3",
)  # of the columns: the official one and another are always there
_TOUCHED = {
    "suppressed": N_("suppressed"), "after_order": N_("after the order"), "outside_lookback": N_("too long before"),
    "click_beats_view": N_("a click beats it"),
}  # fmt: skip


async def build(desk: Desk) -> dict[str, Any]:
    """Put the screen together: a row per campaign, a column per model, the official one first."""
    group = desk.state.among("group_by", _GROUPS, "campaign")
    deals = await desk.view.models()
    official = deals.official()
    models = [official, *(one for one in deals.models() if one != official)]
    report = attribution.by_models(models)
    roi = await desk.total("roi")
    desk.choose_return(roi)
    measure = figures.RETURN_OF[desk.returns]
    names = [f"{attribution.MODELS}.{model}.{measure}" for model in models]
    columns = [
        Shown(name, rank, label=_label(desk, model))
        for name, model, rank in zip(names, models, [*_RANKS, *["p4"] * len(models)], strict=False)
    ]
    answer = await desk.report(report, group, page=Page(names[0], falling=True))
    note = desk.gettext("%(figure)s by each model; the official one first, and each ends in the same total")
    table = tables.of_report(
        desk, report, answer, columns, (group,), caption=desk.gettext("Model by model"),
        note=note % {"figure": called(desk.language, "figure", measure)}, names=desk.known_names, name="attribution",
    )  # fmt: skip
    _mark_spread(desk, table)
    return {"table": table, "official": _label(desk, official), "models": len(models)}


def _label(desk: Desk, model: str) -> str:
    return called(desk.language, "model", model)


def _mark_spread(desk: Desk, table: Table) -> None:
    """Add how far the models are apart in each row, and mark the widest."""
    spreads = [_spread(line) for line in table.lines]
    widest = max(
        (one for one, line in zip(spreads, table.lines, strict=True) if one is not None and line.kind == "row"),
        default=None,
    )
    table.columns.append(
        Column(desk.gettext("Spread"), desk.gettext("the most less the least of all models"), rank="p2")
    )
    for spread, line in zip(spreads, table.lines, strict=True):
        if spread is None:
            line.cells.append(Cell("–"))
            continue
        marked = line.kind == "row" and spread == widest and spread > 0
        note = desk.gettext("the widest") if marked else ""
        line.cells.append(
            Cell(desk.writer.number(spread, 0), value=str(spread), note=note, tone="marked" if marked else "")
        )


def _spread(line: Line) -> Decimal | None:
    known = [Decimal(cell.value) for cell in line.cells if cell.value is not None]
    return max(known) - min(known) if known else None


async def build_deal(desk: Desk) -> dict[str, Any]:
    """Explain one deal: its touches, what they weigh under each model, and what its money is dealt to."""
    identity = desk.state.one("id")
    key = (desk.view.ledger.ledger, desk.view.generation)
    deals = await explained.deal(desk.view.connection, key, desk.view.as_of.position, identity)
    body = explained.told(deals, identity, desk.view.ledger.currency)
    if body is None:
        raise ProblemError(404, f"no event has placed an order {shown(identity)}")
    models = [body["official"], *(one for one in body["amounts"] if one != body["official"])]
    return {
        "title": f"{called(desk.language, 'kind', 'order')} {identity}", "touches": _touches(desk, body, models),
        "amounts": _amounts(desk, body, models),
        "crumbs": [
            (desk.gettext("Attribution"), desk.state.url("attribution", id=None, kind=None)),
            (f"{called(desk.language, 'kind', 'order')} {identity}", desk.state.url("journey", kind="order", id=identity)),
        ],
    }  # fmt: skip


def _columns(desk: Desk, models: list[str]) -> list[Column]:
    ranks = [*_RANKS, *["p4"] * len(models)]
    return [Column(_label(desk, model), rank=rank) for model, rank in zip(models, ranks, strict=False)]


def _touches(desk: Desk, body: Mapping[str, Any], models: list[str]) -> Table:
    lines = []
    for touch in body["touches"]:
        cells = [_weight(desk, touch, model) for model in models]
        what = f"{touch['activity_type']}, {touch['interaction']}" if touch["interaction"] else touch["activity_type"]
        moment = touch["time"].replace("T", " ")
        lines.append(Line(Cell(desk.campaign(touch["campaign_id"]), note=f"{moment} · {what}", own=True), cells))
    return Table(
        desk.gettext("Which touches count?"), [Column(desk.gettext("Touch"), numeric=False)], _columns(desk, models), lines,
        desk.gettext("in their order, with what each weighs under each model, or why not"), name="touches",
    )  # fmt: skip


def _weight(desk: Desk, touch: Row, model: str) -> Cell:
    if model in touch["weights"]:
        weight = touch["weights"][model]
        return Cell(desk.writer.ratio(weight), value=str(weight))
    reason = touch["why_not"].get(model)
    return Cell("–", note=desk.gettext(_TOUCHED.get(reason, reason)) if reason else "")


def _amounts(desk: Desk, body: Mapping[str, Any], models: list[str]) -> Table:
    campaigns = list(dict.fromkeys(one["campaign_id"] for model in models for one in body["amounts"][model]))
    campaigns.sort(key=lambda one: (one is None, one or ""))
    lines = []
    totals = dict.fromkeys(models, Decimal(0))
    for campaign in campaigns:
        cells = []
        for model in models:
            amount = next(
                (one["booked_revenue"] for one in body["amounts"][model] if one["campaign_id"] == campaign), None
            )
            totals[model] += Decimal(amount or 0)
            cells.append(Cell(desk.writer.number(Decimal(amount)) if amount else "–", value=amount))
        lines.append(Line(Cell(desk.campaign(campaign), own=True), cells, "rest" if campaign is None else "row"))
    told = [Cell(desk.writer.number(totals[model]), value=str(totals[model])) for model in models]
    lines.append(Line(Cell(desk.gettext("Total")), told, "total"))
    return Table(
        desk.gettext("What is its money dealt to?"), [Column(desk.gettext("Campaign"), numeric=False)], _columns(desk, models),
        lines, desk.gettext("booked, in %(currency)s") % {"currency": desk.writer.currency}, name="dealt",
    )  # fmt: skip


SCREENS = [
    Screen("attribution", N_("Does the answer depend on the model?"), "attribution.html", build, N_("Attribution"), 4,
           groups=_GROUPS, controls=("period", "basis", "return", "as_of", "filters")),
    Screen("deal", N_("How is this deal's money dealt?"), "deal.html", build_deal, scope="read", controls=("as_of",),
           above="attribution"),
]  # fmt: skip
