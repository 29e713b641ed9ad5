"""What campaigns and their activities give: the campaign, its budget, and the differences of its costs."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from service.domain.money import format_minor
from service.intake.senders.contract import Draft, Waiting
from service.intake.senders.dataverse.record import Record, State, changes, restated, uncreated
from service.intake.senders.fields import day, minor, stated


def campaign(it: Record) -> Iterator[Draft | Waiting]:
    """Give the campaign, its budget, and the costs that it states itself."""

    def described(state: State) -> dict[str, Any] | None:
        if it.text(state, "name") is None:
            return None
        return stated(
            campaign_id=identity, name=it.text(state, "name"), campaign_type=it.text(state, "type"),
            start_date=it.day(state, "start"), end_date=it.day(state, "end"),
            expected_revenue=it.money(state, "expected_revenue"),
        )  # fmt: skip

    identity = it.campaign(it.id)
    if identity is None:
        yield Waiting(f"the campaign's code ({it.mapping['columns']['campaign']['code']}) is not stated yet")
        return
    described_as = changes(it.history, described)
    if not described_as:
        yield Waiting("the campaign's name is not stated yet")
    elif it.since is None:
        yield from uncreated(it)
    else:
        yield from restated("registered", ("campaign.registered", "campaign.updated"), it.since, described_as)
    for at, amount in changes(it.history, lambda state: it.money(state, "budget")):
        yield Draft(f"budget/{at}", "campaign.budget_set", at, {"campaign_id": identity, "amount": amount})
    yield from _costs(it, lambda _: identity)


def activity(it: Record) -> Iterator[Draft | Waiting]:
    """Give the costs of a campaign activity."""
    if it.reference(it.last, "campaign", "campaign") is None:
        yield Waiting("the activity's campaign is not stated yet")
    if it.get(it.last, "cost") is None:
        yield Waiting("amount unknown: the activity's actual cost is not stated yet")
    yield from _costs(it, lambda state: it.reference(state, "campaign", "campaign"))


class _Entry(NamedTuple):
    """What is left of a booked cost."""

    id: str
    campaign: str
    currency: str
    left: int  # minor units


def _costs(it: Record, campaign_of: Callable[[State], str | None]) -> Iterator[Draft | Waiting]:
    """Book the differences of a cost that is stated as a whole; what it falls by is taken back from the latest entries."""
    booked: list[_Entry] = []
    for at, state in it.history:
        amount, campaign = it.money(state, "cost"), campaign_of(state)
        gone = state.get("@deleted") is not None and it.mapping["deleted"] == "cancel"
        if not gone and (amount is None or campaign is None):
            continue
        due, code = (0, "") if gone or amount is None else (minor(amount), amount["currency"])
        if due < 0:
            yield Waiting(f"the cost stated at {at} is less than 0, which cannot be booked")
            due = 0
        on = it.day(state, "cost_date") or day(at, "time", it.mapping["timezone"])
        stays = all((one.campaign, one.currency) == (campaign, code) for one in booked)
        excess = sum(one.left for one in booked) - (due if stays else 0)
        yield from _taken_back(booked, excess, at, stated(cost_date=on, reason="deleted" if gone else None))
        fresh = due - sum(one.left for one in booked)
        if fresh > 0 and campaign is not None:
            booked.append(_Entry(f"{it.id}/{at}", campaign, code, fresh))
            yield Draft(f"cost/{at}", "campaign.cost_booked", at, stated(
                cost_entry_id=booked[-1].id, campaign_id=campaign, cost_date=on, amount=_money(fresh, code),
                activity_id=it.id if it.table == "campaignactivity" else None,
            ))  # fmt: skip


def _taken_back(booked: list[_Entry], excess: int, at: str, more: dict[str, Any]) -> Iterator[Draft]:
    """Take `excess` minor units off `booked`, from its end."""
    while excess > 0:
        last = booked.pop()
        back = min(last.left, excess)
        excess -= back
        if last.left > back:
            booked.append(last._replace(left=last.left - back))
        data = {"cost_entry_id": last.id, "amount": _money(back, last.currency), **more}
        yield Draft(f"reversed/{at}/{last.id.rpartition('/')[2]}", "campaign.cost_reversed", at, data)


def _money(units: int, currency: str) -> dict[str, str]:
    return {"amount": format_minor(units, currency), "currency": currency}
