"""Completeness: can I trust it? What waits, for how much and since when; what can be done about it; and what is proven."""

from __future__ import annotations

import json
from collections import defaultdict
from datetime import datetime
from decimal import Decimal
from typing import Any, NamedTuple

import msgspec

from service.api.problems import ProblemError
from service.dashboard.desk import Desk
from service.dashboard.forms import Act, Deed, Done, unfit
from service.dashboard.labels import KINDS, called
from service.dashboard.language import N_
from service.dashboard.screen import Screen
from service.dashboard.screens.connect import STATES
from service.dashboard.tables import Cell, Column, Line, Table
from service.projections.generations import retry, verify
from service.projections.reports import completeness
from service.store import inbox, quarantine, sources

_ITEMS = 20  # of a page
_LONGEST_REASON = 500
_HOUR, _DAY = 3600, 86_400
DONE = {
    "retried": N_("The item is an event now."), "dismissed": N_("Put away, with your reason."),
    "waits": N_("Tried again: some still wait, and say why."), "all": N_("Tried again: all of them are events now."),
    "cleared": N_("Processed again: nothing is set aside any more."), "aside": N_("Processed again: some is still set aside."),
}  # fmt: skip


class Item(NamedTuple):
    """A quarantined item to be shown."""

    number: int
    since: str
    what: str
    reason: str
    problems: list[dict[str, str]]
    body: str
    href: str


async def build(desk: Desk) -> dict[str, Any]:
    """Put the screen together."""
    found = await completeness.read(desk.view, desk.service.settings.overdue_days)
    sees = desk.sees_entries
    return {
        "waiting": _waiting(desk, found), "overdue_days": found["overdue_days"], "sources": _sources(desk, found["sources"]),
        "connected": await _connected(desk) if desk.access.may("admin") else None,
        "items": await _items(desk) if sees else None, "reasons": await _reasons(desk) if sees else [],
        "aside": await _aside(desk) if sees else None, "proof": await _proof(desk), "anchor": await _anchor(desk),
        "done": desk.gettext(DONE[one]) if (one := desk.state.one("done")) in DONE else "", "longest": _LONGEST_REASON,
        "live": "",
    }  # fmt: skip


def _waiting(desk: Desk, found: dict[str, Any]) -> Table:
    writer, text = desk.writer, desk.gettext
    lines = []
    for one in found["waiting"]:
        kind = called(desk.language, "kind", one["kind"]) if one["kind"] in KINDS else _said(desk, one["kind"])
        overdue = _count_and_money(desk, one["overdue"]) if one["overdue"]["count"] else "–"
        named = ", ".join(one["examples"][:3]) if desk.sees_entries else ""
        lines.append(Line(Cell(kind, own=True), [
            Cell(_target(desk, one["waits_for"])), Cell(writer.number(one["count"]), value=str(one["count"])),
            Cell(_money(desk, one["amounts"])), Cell(overdue, tone="bad" if one["overdue"]["count"] else ""),
            Cell(writer.moment(one["since"]["recorded_at"]), title=named),
        ]))  # fmt: skip
    columns = [
        Column(text("Waits for"), numeric=False), Column(text("How many")), Column(text("For how much")),
        Column(text("Overdue"), text("for more than %(days)s days") % {"days": found["overdue_days"]}, rank="p2"),
        Column(text("Since"), rank="p2"),
    ]  # fmt: skip
    return Table(
        text("What waits and is in no figure yet"),
        [Column(text("What"), numeric=False)],
        columns,
        lines,
        name="waiting",
    )


_SAID = {
    "quarantined item": N_("item in quarantine"), "a correction": N_("a correction"), "a fix": N_("a fix"),
    "a message": N_("a message"),
}  # fmt: skip


def _said(desk: Desk, words: str) -> str:
    return desk.gettext(_SAID.get(words, words))


