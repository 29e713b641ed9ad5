"""The reports: each is asked for, and each of its figures opened, by routes that follow from its declaration."""

from __future__ import annotations

import re
from collections.abc import Callable, Coroutine, Iterable, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Annotated, Any

import msgspec
from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from service.api import (
    answering,
    attributed,
    comparing,
    drawing,
    exporting,
    files,
    formats,
    parameters,
    report_schemas,
    schemas_lineage,
)
from service.api.parameters import CampaignPath, FigureReader, Reader
from service.api.problems import ProblemError
from service.api.urls import IdRoute
from service.domain.contributions import REPORTS
from service.domain.figures import Dealt, PastDue
from service.domain.report import Report
from service.projections.reports import answers, comparison, entries, reading
from service.projections.reports.dues import Now
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


async def frame(
    view: reading.Snapshot, query: selection.Query, report: Report, now: Now | None = None
) -> dict[str, Any]:  # fmt: skip
    """Return what every answer of a report says of itself.

    What waits for a rate is told of its own measures, and of costs and revenue, beside which they stand.
    """
    asked = query if report.name != "forecast" else await entries.opened(view, report, query, "value", now)
    unconverted, pending_links = await view.waiting(asked, {*report.measures, *REPORTS["roi"].measures})
    return {
        "currency": view.ledger.currency,
        "date_basis": query.basis,
        **answering.frame(view),
        "unconverted": unconverted,
        "pending_links": pending_links,
    }


async def names(view: reading.Snapshot, rows: Iterable[dict[str, Any]]) -> dict[str, str]:
    """Return the names of the campaigns in rows."""
    ids = {row[group] for row in rows for group in ("campaign_id", "parent") if row.get(group)}
    known = await view.campaigns() if ids else {}
    return {one: known[one]["name"] for one in sorted(ids) if known.get(one, {}).get("name")}


async def _rows(request: Request, ledger: Ledger, report: Report, asked: Any) -> Response:
    groups = report.keys
    if groups is None:
        groups = parameters.read_groups(asked.group_by, parameters.groups_of(report))
    query = parameters.read_query(asked, groups, parameters.filters_of(report, asked))
    _check_facets(report, query)
    by = getattr(asked, "sort", "") or report.sort  # of what has rows
    falling, sort = by.startswith("-"), by.removeprefix("-")
    page = answers.Page()
    if groups:
        page = answers.Page(sort or None, falling, parameters.read_key(asked.after, query), asked.limit)
    include = frozenset[str](getattr(asked, "include", ()))  # of reports with figures on request only
    there_are = formats.REPORTS if groups else formats.TABLES  # without rows there is nothing to draw
    if asked.format is not None and asked.format not in {one.name for one in there_are}:
        raise parameters.invalid("format", f"one of {', '.join(one.name for one in there_are)}", asked.format)
    form = formats.wanted(request, asked.format, there_are)
    other, moments = comparing.read_query(asked, query), comparing.read_moments(asked)
    async with answering.views(request, ledger, asked.min_position, *moments) as views:
        view, against = views[0], views[-1]
        report = await attributed.asked_for(view, report, asked)
        if sort and sort not in report.figures:
            raise parameters.invalid(
                "sort", f"a figure, one of {', '.join(report.figures)}, perhaps with - before it", sort
            )
        figure = _figure_of_chart(report, form, asked)
        now = parameters.read_now(asked.now, moments[0], view)
        query = answers.within(report, query, now.of(ledger))
        other = other and answers.within(report, other, now.of(ledger))
        try:
            if other is None:
                found = await answers.read(view, report, query, now.of(ledger), include, page)
            else:
                beside = comparison.Other(against, other)
                found = await comparison.read(view, beside, report, query, now.of(ledger), include, page)
        except TooManyPeriodsError as error:
            raise parameters.invalid("to", str(error), asked.to or "nothing") from None
        if found is None:
            raise parameters.invalid("after", "what the `next` of the page before has", asked.after)
        found_names = await names(view, found.rows)
        body = {"rows": found.rows, **({"total": found.total} if report.has_total else {})}
        body |= {**await frame(view, query, report, now.of(ledger)), "names": found_names}
        body |= await answers.beside(view, report, query, now.of(ledger))
        if other is not None:
            body["compared_to"] = comparing.told(other, await frame(against, other, report, now.of(ledger)))
    if report.of_now:
        body["now"] = now.told()
    rows = found.rows if groups else [{name: one for name, one in found.total.items() if name not in report.parts}]
    return await answering.answer(
        request, view, body, "figures", page=_following(found.last, views, now if report.of_now else None),
        now=now if report.of_now else None, against=against if len(views) > 1 else None,
        file=files.of_report(form, view, report, query, {**body, "rows": rows}, figure), rows=rows,
    )  # fmt: skip


