"""What orders and refunds of Shopify are worth without tax, in the currency that the mapping chose."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any, NamedTuple

from service.intake.senders.contract import Source
from service.intake.senders.fields import currency, dig, money, number

Money = dict[str, str]
_UNPAID = ("failure", "error")


class Total(NamedTuple):
    """An amount with its tax, and without."""

    gross: Decimal
    net: Decimal
    code: str


def order_total(order: Mapping[str, Any], source: Source) -> Total | None:
    """Return the total of an order; None if it, its tax or its currency is not stated."""
    code = _code(order, source)
    gross, tax = _amount(order, "total_price", source), _amount(order, "total_tax", source)
    return None if code is None or gross is None or tax is None else Total(gross, gross - tax, code)


def removed(refund: Mapping[str, Any], order: Mapping[str, Any], source: Source) -> Decimal:
    """Return the net amount that was taken off an order without paying anything back: items removed by an edit."""
    if _paid_back(refund):
        return Decimal(0)
    lines = _lines(refund, order, source)
    kept = sum((_amount(one, "amount", source) or Decimal(0) for one in refund["order_adjustments"]), Decimal(0))
    # What was taken back and neither paid back nor taken off is in an adjustment that makes up for the lines.
    return lines.net if lines.gross - kept > 0 else Decimal(0)


def credited(refund: Mapping[str, Any], order: Mapping[str, Any], source: Source) -> Money | None:
    """Return the net amount that a refund paid back; None if it is not known. What has no lines has the order's share of tax."""
    total, lines = order_total(order, source), _lines(refund, order, source)
    if total is None:
        return None
    paid = [_converted(one, total, order, source) for one in _paid_back(refund)]
    if None in paid:
        return None
    whole = lines if lines.gross > 0 else total
    gross = sum((one for one in paid if one is not None), Decimal(0))
    return money(gross * whole.net / whole.gross if whole.gross else gross, total.code, "refund")


def pays_back(refund: Mapping[str, Any]) -> bool:
    """Whether money went back to the customer."""
    return bool(_paid_back(refund))


def _paid_back(refund: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    return [one for one in refund["transactions"] if one.get("kind") == "refund" and one.get("status") not in _UNPAID]


def _lines(refund: Mapping[str, Any], order: Mapping[str, Any], source: Source) -> Total:
    """Return what was taken back: items and shipping."""
    included = order.get("taxes_included") is True
    items = [
        *((_amount(one, "subtotal", source), _amount(one, "total_tax", source)) for one in refund["refund_line_items"]),
        *(
            (_amount(one, "subtotal_amount", source), _amount(one, "tax_amount", source))
            for one in refund["refund_shipping_lines"]
        ),
    ]
    nets = [(subtotal or Decimal(0)) - ((tax or Decimal(0)) if included else 0) for subtotal, tax in items]
    taxes = [tax or Decimal(0) for _, tax in items]
    if not refund["refund_shipping_lines"]:  # older messages have the shipping among the adjustments, below zero
        for one in refund["order_adjustments"]:
            if one.get("kind") == "shipping_refund":
                nets.append(-(_amount(one, "amount", source) or Decimal(0)))
                taxes.append(-(_amount(one, "tax_amount", source) or Decimal(0)))
    net = _sum(nets)
    return Total(net + _sum(taxes), net, "")


def _sum(several: Iterable[Decimal]) -> Decimal:
    return sum(several, Decimal(0))


def _amount(thing: Mapping[str, Any], name: str, source: Source) -> Decimal | None:
    """Return an amount in the chosen currency; what has no `…_set` is in the shop's."""
    chosen = source.mapping["money"]
    found = dig(thing, f"{name}_set.{chosen}_money.amount")
    return number(thing.get(name) if found is None and chosen == "shop" else found, name)


def _code(order: Mapping[str, Any], source: Source) -> str | None:
    chosen = source.mapping["money"]
    found = dig(order, f"total_price_set.{chosen}_money.currency_code") or (
        order.get("currency") if chosen == "shop" else None
    )
    return currency(found, "currency") if found else None


def _converted(
    transaction: Mapping[str, Any], total: Total, order: Mapping[str, Any], source: Source
) -> Decimal | None:
    """Return what was paid back in the order's chosen currency: at the rate at which the order itself was converted."""
    amount, code = number(transaction.get("amount"), "amount"), transaction.get("currency") or total.code
    if amount is None or code == total.code:
        return amount
    other = "presentment" if source.mapping["money"] == "shop" else "shop"
    whole = number(dig(order, f"total_price_set.{other}_money.amount"), "total_price_set")
    same = dig(order, f"total_price_set.{other}_money.currency_code") == code
    return amount * total.gross / whole if same and whole else None
