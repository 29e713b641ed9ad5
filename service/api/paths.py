"""Paths: by which campaigns' touches leads came, what that led to, page by page."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

import msgspec
from fastapi import APIRouter, Query, Request
from pydantic import BaseModel, Field, create_model
from starlette.responses import Response

from service.api import answering, parameters, reports, schemas
from service.api.parameters import FigureReader
from service.api.report_schemas import Answer
from service.api.urls import IdRoute
from service.domain.attribution.paths import LONGEST, Path, Travelled
from service.domain.contributions import REPORTS
from service.projections.reports import opportunities, paths
from service.projections.sums.selection import column_of
from service.projections.sums.threads import apart

LEADS = REPORTS["leads"]  # whose dimensions are those of the leads of a path
router = APIRouter(tags=["reports"], route_class=IdRoute)
_ANY = "only leads that have this value; empty = what has none; repeated = any of them"


class _Asked(parameters.Known):
    """What may be asked besides the filters of leads."""

    sort: str = Field("", description="a figure, `-` before it = falling; else the most frequent first")
    limit: int | None = Field(None, ge=1, le=10_000, description="rows of a page; absent = all rows at once")
    after: parameters.After = ""
    now: parameters.NowParameter = None


class PathFigures(BaseModel):
    """What leads come to."""

    converted: int = Field(description="leads with a live order in their branch")
    not_converted: int = Field(description="leads without one")
    booked_revenue: str = Field(description="Σ live orders whose cohort day they gave", examples=["1234.50"])
    mean_touches: float | None = Field(description="touches of a lead, repeats and all", examples=[3.5])
    mean_days: float | None = Field(description="mean of first live order − first touch", examples=[12.25])
    reasons: dict[str, str] = Field(description="why figures are null, by name")


class PathRow(PathFigures):
    """The leads of one path."""

    path: list[str] = Field(
        description=f"campaigns, repeats in a row once, the last {LONGEST}; empty = without touches"
    )


class Paths(Answer):
    """Paths."""

    rows: list[PathRow]
    total: PathFigures
    names: dict[str, str] = Field(description="the campaigns in it by their names")
    next: str | None = schemas.Next


_FILTERS: Any = {
    **{column_of(name): (list[str], Field([], description=_ANY)) for name in parameters.dimensions_of(LEADS)},
    "date_basis": (Literal["event"], Field("event", description="each lead on the day of its capture")),
}
_MODEL = create_model("PathsParameters", __base__=_Asked, **_FILTERS)


async def get_paths(request: Request, ledger: FigureReader, asked: Any) -> Response:
    """List the paths of the leads captured in the window: campaigns of touches up to the first order, most frequent first.

    Touches are those of a lead and its contact, not suppressed. The total is of all paths.
    """
    query = parameters.read_query(asked, (), parameters.filters_of(LEADS, asked))
    by = asked.sort or f"-{paths.LEADS}"
    falling, sort = by.startswith("-"), by.removeprefix("-")
    if asked.sort and sort not in paths.SORTS:
        raise parameters.invalid("sort", f"one of {', '.join(paths.SORTS)}, perhaps with - before it", sort)
    moment = parameters.read_moment(asked.as_of)
    async with answering.views(request, ledger, asked.min_position, moment) as (view,):
        parameters.read_now(asked.now, moment, view)  # no figure rests on it
        found = await paths.read(view, query)
        rows, total = await apart(len(found), _told, found, sort, falling)
        rows = _after(rows, asked.after)
        shown = rows[: asked.limit]
        body = {
            "rows": await apart(len(shown), _written, shown, ledger.currency),
            "total": paths.written(total, ledger.currency),
            **await reports.frame(view, query, LEADS),
            "names": await reports.names(view, ({"campaign_id": one} for row in shown for one in row["path"])),
        }
    last = msgspec.json.encode(shown[-1]["path"]).decode() if shown and len(shown) < len(rows) else None
    return await answering.answer(request, view, body, "figures", page=answering.Page(last))


def _told(found: Mapping[Path, Travelled], sort: str, falling: bool) -> tuple[list[paths.Row], paths.Row]:
    return opportunities.in_order(paths.rows_of(found), sort, falling), paths.total_of(found)


def _written(rows: list[paths.Row], currency: str) -> list[paths.Row]:
    return [paths.written(row, currency) for row in rows]


def _after(rows: list[paths.Row], after: str) -> list[paths.Row]:
    """Return the rows after the one that a page ended with."""
    if not after:
        return rows
    for place, row in enumerate(rows, 1):
        if msgspec.json.encode(row["path"]).decode() == after:
            return rows[place:]
    raise parameters.invalid("after", "what the `next` of the page before has", after)


get_paths.__annotations__["asked"] = Annotated[_MODEL, Query()]
router.add_api_route("/v1/attribution/paths", get_paths, summary="Paths", response_model=Paths)
