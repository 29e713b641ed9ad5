"""What the answers of reports look like, made of their declarations: every figure with its type, formula and unit."""

from __future__ import annotations

from datetime import date
from functools import lru_cache
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, create_model

from service.api import parameters, schemas
from service.domain import figures, units
from service.domain.contributions import REPORTS
from service.domain.figures import Figure
from service.domain.report import Report
from service.domain.standing import Persons, Stock
from service.projections.sums.selection import column_of

_TYPES: dict[str, Any] = {
    units.MONEY: str, units.COUNT: int, units.RATIO: float, units.DAYS: float, units.SECONDS: float,
    units.DAY: date, units.WHOLE_DAYS: int, units.HOURS: float, units.NUMBER: float,
    units.OF_MEASURE: str | int | float, units.TRUTH: bool,
}  # fmt: skip
_EXAMPLES: dict[str, Any] = {
    units.MONEY: "1234.50", units.COUNT: 12, units.RATIO: 5.25, units.DAYS: 7.5, units.SECONDS: 312,
    units.DAY: "2026-05-04", units.WHOLE_DAYS: 90, units.HOURS: 7.5, units.NUMBER: 4.25,
    units.OF_MEASURE: "1234.50", units.TRUTH: True,
}  # fmt: skip


class Answer(BaseModel):
    """What every answer of a report says of itself."""

    currency: str = Field(examples=["EUR"])
    date_basis: schemas.DateBasis = Field(examples=["event"])
    as_of: schemas.Moment
    read_model_version: str = schemas.Version
    unconverted: list[schemas.Unconverted]
    pending_links: int = Field(description="how many links wait for what has not arrived", examples=[0])


class AnswerOfNow(Answer):
    """What an answer says of itself that depends on what day it is."""

    now: schemas.Today


class Change(BaseModel):
    """How far a figure is from the compared one; both null where one of them is, or where the other side has no such period."""

    absolute: str | int | float | None = Field(
        description="the figure less the compared one, in its unit; of days on which something is reached, in days",
        examples=["250.00"],
    )
    relative: float | None = Field(
        description="that as a share of the compared one, to 6 decimals; null where this is 0 or negative, or a day",
        examples=[0.25],
    )


class ComparedTo(BaseModel):
    """The other side of a comparison: its window, what was known of it, and what it lacks."""

    model_config = ConfigDict(populate_by_name=True)
    since: date | None = Field(alias="from", examples=["2025-10-01"])
    to: date | None = Field(examples=["2026-01-01"])
    as_of: schemas.Moment
    unconverted: list[schemas.Unconverted]
    pending_links: int = Field(description="how many links wait for what has not arrived", examples=[0])


class StageWinRate(BaseModel):
    """How many were won of the opportunities that were ever in a stage, and decided in the 24 months before today."""

    stage: str | None = Field(
        description="null = of those without one, for which that of all holds", examples=["offer"]
    )
    won: int = Field(examples=[7])
    lost: int = Field(examples=[5])
    win_rate: float | None = Field(
        description="what the forecast goes by; null where none was decided", examples=[0.583333]
    )
    of_all: bool = Field(description="whether that is the win rate of all, because fewer than ten were ever in it")


# What answers of a report have besides.
_BESIDE: dict[str, dict[str, Any]] = {
    "forecast": {"win_rates": (list[StageWinRate], Field(description="the win rates of the stages of what is open"))}
}


class ReportMeasure(BaseModel):
    """A figure of a report."""

    name: str = Field(examples=["roi.booked"])
    unit: str = Field(examples=["ratio"])
    definition: str = Field(examples=["(booked_revenue − actual_cost) / actual_cost"])
    note: str
    additive: bool = Field(description="whether rows of it add up to the total")
    on_request: bool = Field(description="whether rows have it only if `include` names it")


class ReportParameter(BaseModel):
    """A parameter of a report."""

    name: str = Field(examples=["group_by"])
    description: str


class ReportDescription(BaseModel):
    """A report: the question that it answers, and how it can be asked."""

    name: str = Field(examples=["roi"])
    question: str
    groups: list[str]
    default_group: str
    measures: list[ReportMeasure]
    parameters: list[ReportParameter]


class Reports(BaseModel):
    """All reports."""

    rows: list[ReportDescription]


def told(figure: Figure) -> str:
    """Describe a figure: how it is made, its unit, and what else there is to know."""
    return "; ".join(filter(None, (figure.formula, figure.unit, figure.note)))


def described(report: Report) -> ReportDescription:
    """Describe a report."""
    return ReportDescription(
        name=report.name,
        question=report.question,
        groups=list(parameters.groups_of(report)),
        default_group=report.group_by,
        measures=[
            ReportMeasure(
                name=name, unit=figure.unit, definition=figure.formula, note=figure.note, additive=figure.additive,
                on_request=name in report.on_request,
            )
            for name, figure in report.different.items()
        ],
        parameters=[
            ReportParameter(name=field.alias or name, description=field.description or "")
            for name, field in parameters.of_report(report).model_fields.items()
        ],
    )  # fmt: skip


