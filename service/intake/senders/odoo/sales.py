"""What quotations and orders of Odoo become: one record, a quotation until it is confirmed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from service.intake.senders.contract import Draft, Source, Waiting
from service.intake.senders.fields import difference, stated
from service.intake.senders.odoo.records import AMOUNT, Money, Version

LIVE = ("sale", "done")


def order(_: str, seen: Sequence[Version], source: Source) -> Iterator[Draft | Waiting]:
    """Give the events of an order, known by its name, since that is what invoices name."""
    last = seen[-1]
    name = last.text("name")
    if name is None:
        yield Waiting("no message has stated the order's name, by which its invoices know it")
        return
    live = [one for one in seen if one.text("state") in LIVE]
    yield from _quote(name, seen, live, source)
    known = [(one, value) for one in live if (value := one.money("amount_untaxed", source))]
    if live and not known:
        yield Waiting(AMOUNT)
        return
    if not known:
        return
    (first, value), placed = known[0], live[0]
    yield Draft("placed", "order.placed", placed.instant("date_order") or placed.at, stated(
        order_id=name, net_value=value, quote_id=name if last.number("opportunity_id") else None,
        opportunity_id=last.number("opportunity_id"), account_id=last.number("partner_id"), campaign_id=last.campaign(source),
        cogs=_cogs(first, value, source),
    ))  # fmt: skip
    for one, now in known[1:]:
        if now != value:
            data = stated(order_id=name, net_value=now, cogs=_cogs(one, now, source))
            yield Draft(f"amended/{one.at}", "order.amended", one.at, data)
            value = now
    # Whether cancelled or set back to a quotation: it is no order until it is confirmed again.
    if last.text("state") not in LIVE:
        ended = next(one for one in seen[seen.index(live[-1]) + 1 :] if one.text("state") not in LIVE)
        yield Draft("cancelled", "order.cancelled", ended.at, {"order_id": name})


def _quote(
    name: str, seen: Sequence[Version], live: Sequence[Version], source: Source
) -> Iterator[Draft | Waiting]:  # fmt: skip
    """A quotation of an opportunity is sent, then accepted by its confirmation, or cancelled before."""
    deal = seen[-1].number("opportunity_id")
    if deal is None:
        return
    steps = {
        "sent": next((one for one in seen if one.text("state") == "sent"), None),
        "accepted": live[0] if live else None,
        "rejected": next((one for one in seen if one.text("state") == "cancel"), None) if not live else None,
    }
    for step, one in steps.items():
        if one is not None:
            at = (one.instant("date_order") if step == "accepted" else None) or one.at
            data = stated(quote_id=name, opportunity_id=deal, value=one.money("amount_untaxed", source))
            yield Draft(f"quote-{step}", f"quote.{step}", at, data)


def _cogs(one: Version, value: Money, source: Source) -> Money | None:
    """Return the cost of goods, where the margin is known."""
    margin = one.money("margin", source)
    return difference(value, margin) if margin else None
