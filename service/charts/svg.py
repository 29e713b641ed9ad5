"""SVG as text: elements, paints and scales."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from html import escape
from typing import NamedTuple

FONT = "system-ui, 'Segoe UI', Roboto, 'Helvetica Neue', 'DejaVu Sans', Arial, sans-serif"
PAINTS = {  # class → colour on white; at least 3:1 for marks, 4.5:1 for words
    "good": "#0b6e5f",
    "bad": "#b3261e",
    "cost": "#b0480f",
    "ink": "#16191d",
    "muted": "#59626d",
    "grid": "#dfe3e8",
    "track": "#eceff2",
    "axis": "#7b8490",
    "paper": "#ffffff",
}
Attributes = Mapping[str, "str | float | int | None"]


class Words(NamedTuple):
    """What a chart says of itself to who cannot see it: a title, and a summary in a sentence or two."""

    title: str
    summary: str = ""


def element(name: str, attributes: Attributes, *children: str) -> str:
    """Return an element; an attribute that is None is left out. Children are SVG, or text that is escaped already."""
    told = "".join(f' {key}="{_value(value)}"' for key, value in attributes.items() if value is not None)
    return f"<{name}{told}>{''.join(children)}</{name}>" if children else f"<{name}{told}/>"


def _value(value: str | float) -> str:
    return escape(value) if isinstance(value, str) else number(value)


def number(value: float) -> str:
    """Write a coordinate: to a tenth of a pixel, and no zeros behind the point."""
    return f"{round(value, 1) + 0.0:g}"


def fill(paint: str) -> dict[str, str]:
    """Return the attributes of what is filled with a paint."""
    return {"class": f"f-{paint}", "fill": PAINTS[paint]}


def stroke(paint: str, width: float = 1, dash: str | None = None) -> dict[str, str | float | None]:
    """Return the attributes of a line in a paint."""
    return {
        "class": f"s-{paint}", "stroke": PAINTS[paint], "stroke-width": width, "stroke-dasharray": dash, "fill": "none",
    }  # fmt: skip


def text(
    words: str, x: float, y: float, *, paint: str = "muted", anchor: str = "start", size: float = 12, bold: bool = False
) -> str:
    """Return words at a place; `anchor` is start, middle or end."""
    look = {
        "text-anchor": None if anchor == "start" else anchor,
        "font-size": size,
        "font-weight": 600 if bold else None,
    }
    return element("text", {"x": x, "y": y, **look, **fill(paint)}, escape(words, quote=False))


def linked(href: str | None, title: str, *marks: str) -> str:
    """Return marks with a title, as a link where there is somewhere to go: a table has the same links for the keyboard."""
    told = element("title", {}, escape(title, quote=False)) if title else ""
    inner = (told, *marks)
    return element("a", {"href": href, "tabindex": "-1"}, *inner) if href else element("g", {}, *inner)


def picture(width: float, height: float, words: Words | None, children: Iterable[str], *, style: str = "") -> str:
    """Return a whole picture. Without words it stands beside a figure that says the same, and screen readers pass it over."""
    told = {"role": "group", "aria-label": words.title} if words else {"aria-hidden": "true"}
    frame = {
        "xmlns": "http://www.w3.org/2000/svg", "viewBox": f"0 0 {number(width)} {number(height)}", "width": width,
        "height": height, "class": f"chart {style}".strip(), "font-family": FONT if words else None, **told,
    }  # fmt: skip
    summary = [element("desc", {}, escape(words.summary, quote=False))] if words and words.summary else []
    return element("svg", frame, *summary, *children)
