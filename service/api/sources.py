"""`/v1/sources`: the sending systems of a ledger, what they delivered, and translating that again."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

import msgspec
from fastapi import APIRouter, Depends, Path, Query, Request
from starlette.responses import Response

from service.api import source_schemas as shapes
from service.api.auth import Guarded, Needs
from service.api.problems import ProblemError
from service.api.urls import page
from service.bootstrap import Service
from service.intake import connecting
from service.store import inbox, records, sources
from service.store.ledgers import Ledger

router = APIRouter(tags=["senders"], route_class=Guarded)
Admin = Annotated[Ledger, Depends(Needs("admin"))]
SourceId = Annotated[str, Path(description="the id of the source")]
_JSON = "application/json"
_LAST = 2**62
_UNKNOWN: dict[int | str, dict[str, Any]] = {404: {"description": "there is no such source"}}


@router.post(
    "/v1/sources",
    status_code=201,
    summary="Connect a sending system",
    response_model=shapes.Source,
)
async def create_source(request: Request, ledger: Admin, body: shapes.NewSource) -> Response:
    """Make a source. The answer has the URL to enter in the sending system; a secret in it is shown this once."""
    service: Service = request.app.state.service
    first = _checked(body.kind, body, name=body.name)
    if not first.secrets and not body.path_secret:
        raise _invalid("secrets", "at least one, or path_secret: true for a sender that cannot authenticate")
    secret = sources.new_path_secret() if body.path_secret else None
    try:
        made = await sources.create(
            service.pool, service.vault, ledger.ledger, body.kind, body.name, first, secret
        )  # fmt: skip
    except ValueError as error:
        raise ProblemError(409, str(error), kind="name-taken") from None
    headers = {"Location": f"/v1/sources/{made.source}"}
    return _answer(_shown(request, service, made, secret), 201, headers)


@router.get("/v1/sources", summary="The sending systems", response_model=shapes.Sources)
async def list_sources(request: Request, ledger: Admin) -> Response:
    """List the sources of the ledger by name, without their secrets."""
    service: Service = request.app.state.service
    found = await sources.of_ledger(service.pool, ledger.ledger)
    return _answer({"items": [_shown(request, service, one) for one in found]})


@router.get("/v1/sources/{source}", summary="One sending system", response_model=shapes.Source, responses=_UNKNOWN)
async def get_source(request: Request, ledger: Admin, source: SourceId) -> Response:
    """Give one source, without its secrets."""
    service: Service = request.app.state.service
    return _answer(_shown(request, service, await _found(service, ledger, source)))


@router.patch(
    "/v1/sources/{source}", summary="Change a sending system", response_model=shapes.Source, responses=_UNKNOWN
)
async def change_source(request: Request, ledger: Admin, source: SourceId, body: shapes.SourceChange) -> Response:
    """Change what is given. `secrets` replaces the list: to rotate, send the new and the old one, later the new one alone.

    A changed mapping holds for what comes; `POST …/retranslate` applies it to what has come.
    """
    service: Service = request.app.state.service
    stored = await _found(service, ledger, source)
    wanted = _checked(stored.kind, body, before=msgspec.json.decode(stored.mapping))
    if wanted.secrets == [] and stored.path_hash is None and not body.path_secret:
        raise _invalid("secrets", "at least one: the URL of this source has no secret in it")
    secret = sources.new_path_secret() if body.path_secret else None
    changed = await sources.change(service.pool, service.vault, stored, wanted, secret)
    service.hooks.forget(source)
    return _answer(_shown(request, service, changed, secret))


@router.delete("/v1/sources/{source}", status_code=204, summary="Disconnect a sending system", responses=_UNKNOWN)
async def delete_source(request: Request, ledger: Admin, source: SourceId) -> Response:
    """Close the source: its URL answers 404 from then on, its secrets are forgotten. The events that it gave stay."""
    service: Service = request.app.state.service
    if not await sources.delete(service.pool, ledger.ledger, source):
        raise ProblemError(404, f"there is no source {source[:80]}")
    service.hooks.forget(source)
    return Response(status_code=204)


@router.get(
    "/v1/sources/{source}/deliveries", summary="What a system delivered", response_model=shapes.Deliveries,
    responses=_UNKNOWN,
)  # fmt: skip
async def get_deliveries(
    request: Request, ledger: Admin, source: SourceId,
    before: Annotated[int, Query(ge=1, le=_LAST, description="deliveries before this one")] = _LAST,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
    state: Annotated[
        shapes.DeliveryState | None, Query()
    ] = None,
) -> Response:  # fmt: skip
    """List deliveries, newest first, each with what became of it and why; `Link: rel=next` leads on."""
    service: Service = request.app.state.service
    await _found(service, ledger, source)
    found = await inbox.listed(service.pool, ledger.ledger, source, before, limit, state)
    following = {"before": found[-1].delivery} if len(found) == limit else None
    return page(request, {"items": [_delivery(one) for one in found]}, following)


@router.get(
    "/v1/sources/{source}/deliveries/{delivery}", summary="One delivery", response_model=shapes.Delivery,
    responses=_UNKNOWN,
)  # fmt: skip
async def get_delivery(
    request: Request, ledger: Admin, source: SourceId, delivery: Annotated[int, Path(ge=1, le=_LAST)]
) -> Response:
    """Give one delivery with its body as it was posted, as long as that is kept; secrets of the source are blotted out."""
    service: Service = request.app.state.service
    stored = await _found(service, ledger, source)
    found = await inbox.one(service.pool, ledger.ledger, source, delivery)
    if found is None:
        raise ProblemError(404, f"there is no delivery {delivery} of this source")
    body = None if found.body is None else found.body.decode("utf-8", "replace")
    secrets, credentials = stored.opened(service.vault)
    for one in (*secrets, *credentials.values()):
        body = body.replace(one, "***") if body else body
    return _answer({**_delivery(found), "body": body})


@router.get(
    "/v1/sources/{source}/records", summary="How a system's records stand", response_model=shapes.Records,
    responses=_UNKNOWN,
)  # fmt: skip
async def get_records(
    request: Request, ledger: Admin, source: SourceId,
    after: Annotated[str, Query(max_length=300, description="records after this one")] = "",
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
    state: Annotated[shapes.RecordState | None, Query()] = None,
) -> Response:  # fmt: skip
    """List the records that deliveries spoke of: translated, waiting for something (an amount), or failed, and why."""
    service: Service = request.app.state.service
    await _found(service, ledger, source)
    found = await records.listed(service.pool, ledger.ledger, source, after, limit, state)
    following = {"after": found[-1].record} if len(found) == limit else None
    shown = [
        {"record": one.record, "state": one.state, "reasons": one.reasons}
        | ({"amounts": one.amounts} if one.amounts else {})
        for one in found
    ]
    return page(request, {"items": shown}, following)


@router.post(
    "/v1/sources/{source}/retranslate", status_code=202, summary="Translate everything again",
    response_model=shapes.Retranslation, responses=_UNKNOWN,
)  # fmt: skip
async def retranslate(request: Request, ledger: Admin, source: SourceId) -> Response:
    """Translate all deliveries and records again, with the mapping as it is now.

    The same events are duplicates; a changed one voids the old event and is given anew.
    """
    service: Service = request.app.state.service
    await _found(service, ledger, source)
    deliveries = await inbox.again(service.pool, ledger.ledger, source)
    touched = await records.again(service.pool, ledger.ledger, source)
    service.translator.wake()
    return _answer({"deliveries": deliveries, "records": touched}, 202)


@router.post(
    "/v1/sources/{source}/deliveries/{delivery}/retranslate", status_code=202, summary="Translate one delivery again",
    response_model=shapes.Retranslation, responses=_UNKNOWN,
)  # fmt: skip
async def retranslate_delivery(
    request: Request, ledger: Admin, source: SourceId, delivery: Annotated[int, Path(ge=1, le=_LAST)]
) -> Response:
    """Translate one delivery again, and with it the records that it speaks of."""
    service: Service = request.app.state.service
    await _found(service, ledger, source)
    if not await inbox.again(service.pool, ledger.ledger, source, delivery):
        detail = (
            f"there is no delivery {delivery} to translate: unknown, rejected, or its body is past the retention time"
        )
        raise ProblemError(404, detail)
    service.translator.wake()
    return _answer({"deliveries": 1, "records": 0}, 202)


@router.post(
    "/v1/sources/{source}/deliveries/{delivery}/discard", summary="Take one delivery out", response_model=shapes.Delivery,
    responses=_UNKNOWN,
)  # fmt: skip
async def discard_delivery(
    request: Request,
    ledger: Admin,
    source: SourceId,
    delivery: Annotated[int, Path(ge=1, le=_LAST)],
    body: shapes.Discard,
) -> Response:
    """Have a delivery count as if it had never come: its records are translated again without it, and what changes is voided.

    The delivery stays listed, with the reason; translating it again by itself takes it back in.
    """
    service: Service = request.app.state.service
    await _found(service, ledger, source)
    if not await inbox.discard(service.pool, ledger.ledger, source, delivery, body.reason):
        raise ProblemError(404, f"there is no delivery {delivery} to discard: unknown, or rejected")
    service.translator.wake()
    found = await inbox.one(service.pool, ledger.ledger, source, delivery)
    if found is None:  # its time was over between the two statements
        raise ProblemError(404, f"there is no delivery {delivery} of this source")
    return _answer({**_delivery(found), "body": None})


async def _found(service: Service, ledger: Ledger, source: str) -> sources.Stored:
    stored = await sources.one(service.pool, source, ledger.ledger)
    if stored is None:
        raise ProblemError(404, f"there is no source {source[:80]}")
    return stored


def _checked(
    kind: str, body: shapes.SourceChange, *, name: str | None = None, before: dict[str, Any] | None = None
) -> sources.Change:
    """Return what a body asks for, after its kind has looked at it."""
    secrets: Sequence[str] | None = None
    if body.secrets is not None:
        secrets = [one.get_secret_value() for one in body.secrets]
    given = body.credentials
    plain = None if given is None else {name: one.get_secret_value() for name, one in given.items()}
    try:
        connecting.check(kind, secrets, plain, body.mapping, name=name, before=before)
    except connecting.UnfitError as error:
        raise _invalid(error.field, error.expected, kind if error.field == "kind" else "(not shown)") from None
    return sources.Change(secrets, plain, body.mapping, body.rate_per_minute, body.retention_days)


def _invalid(field: str, expected: str, got: str = "(not shown)") -> ProblemError:
    errors = [{"field": field, "expected": expected, "got": got[:80]}]
    return ProblemError(422, f"{field}: expected {expected}", kind="invalid-request", errors=errors)


def _shown(
    request: Request, service: Service, stored: sources.Stored, path_secret: str | None = None
) -> dict[str, Any]:
    """Return a source as it may be shown: of secrets how many and since when, of credentials their names."""
    _, credentials = stored.opened(service.vault)
    base = (service.settings.public_url or str(request.base_url)).rstrip("/")
    hidden = "/{path_secret}" if stored.path_hash else ""
    return {
        "id": stored.source, "kind": stored.kind, "name": stored.name,
        "url": f"{base}/v1/hooks/{stored.source}" + (f"/{path_secret}" if path_secret else hidden),
        "event_source": f"/sources/{stored.name}",
        "secrets": [{"created_at": at} for at in stored.secrets_at], "path_secret": stored.path_hash is not None,
        "credentials": sorted(credentials), "mapping": msgspec.Raw(stored.mapping.encode()),
        "rate_per_minute": stored.rate_per_minute or service.settings.source_rate_per_minute,
        "retention_days": stored.retention_days or service.settings.retention_days,
        "created_at": stored.created_at, "updated_at": stored.updated_at,
    }  # fmt: skip


def _delivery(one: inbox.Delivery) -> dict[str, Any]:
    return {
        "id": one.delivery, "received_at": one.received_at, "state": one.state, "reason": one.reason,
        "attempts": one.attempts, "next_try": one.next_try, "settled_at": one.settled_at, "sender_id": one.sender_id,
        "size": one.size,
    }  # fmt: skip


def _answer(body: Any, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    return Response(msgspec.json.encode(body), status, headers, _JSON)
