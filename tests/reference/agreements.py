"""The naive reference of service level agreements (REPORTS section 3, sla): minute by minute, lead by lead."""

from __future__ import annotations

from datetime import datetime, timedelta
from fractions import Fraction
from math import floor
from typing import TYPE_CHECKING, Any

from tests.reference.facts import EPOCH, Event, Facts, Lead, last_stated
from tests.reference.places import Places

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from zoneinfo import ZoneInfo

FIRST = ("lead.captured", "lead.qualified", "opportunity.opened")
DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


def moment(at: Fraction) -> datetime:
    return EPOCH + timedelta(microseconds=floor(at * 10**6))


def counted(start: datetime, end: datetime, zone: ZoneInfo, definition: Event) -> timedelta:
    """How long of [start, end) counts, cut at every quarter of an hour, none of which an edge of a window is within."""
    hours, off = last_stated([definition], "hours"), last_stated([definition], "holidays") or []
    if not hours and not off:
        return max(end - start, timedelta())
    found, here = timedelta(), start
    while here < end:
        following = min(end, EPOCH + ((here - EPOCH) // timedelta(minutes=15) + 1) * timedelta(minutes=15))
        local = here.astimezone(zone)
        clock, day = f"{local:%H:%M}", DAYS[local.weekday()]
        windows = hours.get(day, []) if hours else [["00:00", "24:00"]]
        if local.date().isoformat() not in off and any(since <= clock < until for since, until in windows):
            found += following - here
        here = following
    return found


def of_leads(facts: Facts, lead: Lead) -> list[Event]:
    """Everything that starts or stops a clock of a lead, in event order."""
    own = [e for e in facts.lead_events if facts.lead_name(e.data["lead_id"]) == lead.id]
    listing = [o.id for o in facts.opportunities.values() if lead.id in o.lead_ids]
    opened = [e for e in facts.family("opportunity.opened") if e.data["opportunity_id"] in listing]
    return sorted(own + opened, key=lambda e: e.key)


def has(places: Places, lead: Lead, where: Mapping[str, str]) -> bool:
    place = places.place_lead(lead)
    names = {"campaign_id": "campaign"}
    return all((getattr(place, names.get(name, name)) or "") == value for name, value in where.items())


def clocks(marks: Sequence[Event], definitions: Sequence[Event]) -> Iterator[tuple[Event, Event, Event | None]]:
    """Yield (definition, start, stop)."""
    running: tuple[Event, Event] | None = None
    seen: set[str] = set()
    for mark in marks:
        if running is not None and mark.type == running[0].data["to_event"]:
            yield *running, mark
            running = None
        first = mark.type not in seen
        seen.add(mark.type)
        before = [one for one in definitions if one.key <= mark.key]
        starts = bool(before) and before[-1].data["from_event"] == mark.type and (first or mark.type not in FIRST)
        if starts and running is None:
            running = before[-1], mark
    if running is not None:
        yield *running, None


def sla(raw: Sequence[Mapping[str, Any]], zone: ZoneInfo, now: datetime) -> list[dict[str, Any]]:
    """Every clock: its agreement, owner, campaign, channel and day, what it is counted as, and its hours if it stopped."""
    facts = Facts(raw, zone)
    places = Places(facts)
    found = []
    for lead in facts.leads.values():
        marks, place = of_leads(facts, lead), places.place_lead(lead)
        ends = [e for e in marks if e.type in ("lead.disqualified", "lead.reopened")]
        ended = bool(ends) and ends[-1].type == "lead.disqualified"
        ended = ended or any(order.cancelled is None for order in places.orders_of_branch(lead))
        for sla_id in {e.data["sla_id"] for e in facts.family("sla.defined")}:
            definitions = [e for e in facts.family("sla.defined") if e.data["sla_id"] == sla_id]
            for definition, start, stop in clocks(marks, definitions):
                if not has(places, lead, last_stated([definition], "where") or {}):
                    continue
                if stop is None and ended:
                    continue
                took = counted(moment(start.at), moment(stop.at) if stop else now, zone, definition)
                within = Fraction(str(definition.data["within_hours"])) * 3600 * 10**6
                late = took // timedelta(microseconds=1) > within
                kind = ("late" if late else "met") if stop else ("overdue" if late else "running")
                found.append({
                    "sla": sla_id, "owner": lead.owner, "campaign_id": place.campaign, "channel": place.channel,
                    "day": start.day(zone).isoformat(), "kind": kind, "took": took, "lead": lead.id, "stopped": stop is not None,
                })  # fmt: skip
    return found
