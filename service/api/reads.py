"""The read models: ROI, conversion, velocity, campaigns, and the lists behind them, with ETag, `as_of` and `min_position`."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec
from fastapi import APIRouter, Path, Query, Request
from starlette.responses import Response

from service.api import parameters, schemas
from service.api.parameters import (
    After,
    AsOf,
    Basis,
    CampaignPath,
    FigureReader,
    From,
    GroupBy,
    Limit,
    MinPosition,
    Reader,
    To,
)
from service.api.problems import ProblemError
from service.api.urls import IdRoute
from service.domain.details import FLAG, PENDING_LINKS
from service.projections.reports import reading, reports
from service.projections.sums import selection
from service.store.ledgers import Ledger

router = APIRouter(tags=["read models"], route_class=IdRoute)
_pair = msgspec.json.Decoder(tuple[str, str])


async def _report(
    request: Request, ledger: Ledger, name: str, asked: parameters.Asked, *, flat: bool = False
) -> Response:
    async with parameters.views(request, ledger, asked.min_position, asked.as_of) as (view,):
        answer = await reports.REPORTS[name](view, asked.query)
        answer |= await _frame(view, asked.query)
        if flat:
            answer = await _flat(view, answer, asked.query.campaign or "")
    return await parameters.answer(request, view, answer, scope="figures")


async def _frame(view: reading.Snapshot, query: selection.Query) -> dict[str, Any]:
    """Return what every answer says of itself."""
    unconverted, pending_links = await view.waiting(query)
    return {
        "currency": view.ledger.currency,
        "date_basis": query.basis,
        **parameters.frame(view),
        "unconverted": unconverted,
        "pending_links": pending_links,
    }


async def _flat(view: reading.Snapshot, answer: dict[str, Any], campaign: str) -> dict[str, Any]:
    """Turn a report of one campaign into one flat object; a campaign that nothing names is a 404 problem."""
    rows, total = answer.pop("rows"), answer.pop("total")
    if not rows and campaign not in await view.campaigns():
        raise ProblemError(404, f"there is no campaign {campaign!r}")
    return {"campaign_id": campaign, **total, **answer}


async def _read(
    request: Request, ledger: Ledger, name: str, groups: str, since: str | None, until: str | None, basis: str,
    as_of: str | None, min_position: int, campaign: str | None,
) -> Response:  # fmt: skip
    return await _report(
        request, ledger, name, parameters.read_asked(groups, since, until, basis, as_of, min_position, campaign)
    )


@router.get("/v1/roi", summary="ROI", response_model=schemas.RoiAnswer, responses=schemas.PROBLEMS)
async def get_roi(
    request: Request, ledger: FigureReader, group_by: GroupBy = "campaign", from_: From = None, to: To = None,
    date_basis: Basis = "event", as_of: AsOf = None, min_position: MinPosition = 0, campaign_id: str | None = None,
) -> Response:  # fmt: skip
    """Costs, revenues, margins and returns per group; attributed + unattributed = total, to the cent."""
    return await _read(request, ledger, "roi", group_by, from_, to, date_basis, as_of, min_position, campaign_id)


@router.get("/v1/conversion", summary="Conversion", response_model=schemas.ConversionAnswer, responses=schemas.PROBLEMS)
async def get_conversion(
    request: Request, ledger: FigureReader, group_by: GroupBy = "campaign", from_: From = None, to: To = None,
    date_basis: Basis = "event", as_of: AsOf = None, min_position: MinPosition = 0, campaign_id: str | None = None,
) -> Response:  # fmt: skip
    """How many entered each step, the cohort funnel of the leads captured in the period, and outcomes."""
    return await _read(request, ledger, "conversion", group_by, from_, to, date_basis, as_of, min_position, campaign_id)


@router.get("/v1/velocity", summary="Velocity", response_model=schemas.VelocityAnswer, responses=schemas.PROBLEMS)
async def get_velocity(
    request: Request, ledger: FigureReader, group_by: GroupBy = "campaign", from_: From = None, to: To = None,
    date_basis: Basis = "event", as_of: AsOf = None, min_position: MinPosition = 0, campaign_id: str | None = None,
) -> Response:  # fmt: skip
    """How long the steps take, in days: mean, median and 90th percentile; negative durations are counted apart."""
    return await _read(request, ledger, "velocity", group_by, from_, to, date_basis, as_of, min_position, campaign_id)


@router.get("/v1/campaigns", summary="Campaigns", response_model=schemas.Campaigns, responses=schemas.PROBLEMS)
async def get_campaigns(
    request: Request, ledger: FigureReader, after: Annotated[str, Query(description="ids after this one")] = "",
    limit: Annotated[int, Query(ge=1, le=1000)] = 100, as_of: AsOf = None, min_position: MinPosition = 0,
) -> Response:  # fmt: skip
    """List campaigns, registered or only named, by id; `Link: rel=next` leads on while there are more."""
    async with parameters.views(request, ledger, min_position, parameters.read_moment(as_of)) as (view,):
        known = [(one, attributes) for one, attributes in (await view.campaigns()).items() if one > after]
    rows = [{"campaign_id": one, **attributes} for one, attributes in known[:limit]]
    return await parameters.answer(
        request,
        view,
        {"rows": rows},
        "figures",
        page=parameters.Page(rows[-1]["campaign_id"] if len(known) > limit else None),
    )


@router.get(
    "/v1/campaigns/{campaign_id:path}/{report:report}", summary="One campaign's report", response_class=Response,
    responses=schemas.PROBLEMS,
)  # fmt: skip
async def get_campaign_report(
    request: Request, ledger: FigureReader, campaign_id: CampaignPath,
    report: Annotated[Literal["roi", "conversion", "velocity"], Path()], from_: From = None, to: To = None,
    date_basis: Basis = "event", as_of: AsOf = None, min_position: MinPosition = 0,
) -> Response:  # fmt: skip
    """One campaign's ROI, conversion or velocity as one flat object."""
    asked = parameters.read_asked("campaign", from_, to, date_basis, as_of, min_position, campaign_id)
    return await _report(request, ledger, report, asked, flat=True)


