"""`zoho`: leads, deals, quotes, orders, invoices and campaigns of Zoho CRM, from its notifications, read back with OAuth.

Facts, from Zoho's documentation ("Notification APIs", "Get Records", "OAuth 2.0"; versions 2 to 8):
- A channel made by POST /crm/v8/actions/watch posts {"server_time" (ms), "module", "operation" (insert, update, delete), "ids",
  "affected_values", "affected_fields", "channel_id", "token", "query_params", "resource_uri"}: one message for up to a
  hundred records. `affected_values` has new values of the fields that changed, if the channel asked for them
  (`return_affected_field_values`); newly made records say nothing else of themselves.
- `token` is the secret that the channel was made with, at most 50 characters; nothing is signed. A channel ends after a
  week at most, and has to be made anew before. Order and repetition are not spoken of.
- GET /crm/v8/<module>/<id> gives a record, 204 if it is not there; a converted lead only with `converted=true`, with the deal
  in `$converted_detail` and the time in `Converted_Date_Time`. Links are {"id", "name"}, times have an offset.
- Access tokens last an hour and come from a refresh token, which stays the same; ten may be had in ten minutes. The hosts
  of accounts and API depend on the data centre (.com, .eu, .in, …).
- `Grand_Total` of a quote, order or invoice has tax: `Tax` of the whole, and `Tax` of each item. `Currency` is there where
  several are in use.

Derived fields: `@net` is Grand_Total without both taxes, `@tax` the two; the status of a converted lead is Converted.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

from service.domain.catalogue import shown
from service.intake.senders import crm, crm_events
from service.intake.senders.contract import (
    Draft,
    Ignored,
    Kind,
    MalformedError,
    Request,
    Screened,
    Source,
    Statement,
    Waiting,
    Wanted,
)
from service.intake.senders.fields import from_epoch, identifier, json_of, list_of, object_of
from service.intake.senders.mappings import check_url
from service.intake.senders.zoho import api
from service.intake.senders.zoho.records import kept
from service.store.rows import encode_json

_EVER = {"created": "Created_Time", "owner": "Owner", "currency": "Currency"}
_LEAD = {"created": "Created_Time", "owner": "Owner", "status": "Lead_Status", "source": "Lead_Source"}
_MONEY = {"created": "Created_Time", "currency": "Currency", "amount": "@net"}
DEFAULTS = crm.defaults(
    fields={
        "lead": _LEAD,
        "deal": {
            **_EVER, "status": "Stage", "amount": "Amount", "campaign": "Campaign_Source", "account": "Account_Name",
            "probability": "Probability", "close": "Closing_Date", "reason": "Reason_For_Loss__s",
        },
        "quote": {**_MONEY, "status": "Quote_Stage", "opportunity": "Deal_Name"},
        "order": {
            **_MONEY, "status": "Status", "tax": "@tax", "opportunity": "Deal_Name", "quote": "Quote_Name",
            "account": "Account_Name",
        },
        "invoice": {
            **_MONEY, "status": "Status", "tax": "@tax", "posting": "Invoice_Date", "due": "Due_Date", "order": "Sales_Order",
            "account": "Account_Name",
        },
        "campaign": {
            "created": "Created_Time", "name": "Campaign_Name", "type": "Type", "start": "Start_Date", "end": "End_Date",
            "currency": "Currency", "expected": "Expected_Revenue", "budget": "Budgeted_Cost", "cost": "Actual_Cost",
        },
    },
    events={
        "lead": {
            "Pre-Qualified": "lead.qualified:mql", "Converted": "lead.qualified:sql", "Junk Lead": "lead.disqualified",
            "Lost Lead": "lead.disqualified", "Not Qualified": "lead.disqualified",
        },
        "deal": {
            "Closed Won": "opportunity.won", "Closed Lost": "opportunity.lost",
            "Closed Lost to Competition": "opportunity.lost", "Closed-Lost to Competition": "opportunity.lost",
        },
        "quote": {
            "Delivered": "quote.sent", "Confirmed": "quote.accepted", "Closed Won": "quote.accepted",
            "Closed Lost": "quote.rejected",
        },
        "order": {"Cancelled": "order.cancelled"},
        "invoice": {"Approved": "invoice.posted", "Delivered": "invoice.posted", "Cancelled": "invoice.cancelled"},
    },
    objects={
        "Leads": "lead", "Deals": "deal", "Quotes": "quote", "Sales_Orders": "order", "Invoices": "invoice",
        "Campaigns": "campaign",
    },
    lead_field="",  # of deals, with the id of the lead that they came from
    api_url="https://www.zohoapis.com",
    accounts_url="https://accounts.zoho.com",
)  # fmt: skip


def check_mapping(mapping: Mapping[str, Any]) -> dict[str, Any]:
    """Check fields, events and modules, and where Zoho is."""
    checked = crm.check(mapping, DEFAULTS)
    for name, sort in checked["objects"].items():
        if list(checked["objects"].values()).count(sort) > 1:
            raise ValueError(f"objects.{name}: another module is {sort} already")
    for key in ("api_url", "accounts_url"):
        check_url(checked, key, f"a URL such as {DEFAULTS[key]}")
    return checked


def screened(request: Request, _: Source) -> Screened:
    """Keep a notification without its token, which is a secret."""
    try:
        body = json_of(request.body)
    except MalformedError:
        return Screened(request.body)
    hidden = {**body, "token": "***"} if isinstance(body, dict) and "token" in body else None
    return Screened(encode_json(hidden) if hidden else request.body)


def read(request: Request, source: Source) -> list[Statement | Ignored | Wanted]:
    """State of each record what the notification says itself; with credentials, it is read back besides."""
    body = object_of(json_of(request.body), "body")
    module, operation = body.get("module"), body.get("operation")
    name = module.get("api_name") if isinstance(module, dict) else module
    if not isinstance(name, str) or operation not in ("insert", "update", "delete"):
        raise MalformedError(
            f"module and operation: expected such as Deals and update, got {shown(name)} and {shown(operation)}: "
            "is this a notification of Zoho CRM?"
        )
    sort = source.mapping["objects"].get(name)
    if sort is None:
        return [Ignored(f"{name} is not among the mapping's objects")]
    received = request.received_at.isoformat().replace("+00:00", "Z")
    at = from_epoch(body.get("server_time"), "server_time") or received
    values = _values(body)
    parts: list[Statement | Ignored | Wanted] = []
    for identity in dict.fromkeys(identifier(one, "ids") for one in list_of(body.get("ids"), "ids")):
        parts += _record(sort, identity, name, str(operation), at, values.get(identity, {}), source)
    return parts or [Ignored("a notification about no record")]


def _values(body: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Return what a notification says of each record."""
    several = [
        object_of(one, "affected_values") for one in list_of(body.get("affected_values") or [], "affected_values")
    ]
    return {
        identifier(one.get("record_id"), "record_id"): object_of(one.get("values") or {}, "values") for one in several
    }


