"""Reports by mail: the table in HTML with its chart, the same in plain text, and all of it as a workbook."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any, NamedTuple

import httpx

from service.domain.contributions import REPORTS
from service.notices.mail import Attachment
from service.notices.plan import MailedReport, Parameters

_MOST_ROWS = 50  # in the mail itself; the workbook has all
_MOST_FIGURES = 8  # where none are named
_NONE = "–"
_WITHOUT = {"campaign_id": "unattributed"}
_CELL = "padding:4px 10px;border-bottom:1px solid #dfe3e8;"


class Letter(NamedTuple):
    """What is mailed."""

    subject: str
    text: str
    html: str
    attachments: Sequence[Attachment]


async def letter(http: httpx.AsyncClient, mailed: MailedReport, asked: Parameters, link: str) -> Letter:
    """Return a report as a letter: its figures, chart and workbook are of one position."""
    path = f"/v1/reports/{mailed.report}"
    body = await _get(http, path, asked)
    found: dict[str, Any] = body.json()
    pinned = {**asked, "as_of": found["as_of"]["position"]}
    if "now" in found:
        pinned["now"] = found["now"]["at"]
    chart = (await _get(http, path, {**pinned, "format": "svg"})).text
    book = await _get(http, path, {**pinned, "format": "xlsx"})
    name = book.headers["content-disposition"].partition('filename="')[2].rstrip('"').partition('"')[0]
    table = _table(mailed, found)
    told = f"As of position {found['as_of']['position']}, in {found['currency']}. " + (
        f"{len(found['unconverted'])} amounts wait for a rate. " if found["unconverted"] else ""
    )
    more = len(found["rows"]) - _MOST_ROWS
    told += f"{more} more rows are in the workbook. " if more > 0 else ""
    return Letter(
        mailed.name, _as_text(mailed, table, told, link), _as_html(mailed, table, told, link, chart),
        [Attachment(name, book.headers["content-type"], book.content)],
    )  # fmt: skip


async def _get(http: httpx.AsyncClient, path: str, asked: Mapping[str, Any]) -> httpx.Response:
    answer = await http.get(path, params=dict(asked))
    if not answer.is_success:
        raise ValueError(f"{path}: {answer.json()['detail']}")
    return answer


def _table(mailed: MailedReport, found: Mapping[str, Any]) -> list[list[str]]:
    """Return the heading, the rows and the total, as words."""
    report, rows = REPORTS[mailed.report], found["rows"]
    figures = list(mailed.figures or [*report.figures][:_MOST_FIGURES])
    sample = rows[0] if rows else {}
    tops = {name.partition(".")[0] for name in report.figures}
    keys = [name for name in sample if name not in tops and name not in ("reasons", "compared", "change")]
    lines = [[*keys, *figures]]
    names = found["names"]
    for row in rows[:_MOST_ROWS]:
        labels = [
            str(names.get(row[key], row[key])) if row[key] is not None else _WITHOUT.get(key, _NONE) for key in keys
        ]
        lines.append([*labels, *(_written(row, figure) for figure in figures)])
    return [
        *lines,
        [
            *("total" if not number else "" for number in range(len(keys))),
            *(_written(found["total"], one) for one in figures),
        ],
    ]


def _written(row: Mapping[str, Any], figure: str) -> str:
    value: Any = row
    for part in figure.split("."):
        value = value.get(part) if isinstance(value, Mapping) else None
    if value is None:
        return _NONE
    if isinstance(value, int | float):
        return f"{value:,}"
    whole, point, fraction = str(value).partition(".")
    return f"{int(whole):,}{point}{fraction}" if whole.lstrip("-").isdigit() and whole != "-0" else str(value)


def _as_text(mailed: MailedReport, table: Sequence[Sequence[str]], told: str, link: str) -> str:
    lines = ["  ".join(cell or " " for cell in row) for row in table]
    return "\n".join([REPORTS[mailed.report].question, "", *lines, "", told, link, ""])


def _as_html(mailed: MailedReport, table: Sequence[Sequence[str]], told: str, link: str, chart: str) -> str:
    heads, *rows, total = table
    keys = len(heads) - len([one for one in heads if one in REPORTS[mailed.report].figures])

    def line(cells: Sequence[str], tag: str, look: str = "") -> str:
        made = (
            f'<{tag} style="{_CELL}text-align:{"left" if number < keys else "right"};{look}">{escape(cell)}</{tag}>'
            for number, cell in enumerate(cells)
        )
        return f"<tr>{''.join(made)}</tr>"

    anchor = f'<p><a href="{escape(link)}">{escape(link)}</a></p>' if link else ""
    return (
        f'<!doctype html><html><body style="font-family:sans-serif;color:#16191d">'
        f"<h1 style='font-size:18px'>{escape(mailed.name)}</h1>{chart}"
        f'<table style="border-collapse:collapse;font-size:13px"><thead>{line(heads, "th")}</thead>'
        f"<tbody>{''.join(line(row, 'td') for row in rows)}</tbody>"
        f"<tfoot>{line(total, 'td', 'font-weight:600;')}</tfoot></table><p>{escape(told)}</p>{anchor}</body></html>"
    )