def _target(desk: Desk, waits_for: str) -> str:
    """Say what something waits for."""
    if waits_for in KINDS:
        return called(desk.language, "kind", waits_for)
    kind, _, pair = waits_for.partition(" ")
    return desk.gettext("a rate of %(pair)s") % {"pair": pair} if kind == "rate" else _said(desk, waits_for)


def _money(desk: Desk, amounts: list[dict[str, str]]) -> str:
    return ", ".join(desk.money(one["amount"], one["currency"], cents=True) for one in amounts) or "–"


def _count_and_money(desk: Desk, one: dict[str, Any]) -> str:
    money = f" ({_money(desk, one['amounts'])})" if one["amounts"] else ""
    return desk.writer.number(one["count"]) + money


def _sources(desk: Desk, several: list[dict[str, Any]]) -> Table:
    writer, text = desk.writer, desk.gettext
    lines = []
    for one in several:
        last, usual = one["last_event"], one["longest_usual_interval_seconds"]
        silent = (
            text("silent for %(time)s") % {"time": duration(desk, one["silent_seconds"])}
            if one["silent"]
            else text("as usual")
        )
        lines.append(Line(Cell(one["source"], own=True), [
            Cell(writer.number(one["events"])), Cell(writer.moment(last["recorded_at"])),
            Cell(duration(desk, usual) if usual is not None else "–"), Cell(silent, tone="bad" if one["silent"] else ""),
        ]))  # fmt: skip
    columns = [
        Column(text("Events")), Column(text("Last one"), numeric=False, rank="p2"),
        Column(text("Usual interval"), text("95 of 100 intervals between arrivals are no longer"), rank="p2"),
        Column(text("Now"), numeric=False),
    ]  # fmt: skip
    return Table(
        text("Who sends, and who has gone silent"),
        [Column(text("Source"), numeric=False)],
        columns,
        lines,
        name="sources",
    )


def duration(desk: Desk, seconds: float) -> str:
    """Write how long something takes, in the unit that fits."""
    if seconds >= 2 * _DAY:
        return desk.gettext("%(number)s days") % {"number": desk.writer.number(Decimal(str(seconds)) / _DAY, 0)}
    if seconds >= 2 * _HOUR:
        return desk.gettext("%(number)s hours") % {"number": desk.writer.number(Decimal(str(seconds)) / _HOUR, 0)}
    if seconds >= 120:  # noqa: PLR2004  two minutes
        return desk.gettext("%(number)s minutes") % {"number": desk.writer.number(Decimal(str(seconds)) / 60, 0)}
    return desk.gettext("%(number)s seconds") % {"number": desk.writer.number(Decimal(str(seconds)), 0)}


async def _connected(desk: Desk) -> Table:
    """Return the connected systems with their deliveries."""
    pool, ledger, writer, text = desk.view.connection, desk.view.ledger.ledger, desk.writer, desk.gettext
    by_source: defaultdict[str, dict[str, inbox.Count]] = defaultdict(dict)
    for count in await inbox.counts(pool, ledger):
        by_source[count.source][count.state] = count
    lines = []
    for one in await sources.of_ledger(pool, ledger):
        states = by_source[one.source]
        last: datetime | None = max((each.last for each in states.values()), default=None)
        told = ", ".join(
            f"{text(STATES.get(name, name))} {writer.number(each.deliveries)}" for name, each in states.items()
        ) or text("nothing yet")
        bad = "failed" in states or "rejected" in states
        href = desk.state.url("connect", connected=one.source, kind=one.kind, done=None)
        lines.append(Line(Cell(one.name, href, own=True), [
            Cell(one.kind), Cell(told or text("nothing yet"), tone="bad" if bad else ""), Cell(writer.moment(last)),
        ]))  # fmt: skip
    columns = [
        Column(text("Kind"), numeric=False, rank="p2"), Column(text("Deliveries"), numeric=False),
        Column(text("Last one"), numeric=False, rank="p2"),
    ]  # fmt: skip
    return Table(text("Connected systems"), [Column(text("System"), numeric=False)], columns, lines, name="connected")


