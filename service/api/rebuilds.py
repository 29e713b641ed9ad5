"""Rebuilds and generations: new read models beside the serving ones, compared before they serve. A worker does the work."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec
from fastapi import APIRouter, Depends, Path, Query, Request
from pydantic import BaseModel, ConfigDict, Field, StrictBool
from starlette.responses import Response

from service.api import operations_schemas
from service.api.auth import Guarded, Needs
from service.api.problems import ProblemError
from service.api.urls import page
from service.bootstrap import Service
from service.projections.generations import compare, lifecycle
from service.store.ledgers import Ledger

router = APIRouter(tags=["operations"], route_class=Guarded)
Reader = Annotated[Ledger, Depends(Needs("read"))]
Admin = Annotated[Ledger, Depends(Needs("admin"))]
Number = Annotated[int, Path(ge=1, le=2**31 - 1, description="the rebuild's number")]
_ANSWERS: dict[int | str, dict[str, Any]] = {
    409: {"description": "not in this state"},
}


class Wanted(BaseModel):
    """When the rebuilt generation is to serve; without either, if all figures are the same."""

    model_config = ConfigDict(extra="forbid")
    dry_run: StrictBool = Field(False, description="build and compare; keep it, but do not serve it")
    apply: StrictBool = Field(False, description="serve it even if figures differ")


def _answer(found: Any, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    return Response(msgspec.json.encode(found), status, headers, "application/json")


def _shown(one: lifecycle.Generation) -> dict[str, Any]:
    return one.as_dict()


async def _one(service: Service, ledger: Ledger, number: int) -> lifecycle.Generation:
    try:
        return await lifecycle.one(service.pool, ledger, number)
    except LookupError as error:
        raise ProblemError(404, str(error)) from None


@router.post(
    "/v1/rebuilds",
    summary="Begin a rebuild",
    status_code=202,
    response_model=operations_schemas.Rebuild,
    responses=_ANSWERS,
)
async def post_rebuild(request: Request, ledger: Admin, wanted: Wanted | None = None) -> Response:
    """Have a worker build the read models anew from position 1, compare, and serve them if nothing differs."""
    service: Service = request.app.state.service
    asked = wanted or Wanted(dry_run=False, apply=False)
    if asked.dry_run and asked.apply:
        raise ProblemError(422, "dry_run and apply exclude each other", kind="invalid-request")
    serve = "never" if asked.dry_run else "always" if asked.apply else "identical"
    try:
        number = await lifecycle.begin(service.pool, ledger, serve)
    except lifecycle.NotPossibleError as error:
        raise ProblemError(409, str(error)) from None
    found = await _one(service, ledger, number)
    return _answer(_shown(found), 202, {"Location": f"/v1/rebuilds/{number}"})


@router.get("/v1/rebuilds", summary="Rebuilds", response_model=operations_schemas.Rebuilds)
async def get_rebuilds(request: Request, ledger: Reader) -> Response:
    """List rebuilds, oldest first."""
    service: Service = request.app.state.service
    return _answer({"items": [_shown(one) for one in await lifecycle.rebuilds(service.pool, ledger)]})


@router.get(
    "/v1/rebuilds/{rebuild_id}",
    summary="One rebuild",
    response_model=operations_schemas.Rebuild,
)
async def get_rebuild(request: Request, ledger: Reader, rebuild_id: Number) -> Response:
    """Tell how far a rebuild is, how fast, how long it still takes, and how it compared."""
    return _answer(_shown(await _one(request.app.state.service, ledger, rebuild_id)))


@router.get(
    "/v1/rebuilds/{rebuild_id}/differences", summary="Figures that a rebuild moves",
    response_model=operations_schemas.Differences,
)  # fmt: skip
async def get_differences(
    request: Request, ledger: Reader, rebuild_id: Number,
    after: Annotated[int, Query(ge=0, le=2**62, description="lines after this one")] = 0,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
) -> Response:  # fmt: skip
    """List every figure in which a rebuild differs from the generation that served: old and new value."""
    service: Service = request.app.state.service
    await _one(service, ledger, rebuild_id)
    rows = await compare.listed(service.pool, ledger.ledger, rebuild_id, ledger.currency, after, limit)
    return page(request, {"rows": rows}, {"after": rows[-1]["line"]} if len(rows) == limit else None)


@router.post(
    "/v1/rebuilds/{rebuild_id}/{action}", summary="Pause, resume, cancel or apply a rebuild",
    response_model=operations_schemas.Rebuild,
    responses=_ANSWERS,
)  # fmt: skip
async def post_action(
    request: Request, ledger: Admin, rebuild_id: Number, action: Literal["pause", "resume", "cancel", "apply"]
) -> Response:
    """Ask for what is to become of a rebuild; `apply` brings a built one up to date and serves it."""
    service: Service = request.app.state.service
    await _one(service, ledger, rebuild_id)
    try:
        return _answer(_shown(await lifecycle.ask(service.pool, ledger, rebuild_id, action)))
    except lifecycle.NotPossibleError as error:
        raise ProblemError(409, str(error)) from None


@router.get("/v1/generations", summary="Generations", response_model=operations_schemas.Rebuilds)
async def get_generations(request: Request, ledger: Reader) -> Response:
    """List all sets of read models that are kept; one of them serves."""
    service: Service = request.app.state.service
    return _answer({"items": [_shown(one) for one in await lifecycle.listed(service.pool, ledger)]})


@router.post(
    "/v1/generations/rollback", summary="Go back to the generation that served last", status_code=202,
    response_model=operations_schemas.Rebuild, responses=_ANSWERS,
)  # fmt: skip
async def post_rollback(request: Request, ledger: Admin) -> Response:
    """Have the generation that served last catch up and serve again."""
    service: Service = request.app.state.service
    try:
        number = await lifecycle.roll_back(service.pool, ledger)
    except lifecycle.NotPossibleError as error:
        raise ProblemError(409, str(error)) from None
    found = {one.generation: one for one in await lifecycle.listed(service.pool, ledger)}[number]
    return _answer(_shown(found), 202)


@router.post(
    "/v1/generations/prune",
    summary="Drop old generations",
    response_model=operations_schemas.Pruned,
)
async def post_prune(request: Request, ledger: Admin) -> Response:
    """Drop the generations that are retired or cancelled."""
    service: Service = request.app.state.service
    return _answer({"dropped": await lifecycle.prune(service.pool, ledger)})
