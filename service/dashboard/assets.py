"""Files that pages need, under names that change with their content: whoever has one need never ask for it again."""

from __future__ import annotations

import hashlib
from functools import cache
from importlib.resources import files
from typing import NamedTuple

from starlette.requests import Request
from starlette.responses import Response

from service.api.problems import ProblemError

_TYPES = {"css": "text/css; charset=utf-8", "js": "text/javascript; charset=utf-8", "svg": "image/svg+xml"}
_FOR_EVER = "public, max-age=31536000, immutable"


class Asset(NamedTuple):
    """A file by the name that it is served under."""

    name: str
    content: bytes
    media_type: str
    tag: str


@cache
def assets() -> dict[str, Asset]:
    """Return the files by their own names."""
    found = {}
    for one in files("service.dashboard").joinpath("static").iterdir():
        stem, _, kind = one.name.partition(".")
        content = one.read_bytes()
        tag = hashlib.sha256(content).hexdigest()[:16]
        found[one.name] = Asset(f"{stem}.{tag}.{kind}", content, _TYPES[kind], f'"{tag}"')
    return found


def url(name: str) -> str:
    """Return where a file is."""
    return f"/static/{assets()[name].name}"


async def serve(request: Request) -> Response:
    """Serve a file by the name that it has now; one of an earlier release is gone."""
    asked = request.path_params["name"]
    asset = next((one for one in assets().values() if one.name == asked), None)
    if asset is None:
        raise ProblemError(404, f"there is no file {asked[:100]}; the page that names it is of another release")
    headers = {"Cache-Control": _FOR_EVER, "ETag": asset.tag, "X-Content-Type-Options": "nosniff"}
    if request.headers.get("if-none-match") == asset.tag:
        return Response(None, 304, headers)
    return Response(asset.content, headers=headers, media_type=asset.media_type)


@cache
def release() -> str:
    """Return what changes whenever the files or the templates do: pages that were kept hold no longer."""
    digest = hashlib.sha256("".join(sorted(one.tag for one in assets().values())).encode())
    for one in sorted(files("service.dashboard").joinpath("templates").iterdir(), key=lambda each: each.name):
        digest.update(one.read_bytes())
    return digest.hexdigest()[:8]
