"""HubSpot twice: an app whose subscriptions tell all that is mapped, and one that is only notified and reads back."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any
from urllib.parse import parse_qs, urlsplit

from tests.support.stories import Message, Story

# HubSpot has no webhooks for what campaigns cost: the ledger knows it from elsewhere.
COST = {
    "specversion": "1.0", "id": "ads-2026-03", "source": "/ads", "type": "campaign.cost_booked",
    "time": "2026-03-01T08:00:00Z",
    "data": {
        "cost_entry_id": "ads-2026-03", "campaign_id": "spring-fair", "cost_date": "2026-03-01",
        "amount": {"amount": "12000.00", "currency": "EUR"},
    },
}  # fmt: skip
MERGE: dict[str, Any] = {"primaryObjectId": 51, "mergedObjectIds": [52], "newObjectId": 51}


def _ms(at: str) -> int:
    return int(datetime.fromisoformat(at).timestamp() * 1000)


def deal_event(kind: str, at: str, identity: int | None = None, **more: Any) -> dict[str, Any]:
    event = {
        "eventId": 100, "subscriptionId": 2840101, "portalId": 62515, "appId": 1160452, "occurredAt": _ms(at),
        "subscriptionType": kind, "attemptNumber": 0, "changeSource": "CRM_UI",
    }  # fmt: skip
    return {**event, **({} if identity is None else {"objectId": identity}), **more}


def changes(kind: str, at: str, identity: int, type_id: str | None = None, **properties: str) -> list[dict[str, Any]]:
    more = {} if type_id is None else {"objectTypeId": type_id}
    return [
        deal_event(f"{kind}.propertyChange", at, identity, propertyName=name, propertyValue=value, **more)
        for name, value in properties.items()
    ]


def batch(*events: dict[str, Any]) -> Message:
    return Message(json.dumps(events).encode())


def _tied(at: str, kinds: tuple[str, str], ends: tuple[int, int], **more: Any) -> dict[str, Any]:
    return deal_event(
        "object.associationChange", at, fromObjectTypeId=kinds[0], toObjectTypeId=kinds[1], fromObjectId=ends[0],
        toObjectId=ends[1], associationRemoved=False, associationCategory="HUBSPOT_DEFINED", **more,
    )  # fmt: skip


_WON = changes("deal", "2026-04-01T10:00:00Z", 901, dealstage="closedwon", amount="80000")
_LEAD = changes(
    "contact", "2026-03-02T09:30:00Z", 51, lifecyclestage="lead", hs_analytics_source="PAID_SOCIAL",
    hs_analytics_first_touch_converting_campaign="Spring Fair", email="not@mapped.example",
    recent_conversion_date="1772443800000", recent_conversion_event_name="Spring Fair",
)  # fmt: skip

TOLD = Story(
    kind="hubspot",
    campaign_id="spring-fair",
    mapping={"campaigns": {"Spring Fair": "spring-fair"}, "portal": "62515"},
    messages=(
        batch(deal_event("contact.creation", "2026-03-02T09:30:00Z", 51), *_LEAD),
        # the same facts once more, by a generic subscription beside the classic one
        batch(deal_event("object.creation", "2026-03-02T09:30:00Z", 51, objectTypeId="0-1"),
               *[{**one, "subscriptionType": "object.propertyChange", "objectTypeId": "0-1"} for one in _LEAD]),
        batch(*changes("contact", "2026-03-03T08:00:00Z", 51, lifecyclestage="marketingqualifiedlead")),
        batch(deal_event("contact.creation", "2026-03-03T10:00:00Z", 52),
               *changes("contact", "2026-03-03T10:00:00Z", 52, lifecyclestage="lead")),
        batch(deal_event("contact.merge", "2026-03-04T10:00:00Z", **MERGE),
              deal_event("contact.deletion", "2026-03-04T10:00:00Z", 52)),
        batch(deal_event("deal.creation", "2026-03-05T09:00:00Z", 901),
               *changes("deal", "2026-03-05T09:00:00Z", 901, dealstage="appointmentscheduled", deal_currency_code="EUR")),
        # tied to the contact that was merged away
        batch(deal_event("deal.associationChange", "2026-03-05T09:00:01Z", associationType="DEAL_TO_CONTACT", fromObjectId=901,
                      toObjectId=52, associationRemoved=False)),
        batch(deal_event("deal.creation", "2026-03-06T09:00:00Z", 902),
               *changes("deal", "2026-03-20T09:00:00Z", 902, dealstage="closedlost")),
        batch(*_WON),
        batch(deal_event("object.creation", "2026-04-01T10:01:00Z", 7001, objectTypeId="0-123")),
        batch(*changes("object", "2026-04-01T10:01:05Z", 7001, "0-123", hs_total_price="95200.00", hs_tax="15200.00",
                         hs_currency_code="EUR")),
        batch(_tied("2026-04-01T10:01:06Z", ("0-123", "0-3"), (7001, 901)),
               _tied("2026-04-01T10:01:06Z", ("0-3", "0-123"), (901, 7001))),
        # the customer takes less
        batch(*changes("object", "2026-04-10T10:00:00Z", 7001, "0-123", hs_total_price="89250.00", hs_tax="14250.00")),
        batch(deal_event("object.creation", "2026-04-20T10:00:00Z", 8001, objectTypeId="0-53"),
               *changes("object", "2026-04-20T10:00:00Z", 8001, "0-53", hs_invoice_status="draft", hs_currency="EUR")),
        batch(*changes("object", "2026-04-21T10:00:00Z", 8001, "0-53", hs_invoice_status="open", hs_amount_billed="89250.00",
                         hs_tax="14250.00", hs_invoice_date="1776729600000"),
               _tied("2026-04-21T10:00:00Z", ("0-53", "0-123"), (8001, 7001))),
        batch(*changes("object", "2026-05-02T10:00:00Z", 8001, "0-53", hs_invoice_status="paid")),
        batch(deal_event("conversation.newMessage", "2026-05-02T10:00:00Z", 5)),
    ),
    roi={
        "actual_cost": "12000.00", "booked_revenue": "75000.00", "invoiced_revenue": "75000.00", "credited": "0.00",
        "roi": {"booked": 5.25, "invoiced": 5.25, "margin": None},
    },
    events=(COST,),
)  # fmt: skip


def _history(*entries: tuple[str, str]) -> list[dict[str, Any]]:
    """Return a property's history, newest first, as the API does."""
    return [{"value": value, "timestamp": at, "sourceType": "CRM_UI"} for at, value in reversed(entries)]


