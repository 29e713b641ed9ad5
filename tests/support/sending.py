"""Events as a sender writes them."""

from __future__ import annotations

from itertools import count
from typing import Any

_numbers = count(1)


def event(kind: str, time: str = "2026-03-01T12:00:00Z", /, **data: Any) -> dict[str, Any]:
    """Return a CloudEvent under an id of its own; a day alone means its noon UTC."""
    moment = time if "T" in time else f"{time}T12:00:00Z"
    envelope = {"specversion": "1.0", "id": f"e{next(_numbers)}", "source": "/test", "type": kind, "time": moment}
    return {**envelope, "data": data}


def money(amount: str, currency: str = "EUR") -> dict[str, str]:
    """Return an amount as `data` has it."""
    return {"amount": amount, "currency": currency}


def cost(key: str, campaign: str, amount: str, day: str = "2026-03-01", currency: str = "EUR") -> dict[str, Any]:
    """Return a booked cost."""
    parts = {"cost_entry_id": key, "campaign_id": campaign, "amount": money(amount, currency), "cost_date": day}
    return event("campaign.cost_booked", day, **parts)


def lead(key: str, campaign: str | None = None, day: str = "2026-03-01", **more: Any) -> dict[str, Any]:
    """Return a captured lead."""
    return event("lead.captured", day, lead_id=key, **({"campaign_id": campaign} if campaign else {}), **more)


def order(key: str, amount: str, day: str = "2026-03-01", currency: str = "EUR", **more: Any) -> dict[str, Any]:
    """Return a placed order."""
    return event("order.placed", day, order_id=key, net_value=money(amount, currency), **more)


def invoice(key: str, amount: str, day: str = "2026-03-01", currency: str = "EUR", **more: Any) -> dict[str, Any]:
    """Return a posted invoice."""
    return event(
        "invoice.posted", day, invoice_id=key, net_amount=money(amount, currency), posting_date=day, **more
    )  # fmt: skip


def credit(key: str, of: str, amount: str, day: str = "2026-03-09") -> dict[str, Any]:
    """Return a credit note."""
    parts = {"credit_note_id": key, "invoice_id": of, "net_amount": money(amount), "posting_date": day}
    return event("invoice.credited", day, **parts)
