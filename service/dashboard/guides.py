"""The pages of docs/senders, for the page: what to click in each sending system. Of Markdown, what those pages use."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

from markupsafe import Markup, escape

_ITEM = re.compile(r"(\d+\.|-) +")
_INLINE = re.compile(r"`([^`]+)`|\*\*([^*]+)\*\*|\*([^*]+)\*|\[([^\]]+)\]\(([^)]+)\)")
_BEGINS = ("|", "```", "#")


def place(*names: str) -> Path:
    """Return a file of the docs that the service shows: beside the package, or in it where it is installed."""
    package = Path(__file__).parents[1]
    places = (package.parent / "docs", package / "_docs")
    return next(one for one in places if (one / "senders").is_dir()).joinpath(*names)


@cache
def guide(kind: str) -> Markup:
    """Return the page of a kind of sender, without its heading; nothing where there is none."""
    path = place("senders", f"{kind}.md")
    text = path.read_text(encoding="utf-8") if path.is_file() else ""
    return rendered(re.sub(r"\A# .*\n", "", text))


def rendered(text: str) -> Markup:
    """Return Markdown as HTML."""
    return Markup("").join(_blocks(text.splitlines()))


def _blocks(lines: list[str]) -> Iterator[Markup]:
    at = 0
    while at < len(lines):
        line = lines[at]
        if not line.strip():
            at += 1
        elif line.startswith("```"):
            end = next((n for n in range(at + 1, len(lines)) if lines[n].startswith("```")), len(lines))
            yield _code(lines[at + 1 : end])
            at = end + 1
        elif line.startswith("    "):
            end = _until(lines, at, lambda one: one.startswith("    ") or not one.strip())
            yield _code([one[4:] for one in lines[at:end]])
            at = end
        elif line.startswith("|"):
            end = _until(lines, at, lambda one: one.startswith("|"))
            yield _table(lines[at:end])
            at = end
        elif _ITEM.match(line):
            at, made = _list(lines, at)
            yield made
        elif line.startswith("#"):
            yield Markup("<h3>{}</h3>").format(_inline(line.lstrip("# ")))
            at += 1
        else:
            end = _until(
                lines, at, lambda one: bool(one.strip()) and not one.startswith(_BEGINS) and not _ITEM.match(one)
            )
            end = max(end, at + 1)
            yield Markup("<p>{}</p>").format(_inline(" ".join(lines[at:end])))
            at = end


def _until(lines: list[str], at: int, holds: Callable[[str], bool]) -> int:
    """Return the first line from `at` on for which something does not hold."""
    while at < len(lines) and holds(lines[at]):
        at += 1
    return at


def _list(lines: list[str], at: int) -> tuple[int, Markup]:
    """Return the line behind a list, and the list: items may have blocks in them, which are indented."""
    first = _ITEM.match(lines[at])
    assert first is not None  # noqa: S101  whoever calls has looked
    items = []
    while at < len(lines) and (begin := _ITEM.match(lines[at])):
        width, end = len(begin[0]), at + 1
        while end < len(lines) and (not lines[end].strip() or lines[end].startswith(" " * min(width, 2))):
            end += 1
        inside = [
            lines[at][width:],
            *(one[width:] if one.startswith(" " * width) else one.lstrip() for one in lines[at + 1 : end]),
        ]
        items.append(Markup("<li>{}</li>").format(Markup("").join(_blocks(inside))))
        at = end
    made = Markup("<ol>{}</ol>") if first[1] != "-" else Markup("<ul>{}</ul>")
    return at, made.format(Markup("").join(items))


def _table(lines: list[str]) -> Markup:
    rows = [[cell.strip() for cell in re.split(r"(?<!\\)\|", line.strip().strip("|"))] for line in lines]
    head, *body = [
        row for row in rows if not all(re.fullmatch(r":?-*:?", cell) for cell in row if cell) or not any(row)
    ]
    made = Markup("<table><thead><tr>{}</tr></thead><tbody>{}</tbody></table>")
    return made.format(
        Markup("").join(Markup('<th scope="col">{}</th>').format(_inline(cell)) for cell in head),
        Markup("").join(
            Markup("<tr>{}</tr>").format(Markup("").join(Markup("<td>{}</td>").format(_inline(cell)) for cell in row))
            for row in body
        ),
    )


def _code(lines: list[str]) -> Markup:
    return Markup('<pre class="sent" tabindex="0">{}</pre>').format("\n".join(lines).strip("\n"))


def _inline(text: str) -> Markup:
    made, at = Markup(""), 0
    for found in _INLINE.finditer(text):
        made += escape(text[at : found.start()])
        code, strong, weak, label, url = found.groups()
        if code is not None:
            made += Markup("<code>{}</code>").format(code)
        elif strong or weak:
            around = Markup("<strong>{}</strong>") if strong else Markup("<em>{}</em>")
            made += around.format(_inline(strong or weak))
        elif url.startswith("https://"):
            made += Markup('<a href="{}" rel="noreferrer">{}</a>').format(url, label)
        else:
            made += escape(label)  # another page of the docs, which is not here
        at = found.end()
    return made + escape(text[at:])
