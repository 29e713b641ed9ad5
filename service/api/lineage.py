"""Lineage: the entries of every figure, journeys as timelines, and what changed between two moments of knowing."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import datetime
from typing import Annotated, Any, Literal, NamedTuple

import msgspec
from fastapi import APIRouter, Path, Query, Request
from starlette.responses import Response

from service.api import parameters, schemas, schemas_lineage
from service.api.parameters import (
    After,
    AsOf,
    Basis,
    CampaignId,
    CampaignPath,
    FigureReader,
    From,
    Limit,
    MinPosition,
    Reader,
    To,
)
from service.api.problems import ProblemError
from service.api.urls import IdRoute
from service.bootstrap import Service
from service.domain import lineage
from service.projections.reports import completeness, entries, reading, restatement, timeline
from service.projections.reports.entries import Place
from service.store.ledgers import Ledger

router = APIRouter(tags=["lineage"], route_class=IdRoute)
_FILTERS = ("channel", "source", "medium", "owner", "campaign_type", "parent")
Measure = Annotated[str, Query(description="a figure by its name in the report", examples=["invoiced_revenue"])]
Filter = Annotated[str | None, Query(description="only what has this value; empty = only what has none")]


class _Asked(NamedTuple):
    """What a list of entries is asked for."""

    asked: parameters.Asked
    measure: str
    after: Place
    limit: int


def _place(after: str) -> Place:
    if not after:
        return 0, 0
    if re.fullmatch(r"\d{1,18}\.\d{1,9}", after, re.ASCII) is None:
        raise parameters.invalid("after", "what the `Link` of the page before has", after)
    position, _, line = after.partition(".")
    return int(position), int(line)


def _mark(place: Place | None) -> str | None:
    return None if place is None else f"{place[0]}.{place[1]}"


def _measure(report: str, name: str) -> str:
    known = lineage.MEASURES[report] | lineage.RATIOS[report]
    if name not in known:
        raise parameters.invalid("measure", f"one of {', '.join(known)}", name)
    return name


async def _entries(request: Request, ledger: Ledger, report: str, asked: _Asked) -> Response:
    async with parameters.views(request, ledger, asked.asked.min_position, asked.asked.as_of) as (view,):
        body, following = await entries.read(
            view, asked.asked.query, report, asked.measure, asked.after, asked.limit
        )  # fmt: skip
    frame = {"currency": ledger.currency, "date_basis": asked.asked.query.basis}
    return await parameters.answer(request, view, {**body, **frame}, page=parameters.Page(_mark(following)))


@router.get(
    "/v1/{report:report}/entries", summary="What makes up a figure", response_model=schemas_lineage.EntriesPage,
    responses=schemas.PROBLEMS,
)  # fmt: skip
async def get_entries(
    request: Request, ledger: Reader, report: Annotated[Literal["roi", "conversion", "velocity"], Path()],
    measure: Measure, from_: From = None, to: To = None, date_basis: Basis = "event", as_of: AsOf = None,
    min_position: MinPosition = 0, campaign_id: CampaignId = None, channel: Filter = None, source: Filter = None,
    medium: Filter = None, owner: Filter = None, campaign_type: Filter = None, parent: Filter = None, after: After = "",
    limit: Limit = 100,
) -> Response:  # fmt: skip
    """List the entries that add up to a figure, in the order in which they were posted, each with its event and why.

    `sum` is the figure, as the report gives it for the same filters; `count` is how many entries there are in all pages.
    `Link: rel=next` leads on while there are more.
    """
    asked = parameters.read_asked("campaign", from_, to, date_basis, as_of, min_position, campaign_id)
    values = zip(_FILTERS, (channel, source, medium, owner, campaign_type, parent), strict=True)
    only = tuple((name, value) for name, value in values if value is not None)
    asked = asked._replace(query=replace(asked.query, only=only))
    return await _entries(request, ledger, report, _Asked(asked, _measure(report, measure), _place(after), limit))


@router.get(
    "/v1/campaigns/{campaign_id:path}/{report:report}/entries", summary="What makes up a campaign's figure",
    response_model=schemas_lineage.EntriesPage, responses=schemas.PROBLEMS,
)  # fmt: skip
async def get_campaign_entries(
    request: Request, ledger: Reader, campaign_id: CampaignPath,
    report: Annotated[Literal["roi", "conversion", "velocity"], Path()], measure: Measure, from_: From = None,
    to: To = None, date_basis: Basis = "event", as_of: AsOf = None, min_position: MinPosition = 0, after: After = "",
    limit: Limit = 100,
) -> Response:  # fmt: skip
    """List the entries that add up to one campaign's figure."""
    asked = parameters.read_asked("campaign", from_, to, date_basis, as_of, min_position, campaign_id)
    return await _entries(request, ledger, report, _Asked(asked, _measure(report, measure), _place(after), limit))