def _figure_of_chart(report: Report, form: formats.Format, asked: Any) -> str:
    """Return the figure that a chart shows; "" of what is no chart."""
    if form not in (formats.SVG, formats.PNG):
        if asked.figure:
            raise parameters.invalid("figure", "to be absent, but for a chart: format=svg or png", asked.figure)
        return ""
    figure = drawing.figure_of(report, asked.figure, getattr(asked, "sort", ""))
    if figure not in report.figures:
        raise parameters.invalid("figure", f"one of {', '.join(report.figures)}", figure)
    return figure


def _following(
    last: selection.Key | None, views: Sequence[reading.Snapshot], now: parameters.Now | None
) -> answering.Page:  # fmt: skip
    """Return where the next page is: all pages rest on what was known, and what time it was, for the first one."""
    after = None if last is None else msgspec.json.encode(last).decode()
    known: dict[str, Any] = {
        name: view.as_of.position for name, view in zip(("as_of", "against_as_of"), views, strict=False)
    }
    if now is not None:
        known["now"] = now.at.isoformat().replace("+00:00", "Z")
    return answering.Page(after, known)


async def _campaign(
    request: Request, ledger: Ledger, report: Report, campaign: str, asked: parameters.Campaign
) -> Response:  # fmt: skip
    query = parameters.read_query(asked, ("campaign",), {"campaign": [campaign]})
    moment = parameters.read_moment(asked.as_of)
    form = formats.wanted(request, asked.format, formats.TABLES)
    async with answering.views(request, ledger, asked.min_position, moment) as (view,):
        today = parameters.read_now(asked.now, moment, view)
        report = await attributed.asked_for(view, report, asked)
        found = await answers.read(view, report, query, today.of(ledger))
        if found is None or (not found.rows and campaign not in await view.campaigns()):
            raise ProblemError(404, f"there is no campaign {campaign!r}")
        body = {"campaign_id": campaign, **found.total, **await frame(view, query, report)}
        row = {"campaign_id": campaign, **found.total}
        file = files.of_report(form, view, report, query, {**body, "rows": [row], "names": await names(view, [row])})
    if report.of_now:
        body["now"] = today.told()
    now = today if report.of_now else None
    return await answering.answer(request, view, body, "figures", now=now, file=file, rows=[row])


def _check_facets(report: Report, query: selection.Query) -> None:
    """Refuse to tell what an entity may state several of by two such things at once."""
    if report.facets is not None:
        try:
            report.facets.asked(query.dimensions)
        except ValueError as error:
            one = "groups and filters of one of " + ", ".join(report.facets.groups)
            raise parameters.invalid("group_by", one, str(error)) from None


def check_opened(report: Report, query: selection.Query, made_of: Iterable[str]) -> None:
    """Refuse to open, by the filters of a query, figures that are `made_of` what has no such entries."""
    _check_filters_of_facets(report, query)
    if dealt := report.of_kind(Dealt).keys() & set(made_of):
        _refuse_filters_of_dealt(min(dealt), query)


def _check_filters_of_facets(report: Report, query: selection.Query) -> None:
    """Refuse to open what states nothing of several things: each entity would be in it several times."""
    _check_facets(report, query)
    if report.facets is not None and (name := report.facets.to_name(query.only)) is not None:
        raise parameters.invalid(name, f"one {name}, to open what states nothing of it", "")


