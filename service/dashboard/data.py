"""What the page shows, as files: reads of the API for whoever may see the page, in whatever way they are signed in.

/ledgers/acme/data/reports/roi?format=xlsx      # is /v1/reports/roi?format=xlsx of that ledger
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from service.dashboard import access as entrance
from service.dashboard.desk import Desk
from service.dashboard.periods import Window
from service.domain.contributions import REPORTS
from service.domain.report import Report
from service.projections.sums.selection import Query, column_of
from service.store.ledgers import Access

FORMS = {"csv": "CSV", "xlsx": "Excel", "parquet": "Parquet", "json": "JSON"}
CHARTS = {"svg": "SVG", "png": "PNG"}
_PATH = "data/"


class _Handed(Response):
    """An answer that the API gives."""

    def __init__(self, request: Request, path: str, access: Access) -> None:
        self.background = None
        self._app = request.app
        self._changes = {"path": path, "raw_path": path.encode(), "admitted": access, "path_params": {}}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._app({**scope, **self._changes}, receive, send)


async def serve(request: Request) -> Response:
    """Hand a read on to the API, for the ledger and with the rights of the reader."""
    access = await entrance.reader(request)
    request.scope["exchange"].access = access
    return _Handed(request, "/v1/" + request.path_params["path"], access)


def downloads(
    desk: Desk, report: Report, groups: tuple[str, ...], sort: str = "", window: Window | None = None
) -> list[tuple[str, str]]:  # fmt: skip
    """Return (name, URL) of a report as files and charts: what is shown, as known at the position that it is shown as of."""
    known = REPORTS[report.name].figures
    asked: dict[str, Any] = {"group_by": ",".join(groups), "sort": sort if sort.removeprefix("-") in known else None}
    if "break_even_on" in report.on_request:
        asked["include"] = "break_even_on"
    return _urls(desk, f"reports/{report.name}", desk.query(report, *groups, window=window), asked, {**FORMS, **CHARTS})


def entries(desk: Desk, report: Report, measure: str) -> list[tuple[str, str]]:
    """Return the same of what makes up a figure; none of figures that the page alone has."""
    if REPORTS[report.name].additive(measure) is None:
        return []
    return _urls(desk, f"reports/{report.name}/entries", desk.query(report, "campaign"), {"measure": measure})


def _urls(
    desk: Desk, path: str, query: Query, asked: Mapping[str, Any], forms: Mapping[str, str] = FORMS
) -> list[tuple[str, str]]:  # fmt: skip
    given: dict[str, Any] = {
        "from": query.since and str(query.since), "to": query.until and str(query.until), "date_basis": query.basis,
        **desk.fixed, **asked,
        **{column_of(name): values for name, values in query.only},
    }  # fmt: skip
    bare = desk.state._replace(given={})
    return [(label, bare.url(f"{_PATH}{path}", **given, format=form)) for form, label in forms.items()]
