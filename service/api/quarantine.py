"""The quarantine: what could not be taken as it came. Look at it, try it again, or dismiss it with a reason."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from fastapi import APIRouter, Depends, Path, Query, Request
from starlette.responses import Response

from service.api import schemas_quarantine as shapes
from service.api.auth import Guarded, Needs
from service.api.bodies import read_body
from service.api.problems import ProblemError, problem
from service.api.urls import page
from service.bootstrap import Service
from service.store import quarantine
from service.store.ledgers import Access, Ledger

router = APIRouter(tags=["operations"], route_class=Guarded)
_JSON = "application/json"
_ANSWERS: dict[int | str, dict[str, Any]] = {
    409: {"description": "not in this state, or another event has the source and id"},
}
# What a problem that an earlier release has kept may lack.
_EARLIER = {"type": "/problems/invalid-event", "title": "The event is not valid", "status": 422, "detail": ""}
Reader = Annotated[Ledger, Depends(Needs("read"))]
Sender = Annotated[Ledger, Depends(Needs("ingest"))]
Admin = Annotated[Ledger, Depends(Needs("admin"))]
Number = Annotated[int, Path(alias="id", ge=1, le=2**62, description="its id in the quarantine")]
State = Annotated[shapes.State, Query()]
After = Annotated[int, Query(ge=0, le=2**62, description="items after this one")]
Limit = Annotated[int, Query(ge=1, le=1000)]
Type = Annotated[str | None, Query(alias="type", description="only of this type of event; empty = only what has none")]
Source = Annotated[str | None, Query(description="only of this source; empty = only what has none")]
Cause = Annotated[
    str | None, Query(alias="reason", description="only what fails for this reason, as `counts` tells it")
]


def _answer(body: Any, headers: dict[str, str] | None = None) -> Response:
    return Response(msgspec.json.encode(body), headers=headers, media_type=_JSON)


@router.get("/v1/quarantine", summary="Items that could not be taken", response_model=shapes.Quarantine)
async def get_quarantine(
    request: Request, ledger: Reader, after: After = 0, limit: Limit = 100, state: State = "waiting", type_: Type = None,
    source: Source = None, cause: Cause = None,
) -> Response:  # fmt: skip
    """List quarantined items, oldest first, each with its problem and the body as it was sent.

    Of a body of more than 2,000 bytes the beginning is shown; `size` tells how many it has, and `/v1/quarantine/{id}` gives all.
    An item is resolved when an event of its `source` and `id` is recorded after it, or when it is tried again with success.
    """
    service: Service = request.app.state.service
    chosen = quarantine.Chosen(type_, source, cause)
    kept = await quarantine.listed(service.pool, ledger.ledger, after, limit, state, chosen)
    following = {"after": kept[-1].item} if quarantine.is_full(kept, limit) else None
    return page(request, {"items": [_shown(one) for one in kept]}, following)


@router.get(
    "/v1/quarantine/counts",
    summary="How many, by reason, type or source",
    response_model=shapes.QuarantineCounts,
)
async def get_quarantine_counts(
    request: Request, ledger: Reader, by: Annotated[shapes.By, Query()] = "reason", state: State = "waiting",
    type_: Type = None, source: Source = None, cause: Cause = None,
) -> Response:  # fmt: skip
    """Count the items that have the same reason, type or source: what is wrong most, and who sends it."""
    service: Service = request.app.state.service
    found = await quarantine.counts(service.pool, ledger.ledger, by, state, quarantine.Chosen(type_, source, cause))
    counts = [one.as_dict() for one in found]
    return _answer({"by": by, "state": state, "total": sum(one.items for one in found), "counts": counts})


@router.get("/v1/quarantine/{id}", summary="One quarantined item", response_model=shapes.Quarantined)
async def get_quarantined(
    request: Request, ledger: Annotated[Ledger, Depends(Needs("read"))], item: Number
) -> Response:
    """Give one item with all of its body."""
    return _answer(_shown(await _found(request.app.state.service, ledger, item)))


@router.post("/v1/quarantine/retry", summary="Try items again", response_model=shapes.ItemsTriedAgain)
async def retry_several(
    request: Request, ledger: Sender, after: After = 0, limit: Limit = 1000, type_: Type = None, source: Source = None,
    cause: Cause = None,
) -> Response:  # fmt: skip
    """Try waiting items again as they are, oldest first: all, or those of a type, a source or a reason.

    One request tries up to `limit` of them and about 8 MiB: go on with `after` = `next_after` until that is null.
    """
    service: Service = request.app.state.service
    done = await service.intake.retry_many(ledger.ledger, quarantine.Chosen(type_, source, cause), after, limit)
    waiting = done.tried - done.resolved
    return _answer({"tried": done.tried, "resolved": done.resolved, "waiting": waiting, "next_after": done.last})


@router.post("/v1/quarantine/dismiss", summary="Dismiss items", response_model=shapes.Dismissed)
async def dismiss_several(
    request: Request, ledger: Admin, why: shapes.DismissalReason, type_: Type = None, source: Source = None, cause: Cause = None
) -> Response:  # fmt: skip
    """Put all waiting items of a type, a source or a reason away, with a reason that is kept: they wait for nothing any more."""
    chosen = quarantine.Chosen(type_, source, cause)
    if not any(one is not None for one in chosen):
        detail = "say which items: at least one of type, source, reason; `counts` tells what there is"
        raise ProblemError(422, detail, kind="invalid-request")
    service: Service = request.app.state.service
    done = await quarantine.dismiss(service.pool, ledger.ledger, why.reason, _who(request), chosen=chosen)
    return _answer({"dismissed": done})


@router.post(
    "/v1/quarantine/{id}/retry", summary="Try an item again", response_model=shapes.TriedAgain, responses=_ANSWERS
)
async def retry_quarantined(
    request: Request, ledger: Annotated[Ledger, Depends(Needs("ingest"))], item: Number
) -> Response:
    """Try a quarantined item again as it is, or as the event in the request's body corrects it."""
    service: Service = request.app.state.service
    kept = await _found(service, ledger, item)
    if kept.state == "resolved":
        return _answer({"item": item, "status": "duplicate", "position": kept.position, "problem": None})
    corrected = await read_body(request, service.settings.max_body_bytes, ledger.ledger)
    result = await service.intake.retry(ledger.ledger, kept, corrected or None)
    if result.problem is not None:
        return problem(
            409 if result.status == "conflict" else 422, result.problem["detail"],
            kind=result.problem["type"].rpartition("/")[2], item=item, item_status=result.status,
            errors=result.problem.get("errors", []),
        )  # fmt: skip
    return _answer({"item": item, **result.as_dict()})


