"""The reports: each is asked for, and each of its figures opened, by routes that follow from its declaration."""

from __future__ import annotations

import re
from collections.abc import Callable, Coroutine, Iterable
from typing import Annotated, Any

import msgspec
from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from service.api import parameters, report_schemas, schemas_lineage
from service.api.parameters import CampaignPath, FigureReader, Reader
from service.api.problems import ProblemError
from service.api.urls import IdRoute
from service.domain.contributions import REPORTS
from service.domain.report import Report
from service.projections.reports import answers, entries, reading
from service.projections.reports.entries import Place
from service.projections.reports.stocks import TooManyPeriodsError
from service.projections.sums import selection
from service.store.ledgers import Ledger

OF_CAMPAIGNS = ("roi", "conversion", "velocity")  # these have paths of their own, and one campaign's
router = APIRouter(tags=["reports"], route_class=IdRoute)
Endpoint = Callable[..., Coroutine[Any, Any, Response]]


def read_place(after: str) -> Place:
    """Read where a page of entries begins."""
    if not after:
        return 0, 0
    if re.fullmatch(r"\d{1,18}\.\d{1,9}", after, re.ASCII) is None:
        raise parameters.invalid("after", "what the `Link` of the page before has", after)
    position, _, line = after.partition(".")
    return int(position), int(line)


def mark(place: Place | None) -> str | None:
    """Write where a page of entries begins."""
    return None if place is None else f"{place[0]}.{place[1]}"


async def frame(view: reading.Snapshot, query: selection.Query) -> dict[str, Any]:
    """Return what every answer of a report says of itself."""
    unconverted, pending_links = await view.waiting(query)
    return {
        "currency": view.ledger.currency,
        "date_basis": query.basis,
        **parameters.frame(view),
        "unconverted": unconverted,
        "pending_links": pending_links,
    }


async def _names(view: reading.Snapshot, rows: Iterable[dict[str, Any]]) -> dict[str, str]:
    """Return the names of the campaigns in rows."""
    ids = {row[group] for row in rows for group in ("campaign_id", "parent") if row.get(group)}
    known = await view.campaigns() if ids else {}
    return {one: known[one]["name"] for one in sorted(ids) if known.get(one, {}).get("name")}


async def _rows(request: Request, ledger: Ledger, report: Report, asked: parameters.Rows) -> Response:
    groups = parameters.read_groups(asked.group_by, parameters.groups_of(report))
    query = parameters.read_query(asked, groups, parameters.filters_of(report, asked))
    falling, sort = asked.sort.startswith("-"), asked.sort.removeprefix("-")
    if sort and sort not in report.figures:
        raise parameters.invalid(
            "sort", f"a figure, one of {', '.join(report.figures)}, perhaps with - before it", sort
        )
    page = answers.Page(sort or None, falling, parameters.read_key(asked.after, query), asked.limit)
    include = frozenset[str](getattr(asked, "include", ()))  # of reports with figures on request only
    moment = parameters.read_moment(asked.as_of)
    async with parameters.views(request, ledger, asked.min_position, moment) as (view,):
        now = parameters.read_now(asked.now, moment, view)
        try:
            found = await answers.read(view, report, query, now.today(ledger), include, page)
        except TooManyPeriodsError as error:
            raise parameters.invalid("to", str(error), asked.to or "nothing") from None
        if found is None:
            raise parameters.invalid("after", "what the `next` of the page before has", asked.after)
        names = await _names(view, found.rows)
        body = {"rows": found.rows, "total": found.total, **await frame(view, query), "names": names}
    if not report.of_now:
        return await parameters.answer(request, view, body, "figures", page=_following(found.last, {}))
    fixed = {"now": now.at.isoformat().replace("+00:00", "Z")}
    body["now"] = now.told()
    return await parameters.answer(request, view, body, "figures", page=_following(found.last, fixed, view), now=now)


def _following(
    last: selection.Key | None, fixed: dict[str, str], view: reading.Snapshot | None = None
) -> parameters.Page:
    after = None if last is None else msgspec.json.encode(last).decode()
    return parameters.Page(after, {**fixed, "as_of": view.as_of.position} if view else None)


async def _campaign(
    request: Request, ledger: Ledger, report: Report, campaign: str, asked: parameters.Known, now: str | None
) -> Response:  # fmt: skip
    query = parameters.read_query(asked, ("campaign",), {"campaign": [campaign]})
    moment = parameters.read_moment(asked.as_of)
    async with parameters.views(request, ledger, asked.min_position, moment) as (view,):
        today = parameters.read_now(now, moment, view)
        found = await answers.read(view, report, query, today.today(ledger))
        if found is None or (not found.rows and campaign not in await view.campaigns()):
            raise ProblemError(404, f"there is no campaign {campaign!r}")
        body = {"campaign_id": campaign, **found.total, **await frame(view, query)}
    if report.of_now:
        body["now"] = today.told()
    return await parameters.answer(request, view, body, "figures", now=today if report.of_now else None)