async def _items(desk: Desk) -> dict[str, Any]:
    after = int(desk.state.one("after")) if desk.state.one("after").isdigit() else 0
    chosen = quarantine.Chosen(reason=desk.state.one("cause") or None)
    kept = await quarantine.listed(desk.service.pool, desk.view.ledger.ledger, after, _ITEMS, "waiting", chosen)
    more = desk.state.url(after=str(kept[-1].item), done=None) if quarantine.is_full(kept, _ITEMS) else None
    return {"items": [item(desk, one) for one in kept], "more": more, "cause": chosen.reason}


def item(desk: Desk, one: quarantine.Kept) -> Item:
    """Return a quarantined item to be shown."""
    problem = msgspec.json.decode(one.problem)
    what = " ".join(part for part in (one.type, one.source, one.id) if part) or desk.gettext("cannot be told apart")
    return Item(
        one.item, desk.writer.moment(one.received_at), what, one.reason or problem.get("detail", ""),
        problem.get("errors", []), pretty(one.body), desk.state.url("quarantine", item=str(one.item), done=None, cause=None),
    )  # fmt: skip


def pretty(body: bytes) -> str:
    """Return a body as it reads best: JSON in lines."""
    try:
        return json.dumps(json.loads(body, parse_float=Decimal), indent=2, ensure_ascii=False, default=str)
    except (ValueError, RecursionError):
        return body.decode("utf-8", "replace")


async def _reasons(desk: Desk) -> list[dict[str, Any]]:
    """Return why items wait, the most frequent reason first, where several have the same."""
    counts = await quarantine.counts(
        desk.service.pool, desk.view.ledger.ledger, "reason", "waiting", quarantine.Chosen()
    )
    return [
        {"value": one.value, "count": one.items, "href": desk.state.url(cause=one.value, after=None, done=None)}
        for one in counts if one.value
    ]  # fmt: skip


async def _aside(desk: Desk) -> Table | None:
    entries = await retry.listed(desk.service.pool, desk.view.ledger.ledger)
    if not entries:
        return None
    text = desk.gettext
    lines = [
        Line(Cell(one["event"]["type"]), [
            Cell(", ".join(one["entities"][:3]), own=True), Cell(one["error"], own=True),
            Cell(desk.writer.number(one["position"]), desk.state.url("event", position=str(one["position"]), done=None)),
            Cell(desk.writer.moment(one["since"])),
        ])
        for one in entries
    ]  # fmt: skip
    columns = [
        Column(text("Of"), numeric=False, rank="p2"), Column(text("Why"), numeric=False), Column(text("Event")),
        Column(text("Since"), rank="p2"),
    ]  # fmt: skip
    return Table(
        text("Set aside until it can be processed"), [Column(text("What"), numeric=False)], columns, lines, name="aside"
    )


async def _proof(desk: Desk) -> dict[str, Any] | None:
    found = await verify.last_proofs(desk.service.pool, desk.view.ledger.ledger)
    if not found:
        return None
    (one,) = found
    return {
        "good": one.good, "at": desk.writer.moment(one.checked_at), "position": desk.writer.number(one.position),
        "deep": one.deep, "findings": one.findings,
    }  # fmt: skip


async def _anchor(desk: Desk) -> str:
    """Return the head of the chain, to be kept elsewhere, as `verify --against` reads it."""
    anchor = await verify.anchor(desk.service.pool, desk.view.ledger)
    return json.dumps({"anchors": [anchor._asdict()]}, indent=2)


