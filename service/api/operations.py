"""Health, metrics, and the ledger itself."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from fastapi import APIRouter, Depends, Request
from prometheus_client import CONTENT_TYPE_LATEST
from starlette.responses import Response

from service import __version__, telemetry
from service.api import operations_schemas as shapes
from service.api.auth import Guarded, Needs, NeedsOversight
from service.api.problems import problem
from service.bootstrap import Service
from service.domain.contributions import READ_MODEL_VERSION
from service.projections.engine import lag
from service.projections.generations import verify
from service.projections.reports import reading
from service.store import database, inbox, watch
from service.store.ledgers import Ledger
from service.store.log import heads
from service.store.people import keys

router = APIRouter(tags=["operations"], route_class=Guarded)
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
    closed = checks["master_key"] != "ok" or checks["keys_of_people"].startswith("wrong")
    if not needed or behind or closed or checks["migrations"] != "ok":
        return problem(503, "not ready: see checks", headers={"Retry-After": "1"}, checks=checks)
    return Response(msgspec.json.encode({"status": "ready", **checks}), media_type=_JSON)


async def _asked(service: Service) -> dict[str, Any]:
    """Return the checks that the database answers."""
    checks: dict[str, Any] = {}
    migration = await database.head_of_migrations(service.pool)
    newest = service.newest_migration
    checks["migrations"] = "ok" if migration == newest else f"at {migration}, the code needs {newest}"
    lags = await lag.lags(service.pool)
    ours = [one for one in lags if one.version == READ_MODEL_VERSION]  # the others stand still until they are rebuilt
    checks["projection_lag_events"] = max((one.events for one in ours), default=0)
    checks["projection_lag_seconds"] = round(max((one.seconds for one in ours), default=0.0), 3)
    checks["made_by_other_definitions"] = len(lags) - len(ours)
    checks["set_aside"] = sum(one.set_aside for one in lags)
    checks["master_key"] = await service.hooks.master_key()
    checks["keys_of_people"] = await keys.state(service.pool, service.vault)
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
    service: Service = request.app.state.service
    position, recorded_at, chain = await heads.head(service.pool, ledger.ledger)
    served = await reading.serving(service.pool, ledger)
    body = {
        "name": ledger.name, "currency": ledger.currency, "timezone": ledger.timezone, "last_position": position,
        "recorded_at": recorded_at, "projected_position": served.checkpoint, "epoch": served.epoch, "chain": chain.hex(),
    }  # fmt: skip
    return Response(msgspec.json.encode(body), media_type=_JSON)
