"""Connect: how does a system send by itself? What to click in it, the URL to enter there, and its deliveries as they come."""

from __future__ import annotations

import base64
import secrets as random
from typing import Any

import yaml

from service.api.problems import ProblemError
from service.dashboard import guides
from service.dashboard.desk import Desk
from service.dashboard.forms import Act, Deed, Done, unfit
from service.dashboard.language import N_
from service.dashboard.screen import Screen
from service.dashboard.tables import Cell, Column, Line, Table
from service.intake import connecting
from service.intake.senders import KINDS
from service.intake.senders.contract import not_verified
from service.store import inbox, sources
from service.store.sources import Change

_DELIVERIES = 30
_WATCHED_SECONDS = 2  # between looks at what has come
STATES = {
    "received": N_("received"), "accepted": N_("accepted"), "duplicate": N_("nothing new"), "ignored": N_("ignored"),
    "rejected": N_("rejected"), "failed": N_("failed"), "discarded": N_("taken out"),
}  # fmt: skip


async def build(desk: Desk) -> dict[str, Any]:
    """Put the screen together: of a source that there is, or of one to be made."""
    source, kind = desk.state.one("connected"), desk.state.one("kind")
    stored = await sources.one(desk.service.pool, source, desk.view.ledger.ledger) if source else None
    if source and stored is None:
        raise ProblemError(404, f"there is no source {source[:80]}")
    found = KINDS.get(stored.kind if stored else kind)
    if found is None:
        raise ProblemError(404, f"there is no kind {kind[:80]!r}, but {', '.join(KINDS)}")
    return {
        "crumbs": [(desk.gettext("Start"), desk.state.url("start", connected=None, kind=None))],
        "kind": found, "guide": guides.guide(found.name), "source": stored, "can_keep": desk.service.vault.is_open,
        "url": stored and _url(desk.service.settings.public_url, str(desk.request and desk.request.base_url), stored),
        "deliveries": await _deliveries(desk, stored) if stored else None, "again": _WATCHED_SECONDS,
        "cannot_sign": not found.authentication and found.verify is not_verified,
        "secret_is": "user:password" if found.authentication.get("scheme") == "basic" else "",
    }  # fmt: skip


def _url(public: str | None, base: str, stored: sources.Stored, path_secret: str = "") -> str:
    rest = f"/{path_secret}" if path_secret else "/…" if stored.path_hash else ""
    return f"{(public or base).rstrip('/')}/v1/hooks/{stored.source}{rest}"


async def _deliveries(desk: Desk, stored: sources.Stored) -> Table:
    several = await inbox.listed(desk.service.pool, stored.ledger, stored.source, 2**62, _DELIVERIES, None)
    lines = [
        Line(Cell(desk.writer.moment(one.received_at)), [
            Cell(desk.gettext(STATES.get(one.state, one.state)), tone="bad" if one.state in ("rejected", "failed") else ""),
            Cell(one.reason or "", own=True), Cell(desk.writer.number(one.size)),
        ])
        for one in several
    ]  # fmt: skip
    columns = [
        Column(desk.gettext("What became of it"), numeric=False), Column(desk.gettext("Why"), numeric=False),
        Column(desk.gettext("Bytes"), rank="p2"),
    ]  # fmt: skip
    return Table(
        desk.gettext("What it has sent"),
        [Column(desk.gettext("When"), numeric=False)],
        columns,
        lines,
        name="deliveries",
    )


async def _connect(deed: Deed) -> Done:
    """Make a source. What has to be entered in the sending system is shown this once."""
    kind, name = deed.text("kind"), deed.text("name")
    in_path, given = bool(deed.text("path_secret")), deed.text("secret")
    made = "" if given or in_path else _new_secret(kind)
    secrets = [one for one in (given, made) if one]
    credentials = {one: deed.text(f"credential.{one}") for one in KINDS[kind].credentials} if kind in KINDS else {}
    credentials = {one: value for one, value in credentials.items() if value}
    mapping = _mapping(deed.text("mapping"))
    try:
        connecting.check(kind, secrets, credentials, mapping, name=name)
        path_secret = sources.new_path_secret() if in_path else None
        stored = await sources.create(
            deed.service.pool, deed.service.vault, deed.ledger.ledger, kind, name,
            Change(secrets, credentials or None, mapping or {}), path_secret,
        )  # fmt: skip
    except connecting.UnfitError as error:
        raise unfit(str(error)) from None
    except ValueError as error:
        raise ProblemError(409, str(error)) from None
    url = _url(deed.service.settings.public_url, str(deed.request.base_url), stored, path_secret or "")
    return Done("connect", {"connected": stored.source, "kind": kind}, {"url": url, "secret": made})


def _new_secret(kind: str) -> str:
    """Return a secret that the way of signing can use."""
    if kind == "standard-webhooks":
        return "whsec_" + base64.b64encode(random.token_bytes(24)).decode()
    return random.token_hex(24)


def _mapping(text: str) -> dict[str, Any] | None:
    if not text:
        return None
    try:
        found = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise unfit(f"mapping: expected YAML: {' '.join(str(error).split())[:300]}") from None
    if not isinstance(found, dict):
        raise unfit("mapping: expected keys with values, as the guide shows them")
    return found


SCREENS = [
    Screen(
        "connect", N_("How does a system send by itself?"), "connect.html", build, scope="admin", controls=(), above="start",
        fresh=True, acts={"connect": Act("admin", _connect)},
    )
]  # fmt: skip
