"""One order's deal, explained to whoever doubts what a model makes of it."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path, Request
from pydantic import BaseModel, Field
from starlette.responses import Response

from service.api import answering, parameters, schemas
from service.api.parameters import AsOf, MinPosition, Reader
from service.api.problems import ProblemError
from service.api.urls import IdRoute
from service.domain.catalogue import shown
from service.projections.attribution import explained

router = APIRouter(tags=["reports"], route_class=IdRoute)


class DealTouch(BaseModel):
    """A touch of somebody who is linked with the deal. Under each model it has a weight, or there is a reason why not."""

    touchpoint_id: str
    campaign_id: str
    time: str = Field(description="RFC 3339, in UTC", examples=["2026-03-01T09:30:00Z"])
    activity_type: str = Field(examples=["newsletter"])
    interaction: str | None = Field(examples=["click"])
    weights: dict[str, float] = Field(
        description="by model, its share of the deal, to 6 decimals", examples=[{"linear": 0.25}]
    )
    why_not: dict[str, str] = Field(
        description="by model: suppressed, after_order, outside_lookback or click_beats_view",
        examples=[{"linear": "outside_lookback"}],
    )


class DealAmounts(BaseModel):
    """What a campaign has of an order under a model; null = what is unattributed."""

    campaign_id: str | None
    booked_revenue: str = Field(examples=["33.34"])
    invoiced_revenue: str = Field(examples=["33.34"])


class ExplainedDeal(BaseModel):
    """An order's deal: its touches in order, and its money by model. The amounts of each model add up to the order's."""

    order_id: str
    official: str = Field(description="the model that is official", examples=["source_campaign"])
    currency: str = Field(examples=["EUR"])
    touches: list[DealTouch]
    amounts: dict[str, list[DealAmounts]]
    as_of: schemas.Moment
    read_model_version: str = schemas.Version


@router.get(
    "/v1/attribution/orders/{order_id:path}", summary="How an order's money is dealt", response_model=ExplainedDeal
)
async def get_attribution_of_order(
    request: Request, ledger: Reader, order_id: Annotated[str, Path(description="percent-encoded")], as_of: AsOf = None,
    min_position: MinPosition = 0,
) -> Response:  # fmt: skip
    """Explain one deal: each touch, eligible or why not, its weight under each model, and the amounts that are dealt."""
    async with answering.views(request, ledger, min_position, parameters.read_moment(as_of)) as (view,):
        key = (ledger.ledger, view.generation)
        deals = await explained.deal(view.connection, key, view.as_of.position, order_id)
    body = explained.told(deals, order_id, ledger.currency)
    if body is None:
        raise ProblemError(404, f"no event has placed an order {shown(order_id)}")
    return await answering.answer(request, view, body)
