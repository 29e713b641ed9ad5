"""Salesforce through a bridge, with outbound messages beside it: a lead of a campaign becomes an invoiced order."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any

from tests.support.stories import Message, Story

CAMPAIGN, LEAD, OPPORTUNITY = "7015f000001AbCdAAK", "00Q5f000005F6XnAAK", "0065f00000LkTzQAAV"
QUOTE, ORDER, INVOICE, CREDIT = "0Q05f000000AbcDCAS", "8015f000002XyZaAAK", "3tt5f0000000001AAA", "50g5f000000CrEdAAO"
ROLE = "00K5f00000AbCdEEAV"
MEMBER, CONTACT, ACCOUNT = "00v5f00000MeMbrAAF", "0035f00001D2WTNAA3", "0015f00002JUX1JAAX"
_FULL = ("CREATE", "UNDELETE")


def change(
    entity: str, identity: str | list[str], kind: str, at: str, number: int = 1, **fields: Any
) -> dict[str, Any]:
    """Return a change event as CometD and decoding bridges give it."""
    moment = int(datetime.fromisoformat(at).timestamp() * 1000)
    header = {
        "entityName": entity, "recordIds": identity if isinstance(identity, list) else [identity], "changeType": kind,
        "changeOrigin": "com/salesforce/api/soap/60.0;client=SfdcInternalAPI/", "sequenceNumber": number,
        "transactionKey": f"00006948-0ac9-7da3-edb3-{moment:012x}", "commitTimestamp": moment,
        "commitNumber": moment // 10, "commitUser": "0055f000005mc66AAA", "nulledFields": [], "diffFields": [],
        "changedFields": [] if kind in _FULL else [*fields, "LastModifiedDate"],
    }  # fmt: skip
    stamps = {"CreatedDate": at, "LastModifiedDate": at} if kind in _FULL else {"LastModifiedDate": at}
    return {"ChangeEventHeader": header, **fields, **(stamps if fields else {})}


def outbound(*records: tuple[str, str, dict[str, str]]) -> bytes:
    """Return an outbound message: (notification id, entity, fields) each."""
    several = "".join(
        f'<Notification><Id>{identity}</Id><sObject xsi:type="sf:{entity}" xmlns:sf="urn:sobject.enterprise.soap.sforce.com">'
        + "".join(f"<sf:{name}>{value}</sf:{name}>" for name, value in fields.items())
        + "</sObject></Notification>"
        for identity, entity, fields in records
    )
    return (
        '<?xml version="1.0" encoding="UTF-8"?>'
        '<soapenv:Envelope xmlns:soapenv="http://schemas.xmlsoap.org/soap/envelope/"'
        ' xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"><soapenv:Body>'
        '<notifications xmlns="http://soap.sforce.com/2005/09/outbound"><OrganizationId>00D5f000000XyZaEAK</OrganizationId>'
        f'<ActionId>04k5f000000TnVbAAK</ActionId><SessionId xsi:nil="true"/>{several}'
        "</notifications></soapenv:Body></soapenv:Envelope>"
    ).encode()


def _json(*events: dict[str, Any]) -> Message:
    return Message(json.dumps(list(events) if len(events) > 1 else events[0]).encode())


def _avro(event: dict[str, Any], *unchanged: str) -> dict[str, Any]:
    """Return a change event as decoded Avro has it: every field, null where nothing changed."""
    return {"replayId": 18098167, "payload": {**dict.fromkeys(unchanged), **event}}


CONVERTED = change(
    "Lead", LEAD, "UPDATE", "2026-03-05T09:00:00Z", 4, Status="Closed - Converted", IsConverted=True,
    ConvertedAccountId=ACCOUNT, ConvertedContactId=CONTACT, ConvertedOpportunityId=OPPORTUNITY,
)  # fmt: skip
CREATED = change(
    "Opportunity", OPPORTUNITY, "CREATE", "2026-03-05T09:00:00Z", 3, Name="Cadinal - 20 seats", StageName="Prospecting",
    CloseDate="2026-04-30", Probability=10.0, AccountId=ACCOUNT, CurrencyIsoCode="EUR", IsClosed=False, IsWon=False,
)  # fmt: skip
WON = change(
    "Opportunity", OPPORTUNITY, "UPDATE", "2026-04-01T10:00:00Z", StageName="Closed Won", IsClosed=True, IsWon=True,
    Probability=100.0, Amount=80000.0,
)  # fmt: skip

STORY = Story(
    kind="salesforce",
    campaign_id="spring-fair",
    mapping={"campaigns": {CAMPAIGN[:15]: "spring-fair"}, "organization": "00D5f000000XyZa"},
    messages=(
        _json(change("Campaign", CAMPAIGN, "CREATE", "2026-02-20T08:00:00Z", Name="Spring Fair", Type="Trade Show",
                     BudgetedCost=15000.0, CurrencyIsoCode="EUR")),
        _json({"channel": "/data/CampaignChangeEvent", "data": {"schema": "x", "payload": change(
            "Campaign", CAMPAIGN, "UPDATE", "2026-03-01T08:00:00Z", ActualCost=10000.0)}}),
        _json(change("Campaign", CAMPAIGN, "UPDATE", "2026-03-10T08:00:00Z", ActualCost=14000.0)),
        _json(_avro(change("Campaign", CAMPAIGN, "UPDATE", "2026-03-20T08:00:00Z", ActualCost=12000.0), "BudgetedCost", "Name")),
        _json(change("Lead", LEAD, "CREATE", "2026-03-02T09:30:00Z", Name={"FirstName": "Ada", "LastName": "Cadinal"},
                     Status="Open - Not Contacted", LeadSource="Web"),
              change("CampaignMember", MEMBER, "CREATE", "2026-03-02T09:30:00Z", 2, CampaignId=CAMPAIGN, LeadId=LEAD,
                     Status="Sent", HasResponded=False)),
        _json(change("CampaignMember", MEMBER, "UPDATE", "2026-03-03T09:30:00Z", Status="Responded", HasResponded=True)),
        _json(CREATED),
        _json(_avro(CONVERTED, "Name", "LeadSource", "CreatedDate")),
        _json(change("OpportunityContactRole", ROLE, "CREATE", "2026-03-06T09:00:00Z", OpportunityId=OPPORTUNITY,
                     ContactId=CONTACT, Role="Decision Maker", IsPrimary=True)),
        _json(change("Quote", QUOTE, "CREATE", "2026-03-20T10:00:00Z", Status="Draft", OpportunityId=OPPORTUNITY,
                     TotalPrice=80000.0)),
        _json(change("Quote", QUOTE, "UPDATE", "2026-03-30T10:00:00Z", Status="Accepted", CurrencyIsoCode="EUR")),
        # one fact in two messages: the same win by Change Data Capture and as an outbound message
        _json(WON),
        Message(outbound(("04l5f00002nrC5BAAU", "Opportunity", {
            "Id": OPPORTUNITY[:15], "Amount": "80000.0", "CurrencyIsoCode": "EUR", "StageName": "Closed Won", "IsWon": "true",
            "IsClosed": "true", "SystemModstamp": "2026-04-01T10:00:00.000Z"}))),
        _json(change("Order", ORDER, "CREATE", "2026-04-01T11:00:00Z", Status="Draft", OpportunityId=OPPORTUNITY, QuoteId=QUOTE,
                     AccountId=ACCOUNT, CurrencyIsoCode="EUR")),
        _json(change("Order", ORDER, "UPDATE", "2026-04-02T11:00:00Z", Status="Activated", TotalAmount=80000.0)),
        _json(change("Order", ORDER, "UPDATE", "2026-04-10T11:00:00Z", TotalAmount=75000.0)),
        Message(outbound(
            ("04l5f00002nrC5CAAU", "Invoice", {
                "Id": INVOICE, "Status": "Posted", "TotalAmount": "75000.0", "TotalTaxAmount": "14250.0",
                "CurrencyIsoCode": "EUR", "InvoiceDate": "2026-04-20", "ReferenceEntityId": ORDER,
                "CreatedDate": "2026-04-20T08:00:00.000Z",
                "SystemModstamp": "2026-04-20T09:00:00.000Z"}),
            ("04l5f00002nrC5DAAU", "Contact", {"Id": CONTACT}))),
        _json(change("CreditMemo", CREDIT, "CREATE", "2026-05-02T10:00:00Z", Status="Posted", TotalAmount=4000.0,
                     CurrencyIsoCode="EUR", ReferenceEntityId=INVOICE, CreditDate=1777680000000)),
        _json(change("Account", ACCOUNT, "UPDATE", "2026-05-02T10:00:00Z", Phone="1")),
    ),
    roi={
        "actual_cost": "12000.00", "budget": "15000.00", "booked_revenue": "75000.00", "invoiced_revenue": "71000.00",
        "credited": "4000.00", "roi": {"booked": 5.25, "invoiced": 4.916667, "margin": None},
    },
)  # fmt: skip
