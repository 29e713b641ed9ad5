"""Ratios on reading (SPEC section 4): exact until the last step, null with a reason where a denominator is not positive."""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from typing import Any

from service.domain.money import format_minor

Sums = Mapping[str, int]  # measure → what it adds up to: minor units or a count
_MILLION = 1_000_000


def half_even(above: int, below: int) -> int:
    """Divide by a positive integer, rounded half-even."""
    whole, rest = divmod(above, below)
    return whole + (2 * rest > below or (2 * rest == below and whole % 2 == 1))


class Figures:
    """Collects one row of figures and, for each that is null, the reason."""

    def __init__(self, currency: str) -> None:
        self.currency = currency
        self.reasons: dict[str, str] = {}

    def money(self, minor: int) -> str:
        """Write minor units of the ledger's currency."""
        return format_minor(minor, self.currency)

    def divide(
        self, name: str, above: Fraction | int | None, below: Fraction | int | None, what: str
    ) -> Fraction | None:
        """Divide exactly; None, with a reason under `name`, where `below` (called `what`) is unknown or not positive."""
        parts = self._parts(name, above, below, what)
        return None if parts is None else Fraction(*parts)

    def _parts(
        self, name: str, above: Fraction | int | None, below: Fraction | int | None, what: str
    ) -> tuple[int, int] | None:
        """Return the quotient as two integers, the second one positive: reducing them would cost more than all the rest."""
        if above is None or below is None:
            self.reasons[name] = f"{what} is not known"
            return None
        if below <= 0:
            self.reasons[name] = f"{what} is {'0' if below == 0 else 'negative'}"
            return None
        return above.numerator * below.denominator, above.denominator * below.numerator

    def ratio(self, name: str, above: Fraction | int | None, below: Fraction | int | None, what: str) -> float | None:
        """Divide and round to the 6 decimals of a published ratio."""
        parts = self._parts(name, above, below, what)
        return None if parts is None else half_even(parts[0] * _MILLION, parts[1]) / _MILLION

    def price(self, name: str, minor: Fraction | int | None, count: Fraction | int | None, what: str) -> str | None:
        """Divide money by a count, rounded half-even to minor units."""
        parts = self._parts(name, minor, count, what)
        return None if parts is None else self.money(half_even(*parts))

    def row(self, figures: dict[str, Any]) -> dict[str, Any]:
        """Return the figures with the reasons of those that are null."""
        return {**figures, "reasons": self.reasons}
