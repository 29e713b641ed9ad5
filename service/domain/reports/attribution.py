"""Attribution (REPORTS section 5): what each campaign brought in by one model and by another, side by side."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace

from service.domain.attribution.measures import AMOUNTS, DEALS, dealt, model_of, plain
from service.domain.attribution.models import BUILT_IN
from service.domain.cubes import Cube
from service.domain.figures import Figure, Quotient, Sums, Total, Unless, total
from service.domain.report import Report
from service.domain.reports import roi
from service.domain.units import NUMBER

# Dealt on reading: the cube says by what, and nothing is posted to it.
ATTRIBUTION = Cube("attribution", by=("campaign", "channel", "owner", "team", "region"), cohort=True)
ATTRIBUTED = ("roi", "revenue", "profitability")  # the reports whose money may be dealt by a model
MODELS = "models"
_OF_MODELS: Mapping[str, Figure] = {
    **{name: roi.REPORT.figures[name] for name in ("booked_revenue", "invoiced_revenue", "gross_margin")},
    DEALS: total(DEALS, NUMBER, "live orders, each 1 in all, on their placing day"),
    **{name: roi.REPORT.figures[name] for name in ("roi.booked", "roi.invoiced", "roi.margin", "roas")},
}


def _as_dealt(figure: Figure, model: str, named: Callable[[str], str]) -> Figure:
    """Return a figure of what a model deals; `named` are the names that figures have then."""
    if isinstance(figure, Total):
        once = {version: _of_plain(unless, model) for version, unless in figure.once.items()}
        return replace(
            figure, of={_measure(one, model): sign for one, sign in figure.of.items()},
            beside=tuple(_measure(one, model) for one in figure.beside),
            unless=figure.unless and _of_plain(figure.unless, model), once=once,
        )  # fmt: skip
    if isinstance(figure, Quotient):
        above, below = ({named(one): sign for one, sign in of.items()} for of in (figure.above, figure.below))
        return replace(figure, above=above, below=below)
    return figure


def _measure(name: str, model: str) -> str:
    return dealt(model, name) if name in (*AMOUNTS, DEALS) else name


def _of_plain(unless: Unless, model: str) -> Unless:
    """Have a reason be told by what a model deals."""

    def told(sums: Sums) -> str | None:
        return unless({plain(one): amount for one, amount in sums.items() if model_of(one) == model})

    return told


def by_models(models: Iterable[str]) -> Report:
    """Return the report of some models."""
    figures: dict[str, Figure] = {}
    paths: dict[str, tuple[str, ...]] = {}
    for model in models:
        for name, figure in _OF_MODELS.items():
            of_model = f"{MODELS}.{model}.{name}"
            figures[of_model] = _as_dealt(figure, model, lambda one, model=model: _named(one, model))  # type: ignore[misc]
            paths[of_model] = (MODELS, model, *name.split("."))
    return replace(
        _WITHOUT, figures={"actual_cost": roi.REPORT.figures["actual_cost"], **figures}, paths=paths,
    )  # fmt: skip


def _named(operand: str, model: str) -> str:
    return f"{MODELS}.{model}.{operand}" if operand in _OF_MODELS else operand


def attributed(report: Report, model: str) -> Report:
    """Return a report whose money is dealt by a model; counts and costs stay where they are."""
    named: Callable[[str], str] = lambda one: one if one in report.figures else _measure(one, model)  # noqa: E731
    return replace(report, figures={name: _as_dealt(one, model, named) for name, one in report.figures.items()})


_WITHOUT = Report(
    "attribution",
    "What did each campaign bring in, and does the answer depend on the model?",
    ATTRIBUTION,
    {},
    keyed=MODELS,
    notes=(
        "`models` has a member per model: those built in, and those that were published.",
        "`weighted_activities` exists only as published, under its model_id.",
    ),
)
REPORT = by_models(BUILT_IN)