def _record(identity: str, updated: str, history: dict[str, list[dict[str, Any]]], **ties: list[str]) -> dict[str, Any]:
    return {
        "id": identity, "updatedAt": updated, "archived": False, "propertiesWithHistory": history,
        "properties": {"hs_object_id": identity} | {name: entries[0]["value"] for name, entries in history.items()},
        "associations": {
            name: {"results": [{"id": one, "type": f"to_{name}"} for one in several]} for name, several in ties.items()
        },
    }  # fmt: skip


_MARCH, _APRIL = "2026-03-05T09:00:00Z", "2026-04-01T10:00:00Z"
RECORDS = {
    ("0-1", "51"): _record("51", "2026-03-04T08:00:00Z", {
        "createdate": _history(("2026-03-02T09:30:00Z", "2026-03-02T09:30:00Z")),
        "lifecyclestage": _history(("2026-03-02T09:30:00Z", "lead"), ("2026-03-04T08:00:00Z", "salesqualifiedlead")),
        "hs_analytics_first_touch_converting_campaign": _history(("2026-03-02T09:30:00Z", "spring-fair")),
    }),
    ("0-3", "901"): _record("901", _APRIL, {
        "createdate": _history((_MARCH, _MARCH)),
        "dealstage": _history((_MARCH, "qualifiedtobuy"), (_APRIL, "closedwon")),
        "amount": _history((_MARCH, "60000"), (_APRIL, "75000")),
        "deal_currency_code": _history((_MARCH, "EUR")),
    }, contacts=["51"]),
    ("0-53", "8001"): _record("8001", "2026-04-21T10:00:00Z", {
        "hs_createdate": _history(("2026-04-20T10:00:00Z", "2026-04-20T10:00:00Z")),
        "hs_invoice_status": _history(("2026-04-20T10:00:00Z", "draft"), ("2026-04-21T10:00:00Z", "open")),
        "hs_amount_billed": _history(("2026-04-20T10:00:00Z", "75000.00")),
        "hs_currency": _history(("2026-04-20T10:00:00Z", "EUR")),
        "hs_invoice_date": _history(("2026-04-20T10:00:00Z", "2026-04-21")),
    }, deals=["901"]),
}  # fmt: skip


