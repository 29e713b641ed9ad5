"""Templates: "{column|filter|filter:argument}" stands for a cell of a row, with constants around it.

A template whose cells are all empty renders to nothing, and what renders to nothing states nothing: `fill` leaves it
out. So "SO-{No}" with an empty No is no order number, and money without an amount is no money. Cells that hold a word for
nothing (NULL, --) are empty too, but to the filter `bool`.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any

from service.domain.catalogue import shown
from service.domain.money import MINOR_DIGITS
from service.intake.blanks import is_blank
from service.intake.tabular_filters import FILTERS, LISTS, READING, TYPED, Reading, is_truth
from service.intake.tabular_numbers import fixed

# TabularError
#  ├ MappingError   the mapping, or a file as a whole, is not as it should be: nothing can be read
#  └ RowError       one row is not: the caller may count it and go on
#     └ ClashError  an earlier row of the file has the same id


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


class ClashError(RowError):
    """A row that gives an event whose id an earlier row of the same file has given: only the first one counts."""


@dataclass(frozen=True, slots=True)
class Row:
    """A row of a file: the line on which it starts, its cells by column, and how they are to be read."""

    file: str
    line: int
    cells: dict[str, str]
    reading: Reading = READING

    def stated(self, column: str) -> str:
        """Return a cell, empty where it holds a word for nothing."""
        value = self.cells[column]
        return "" if value != "" and is_blank(value, self.reading.blanks) else value

    def error(self, column: str, expected: str, hint: str = "") -> RowError:
        """Return the error that says what was expected in `column`, what was found, and what may help."""
        found = f", found {self.cells[column]!r}" if column in self.cells else ""
        return RowError(self.file, self.line, column, expected + found + (f" ({hint})" if hint else ""))


@dataclass(frozen=True, slots=True)
class Slot:
    """A cell of a template, and the filters that it goes through."""

    column: str
    filters: tuple[tuple[str, str], ...] = ()

    @property
    def number(self) -> bool:
        """Whether it gives a number as text."""
        return bool(self.filters) and FILTERS[self.filters[-1][0]].number

    def render(self, row: Row, reading: Reading) -> Any:
        """Return the text, list, number or truth value for a row; "" is nothing."""
        value: Any = row.stated(self.column)
        if value == "" and any(name == "bool" for name, _ in self.filters) and is_truth(row.cells[self.column]):
            value = row.cells[self.column]
        try:
            for name, argument in self.filters:
                apply = FILTERS[name].apply
                if isinstance(value, list):
                    value = [apply(item, argument, reading) for item in value]
                elif value != "" or name == "default":
                    value = apply(value, argument, reading)
        except ValueError as error:
            raise row.error(self.column, str(error), getattr(error, "hint", "")) from None
        return value


@dataclass(frozen=True, slots=True)
class Template:
    """A text with cells in it."""

    parts: tuple[str | Slot, ...]

    @property
    def slots(self) -> tuple[Slot, ...]:
        """The cells in it."""
        return tuple(part for part in self.parts if isinstance(part, Slot))

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns it needs."""
        return tuple(slot.column for slot in self.slots)

    @property
    def typed(self) -> bool:
        """Whether it renders to a number or a truth value instead of text."""
        return any(name in TYPED for slot in self.slots for name, _ in slot.filters)

    @property
    def lists(self) -> bool:
        """Whether it renders to a list of texts."""
        return any(name == LISTS for slot in self.slots for name, _ in slot.filters)

    def render(self, row: Row, places: int | None = None) -> Any:
        """Return the text (or the list, the number, the truth value) for this row; "" is nothing.

        `places` are those of the currency, where the template is an amount of money.
        """
        reading = row.reading if places is None else row.reading._replace(places=places)
        values = [part.render(row, reading) if isinstance(part, Slot) else part for part in self.parts]
        cells = [value for part, value in zip(self.parts, values, strict=True) if isinstance(part, Slot)]
        if cells and all(cell in ("", []) for cell in cells):
            return ""
        if len(values) == 1:
            return values[0]
        several = next((value for value in values if isinstance(value, list)), None)
        if several is None:
            return "".join(values)
        return ["".join(item if value is several else value for value in values) for item in several]

    def text(self, row: Row, expected: str) -> str:
        """Return the text for this row; a RowError says what was expected where there is none."""
        if (value := self.render(row)) == "":
            raise row.error(", ".join(self.columns), expected)
        return str(value)


def template(text: object, key: str) -> Template:
    """Read a template; MappingError names the YAML `key` of what cannot be read."""
    if not isinstance(text, str) or not text:
        raise MappingError(key, 'a text such as "{column}", in quotes')
    parts: list[str | Slot] = []
    for number, part in enumerate(re.split(r"\{([^{}]*)\}", text)):
        if number % 2:
            parts.append(_slot(part, key))
        elif "{" in part or "}" in part:
            raise MappingError(key, f"a closing brace for each opening one in {text!r}")
        elif part:
            parts.append(part)
    result = Template(tuple(parts))
    if result.typed and len(result.parts) > 1:
        raise MappingError(key, f"nothing beside a cell with one of the filters {', '.join(TYPED)}")
    if sum(name == LISTS for slot in result.slots for name, _ in slot.filters) > 1:
        raise MappingError(key, f"at most one cell with the filter {LISTS}")
    return result


