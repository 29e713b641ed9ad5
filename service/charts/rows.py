"""Rows of a table as a picture: bars to the right and left for groups, columns for periods, with what stands beside them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from service.charts.scales import Scale, ticks
from service.charts.svg import Words, element, fill, linked, picture, stroke, text

_TOP, _ROW, _BAR, _GAP = 52, 26, 14, 12
_LETTER = 6.7  # pixels that a letter of a label takes, or more
_LONGEST = 34  # letters of a label
_MOST = 40  # rows of a picture
_HEIGHT, _BOTTOM = 320, 30


class Row(NamedTuple):
    """A row: its label, the value that is drawn and how it is written, and what it is compared with."""

    label: str
    value: float | None
    told: str
    before: float | None = None


def bars(rows: Sequence[Row], words: Words, told: str, *, more: str = "", width: float = 760) -> str:
    """Draw a bar per row, as many as there is room for; `more` is said of the others. `told` stands below the title."""
    shown = rows[:_MOST]
    known = [value for row in shown for value in (row.value, row.before) if value is not None]
    left = _GAP + _LETTER * max((len(_cut(row.label)) for row in shown), default=0)
    right = width - _GAP - _LETTER * max((len(row.told) for row in shown), default=0)
    scale = Scale(min(0.0, *known, 0.0), max(0.0, *known, 0.0), left + _GAP, right - _GAP)
    height = _TOP + _ROW * len(shown) + (24 if more and len(rows) > len(shown) else _GAP)
    zero = scale.at(0)
    parts = _heading(words, told)
    for number, row in enumerate(shown):
        y = _TOP + _ROW * number
        parts.append(text(_cut(row.label), left, y + 16, anchor="end", paint="ink"))
        parts.append(text(row.told, width - _GAP, y + 16, anchor="end", paint="ink"))
        if row.value is not None:
            end = scale.at(row.value)
            place = {"x": min(zero, end), "y": y + 5, "width": max(abs(end - zero), 1.0), "height": _BAR, "rx": 1}
            bar = element("rect", {**place, **fill("good" if row.value >= 0 else "bad")})
            parts.append(linked(None, f"{row.label}: {row.told}", bar))
        if row.before is not None:
            at = scale.at(row.before)
            parts.append(element("line", {"x1": at, "x2": at, "y1": y + 2, "y2": y + 22, **stroke("ink", 2)}))
    end_of_rows = _TOP + _ROW * len(shown)
    parts.append(element("line", {"x1": zero, "x2": zero, "y1": _TOP, "y2": end_of_rows, **stroke("axis")}))
    if more and len(rows) > len(shown):
        parts.append(text(more, left, end_of_rows + 16, anchor="end"))
    return picture(width, height, words, parts)


def columns(rows: Sequence[Row], words: Words, told: str, write: Callable[[float], str], *, width: float = 760) -> str:
    """Draw a column per row, one after the other; what it is compared with is a line across it."""
    known = [value for row in rows for value in (row.value, row.before) if value is not None] or [0.0]
    levels = ticks(min(0.0, *known), max(0.0, *known) or 1.0)
    labels = [write(level) for level in levels]
    left = _GAP + _LETTER * max(map(len, labels))
    y = Scale(levels[0], levels[-1], _HEIGHT - _BOTTOM, _TOP)
    parts = _heading(words, told)
    for level, label in zip(levels, labels, strict=True):
        place = {"x1": left, "x2": width - _GAP, "y1": y.at(level), "y2": y.at(level)}
        parts.append(element("line", {**place, **stroke("axis" if level == 0 else "grid")}))
        parts.append(text(label, left - 6, y.at(level) + 4, anchor="end", size=11))
    step = (width - _GAP - left) / max(len(rows), 1)
    each = max(1, int(_LETTER * max((len(row.label) for row in rows), default=1) / step) + 1)
    zero = y.at(0)
    for number, row in enumerate(rows):
        middle, wide = left + step * (number + 0.5), max(1.0, min(step * 0.7, 48))
        if row.value is not None:
            end = y.at(row.value)
            place = {"x": middle - wide / 2, "y": min(zero, end), "width": wide, "height": max(abs(end - zero), 1.0)}
            bar = element("rect", {**place, **fill("good" if row.value >= 0 else "bad")})
            parts.append(linked(None, f"{row.label}: {row.told}", bar))
        if row.before is not None:
            across = {
                "x1": middle - wide / 2 - 2,
                "x2": middle + wide / 2 + 2,
                "y1": y.at(row.before),
                "y2": y.at(row.before),
            }
            parts.append(element("line", {**across, **stroke("ink", 2)}))
        if number % each == 0:
            parts.append(text(row.label, middle, _HEIGHT - 10, anchor="middle", size=11))
    return picture(width, _HEIGHT, words, parts)


def _heading(words: Words, told: str) -> list[str]:
    return [text(words.title, _GAP, 20, paint="ink", bold=True, size=14), text(told, _GAP, 40)]


def _cut(label: str) -> str:
    return label if len(label) <= _LONGEST else f"{label[: _LONGEST - 1]}…"
