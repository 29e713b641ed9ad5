"""Zoho CRM twice: notified of records that are read back with OAuth, and told all that is mapped by the notifications alone."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qs, urlsplit

from tests.support.sending import cost, event, invoice
from tests.support.stories import Message, Story

TOKEN = "a-token-of-the-channel-0123456789"
CLIENT = {"client_id": "1000.STORY", "client_secret": "a-secret-of-the-client", "refresh_token": "1000.refresh"}
_ID = "57257670000030"
LEAD, DEAL, LOST, ORDER, INVOICE, CAMPAIGN = (
    f"{_ID}{one}" for one in ("00042", "00901", "00904", "00701", "00801", "00003")
)


def link(identity: str, name: str = "x") -> dict[str, str]:
    return {"id": identity, "name": name}


def record(identity: str, created: str, modified: str, **fields: Any) -> dict[str, Any]:
    """Return a record as the API gives it."""
    return {
        "id": identity, "Created_Time": created, "Modified_Time": modified,
        "Owner": {**link("9", "Anna"), "email": "a@x.example"}, "Currency": "EUR", "$state": "save", "$approved": True, **fields,
    }  # fmt: skip


def items(*lines: tuple[float, float]) -> list[dict[str, Any]]:
    """Return the items of a document: net amount and tax of each."""
    return [
        {"Product_Name": link("1"), "Quantity": 1, "Total_After_Discount": net, "Tax": tax, "Net_Total": net + tax}
        for net, tax in lines
    ]


RECORDS: dict[tuple[str, str], dict[str, Any]] = {
    ("Campaigns", CAMPAIGN): record(
        CAMPAIGN, "2026-02-01T09:00:00+01:00", "2026-03-01T09:00:00+01:00", Campaign_Name="Spring Fair", Type="Trade Show",
        Start_Date="2026-03-01", End_Date="2026-03-04", Budgeted_Cost=15000, Actual_Cost=12000, Expected_Revenue=90000,
    ),
    ("Leads", LEAD): record(
        LEAD, "2026-03-02T10:30:00+01:00", "2026-03-05T10:00:00+01:00", Lead_Source="Trade Show", Lead_Status="Contacted",
        Last_Name="Nord", Email="ida@northwind.example", Fair="Spring Fair",
        **{"$converted": True, "Converted_Date_Time": "2026-03-05T10:00:00+01:00",
           "$converted_detail": {"deal": DEAL, "contact": f"{_ID}00511", "account": f"{_ID}00611", "converted_by": "9"}},
    ),
    ("Deals", DEAL): record(
        DEAL, "2026-03-05T10:00:01+01:00", "2026-04-01T12:00:00+02:00", Deal_Name="Press line", Stage="Closed Won",
        Amount=75000.5, Account_Name=link(f"{_ID}00611"), Contact_Name=link(f"{_ID}00511"), Probability=100,
        Closing_Date="2026-04-30", Campaign_Source=link(CAMPAIGN, "Spring Fair"),
    ),
    ("Deals", LOST): record(
        LOST, "2026-03-06T10:00:01+01:00", "2026-03-25T12:00:00+01:00", Stage="Closed Lost", Amount=900,
        Reason_For_Loss__s="Price", Account_Name=None, Contact_Name=None,
    ),
    # 75,000.50 net: 19 % on the items, 595.00 of tax on the whole, an adjustment that belongs to the price.
    ("Sales_Orders", ORDER): record(
        ORDER, "2026-04-01T12:05:00+02:00", "2026-04-01T12:05:00+02:00", Subject="Press line", Status="Created",
        Deal_Name=link(DEAL), Account_Name=link(f"{_ID}00611"), Quote_Name=None,
        Ordered_Items=items((70000.5, 13300.1), (5000, 0)), Sub_Total=88300.6, Tax=595,
        Adjustment=0, Grand_Total=88895.6,
    ),
    ("Invoices", INVOICE): record(
        INVOICE, "2026-04-20T10:00:00+02:00", "2026-04-20T10:00:00+02:00", Status="Approved", Invoice_Date="2026-04-20",
        Due_Date="2026-05-20", Sales_Order=link(ORDER), Account_Name=link(f"{_ID}00611"), Invoiced_Items=items((50000, 9500)),
        Tax=0, Grand_Total=59500,
    ),
}  # fmt: skip


def api(method: str, path: str, headers: Mapping[str, str], body: bytes) -> tuple[int, Any]:
    """Answer as the token endpoint and the API do: converted leads only to who asks for them."""
    asked = urlsplit(path)
    if (method, asked.path) == ("POST", "/oauth/v2/token"):
        form = {name: value[0] for name, value in parse_qs(body.decode()).items()}
        good = form == {**CLIENT, "grant_type": "refresh_token"}
        return 200, {"access_token": "1000.access", "api_domain": "x", "token_type": "Bearer", "expires_in": 3600} if good else {
            "error": "invalid_code"
        }  # fmt: skip
    if headers.get("authorization") != "Zoho-oauthtoken 1000.access":
        return 401, {"code": "INVALID_TOKEN", "message": "invalid oauth token", "status": "error"}
    module, identity = asked.path.removeprefix("/crm/v8/").split("/")
    found = RECORDS.get((module, identity))
    if found is None or (found.get("$converted") and parse_qs(asked.query).get("converted") != ["true"]):
        return 204, b""
    return 200, {"data": [found]}


def note(module: str, operation: str, ms: int, *ids: str, **values: Any) -> Message:
    """Return a notification; `values` are of its one record."""
    affected = [{"record_id": ids[0], "values": values}] if values else []
    return Message(json.dumps({
        "server_time": ms, "affected_values": affected, "query_params": {}, "module": module, "operation": operation,
        "resource_uri": f"https://www.zohoapis.eu/crm/v8/{module}", "ids": list(ids), "channel_id": "1000000068001",
        "affected_fields": [{ids[0]: list(values)}] if values else [], "token": TOKEN,
    }).encode())  # fmt: skip


_ROI = {
    "actual_cost": "12000.00", "booked_revenue": "75000.50", "invoiced_revenue": "50000.00", "credited": "0.00",
    "roi": {"booked": 5.250042, "invoiced": 3.166667, "margin": None},
}  # fmt: skip
_MAPPING = {"campaigns": {CAMPAIGN: "spring-fair", "Spring Fair": "spring-fair"}, "time_zone": "Europe/Berlin"}

READ_BACK = Story(
    kind="zoho",
    messages=[
        note("Campaigns", "insert", 1769932800100, CAMPAIGN),
        note("Leads", "insert", 1772443800512, LEAD),
        note("Leads", "update", 1772701200300, LEAD, Lead_Status="Contacted"),
        note("Deals", "insert", 1772701201300, DEAL, Stage="Qualification", Amount=60000),
        note("Deals", "insert", 1772787601300, LOST, f"{_ID}00905"),  # the other is gone already
        note("Deals", "update", 1775037600733, DEAL, Stage="Closed Won", Amount=75000.5),
        note("Deals", "delete", 1775037600733, f"{_ID}00905"),
        note("Sales_Orders", "insert", 1775037900100, ORDER),
        note("Invoices", "insert", 1776672000250, INVOICE),
        note("Contacts", "insert", 1772701201300, f"{_ID}00511"),
    ],
    campaign_id="spring-fair",
    roi=_ROI,
    mapping={**_MAPPING, "api_url": "{api}", "accounts_url": "{api}", "fields": {"lead": {"campaign": "Fair"}}},
    secrets=(TOKEN,),
    credentials=CLIENT,
    api=api,
)  # fmt: skip

# A channel that asks for the changed values, and a ledger that knows cost and invoices from elsewhere.
TOLD = READ_BACK._replace(
    messages=[
        note("Deals", "insert", 1772701201300, DEAL, Stage="Qualification", Amount=60000, Currency="EUR",
             Campaign_Source=link(CAMPAIGN)),
        note("Deals", "update", 1775037600733, DEAL, Stage="Closed Won", Amount=75000.5),
        note("Deals", "insert", 1772787601300, LOST, Stage="Closed Won", Amount=5, Currency="EUR"),
        note("Deals", "delete", 1775124000100, LOST),
    ],
    mapping={
        **_MAPPING,
        "events": {"deal": {"Closed Won": ["opportunity.won", "order.placed"], "Closed Lost": "opportunity.lost"}},
    },
    credentials={},
    api=None,
    events=[
        event("campaign.registered", "2026-01-12", campaign_id="spring-fair", name="Spring Fair"),
        cost("fair-stand", "spring-fair", "12000.00"),
        invoice("RE-77", "50000.00", "2026-04-20", order_id=DEAL),
    ],
)  # fmt: skip
STORIES = (READ_BACK, TOLD)