def _field(report: Report, name: str, figure: Figure) -> tuple[Any, Any]:
    kind = _TYPES[figure.unit]
    always = isinstance(figure, Persons | Stock) or (isinstance(figure, figures.Total) and figure.unless is None)
    form: dict[str, Any] = {"description": told(figure), "examples": [_EXAMPLES[figure.unit]]}
    if name in report.on_request:
        return kind | None, Field(None, **form)
    return (kind if always else kind | None), Field(**form)


def _nested(report: Report, prefix: str, of: dict[str, Figure], base: Any = None) -> type[BaseModel]:
    """Return a model of figures whose names have points where they are inside another member."""
    fields: dict[str, Any] = {}
    inner: dict[str, dict[str, Figure]] = {}
    for name, figure in of.items():
        first, _, rest = name.partition(".")
        if rest:
            inner.setdefault(first, {})[rest] = figure
            fields.setdefault(first, None)
        else:
            full = next(one for one, known in report.figures.items() if known is figure and one.endswith(name))
            fields[name] = _field(report, full, figure)
    for name, figures_inside in inner.items():
        if name == report.keyed:
            one = next(iter(dict.fromkeys(key.partition(".")[0] for key in figures_inside)))
            of_one = {
                key.partition(".")[2]: figure for key, figure in figures_inside.items() if key.startswith(f"{one}.")
            }
            fields[name] = (dict[str, _nested(report, f"{prefix}{_camel(one)}", of_one)], ...)  # type: ignore[misc]
            continue
        fields[name] = (_nested(report, f"{prefix}{_camel(name)}", figures_inside), ...)
    title = f"{prefix}Figures" if prefix == _camel(report.name) else prefix
    return create_model(title, __base__=base, __doc__=f"Figures of {report.name}.", **fields)


def _camel(name: str) -> str:
    return "".join(part.capitalize() for part in name.replace("-", "_").split("_"))


@lru_cache(maxsize=64)
def figures_of(name: str, report: Report) -> type[BaseModel]:
    """Return the model of a report's figures, with the reasons of those that are null."""
    reasons = (
        dict[str, str],
        Field(description="for each figure that is null: why", examples=[{"roas": "actual_cost is 0"}]),
    )
    parts: dict[str, Any] = {
        part: (_rows_of(_camel(of), REPORTS[of]), Field(description=REPORTS[of].question))
        for part, of in report.parts.items()
    }
    return create_model(
        f"{name}Figures",
        __base__=_nested(report, name, dict(report.figures)),
        __doc__=report.question,
        reasons=reasons,
        **parts,
    )


def _rows_of(name: str, report: Report) -> Any:
    """Return the type of a report's rows, as they stand inside another one."""
    column: dict[str, Any] = {column_of(report.group_by): (str | None, Field(description="null = without one"))}
    row: Any = create_model(f"Part{name}", __base__=figures_of(name, report), __doc__=report.question, **column)
    return list[row]


def _about(report: Report) -> type[Answer]:
    return AnswerOfNow if report.of_now else Answer


def answer_of(report: Report) -> type[BaseModel]:
    """Return the model of a report's answer: rows by group, and the total."""
    name = _camel(report.name)
    made = figures_of(name, report)
    keys: dict[str, Any] = {
        column_of(group): (str | None, Field(None, description="null = without one"))
        for group in parameters.groups_of(report)
    }
    compared = _compared(made)
    row = create_model(f"{name}Row", __base__=made, __doc__=f"{report.question} By group.", **keys, **compared)
    total = create_model(f"{name}Total", __base__=made, __doc__=f"{report.question} In total.", **compared)
    more: dict[str, Any] = _BESIDE.get(report.name, {}) | ({"total": (total, ...)} if report.has_total else {})
    return create_model(
        f"{name}Answer", __base__=_about(report), __doc__=report.question, rows=(list[row], ...), **more,
        names=(dict[str, str], Field(description="the campaigns in it by their names", examples=[{"fair-2026": "Fair 2026"}])),
        next=(str | None, schemas.Next),
        compared_to=(ComparedTo | None, Field(None, description="only if it is compared: with what")),
    )  # fmt: skip


def _compared(made: type[BaseModel]) -> dict[str, Any]:
    """Return what a row and the total have besides, where they are compared."""
    none = "null where the other side has no such period"
    return {
        "compared": (made | None, Field(None, description=f"only if it is compared: the same of the other side; {none}")),
        "change": (
            dict[str, Change] | None,
            Field(None, description=f"only if it is compared: by figure, how far it is from the compared one; {none}"),
        ),
    }  # fmt: skip


def campaign_of(report: Report) -> type[BaseModel]:
    """Return the model of one campaign's figures, flat."""
    name = _camel(report.name)
    return create_model(
        f"Campaign{name}", __base__=(figures_of(name, report), _about(report)), __doc__="One campaign's figures, flat.",
        campaign_id=(str, ...),
    )  # fmt: skip