def _refuse_filters_of_dealt(name: str, query: selection.Query) -> None:
    """Refuse to open what is dealt to leads on reading by what those have: its entries have what their campaign has."""
    for dimension, values in query.only:
        if dimension not in selection.OF_WHOLE_CAMPAIGNS:
            expected = f"no such filter: {name} is dealt on reading, and its entries are those of campaigns"
            raise parameters.invalid(dimension, expected, ", ".join(values))


async def _entries(
    request: Request, ledger: Ledger, report: Report, asked: parameters.Entries, only: dict[str, list[str]]
) -> Response:  # fmt: skip
    query = parameters.read_query(asked, ("campaign",), only)
    if report.additive(asked.measure) is None and not report.keyed:
        raise parameters.invalid("measure", f"one of {', '.join(report.figures)}", asked.measure)
    if report.additive(asked.measure) == {}:
        own = ", ".join(name for name in report.figures if report.additive(name))
        raise parameters.invalid(
            "measure", f"one of {own}: others open where they are reported, as in roi", asked.measure
        )
    check_opened(report, query, report.additive(asked.measure) or {})
    moment = parameters.read_moment(asked.as_of)
    place = read_place(asked.after)
    of_now = report.window is not None
    of_now |= not (report.additive(asked.measure) or {}).keys().isdisjoint(report.of_kind(PastDue))
    form = formats.wanted(request, asked.format, formats.TABLES)
    if asked.limit is None and (asked.format is not None or form is not formats.JSON):
        opened = answering.views(request, ledger, asked.min_position, moment)
        return await exporting.answer(request, form, _all_entries(opened, form, report, query, asked, of_now=of_now))
    async with answering.views(request, ledger, asked.min_position, moment) as (view,):
        report = await _opened(view, report, asked)
        now = parameters.read_now(asked.now, moment, view)
        figure = await entries.asked(view, query, report, asked.measure, now.of(ledger))
        body, following = await entries.read(view, figure, place, asked.limit or parameters.PAGE)
        file = files.of_entries(form, view, report, figure)
    body |= {"currency": ledger.currency, "date_basis": query.basis}
    if not of_now:
        return await answering.answer(request, view, body, page=answering.Page(mark(following)), file=file)
    known = {"as_of": view.as_of.position, "now": now.at.isoformat().replace("+00:00", "Z")}
    page = answering.Page(mark(following), known)
    return await answering.answer(request, view, {**body, "now": now.told()}, page=page, now=now, file=file)


async def _opened(view: reading.Snapshot, report: Report, asked: parameters.Entries) -> Report:
    """Return the report by the model that was asked for; refuses what is no figure of it."""
    report = await attributed.asked_for(view, report, asked)
    if report.additive(asked.measure) is None:
        raise parameters.invalid("measure", f"one of {', '.join(report.figures)}", asked.measure)
    return report


async def _all_entries(
    opened: AbstractAsyncContextManager[list[reading.Snapshot]], form: formats.Format, report: Report, query: selection.Query,
    asked: parameters.Entries, *, of_now: bool,
) -> exporting.Rows:  # fmt: skip
    """Yield all entries of a figure, from one moment of the database, as what a file is made of."""
    moment = parameters.read_moment(asked.as_of)
    async with opened as (view,):
        report = await _opened(view, report, asked)
        now = parameters.read_now(asked.now, moment, view)
        figure = await entries.asked(view, query, report, asked.measure, now.of(view.ledger))
        told = {"currency": view.ledger.currency, "date_basis": query.basis, **answering.frame(view), "next": None}
        told |= {"now": now.told()} if of_now else {}
        file = files.of_entries(form, view, report, figure)
        headers = {"ETag": answering.tag_of(view, now if of_now else None, form=form)}
        yield exporting.Export(
            file.table,
            file.name,
            headers,
            file.title,
            file.about,
            encode=msgspec.json.encode,
            around=files.around("entries", {**entries.told(figure), **told}),
        )
        async for some in entries.every(view, figure, read_place(asked.after)):
            yield some


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
        return await _campaign(request, ledger, report, campaign_id, asked)

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