def _slot(text: str, key: str) -> Slot:
    column, *steps = (step.strip() for step in text.split("|"))
    if not column:
        raise MappingError(key, f"a column name in {{{text}}}")
    filters = []
    for step in steps:
        name, _, argument = step.partition(":")
        if name not in FILTERS:
            near = "".join(f"; did you mean {one}?" for one in get_close_matches(name, FILTERS, n=1))
            raise MappingError(key, f"one of the filters {', '.join(FILTERS)}, found {name!r}{near}")
        _check_argument(name, argument, key)
        filters.append((name, argument))
    if any(name in TYPED for name, _ in filters[:-1]):
        raise MappingError(key, f"{', '.join(TYPED)} as the last filter of {{{text}}}")
    return Slot(column, tuple(filters))


def _check_argument(name: str, argument: str, key: str) -> None:
    wanted = FILTERS[name].argument
    if isinstance(wanted, str):
        if not re.fullmatch(wanted, argument):
            step = f"{name}:{argument}" if argument else name
            raise MappingError(key, f"an argument that fits the filter {name}, found {step!r}")
        return
    try:
        wanted(argument)
    except ValueError as error:
        raise MappingError(key, f"{error}, after `{name}:`, found {argument!r}") from None


def cell(column: object, key: str) -> Template:
    """Return the template that is the cell of a named column."""
    if not isinstance(column, str) or not column:
        raise MappingError(key, f"the name of a column (in quotes if need be), found {shown(column)}")
    return Template((Slot(column),))


def data_template(value: object, key: str) -> Any:
    """Read a nested mapping of templates: texts become templates, the other constants stay as they are."""
    if isinstance(value, str):
        return template(value, key)
    if isinstance(value, list):
        return [data_template(item, f"{key}[{number}]") for number, item in enumerate(value)]
    if isinstance(value, dict):
        tree = {str(name): data_template(item, f"{key}.{name}") for name, item in value.items()}
        amount = tree.get("amount")
        if _is_money(tree) and (not isinstance(amount, Template) or amount.typed or amount.lists):
            raise MappingError(
                f"{key}.amount", 'a decimal in quotes such as "{price|decimal}": money is no JSON number'
            )
        return tree
    if value is None or isinstance(value, bool | int | float):
        return value
    raise MappingError(key, "a text, a number, true or false (put dates and times in quotes)")


def slots_of(tree: object) -> Iterator[Slot]:
    """Yield the cells in a nested mapping of templates."""
    if isinstance(tree, Template):
        yield from tree.slots
    items = tree.values() if isinstance(tree, dict) else tree if isinstance(tree, list) else ()
    for item in items:
        yield from slots_of(item)


def columns_of(tree: object) -> set[str]:
    """Return the columns that a nested mapping of templates needs."""
    return {slot.column for slot in slots_of(tree)}


def fill(tree: object, row: Row) -> Any:
    """Return the data for this row, without what states nothing."""
    if isinstance(tree, Template):
        return tree.render(row)
    if isinstance(tree, list):
        filled = [(item, fill(item, row)) for item in tree]
        lists = [value if isinstance(item, Template) and isinstance(value, list) else [value] for item, value in filled]
        return [one for several in lists for one in several if stated(one)]
    if not isinstance(tree, dict):
        return tree
    if _is_money(tree):
        return _money(tree, row)
    return {name: value for name, item in tree.items() if stated(value := fill(item, row))}


def stated(value: object) -> bool:
    """Tell whether a value that was filled in states anything."""
    return value not in ("", {}, [])


def _money(tree: dict[str, Any], row: Row) -> dict[str, Any]:
    """Return money whose amount has no more places than its currency; {} where no amount is stated."""
    currency, template = fill(tree["currency"], row), tree["amount"]
    places = MINOR_DIGITS.get(currency) if isinstance(currency, str) else None
    amount = template.render(row, places)
    if amount == "":
        return {}
    if places is not None and template.slots:
        column = ", ".join(template.columns)
        try:
            written = fixed(amount, places)
        except ValueError as error:
            raise row.error(column, str(error), getattr(error, "hint", "")) from None
        # A number that no filter has touched is kept as it stands, as it always was.
        amount = written if len(template.parts) == 1 and template.slots[0].number else amount
    return {"amount": amount} if currency == "" else {"amount": amount, "currency": currency}


def _is_money(tree: dict[str, Any]) -> bool:
    return tree.keys() == {"amount", "currency"}
