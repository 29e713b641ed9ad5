"""From notifications to what they want read back, and from documents of the API to statements."""

from __future__ import annotations

import re
from collections.abc import Mapping
from hashlib import sha256
from typing import Any
from urllib.parse import parse_qs, quote

import httpx

from service.domain.catalogue import shown
from service.intake.senders import oauth
from service.intake.senders.contract import (
    Fetched,
    Ignored,
    MalformedError,
    Request,
    Source,
    Statement,
    UnavailableError,
    Unreadable,
    Wanted,
)
from service.intake.senders.fields import identifier, instant, json_of, list_of, object_of, text

_SETS = {
    "salesInvoices": "salesInvoice", "salesCreditMemos": "salesCreditMemo", "salesOrders": "salesOrder",
    "purchaseInvoices": "purchaseInvoice", "salesQuotes": "salesQuote",
}  # fmt: skip
_FIELDS = (
    "id", "number", "externalDocumentNumber", "postingDate", "currencyCode", "totalAmountExcludingTax", "totalTaxAmount",
    "status", "lastModifiedDateTime", "shortcutDimension1Code", "shortcutDimension2Code",
)  # fmt: skip
_MORE = {
    "salesInvoice": (
        "totalAmountIncludingTax",
        "dueDate",
        "customerNumber",
        "orderId",
        "orderNumber",
        "customerPurchaseOrderReference",
    ),
    "salesCreditMemo": ("customerNumber", "invoiceId", "invoiceNumber"),
    "salesOrder": ("orderDate", "customerNumber"),
    "purchaseInvoice": ("vendorNumber", "vendorInvoiceNumber"),
    "salesQuote": ("sentDate", "acceptedDate", "validUntilDate"),
}
_WITHOUT = {
    "purchaseInvoice": ("externalDocumentNumber",),
    "salesQuote": ("postingDate", "shortcutDimension1Code", "shortcutDimension2Code"),
}  # fields that one of the resources does not have
_WITH_CAMPAIGN = ("salesOrder", "purchaseInvoice")
_GUID = r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}"
COMPANY = re.compile(rf".+/companies\(({_GUID})\)")
_RESOURCE = re.compile(rf"(?:.*/)?api/v2\.0/companies\(({_GUID})\)/(\w+)(?:\(({_GUID})\))?(?:\?(.*))?", re.DOTALL)
_MAX_PAGES = 1_000
_MAX_DOCUMENTS = 20_000
_PAGE = {"Accept": "application/json", "Prefer": "odata.maxpagesize=500"}


def items(request: Request) -> list[Any]:
    """Return the notifications of a body."""
    body = object_of(json_of(request.body.removeprefix(b"\xef\xbb\xbf")), "body")
    return list_of(body.get("value"), "value")


def read(request: Request, source: Source) -> list[Statement | Ignored | Unreadable | Wanted]:
    """Return what each notification wants read back; one that cannot be read does not spoil the others."""
    parts: list[Statement | Ignored | Unreadable | Wanted] = []
    for number, item in enumerate(items(request)):
        try:
            parts.append(_part(object_of(item, f"value[{number}]"), source))
        except MalformedError as error:
            parts.append(Unreadable(f"value[{number}]: {error}"))
    return parts or [Ignored("there is no notification in it")]


def _part(item: Mapping[str, Any], source: Source) -> Statement | Ignored | Wanted:
    resource, change = text(item.get("resource"), "resource") or "", item.get("changeType")
    match = _RESOURCE.fullmatch(resource)
    if match is None or match[2] not in _SETS:
        return Ignored(f"{shown(resource)} states nothing that is counted")
    company, several, identity, query = match.groups()
    name, at = _SETS[several], instant(item.get("lastModifiedDateTime"), "lastModifiedDateTime")
    if at is None:
        raise MalformedError("lastModifiedDateTime: expected a time such as 2026-03-01T09:30:00Z, got nothing")
    url = source.mapping["company_url"]
    ours = COMPANY.fullmatch(url) if url else None
    if ours and ours[1].lower() != company.lower():
        return Ignored(f"{resource} is of another company than company_url: make a source for each")
    select = f"$select={','.join(selected(name))}" + ("&$expand=dimensionSetLines" if name in _WITH_CAMPAIGN else "")
    if change == "collection":
        wanted = parse_qs(query or "").get("$filter", [""])[0]
        if not wanted:
            raise MalformedError("resource: expected a $filter in that of a collection, got none")
        key = f"collection/{several}/{at}/{sha256(wanted.encode()).hexdigest()[:24]}"
        where = f"{url}/{several}?$filter={quote(wanted)}&{select}" if url else ""
        return Wanted(f"collection:{several}", key, at, "", change, where, many=True)
    record = f"{name}:{identifier(identity, 'id in resource').lower()}"
    if change == "deleted":
        if name != "salesOrder":
            return Ignored(f"a deleted {name} keeps what it gave: posted documents are corrected by others")
        return Statement(record, f"{record}/deleted/{at}", at, "1", "deleted", {"@deleted": True})
    if change not in ("created", "updated"):
        raise MalformedError(f"changeType: expected created, updated, deleted or collection, got {shown(change)}")
    return Wanted(record, f"{record}/{at}", at, "", str(change), f"{url}/{several}({identity})?{select}" if url else "")


