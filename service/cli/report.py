"""`report`: any report of the service as a table or a file, asked over HTTP with an API key."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import quote

import httpx
import typer

from service.cli import tables
from service.cli.common import say

_FORMATS = ("json", "csv", "xlsx", "parquet")
_BINARY = ("xlsx", "parquet")
_SECONDS = 120.0  # a read may take as long as the database lets it


def register(app: typer.Typer) -> None:
    """Add the command of this module."""
    example = "campaign-ledger report roi --group-by channel,month --from 2026-01-01 --to 2026-04-01 --compare previous"
    app.command(epilog=f"Example: {example}")(report)


def report(
    name: Annotated[str, typer.Argument(help="Which report; without one, all are listed.")] = "",
    group_by: Annotated[str | None, typer.Option(help="Up to three groups, with commas.")] = None,
    from_: Annotated[str | None, typer.Option("--from", metavar="YYYY-MM-DD", help="The first day.")] = None,
    to: Annotated[str | None, typer.Option(metavar="YYYY-MM-DD", help="The day after the last one.")] = None,
    filters: Annotated[
        list[str] | None,
        typer.Option("--filter", metavar="NAME=VALUE", help="Only what has it; again = any of them, empty = without one."),
    ] = None,
    figure: Annotated[
        list[str] | None, typer.Option(help="Show only this figure, as in `roi.booked`; may be given again.")
    ] = None,
    sort: Annotated[str | None, typer.Option(help="A figure; with - before it, falling, as in --sort=-roas.")] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="How many rows.")] = None,
    date_basis: Annotated[str | None, typer.Option(help="event or cohort.")] = None,
    include: Annotated[list[str] | None, typer.Option(help="A figure that rows have only if asked for.")] = None,
    compare: Annotated[str | None, typer.Option(help="previous, year, or YYYY-MM-DD,YYYY-MM-DD.")] = None,
    against_as_of: Annotated[str | None, typer.Option(help="Beside it what was known then.")] = None,
    as_of: Annotated[str | None, typer.Option(help="What was known then: a position or an RFC 3339 time.")] = None,
    now: Annotated[str | None, typer.Option(help="What is overdue and the like, as of an RFC 3339 time.")] = None,
    min_position: Annotated[int | None, typer.Option(min=0, help="Wait until this position is in the figures.")] = None,
    url: Annotated[str, typer.Option(envvar="CAMPAIGN_LEDGER_URL", help="Where the service is.")] = "http://127.0.0.1:8080",
    key: Annotated[
        str, typer.Option(envvar="CAMPAIGN_LEDGER_API_KEY", show_envvar=True, help="An API key; `keys create` makes one.")
    ] = "",
    form: Annotated[
        Literal["json", "csv", "xlsx", "parquet"] | None,
        typer.Option("--format", help="The answer as a file; by the ending of --output, if that has one."),
    ] = None,
    output: Annotated[Path | None, typer.Option(help="Write it there, instead of to standard output.")] = None,
    *,
    as_json: Annotated[bool, typer.Option("--json", help="The answer as JSON, indented.")] = False,
    as_csv: Annotated[bool, typer.Option("--csv", help="As --format csv.")] = False,
) -> None:  # fmt: skip
    """Show a report as a table, write it as a file, or list the reports."""
    if as_json + as_csv + (form is not None) > 1:
        raise ValueError("--json, --csv and --format say in which form: give one of them")
    wanted = "csv" if as_csv else form or _ending(output)
    if wanted and not name:
        raise ValueError(f"{wanted} is of a report: `campaign-ledger report` lists them")
    if output and not wanted:
        raise ValueError("--output: expected a name that ends in .csv, .xlsx, .parquet or .json, or --format")
    if figure and wanted not in (None, "csv"):
        raise ValueError("--figure chooses columns of the table and of CSV; other files have all of them")
    if not key:
        raise ValueError(
            "expected an API key in --key or CAMPAIGN_LEDGER_API_KEY: `campaign-ledger keys create` makes one"
        )
    stated = {
        "group_by": group_by, "from": from_, "to": to, "sort": sort, "limit": limit, "date_basis": date_basis,
        "include": include, "compare": compare, "against_as_of": against_as_of, "as_of": as_of, "now": now,
        "min_position": min_position,
    }  # fmt: skip
    asked = {one: value for one, value in stated.items() if value is not None}
    asked |= _filters(filters or [])
    with httpx.Client(base_url=url, headers={"Authorization": f"Bearer {key}"}, timeout=_SECONDS) as http:
        if wanted:
            content = _get(http, name, {**asked, "format": wanted}).content
            if figure:
                content = tables.chosen(content.decode(), _figures(http, name), figure).encode()
            return _write(content, output, wanted)
        found = _ask(http, name, asked) if name else _ask(http, "", {})
    if as_json:
        say(json.dumps(found, indent=2, ensure_ascii=False))
    elif name:
        tables.show_report(found, figure or ())
    else:
        tables.show_list(found)
    return None


def _ending(output: Path | None) -> str | None:
    """Return the format that a file's name ends in, if it is one."""
    ending = output.suffix.removeprefix(".").lower() if output else ""
    return ending if ending in _FORMATS else None


def _figures(http: httpx.Client, name: str) -> list[str]:
    """Return the names of the figures of a report."""
    return [
        one["name"] for report in _ask(http, "", {})["rows"] if report["name"] == name for one in report["measures"]
    ]


def _write(content: bytes, output: Path | None, form: str) -> None:
    """Write a file, or to standard output."""
    if output:
        output.write_bytes(content)
    elif form in _BINARY and sys.stdout.isatty():
        raise ValueError(f"a terminal shows no {form}: give --output, or send it to a file")
    else:
        sys.stdout.buffer.write(content)


def _filters(stated: list[str]) -> dict[str, list[str]]:
    """Read filters by name."""
    found: dict[str, list[str]] = {}
    for one in stated:
        name, equals, value = one.partition("=")
        if not equals:
            raise ValueError(f"--filter: expected NAME=VALUE, as in owner=REP-1, got {one}")
        found.setdefault(name, []).append(value)
    return found


def _ask(http: httpx.Client, name: str, asked: dict[str, Any]) -> dict[str, Any]:
    """Ask for a report, or for the list of them."""
    return dict(_get(http, name, asked).json())


def _get(http: httpx.Client, name: str, asked: dict[str, Any]) -> httpx.Response:
    """Get a report, or the list of them; an error says what the service says."""
    try:
        answer = http.get(f"/v1/reports/{quote(name, safe='')}" if name else "/v1/reports", params=asked)
    except httpx.TransportError as error:
        raise ConnectionError(
            f"no answer from {http.base_url} ({error}): --url or CAMPAIGN_LEDGER_URL says where"
        ) from None
    if answer.status_code == httpx.codes.NOT_FOUND and name:
        known = [one["name"] for one in _ask(http, "", {})["rows"]]
        raise LookupError(f"there is no report {name!r}, but {', '.join(known)}")
    if not answer.is_success:
        raise RuntimeError(f"{answer.status_code} {_told(answer)}")
    return answer


def _told(answer: httpx.Response) -> str:
    """Return what a problem says."""
    try:
        return str(answer.json()["detail"])
    except (ValueError, KeyError, TypeError):
        return answer.text.strip()[:500]
