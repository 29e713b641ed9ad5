"""Conditions on a row: `when` says whether a row gives an event, `skip` which rows are passed over.

when: {column: Status, equals: [Won, Shipped]}        # the cell as it stands; without an operator: it states something
when: {value: "{Amount|amount:1,234.50}", below: 0}   # what a template gives, here a number
when: {all: [{column: Status, equals: Won}, {not: {column: Test}}]}   # all, any and not join conditions
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from service.domain.catalogue import shown
from service.intake.tabular_keys import a_list, members, texts
from service.intake.tabular_numbers import exact
from service.intake.tabular_templates import MappingError, Row, Slot, Template, cell, columns_of, slots_of, template

_JOINED: dict[str, Callable[[Any], bool]] = {"all": all, "any": any}
_NUMBERS: dict[str, Callable[[Decimal, Decimal], bool]] = {
    "above": lambda number, bound: number > bound,
    "below": lambda number, bound: number < bound,
}
_TEXTS: dict[str, Callable[[str, tuple[str, ...]], bool]] = {
    "equals": lambda text, wanted: text in wanted,
    "contains": lambda text, wanted: any(one in text for one in wanted),
    "starts_with": str.startswith,
}
OPERATORS = (*_TEXTS, *_NUMBERS)
FORMS = ("column", "value", *_JOINED, "not")


@dataclass(frozen=True, slots=True)
class Test:
    """A cell, or what a template gives, and what has to hold of it: all of the operators, or that it states something."""

    value: Template
    plain: bool  # a cell as it stands, where operators see words for nothing too
    operators: tuple[tuple[str, Any], ...]

    def holds(self, row: Row) -> bool:
        """Say whether it holds for a row; RowError where a number is asked for and there is none."""
        value = self.value.render(row)
        if not self.operators:
            return value not in ("", [])
        text = row.cells[self.value.columns[0]] if self.plain else str(value)
        return all(self._one(name, bound, row, text, value) for name, bound in self.operators)

    def _one(self, name: str, bound: Any, row: Row, text: str, value: object) -> bool:
        if name in _TEXTS:
            return _TEXTS[name](text, bound)
        if value == "":
            return False
        try:
            return _NUMBERS[name](exact(str(value)), bound)
        except ValueError as error:
            column = ", ".join(self.value.columns)
            raise row.error(column, f"{error} to compare with {bound}", getattr(error, "hint", "")) from None


@dataclass(frozen=True, slots=True)
class Joined:
    """Several conditions of which all or any have to hold."""

    by: str
    parts: tuple[Condition, ...]

    def holds(self, row: Row) -> bool:
        """Say whether it holds for a row."""
        return _JOINED[self.by](part.holds(row) for part in self.parts)


@dataclass(frozen=True, slots=True)
class Not:
    """A condition that must not hold."""

    part: Condition

    def holds(self, row: Row) -> bool:
        """Say whether it holds for a row."""
        return not self.part.holds(row)


Condition = Test | Joined | Not


def condition_slots(condition: Condition) -> list[Slot]:
    """Return the cells that a condition looks at."""
    if isinstance(condition, Test):
        return list(slots_of(condition.value))
    return [one for part in _parts(condition) for one in condition_slots(part)]


def condition_columns(condition: Condition) -> set[str]:
    """Return the columns that a condition needs."""
    if isinstance(condition, Test):
        return columns_of(condition.value)
    return {column for part in _parts(condition) for column in condition_columns(part)}


def _parts(condition: Joined | Not) -> tuple[Condition, ...]:
    return condition.parts if isinstance(condition, Joined) else (condition.part,)


def read_condition(raw: Any, key: str) -> Condition:
    """Read a condition; MappingError names the key that is wrong."""
    forms = [name for name in FORMS if isinstance(raw, dict) and name in raw]
    if len(forms) != 1:
        raise MappingError(key, f"a condition with one of {', '.join(FORMS)}")
    (form,) = forms
    if form in _JOINED:
        members(raw, key, (form,), ())
        parts = a_list(raw[form], f"{key}.{form}")
        return Joined(form, tuple(read_condition(part, f"{key}.{form}[{n}]") for n, part in enumerate(parts)))
    if form == "not":
        members(raw, key, (form,), ())
        return Not(read_condition(raw[form], f"{key}.not"))
    members(raw, key, (form,), OPERATORS)
    value = cell(raw[form], f"{key}.column") if form == "column" else template(raw[form], f"{key}.value")
    if not value.columns:
        raise MappingError(f"{key}.value", 'a column, as in "{Amount}"')
    operators = tuple((name, _bound(name, raw[name], f"{key}.{name}")) for name in OPERATORS if name in raw)
    return Test(value, form == "column", operators)


def read_any(raw: object, key: str) -> Condition:
    """Read a condition, or a list of which any has to hold."""
    if isinstance(raw, list):
        parts = a_list(raw, key)
        return Joined("any", tuple(read_condition(part, f"{key}[{n}]") for n, part in enumerate(parts)))
    return read_condition(raw, key)


def _bound(name: str, raw: object, key: str) -> Any:
    if name in _TEXTS:
        return texts(raw, key)
    if isinstance(raw, bool) or not isinstance(raw, int | float | str):
        raise MappingError(key, f"a number, found {shown(raw)}")
    try:
        return exact(str(raw))
    except ValueError as error:
        raise MappingError(key, f"{error}, found {shown(raw)}") from None
