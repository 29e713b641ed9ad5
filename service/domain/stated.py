"""What money an event states, whether or not it is one that could be taken: whatever it says, this gives an answer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from service.domain.money import MINOR_DIGITS, Money, parse_amount

_MONEY = ("net_value", "net_amount", "amount", "value", "estimated_value")  # the first that an event states


def stated_money(data: Any) -> Money | None:
    """Return the amount that `data` states, if it can be read; any value at all may be given."""
    for name in _MONEY:
        stated = data.get(name) if isinstance(data, Mapping) else None
        if isinstance(stated, Mapping):
            return money_of_any(stated)
    return None


def money_of_any(stated: Mapping[Any, Any]) -> Money | None:
    """Return what may be an amount and its currency as money, if it is."""
    currency = stated.get("currency")
    if not isinstance(currency, str) or currency not in MINOR_DIGITS:
        return None
    try:
        return Money(parse_amount(str(stated.get("amount")), currency), currency)
    except ValueError:
        return None
