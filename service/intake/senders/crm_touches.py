"""Touches that a CRM tells by fields of a person, as the date of the last form or mailing, and contacts of a deal.

`touches` of the mapping has by the field with the time of a touch: the field that names its campaign, what it was and how it was
answered. Each time that the first one has had is a touch. What names no campaign that `campaigns` lists is none: most forms
and mailings belong to no campaign.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from service.domain.calendar import parse_instant
from service.intake.senders import fields as read
from service.intake.senders.contract import Draft, Waiting
from service.intake.senders.crm import CREATION, View, created

_TOGETHER = 60_000_000  # microseconds within which fields of one touch are told, whichever comes first


def touches(identity: str, seen: Sequence[View], rules: Mapping[str, Any]) -> list[Draft | Waiting]:
    """Return a touch for each time that a field of a lead has had."""
    out: list[Draft | Waiting] = []
    for name, rule in rules["touches"].items():
        told: dict[str, View] = {}  # by the touch's time, what is told of it first
        named: dict[str, str | None] = {}
        for view in seen:
            at, campaign = view.values["touches"][name]
            if at is None:
                continue
            first = told.setdefault(at, view)
            if _micros(view) - _micros(first) <= _TOGETHER:
                named[at] = campaign
        for at, campaign in named.items():
            if campaign is not None:
                data = read.stated(
                    touchpoint_id=f"{identity}/{name}/{at}", campaign_id=campaign, activity_type=rule["activity"],
                    lead_id=identity, contact_id=seen[-1].values["contact"], interaction=rule["interaction"],
                )  # fmt: skip
                out.append(Draft(f"touched/{name}/{at}", "touchpoint.recorded", at, data))
    return out


def _micros(view: View) -> int:
    return parse_instant(view.at).micros


def contact_role(_: str, seen: Sequence[View], __: Mapping[str, Any]) -> list[Draft | Waiting]:
    """Return whom a deal was linked with, and from whom it was unlinked where the role went to another contact."""
    last, at, out = seen[-1].values, created(seen), list[Draft | Waiting]()
    if last["opportunity"] is None or last["contact"] is None:
        return [Waiting("no message has stated which contact it is of which opportunity")]
    if at is None:
        return [Waiting(CREATION)]
    before = None
    for view in seen:
        contact = view.values["contact"]
        if contact in (None, before):
            continue
        about = {"opportunity_id": last["opportunity"], "contact_id": contact}
        if before is None:
            out.append(Draft("linked", "opportunity.contact_linked", at, read.stated(**about, role=last["role"])))
        else:
            gone = {**about, "contact_id": before}
            out.append(Draft(f"unlinked/{view.at}", "opportunity.contact_unlinked", view.at, gone))
            data = read.stated(**about, role=last["role"])
            out.append(Draft(f"linked/{view.at}", "opportunity.contact_linked", view.at, data))
        before = contact
    return out
