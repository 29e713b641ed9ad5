"""Components of many facts, each of one shape: what a catch-all lead, a frame contract or a repeated correction gives."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from typing import Any

from tests.support.sending import event, money

Events = Iterator[dict[str, Any]]
_BEGIN = datetime.fromisoformat("2024-01-01T00:00:00+00:00")


def _at(number: int) -> str:
    return (_BEGIN + timedelta(minutes=number)).isoformat()


def invoices(count: int) -> Events:
    """One order with many invoices."""
    yield event("order.placed", _at(0), order_id="O", net_value=money("5.00"), campaign_id="c")
    for number in range(1, count):
        posted = {"invoice_id": f"I{number}", "order_id": "O", "posting_date": "2024-03-01"}
        yield event("invoice.posted", _at(number), net_amount=money("1.00"), **posted)


def opportunities(count: int) -> Events:
    """One lead with many opportunities, each with an order of one account."""
    yield event("lead.captured", _at(0), lead_id="L", campaign_id="c")
    for number in range(1, count // 2):
        yield event("opportunity.opened", _at(2 * number), opportunity_id=f"P{number}", lead_ids=["L"])
        placed = {"order_id": f"O{number}", "opportunity_id": f"P{number}", "account_id": "A"}
        yield event("order.placed", _at(2 * number + 1), net_value=money("1.00"), **placed)


def amendments(count: int) -> Events:
    """One order that is amended many times, in a currency of its own."""
    yield event("fx.rate_published", _at(0), base="USD", quote="EUR", rate="0.9", rate_date="2023-01-01")
    yield event("order.placed", _at(1), order_id="O", net_value=money("5.00", "USD"), campaign_id="c")
    for number in range(2, count):
        yield event("order.amended", _at(number), order_id="O", net_value=money(f"{number % 7}.00", "USD"))


def credit_notes(count: int) -> Events:
    """One invoice with many credit notes."""
    yield event("invoice.posted", _at(0), invoice_id="I", net_amount=money("900000.00"), posting_date="2024-01-01")
    for number in range(1, count):
        credited = {"credit_note_id": f"N{number}", "invoice_id": "I", "posting_date": "2024-03-01"}
        yield event("invoice.credited", _at(number), net_amount=money("1.00"), **credited)


def payments(count: int) -> Events:
    """One invoice that is paid bit by bit, and credited in between."""
    yield event("invoice.posted", _at(0), invoice_id="I", net_amount=money("900000.00"), posting_date="2024-01-01")
    for number in range(1, count):
        if number % 3:
            yield event("payment.received", _at(number), payment_id=f"P{number}", invoice_id="I", amount=money("1.00"))
        else:
            credited = {"credit_note_id": f"N{number}", "invoice_id": "I", "posting_date": "2024-03-01"}
            yield event("invoice.credited", _at(number), net_amount=money("1.00"), **credited)


def reversals(count: int) -> Events:
    """One cost entry that is reversed bit by bit."""
    booked = {"cost_entry_id": "C", "campaign_id": "c", "cost_date": "2024-01-01"}
    yield event("campaign.cost_booked", _at(0), amount=money("900000.00"), **booked)
    for number in range(1, count):
        yield event("campaign.cost_reversed", _at(number), cost_entry_id="C", amount=money("1.00"))


def orders_of_an_account(count: int) -> Events:
    """Many journeys whose orders are of one account."""
    for number in range(count):
        yield event("order.placed", _at(number), order_id=f"O{number}", net_value=money("1.00"), account_id="A")


def merged_leads(count: int) -> Events:
    """Many leads that were merged into one."""
    for number in range(count // 2):
        yield event("lead.captured", _at(2 * number), lead_id=f"M{number}", campaign_id="c")
        yield event("lead.merged", _at(2 * number + 1), survivor_id="S", merged_id=f"M{number}")


def corrected_invoices(count: int) -> Events:
    """One order with many invoices, each sent, voided, and sent again."""
    yield event("order.placed", _at(0), order_id="O", net_value=money("5.00"), campaign_id="c")
    for number in range(1, count // 3):
        posted = {"invoice_id": f"I{number}", "order_id": "O", "posting_date": "2024-03-01"}
        wrong = event("invoice.posted", _at(3 * number), net_amount=money("9.00"), **posted)
        yield wrong
        yield event("event.voided", _at(3 * number + 1), source=wrong["source"], id=wrong["id"])
        yield event("invoice.posted", _at(3 * number + 2), net_amount=money("1.00"), **posted)


def budgets(count: int) -> Events:
    """One campaign with many budgets and descriptions."""
    for number in range(count // 2):
        budget = {"campaign_id": "c", "period": f"p{number}", "amount": money("1.00")}
        yield event("campaign.budget_set", _at(2 * number), **budget)
        yield event("campaign.updated", _at(2 * number + 1), campaign_id="c", name=f"n{number}")


def followed_up(count: int) -> Events:
    """One lead that is followed up by one after the other."""
    for number in range(count):
        yield event("lead.followed_up", _at(number), lead_id="L", owner_id=f"rep-{number % 7}")


def late_leads(count: int) -> Events:
    """Many leads that opportunities come to know only later, one by one."""
    yield event("lead.captured", _at(0), lead_id="L", campaign_id="c")
    for number in range(1, count // 2):
        yield event("opportunity.opened", _at(2 * number), opportunity_id=f"P{number}")
        yield event("opportunity.opened", _at(2 * number + 1), opportunity_id=f"P{number}", lead_ids=["L"])


SHAPES: dict[str, Callable[[int], Events]] = {
    shape.__name__: shape
    for shape in (
        invoices, opportunities, amendments, credit_notes, payments, reversals, orders_of_an_account, merged_leads,
        corrected_invoices, budgets, followed_up, late_leads,
    )
}  # fmt: skip
