"""The pages of the docs that are made from data: every event, and every figure.

python -m service.api.pages docs            # writes docs/events.md and docs/figures.md anew
python -m service.api.pages docs --check    # exit code 1 if one of them is not what the data say
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from datetime import date
from fractions import Fraction
from pathlib import Path
from typing import Any

from service.api import parameters
from service.domain import definitions, fields, words
from service.domain.attribution.measures import DEALS, model_of, plain
from service.domain.attribution.models import DEFINITION
from service.domain.calendar import MICROS_PER_DAY
from service.domain.catalogue import CATALOGUE, CORE_TYPES
from service.domain.contributions import DURATIONS, REPORTS, UNITS
from service.domain.cubes import total_of
from service.domain.figures import Age
from service.domain.given import Values
from service.domain.report import Report, Row, first_days_of
from service.domain.reports.conversion import STEPS
from service.domain.standing import profile
from service.domain.units import MONEY
from service.projections.sums.selection import column_of

_MANY = 1_000  # from where on the end of a range is no more than what can be held
_MISSING = object()
_NAMED = {  # kinds that no mark of their schema tells
    id(kind): name
    for kind, name in (
        (fields.WHOLE, "whole number, also below 0"), (definitions.PERIOD, "period"), (definitions.HOURS, "hours"),
        (definitions.WHERE, "dimensions"), (definitions.CRITERIA, "criteria"), (definitions.DAYS, "list of dates"),
        (definitions.TARGET_VALUE, "money or number"), (DEFINITION, "definition of a model"),
    )
}  # fmt: skip
_MADE = "<!-- Made from the code by `make openapi`: what is changed here by hand is lost. -->"


def events_page() -> str:
    """Return docs/events.md: the whole catalogue."""
    lines = [
        "# Events", "", _MADE, "",
        "An event is a [CloudEvent 1.0](https://cloudevents.io) in JSON: `specversion` 1.0, `id`, `source`, `type`, `time` (when",
        "it happened in the business, RFC 3339 with offset) and `data`; `subject` and extension attributes are kept.",
        "(`source`, `id`) identifies it: sent again it is a duplicate, with other content a conflict. An event may come before",
        "what it refers to.",
        "", "In `data`, members that are not listed are kept. An optional one that is absent or null states nothing.", "",
        "| type | what it states |", "|---|---|",
        *(f"| [{name}](#{_anchor(name)}) | {words.EVENTS[name]} |" for name in _in_order()),
        "", "## What fields hold", "", "| kind | is |", "|---|---|",
        *(f"| {name} | {expected} |" for name, expected in _kinds().items()),
    ]  # fmt: skip
    for name in _in_order():
        lines += ["", f"## {name}", "", words.EVENTS[name], *_fields(name)]
    return "\n".join(lines) + "\n"


def _in_order() -> list[str]:
    return [*CORE_TYPES, *(name for name in CATALOGUE if name not in CORE_TYPES)]


def _anchor(name: str) -> str:
    return name.replace(".", "")


def _fields(name: str) -> Iterator[str]:
    entry = CATALOGUE[name]
    yield from ("", "| field | | kind | what it holds |", "|---|---|---|---|")
    for field, kind in {**entry.required, **entry.optional}.items():
        needed = "required" if field in entry.required else "one of these" if field in entry.any_of else ""
        if field in entry.nullable:
            needed = "required, or null"
        yield f"| `{field}` | {needed} | {_kind(kind)} | {words.FIELDS[field]} |"
    yield from ("", "```json", json.dumps(words.example_of(name), ensure_ascii=False), "```")


def _kind(kind: fields.Kind) -> str:
    """Name a kind of field shortly."""
    schema = kind.schema
    if id(kind) in _NAMED or "enum" in schema:
        return _NAMED.get(id(kind)) or ", ".join(schema["enum"])
    if "$ref" in schema:
        return "money above 0" if kind.check({"amount": "0", "currency": "EUR"}) else "money"
    if "minimum" in schema and schema["maximum"] < _MANY:
        return f"{schema['minimum']} to {schema['maximum']}"
    if isinstance(schema["type"], list):
        return " or ".join(schema["type"])
    if schema["type"] == "array":
        return "list of ids" if "maxLength" in schema["items"] else "list of text"
    by_mark = {"format": "date", "maxLength": "id", "description": "rate", "pattern": "currency"}
    named = next((name for mark, name in by_mark.items() if mark in schema), None)
    return named or {"string": "text", "integer": "whole number"}.get(schema["type"], schema["type"])


def _kinds() -> dict[str, str]:
    """Say of each kind what it is, in the words of its own refusal, where its name does not say it."""
    found: dict[str, str] = {}
    for entry in CATALOGUE.values():
        for kind in {**entry.required, **entry.optional}.values():
            expected = kind.check(_MISSING) or ""
            if _kind(kind) not in {expected.removeprefix("one of "), "object", "number", "number or string"}:
                found.setdefault(_kind(kind), expected)
    found["money above 0"] = f"{found['money']}, with an amount greater than 0"
    return dict(sorted(found.items()))


# What the examples of the figures are worked out from: sums as the balances hold them, in cents, counts and microseconds.
_SUMS = {
    "budget": 1_500_000, "actual_cost": 1_200_000, "booked_revenue": 16_000_000, "invoiced_revenue_gross": 12_462_000,
    "credited": 462_000, "invoiced_with_cogs": 12_000_000, "cogs": 4_500_000, "new_customers": 12,
    "won": 16, "lost": 24, "open": 8,
    "entered.captured": 400, "entered.qualified": 160, "entered.opportunity": 48, "entered.quote_accepted": 20,
    "entered.ordered": 16, "entered.invoiced": 15, "funnel.captured": 400, "funnel.qualified": 150, "funnel.opportunity": 45,
    "funnel.quote_accepted": 18, "funnel.ordered": 15, "funnel.invoiced": 12,
    "calls.made": 90, "calls.answered": 60, "calls.missed": 20, "calls.voicemail": 10, "calls.talk": 18_720_000_000,
    "calls.advanced": 15,
    "quotes.sent": 36, "quotes.accepted": 18, "quotes.rejected": 4, "quotes.expired": 8, "quotes.sent_value": 36_000_000,
    "quotes.accepted_value": 17_500_000,
    "leads.accepted": 120, "leads.rejected": 30, "leads.disqualified": 50, "leads.booked_revenue": 15_000_000,
    "leads.invoiced_revenue": 11_000_000, "cost": 1_200_000,
    "payments.billed": 14_280_000, "payments.paid": 11_900_000, "payments.open": 2_380_000, "payments.completed": 12,
    "payments.time_to_pay": 36_288_000_000_000, "overdue_items": 595_000,
    "response.expected": 20_000_000, "response.audience": 5_000, "response.messages_sent": 4_000, "response.touches": 900,
    "response.views": 600, "response.clicks": 240, "response.responses": 60,
    "opportunities.opened": 48, "opportunities.open": 8, "opportunities.won": 16, "opportunities.lost": 24,
    "opportunities.orders": 16, "opportunities.value": 48_000_000, "opportunities.open_value": 9_000_000,
    "opportunities.weighted_value": 3_600_000, "opportunities.unweighted_value": 1_000_000,
    "opportunities.booked_revenue": 16_000_000,
    "stages.once.entered": 40, "stages.once.moved_on": 26, "stages.once.won": 16, "stages.once.lost": 18, "stages.once.open": 6,
    "stages.once.open_value": 7_500_000,
    "activities.email": 40, "activities.meeting": 12, "activities.demo": 5, "activities.visit": 2,
    "activities.other": 1, "cases.opened": 50, "cases.resolved": 40, "cases.reopened": 4, "cases.open": 10,
    "cases.backlog": 12, "cases.same_day": 30, "csat.count": 20, "csat.score": 85_000_000, "csat.satisfied": 17,
    "reach.granted": 25, "reach.withdrawn": 5, "reach.messages_sent": 2400,
    "sla.started": 60, "sla.met": 40, "sla.late": 8, "sla.waiting": 12, "running": 7, "overdue": 5,
    "forecast.count": 14, "forecast.value": 42_000_000, "forecast.weighted": 18_900_000,
    **{f"leads.standing.{step}": count for step, count in zip(STEPS, (180, 60, 20, 5), strict=False)},
    "customers.active": 200, "customers.gained": 12, "customers.churned": 8, "customers.renewals": 90,
    "customers.renewed_amount": 9_000_000, "customers.churned_amount": 640_000,
}  # fmt: skip
_DAYS = (2, 3, 5, 8, 12)
# What is given, and no sum: of the forecast, and of a target of revenue.
_GIVEN = Values({
    "empirical": 21_000_000, "booked": 3_500_000, "target": 40_000_000, "actual": 30_000_000, "attainment": Fraction(3, 4),
    "elapsed": Fraction(2, 3), "expected_by_now": Fraction(80_000_000, 3), "ahead": 1,
}, MONEY)  # fmt: skip


def examples() -> dict[str, dict[str, Any]]:
    """Work out the figures of the example, by report, as the service does."""
    lengths = {int(days * MICROS_PER_DAY): 1 for days in _DAYS}
    sums = dict(_SUMS)
    for name in DURATIONS:
        sums |= {name: len(_DAYS), total_of(name): sum(lengths)}
    today, last = date(2026, 6, 30), date(2026, 4, 1)
    return {
        report.name: Row(
            report, "EUR", {**sums, **_dealt(report)}, sums, dict.fromkeys(DURATIONS, lengths),
            {one.of: last for one in report.of_kind(Age).values()},
            {one.result: date(2026, 5, 4) for one in first_days_of(report).values()}, today,
            opening=sums, closing=sums, earlier=sums, people={profile(["email"], ["email"]): 120, profile(["email"], []): 30},
            labels=frozenset({"email"}), given=_GIVEN,
        ).written()
        for report in REPORTS.values()
    }  # fmt: skip


def _dealt(report: Report) -> dict[str, int]:
    """Return the same amounts as models deal them."""
    amounts = {**_SUMS, DEALS: 12_500_000}
    return {one: amounts.get(plain(one), 0) for one in report.measures if model_of(one) is not None}


def figures_page() -> str:
    """Return docs/figures.md: every figure with its formula, its unit and an example."""
    given = ", ".join(f"`{name}` {_written(name, value)}" for name, value in _SUMS.items())
    lines = [
        "# Figures", "", _MADE, "",
        "Every figure of every report: how it is made, its unit, an example. Money is a decimal string in the ledger's currency.",
        "Where a figure cannot be had, as when it would be divided by 0, it is null, and `reasons` says why. Sums are exact; all",
        "else is made of them on reading. `/v1/reports/…/entries?measure=` opens any of them down to its events.",
        "", f"The examples are worked out from: {given}. Each duration has the five lengths",
        f"{', '.join(map(str, _DAYS))} days.",
    ]  # fmt: skip
    rows = examples()
    for report in REPORTS.values():
        lines += ["", f"## /v1/reports/{report.name}", "", report.question, "", _groups(report), ""]
        lines += [*report.notes, ""] if report.notes else []
        lines += ["| figure | how it is made | unit | example |", "|---|---|---|---|"]
        for name, figure in report.different.items():
            note = "; ".join(
                filter(None, (figure.note, "in rows only with `include`" if name in report.on_request else ""))
            )
            told = f"{figure.formula}{f'; {note}' if note else ''}"
            lines.append(f"| `{name}` | {told} | {figure.unit} | {_example(rows[report.name], name)} |")
    return "\n".join(lines) + "\n"


def _groups(report: Report) -> str:
    names = [f"`{one}`" for one in parameters.groups_of(report)]
    if report.keys is None:
        return f"Grouped by `{report.group_by}` unless asked otherwise; up to three of {', '.join(names)}."
    return (
        f"A row is of {', '.join(f'`{column_of(one)}`' for one in report.keys)}." if names else "A total, without rows."
    )


def _written(name: str, value: int) -> str:
    return f"{value / 100:,.2f}" if UNITS.get(name, MONEY) == MONEY else str(value)


def _example(row: dict[str, Any], name: str) -> str:
    """Return a figure of a row, whose names have points where it is inside another one."""
    found: Any = row
    for part in name.split("."):
        found = found[part]
    return "null" if found is None else str(found)


PAGES: dict[str, Callable[[], str]] = {"events.md": events_page, "figures.md": figures_page}


def main(folder: str, *options: str) -> int:
    """Write the pages into a folder, or compare them with what is there; return the exit code."""
    stale = [name for name, page in PAGES.items() if _read(Path(folder, name)) != page()]
    for name in stale:
        if "--check" in options:
            sys.stderr.write(f"{folder}/{name} is not what the code says: `make openapi` writes it anew\n")
        else:
            Path(folder, name).write_text(PAGES[name](), encoding="utf-8")
    return int(bool(stale) and "--check" in options)


def _read(path: Path) -> str | None:
    return path.read_text(encoding="utf-8") if path.is_file() else None


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
