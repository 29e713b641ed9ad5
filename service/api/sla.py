"""The clocks of service level agreements that are overdue, the oldest first, page by page."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

import msgspec
from fastapi import APIRouter, Query, Request
from pydantic import BaseModel, Field, create_model
from starlette.responses import Response

from service.api import answering, parameters, reports, schemas
from service.api.parameters import Reader
from service.api.report_schemas import AnswerOfNow
from service.api.urls import IdRoute
from service.domain.contributions import REPORTS
from service.projections.reports import overdue
from service.projections.sums.selection import column_of

REPORT = REPORTS["sla"]
router = APIRouter(tags=["reports"], route_class=IdRoute)
_ANY = "only what has this value; empty = what has none; repeated = any of them"
_place = msgspec.json.Decoder(overdue.Place)


class _Asked(parameters.Known):
    """What may be asked besides the filters of the report."""

    limit: int | None = Field(None, ge=1, le=10_000, description="rows of a page; absent = all rows at once")
    after: parameters.After = ""
    now: parameters.NowParameter = None


class OverdueRow(BaseModel):
    """A clock that has not stopped, and runs for longer than agreed."""

    sla: str = Field(examples=["first-response"])
    lead_id: str
    owner: str | None
    campaign_id: str | None
    started: datetime
    hours: float = Field(description="how long it has run, in the hours that count", examples=[26.5])


class OverdueTotal(BaseModel):
    """How many there are on all pages."""

    overdue: int


class OverdueClocks(AnswerOfNow):
    """Clocks that are overdue."""

    rows: list[OverdueRow]
    total: OverdueTotal
    names: dict[str, str] = Field(description="the campaigns in it by their names")
    next: str | None = schemas.Next


_FILTERS: Any = {
    **{column_of(name): (list[str], Field([], description=_ANY)) for name in parameters.dimensions_of(REPORT)},
    "date_basis": (Literal["event"], Field("event", description="each on the day of its start")),
}
_MODEL = create_model("OverdueParameters", __base__=_Asked, **_FILTERS)


async def get_overdue(request: Request, ledger: Reader, asked: Any) -> Response:
    """List the clocks of agreements that started in the window and are overdue, the oldest first."""
    query = parameters.read_query(asked, (), parameters.filters_of(REPORT, asked))
    moment, after = parameters.read_moment(asked.as_of), _read_place(asked.after)
    async with answering.views(request, ledger, asked.min_position, moment) as (view,):
        now = parameters.read_now(asked.now, moment, view)
        rows, count, last = await overdue.read(view, query, now.of(ledger), after, asked.limit)
        names = await reports.names(view, rows)
        body = {"rows": rows, "total": {"overdue": count}, **await reports.frame(view, query, REPORT), "names": names}
    body["now"] = now.told()
    following = None if last is None else msgspec.json.encode(last).decode()
    known = {"now": now.at.isoformat().replace("+00:00", "Z"), "as_of": view.as_of.position}
    return await answering.answer(request, view, body, page=answering.Page(following, known), now=now)


def _read_place(after: str) -> overdue.Place | None:
    """Read where a page begins."""
    try:
        return _place.decode(after) if after else None
    except msgspec.DecodeError:
        raise parameters.invalid("after", "what the `next` of the page before has", after) from None


get_overdue.__annotations__["asked"] = Annotated[_MODEL, Query()]
router.add_api_route(
    "/v1/sla/overdue", get_overdue, summary="Overdue clocks of agreements", response_model=OverdueClocks
)