async def retry_item(deed: Deed) -> Done:
    """Try an item again, as it is or as it was corrected."""
    number, pool = deed.whole("item"), deed.service.pool
    kept = await quarantine.one(pool, deed.ledger.ledger, number)
    if kept is None:
        raise ProblemError(404, f"there is no quarantined item {number}")
    corrected = deed.text("body").encode() or None
    result = await deed.service.intake.retry(deed.ledger.ledger, kept, corrected)
    if result.problem is None:
        return Done("completeness", {"done": "retried"})
    return Done("quarantine", {"item": str(number)}, {"problem": result.problem, "body": deed.text("body")})


async def dismiss_item(deed: Deed) -> Done:
    """Put an item away for a reason."""
    number = deed.whole("item")
    reason = _reason(deed)
    await quarantine.dismiss(deed.service.pool, deed.ledger.ledger, reason, deed.access.key_id, item=number)
    return Done("completeness", {"done": "dismissed"})


async def _retry_all(deed: Deed) -> Done:
    """Try all that wait for one reason again, or all there are."""
    chosen, after = quarantine.Chosen(reason=deed.text("cause") or None), 0
    tried = resolved = 0
    while True:
        done = await deed.service.intake.retry_many(deed.ledger.ledger, chosen, after, 1_000)
        tried, resolved = tried + done.tried, resolved + done.resolved
        if done.last is None:
            return Done("completeness", {"done": "all" if tried == resolved else "waits"})
        after = done.last


async def _dismiss_all(deed: Deed) -> Done:
    """Put all that wait for one reason away."""
    cause = deed.text("cause")
    if not cause:
        raise unfit("cause: expected the reason that the items have in common")
    chosen = quarantine.Chosen(reason=cause)
    await quarantine.dismiss(deed.service.pool, deed.ledger.ledger, _reason(deed), deed.access.key_id, chosen=chosen)
    return Done("completeness", {"done": "dismissed"})


def _reason(deed: Deed) -> str:
    reason = deed.text("reason")
    if not 0 < len(reason) <= _LONGEST_REASON:
        raise unfit(f"reason: expected 1 to {_LONGEST_REASON} characters, which are kept with it")
    return reason


async def _process_again(deed: Deed) -> Done:
    """Process what is set aside again."""
    try:
        done = await retry.retry(deed.service.pool, deed.ledger)
    except retry.OtherReleaseError as error:
        raise ProblemError(409, str(error)) from error
    return Done("completeness", {"done": "aside" if done.remaining else "cleared"})


async def build_item(desk: Desk) -> dict[str, Any]:
    """Put the screen of one quarantined item together."""
    text = desk.state.one("item")
    number = int(text) if text.isascii() and text.isdigit() and len(text) < 18 else 0  # noqa: PLR2004  digits of a column
    kept = await quarantine.one(desk.service.pool, desk.view.ledger.ledger, number)
    if kept is None:
        raise ProblemError(404, f"there is no quarantined item {text[:20]}")
    return {
        "crumbs": [(desk.gettext("Completeness"), desk.state.url("completeness", item=None))],
        "item": item(desk, kept), "state": kept.state, "dismissal": kept.dismissal, "dismissed_by": kept.dismissed_by,
        "event": kept.position and desk.state.url("event", position=str(kept.position), item=None), "longest": _LONGEST_REASON,
    }  # fmt: skip


_OF_ITEMS = {"retry": Act("ingest", retry_item), "dismiss": Act("admin", dismiss_item)}
SCREENS = [
    Screen(
        "completeness", N_("Can I trust it?"), "completeness.html", build, menu=N_("Completeness"), order=80,
        controls=("as_of",), fresh=True, acts={
            **_OF_ITEMS, "retry_all": Act("ingest", _retry_all), "dismiss_all": Act("admin", _dismiss_all),
            "process": Act("admin", _process_again),
        },
    ),
    Screen(
        "quarantine", N_("Why could this not be taken?"), "quarantine.html", build_item, scope="read", controls=(),
        above="completeness", fresh=True, acts=_OF_ITEMS, uploads=True,
    ),
]  # fmt: skip
