"""Templates: "{column|filter|filter:argument}" stands for a cell of a row, with constants around it.

A template whose cells are all empty renders to nothing, and what renders to nothing states nothing: `fill` leaves it
out. So "SO-{No}" with an empty No is no order number, and money without an amount is no money.
"""

import re
from dataclasses import dataclass
from typing import Any

from service.intake.tabular_filters import FILTERS, TYPED

# TabularError
#  ├ MappingError   the mapping, or a file as a whole, is not as it should be: nothing can be read
#  └ RowError       one row is not: the caller may count it and go on


class TabularError(ValueError):
    """What cannot be read."""


class MappingError(TabularError):
    """A YAML key with an unfit value: `key` says where ("files[0].events[1].id"), `expected` what belongs there."""

    def __init__(self, key: str, expected: str) -> None:
        super().__init__(f"{key}: expected {expected}")
        self.key, self.expected = key, expected


class RowError(TabularError):
    """A row that cannot be taken: in which file and line, for which column, and what was expected there."""

    def __init__(self, file: str, line: int, column: str, expected: str) -> None:
        super().__init__(f"{file}, line {line}, {column}: expected {expected}")
        self.file, self.line, self.column, self.expected = file, line, column, expected


@dataclass(frozen=True, slots=True)
class Row:
    """A row of a file: the line on which it starts, and its cells by column."""

    file: str
    line: int
    cells: dict[str, str]

    def error(self, column: str, expected: str) -> RowError:
        """Return the error that says what was expected in `column`, and what was found."""
        found = f", found {self.cells[column]!r}" if column in self.cells else ""
        return RowError(self.file, self.line, column, expected + found)


@dataclass(frozen=True, slots=True)
class _Slot:
    column: str
    filters: tuple[tuple[str, str], ...] = ()

    def render(self, row: Row) -> Any:
        value: Any = row.cells[self.column]
        try:
            for name, argument in self.filters:
                if value != "" or name == "default":
                    value = FILTERS[name][0](value, argument)
        except ValueError as error:
            raise row.error(self.column, str(error)) from None
        return value


@dataclass(frozen=True, slots=True)
class Template:
    """A text with cells in it."""

    parts: tuple[str | _Slot, ...]

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns it needs."""
        return tuple(part.column for part in self.parts if isinstance(part, _Slot))

    @property
    def typed(self) -> bool:
        """Whether it renders to a number or a truth value instead of text."""
        return any(name in TYPED for part in self.parts if isinstance(part, _Slot) for name, _ in part.filters)

    def render(self, row: Row) -> Any:
        """Return the text (or the number, the truth value) for this row; "" is nothing."""
        values = [part.render(row) if isinstance(part, _Slot) else part for part in self.parts]
        cells = [value for part, value in zip(self.parts, values, strict=True) if isinstance(part, _Slot)]
        if cells and all(cell == "" for cell in cells):
            return ""
        return values[0] if len(values) == 1 else "".join(values)

    def text(self, row: Row, expected: str) -> str:
        """Return the text for this row; a RowError says what was expected where there is none."""
        if (value := self.render(row)) == "":
            raise row.error(self.columns[0], expected)
        return str(value)


def template(text: Any, key: str) -> Template:
    """Read a template; MappingError names the YAML `key` of what cannot be read."""
    if not isinstance(text, str) or not text:
        raise MappingError(key, 'a text such as "{column}", in quotes')
    parts: list[str | _Slot] = []
    for number, part in enumerate(re.split(r"\{([^{}]*)\}", text)):
        if number % 2:
            parts.append(_slot(part, key))
        elif "{" in part or "}" in part:
            raise MappingError(key, f"a closing brace for each opening one in {text!r}")
        elif part:
            parts.append(part)
    result = Template(tuple(parts))
    if result.typed and len(parts) > 1:
        raise MappingError(key, f"nothing beside a cell with one of the filters {', '.join(TYPED)}")
    return result


def _slot(text: str, key: str) -> _Slot:
    column, *steps = (step.strip() for step in text.split("|"))
    if not column:
        raise MappingError(key, f"a column name in {{{text}}}")
    filters = []
    for step in steps:
        name, _, argument = step.partition(":")
        if name not in FILTERS:
            raise MappingError(key, f"one of the filters {', '.join(FILTERS)}, found {name!r}")
        if not re.fullmatch(FILTERS[name][1], argument):
            raise MappingError(key, f"an argument that fits the filter {name}, found {step!r}")
        filters.append((name, argument))
    if any(name in TYPED for name, _ in filters[:-1]):
        raise MappingError(key, f"{', '.join(TYPED)} as the last filter of {{{text}}}")
    return _Slot(column, tuple(filters))


def cell(column: Any, key: str) -> Template:
    """Return the template that is the cell of a named column."""
    if not isinstance(column, str) or not column:
        raise MappingError(key, f"the name of a column (in quotes if need be), found {column!r}")
    return Template((_Slot(column),))


def data_template(value: Any, key: str) -> Any:
    """Read a nested mapping of templates: texts become templates, the other constants stay as they are."""
    if isinstance(value, str):
        return template(value, key)
    if isinstance(value, list):
        return [data_template(item, f"{key}[{number}]") for number, item in enumerate(value)]
    if isinstance(value, dict):
        tree = {str(name): data_template(item, f"{key}.{name}") for name, item in value.items()}
        amount = tree.get("amount")
        if _is_money(tree) and (not isinstance(amount, Template) or amount.typed):
            raise MappingError(
                f"{key}.amount", 'a decimal in quotes such as "{price|decimal}": money is no JSON number'
            )
        return tree
    if value is None or isinstance(value, bool | int | float):
        return value
    raise MappingError(key, "a text, a number, true or false (put dates and times in quotes)")


def columns_of(tree: Any) -> set[str]:
    """Return the columns that a nested mapping of templates needs."""
    if isinstance(tree, Template):
        return set(tree.columns)
    items = tree.values() if isinstance(tree, dict) else tree if isinstance(tree, list) else ()
    return {column for item in items for column in columns_of(item)}


def fill(tree: Any, row: Row) -> Any:
    """Return the data for this row, without what states nothing."""
    if isinstance(tree, Template):
        return tree.render(row)
    if isinstance(tree, list):
        return [value for item in tree if (value := fill(item, row)) not in ("", {}, [])]
    if not isinstance(tree, dict):
        return tree
    stated = {name: value for name, item in tree.items() if (value := fill(item, row)) not in ("", {}, [])}
    return {} if _is_money(tree) and "amount" not in stated else stated


def _is_money(tree: dict[str, Any]) -> bool:
    return tree.keys() == {"amount", "currency"}
