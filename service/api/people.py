"""People: what is stored of them, and how they are forgotten."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from fastapi import APIRouter, Depends, Path, Query, Request
from starlette.responses import Response

from service.api import schemas_people as shapes
from service.api.auth import Needs
from service.api.urls import IdRoute, page
from service.bootstrap import Service
from service.intake import forgetting
from service.store.ledgers import Ledger
from service.store.log.stored_events import as_cloudevent
from service.store.people import erasures

router = APIRouter(tags=["people"], route_class=IdRoute)
_JSON = "application/json"
_RECEIPT = ("destroyed", "log", "signature", "public_key")


@router.post(
    "/v1/erasures", summary="Forget a person", response_model=shapes.Erased, status_code=201,
)  # fmt: skip
async def post_erasure(
    request: Request, body: shapes.ErasureRequest, ledger: Annotated[Ledger, Depends(Needs("admin"))]
) -> Response:
    """Append `subject.erased`, and destroy what makes the person's data readable: no figure changes but reach.

    It covers every id that merges make the same person, and what arrives later. It cannot be undone.
    """
    service: Service = request.app.state.service
    positions = await forgetting.forget(
        service.pool, service.intake, ledger.ledger, body.subject_id, body.legal_basis, leads=body.leads
    )
    found = await erasures.listed(service.pool, ledger.ledger, positions[0] - 1, len(positions))
    content = msgspec.json.encode({"erasures": [_shown(one) for one in found]})
    return Response(content, 201, media_type=_JSON)


@router.get("/v1/erasures", summary="Who was forgotten, with receipts", response_model=shapes.ErasureList)
async def get_erasures(
    request: Request, ledger: Annotated[Ledger, Depends(Needs("read"))],
    after: Annotated[int, Query(ge=0, le=2**62, description="positions after this one")] = 0,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
) -> Response:  # fmt: skip
    """List erasures in the order of their events: whom each reached, and what was destroyed when."""
    service: Service = request.app.state.service
    found = await erasures.listed(service.pool, ledger.ledger, after, limit)
    following = {"after": found[-1].position} if len(found) == limit else None
    return page(request, {"erasures": [_shown(one) for one in found]}, following)


@router.get("/v1/subjects/{id:path}", summary="What is stored of a person", response_model=shapes.Subject)
async def get_subject(
    request: Request, ledger: Annotated[Ledger, Depends(Needs("read"))],
    subject: Annotated[str, Path(alias="id", description="of a contact or a lead, percent-encoded")],
) -> Response:  # fmt: skip
    """Tell everything that the log says of a person, under every id that merges make the same (GDPR, article 15)."""
    service: Service = request.app.state.service
    found = await forgetting.found(service.pool, service.intake, ledger.ledger, subject)
    body = {
        "subject_id": subject, "subjects": found.names, "erased": found.erased, "leads": found.leads,
        "events": [msgspec.Raw(as_cloudevent(one)) for one in found.events],
    }  # fmt: skip
    return Response(msgspec.json.encode(body), media_type=_JSON)


def _shown(one: erasures.Erasure) -> dict[str, Any]:
    receipt = msgspec.json.decode(one.receipt) if one.receipt else {}
    told = {"position": one.position, "subjects": one.subjects, "asked_at": one.asked_at, "done_at": one.done_at}
    return {**told, **receipt, **{name: receipt.get(name) for name in _RECEIPT}, "done_at": one.done_at}
