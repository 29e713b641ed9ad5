"""What a posting says beside its amount is read back as what was written, whatever its text looks like."""

from __future__ import annotations

from datetime import date

import pytest

from service.domain import details
from service.domain.details import FLAG, PENDING_LINKS, UNCONVERTED, Converted, Detail, Reason, Target, Unconverted
from service.domain.lineage import Line, why

DAY = date(2026, 3, 9)
PLACED = ("order.placed", {"order_id": "O", "net_value": {"amount": "100.00", "currency": "USD"}})


@pytest.mark.parametrize(
    ("measure", "said"),
    [
        ("booked_revenue", Converted("USD", "-100.00", "0.92", "2026-03-09")),
        (UNCONVERTED, Unconverted("booked_revenue", "USD", "100.00", DAY)),
        (FLAG, Reason("four words, no more")),
        (PENDING_LINKS, Target("order", "an id: with blanks")),
        (PENDING_LINKS, Target("order", "a b c d")),
    ],
)
def test_a_detail_is_read_back_by_the_measure_of_its_posting(measure: str, said: Detail) -> None:
    assert details.read(measure, str(said)) == said


def test_a_posting_without_detail_says_nothing() -> None:
    assert details.read("booked_revenue", None) is None
    assert details.converted("leads", None) is None


def unconverted(amount: int) -> Line:
    detail = str(Unconverted("booked_revenue", "USD", "100.00", DAY))
    return Line(UNCONVERTED, "order:O", {}, DAY, DAY, amount, None, detail)


def test_an_amount_without_a_rate_tells_what_it_waits_for() -> None:
    line = unconverted(1)
    assert why(*PLACED, line, [line]) == (
        "placed: booked_revenue of 100.00 USD waits for a rate of 2026-03-09 or before"
    )
    rate = ("fx.rate_published", {"base": "USD", "quote": "EUR", "rate": "0.92", "rate_date": "2026-03-01"})
    assert why(*rate, unconverted(-1), [unconverted(-1)]) == (
        "rate published: booked_revenue of 100.00 USD waits for no rate any more"
    )