def selected(name: str) -> list[str]:
    """Return the fields that are read of a sort of document."""
    return [one for one in (*_FIELDS, *_MORE[name]) if one not in _WITHOUT.get(name, ())]


async def fetch(wanted: Wanted, source: Source, client: httpx.AsyncClient) -> Fetched:
    """Read a document back, or all documents of a collection."""
    if not wanted.url:
        raise MalformedError("company_url is not in the mapping: documents cannot be read back")
    if not wanted.many:
        document = await _get(client, source, wanted.url)
        if document is None:
            return Ignored(f"{wanted.record} is no longer there")
        return _stated(wanted.record.partition(":")[0], document, wanted)
    found: list[Statement | Ignored] = []
    name, url = _SETS[wanted.record.partition(":")[2]], wanted.url
    for _ in range(_MAX_PAGES):
        page = await _get(client, source, url) or {}
        documents = list_of(page.get("value"), "value")
        if len(found) + len(documents) > _MAX_DOCUMENTS:
            raise MalformedError(f"{wanted.record}: more than {_MAX_DOCUMENTS} documents; its filter is too wide")
        found += [_stated(name, object_of(one, "value"), wanted) for one in documents]
        following = page.get("@odata.nextLink")
        if following is None:
            return found or [Ignored(f"{wanted.record} has nothing that fits its filter any more")]
        url = oauth.next_page(following, wanted.url, "@odata.nextLink")
    raise MalformedError(f"{wanted.record}: more than {_MAX_PAGES} pages; its filter is too wide")


async def _get(client: httpx.AsyncClient, source: Source, url: str) -> dict[str, Any] | None:
    """Return a JSON object of the API; None if it is not there. A token that is refused is had anew, once."""
    for last in (False, True):
        response = await client.get(url, headers={**_PAGE, **await _token(client, source)})
        if response.status_code != httpx.codes.UNAUTHORIZED or last:
            break
        oauth.forget(source)
    code = response.status_code
    if code == httpx.codes.NOT_FOUND:
        return None
    if code in (httpx.codes.TOO_MANY_REQUESTS, httpx.codes.REQUEST_TIMEOUT) or response.is_server_error:
        raise UnavailableError(f"Business Central answered {code}")
    if not response.is_success:
        raise MalformedError(
            f"Business Central answered {code} to {url.partition('?')[0]}: check permissions and company_url"
        )
    return object_of(json_of(response.content), "the answer of Business Central")


async def _token(client: httpx.AsyncClient, source: Source) -> dict[str, str]:
    tenant, url = source.mapping["tenant"], source.mapping["token_url"]
    if url is None and tenant is None:
        raise MalformedError("tenant is not in the mapping: no token can be had to read documents back")
    usual = f"https://login.microsoftonline.com/{quote(tenant or '', safe='')}/oauth2/v2.0/token"
    return await oauth.bearer(client, source, url or usual, scope=source.mapping["scope"])


def _stated(name: str, document: Mapping[str, Any], wanted: Wanted) -> Statement:
    """Return what a document says, as of its own last change."""
    fields: dict[str, Any] = {field: _plain(document[field], field) for field in selected(name) if field in document}
    lines = [
        object_of(one, "dimensionSetLines")
        for one in list_of(document.get("dimensionSetLines") or [], "dimensionSetLines")
    ]
    fields["dimensions"] = {str(one.get("code")): _plain(one.get("valueCode"), "valueCode") for one in lines}
    record = f"{name}:{identifier(document.get('id'), 'id').lower()}"
    at = instant(document.get("lastModifiedDateTime"), "lastModifiedDateTime") or wanted.at
    return Statement(record, wanted.key, at, "0", wanted.verb, fields)


def _plain(value: Any, what: str) -> Any:
    if isinstance(value, dict | list):
        raise MalformedError(f"{what}: expected a text or a number, got {shown(value)}")
    return value
