"""A fair in Exact Online: costs by cost unit, an order, an invoice, a credit note, mistakes; tokens that serve once."""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from tests.support.stories import Message, Story

SECRET = "a-webhook-secret-of-the-story-01234567"
CLIENT = {"client_id": "the-client-of-the-app", "client_secret": "the-secret-of-the-app", "refresh_token": "refresh-0"}
DIVISION = 3117420
ORDER, SMALL, GONE = (f"4f6d2c1a-9b0e-4a53-8d27-1c5e7f90a10{one}" for one in (1, 2, 3))
INVOICE, OPEN, CREDIT = (f"7a1b9c3d-2e4f-4a60-9b71-3d5e7f90b20{one}" for one in (1, 2, 3))
STAND, FEES = (f"0c9d8e7f-6a5b-4c3d-8e2f-1a0b9c8d7e0{one}" for one in (1, 2))
ACCOUNT = "c0ffee00-0000-4000-8000-0000000000aa"


def at(wall_clock: str) -> str:
    """Return a time as the API writes it: the wall clock in Amsterdam, as if it were UTC."""
    return f"/Date({int(datetime.fromisoformat(wall_clock).replace(tzinfo=UTC).timestamp() * 1000)})/"


def document(modified: str, net: float, status: int, lines: list[dict[str, Any]], **more: Any) -> dict[str, Any]:
    return {
        "Created": at(modified), "Modified": at(modified), "AmountFCExclVat": net, "VATAmountFC": round(net * 0.21, 2),
        "Currency": "EUR ", "Status": status, "OrderedBy": ACCOUNT, "OrderedByName": "Contoso B.V.", "YourRef": None,
        "Description": "Press line", "lines": lines, **more,
    }  # fmt: skip


def order(
    number: int, modified: str, net: float, status: int = 12, unit: str | None = "FAIR26", **more: Any
) -> dict[str, Any]:
    lines = [{"CostUnit": unit, "CostCenter": "SALES", "ProjectCode": None}, {"CostUnit": unit, "CostCenter": None}]
    usual = {"OrderNumber": number, "OrderDate": at(modified[:10]), "ApprovalStatus": 1}
    return document(modified, net, status, lines, **{**usual, **more})


def invoice(number: int, modified: str, net: float, kind: int, status: int = 50, **more: Any) -> dict[str, Any]:
    return document(
        modified, net, status, [{"SalesOrderNumber": 1101, "CostUnit": None}], InvoiceNumber=number, Type=kind,
        InvoiceDate=at(modified[:10]), DueDate=at("2026-06-01"), **more,
    )  # fmt: skip


def line(account: str, amount: float, unit: str | None, day: str, kind: int = 30) -> dict[str, Any]:
    return {
        "GLAccountCode": account, "AmountDC": amount, "CostUnit": unit, "CostCenter": None, "Date": at(day), "Type": kind,
        "EntryNumber": 26300012, "Modified": at(f"{day}T09:00:00"), "Created": at(f"{day}T09:00:00"), "AccountCode": "  30",
        "AccountName": "Messebau",
    }  # fmt: skip


RECORDS: dict[str, list[dict[str, Any]]] = {
    ORDER: [order(1101, "2026-04-01T12:05:00", 75000.0)],
    SMALL: [order(1102, "2026-04-03T09:00:00", 400.0, status=45)],
    INVOICE: [invoice(26700001, "2026-04-20T10:00:00", 75000.0, 8020)],
    OPEN: [invoice(26700002, "2026-04-21T10:00:00", 999.0, 8020, status=20)],
    CREDIT: [invoice(26700003, "2026-05-04T10:00:00", -10000.0, 8021, YourRef="26700001")],
    STAND: [line("4510", 9000, "FAIR26", "2026-03-02"), line("1520", 2520, None, "2026-03-02"),
            line("4520", 3000, "FAIR26", "2026-03-02"), line("1600", -14520, None, "2026-03-02"),
            line("4510", 250, "OTHER", "2026-03-02")],
    FEES: [line("4510", 5000, "FAIR26", "2026-01-01", kind=10), line("7000", 80, "FAIR26", "2026-01-01")],
}  # fmt: skip


