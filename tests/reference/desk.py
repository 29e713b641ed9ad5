"""The naive reference of service cases, activities and reach (REPORTS section 3)."""

from __future__ import annotations

from collections import defaultdict
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from tests.reference.facts import Event, aliases, is_stated, last_stated, read

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import date
    from zoneinfo import ZoneInfo

STEPS = ("case.opened", "case.resolved")
COUNTS = ("opened", "open", "resolved", "same_day", "reopened", "backlog")


def within(day: date, first: date | None, end: date | None) -> bool:
    return (first is None or day >= first) and (end is None or day < end)


def service(
    raw: Sequence[Mapping[str, Any]], zone: ZoneInfo, first: date | None, end: date | None
) -> dict[str | None, dict[str, Any]]:
    """By agent: counts, the hours that cases took, their scores, and the backlog at the end."""
    events = read(raw)
    found: dict[str | None, dict[str, Any]] = defaultdict(
        lambda: {**dict.fromkeys(COUNTS, 0), "hours": [], "scores": []}
    )
    for case in {e.data["case_id"] for e in events if "case_id" in e.data}:
        mine = [e for e in events if e.data.get("case_id") == case]
        steps = [e for e in mine if e.type in STEPS]
        openings = [e for e in steps if e.type == "case.opened"]
        resolutions = [e for e in steps if e.type == "case.resolved"]
        row = found[last_stated(steps, "agent_id")]
        if openings and within(openings[0].day(zone), first, end):
            row["opened"] += 1
            row["open"] += steps[-1].type == "case.opened"
        if steps and steps[-1].type == "case.resolved" and within(steps[-1].day(zone), first, end):
            row["resolved"] += 1
            if openings:
                row["hours"].append((steps[-1].at - openings[0].at) / 3600)
                row["same_day"] += openings[0].day(zone) == steps[-1].day(zone)
        row["reopened"] += sum(
            any(resolved.key < one.key for resolved in resolutions) and within(one.day(zone), first, end)
            for one in openings
        )
        before = [e for e in steps if end is None or e.day(zone) < end]
        row["backlog"] += bool(before) and before[-1].type == "case.opened"
        scores = [e for e in mine if e.type == "csat.recorded"]
        if scores and within(scores[-1].day(zone), first, end):
            row["scores"].append(Fraction(scores[-1].data["score"]))
    return found


def activities(
    raw: Sequence[Mapping[str, Any]], zone: ZoneInfo, first: date | None, end: date | None
) -> dict[str, dict[str, int]]:
    """By owner: how many of each kind of activity."""
    found: dict[str, dict[str, int]] = defaultdict(lambda: defaultdict(int))
    last = {e.data["activity_id"]: e for e in read(raw) if e.type == "activity.completed"}
    for one in last.values():
        if within(one.day(zone), first, end):
            found[one.data["rep_id"]][one.data["activity"]] += 1
    return found


def _addressable(told: Sequence[Event], channel: str | None) -> bool:
    def last(name: str) -> Any:
        return next((e.data[name] for e in reversed(told) if is_stated(e.data.get(name))), None)

    if channel == "email":
        return any(map(is_stated, last("emails") or ()))
    if channel in ("sms", "phone", "whatsapp"):
        return any(map(is_stated, last("phones") or ()))
    return is_stated((last("handles") or {}).get(channel))


def reach(
    raw: Sequence[Mapping[str, Any]], zone: ZoneInfo, first: date | None, end: date | None
) -> dict[str | None, dict[str, Any]]:
    """By channel: who there is, as sets of names, and how often something happened."""
    events = read(raw)
    names = aliases(events, "contact.merged")

    def name(identity: str) -> str:
        return names.get(identity, identity)

    erased = {name(e.data["subject_id"]) for e in events if e.type == "subject.erased"}
    told: dict[str, list[Event]] = defaultdict(list)
    for e in events:
        if e.type == "contact.registered" and name(e.data["contact_id"]) not in erased:
            told[name(e.data["contact_id"])].append(e)
    naming = [e for e in events if e.type in ("contact.consent_changed", "campaign.messages_sent")]
    found: dict[str | None, dict[str, Any]] = {}
    for channel in {last_stated([e], "channel") for e in naming}:
        granted: dict[str, bool] = defaultdict(bool)
        row: dict[str, Any] = {"granted": 0, "withdrawn": 0, "messages_sent": 0}
        for e in (e for e in naming if last_stated([e], "channel") == channel):
            inside = within(e.day(zone), first, end)
            if e.type == "campaign.messages_sent":
                row["messages_sent"] += e.data["count"] * inside
                continue
            contact, now = name(e.data["contact_id"]), e.data["granted"]
            row["granted" if now else "withdrawn"] += inside and now != granted[contact]
            granted[contact] = now
        consented = {one for one in told if granted[one]}
        addressable = {one for one, mine in told.items() if _addressable(mine, channel)}
        row |= {"contacts": {*told}, "consented": consented, "addressable": addressable}
        found[channel] = {**row, "reachable": consented & addressable}
    return found
