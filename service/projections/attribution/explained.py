"""One deal, explained: its touches, which of them are eligible or why not, what they weigh, and what its money is dealt to."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from fractions import Fraction
from typing import Any

from service.domain.attribution.dealing import only
from service.domain.attribution.models import Model
from service.domain.attribution.touches import Touch, eligible
from service.domain.attribution.weights import weigh
from service.domain.money import format_minor
from service.domain.reports.told import EVERYWHERE, PARTS, part_of
from service.domain.units import RATIO, written
from service.projections.attribution import lines
from service.projections.attribution.deals import Deals
from service.projections.attribution.hands import Weighed, cells


async def deal(connection: Any, key: tuple[int, int], position: int, order_id: str) -> Deals:
    """Return an order's deal as it was known at a position, without reading others."""
    deals, read = Deals(), set[str | None]()

    async def read_parts(parts: Iterable[str | None]) -> None:
        wanted = {*parts} - read
        read.update(wanted)
        for line in await lines.standing(connection, key, position, parts=wanted) if wanted else ():
            deals.take(line)
        deals.refresh()

    await read_parts((EVERYWHERE, part_of("order", order_id)))
    name = f"order:{order_id}"
    said = deals.said["order"].get(name)
    if said is None:
        return deals
    if said["opportunity"] is not None:
        await read_parts([part_of("opportunity", said["opportunity"])])
    elif said["names"]:  # its journey may lead anywhere
        await read_parts(PARTS)
    opportunity = deals.said["opportunity"].get(f"opportunity:{said['opportunity']}") or {"leads": ()}
    await read_parts(part_of("lead", lead) for lead in opportunity["leads"])
    await read_parts(part_of(*party) for party in deals.parties(name))
    invoices = sorted(deals.invoices.get(name, ()))
    await read_parts(part_of("invoice", invoice.partition(":")[2]) for invoice in invoices)
    entities = [name, *invoices, *(note for invoice in invoices for note in deals.notes.get(invoice, ()))]
    for line in await lines.amounts_of(connection, key, position, entities):
        deals.take(line)
    deals.refresh()
    return deals


def told(deals: Deals, order_id: str, currency: str) -> dict[str, Any] | None:
    """Return the explanation of an order's deal; None if no such order is placed."""
    name = f"order:{order_id}"
    if name not in deals.said["order"]:
        return None
    models, touches = deals.models(), deals.all_touches(name)
    weights: dict[str, dict[str, Fraction]] = {touch.id: {} for touch in touches}
    why_not: dict[str, dict[str, str]] = {touch.id: {} for touch in touches}
    for model_id, model in models.items():
        if model.touched:
            found, others = eligible(model, deals.moments(name), touches)
            shares = weigh(model, deals.moments(name), found).shares() if found else []
            for touch, weight in zip(found, shares, strict=True):
                weights[touch.id][model_id] = weight
            for identity, reason in others.items():
                why_not[identity][model_id] = reason
    return {
        "order_id": order_id,
        "official": deals.official(),
        "currency": currency,
        "touches": [_touch(touch, weights[touch.id], why_not[touch.id], currency) for touch in touches],
        "amounts": {model_id: _amounts(deals, name, model, currency) for model_id, model in models.items()},
    }


def _touch(touch: Touch, weights: Mapping[str, Fraction], why_not: Mapping[str, str], currency: str) -> dict[str, Any]:
    return {
        "touchpoint_id": touch.id, "campaign_id": touch.campaign, "time": touch.at.written,
        "activity_type": touch.activity, "interaction": touch.interaction,
        "weights": {model: written(weight, RATIO, currency) for model, weight in weights.items()}, "why_not": why_not,
    }  # fmt: skip


def _amounts(deals: Deals, name: str, model: Model, currency: str) -> list[dict[str, Any]]:
    """Return what each campaign has of an order and its invoices, unattributed last."""
    weighed = Weighed(deals, name)
    hand = weighed.hand(model) if model.touched else only(deals.said["order"][name]["where"][0])
    found: dict[str | None, dict[str, int]] = {campaign: {} for campaign in hand.campaigns}
    for cell in cells(deals, name, weighed, model):
        of = found.setdefault(cell.campaign, {})
        of[cell.measure] = of.get(cell.measure, 0) + cell.amount
    return [
        {
            "campaign_id": campaign,
            "booked_revenue": format_minor(of.get("booked_revenue", 0), currency),
            "invoiced_revenue": format_minor(of.get("invoiced_revenue_gross", 0) - of.get("credited", 0), currency),
        }
        for campaign, of in sorted(found.items(), key=lambda one: (one[0] is None, one[0] or ""))
    ]
