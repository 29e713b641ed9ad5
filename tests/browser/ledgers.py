"""The ledgers that pages are looked at with: a portfolio, nothing at all, and what nobody wishes for."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from typing import Any

from service.demo.portfolio import portfolio

LEADS = 400
LAST = date(2026, 6, 30)
LONG = ("Frühjahrsaktion für Maschinenbauer in Süddeutschland mit Messebesuch und Nachfassen ohne Umlaute " * 3)[:200]
UNBROKEN = "Kampagnenbudgetverantwortlichkeitsübertragungsgesetz" * 3
FROM_THE_RIGHT = "حملة الربيع للمعارض الصناعية ٢٠٢٦"
HOSTILE = "<img src=x onerror=alert(1)> & \"quoted\" 'one'"


def usual() -> Iterator[dict[str, Any]]:
    """Yield two years of marketing."""
    yield from portfolio(leads=LEADS, end=LAST)


def ugly(campaigns: int = 1_000) -> Iterator[dict[str, Any]]:
    """Yield campaigns with names that do not fit, and figures that are large, zero and negative."""
    names = [
        LONG,
        UNBROKEN,
        FROM_THE_RIGHT,
        HOSTILE,
        "\N{RIGHT-TO-LEFT OVERRIDE}backwards\N{POP DIRECTIONAL FORMATTING}",
        "…",
        "a" * 200,
    ]
    for number in range(campaigns):
        campaign = f"C-{number:04d}" if number % 7 else f"{'x' * 190}-{number:04d}"
        name = names[number] if number < len(names) else f"Campaign {number}"
        yield _event(
            number,
            "registered",
            "campaign.registered",
            campaign_id=campaign,
            name=name,
            channel="a channel with a long name",
        )
        yield _event(
            number, "cost", "campaign.cost_booked", cost_entry_id=f"K-{number}", campaign_id=campaign, cost_date="2026-03-05",
            amount=_eur("999999999999.99" if number == 1 else f"{number + 1}.01"),
        )  # fmt: skip
        if number % 5 == 0:
            yield _event(
                number,
                "invoice",
                "invoice.posted",
                invoice_id=f"I-{number}",
                order_id=f"O-{number}",
                net_amount=_eur("100.00"),
                posting_date="2026-03-09",
                cogs=_eur("40.00"),
            )
            yield _event(
                number, "order", "order.placed", order_id=f"O-{number}", campaign_id=campaign, net_value=_eur("100.00")
            )
            yield _event(
                number,
                "credit",
                "invoice.credited",
                credit_note_id=f"N-{number}",
                invoice_id=f"I-{number}",
                net_amount=_eur("250.00"),
                posting_date="2026-03-20",
            )
    yield _event(
        0,
        "rateless",
        "campaign.cost_booked",
        cost_entry_id="K-usd",
        campaign_id="C-0001",
        cost_date="2026-03-05",
        amount={"amount": "4120.00", "currency": "USD"},
    )
    yield _event(
        0,
        "waiting",
        "invoice.posted",
        invoice_id="I-alone",
        order_id="O-nowhere",
        net_amount=_eur("12.00"),
        posting_date="2026-03-09",
    )


def _event(number: int, what: str, kind: str, **data: Any) -> dict[str, Any]:
    time = f"2026-03-{number % 28 + 1:02d}T10:00:00Z"
    return {"specversion": "1.0", "id": f"{what}-{number}", "source": "/ugly", "type": kind, "time": time, "data": data}


def _eur(amount: str) -> dict[str, str]:
    return {"amount": amount, "currency": "EUR"}
