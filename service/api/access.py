"""`/v1/keys`, `/v1/grants`, `/v1/sessions`, `/v1/audit`: who may do what in a ledger, and who did."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from fastapi import APIRouter, Depends, Path, Query, Request
from starlette.responses import Response

from service.api import access_schemas as shapes
from service.api.auth import Doorkeeper, Guarded, Needs
from service.api.problems import ProblemError
from service.api.urls import page
from service.bootstrap import Service
from service.store import audit, grants, ledgers, sessions
from service.store.ledgers import Ledger

router = APIRouter(tags=["access"], route_class=Guarded)
Admin = Annotated[Ledger, Depends(Needs("admin"))]
KeyId = Annotated[str, Path(description="the id of the key, as the list shows it")]
_UNKNOWN: dict[int | str, dict[str, Any]] = {404: {"description": "there is no such thing in this ledger"}}
_TAKEN: dict[int | str, dict[str, Any]] = {409: {"description": "this subject or group has a grant"}}
_LAST = 2**62


@router.post("/v1/keys", status_code=201, summary="Make an API key", response_model=shapes.MadeKey)
async def create_key(request: Request, ledger: Admin, body: shapes.NewKey) -> Response:
    """Make an API key of this ledger. The answer has the key itself, which is shown this once."""
    service: Service = request.app.state.service
    try:
        made, secret = await ledgers.make_key(
            service.pool, ledger, body.scopes, body.name, expires_at=body.expires_at, addresses=body.addresses
        )
    except ValueError as error:
        raise _invalid(error) from None
    return _answer({**_key(made), "key": secret}, 201, {"Location": f"/v1/keys/{made.key_id}"})


@router.get("/v1/keys", summary="The API keys", response_model=shapes.Keys)
async def list_keys(request: Request, ledger: Admin) -> Response:
    """List the keys of the ledger, oldest first, revoked and expired ones too."""
    service: Service = request.app.state.service
    return _answer({"items": [_key(one) for one in await ledgers.keys(service.pool, ledger)]})


@router.get("/v1/keys/{key_id}", summary="One API key", response_model=shapes.Key, responses=_UNKNOWN)
async def get_key(request: Request, ledger: Admin, key_id: KeyId) -> Response:
    """Give one key, without its secret."""
    return _answer(_key(await _found(request.app.state.service, ledger, key_id)))


@router.patch("/v1/keys/{key_id}", summary="Change an API key", response_model=shapes.Key, responses=_UNKNOWN)
async def change_key(request: Request, ledger: Admin, key_id: KeyId, body: shapes.KeyChange) -> Response:
    """Change the name, the end or the addresses of a key in force; services follow within seconds."""
    service: Service = request.app.state.service
    found = await _found(service, ledger, key_id)
    given = {name: getattr(body, name) for name in body.model_fields_set}
    kept = {"name": found.name, "expires_at": found.expires_at, "addresses": found.addresses}
    try:
        changed = await ledgers.change_key(service.pool, ledger, key_id, **{**kept, **given})
    except LookupError as error:
        raise ProblemError(404, str(error)) from None
    except ValueError as error:
        raise _invalid(error) from None
    doorkeeper: Doorkeeper = request.app.state.doorkeeper
    doorkeeper.forget(lambda one: one.key_id == key_id)
    return _answer(_key(changed))


@router.delete("/v1/keys/{key_id}", status_code=204, summary="Revoke an API key", responses=_UNKNOWN)
async def revoke_key(request: Request, ledger: Admin, key_id: KeyId) -> Response:
    """Revoke a key, and with it the sessions that were begun by it; services refuse it within seconds."""
    service: Service = request.app.state.service
    doorkeeper: Doorkeeper = request.app.state.doorkeeper
    if not await ledgers.revoke_key(service.pool, key_id, ledger.ledger):
        raise ProblemError(404, f"there is no key {key_id[:80]} in force")
    doorkeeper.forget(lambda one: one.key_id == key_id)
    return Response(status_code=204)


@router.post(
    "/v1/grants", status_code=201, summary="Grant scopes to an identity", response_model=shapes.Grant, responses=_TAKEN
)
async def create_grant(request: Request, ledger: Admin, body: shapes.NewGrant) -> Response:
    """Grant scopes on this ledger to a person or a group of an OpenID provider, or of a proxy that signs people in."""
    service: Service = request.app.state.service
    issuer = body.issuer or service.settings.oidc_issuer
    if issuer is None:
        raise _invalid(ValueError("issuer: expected one, for no OpenID provider is set"))
    try:
        made = await grants.create(
            service.pool, ledger, issuer, body.scopes, subject=body.subject, group=body.group
        )  # fmt: skip
    except grants.ThereIsOneError as error:
        raise ProblemError(409, str(error)) from None
    except ValueError as error:
        raise _invalid(error) from None
    return _answer(made._asdict(), 201)


@router.get("/v1/grants", summary="What is granted to identities", response_model=shapes.Grants)
async def list_grants(request: Request, ledger: Admin) -> Response:
    """List who may do what in this ledger by signing in with an issuer, oldest first."""
    service: Service = request.app.state.service
    return _answer({"items": [one._asdict() for one in await grants.listed(service.pool, ledger)]})


@router.delete("/v1/grants/{grant_id}", status_code=204, summary="Take a grant back", responses=_UNKNOWN)
async def revoke_grant(
    request: Request, ledger: Admin, grant_id: Annotated[str, Path(description="the id of the grant")]
) -> Response:
    """Take a grant back: who is signed in by it sees nothing any more within seconds."""
    service: Service = request.app.state.service
    if not await grants.revoke(service.pool, ledger, grant_id):
        raise ProblemError(404, f"there is no grant {grant_id[:80]}")
    doorkeeper: Doorkeeper = request.app.state.doorkeeper
    doorkeeper.forget(lambda one: one.issuer is not None)
    return Response(status_code=204)


@router.get("/v1/sessions", summary="Who is signed in", response_model=shapes.Sessions)
async def list_sessions(request: Request, ledger: Admin) -> Response:
    """List the browsers that are signed in to this ledger, newest first."""
    service: Service = request.app.state.service
    found = await sessions.listed(service.pool, ledger.ledger, service.session_life)
    return _answer({"items": [one._asdict() for one in found]})


@router.delete("/v1/sessions/{session_id}", status_code=204, summary="End a session", responses=_UNKNOWN)
async def end_session(
    request: Request, ledger: Admin, session_id: Annotated[str, Path(description="the id of the session")]
) -> Response:
    """Sign a browser out; services follow within seconds."""
    service: Service = request.app.state.service
    doorkeeper: Doorkeeper = request.app.state.doorkeeper
    if not await sessions.end(service.pool, ledger.ledger, session_id):
        raise ProblemError(404, f"there is no session {session_id[:80]}")
    doorkeeper.forget(lambda one: one.session == session_id)
    return Response(status_code=204)


@router.get("/v1/audit", summary="Who did what", response_model=shapes.Audit)
async def get_audit(
    request: Request, ledger: Admin,
    before: Annotated[int, Query(ge=1, le=_LAST, description="entries before this one")] = _LAST,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
    action: Annotated[
        str | None, Query(description="only this action", json_schema_extra={"enum": list(audit.ACTIONS)})
    ] = None,
    actor: Annotated[str | None, Query(description="only what this actor did")] = None,
) -> Response:  # fmt: skip
    """List who made, used first, changed or revoked which key, source, model, rebuild, grant and session, newest first."""
    service: Service = request.app.state.service
    if action is not None and action not in audit.ACTIONS:
        raise _invalid(ValueError(f"action: expected one of {', '.join(audit.ACTIONS)}"))
    found = await audit.listed(service.pool, ledger.ledger, before, limit, action, actor)
    following = {"before": found[-1].entry} if len(found) == limit else None
    return page(request, {"items": [_entry(one) for one in found]}, following)


def _entry(one: audit.Entry) -> dict[str, Any]:
    shown = one._asdict()
    return {"id": shown.pop("entry"), **shown}


def _key(one: ledgers.Key) -> dict[str, Any]:
    shown = one._asdict()
    return {"id": shown.pop("key_id"), **shown, "state": one.state}


async def _found(service: Service, ledger: Ledger, key_id: str) -> ledgers.Key:
    try:
        return await ledgers.key(service.pool, ledger, key_id)
    except LookupError as error:
        raise ProblemError(404, str(error)) from None


def _invalid(error: ValueError) -> ProblemError:
    field, _, expected = str(error).partition(": expected ")
    errors = [{"field": field, "expected": expected, "got": "(not shown)"}] if expected else []
    return ProblemError(422, str(error), kind="invalid-request", errors=errors)


def _answer(body: Any, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    return Response(msgspec.json.encode(body), status, headers, "application/json")
