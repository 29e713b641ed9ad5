"""Rows of figures, measured side by side, and the tables made of them.

A row compares samples of ours with samples of something else taken in the same rounds, in turn, so that whatever disturbs
the machine disturbs both. Ratios are ours ÷ the other's, round by round; the table shows their median and their range.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import NamedTuple, TypeVar

T = TypeVar("T")

# What the rows are meant to reach on 2 cores: (which figure, bound). Rates and ratios at least, times and sizes at most.
TARGETS = {
    "single posts, 64 connections": ("ratio", 1.2),
    "bulk NDJSON": ("ratio", 0.6),
    "live projection": ("rate", 30_000),
    "rebuild": ("rate", 100_000),
    "freshness at 1,000 events/s": ("p99", 100),
    "ROI by campaign, asked again": ("ratio", 0.7),
    "one campaign's ROI, asked again": ("ratio", 0.7),
    "entries of a figure, asked again": ("ratio", 0.7),
    "ROI as of a position, asked again": ("ratio", 0.7),
    "memory of a rebuild": ("peak", 500),
    "rebuild beside the peer's durable projection": ("ratio", 80),
    "rebuild beside the peer's in memory": ("ratio", 2),
}
_AT_LEAST = ("ratio", "rate")
FLAT = 1.2  # what is meant to be flat may grow by this factor from the smallest size to the largest


class Row(NamedTuple):
    """One line: samples of ours (one a round), and of `against` in the same rounds."""

    what: str
    size: int  # events in the ledger; 0 = not of a ledger of a certain size
    ours: Sequence[float]
    unit: str = "/s"
    against: str = ""
    other: Sequence[float] = ()
    p50: float | None = None  # milliseconds, like p99
    p99: float | None = None

    @property
    def ratios(self) -> list[float]:
        """Ours ÷ other, round by round."""
        return [a / b for a, b in zip(self.ours, self.other, strict=True)] if self.other else []

    @property
    def verdict(self) -> str:
        """The target, and whether it is met."""
        if self.what not in TARGETS:
            return ""
        figure, bound = TARGETS[self.what]
        value = {"ratio": median(self.ratios or [0.0]), "p99": self.p99 or 0.0}.get(figure, median(self.ours))
        least = figure in _AT_LEAST
        met = value >= bound if least else value <= bound
        shown = {"ratio": f"{bound:.0%}", "p99": f"p99 {bound:.0f} ms"}.get(figure, number(bound, self.unit))
        return f"{'≥' if least else '≤'} {shown}: {'met' if met else '**missed**'}"


def compare(rounds: int, contestants: Mapping[str, Callable[[], T]]) -> dict[str, list[T]]:
    """Run all contestants in turn, so many rounds, every other round backwards; return the samples of each."""
    found: dict[str, list[T]] = {name: [] for name in contestants}
    for turn in range(rounds):
        for name in list(contestants)[:: -1 if turn % 2 else 1]:
            found[name].append(contestants[name]())
    return found


def number(value: float, unit: str) -> str:
    """Write a figure with its unit."""
    digits = 0 if abs(value) >= 100 else 1 if abs(value) >= 1 else 2  # noqa: PLR2004  three digits say enough
    return f"{value:,.{digits}f}{unit if unit == '/s' else ' ' + unit}"


def markdown(head: Sequence[str], lines: Iterable[Sequence[str]]) -> str:
    """Return a Markdown table with aligned columns, which reads well on a terminal too."""
    table = [head, *lines]
    widths = [max(len(line[column]) for line in table) for column in range(len(head))]
    text = [
        "| " + " | ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)) + " |" for line in table
    ]
    text.insert(1, "|" + "|".join("-" * (width + 2) for width in widths) + "|")
    return "\n".join(text)


def side_by_side(rows: Iterable[Row]) -> str:
    """Return the table of ratios; a target is that of a row's first comparison."""
    lines, seen = [], set()
    for row in rows:
        ratio, low, high = _middle(row.ratios, "{:.0%}".format) if row.ratios else ("", "", "")
        other = f"{number(median(row.other), row.unit)}, {row.against}" if row.other else ""
        if not row.ratios:
            _, low, high = _middle(row.ours, lambda one: number(one, row.unit))  # noqa: B023  used at once
        p50, p99 = ("" if one is None else f"{one:.1f}" for one in (row.p50, row.p99))
        spread = low if low == high else f"{low} – {high}"
        ours, verdict = number(median(row.ours), row.unit), "" if row.what in seen else row.verdict
        lines.append((row.what, ours, other, ratio, spread, p50, p99, verdict))
        seen.add(row.what)
    return markdown(("", "ours", "against", "ratio", "range", "p50 ms", "p99 ms", "target"), lines)


def _middle(values: Sequence[float], form: Callable[[float], str]) -> tuple[str, str, str]:
    return form(median(values)), form(min(values)), form(max(values))


def growth(rows: Iterable[Row]) -> str:
    """Return the rows that were measured at several sizes: p99 where there is one, else ours, and last ÷ first."""
    found: dict[str, dict[int, Row]] = {}
    for row in rows:
        if row.size:
            found.setdefault(row.what, {}).setdefault(row.size, row)
    sizes = sorted({size for one in found.values() for size in one})
    lines = []
    for what, one in found.items():
        if len(one) > 1:
            values = {size: row.p99 or median(row.ours) for size, row in one.items()}
            unit = "ms" if next(iter(one.values())).p99 else next(iter(one.values())).unit
            name = f"{what}, p99" if unit == "ms" else what
            cells = [number(values[size], unit) if size in values else "" for size in sizes]
            factor = values[max(values)] / values[min(values)]
            flat = "" if unit != "ms" else f"≤ {FLAT}: {'met' if factor <= FLAT else '**missed**'}"
            lines.append((name, *cells, f"{factor:.2f}", flat))
    head = ("", *(f"{size:,}" for size in sizes), "last ÷ first", "target")
    return markdown(head, lines) if lines else ""


def write_section(page: Path, name: str, text: str) -> None:
    """Put a generated text between the markers of that name in a page; the rest of it is written by hand."""
    begin, end = f"<!-- {name} -->", f"<!-- end of {name} -->"
    old = page.read_text(encoding="utf-8")
    new, count = re.subn(f"{begin}.*?{end}", lambda _: f"{begin}\n{text}\n{end}", old, flags=re.DOTALL)
    if count != 1:
        raise ValueError(f"{page.name} needs the markers {begin} and {end} once")
    page.write_text(new, encoding="utf-8")
