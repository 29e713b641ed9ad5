"""Operations: is all well, and who may do what? Heads and lag, rebuilds, keys, sources, grants, sessions, and who did what."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any, NamedTuple

from service.api.problems import ProblemError
from service.dashboard.desk import Desk
from service.dashboard.forms import Act, Deed, Done, unfit
from service.dashboard.language import N_
from service.dashboard.screen import Screen
from service.dashboard.screens.completeness import duration
from service.dashboard.tables import Cell, Column, Line, Table
from service.domain.contributions import READ_MODEL_VERSION
from service.projections.engine import lag
from service.projections.generations import compare, lifecycle
from service.store import audit, grants, ledgers, sessions, sources

_ENTRIES = 30  # of the audit log, of a page
_DIFFERENCES = 100
_WATCHED_SECONDS = 1  # between looks at a rebuild that is under way
_LAST = 2**62
_LONG = 60  # seconds that an event may wait before it is told as bad
_WAYS = {"identical": N_("if no figure moves"), "never": N_("not at all: only compare"), "always": N_("in any case")}
_ACTIONS = {"pause": N_("Pause"), "resume": N_("Go on"), "cancel": N_("Give up"), "apply": N_("Serve it")}
_STATES = {
    "building": N_("is made"), "paused": N_("rests"), "built": N_("is made, and does not serve"), "serving": N_("serves"),
    "retired": N_("served before"), "cancelled": N_("given up"), "pruned": N_("dropped"),
}  # fmt: skip
DONE = {
    "begun": N_("A rebuild has begun."), "asked": N_("It is done as you asked."), "revoked": N_("It opens nothing any more."),
    "granted": N_("It is granted."), "ended": N_("The session has ended."), "closed": N_("The source is closed."),
}  # fmt: skip


class Build(NamedTuple):
    """A generation to be shown, and what can be asked of it."""

    number: int
    state: str
    told: str
    percent: int | None
    pace: str
    actions: list[tuple[str, str]]
    differences: str | None


async def build(desk: Desk) -> dict[str, Any]:
    """Put the screen together."""
    ledger, pool = desk.view.ledger, desk.service.pool
    generations = await lifecycle.listed(pool, ledger)
    builds = [_build(desk, one) for one in reversed(generations)]
    under_way = any(one.state == "building" for one in generations)
    return {
        "heads": await _heads(desk), "builds": builds, "under_way": _WATCHED_SECONDS if under_way else None,
        "ways": [(name, desk.gettext(label)) for name, label in _WAYS.items()],
        "can_go_back": any(one.state == "retired" for one in generations) and not under_way,
        "keys": [_key(desk, one) for one in await ledgers.keys(pool, ledger)], "scopes": ledgers.SCOPES,
        "sources": await sources.of_ledger(pool, ledger.ledger), "grants": await grants.listed(pool, ledger),
        "issuer": desk.service.settings.oidc_issuer or "", "proxied": bool(desk.service.settings.proxy_user_header),
        "sessions": await sessions.listed(pool, ledger.ledger, desk.service.session_life), "audit": await _audit(desk),
        "done": desk.gettext(DONE[one]) if (one := desk.state.one("done")) in DONE else "",
    }  # fmt: skip


async def _heads(desk: Desk) -> Table:
    """Return how far the ledgers are that the reader may see."""
    seen = {one.name for one in await sessions.open_to(desk.service.pool, desk.access.session or "")}
    writer, text, lines = desk.writer, desk.gettext, []
    for one in await lag.lags(desk.view.connection):
        if one.ledger not in {desk.view.ledger.name, *seen}:
            continue
        other = "" if one.version == READ_MODEL_VERSION else text("of another release: rebuild it")
        behind = text("none") if not one.events else f"{writer.number(one.events)} ({duration(desk, one.seconds)})"
        lines.append(Line(Cell(one.ledger, own=True), [
            Cell(writer.number(one.head)), Cell(writer.number(one.checkpoint)),
            Cell(behind, tone="bad" if one.seconds > _LONG else ""),
            Cell(str(one.generation), title=other, tone="bad" if other else ""), Cell(one.worker or "–"),
            Cell(writer.number(one.set_aside), desk.state.url("completeness", done=None) if one.set_aside else None),
        ]))  # fmt: skip
    columns = [
        Column(text("Recorded"), text("position of the last event")), Column(text("In the figures"), rank="p2"),
        Column(text("Waits")), Column(text("Generation"), rank="p2"), Column(text("Worker"), numeric=False, rank="p3"),
        Column(text("Set aside"), rank="p2"),
    ]  # fmt: skip
    return Table(text("How far the figures are"), [Column(text("Ledger"), numeric=False)], columns, lines, name="heads")


def _build(desk: Desk, one: lifecycle.Generation) -> Build:
    writer, report = desk.writer, one.report or {}
    told = ""
    if report:
        told = desk.gettext("the same, cell for cell")
        if not report["identical"]:
            words = desk.ngettext("one figure differs", "%(count)s figures differ", report["differences"])
            told = words % {"count": writer.number(report["differences"])}
    allowed = [
        name for name, (states, state) in lifecycle.TRANSITIONS.items() if one.state in states and one.state != state
    ]
    if one.state == "building":
        allowed = ["pause", "cancel"]
    if one.version != READ_MODEL_VERSION:  # which nobody of this release can go on with
        allowed = [name for name in allowed if name == "cancel"]
    actions = [(name, desk.gettext(_ACTIONS[name])) for name in allowed] if one.serve is not None else []
    moving = one.state in {"building", "paused"}
    pace = ""
    if one.state == "building" and one.rate and one.seconds_left is not None:
        pace = desk.gettext("%(rate)s events a second, %(left)s left") % {
            "rate": writer.number(round(one.rate)), "left": duration(desk, one.seconds_left),
        }  # fmt: skip
    differs = bool(report) and not report["identical"]
    return Build(
        one.generation, desk.gettext(_STATES[one.state]), told,
        min(100, round(100 * one.checkpoint / one.target)) if moving and one.target else None, pace, actions,
        desk.state.url("differences", rebuild=str(one.generation), done=None) if differs else None,
    )  # fmt: skip


def _key(desk: Desk, one: ledgers.Key) -> dict[str, Any]:
    state = {"in force": N_("in force"), "revoked": N_("revoked"), "expired": N_("expired")}[one.state]
    return {
        "id": one.key_id, "name": one.name, "scopes": ", ".join(one.scopes), "state": desk.gettext(state),
        "in_force": one.state == "in force", "used": desk.writer.moment(one.last_used_at), "from": one.last_used_from or "",
        "ends": desk.writer.moment(one.expires_at) if one.expires_at else "", "addresses": ", ".join(one.addresses),
    }  # fmt: skip


async def _audit(desk: Desk) -> Table:
    text = desk.state.one("before")
    before = int(text) if text.isascii() and text.isdigit() and len(text) < 18 else _LAST  # noqa: PLR2004  digits of a column
    entries = await audit.listed(desk.view.connection, desk.view.ledger.ledger, before, _ENTRIES)
    lines = [
        Line(Cell(desk.writer.moment(one.at)), [
            Cell(one.actor, title=one.address or "", own=True),
            Cell(desk.gettext(audit.ACTIONS[one.action]), title=one.action), Cell(one.object or "–", own=True),
            Cell(", ".join(f"{name}: {_told(value)}" for name, value in one.details.items()), own=True),
        ])
        for one in entries
    ]  # fmt: skip
    columns = [
        Column(desk.gettext("Who"), numeric=False), Column(desk.gettext("Did what"), numeric=False),
        Column(desk.gettext("To what"), numeric=False, rank="p2"), Column(desk.gettext("More"), numeric=False, rank="p3"),
    ]  # fmt: skip
    more = desk.state.url(before=str(entries[-1].entry), done=None) + "#audit" if len(entries) == _ENTRIES else None
    first = desk.state.url(before=None, done=None) + "#audit" if text else None
    return Table(
        desk.gettext("Who did what"), [Column(desk.gettext("When"), numeric=False)], columns, lines, name="audit", more=more,
        before=first,
    )  # fmt: skip


def _told(value: Any) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)


async def build_differences(desk: Desk) -> dict[str, Any]:
    """Put the screen of the figures that a rebuild moves together."""
    text, ledger = desk.state.one("rebuild"), desk.view.ledger
    number = int(text) if text.isascii() and text.isdigit() and len(text) < 9 else 0  # noqa: PLR2004  digits of a column
    try:
        await lifecycle.one(desk.service.pool, ledger, number)
    except LookupError as error:
        raise ProblemError(404, str(error)) from None
    after = int(desk.state.one("after")) if desk.state.one("after").isdigit() else 0
    rows = await compare.listed(desk.service.pool, ledger.ledger, number, ledger.currency, after, _DIFFERENCES)
    lines = [
        Line(Cell(one["measure"]), [
            Cell(one["campaign_id"] or desk.gettext("unattributed"), own=True), Cell(one["period"] or "–"),
            Cell(one["where"] or "", own=True), Cell(str(one["old"] if one["old"] is not None else "–")),
            Cell(str(one["new"] if one["new"] is not None else "–")),
        ])
        for one in rows
    ]  # fmt: skip
    columns = [
        Column(desk.gettext("Campaign"), numeric=False), Column(desk.gettext("Period"), numeric=False, rank="p2"),
        Column(desk.gettext("Of"), numeric=False, rank="p3"), Column(desk.gettext("Before")), Column(desk.gettext("After")),
    ]  # fmt: skip
    more = desk.state.url(after=str(rows[-1]["line"])) if len(rows) == _DIFFERENCES else None
    head = [Column(desk.gettext("Measure"), numeric=False)]
    return {
        "crumbs": [(desk.gettext("Operations"), desk.state.url("operations", rebuild=None, after=None))],
        "table": Table(desk.gettext("Figures that move"), head, columns, lines, more=more, name="differences"),
    }  # fmt: skip


async def _rebuild(deed: Deed) -> Done:
    """Begin a rebuild; a worker does it."""
    serve = deed.text("serve")
    if serve not in lifecycle.SERVE:
        raise unfit(f"serve: expected one of {', '.join(lifecycle.SERVE)}")
    try:
        await lifecycle.begin(deed.service.pool, deed.ledger, serve)
    except lifecycle.NotPossibleError as error:
        raise ProblemError(409, str(error)) from None
    return Done("operations", {"done": "begun"})


async def _ask(deed: Deed) -> Done:
    """Pause, resume, cancel or apply a rebuild."""
    action = deed.text("action")
    if action not in lifecycle.TRANSITIONS:
        raise unfit(f"action: expected one of {', '.join(lifecycle.TRANSITIONS)}")
    try:
        await lifecycle.ask(deed.service.pool, deed.ledger, deed.whole("rebuild"), action)
    except LookupError as error:
        raise ProblemError(404, str(error)) from None
    except lifecycle.NotPossibleError as error:
        raise ProblemError(409, str(error)) from None
    return Done("operations", {"done": "asked"})


async def _go_back(deed: Deed) -> Done:
    """Have the generation that served last serve again."""
    try:
        await lifecycle.roll_back(deed.service.pool, deed.ledger)
    except lifecycle.NotPossibleError as error:
        raise ProblemError(409, str(error)) from None
    return Done("operations", {"done": "asked"})


async def _drop(deed: Deed) -> Done:
    """Drop what is retired or given up."""
    await lifecycle.prune(deed.service.pool, deed.ledger)
    return Done("operations", {"done": "asked"})


async def make_key(deed: Deed) -> Done:
    """Make a key, which is shown this once."""
    try:
        made, secret = await ledgers.make_key(
            deed.service.pool, deed.ledger, deed.several("scope"), deed.text("name")[:200],
            expires_at=_end(deed.text("expires")), addresses=deed.text("addresses").replace(",", " ").split(),
        )  # fmt: skip
    except ValueError as error:
        raise unfit(str(error)) from None
    return Done("start" if deed.text("from") == "start" else "operations", {}, {"key": secret, "key_id": made.key_id})


def _end(text: str) -> datetime | None:
    if not text:
        return None
    try:
        day = date.fromisoformat(text)
    except ValueError:
        raise unfit("expires: expected a day as 2027-01-01") from None
    return datetime(day.year, day.month, day.day, tzinfo=UTC)


async def _revoke_key(deed: Deed) -> Done:
    key_id = deed.text("key")
    if not await ledgers.revoke_key(deed.service.pool, key_id, deed.ledger.ledger):
        raise ProblemError(404, f"there is no key {key_id[:80]} in force")
    deed.doorkeeper.forget(lambda one: one.key_id == key_id)
    return Done("operations", {"done": "revoked"})


async def _grant(deed: Deed) -> Done:
    whom, name = deed.text("whom"), deed.text("name")
    named = {"subject": name if whom == "subject" else None, "group": name if whom == "group" else None}
    try:
        await grants.create(deed.service.pool, deed.ledger, deed.text("issuer"), deed.several("scope"), **named)
    except ValueError as error:
        raise unfit(str(error)) from None
    return Done("operations", {"done": "granted"})


async def _revoke_grant(deed: Deed) -> Done:
    if not await grants.revoke(deed.service.pool, deed.ledger, deed.text("grant")):
        raise ProblemError(404, "there is no such grant any more")
    deed.doorkeeper.forget(lambda one: one.issuer is not None)
    return Done("operations", {"done": "revoked"})


async def _end_session(deed: Deed) -> Done:
    session = deed.text("session")
    if not await sessions.end(deed.service.pool, deed.ledger.ledger, session):
        raise ProblemError(404, "there is no such session any more")
    deed.doorkeeper.forget(lambda one: one.session == session)
    return Done("operations", {"done": "ended"})


async def _close(deed: Deed) -> Done:
    """Close a source: its URL answers 404, what it gave stays."""
    source = deed.text("connected")
    if not await sources.delete(deed.service.pool, deed.ledger.ledger, source):
        raise ProblemError(404, "there is no such source any more")
    deed.service.hooks.forget(source)
    return Done("operations", {"done": "closed"})


SCREENS = [
    Screen(
        "operations", N_("Is all well, and who may do what?"), "operations.html", build, menu=N_("Operations"), order=90,
        scope="admin", controls=(), fresh=True, acts={
            "rebuild": Act("admin", _rebuild), "ask": Act("admin", _ask), "go_back": Act("admin", _go_back),
            "drop": Act("admin", _drop), "make_key": Act("admin", make_key), "revoke_key": Act("admin", _revoke_key),
            "grant": Act("admin", _grant), "revoke_grant": Act("admin", _revoke_grant), "end": Act("admin", _end_session),
            "close": Act("admin", _close),
        },
    ),
    Screen(
        "differences", N_("Which figures does the rebuild move?"), "differences.html", build_differences, scope="admin",
        controls=(), above="operations", fresh=True,
    ),
]  # fmt: skip
