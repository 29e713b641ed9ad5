"""Campaigns of a CRM and who belongs to them, from how their records stood at each instant."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

from service.intake.senders import fields as read
from service.intake.senders.contract import Draft, Waiting
from service.intake.senders.crm import CREATION, View, created, first, local_day

_ABOUT = {
    "name": "name", "campaign_type": "type", "channel": "channel", "parent_id": "parent", "start_date": "start",
    "end_date": "end", "expected_revenue": "expected",
}  # fmt: skip


def campaign(identity: str, seen: Sequence[View], rules: Mapping[str, Any]) -> list[Draft | Waiting]:
    """Return what a campaign says of itself, its budget, and what it cost."""
    identity = rules["campaigns"].get(identity, identity)
    at, name, out = created(seen), first(seen, "name"), list[Draft | Waiting]()
    about = [(view, read.stated(**{ours: view.values[one] for ours, one in _ABOUT.items()})) for view in seen]
    if at and name:
        data = {"campaign_id": identity, **about[0][1], "name": name}
        out.append(Draft("registered", "campaign.registered", at, data))
    else:
        out.append(Waiting(CREATION if name else "no message has stated the campaign's name"))
    for (_, old), (view, new) in pairwise(about):
        if new and old != new:
            out.append(Draft(f"updated/{view.at}", "campaign.updated", view.at, {"campaign_id": identity, **new}))
    budget = None
    for view in seen:
        if view.values["budget"] not in (None, budget):
            budget = view.values["budget"]
            data = {"campaign_id": identity, "amount": budget}
            out.append(Draft(f"budget/{view.at}", "campaign.budget_set", view.at, data))
    return out + _costs(identity, seen, rules)


def _costs(identity: str, seen: Sequence[View], rules: Mapping[str, Any]) -> list[Draft | Waiting]:
    """Book what an absolute cost grew by, on the day of the change; take back from the latest what it shrank by."""
    out: list[Draft | Waiting] = []
    booked: list[tuple[str, int]] = []  # entries and what is left of them, in minor units
    code = None
    for view in seen:
        cost = view.values["cost"]
        if cost is None:
            continue
        day, total = local_day(view.at, rules), read.minor(cost)
        keep = total if cost["currency"] == code else 0
        while booked and (excess := sum(left for _, left in booked) - max(keep, 0)) > 0:
            entry, left = booked.pop()
            back = min(left, excess)
            data = {"cost_entry_id": entry, "amount": read.minor_money(back, code, "cost"), "cost_date": day}
            number = entry.removeprefix(f"{identity}/")
            out.append(Draft(f"reversed/{view.at}/{number}", "campaign.cost_reversed", view.at, data))
            booked += [(entry, left - back)] if back < left else []
        code = cost["currency"]
        if (more := total - sum(left for _, left in booked)) > 0:
            entry = f"{identity}/{view.at}"
            amount = read.minor_money(more, code, "cost")
            data = {"cost_entry_id": entry, "campaign_id": identity, "amount": amount, "cost_date": day}
            out.append(Draft(f"cost/{view.at}", "campaign.cost_booked", view.at, data))
            booked.append((entry, more))
    return out


def member(identity: str, seen: Sequence[View], _: Mapping[str, Any]) -> list[Draft | Waiting]:
    """A lead's membership says which campaign it belongs to; a response is a touch."""
    last, at, out = seen[-1].values, created(seen), list[Draft | Waiting]()
    if last["campaign"] is None or not (last["lead"] or last["contact"]):
        return [Waiting("no message has stated whose membership it is, and in which campaign")]
    if last["lead"] and at:
        data = {"lead_id": last["lead"], "campaign_id": last["campaign"], "reason": "member of the campaign"}
        out.append(Draft("member", "lead.campaign_reassigned", at, data))
    elif last["lead"]:
        out.append(Waiting(CREATION))
    if responded := next((view for view in seen if view.values["responded"]), None):
        data = read.stated(
            touchpoint_id=identity, campaign_id=last["campaign"], activity_type=last["activity"] or "campaign_member",
            lead_id=last["lead"], contact_id=last["contact"], interaction="response",
        )  # fmt: skip
        out.append(Draft("responded", "touchpoint.recorded", responded.at, data))
    return out
