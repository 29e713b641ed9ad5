"""URLs in and out: ids in paths, whatever is in them, and links that can be followed.

    router = APIRouter(route_class=IdRoute)                          # paths with {id:path}
    url = next_url(request, {"after": last} if more else None)       # /v1/…?after=…, which answers have as `next`
    headers = link(url)                                              # Link: </v1/…?after=…>; rel="next"

An id may have any character but U+0000: slashes, line breaks, "?" and "#", the names of reports. In a URL they are escaped,
and only there can be told what is part of an id and what parts the path.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote, unquote, urlencode

import msgspec
from fastapi import Request
from starlette.responses import Response
from starlette.routing import Match
from starlette.types import Scope

from service.api.auth import Guarded

_IN_A_PATH = "/%:@!$&'()*+,;=~"  # RFC 3986, beside letters, digits and -._; what is escaped already stays as it is


class IdRoute(Guarded):
    """A route whose path, where it ends in an id, is matched as it was sent, and unescaped only then."""

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        """Match as the framework does, which would unescape first: an id could end the path, or be cut at a line break."""
        if scope["type"] != "http" or ":path}" not in self.path:
            return super().matches(scope)
        match, found = super().matches({**scope, "path": _path(scope)})
        if match is not Match.NONE:
            found["path_params"] = {name: unquote(value) for name, value in found["path_params"].items()}
        return match, found


def next_url(request: Request, following: Mapping[str, Any] | None) -> str | None:
    """Return where the next page is: this URL with the parameters of `following`; None if that is None."""
    if following is None:
        return None
    kept = [(name, value) for name, value in request.query_params.multi_items() if name not in following]
    return f"{_path(request.scope)}?{urlencode([*kept, *following.items()])}"


def page(request: Request, body: Mapping[str, Any], following: Mapping[str, Any] | None) -> Response:
    """Answer a page of a list: `next` in its body and its `Link` lead to the one that has the parameters of `following`."""
    url = next_url(request, following)
    return Response(msgspec.json.encode({**body, "next": url}), headers=link(url), media_type="application/json")


def link(url: str | None) -> dict[str, str]:
    """Return the header that leads to the next page; none if there is no such page."""
    return {} if url is None else {"Link": f'<{url}>; rel="next"'}


def _path(scope: Scope) -> str:
    """Return the path as it was sent, with whatever a URL cannot have escaped."""
    return quote(scope.get("raw_path") or scope["path"].encode(), safe=_IN_A_PATH)