@router.get(
    "/v1/journeys/{kind}/{id:path}", summary="One journey as a timeline", response_model=schemas_lineage.Timeline,
    responses=schemas.PROBLEMS,
)  # fmt: skip
async def get_journey(
    request: Request, ledger: Reader, kind: Annotated[str, Path(json_schema_extra={"enum": list(timeline.KINDS)})],
    identity: Annotated[str, Path(alias="id", description="of the entity to begin with, percent-encoded")], as_of: AsOf = None,
    min_position: MinPosition = 0, after: After = "", limit: Limit = timeline.LIMIT,
) -> Response:  # fmt: skip
    """Tell everything that hangs together with an entity: events in event order, what each moved, and what waits.

    Of a long journey, `next` leads on, as known at the same position; each page has the entities that its events
    are the first to name, and what those wait for.
    """
    if kind not in timeline.KINDS:
        raise ProblemError(404, f"there are no journeys of a {kind}; there are those of {', '.join(timeline.KINDS)}")
    async with parameters.views(request, ledger, min_position, parameters.read_moment(as_of)) as (view,):
        try:
            page = await timeline.read(view, kind, identity, int(after or 0), limit)
        except ValueError:
            raise parameters.invalid("after", "what the `next` of the page before has", after) from None
    if page is None:
        raise ProblemError(404, f"no event names a {kind} {identity!r}")
    following = parameters.Page(None if page.last is None else str(page.last))
    return await parameters.answer(request, view, page.body, page=following)


@router.get(
    "/v1/completeness", summary="What waits, and how fresh the sources are", response_model=schemas_lineage.Completeness,
    responses=schemas.PROBLEMS,
)  # fmt: skip
async def get_completeness(
    request: Request, ledger: FigureReader, as_of: AsOf = None, min_position: MinPosition = 0
) -> Response:  # fmt: skip
    """Tell what is recorded and in no figure yet: what it waits for, how much money it stands for, since when.

    What has waited for longer than `overdue_days`, a setting, is told as `overdue`, too: a credit note whose invoice never comes.
    A source is `silent` when nothing came for three times as long as 95 % of its intervals are. A key with the scope
    `figures` alone gets no `examples`.
    """
    async with parameters.views(request, ledger, min_position, parameters.read_moment(as_of)) as (view,):
        service: Service = request.app.state.service
        body = await completeness.read(view, service.settings.overdue_days)
    if not parameters.sees_entries(request):
        body["waiting"] = [{**one, "examples": []} for one in body["waiting"]]
    return Response(msgspec.json.encode({**body, **parameters.frame(view)}), media_type="application/json")


def _moment(field: str, text: str) -> int | datetime:
    found = parameters.read_moment(text, field)
    if found is None:
        raise parameters.invalid(field, "a position or a time", "nothing")
    return found


@router.get(
    "/v1/restatement", summary="What changed between two moments of knowing", response_model=schemas_lineage.Restatement,
    responses=schemas.PROBLEMS,
)  # fmt: skip
async def get_restatement(
    request: Request, ledger: FigureReader,
    from_as_of: Annotated[str, Query(description="known then: a position or an RFC 3339 time", examples=["1200"])],
    to_as_of: Annotated[str | None, Query(description="known later; absent = now", examples=["2026-04-30T00:00:00Z"])] = None,
    measure: Annotated[str | None, Query(description="one figure; absent = all that entries add up to one by one")] = None,
    group_by: Annotated[str, Query(description=f"up to 3 of {', '.join(restatement.GROUPS)}")] = "campaign,month",
    from_: From = None, to: To = None, date_basis: Basis = "event", min_position: MinPosition = 0,
    campaign_id: CampaignId = None, after: After = "", limit: Limit = 100,
) -> Response:  # fmt: skip
    """Compare the figures known at two moments: then, now, the difference, and the entries that make it up, in words.

    `lines` are those of all rows, in the order in which they were posted; the lines of a row add up to its difference.
    A key with the scope `figures` alone gets no `lines`.
    """
    asked = parameters.read_asked(group_by, from_, to, date_basis, None, min_position, campaign_id)
    if not set(asked.query.group_by) <= set(restatement.GROUPS):
        raise parameters.invalid("group_by", f"up to 3 of {', '.join(restatement.GROUPS)}", group_by)
    try:
        compared = restatement.measures(measure)
    except KeyError:
        known = {name for of in lineage.MEASURES.values() for name in of}
        raise parameters.invalid("measure", f"one of {', '.join(sorted(known))}", measure or "") from None
    moments = _moment("from_as_of", from_as_of), parameters.read_moment(to_as_of, "to_as_of")
    async with parameters.views(request, ledger, min_position, *moments) as (then, now):
        if then.as_of.position > now.as_of.position:
            raise parameters.invalid("to_as_of", f"a moment not before from_as_of ({from_as_of})", to_as_of or "")
        body, following = await restatement.read(then, now, asked.query, compared, _place(after), limit)
    scope: str | None = "read"
    if not parameters.sees_entries(request):
        body, following, scope = {**body, "lines": []}, None, None
    content = {**_between(then, now), **body, "date_basis": date_basis}
    fixed = {"from_as_of": then.as_of.position, "to_as_of": now.as_of.position}
    return await parameters.answer(request, now, content, scope, page=parameters.Page(_mark(following), fixed))


def _between(then: reading.Snapshot, now: reading.Snapshot) -> dict[str, Any]:
    moments = {
        name: {"position": view.as_of.position, "recorded_at": view.as_of.recorded_at}
        for name, view in (("from_as_of", then), ("to_as_of", now))
    }
    return {**moments, "currency": now.ledger.currency}
