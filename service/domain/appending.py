"""Folding on: a fact that comes last in event order, into a journey that has been folded.

Nearly every fact comes last and touches few entities: its own, and those that count it among their own. `fold_on` takes it in
and says which those are. Whatever else there is – late facts, merges, links that arrive before what they point to – is left
to a new fold, so that only the usual needs a rule here.
"""

from __future__ import annotations

from collections.abc import Sequence

from service.domain import journey as folding
from service.domain.calendar import Zone
from service.domain.entities import Entity, Journey, Order
from service.domain.facts import Fact

Touched = Sequence[Entity]


def fold_on(journey: Journey, fact: Fact, zone: Zone) -> Touched | None:
    """Fold one more fact, which comes last in event order, into a journey.

    Returns the entities that may contribute something else than before, or None where only a new fold will do: the journey
    is of no use any more then.
    """
    on = _ON.get(fact[4])  # none where a merge renames what has been folded already
    return None if on is None or journey.dated else on(journey, fact, zone)


def _on_lead(journey: Journey, fact: Fact, zone: Zone) -> Touched | None:
    if not journey.only_leads:
        lead, owner = journey.lead_of(fact), fact.data.get("owner_id")
        states_nothing = fact.type in _HANDLED and lead is not None and owner in (None, lead.owner)
        return () if states_nothing else None
    lead = folding.take_lead(journey, fact)
    folding.place_lead(lead, journey, zone)
    return (lead,)


def _on_opportunity(journey: Journey, fact: Fact, zone: Zone) -> Touched | None:
    identity = fact.data["opportunity_id"]
    known = journey.opportunities.get(identity)
    if fact.type != "opportunity.opened":
        return (folding.take_opportunity(journey, fact),) if known is not None and known.opened else None
    if (
        known is not None
        or any(quote.opportunity_id == identity for quote in journey.quotes.values())
        or any(order.opportunity_id == identity for order in journey.orders.values())
    ):
        return None
    one = folding.take_opportunity(journey, fact)
    folding.place_opportunity(one, journey, zone)
    return (one, *one.leads)


def _on_quote(journey: Journey, fact: Fact, zone: Zone) -> Touched | None:
    identity, parent = fact.data["quote_id"], folding.opened(journey, fact.data["opportunity_id"])
    known = journey.quotes.get(identity)
    if parent is None or (known is not None and known.parent is not parent):
        return None
    if known is None and any(order.quote_id == identity for order in journey.orders.values()):
        return None
    one = folding.take_quote(journey, fact)
    if known is None:
        folding.place_quote(one, journey, zone)
    return (one, parent, *parent.leads, *parent.orders) if one.accepted else (one,)


def _on_order(journey: Journey, fact: Fact, zone: Zone) -> Touched | None:
    identity = fact.data["order_id"]
    known = journey.orders.get(identity)
    if fact.type != "order.placed":
        return _upwards(folding.take_order(journey, fact)) if known is not None and known.placed else None
    if known is not None or any(invoice.order_id == identity for invoice in journey.invoices.values()):
        return None
    one = folding.take_order(journey, fact)
    folding.place_order(one, journey, zone)
    return _upwards(one)


def _on_invoice(journey: Journey, fact: Fact, zone: Zone) -> Touched | None:
    identity = fact.data["invoice_id"]
    known = journey.invoices.get(identity)
    if fact.type != "invoice.posted":
        return (
            (folding.take_invoice(journey, fact), *_upwards(known.parent))
            if known is not None and known.posted
            else None
        )
    if known is not None or any(note.invoice_id == identity for note in journey.credit_notes.values()):
        return None
    one = folding.take_invoice(journey, fact)
    folding.place_invoice(one, journey, zone)
    return (one, *_upwards(one.parent))


def _on_credit_note(journey: Journey, fact: Fact, _: Zone) -> Touched | None:
    invoice = journey.invoices.get(fact.data["invoice_id"])
    if fact.data["credit_note_id"] in journey.credit_notes or invoice is None or not invoice.posted:
        return None
    folding.place_credit_note(folding.take_credit_note(journey, fact), journey)
    return (invoice, *_upwards(invoice.parent))


def _upwards(order: Order | None) -> Touched:
    """Return an order and what counts it among its own: its opportunity, and the leads that this lists."""
    if order is None:
        return ()
    return (order, order.parent, *order.parent.leads) if order.parent else (order,)


_HANDLED = ("lead.handed_over", "lead.accepted", "lead.rejected", "lead.followed_up")
_ON = folding.by_type({
    "lead": _on_lead, "opportunity": _on_opportunity, "quote": _on_quote, "order": _on_order, "invoice": _on_invoice,
    "credit_note": _on_credit_note,
})  # fmt: skip
