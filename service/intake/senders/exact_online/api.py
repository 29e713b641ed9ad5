"""Exact Online's API: a document with its lines, or all lines of an entry, read back."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

import httpx

from service.domain.calendar import parse_instant
from service.intake.senders import oauth
from service.intake.senders.contract import Ignored, MalformedError, Source, Statement, UnavailableError, Wanted
from service.intake.senders.exact_online.rules import LINES, wall_clock
from service.intake.senders.fields import dig, json_of, list_of, object_of

GUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
TOPICS = {"SalesInvoices": "invoice", "SalesOrders": "order", "FinancialTransactions": "entry"}
_WHERE = {
    "invoice": ("salesinvoice/SalesInvoices", "InvoiceID", "SalesInvoiceLines"),
    "order": ("salesorder/SalesOrders", "OrderID", "SalesOrderLines"),
    "entry": ("financialtransaction/TransactionLines", "EntryID", ""),
}
_DOCUMENT = (
    "Status", "Currency", "AmountFCExclVat", "Created", "Modified", "YourRef", "Description", "OrderedBy",
    "SalesChannelCode", "SelectionCodeCode", "OrderNumber", "PaymentReference",
)  # fmt: skip
_FIELDS = {
    "invoice": (*_DOCUMENT, "InvoiceID", "InvoiceNumber", "InvoiceDate", "DueDate", "Type", "VATAmountFC"),
    "order": (*_DOCUMENT, "OrderID", "OrderDate", "ApprovalStatus"),
    "entry": ("EntryID", "ID", "EntryNumber", "Date", "Type", "GLAccountCode", "AmountDC", "AccountCode", "Modified",
              "Created", "CostUnit", "CostCenter", "ProjectCode"),
}  # fmt: skip
_OF_LINES = {
    "invoice": ("SalesOrderNumber", "CostUnit", "CostCenter"),
    "order": ("CostUnit", "CostCenter", "ProjectCode"),
    "entry": (),
}
_MAX_PAGES = 50


def known(sort: str) -> list[str]:
    """Return the fields that are read of a sort of record and of its lines."""
    return sorted({*_FIELDS[sort], *_OF_LINES[sort]})


def url(sort: str, key: str, division: str, source: Source) -> str:
    """Return where a record is read back: as the mapping says, whatever a message names."""
    path, identity, lines = _WHERE[sort]
    select = [*_FIELDS[sort], *(f"{lines}/{one}" for one in _OF_LINES[sort])]
    wanted = quote(f"{identity} eq guid'{key}'")
    query = f"$filter={wanted}&$select={','.join(select)}"
    query += f"&$expand={lines}" if lines else ""
    return f"{source.mapping['api_url'].rstrip('/')}/api/v1/{quote(division, safe='')}/{path}?{query}"


async def fetch(wanted: Wanted, source: Source, client: httpx.AsyncClient) -> Statement | Ignored:
    """Read a record back, as of its own last change."""
    sort = wanted.record.partition(":")[0]
    rows = await _rows(wanted.url, source, client)
    if not rows:
        return Ignored(f"{wanted.record} is no longer there to be read back")
    if sort == "entry":
        fields: dict[str, Any] = {LINES: [_some(one, _FIELDS[sort]) for one in rows]}
    else:
        lines = _listed(rows[0].get(_WHERE[sort][2]), "lines")
        fields = {**_some(rows[0], _FIELDS[sort]), LINES: [_some(one, _OF_LINES[sort]) for one in lines]}
    zone = source.mapping["timezone"]
    changes = [at for one in rows if (at := wall_clock(one.get("Modified"), "Modified", zone))]
    at = max(changes, key=parse_instant, default=wanted.at)
    return Statement(wanted.record, wanted.key, at, "", wanted.verb, fields)


async def _rows(where: str, source: Source, client: httpx.AsyncClient) -> list[dict[str, Any]]:
    """Return all rows of a query, page by page."""
    found: list[dict[str, Any]] = []
    following = where
    for _ in range(_MAX_PAGES):
        page = dig(await _get(following, source, client), "d")
        found += _listed(page, "d")
        more = dig(page, "__next")
        if more is None:
            return found
        following = oauth.next_page(more, where, "__next")
    raise MalformedError(f"more than {_MAX_PAGES} pages of lines")


def _listed(value: Any, what: str) -> list[dict[str, Any]]:
    """Return the rows of an answer: a list, or an object with `results`."""
    several = dig(value, "results") if isinstance(value, dict) else value
    return [object_of(one, what) for one in list_of(several or [], what)]


def _some(row: Mapping[str, Any], names: tuple[str, ...]) -> dict[str, Any]:
    return {name: row[name] for name in names if name in row}


async def _get(where: str, source: Source, client: httpx.AsyncClient) -> Any:
    token = await oauth.rotating(client, source, f"{source.mapping['api_url'].rstrip('/')}/api/oauth2/token")
    answer = await client.get(where, headers={**token, "Accept": "application/json"})
    code = answer.status_code
    if code == httpx.codes.UNAUTHORIZED:
        oauth.forget(source)
    if code in (httpx.codes.UNAUTHORIZED, httpx.codes.FORBIDDEN):
        raise UnavailableError(f"Exact Online refuses the token ({code}): check the app's rights in this division")
    if code == httpx.codes.TOO_MANY_REQUESTS or answer.is_server_error:
        raise UnavailableError(f"Exact Online answered {code}")
    if not answer.is_success:
        raise MalformedError(f"Exact Online answered {code} to {where.partition('?')[0]}: check division and api_url")
    return json_of(answer.content)
