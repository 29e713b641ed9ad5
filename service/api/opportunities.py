"""The list of opportunities: each as it stands, filtered, sorted, page by page."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import Annotated, Any, Literal

import msgspec
from fastapi import APIRouter, Query, Request
from pydantic import BaseModel, Field, create_model
from starlette.responses import Response

from service.api import answering, files, formats, parameters, reports, schemas
from service.api.parameters import Reader
from service.api.report_schemas import AnswerOfNow
from service.api.urls import IdRoute
from service.domain.contributions import REPORTS
from service.exports import columns, tables
from service.projections.reports import opportunities
from service.projections.sums.selection import column_of

REPORT = REPORTS["opportunities"]
router = APIRouter(tags=["reports"], route_class=IdRoute)
_Status = Literal["open", "won", "lost"]
_ANY = "only what has this value; empty = what has none; repeated = any of them"


class _Asked(parameters.Known):
    """What may be asked besides the filters of the report."""

    status: list[_Status] = Field([], description="repeated = any of them")
    account_id: list[str] = Field([], description=_ANY)
    contact_id: list[str] = Field([], description=_ANY)
    expected_from: str | None = Field(None, description="the first day of expected_close", examples=["2026-01-01"])
    expected_to: str | None = Field(
        None, description="the day after the last one of expected_close", examples=["2026-04-01"]
    )
    sort: str = Field("", description="a member, `-` before it = falling; else by id", examples=["-value"])
    limit: int | None = Field(None, ge=1, le=10_000, description="rows of a page; absent = all rows at once")
    after: parameters.After = ""
    now: parameters.NowParameter = None
    format: formats.FormatParameter = None


class OpportunityRow(BaseModel):
    """An opportunity as it stands; money is in the ledger's currency, at the rate of the day of the opening."""

    opportunity_id: str
    name: str | None
    status: _Status
    stage: str | None
    stage_since: date | None = Field(description="the day on which it entered its stage")
    value: str | None = Field(description="last estimated value", examples=["1234.50"])
    probability: float | None
    weighted_value: str | None = Field(description="value × probability, while it is open", examples=["617.25"])
    expected_close: date | None
    overdue: bool = Field(description="whether it is open, and was expected to close before today")
    opened_on: date
    age_days: int = Field(description="days since it was opened, until it was decided, else until today")
    account: str | None
    contacts: list[str] = Field(description="the linked ones")
    leads: list[str]
    owner: str | None
    team: str | None
    region: str | None
    campaign_id: str | None
    orders: list[str] = Field(description="its live orders")


_TYPES = {  # of the columns of a file, where they are not text
    "stage_since": columns.DAY, "value": columns.MONEY, "probability": columns.NUMBER, "weighted_value": columns.MONEY,
    "expected_close": columns.DAY, "overdue": columns.TRUTH, "opened_on": columns.DAY, "age_days": columns.COUNT,
    "contacts": columns.LIST, "leads": columns.LIST, "orders": columns.LIST,
}  # fmt: skip


class OpportunityTotal(BaseModel):
    """What the opportunities, of all pages, add up to."""

    opened: int
    pipeline_value: str = Field(examples=["480000.00"])
    weighted_value: str = Field(examples=["36000.00"])


class Opportunities(AnswerOfNow):
    """Opportunities."""

    rows: list[OpportunityRow]
    total: OpportunityTotal
    names: dict[str, str] = Field(description="the campaigns in it by their names")
    next: str | None = schemas.Next


_FILTERS: Any = {
    **{column_of(name): (list[str], Field([], description=_ANY)) for name in parameters.dimensions_of(REPORT)},
    "date_basis": (Literal["event"], Field("event", description="each on the day of its opening")),
}
_MODEL = create_model("OpportunitiesListParameters", __base__=_Asked, **_FILTERS)


async def get_opportunities(request: Request, ledger: Reader, asked: Any) -> Response:
    """List the opportunities opened in the window, each as it stands. The total is that of the report of opportunities."""
    filters = parameters.filters_of(REPORT, asked)
    filters["account"] = [*filters["account"], *asked.account_id]
    query = parameters.read_query(asked, (), filters)
    chosen = opportunities.Chosen(
        frozenset(asked.status), frozenset(asked.contact_id), parameters.read_day("expected_from", asked.expected_from),
        parameters.read_day("expected_to", asked.expected_to),
    )  # fmt: skip
    falling, sort = asked.sort.startswith("-"), asked.sort.removeprefix("-") or "opportunity_id"
    if sort not in opportunities.SORTS:
        raise parameters.invalid("sort", f"one of {', '.join(opportunities.SORTS)}, perhaps with - before it", sort)
    moment, form = parameters.read_moment(asked.as_of), formats.wanted(request, asked.format, formats.TABLES)
    async with answering.views(request, ledger, asked.min_position, moment) as (view,):
        now = parameters.read_now(asked.now, moment, view)
        subjects = request.app.state.service.subjects
        rows, total = await opportunities.read(view, query, chosen, now.of(ledger).today, subjects)
        rows = _after(opportunities.in_order(rows, sort, falling), asked.after)
        shown = [opportunities.written(row, ledger.currency) for row in rows[: asked.limit]]
        names = await reports.names(view, shown)
        body = {"rows": shown, "total": total, **await reports.frame(view, query, REPORT), "names": names}
    body["now"] = now.told()
    last = msgspec.json.encode([shown[-1]["opportunity_id"]]).decode() if len(shown) < len(rows) else None
    page = answering.Page(last, {"now": now.at.isoformat().replace("+00:00", "Z"), "as_of": view.as_of.position})
    file = files.of_list(form, view, query, REPORT, _table(ledger.currency, names), "opportunities")
    # Not kept: names are to be read by people's keys each time.
    return await answering.answer(request, view, body, None, page=page, now=now, file=file)


def _table(currency: str, names: Mapping[str, str]) -> tables.Table:
    digits = tables.digits_of(currency)
    types = {name: _TYPES.get(name, columns.TEXT) for name in OpportunityRow.model_fields}
    made = (columns.Column(name, kind, digits if kind == columns.MONEY else 0) for name, kind in types.items())
    return tables.of_rows(made, names)


def _after(rows: list[opportunities.Row], after: str) -> list[opportunities.Row]:
    """Return the rows after the one that a page ended with."""
    if not after:
        return rows
    ids = [msgspec.json.encode([row["opportunity_id"]]).decode() for row in rows]
    if after not in ids:
        raise parameters.invalid("after", "what the `next` of the page before has", after)
    return rows[ids.index(after) + 1 :]


get_opportunities.__annotations__["asked"] = Annotated[_MODEL, Query()]
router.add_api_route("/v1/opportunities", get_opportunities, summary="Opportunities", response_model=Opportunities)
