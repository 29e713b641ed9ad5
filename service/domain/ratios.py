"""Ratios on reading (SPEC section 4): exact until the last step, null with a reason where a denominator is not positive."""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from typing import Any

from service.domain.money import format_minor

Sums = Mapping[str, int]  # measure → what it adds up to: minor units or a count


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
        if above is None or below is None:
            self.reasons[name] = f"{what} is not known"
            return None
        if below <= 0:
            self.reasons[name] = f"{what} is {'0' if below == 0 else 'negative'}"
            return None
        return Fraction(above) / below

    def ratio(self, name: str, above: Fraction | int | None, below: Fraction | int | None, what: str) -> float | None:
        """Divide and round to the 6 decimals of a published ratio."""
        exact = self.divide(name, above, below, what)
        return None if exact is None else float(round(exact, 6))

    def price(self, name: str, minor: Fraction | int | None, count: Fraction | int | None, what: str) -> str | None:
        """Divide money by a count, rounded half-even to minor units."""
        exact = self.divide(name, minor, count, what)
        return None if exact is None else self.money(round(exact))

    def row(self, figures: dict[str, Any]) -> dict[str, Any]:
        """Return the figures with the reasons of those that are null."""
        return {**figures, "reasons": self.reasons}
