"""Forms: what a signed-in browser asks to be done by one of our pages, and what comes of it.

A form bears a token that no other site's page knows, and names what is to be done in its field `do`: one of its screen's acts.
"""

from __future__ import annotations

import hmac
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from starlette.datastructures import FormData, UploadFile
from starlette.requests import Request

from service.api.auth import Doorkeeper, is_of_elsewhere
from service.api.bodies import read_body
from service.api.presented import presented
from service.api.problems import ProblemError
from service.bootstrap import Service
from service.store import sessions
from service.store.ledgers import Access, Ledger

MOST_BYTES = 65_536  # of a form without a file
_DIGITS = 18  # of what a column holds


@dataclass
class Deed:
    """What a signed-in reader asks to be done."""

    request: Request
    service: Service
    access: Access
    form: FormData

    @property
    def ledger(self) -> Ledger:
        """The ledger that it is about."""
        return self.access.ledger

    @property
    def doorkeeper(self) -> Doorkeeper:
        """Who remembers what keys and sessions open."""
        found: Doorkeeper = self.request.app.state.doorkeeper
        return found

    def text(self, name: str) -> str:
        """Return a field as it was typed, "" where it is missing."""
        return text_of(self.form, name)

    def whole(self, name: str) -> int:
        """Return a field that is a number; raises a problem."""
        text = self.text(name)
        if not (text.isascii() and text.isdigit() and len(text) < _DIGITS):
            raise unfit(f"{name}: expected a whole number")
        return int(text)

    def several(self, name: str) -> list[str]:
        """Return all values of a field."""
        return [value for value in self.form.getlist(name) if isinstance(value, str)]

    def file(self, name: str) -> UploadFile | None:
        """Return an uploaded file; None where none was chosen."""
        value = self.form.get(name)
        return value if isinstance(value, UploadFile) and value.filename else None


class Done(NamedTuple):
    """What came of a deed: the screen to go on to, and its parameters. What is `shown` is on it this once, and in no URL."""

    screen: str
    parameters: Mapping[str, str] = {}
    shown: Mapping[str, Any] | None = None


class Act(NamedTuple):
    """Something that a form can have done, and the scope that it needs."""

    scope: str
    do: Callable[[Deed], Awaitable[Done]]


def unfit(detail: str) -> ProblemError:
    """Return the problem of a field that cannot be so."""
    return ProblemError(422, detail, kind="invalid-request")


def csrf_of(request: Request) -> str:
    """Return what forms of a page have to send along; "" for whoever is not signed in, and can change nothing on a page."""
    brought = presented(request.scope)
    return sessions.csrf_of(brought.secret) if brought.way == "session" else ""


async def signed_in(request: Request, scope: str | None = None, most: int = MOST_BYTES) -> tuple[Access, FormData]:
    """Return what a signed-in browser may do, and the form that it has sent from a page of this service; raises a problem."""
    access = await session_of(request, scope)
    form = await read_form(request, most, access.ledger.ledger)
    if is_of_elsewhere(request.headers) or not hmac.compare_digest(
        text_of(form, "csrf").encode(), csrf_of(request).encode()
    ):
        raise ProblemError(403, "this form was not sent from a page of this service: load the page again")
    return access, form


async def session_of(request: Request, scope: str | None = None) -> Access:
    """Return what a session opens, in the ledger that the URL names; raises a problem where there is none."""
    doorkeeper: Doorkeeper = request.app.state.doorkeeper
    if presented(request.scope).way != "session":
        raise ProblemError(401, "sign in at /login")
    named = request.path_params.get("ledger")
    access = await doorkeeper.admit({**request.scope, "method": "GET"}, scope, named)
    if named is not None and named != access.ledger.name:
        raise ProblemError(404, f"there is no ledger {named[:100]!r} that you may see")
    request.scope["exchange"].access = access
    return access


async def read_form(request: Request, most: int = MOST_BYTES, ledger: int = 0) -> FormData:
    """Return the fields of a form, of so many bytes at most."""
    request._body = await read_body(request, most, ledger)  # noqa: SLF001  where the framework looks for it first
    return await request.form(max_files=1, max_fields=200, max_part_size=most)


def text_of(form: FormData, name: str) -> str:
    """Return a field of a form as it was typed, "" where it is missing."""
    value = form.get(name)
    return value.strip() if isinstance(value, str) else ""
