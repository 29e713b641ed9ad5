"""Campaigns, and the lists of what waits or has to be looked at, with ETag, `as_of` and `min_position`."""

from __future__ import annotations

from typing import Annotated

import msgspec
from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from service.api import answering, parameters, schemas
from service.api.parameters import After, AsOf, CampaignPath, FigureReader, Limit, MinPosition, Reader
from service.api.problems import ProblemError
from service.api.urls import IdRoute
from service.domain.catalogue import shown
from service.domain.details import FLAG, PENDING_LINKS
from service.store.ledgers import Ledger

router = APIRouter(tags=["read models"], route_class=IdRoute)
_pair = msgspec.json.Decoder(tuple[str, str])


@router.get("/v1/campaigns", summary="Campaigns", response_model=schemas.Campaigns)
async def get_campaigns(
    request: Request, ledger: FigureReader, after: Annotated[str, Query(description="ids after this one")] = "",
    limit: Annotated[int, Query(ge=1, le=1000)] = 100, as_of: AsOf = None, min_position: MinPosition = 0,
) -> Response:  # fmt: skip
    """List campaigns, registered or only named, by id; `Link: rel=next` leads on while there are more."""
    async with answering.views(request, ledger, min_position, parameters.read_moment(as_of)) as (view,):
        known = [(one, attributes) for one, attributes in (await view.campaigns()).items() if one > after]
    rows = [{"campaign_id": one, **attributes} for one, attributes in known[:limit]]
    return await answering.answer(
        request,
        view,
        {"rows": rows},
        "figures",
        page=answering.Page(rows[-1]["campaign_id"] if len(known) > limit else None),
    )


@router.get(
    "/v1/campaigns/{campaign_id:path}",
    summary="One campaign",
    response_model=schemas.Campaign,
)
async def get_campaign(
    request: Request, ledger: FigureReader, campaign_id: CampaignPath, as_of: AsOf = None,
    min_position: MinPosition = 0,
) -> Response:  # fmt: skip
    """One campaign's attributes, the last statement of each."""
    async with answering.views(request, ledger, min_position, parameters.read_moment(as_of)) as (view,):
        known = await view.campaigns()
    if campaign_id not in known:
        raise ProblemError(404, f"there is no campaign {shown(campaign_id)}")
    return await answering.answer(request, view, {"campaign_id": campaign_id, **known[campaign_id]}, scope="figures")


async def _listed(
    request: Request, ledger: Ledger, measure: str, after: str, limit: int, as_of: str | None
) -> Response:
    try:
        pair: tuple[str, str] = _pair.decode(after) if after else ("", "")
    except msgspec.DecodeError:
        raise parameters.invalid("after", "what the `Link` of the page before has", after) from None
    async with answering.views(request, ledger, 0, parameters.read_moment(as_of)) as (view,):
        found = await view.listed(measure, pair, limit)
    names = ("from", "to") if measure == PENDING_LINKS else ("entity", "reason")
    rows = [dict(zip((*names, "campaign_id", "since_position"), one, strict=True)) for one in found]
    following = msgspec.json.encode(found[-1][:2]).decode() if len(found) == limit else None
    return await answering.answer(request, view, {"rows": rows}, page=answering.Page(following))


@router.get("/v1/pending-links", summary="Pending links", response_model=schemas.Links)
async def get_pending_links(
    request: Request, ledger: Reader, after: After = "", limit: Limit = 100, as_of: AsOf = None
) -> Response:
    """What waits for something that has not arrived: (from, to) pairs, and since which event."""
    return await _listed(request, ledger, PENDING_LINKS, after, limit, as_of)


@router.get("/v1/flags", summary="Flags", response_model=schemas.Flags)
async def get_flags(
    request: Request, ledger: Reader, after: After = "", limit: Limit = 100, as_of: AsOf = None
) -> Response:
    """What a person should look at: capped reversals, corrections set aside for their currency."""
    return await _listed(request, ledger, FLAG, after, limit, as_of)
