"""What a request brings to be let in: an API key (Bearer, or the password of HTTP Basic), or the cookie of a session.

Also where it comes from. A proxy's word for that is taken only from the networks that the operator has named: `X-Forwarded-For`
from the right, up to the first address that is no such proxy's, and `X-Forwarded-Proto`.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Sequence
from http.cookies import CookieError, SimpleCookie
from typing import NamedTuple

from starlette.types import Scope

from service.store.networks import Network, is_within

SECURE_COOKIE, PLAIN_COOKIE = "__Host-session", "session"
_LONGEST = 512  # characters; what is longer opens nothing and is not looked up


class Presented(NamedTuple):
    """A secret, and the way that it came: bearer, basic, session; "" = none came."""

    way: str
    secret: str


def cookie_name(scope: Scope) -> str:
    """Return the name of the session's cookie: browsers take `__Host-` over https only (and some on one's own machine)."""
    return SECURE_COOKIE if scope.get("scheme") == "https" else PLAIN_COOKIE


def presented(scope: Scope) -> Presented:
    """Return what a request brings. A header goes before the cookie: a program says what it means."""
    authorization = cookies = b""
    for name, value in scope["headers"]:
        if name == b"authorization":
            authorization = value
        elif name == b"cookie":
            cookies = cookies + b"; " + value if cookies else value
    if authorization:
        kind, _, secret = authorization.decode("latin-1").partition(" ")
        way = kind.lower()
        found = _password(secret.strip()) if way == "basic" else secret.strip() if way == "bearer" else ""
        return Presented(way, found) if found and len(found) <= _LONGEST else Presented("", "")
    token = cookie(cookies, cookie_name(scope)) if cookies else ""
    return Presented("session", token) if token and len(token) <= _LONGEST else Presented("", "")


def cookie(header: bytes, name: str) -> str:
    """Return the value of a cookie, "" if there is none."""
    try:
        found = SimpleCookie(header.decode("latin-1")).get(name)
    except CookieError:
        return ""
    return found.value if found else ""


def _password(encoded: str) -> str:
    try:
        return base64.b64decode(encoded, validate=True).decode().partition(":")[2]
    except (binascii.Error, ValueError):
        return ""


def forwarded(scope: Scope, proxies: Sequence[Network]) -> Scope:
    """Return the scope with the client's own address and scheme, where a known proxy tells them; `proxied` says that it does."""
    client = scope.get("client")
    if not proxies or not client or not is_within(client[0], proxies):
        return scope
    hops, scheme = list[str](), scope["scheme"]
    for name, value in scope["headers"]:
        if name == b"x-forwarded-for":
            hops += [one.strip() for one in value.decode("latin-1").split(",") if one.strip()]
        elif name == b"x-forwarded-proto":
            scheme = "https" if value.strip().lower() == b"https" else "http"
    hops.append(client[0])
    address = next((one for one in reversed(hops) if not is_within(one, proxies)), hops[0])
    return {**scope, "client": (address, 0), "scheme": scheme, "proxied": True}
