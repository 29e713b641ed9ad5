"""Lines over days: what has come together by each day, and the day on which one line reaches the other."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import date
from typing import NamedTuple

from service.charts.scales import Scale, ticks
from service.charts.svg import Words, element, fill, linked, picture, stroke, text

_TOP, _BOTTOM = 30, 24
_ROOM_FOR_A_LABEL = 46  # pixels between the labels of months


class Point(NamedTuple):
    """What a line stands at on a day; with a title it is a mark, and a link where there is somewhere to go."""

    day: int  # as date.toordinal()
    value: float
    title: str = ""
    href: str | None = None


class Line(NamedTuple):
    """One line: its name, which stands at it too, its paint, and dashes where it is not drawn through."""

    name: str
    points: Sequence[Point]
    paint: str = "good"
    dash: str | None = None


class Mark(NamedTuple):
    """A day that is marked, with words, at a value."""

    day: int
    value: float
    words: str


class Axis(NamedTuple):
    """How values and months are written, and the days that are shown."""

    since: int
    until: int
    value: Callable[[float], str]
    month: Callable[[date], str]


def cumulative(
    lines: Sequence[Line],
    axis: Axis,
    words: Words,
    mark: Mark | None = None,
    *,
    width: float = 560,
    height: float = 260,
) -> str:
    """Draw lines in steps, from day to day."""
    values = [point.value for line in lines for point in line.points] or [0.0]
    levels = ticks(min(0.0, *values), max(0.0, *values) or 1.0)
    labels = [axis.value(level) for level in levels]
    left = 8 + 6.6 * max(map(len, labels))
    x = Scale(axis.since, axis.until, left, width - 6)
    y = Scale(levels[0], levels[-1], height - _BOTTOM, _TOP)
    parts = [
        _level(left, width, y.at(level), label, zero=level == 0) for level, label in zip(levels, labels, strict=True)
    ]
    parts += _months(axis, x, height)
    if mark is not None:
        parts.append(_marked(mark, x, y, width))
    for line in lines:
        parts.append(element("path", {"d": _steps(line.points, x, y, axis), **stroke(line.paint, 2, line.dash)}))
        parts += [_dot(point, line, x, y) for point in line.points if point.title]
    if mark is not None:
        dot = {"cx": x.at(mark.day), "cy": y.at(mark.value), "r": 4, "stroke-width": 2}
        parts.append(element("circle", {**dot, **stroke("ink", 2), "fill": "none"}))
    parts += _legend(lines, left)
    return picture(width, height, words, parts)


def _level(left: float, width: float, y: float, label: str, *, zero: bool) -> str:
    line = element("line", {"x1": left, "x2": width - 4, "y1": y, "y2": y, **stroke("axis" if zero else "grid")})
    return line + text(label, left - 6, y + 4, anchor="end", size=11)


def _months(axis: Axis, x: Scale, height: float) -> list[str]:
    """Label the beginnings of months, as many as there is room for."""
    first, last = date.fromordinal(axis.since), date.fromordinal(axis.until)
    count = (last.year - first.year) * 12 + last.month - first.month + 1
    step = next((one for one in (1, 2, 3, 6, 12, 24, 60) if (x.end - x.start) / count * one >= _ROOM_FOR_A_LABEL), 120)
    found = []
    for number in range(0, count, step):
        year, month = divmod(first.year * 12 + first.month - 1 + number, 12)
        day = max(date(year, month + 1, 1).toordinal(), axis.since)
        place = x.at(day)
        anchor = "end" if place > x.end - 16 else "start"
        tick = element(
            "line", {"x1": place, "x2": place, "y1": height - _BOTTOM, "y2": height - _BOTTOM + 4, **stroke("axis")}
        )
        found.append(tick + text(axis.month(date.fromordinal(day)), place, height - 6, anchor=anchor, size=11))
    return found


def _marked(mark: Mark, x: Scale, y: Scale, width: float) -> str:
    place = x.at(mark.day)
    line = element("line", {"x1": place, "x2": place, "y1": _TOP - 6, "y2": y.start, **stroke("ink", 1, "2 3")})
    right = place < width / 2
    return line + text(
        mark.words, place + (5 if right else -5), _TOP + 4, paint="ink", bold=True, anchor="start" if right else "end"
    )


def _steps(points: Sequence[Point], x: Scale, y: Scale, axis: Axis) -> str:
    path = f"M{x.at(axis.since):.1f} {y.at(0):.1f}"
    for point in points:
        path += f"H{x.at(point.day):.1f}V{y.at(point.value):.1f}"
    return f"{path}H{x.at(axis.until):.1f}" if points and points[-1].day < axis.until else path


def _dot(point: Point, line: Line, x: Scale, y: Scale) -> str:
    place = {"cx": x.at(point.day), "cy": y.at(point.value)}
    dot = element("circle", {**place, "r": 2.6, **fill(line.paint)})
    target = element("circle", {**place, "r": 9, "fill": "transparent"})
    return linked(point.href, point.title, dot, target)


def _legend(lines: Sequence[Line], left: float) -> list[str]:
    found, place = [], left
    for line in lines:
        found.append(
            element("line", {"x1": place, "x2": place + 18, "y1": 10, "y2": 10, **stroke(line.paint, 2.5, line.dash)})
        )
        found.append(text(line.name, place + 24, 14, paint=line.paint, bold=True, size=12))
        place += 24 + 7.2 * len(line.name) + 18
    return found