def _record(
    sort: str, identity: str, module: str, operation: str, at: str, values: Mapping[str, Any], source: Source
) -> list[Statement | Ignored | Wanted]:  # fmt: skip
    record = f"{sort}:{identity}"
    if operation == "delete":
        return [Statement(record, f"deleted/{at}", at, "", crm_events.DELETED, {})]
    fields = kept(values, sort, source)
    created = source.mapping["fields"][sort]["created"]
    if operation == "insert" and created:
        fields = {created: at, **fields}  # until it is read back, which tells it by the second
    content = hashlib.sha256(repr(sorted(fields.items(), key=repr)).encode(errors="replace")).hexdigest()[:24]
    verb = crm_events.CREATED if operation == "insert" else crm_events.UPDATED
    parts: list[Statement | Ignored | Wanted] = []
    if fields:
        parts.append(Statement(record, f"{record}/{at}/{content}", at, "", verb, fields))
    if source.credentials.get("refresh_token"):
        key = f"{record}/read/{at}"
        parts.append(Wanted(record, key, at, "", crm_events.RESTORED, api.url(module, identity, source), many=True))
    return parts or [
        Ignored(f"{operation} of {module} says nothing that is mapped: give credentials, so that it is read back")
    ]


def translate(record: str, statements: Sequence[Statement], source: Source) -> list[Draft | Waiting]:
    """Return the events of a record."""
    sort, _, identity = record.partition(":")
    return crm_events.translate(sort, identity, statements, source.mapping)


def unsaid(record: str, statements: Sequence[Statement], source: Source) -> str:
    """Say why a record gives no event, and what would make it."""
    return crm_events.unsaid(record.partition(":")[0], statements, source.mapping)


KIND = Kind(
    name="zoho",
    about="Zoho CRM: notifications of a channel, with records read back",
    check_mapping=check_mapping,
    read=read,
    translate=translate,
    unsaid=unsaid,
    authentication={"scheme": "token", "field": "token"},
    screened=screened,
    fetch=api.fetch,
    credentials=("client_id", "client_secret", "refresh_token"),
)