@router.post(
    "/v1/quarantine/{id}/dismiss", summary="Dismiss an item", response_model=shapes.Quarantined, responses=_ANSWERS
)
async def dismiss_quarantined(
    request: Request, ledger: Annotated[Ledger, Depends(Needs("admin"))], item: Number, why: shapes.DismissalReason
) -> Response:
    """Put an item away, with a reason that is kept: it waits for nothing any more. Doing so again changes nothing."""
    service: Service = request.app.state.service
    await quarantine.dismiss(service.pool, ledger.ledger, why.reason, _who(request), item=item)
    kept = await _found(service, ledger, item)
    if kept.state != "dismissed":
        raise ProblemError(409, f"item {item} is {kept.state}: it is the event at position {kept.position}")
    return _answer(_shown(kept))


async def _found(service: Service, ledger: Ledger, item: int) -> quarantine.Kept:
    kept = await quarantine.one(service.pool, ledger.ledger, item)
    if kept is None:
        raise ProblemError(404, f"there is no quarantined item {item}")
    return kept


def _who(request: Request) -> str:
    access: Access = request.state.access
    return access.key_id


def _shown(kept: quarantine.Kept) -> dict[str, Any]:
    dismissed = {"reason": kept.dismissal, "by": kept.dismissed_by} if kept.state == "dismissed" else None
    return {
        "id": kept.item, "received_at": kept.received_at, "state": kept.state, "position": kept.position,
        "event": {"type": kept.type, "source": kept.source, "id": kept.id}, "reason": kept.reason,
        "problem": {**_EARLIER, **msgspec.json.decode(kept.problem)},
        "body": kept.body.decode("utf-8", "replace"), "size": kept.size,
        "whole": len(kept.body) == kept.size, "settled_at": kept.settled_at, "dismissed": dismissed,
    }  # fmt: skip
