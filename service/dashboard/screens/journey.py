"""A journey as a timeline, and an event as it was sent."""

from __future__ import annotations

import json
from typing import Any

import msgspec

from service.api import parameters
from service.api.problems import ProblemError
from service.dashboard import words
from service.dashboard.desk import Desk
from service.dashboard.labels import STEPS, called
from service.dashboard.language import N_
from service.dashboard.screen import Screen
from service.domain.catalogue import shown
from service.domain.contributions import REPORTS, UNITS
from service.domain.units import COUNT
from service.domain.words import EVENTS, FIELDS
from service.projections.reports import timeline
from service.store.log import feed
from service.store.log.stored_events import as_cloudevent

_PAGE = 200
_FIRST = {
    *REPORTS["roi"].measures,
    *(f"entered.{step}" for step in STEPS),
    "won",
    "lost",
    "open",
}  # what is told at once
_KEPT = ("kind", "id", "position", "report", "measure")


async def build_journey(desk: Desk) -> dict[str, Any]:
    """Put the timeline of a journey together."""
    kind, identity = desk.state.one("kind"), desk.state.one("id")
    if kind not in timeline.KINDS:
        raise parameters.invalid("kind", f"one of {', '.join(timeline.KINDS)}", kind)
    after = desk.state.one("after", "0")
    try:
        page = await timeline.read(desk.view, kind, identity, int(after), _PAGE, subjects=desk.service.subjects)
    except (ValueError, OverflowError):
        raise parameters.invalid("after", "what the page before has", after) from None
    if page is None:
        raise ProblemError(404, f"no event names a {kind} {shown(identity)}")
    body = page.body
    return {
        "title": f"{called(desk.language, 'kind', kind)} {identity}",
        "events": [_event(desk, one) for one in body["events"]],
        "entities": [_entity(desk, one) for one in body["entities"]],
        "waiting": body["pending_links"], "count": desk.writer.number(body["count"]),
        "crumbs": _crumbs(desk),
        "deal": desk.state.url("deal", kind=None) if kind == "order" else None,
        "more": None if page.last is None else desk.state.url(after=str(page.last), as_of=str(desk.view.as_of.position)),
    }  # fmt: skip


def _crumbs(desk: Desk) -> list[tuple[str, str]]:
    """Return the way back: to the entries of a figure, if that is where the reader came from."""
    none = dict.fromkeys(_KEPT)
    found = [(desk.gettext("Campaigns"), desk.state.url("campaigns", **none))]
    if desk.state.one("measure"):
        label = called(desk.language, "figure", desk.state.one("measure"))
        found.append((label, desk.state.url("entries", kind=None, id=None, position=None)))
    if desk.state.screen == "event" and desk.state.one("id"):
        kind, identity = desk.state.one("kind"), desk.state.one("id")
        found.append((f"{called(desk.language, 'kind', kind)} {identity}", desk.state.url("journey", position=None)))
    return found


def _event(desk: Desk, event: dict[str, Any]) -> dict[str, Any]:
    moved = [
        {
            "label": called(desk.language, "figure", one["measure"]), "why": words.why(desk.writer, one["why"]),
            "amount": desk.writer.exactly(one["amount"], UNITS.get(one["measure"], COUNT)),
            "down": str(one["amount"]).startswith("-"),
            "day": desk.writer.day(one["day"]) if one["day"] else "",
            "campaign": desk.campaign(one["campaign_id"]),
            "of": f"{called(desk.language, 'kind', one['entity']['kind'])} {one['entity']['id']}",
        }
        for one in event["moved"]
    ]  # fmt: skip
    return {
        "position": desk.writer.number(event["position"]), "href": desk.state.url("event", position=str(event["position"])),
        "type": event["type"], "told": desk.gettext(EVENTS[event["type"]]) if event["type"] in EVENTS else event["type"],
        "time": event["time"], "recorded": desk.writer.moment(event["recorded_at"]), "voided": event["voided"],
        "moved": [one for one, of in zip(moved, event["moved"], strict=True) if of["measure"] in _FIRST],
        "also": [one for one, of in zip(moved, event["moved"], strict=True) if of["measure"] not in _FIRST],
        "fields": list(_fields(msgspec.json.decode(event["data"]))),
    }  # fmt: skip


def _fields(data: dict[str, Any]) -> Any:
    for name, value in data.items():
        if isinstance(value, dict) and value.keys() == {"amount", "currency"}:
            yield name, f"{value['amount']} {value['currency']}"
        elif isinstance(value, dict | list):
            yield name, json.dumps(value, ensure_ascii=False)
        elif isinstance(value, bool) or value is None:
            yield name, json.dumps(value)
        else:
            yield name, str(value)


def _entity(desk: Desk, entity: dict[str, Any]) -> dict[str, Any]:
    parent, campaign = entity["parent"], entity["campaign_id"]
    return {
        "kind": called(desk.language, "kind", entity["kind"]), "id": entity["id"],
        "href": desk.state.url("journey", kind=entity["kind"], id=entity["id"]),
        "campaign": desk.campaign(campaign),
        "cohort": desk.writer.day(entity["cohort_day"]) if entity["cohort_day"] else "–",
        "parent": f"{called(desk.language, 'kind', parent['kind'])} {parent['id']}" if parent else "",
        "ended": entity.get("live") is False,
    }  # fmt: skip


async def build_event(desk: Desk) -> dict[str, Any]:
    """Put one event together, as it was sent."""
    asked = desk.state.one("position")
    if not (asked.isascii() and asked.isdigit() and len(asked) < 19):  # noqa: PLR2004  fits a position
        raise parameters.invalid("position", "the position of an event", asked)
    row = await feed.read_one(desk.view.connection, desk.view.ledger.ledger, int(asked))
    if row is None:
        raise ProblemError(404, f"there is no event at position {asked} yet")
    (row,) = await desk.service.subjects.opened(desk.view.connection, desk.view.ledger.ledger, [row])
    sent = json.loads(as_cloudevent(row))
    return {
        "type": row.type, "told": desk.gettext(EVENTS[row.type]) if row.type in EVENTS else "",
        "sent": json.dumps(sent, indent=2, ensure_ascii=False), "position": desk.writer.number(row.position),
        "recorded": desk.writer.moment(row.recorded_at),
        "meanings": [(name, FIELDS[name]) for name in sent["data"] if name in FIELDS],
        "crumbs": _crumbs(desk), "entities": _links(desk, sent["data"]),
    }  # fmt: skip


def _links(desk: Desk, data: dict[str, Any]) -> list[tuple[str, str]]:
    """Return the journeys that an event names."""
    found = []
    for kind in timeline.KINDS:
        identity = data.get(f"{kind}_id")
        if isinstance(identity, str) and identity:
            label = f"{called(desk.language, 'kind', kind)} {identity}"
            found.append((label, desk.state.url("journey", kind=kind, id=identity, position=None)))
    return found


SCREENS = [
    Screen(
        "journey",
        N_("What happened?"),
        "journey.html",
        build_journey,
        scope="read",
        controls=("as_of",),
        above="campaigns",
    ),
    Screen("event", N_("What was sent?"), "event.html", build_event, scope="read", controls=(), above="campaigns"),
]