async def _entries(
    request: Request, ledger: Ledger, report: Report, asked: parameters.Entries, only: dict[str, list[str]]
) -> Response:  # fmt: skip
    query = parameters.read_query(asked, ("campaign",), only)
    if report.additive(asked.measure) is None:
        raise parameters.invalid("measure", f"one of {', '.join(report.figures)}", asked.measure)
    async with parameters.views(request, ledger, asked.min_position, parameters.read_moment(asked.as_of)) as (view,):
        body, following = await entries.read(
            view, query, report, asked.measure, read_place(asked.after), asked.limit
        )  # fmt: skip
    told = {"currency": ledger.currency, "date_basis": query.basis}
    return await parameters.answer(request, view, {**body, **told}, page=parameters.Page(mark(following)))


def _routes(report: Report) -> Iterable[tuple[str, str, str, Endpoint, Any]]:
    """Yield (path, operation, summary, endpoint, model) of all that there is of a report; entries come before rows."""

    async def get_entries(request: Request, ledger: Reader, asked: Any) -> Response:
        return await _entries(request, ledger, report, asked, parameters.filters_of(report, asked))

    async def get_rows(request: Request, ledger: FigureReader, asked: Any) -> Response:
        return await _rows(request, ledger, report, asked)

    # Models that are made here: the framework would look for their names among those of the module.
    get_entries.__annotations__["asked"] = Annotated[parameters.of_entries(report), Query()]
    get_rows.__annotations__["asked"] = Annotated[parameters.of_report(report), Query()]
    get_entries.__doc__ = (
        "List the entries that add up to a figure, in the order in which they were posted, each with its event and why.\n\n"
        "`sum` is the figure, as the report gives it for the same filters; of a figure that is made of others, `sums` are "
        "those. `count` is how many entries there are in all pages. `Link: rel=next` leads on while there are more."
    )
    get_rows.__doc__ = report.question
    name, answer = report.name, report_schemas.answer_of(report)
    summary = name.replace("-", " ")
    if name in OF_CAMPAIGNS:
        yield f"/v1/{name}/entries", f"get_{name}_entries", f"What makes up a figure of {name}", get_entries, None
        yield f"/v1/{name}", f"get_{name}", summary, get_rows, answer
    yield (
        f"/v1/reports/{name}/entries",
        f"report_{name}_entries",
        f"What makes up a figure of {name}",
        get_entries,
        None,
    )
    yield f"/v1/reports/{name}", f"report_{name}", summary, get_rows, answer


def _campaign_routes(report: Report) -> Iterable[tuple[str, str, str, Endpoint, Any]]:
    """Yield the same of what there is of one campaign's report."""

    async def get_campaign_entries(
        request: Request, ledger: Reader, campaign_id: CampaignPath, asked: Annotated[parameters.Entries, Query()]
    ) -> Response:  # fmt: skip
        return await _entries(request, ledger, report, asked, {"campaign": [campaign_id]})

    async def get_campaign(
        request: Request, ledger: FigureReader, campaign_id: CampaignPath, asked: Annotated[parameters.Campaign, Query()]
    ) -> Response:  # fmt: skip
        return await _campaign(request, ledger, report, campaign_id, asked, asked.now)

    get_campaign_entries.__doc__ = "List the entries that add up to one campaign's figure."
    get_campaign.__doc__ = f"One campaign's {report.name} as one flat object."
    path, name = f"/v1/campaigns/{{campaign_id:path}}/{report.name}", report.name
    summary = f"What makes up a figure of one campaign's {name}"
    yield f"{path}/entries", f"get_campaign_{name}_entries", summary, get_campaign_entries, None
    yield path, f"get_campaign_{name}", f"One campaign's {name}", get_campaign, report_schemas.campaign_of(report)


@router.get("/v1/reports", summary="Reports", response_model=report_schemas.Reports)
async def get_reports(_: FigureReader) -> Response:
    """List the reports: the question that each answers, its groups, its measures with unit and definition, its parameters."""
    rows = [report_schemas.described(report).model_dump() for report in REPORTS.values()]
    return Response(msgspec.json.encode({"rows": rows}), media_type="application/json")


def _add_routes() -> None:
    several = [REPORTS[name] for name in OF_CAMPAIGNS]
    made = [*(one for report in several for one in _campaign_routes(report))]
    made += [one for report in REPORTS.values() for one in _routes(report)]
    for path, operation, summary, endpoint, model in made:
        router.add_api_route(
            path, endpoint, name=operation.replace("-", "_"), summary=summary,
            response_model=model or schemas_lineage.EntriesPage,
        )  # fmt: skip


_add_routes()
