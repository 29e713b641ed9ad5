"""Lineage: the entries of every figure, journeys as timelines, and what changed between two moments of knowing."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import Annotated, Any

import msgspec
from fastapi import APIRouter, Path, Query, Request
from pydantic import Field
from starlette.responses import Response

from service.api import answering, attributed, parameters, schemas_lineage
from service.api.parameters import After, AsOf, FigureReader, Limit, MinPosition, Reader
from service.api.problems import ProblemError
from service.api.reports import mark, read_place
from service.api.urls import IdRoute
from service.bootstrap import Service
from service.domain.catalogue import shown
from service.domain.contributions import REPORTS
from service.domain.figures import Total
from service.domain.report import Report
from service.projections.reports import completeness, reading, restatement, timeline
from service.projections.sums import selection

router = APIRouter(tags=["lineage"], route_class=IdRoute)


@router.get(
    "/v1/journeys/{kind}/{id:path}", summary="One journey as a timeline", response_model=schemas_lineage.Timeline,
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
    subjects = request.app.state.service.subjects
    async with answering.views(request, ledger, min_position, parameters.read_moment(as_of)) as (view,):
        try:
            page = await timeline.read(view, kind, identity, int(after or 0), limit, subjects=subjects)
        except ValueError:
            raise parameters.invalid("after", "what the `next` of the page before has", after) from None
    if page is None:
        raise ProblemError(404, f"no event names a {kind} {shown(identity)}")
    following = answering.Page(None if page.last is None else str(page.last))
    # Not kept: what it says of people is to be read by their keys each time.
    return await answering.answer(request, view, page.body, None, page=following)


@router.get(
    "/v1/completeness", summary="What waits, and how fresh the sources are", response_model=schemas_lineage.Completeness,
)  # fmt: skip
async def get_completeness(
    request: Request, ledger: FigureReader, as_of: AsOf = None, min_position: MinPosition = 0
) -> Response:  # fmt: skip
    """Tell what is recorded and in no figure yet: what it waits for, how much money it stands for, since when.

    What has waited for longer than `overdue_days`, a setting, is told as `overdue`, too: a credit note whose invoice never comes.
    A source is `silent` when nothing came for three times as long as 95 % of its intervals are. A key with the scope
    `figures` alone gets no `examples`.
    """
    async with answering.views(request, ledger, min_position, parameters.read_moment(as_of)) as (view,):
        service: Service = request.app.state.service
        body = await completeness.read(view, service.settings.overdue_days)
    if not answering.sees_entries(request):
        body["waiting"] = [{**one, "examples": []} for one in body["waiting"]]
    return Response(msgspec.json.encode({**body, **answering.frame(view)}), media_type="application/json")


def _moment(field: str, text: str) -> int | datetime:
    found = parameters.read_moment(text, field)
    if found is None:
        raise parameters.invalid(field, "a position or a time", "nothing")
    return found


_SUMMED: list[Any] = [name for name, report in REPORTS.items() if report.of_kind(Total)]  # restated is what adds up


class Compared(parameters.Window):
    """What is compared."""

    from_as_of: str = Field(description="known then: a position or an RFC 3339 time", examples=["1200"])
    to_as_of: str | None = Field(None, description="known later; absent = now", examples=["2026-04-30T00:00:00Z"])
    report: str = Field("roi", description="the report", json_schema_extra={"enum": _SUMMED})
    measure: str | None = Field(None, description="one figure that is a sum; absent = all that add up one measure")
    group_by: str | None = Field(
        None,
        description="up to 3 of what postings have themselves, and periods; absent = the report's first one, month",
    )
    campaign_id: list[str] = Field(
        [], description="only this one; empty = what is unattributed; repeated = any of them"
    )
    attribution: str = Field("", description=parameters.ATTRIBUTION, examples=["linear"])
    after: After = ""
    limit: Limit = 100


@router.get(
    "/v1/restatement", summary="What changed between two moments of knowing", response_model=schemas_lineage.Restatement,
)  # fmt: skip
async def get_restatement(request: Request, ledger: FigureReader, asked: Annotated[Compared, Query()]) -> Response:
    """Compare the figures known at two moments: then, now, the difference, and the entries that make it up, in words.

    `lines` are those of all rows, in the order in which they were posted; the lines of a row add up to its difference.
    A key with the scope `figures` alone gets no `lines`.
    """
    if asked.report not in _SUMMED:
        raise parameters.invalid("report", f"one of {', '.join(_SUMMED)}", asked.report)
    moments = _moment("from_as_of", asked.from_as_of), parameters.read_moment(asked.to_as_of, "to_as_of")
    async with answering.views(request, ledger, asked.min_position, *moments) as (then, now):
        report = await attributed.asked_for(now, REPORTS[asked.report], asked)
        query, compared = _read(report, asked)
        if then.as_of.position > now.as_of.position:
            raise parameters.invalid(
                "to_as_of", f"a moment not before from_as_of ({asked.from_as_of})", asked.to_as_of or ""
            )
        body, following = await restatement.read(then, now, query, compared, read_place(asked.after), asked.limit)
    scope: str | None = "read"
    if not answering.sees_entries(request):
        body, following, scope = {**body, "lines": []}, None, None
    content = {**_between(then, now), **body, "date_basis": query.basis}
    fixed = {"from_as_of": then.as_of.position, "to_as_of": now.as_of.position}
    return await answering.answer(request, now, content, scope, page=answering.Page(mark(following), fixed))


def _read(asked_about: Report, asked: Compared) -> tuple[selection.Query, dict[str, Total]]:
    """Return which figures are compared, and of what."""
    try:
        report = restatement.report_with(asked_about, asked.measure)
    except KeyError:
        known = {name for one in (asked_about, *REPORTS.values()) for name in one.of_kind(Total)}
        raise parameters.invalid("measure", f"one of {', '.join(sorted(known))}", asked.measure or "") from None
    dimensions = report.cube.by
    if asked.campaign_id and "campaign" not in dimensions:
        raise parameters.invalid("campaign_id", f"none: {report.name} are of no campaign", asked.campaign_id[0])
    group_by = f"{dimensions[0]},month" if asked.group_by is None else asked.group_by
    groups = parameters.read_groups(group_by, restatement.groups(report))
    query = parameters.read_query(asked, groups, {"campaign": asked.campaign_id})
    query = replace(query, basis=report.basis or query.basis)
    return query, restatement.measures(report, asked.measure, groups)


def _between(then: reading.Snapshot, now: reading.Snapshot) -> dict[str, Any]:
    moments = {
        name: {"position": view.as_of.position, "recorded_at": view.as_of.recorded_at}
        for name, view in (("from_as_of", then), ("to_as_of", now))
    }
    return {**moments, "currency": now.ledger.currency}
