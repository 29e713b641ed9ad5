"""What campaign responses, registrations for events, forms that were sent in, and connections of opportunities give.

A response names its campaign. An event or a form is none: it counts for the campaign that `campaigns` lists under its id, and for
none where that does not.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from service.intake.senders.contract import Draft, Waiting
from service.intake.senders.dataverse.record import Record, State, uncreated
from service.intake.senders.fields import instant, stated

ACTIVITIES = {
    "campaignresponse": "campaign_response", "msevtmgt_eventregistration": "event_registration",
    "msdynmkt_marketingformsubmission": "form",
}  # fmt: skip
_PEOPLE = ("contact", "lead")


def touch(it: Record) -> Iterator[Draft | Waiting]:
    """Give a touch that somebody answered; one that was cancelled or deleted was none."""
    state = it.last
    if state.get("@deleted") is not None or it.meaning(state) == "cancelled" or it.get(state, "cancelled") is True:
        return
    if it.get(state, "campaign") is None:
        yield Waiting(f"the campaign of this {it.table} is not stated yet")
        return
    campaign = _campaign(it, state)
    if campaign is None:
        return
    people = {f"{kind}_id": one for kind in _PEOPLE if (one := _person(it, state, kind))}
    at = instant(it.get(state, "at"), "at") or it.since
    if not people:
        yield Waiting(f"whose {it.table} it is is not stated yet")
    elif at is None:
        yield from uncreated(it)
    else:
        data = stated(
            touchpoint_id=it.id, campaign_id=campaign, activity_type=it.text(state, "activity") or ACTIVITIES[it.table],
            interaction="response", **people,
        )  # fmt: skip
        yield Draft("touched", "touchpoint.recorded", at, data)


def _campaign(it: Record, state: State) -> str | None:
    named = it.get(state, "campaign")
    if not isinstance(named, dict) or named.get("type") in (None, "campaign"):
        return it.reference(state, "campaign", "campaign")
    listed: str | None = it.mapping["campaigns"].get(str(named.get("id")).lower())
    return listed


def _person(it: Record, state: State, kind: str) -> str | None:
    named = it.get(state, "person")
    return it.reference(state, "person") if isinstance(named, dict) and named.get("type") == kind else None


def connection(it: Record) -> Iterator[Draft | Waiting]:
    """Link a contact that is connected with an opportunity; Dataverse keeps each connection twice, of which one is the master."""
    if it.last.get("@deleted") is not None or it.get(it.last, "master") is False:
        return
    ends = {
        named["type"]: named["id"]
        for name in ("one", "other")
        if isinstance(named := it.get(it.last, name), dict) and named.get("id")
    }
    if {"contact", "opportunity"} != {*ends}:
        return
    if it.since is None:
        yield from uncreated(it)
        return
    data = {"opportunity_id": ends["opportunity"], "contact_id": ends["contact"]}
    side = "one" if it.get(it.last, "one")["type"] == "contact" else "other"
    role = it.text(it.last, f"{side}_role")
    for n, (at, meaning, _) in enumerate(it.spells()):
        if meaning == "active":
            key = f"linked/{at}" if n else "linked"
            yield Draft(key, "opportunity.contact_linked", at if n else it.since, data | stated(role=role))
        elif n:
            yield Draft(f"unlinked/{at}", "opportunity.contact_unlinked", at, data)


RULES: dict[str, Callable[[Record], Iterator[Draft | Waiting]]] = {
    **dict.fromkeys(ACTIVITIES, touch), "connection": connection
}  # fmt: skip
