"""A lead-to-cash story of Business Central: notifications that say nothing but where to look, and the API that says it."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit
from uuid import NAMESPACE_URL, uuid5

from tests.support.sending import event, lead
from tests.support.stories import Message, Story

COMPANY = "7dbba574-5f69-4167-a43e-fb975045de15"
ROOT = f"/v2.0/contoso/production/api/v2.0/companies({COMPANY})"
SECRET = "a-client-state-of-the-story-01234567"
CLIENT = {"client_id": "11f1c0de-0000-4000-8000-000000000001", "client_secret": "the-secret-of-the-app"}
DOCUMENT = re.compile(rf"{re.escape(ROOT)}/(\w+)\(([-0-9a-f]+)\)")


def guid(number: str) -> str:
    """Return the id that a document of the story has."""
    return str(uuid5(NAMESPACE_URL, f"https://businesscentral.dynamics.com/contoso/{number}"))


def document(number: str, changed: str, net: float | None, status: str, **more: Any) -> dict[str, Any]:
    """Return a document as the API gives it, with the fields that it has whatever its sort."""
    tax = None if net is None else round(net * 0.19, 2)
    return {
        "@odata.etag": 'W/"JzQ0OzNq"', "id": guid(number), "number": number, "externalDocumentNumber": "",
        "customerName": "Adatum Corporation", "email": "robert@adatum.example", "currencyCode": "EUR",
        "totalAmountExcludingTax": net, "totalTaxAmount": tax, "status": status, "pricesIncludeTax": False,
        "shortcutDimension1Code": "SALES", "shortcutDimension2Code": "", "lastModifiedDateTime": changed, **more,
    }  # fmt: skip


def dimension(code: str, value: str) -> dict[str, Any]:
    return {"id": guid(code + value), "code": code, "valueCode": value, "displayName": code, "valueDisplayName": value}


def invoice(number: str, changed: str, net: float, status: str, day: str, order: str, **more: Any) -> dict[str, Any]:
    return document(
        number, changed, net, status, postingDate=day, invoiceDate=day, dueDate="2026-06-01", orderId=guid(order),
        orderNumber=order, customerNumber="10000", **more,
    )  # fmt: skip


def memo(number: str, changed: str, net: float, status: str, day: str, corrects: str) -> dict[str, Any]:
    return document(
        number, changed, net, status, postingDate=day, creditMemoDate=day, customerNumber="10000",
        invoiceId=guid(corrects), invoiceNumber=corrects,
    )  # fmt: skip


FAIR = [dimension("DEPARTMENT", "SALES"), dimension("CAMPAIGN", "FAIR26")]
COMPANY_DATA: dict[str, list[dict[str, Any]]] = {
    "salesOrders": [
        document("S-ORD101001", "2026-04-01T09:15:20.467Z", 100000.0, "Open", orderDate="2026-04-01",
                 postingDate="0001-01-01", customerNumber="10000", dimensionSetLines=FAIR),
        document("S-ORD101002", "2026-04-02T09:15:20.467Z", 700.0, "Draft", orderDate="2026-04-02",
                 postingDate="0001-01-01", customerNumber="20000", dimensionSetLines=FAIR),
    ],
    "salesInvoices": [
        invoice("PS-INV103001", "2026-04-20T10:00:05.1Z", 60000.0, "Paid", "2026-04-20", "S-ORD101001"),
        invoice("PS-INV103002", "2026-05-04T10:00:05.12Z", 50000.0, "Open", "2026-05-04", "S-ORD101001"),
        invoice("PS-INV103003", "2026-05-06T11:00:00Z", 3000.0, "Canceled", "2026-05-05", "S-ORD101001"),
        invoice("SI-1004", "2026-05-07T11:00:00Z", 999.0, "Draft", "2026-05-07", "S-ORD101001"),
    ],
    "salesCreditMemos": [
        memo("PS-CR104001", "2026-05-12T09:00:00.5Z", 10000.0, "Open", "2026-05-12", "PS-INV103002"),
        memo("PS-CR104002", "2026-05-06T11:00:00.9Z", 3000.0, "Corrective", "2026-05-06", "PS-INV103003"),
    ],
    "purchaseInvoices": [
        document("108001", "2026-03-10T08:00:00Z", 12000.0, "Paid", postingDate="2026-03-09", vendorNumber="V-30",
                 vendorInvoiceNumber="R-77", dimensionSetLines=FAIR),
        document("108002", "2026-03-11T08:00:00Z", 450.0, "Open", postingDate="2026-03-11", vendorNumber="V-40",
                 dimensionSetLines=[dimension("DEPARTMENT", "ADM")]),
        document("108003", "2026-03-12T08:00:00Z", 800.0, "Canceled", postingDate="2026-03-11", vendorNumber="V-30",
                 dimensionSetLines=FAIR),
    ],
}  # fmt: skip


def answered(method: str, path: str, headers: Mapping[str, str], body: bytes) -> tuple[int, Any]:
    """Answer as the token endpoint and the API do: with pages of two, and only to who has a token."""
    parts = urlsplit(path)
    if method == "POST" and parts.path == "/contoso/oauth2/v2.0/token":
        form = {name: value[0] for name, value in parse_qs(body.decode()).items()}
        if form.get("grant_type") != "client_credentials" or any(form.get(k) != v for k, v in CLIENT.items()):
            return 401, {"error": "invalid_client"}
        return 200, {"token_type": "Bearer", "expires_in": 3599, "access_token": "a-token"}
    if headers.get("authorization") != "Bearer a-token":
        return 401, {"error": {"code": "Authentication_InvalidCredentials", "message": "refused"}}
    if match := DOCUMENT.fullmatch(parts.path):
        found = [one for one in COMPANY_DATA.get(match[1], []) if one["id"] == match[2]]
        return (200, shaped(found[0], parts.query)) if found else (404, {"error": {"code": "BadRequest_NotFound"}})
    name, query = parts.path.removeprefix(f"{ROOT}/"), parse_qs(parts.query)
    after = re.fullmatch(r"lastModifiedDateTime gt (\S+)", query.get("$filter", [""])[0])
    if name not in COMPANY_DATA or after is None:
        return 400, {"error": {"code": "BadRequest"}}
    several = [shaped(one, parts.query) for one in COMPANY_DATA[name] if one["lastModifiedDateTime"] > after[1]]
    start = int(query.get("$skip", ["0"])[0])
    page: dict[str, Any] = {"value": several[start : start + 2]}
    if start + 2 < len(several):
        page["@odata.nextLink"] = f"http://{headers['host']}{parts.path}?{parts.query}&$skip={start + 2}"
    return 200, page


def shaped(found: Mapping[str, Any], query: str) -> dict[str, Any]:
    """Return the fields that were asked for, as OData does."""
    asked = parse_qs(unquote(query))
    fields = asked["$select"][0].split(",") + asked.get("$expand", [])
    return {name: value for name, value in found.items() if name in fields}


def notice(resource: str, change: str, at: str, **more: Any) -> dict[str, Any]:
    """Return one notification."""
    return {
        "subscriptionId": f"subscription-{resource.partition('(')[0].partition('?')[0]}", "clientState": SECRET,
        "expirationDateTime": "2026-06-01T07:52:31Z", "resource": f"api/v2.0/companies({COMPANY})/{resource}",
        "changeType": change, "lastModifiedDateTime": at, **more,
    }  # fmt: skip


def posted(*notices: dict[str, Any]) -> Message:
    return Message(json.dumps({"value": notices}).encode())


STORY = Story(
    kind="business-central",
    messages=[
        posted(
            notice(f"purchaseInvoices({guid('108001')})", "created", "2026-03-09T08:00:00Z"),
            notice(f"purchaseInvoices({guid('108002')})", "created", "2026-03-11T08:00:00Z"),
        ),
        posted(notice(f"purchaseInvoices({guid('108003')})", "updated", "2026-03-12T08:00:00Z")),
        posted(notice(f"salesOrders({guid('S-ORD101001')})", "created", "2026-04-01T09:15:20.467Z")),
        posted(notice(f"salesOrders({guid('S-ORD101002')})", "created", "2026-04-02T09:15:20.467Z")),
        posted(notice(f"salesInvoices({guid('PS-INV103001')})", "updated", "2026-04-20T10:00:05.1Z")),
        posted(notice("salesInvoices?$filter=lastModifiedDateTime%20gt%202026-04-30T00:00:00Z", "collection",
                      "2026-05-07T11:00:00Z")),
        posted(
            notice(f"salesInvoices({guid('PS-INV103002')})", "updated", "2026-05-04T10:00:05.12Z"),
            notice(f"salesCreditMemos({guid('PS-CR104001')})", "created", "2026-05-12T09:00:00.5Z"),
            notice(f"customers({guid('10000')})", "updated", "2026-05-12T09:00:00.6Z"),
        ),
        posted(notice(f"salesCreditMemos({guid('PS-CR104002')})", "created", "2026-05-06T11:00:00.9Z")),
        posted(
            notice(f"salesInvoices({guid('SI-1004')})", "deleted", "2026-05-08T11:00:00Z"),
            notice(f"salesOrders({guid('S-ORD101001')})", "deleted", "2026-05-08T11:00:00Z"),
        ),
    ],
    campaign_id="fair-2026",
    roi={
        "actual_cost": "12000.00", "booked_revenue": "100000.00", "invoiced_revenue": "100000.00", "credited": "13000.00",
        "roi": {"booked": 7.333333, "invoiced": 7.333333},
    },
    mapping={
        "company_url": f"{{api}}{ROOT}",
        "token_url": "{api}/contoso/oauth2/v2.0/token",
        "timezone": "Europe/Berlin",
        "campaigns": {"FAIR26": "fair-2026"},
        "opportunity": "externalDocumentNumber",
    },
    secrets=(SECRET,),
    credentials=CLIENT,
    api=answered,
    events=[
        event("campaign.registered", "2026-01-12", campaign_id="fair-2026", name="Hannover fair 2026"),
        lead("L-1", "fair-2026", "2026-03-02"),
    ],
)  # fmt: skip
