"""What could not be processed and waits for a fix: list it, and have it processed again."""

from __future__ import annotations

from typing import Annotated

import msgspec
from fastapi import APIRouter, Depends, Query, Request
from starlette.responses import Response

from service.api import operations_schemas
from service.api.auth import Guarded, Needs
from service.api.problems import ProblemError
from service.api.urls import page
from service.bootstrap import Service
from service.projections.generations import retry
from service.store.ledgers import Ledger

router = APIRouter(tags=["operations"], route_class=Guarded)
_JSON = "application/json"
_pair = msgspec.json.Decoder(tuple[int, int])


@router.get(
    "/v1/set-aside",
    summary="What could not be processed",
    response_model=operations_schemas.SetAside,
)
async def get_set_aside(
    request: Request, ledger: Annotated[Ledger, Depends(Needs("read"))],
    after: Annotated[str, Query(description="as the `Link` of the page before has it")] = "",
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
) -> Response:  # fmt: skip
    """List events that could not be read, and entities whose figures stand as they were before an event failed."""
    service: Service = request.app.state.service
    try:
        pair = _pair.decode(after) if after else (0, 0)
    except msgspec.DecodeError:
        raise ProblemError(
            422, "after: expected what the `Link` of the page before has", kind="invalid-request"
        ) from None
    items = await retry.listed(service.pool, ledger.ledger, pair, limit)
    last = f"[{items[-1]['position']},{items[-1]['component']}]" if len(items) == limit else None
    return page(request, {"items": items}, {"after": last} if last else None)


@router.post(
    "/v1/set-aside/retry",
    summary="Process it again",
    response_model=operations_schemas.Retried,
)
async def retry_set_aside(request: Request, ledger: Annotated[Ledger, Depends(Needs("admin"))]) -> Response:
    """Process everything that is set aside again, after a fix or an upgrade."""
    service: Service = request.app.state.service
    try:
        done = await retry.retry(service.pool, ledger)
    except retry.OtherReleaseError as error:
        raise ProblemError(409, str(error)) from error
    return Response(msgspec.json.encode(done._asdict()), media_type=_JSON)
