"""Bars beside figures: what is left over or missing, a share of a whole, a median with its 90th percentile; and sparklines."""

from __future__ import annotations

from collections.abc import Sequence

from service.charts.scales import Scale
from service.charts.svg import element, fill, picture, stroke

_HEIGHT, _BAR = 16, 10


def signed(value: float | None, lowest: float, highest: float, width: float = 96) -> str:
    """Draw a bar from zero to the right or the left; the same lowest and highest for all rows of a table."""
    scale = Scale(min(lowest, 0), max(highest, 0), 1, width - 1)
    zero = scale.at(0)
    axis = element("line", {"x1": zero, "x2": zero, "y1": 1, "y2": _HEIGHT - 1, **stroke("axis")})
    if value is None:
        return picture(width, _HEIGHT, None, [axis], style="bar")
    end = scale.at(value)
    long = max(abs(end - zero), 1.0 if value else 0.0)
    left = zero if value >= 0 else zero - long
    paint = "good" if value >= 0 else "bad"
    bar = element("rect", {"x": left, "y": (_HEIGHT - _BAR) / 2, "width": long, "height": _BAR, "rx": 1, **fill(paint)})
    return picture(width, _HEIGHT, None, [bar, axis], style="bar")


def share(value: float | None, width: float = 96) -> str:
    """Draw a share of a whole on a track; more than the whole fills it."""
    top = (_HEIGHT - _BAR) / 2
    track = element("rect", {"x": 0, "y": top, "width": width, "height": _BAR, "rx": 2, **fill("track")})
    part = max(0.0, min(value or 0.0, 1.0)) * width
    bar = (
        [element("rect", {"x": 0, "y": top, "width": max(part, 1.5), "height": _BAR, "rx": 2, **fill("good")})]
        if value
        else []
    )
    return picture(width, _HEIGHT, None, [track, *bar], style="bar")


def lengths(median: float | None, p90: float | None, longest: float, width: float = 130) -> str:
    """Draw a median as a bar and a 90th percentile as a mark, on a track that is as long as the longest of all rows."""
    top, scale = (_HEIGHT - _BAR) / 2, Scale(0, longest, 0, width - 2)
    parts = [element("rect", {"x": 0, "y": top, "width": width, "height": _BAR, "rx": 2, **fill("track")})]
    if median is not None:
        parts.append(
            element(
                "rect", {"x": 0, "y": top, "width": max(scale.at(median), 1.5), "height": _BAR, "rx": 2, **fill("good")}
            )
        )
    if p90 is not None:
        parts.append(element("rect", {"x": scale.at(p90), "y": 1, "width": 2, "height": _HEIGHT - 2, **fill("ink")}))
    return picture(width, _HEIGHT, None, parts, style="bar")


def spark(values: Sequence[float | None], paint: str = "good", width: float = 120, height: float = 26) -> str:
    """Draw how a figure went from period to period; a gap where it is not known, a dot at the last one."""
    known = [one for one in values if one is not None]
    if not known:
        return picture(width, height, None, [], style="spark")
    x, y = Scale(0, max(len(values) - 1, 1), 3, width - 3), Scale(min(*known, 0), max(*known, 0), height - 3, 3)
    base = element("line", {"x1": 0, "x2": width, "y1": y.at(0), "y2": y.at(0), **stroke("grid")})
    lines, path = [], ""
    for number, value in enumerate(values):
        if value is None:
            path = ""
            continue
        path += f"{'L' if path else 'M'}{x.at(number):.1f} {y.at(value):.1f}"
        if number + 1 == len(values) or values[number + 1] is None:
            lines.append(element("path", {"d": path, "stroke-linejoin": "round", **stroke(paint, 1.5)}))
    last = max(number for number, value in enumerate(values) if value is not None)
    dot = element("circle", {"cx": x.at(last), "cy": y.at(values[last] or 0), "r": 2.2, **fill(paint)})
    return picture(width, height, None, [base, *lines, dot], style="spark")
