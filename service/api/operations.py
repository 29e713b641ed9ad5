"""Health, metrics, the quarantine, and the ledger itself."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec
from fastapi import APIRouter, Depends, Path, Query, Request
from prometheus_client import CONTENT_TYPE_LATEST
from starlette.responses import Response

from service import __version__, telemetry
from service.api import operations_schemas as shapes
from service.api.auth import Guarded, Needs, NeedsOversight
from service.api.bodies import read_body
from service.api.problems import ProblemError, problem, refuse_unknown
from service.api.schemas import PROBLEMS
from service.api.urls import link, next_url
from service.bootstrap import Service
from service.domain.component import READ_MODEL_VERSION
from service.projections import lag, reading, verify
from service.store import database, inbox, log, quarantine, watch
from service.store.ledgers import Ledger

router = APIRouter(tags=["operations"], route_class=Guarded)
Item = Annotated[int, Path(alias="id", ge=1, le=2**62, description="its id in the quarantine")]
_JSON = "application/json"
_PATIENCE = 5.0  # seconds: a database that stands still is as good as none


@router.get("/livez", summary="Is the process alive?", response_model=shapes.Alive)
async def livez() -> Response:
    """Answer 200 as long as the process answers at all."""
    return Response(msgspec.json.encode({"status": "alive", "version": __version__}), media_type=_JSON)


@router.get("/readyz", summary="Can it serve?", response_model=shapes.Ready)
async def readyz(request: Request) -> Response:
    """Answer 200 if all that serving takes is there, else 503; the checks say what is not.

    The database can be read and written and is at the newest migration, the master key opens what is stored, all parts that
    the process needs work, and projections do not lag too far.
    """
    service: Service = request.app.state.service
    state = await service.watch.look()
    checks: dict[str, Any] = {
        "database": state.told(), "parts": {one.part: one.told() for one in service.parts.states()}
    }  # fmt: skip
    if not state.up:  # whoever asked it more would wait for an answer
        return problem(503, "the database cannot be used: see checks", headers={"Retry-After": "1"}, checks=checks)
    try:
        checks |= await database.within(_PATIENCE, _asked(service))
    except Exception as error:  # noqa: BLE001  whatever is wrong with the database, the answer is no
        service.watch.doubt(error)
        checks["database"] = f"does not answer ({type(error).__name__})"
        return problem(503, "the database does not answer", headers={"Retry-After": "1"}, checks=checks)
    behind = (
        checks["projection_lag_events"] > service.settings.ready_lag_events
        or checks["projection_lag_seconds"] > service.settings.ready_lag_seconds
    )
    needed = all(one.up for one in service.parts.states() if one.needed)
    if not needed or behind or not checks["migrations"] == checks["master_key"] == "ok":
        return problem(503, "not ready: see checks", headers={"Retry-After": "1"}, checks=checks)
    return Response(msgspec.json.encode({"status": "ready", **checks}), media_type=_JSON)


async def _asked(service: Service) -> dict[str, Any]:
    """Return the checks that the database answers."""
    checks: dict[str, Any] = {}
    migration = await database.head_of_migrations(service.pool)
    newest = service.newest_migration
    checks["migrations"] = "ok" if migration == newest else f"at {migration}, the code needs {newest}"
    lags = await lag.lags(service.pool)
    checks["projection_lag_events"] = max((one.events for one in lags), default=0)
    checks["projection_lag_seconds"] = round(max((one.seconds for one in lags), default=0.0), 3)
    checks["made_by_other_definitions"] = sum(one.version != READ_MODEL_VERSION for one in lags)
    checks["set_aside"] = sum(one.set_aside for one in lags)
    checks["master_key"] = await service.hooks.master_key()
    return checks


@router.get(
    "/metrics", summary="Metrics for Prometheus", response_class=Response,
    responses={200: {"content": {"text/plain": {"schema": {"type": "string"}}}}},
)  # fmt: skip
async def metrics(request: Request, ledger: Annotated[Ledger | None, Depends(NeedsOversight())]) -> Response:
    """Give counters and gauges in Prometheus's text format: of its ledger to a key, of everything to the operator's token."""
    service: Service = request.app.state.service
    for one in await lag.lags(service.pool):
        telemetry.SET_ASIDE.labels(one.ledger).set(one.set_aside)
        telemetry.LAG.labels(one.ledger).set(one.events)
        telemetry.LAG_SECONDS.labels(one.ledger).set(one.seconds)
    for proof in await verify.last_proofs(service.pool):
        telemetry.PROOF.labels(proof.ledger).set(proof.good)
        telemetry.PROOF_TIME.labels(proof.ledger).set(proof.checked_at.timestamp())
        telemetry.PROOF_POSITION.labels(proof.ledger).set(proof.position)
    telemetry.PART_UP.clear()
    telemetry.PART_SINCE.clear()
    for part in await watch.seen(service.pool):
        telemetry.PART_UP.labels(part.process, part.part).set(part.up)
        telemetry.PART_SINCE.labels(part.process, part.part).set(part.since.timestamp())
    telemetry.UNTRANSLATED.set(await inbox.waiting(service.pool))
    return Response(telemetry.exposed(ledger.name if ledger else None), media_type=CONTENT_TYPE_LATEST)


@router.get("/v1/ledger", summary="The ledger of this key", response_model=shapes.LedgerState)
async def get_ledger(request: Request, ledger: Annotated[Ledger, Depends(Needs("figures"))]) -> Response:
    """Name, currency, time zone, last position, and the position that the read models are at."""
    refuse_unknown(request, ())
    service: Service = request.app.state.service
    position, recorded_at, chain = await log.head(service.pool, ledger.ledger)
    served = await reading.serving(service.pool, ledger)
    body = {
        "name": ledger.name, "currency": ledger.currency, "timezone": ledger.timezone, "last_position": position,
        "recorded_at": recorded_at, "projected_position": served.checkpoint, "chain": chain.hex(),
    }  # fmt: skip
    return Response(msgspec.json.encode(body), media_type=_JSON)


@router.get(
    "/v1/quarantine", summary="Items that could not be taken", response_model=shapes.Quarantine, responses=PROBLEMS
)
async def get_quarantine(
    request: Request, ledger: Annotated[Ledger, Depends(Needs("read"))],
    after: Annotated[int, Query(ge=0, le=2**62, description="items after this one")] = 0,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
    state: Annotated[Literal["waiting", "resolved"], Query()] = "waiting",
) -> Response:  # fmt: skip
    """List quarantined items, oldest first, each with its problem and the body as it was sent.

    Of a body of more than 2,000 bytes the beginning is shown; `size` tells how many it has, and `/v1/quarantine/{id}` gives all.
    """
    refuse_unknown(request, ("after", "limit", "state"))
    service: Service = request.app.state.service
    kept = await quarantine.listed(service.pool, ledger.ledger, after, limit, state)
    url = next_url(request, {"after": kept[-1].item} if quarantine.is_full(kept, limit) else None)
    body = {"items": [_shown(one) for one in kept], "next": url}
    return Response(msgspec.json.encode(body), headers=link(url), media_type=_JSON)


@router.get(
    "/v1/quarantine/{id}", summary="One quarantined item", response_model=shapes.Quarantined, responses=PROBLEMS
)
async def get_quarantined(request: Request, ledger: Annotated[Ledger, Depends(Needs("read"))], item: Item) -> Response:
    """Give one item with all of its body."""
    refuse_unknown(request, ())
    service: Service = request.app.state.service
    kept = await quarantine.one(service.pool, ledger.ledger, item)
    if kept is None:
        raise ProblemError(404, f"there is no quarantined item {item}")
    return Response(msgspec.json.encode(_shown(kept)), media_type=_JSON)


@router.post(
    "/v1/quarantine/{id}/retry", summary="Try an item again", response_model=shapes.TriedAgain, responses=PROBLEMS
)
async def retry_quarantined(
    request: Request, ledger: Annotated[Ledger, Depends(Needs("ingest"))], item: Item
) -> Response:  # fmt: skip
    """Try a quarantined item again as it is, or as the event in the request's body corrects it."""
    service: Service = request.app.state.service
    kept = await quarantine.one(service.pool, ledger.ledger, item)
    if kept is None:
        raise ProblemError(404, f"there is no quarantined item {item}")
    if kept.state == "resolved":
        answer = {"item": item, "status": "duplicate", "position": kept.position, "problem": None}
        return Response(msgspec.json.encode(answer), media_type=_JSON)
    corrected = await read_body(request, service.settings.max_body_bytes, ledger.ledger)
    result = await service.intake.retry(ledger.ledger, kept, corrected or None)
    if result.problem is not None:
        return problem(
            409 if result.status == "conflict" else 422, result.problem["detail"],
            kind=result.problem["type"].rpartition("/")[2], item=item, item_status=result.status,
            errors=result.problem.get("errors", []),
        )  # fmt: skip
    return Response(msgspec.json.encode({"item": item, **result.as_dict()}), media_type=_JSON)


def _shown(kept: quarantine.Kept) -> dict[str, Any]:
    return {
        "id": kept.item, "received_at": kept.received_at, "state": kept.state, "position": kept.position,
        "problem": msgspec.Raw(kept.problem.encode()), "body": kept.body.decode("utf-8", "replace"), "size": kept.size,
        "whole": len(kept.body) == kept.size,
    }  # fmt: skip