def _stage(identity: str, order: int, probability: str) -> dict[str, Any]:
    return {
        "id": identity, "label": identity.title(), "displayOrder": order, "archived": False,
        "metadata": {"isClosed": str(probability in ("0.0", "1.0")).lower(), "probability": probability},
        "createdAt": "2025-01-01T08:00:00Z", "updatedAt": "2026-01-02T08:00:00Z",
    }  # fmt: skip


PIPELINES = {
    "results": [
        {
            "id": "default", "label": "Sales Pipeline", "displayOrder": 0, "archived": False,
            "stages": [_stage("qualifiedtobuy", 1, "0.4"), _stage("closedwon", 5, "1.0")],
        }
    ]
}  # fmt: skip


def api(method: str, path: str, headers: Mapping[str, str], _: bytes) -> tuple[int, Any]:
    """Answer as GET /crm/v3/objects does: the properties that are asked for, and 404 for what is gone."""
    if headers.get("authorization") != "Bearer pat-eu1-story":
        return 401, {"status": "error", "category": "INVALID_AUTHENTICATION"}
    asked = urlsplit(path)
    if asked.path == "/crm/v3/pipelines/deals":
        return 200, PIPELINES
    name, identity = asked.path.split("/")[-2:]
    record = RECORDS.get((name, identity))
    if method != "GET" or record is None:
        return 404, {"status": "error", "message": "resource not found"}
    wanted = set(parse_qs(asked.query)["propertiesWithHistory"][0].split(","))
    return 200, {
        **record,
        "properties": {name: record["properties"].get(name) for name in wanted},
        "propertiesWithHistory": {name: one for name, one in record["propertiesWithHistory"].items() if name in wanted},
    }


# Won deals are the orders of a site that has no order objects; its invoices name the deal.
READ_BACK = Story(
    kind="hubspot",
    campaign_id="spring-fair",
    mapping={
        "api_url": "{api}",
        "amounts_include_tax": False,
        "events": {"deal": {"closedwon": ["opportunity.won", "order.placed"], "closedlost": "opportunity.lost"}},
    },
    credentials={"token": "pat-eu1-story"},
    api=api,
    messages=(
        batch(deal_event("contact.creation", "2026-03-02T09:30:00Z", 51), deal_event("deal.creation", _MARCH, 901)),
        batch(*changes("contact", "2026-03-04T08:00:00Z", 51, lifecyclestage="salesqualifiedlead")),
        batch(*changes("deal", _APRIL, 901, dealstage="closedwon")),
        batch(deal_event("object.creation", "2026-04-20T10:00:00Z", 8001, objectTypeId="0-53")),
        batch(deal_event("deal.creation", "2026-03-06T09:00:00Z", 903)),  # deleted before it can be read back
        batch(deal_event("deal.deletion", "2026-03-06T09:01:00Z", 903)),
    ),
    roi=TOLD.roi,
    events=(COST,),
)
STORIES = (TOLD, READ_BACK)
