"""Reports for people: as tables that are cut where they are wider than the terminal, and as CSV with some figures.

Figures are named with dots where they are inside another member. Beside a figure that is compared stand what it was and how far
it is from that.
"""

from __future__ import annotations

import csv
import io
import re
import sys
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

_NONE = "–"
_WIDE = 200  # where standard output is no terminal
_GAP = 2
_NUMBER = re.compile(r"-?\d+(\.\d+)?", re.ASCII)
_SIDES = ("compared.", "change.")

Flat = dict[str, Any]


class Sheet(NamedTuple):
    """An answer as a table: the columns that tell rows apart, the figures, and rows and total by name of column."""

    keys: list[str]
    figures: list[str]
    rows: list[Flat]
    total: Flat | None


class _Column(NamedTuple):
    """A column: its heading, and its cells with that of the total last."""

    heading: str
    cells: list[str]

    @property
    def width(self) -> int:
        return max(map(len, (self.heading, *self.cells))) + _GAP


def sheet(found: Mapping[str, Any], wanted: Collection[str] = ()) -> Sheet:
    """Return an answer as a table, perhaps with some figures only; ValueError for one that it does not have."""
    rows = [dict(_flat(row)) for row in found["rows"]]
    total = dict(_flat(found["total"])) if found.get("total") else None
    names = list(dict.fromkeys(name for row in (*rows, total or {}) for name in row if not name.startswith(_SIDES)))
    keys = [name for name in names if total is not None and name not in total]
    figures = [name for name in names if name not in keys]
    for one in wanted:
        if not any(_within(name, [one]) for name in figures):
            raise ValueError(f"--figure: expected one of {', '.join(figures)}, got {one}")
    return Sheet(keys, [name for name in figures if not wanted or _within(name, wanted)], rows, total)


def _flat(row: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in row.items():
        if isinstance(value, dict) and name != "reasons":
            yield from _flat(value, f"{prefix}{name}.")
        elif isinstance(value, list) and any(isinstance(one, dict) for one in value):
            continue  # rows of another report, which it shows
        elif name not in ("reasons", "compared", "change"):  # what stands alone is compared with nothing
            yield f"{prefix}{name}", ", ".join(map(str, value)) if isinstance(value, list) else value


def _within(name: str, wanted: Collection[str]) -> bool:
    return any(name == one or name.startswith(f"{one}.") for one in wanted)


def chosen(text: str, known: Collection[str], wanted: Collection[str]) -> str:
    """Return CSV without the known figures that are not wanted; ValueError for a wanted one that it does not have."""
    heads, *rows = csv.reader(io.StringIO(text, newline=""))
    for one in wanted:
        if not any(_within(name, [one]) for name in heads):
            raise ValueError(f"--figure: expected one of {', '.join(known)}, got {one}")
    figures = [name.removeprefix("compared.").removeprefix("change.") for name in heads]
    kept = [at for at, name in enumerate(figures) if not _within(name, known) or _within(name, wanted)]
    stream = io.StringIO(newline="")
    csv.writer(stream).writerows([row[at] for at in kept] for row in (heads, *rows))
    return stream.getvalue()


def show_list(found: Mapping[str, Any]) -> None:
    """Print the reports, the question that each answers, and by what it may be grouped."""
    table = _table()
    for heading in ("report", "question", "groups"):
        table.add_column(heading)
    for one in found["rows"]:
        table.add_row(one["name"], one["question"], ", ".join(one["groups"]))
    _console().print(table)


def show_report(found: Mapping[str, Any], wanted: Collection[str] = ()) -> None:
    """Print the rows and the total of a report, in as many tables below each other as it takes, and what they rest on."""
    shown, console = sheet(found, wanted), _console()
    lines = [*shown.rows, *([] if shown.total is None else [shown.total])]
    stub = [
        _Column(name, [_label(name, row, found.get("names", {})) for row in lines])
        for name in shown.keys or _first(shown)
    ]
    if shown.total is not None and stub:
        stub[0].cells[-1] = "total"
    compared = "compared_to" in found
    groups = [list(_columns(name, lines, compared=compared)) for name in shown.figures if name not in _first(shown)]
    for block in _blocks(stub, groups, console.width):
        console.print(_filled(block, len(stub), total=shown.total is not None))
    for line in _told(found):
        console.print(line, style="dim", highlight=False)


def _first(shown: Sheet) -> list[str]:
    """Return what tells rows apart where they have no total: their first column."""
    return [] if shown.total is not None else shown.figures[:1]


def _label(name: str, row: Flat, names: Mapping[str, str]) -> str:
    value = row.get(name)
    if value is None:
        return _NONE
    return f"{value} · {names[value]}" if name == "campaign_id" and value in names else str(value)


def _columns(name: str, lines: Sequence[Flat], *, compared: bool) -> Iterator[_Column]:
    yield _Column(name, [_cell(row.get(name)) for row in lines])
    if compared:
        yield _Column("before", [_cell(row.get(f"compared.{name}")) for row in lines])
        yield _Column("change", [_changed(row, f"change.{name}") for row in lines])


def _cell(value: Any) -> str:
    if value is None:
        return _NONE
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int | float):
        return f"{value:,}"
    whole, point, fraction = str(value).partition(".")
    return f"{int(whole):,}{point}{fraction}" if _NUMBER.fullmatch(str(value)) and whole != "-0" else str(value)


def _changed(row: Flat, name: str) -> str:
    share, moved = row.get(f"{name}.relative"), row.get(f"{name}.absolute")
    if share is not None:
        return f"{share:+,.1%}"
    return f"+{_cell(moved)}" if moved is not None and float(moved) > 0 else _cell(moved)


def _blocks(stub: list[_Column], groups: list[list[_Column]], width: int) -> Iterator[list[_Column]]:
    """Cut the columns into tables that are no wider than can be seen, each beginning with what tells rows apart."""
    room = width - sum(one.width for one in stub)
    block: list[_Column] = []
    for group in groups:
        if block and sum(one.width for one in (*block, *group)) > room:
            yield stub + block
            block = []
        block += group
    yield stub + block


def _filled(block: list[_Column], stub: int, *, total: bool) -> Table:
    table = _table()
    for number, one in enumerate(block):
        table.add_column(Text(one.heading), justify="left" if number < stub else "right", no_wrap=True)
    rows = list(zip(*(map(Text, one.cells) for one in block), strict=True))
    for number, row in enumerate(rows):
        last = total and number == len(rows) - 1
        if last:
            table.add_section()
        table.add_row(*row, style="bold" if last else None)
    return table


def _told(found: Mapping[str, Any]) -> Iterator[str]:
    """Say what an answer rests on, and what it lacks."""
    moment = found.get("as_of") or {}
    yield f"{found.get('currency', '')}, by {found.get('date_basis', 'event')} day, as of position {moment.get('position')}"
    if other := found.get("compared_to"):
        window = f" [{other['from'] or '…'}, {other['to'] or '…'})"
        yield f"compared to{window}, as of position {other['as_of']['position']}"
    if waiting := found.get("unconverted"):
        yield f"{len(waiting)} amounts wait for an exchange rate and are not in it"
    if found.get("next"):
        yield "more rows follow: --limit shows more of them"


def _table() -> Table:
    return Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, _GAP, 0, 0))


def _console() -> Console:
    return Console(width=None if sys.stdout.isatty() else _WIDE)
