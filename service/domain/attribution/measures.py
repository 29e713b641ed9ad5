"""The measures that are dealt, and how they are named: by their model, as `linear:booked_revenue`."""

from __future__ import annotations

from collections.abc import Iterable

# Dealt one by one; what else there is of a deal's money is made of these.
AMOUNTS = ("booked_revenue", "invoiced_revenue_gross", "credited", "invoiced_with_cogs", "cogs")
DEALS = "deals"  # in millionths
_MARK = ":"


def dealt(model: str, measure: str) -> str:
    """Name a measure as dealt by a model."""
    return f"{model}{_MARK}{measure}"


def model_of(measure: str) -> str | None:
    """Return the model that a measure is dealt by; None if it is not dealt."""
    model, mark, _ = measure.rpartition(_MARK)
    return model if mark else None


def plain(measure: str) -> str:
    """Return the name of a measure, whatever it is dealt by."""
    return measure.rpartition(_MARK)[2]


def by_model(measures: Iterable[str]) -> dict[str, set[str]]:
    """Return dealt measures, by the model."""
    found: dict[str, set[str]] = {}
    for measure in measures:
        if (model := model_of(measure)) is not None:
            found.setdefault(model, set()).add(plain(measure))
    return found
