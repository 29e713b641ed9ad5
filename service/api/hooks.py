"""`/v1/hooks/{source_id}[/{path_secret}]`: where senders post. A plain route over the raw request, as signatures want it."""

from __future__ import annotations

from collections import Counter
from typing import Any
from urllib.parse import urlsplit

from starlette.requests import Request
from starlette.responses import Response

from service.api.bodies import read_body
from service.api.problems import ProblemError
from service.bootstrap import Service
from service.intake.hooks import TooManyError
from service.intake.limits import retry_after
from service.intake.senders import KINDS, contract

METHODS = ["GET", "HEAD", "OPTIONS", "POST", "PUT"]
PATHS = ("/v1/hooks/{source_id}", "/v1/hooks/{source_id}/{path_secret}")
_PROBLEM = {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}}
_STRING = {"schema": {"type": "string"}}


async def hook(request: Request) -> Response:
    """Take what a sender posts: 2xx as soon as it is stored and verified; it is translated afterwards."""
    service: Service = request.app.state.service
    identity = request.path_params["source_id"]
    found = await service.hooks.find(identity)
    if found is None:
        raise ProblemError(404, "there is no source of this id: it was deleted, or the URL is not complete")
    asked = contract.Request(
        method=request.method,
        url=_url(request, service.settings.public_url),
        headers=_headers(request),
        query=_query(request),
        body=await read_body(request, service.settings.max_body_bytes, found.stored.ledger),
        received_at=service.hooks.now(),
    )
    try:
        reply = await service.hooks.receive(found, asked, request.path_params.get("path_secret", ""))
    except TooManyError as error:
        raise ProblemError(429, str(error), headers={**retry_after(error.wait), "RateLimit-Remaining": "0"}) from None
    return Response(reply.body, reply.status, dict(reply.headers))


def _url(request: Request, public_url: str | None) -> str:
    """Return the URL as the sender wrote it: behind a proxy the service sees another one, so the public one is configured."""
    path = request.scope.get("raw_path", b"").decode("latin-1") or request.url.path
    query = request.scope["query_string"].decode("latin-1")
    base = (public_url or str(request.base_url)).rstrip("/")
    prefix = urlsplit(base).path
    return f"{base}{path.removeprefix(prefix)}" + (f"?{query}" if query else "")


def _query(request: Request) -> dict[str, str]:
    """Return the parameters of the URL. Of one that stands twice nobody could say which is meant: it is as none."""
    several = request.query_params.multi_items()
    times = Counter(name for name, _ in several)
    return {name: value for name, value in several if times[name] == 1}


def _headers(request: Request) -> dict[str, str]:
    headers: dict[str, str] = {}
    for name, value in request.headers.items():
        headers[name] = f"{headers[name]}, {value}" if name in headers else value
    return headers


def describe() -> dict[str, Any]:
    """Return the paths of the hooks for the API description."""
    parameters = [
        {
            "name": "source_id",
            "in": "path",
            "required": True,
            "schema": {"type": "string"},
            "description": "the id of the source",
            "example": "src_3f1q8Zk0V2bX5nJ7mT9wLr4yHc6dGs1a",
        }
    ]
    secret = {
        "name": "path_secret", "in": "path", "required": True, "schema": {"type": "string"},
        "description": "the secret of the URL, for senders that cannot authenticate",
    }  # fmt: skip
    return {
        "/v1/hooks/{source_id}": _path("", parameters),
        "/v1/hooks/{source_id}/{path_secret}": _path("_with_path_secret", [*parameters, secret]),
    }


def _path(suffix: str, parameters: list[dict[str, Any]]) -> dict[str, Any]:
    kinds = ", ".join(sorted(KINDS))
    post = {
        "tags": ["senders"],
        "summary": "What a sending system posts",
        "description": "The body is what the system posts by itself, in its own shape; headers or the URL carry its own "
        f"signature. The kind of the source ({kinds}) says how it is verified. It is stored as it is and answered before it "
        "is translated; `GET /v1/sources/{id}/deliveries` tells what became of it.",
        "operationId": f"post_hook{suffix}",
        "security": [],
        "parameters": parameters,
        "requestBody": {
            "required": True,
            "content": {"application/json": {"schema": {"description": "as the sender has it"}}, "*/*": {"schema": {}}},
        },
        "responses": {
            "2XX": {
                "description": "stored and verified; empty, but for kinds that want a certain body",
                "content": {"text/plain": _STRING, "text/xml": _STRING},
            },
            "401": {
                "description": "not verified: the signature or the secret does not fit, or is too old",
                "content": {"text/plain": _STRING},
            },
            "405": {"description": "not a method of this kind of sender"},
            **{
                str(status): {"description": text, "content": _PROBLEM}
                for status, text in {
                    404: "there is no such source",
                    413: "larger than the limits",
                    429: "more than the source may send: again after Retry-After seconds",
                    503: "the database does not answer, or the master key is missing: again after Retry-After seconds",
                }.items()
            },
        },
    }
    options = {
        "tags": ["senders"],
        "summary": "Handshake of kinds that have one (CloudEvents)",
        "operationId": f"options_hook{suffix}",
        "security": [],
        "parameters": parameters,
        "responses": {
            "200": {
                "description": "the sender may send here",
                "headers": {
                    "WebHook-Allowed-Origin": {"schema": {"type": "string"}},
                    "WebHook-Allowed-Rate": {"schema": {"type": "string"}, "description": "requests per minute"},
                },
            },
            "405": {"description": "this kind of sender has no such handshake"},
        },
    }
    return {"post": post, "options": options}