def new_api(*, restarts: bool = False) -> Callable[[str, str, Mapping[str, str], bytes], tuple[int, Any]]:
    """Return an API that gives each refresh token once; the first may begin again, if `restarts`. Lines come by threes."""
    given = 0

    def token(body: bytes) -> tuple[int, Any]:
        nonlocal given
        form = {name: value[0] for name, value in parse_qs(body.decode()).items()}
        if restarts and form.get("refresh_token") == CLIENT["refresh_token"]:
            given = 0
        if form != {**CLIENT, "grant_type": "refresh_token", "refresh_token": f"refresh-{given}"}:
            return 400, {"error": "invalid_grant"}
        given += 1
        return 200, {
            "access_token": f"access-{given}", "token_type": "bearer", "expires_in": "600", "refresh_token": f"refresh-{given}",
        }  # fmt: skip

    def answer(method: str, path: str, headers: Mapping[str, str], body: bytes) -> tuple[int, Any]:
        asked, host = urlsplit(path), headers.get("host", "")
        if (method, asked.path) == ("POST", "/api/oauth2/token"):
            return token(body)
        if headers.get("authorization") != f"Bearer access-{given}":
            return 401, {"error": {"code": "", "message": {"value": "Unauthorized"}}}
        query = parse_qs(asked.query)
        key = unquote(query["$filter"][0]).partition("guid'")[2].removesuffix("'")
        rows = [
            shaped(one, query["$select"][0].split(","), query.get("$expand", [""])[0]) for one in RECORDS.get(key, [])
        ]
        start = int(query.get("$skiptoken", ["0"])[0])
        page: dict[str, Any] = {"results": rows[start : start + 3]}
        if start + 3 < len(rows):
            page["__next"] = f"http://{host}{asked.path}?{asked.query}&$skiptoken={start + 3}"
        return 200, {"d": page}

    return answer


api = new_api(restarts=True)


def shaped(found: Mapping[str, Any], select: list[str], expand: str) -> dict[str, Any]:
    """Return the fields that were asked for, as OData does."""
    fields = {name: value for name, value in found.items() if name in select}
    if expand:
        of_lines = [one.partition("/")[2] for one in select if one.startswith(f"{expand}/")]
        lines = [{name: value for name, value in one.items() if name in of_lines} for one in found["lines"]]
        fields[expand] = {"results": lines}
    return fields


def told(topic: str, action: str, key: str, moment: str, **more: Any) -> Message:
    """Return a message, with the hash of its content."""
    content = {
        "Topic": topic, "ClientId": "{11f1c0de-0000-4000-8000-000000000001}", "Division": DIVISION, "Action": action, "Key": key,
        "ExactOnlineEndpoint": f"https://start.exactonline.nl/api/v1/{DIVISION}/x/{topic}(guid'{key}')",
        "EventCreatedOn": moment, **more,
    }  # fmt: skip
    written = json.dumps(content, separators=(",", ":"))
    proof = hmac.new(SECRET.encode(), written.encode(), hashlib.sha256).hexdigest().upper()
    return Message(f'{{"Content":{written},"HashCode":"{proof}"}}'.encode())


STORY = Story(
    kind="exact-online",
    messages=[
        told("FinancialTransactions", "Create", STAND, "2026-03-02T09:00:01.2"),
        told("FinancialTransactions", "Update", FEES, "2026-03-03T09:00:01.2"),
        told("SalesOrders", "Create", ORDER, "2026-04-01T12:05:03.017"),
        told("SalesOrders", "Update", ORDER, "2026-04-01T12:06:00.5"),
        told("SalesOrders", "Create", SMALL, "2026-04-02T12:05:03.017"),
        told("SalesOrders", "Update", SMALL, "2026-04-03T09:00:03.017"),
        told("SalesOrders", "Create", GONE, "2026-04-02T07:00:00.9"),
        told("SalesOrders", "Delete", GONE, "2026-04-02T08:00:00.9"),
        told("SalesInvoices", "Update", INVOICE, "2026-04-20T10:00:05.41"),
        told("SalesInvoices", "Create", OPEN, "2026-04-21T10:00:05.41"),
        told("SalesInvoices", "Update", CREDIT, "2026-05-04T10:00:05.41"),
        told("Accounts", "Update", ACCOUNT, "2026-05-04T10:00:05.41"),
        told("SalesInvoices", "Update", INVOICE, "2026-05-04T10:00:05.41", Division=99),
    ],
    campaign_id="fair-2026",
    roi={
        "actual_cost": "12000.00", "booked_revenue": "75000.00", "invoiced_revenue": "65000.00", "credited": "10000.00",
        "roi": {"booked": 5.25, "invoiced": 4.416667, "margin": None},
    },
    mapping={
        "api_url": "{api}", "division": str(DIVISION), "campaigns": {"FAIR26": "fair-2026"}, "cost_accounts": ["45"],
    },
    secrets=(SECRET,),
    credentials=CLIENT,
    api=api,
)  # fmt: skip
