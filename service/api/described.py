"""`/docs`: what `/openapi.json` says, as a page to read. It is made here, and needs neither a script nor another host."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from html import escape
from typing import Any

_STYLE = """
:root { color-scheme: light dark; font: 16px/1.5 system-ui, sans-serif }
body { max-width: 60rem; margin: 2rem auto; padding: 0 1rem }
h2 { margin-top: 2.5rem; text-transform: capitalize }
details { border: 1px solid #8886; border-radius: .4rem; margin: .4rem 0; padding: .4rem .8rem }
summary { cursor: pointer } summary span { opacity: .75 }
code, pre { font: .9rem/1.4 ui-monospace, monospace } pre { overflow-x: auto; white-space: pre-wrap }
b { display: inline-block; min-width: 4.5rem }
table { border-collapse: collapse; width: 100% } td, th { text-align: left; vertical-align: top; padding: .2rem .8rem .2rem 0 }
"""
_METHODS = ("get", "post", "put", "patch", "delete", "options", "head")


def page(description: Mapping[str, Any]) -> str:
    """Return an API description as HTML."""
    info = description["info"]
    title = escape(info["title"])
    body = "".join(_body(description))
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{title}</title>'
        f'<meta name="viewport" content="width=device-width"><style>{_STYLE}</style></head><body><h1>{title} '
        f"{escape(info['version'])}</h1><p>{_text(info.get('description', ''))}</p>"
        f'<p>For programs: <a href="openapi.json">openapi.json</a></p>{body}</body></html>'
    )


def _body(description: Mapping[str, Any]) -> Iterator[str]:
    groups: dict[str, list[str]] = {}
    for path, operations in description["paths"].items():
        for method in _METHODS:
            if (operation := operations.get(method)) is not None:
                groups.setdefault(operation.get("tags", ["others"])[0], []).append(_operation(method, path, operation))
    for name, operations in groups.items():
        yield f"<h2>{escape(name)}</h2>{''.join(operations)}"
    yield "<h2>Schemas</h2>"
    for name, schema in description["components"]["schemas"].items():
        told = schema.get("description", "")
        yield _details(name, f"<code>{escape(name)}</code> <span>{_text(told)}</span>", f"<pre>{_linked(schema)}</pre>")


def _operation(method: str, path: str, operation: Mapping[str, Any]) -> str:
    head = f"<b>{method.upper()}</b><code>{escape(path)}</code> <span>{_text(operation.get('summary', ''))}</span>"
    parts = [f"<p>{_text(operation.get('description', ''))}</p>"]
    rows = [
        (
            f"{one['name']} ({one['in']}{', required' if one.get('required') else ''})",
            one.get("description", ""),
            one["schema"],
        )
        for one in operation.get("parameters", ())
    ]
    parts += [_table("Parameters", rows)] if rows else []
    for title, contents in _contents(operation):
        parts.append(_table(title, contents))
    return _details(operation.get("operationId", ""), head, "".join(parts))


def _contents(operation: Mapping[str, Any]) -> Iterator[tuple[str, list[tuple[str, str, Any]]]]:
    if body := operation.get("requestBody"):
        yield "Body", [(media, "", one.get("schema")) for media, one in body["content"].items()]
    rows = []
    for status, answer in operation["responses"].items():
        schemas = [one.get("schema") for one in answer.get("content", {}).values()] or [None]
        rows.append((status, answer.get("description", ""), schemas[0]))
    yield "Answers", rows


def _table(title: str, rows: list[tuple[str, str, Any]]) -> str:
    lines = "".join(
        f"<tr><td><code>{escape(name)}</code></td><td>{_text(told)}</td><td><code>{_linked(schema or {})}</code></td></tr>"
        for name, told, schema in rows
    )
    return f"<h4>{title}</h4><table>{lines}</table>"


def _details(identity: str, head: str, body: str) -> str:
    return f'<details id="{escape(identity)}"><summary>{head}</summary>{body}</details>'


def _text(text: str) -> str:
    """Return text as HTML, with what stands in backquotes as code."""
    parts = escape(text).split("`")
    return "".join(f"<code>{one}</code>" if number % 2 else one for number, one in enumerate(parts))


def _linked(schema: Any) -> str:
    """Return a schema as JSON whose references lead to what they name."""
    shown = {key: one for key, one in schema.items() if key not in ("title", "description")}
    if not shown:
        return ""
    text = escape(json.dumps(shown, indent=1, ensure_ascii=False))
    begin, *rest = text.split("#/components/schemas/")
    named = (one.partition("&quot;") for one in rest)
    return begin + "".join(f'<a href="#{name}">{name}</a>&quot;{more}' for name, _, more in named)