@router.get(
    "/v1/campaigns/{campaign_id:path}",
    summary="One campaign",
    response_model=schemas.Campaign,
    responses=schemas.PROBLEMS,
)
async def get_campaign(
    request: Request, ledger: FigureReader, campaign_id: CampaignPath, as_of: AsOf = None,
    min_position: MinPosition = 0,
) -> Response:  # fmt: skip
    """One campaign's attributes, the last statement of each."""
    async with parameters.views(request, ledger, min_position, parameters.read_moment(as_of)) as (view,):
        known = await view.campaigns()
    if campaign_id not in known:
        raise ProblemError(404, f"there is no campaign {campaign_id!r}")
    return await parameters.answer(request, view, {"campaign_id": campaign_id, **known[campaign_id]}, scope="figures")


async def _listed(
    request: Request, ledger: Ledger, measure: str, after: str, limit: int, as_of: str | None
) -> Response:
    try:
        pair: tuple[str, str] = _pair.decode(after) if after else ("", "")
    except msgspec.DecodeError:
        raise parameters.invalid("after", "what the `Link` of the page before has", after) from None
    async with parameters.views(request, ledger, 0, parameters.read_moment(as_of)) as (view,):
        found = await view.listed(measure, pair, limit)
    names = ("from", "to") if measure == PENDING_LINKS else ("entity", "reason")
    rows = [dict(zip((*names, "campaign_id", "since_position"), one, strict=True)) for one in found]
    following = msgspec.json.encode(found[-1][:2]).decode() if len(found) == limit else None
    return await parameters.answer(request, view, {"rows": rows}, page=parameters.Page(following))


@router.get("/v1/pending-links", summary="Pending links", response_model=schemas.Links, responses=schemas.PROBLEMS)
async def get_pending_links(
    request: Request, ledger: Reader, after: After = "", limit: Limit = 100, as_of: AsOf = None
) -> Response:
    """What waits for something that has not arrived: (from, to) pairs, and since which event."""
    return await _listed(request, ledger, PENDING_LINKS, after, limit, as_of)


@router.get("/v1/flags", summary="Flags", response_model=schemas.Flags, responses=schemas.PROBLEMS)
async def get_flags(
    request: Request, ledger: Reader, after: After = "", limit: Limit = 100, as_of: AsOf = None
) -> Response:
    """What a person should look at: capped reversals, corrections set aside for their currency."""
    return await _listed(request, ledger, FLAG, after, limit, as_of)
