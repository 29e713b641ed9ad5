"""A lead-to-cash story of Dynamics 365 Sales, in the RemoteExecutionContext that Dataverse's web hooks post."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any
from uuid import NAMESPACE_URL, uuid5

from tests.support.stories import Message, Story

CONTRACTS = "http://schemas.microsoft.com/xrm/2011/Contracts"
NOBODY = "00000000-0000-0000-0000-000000000000"


def guid(name: str) -> str:
    """Return the id that a record of the story has."""
    return str(uuid5(NAMESPACE_URL, f"https://contoso.crm4.dynamics.com/{name}"))


def when(text: str) -> str:
    """Return a time as the serializer of .NET writes it; the offset is that of the server."""
    return f"/Date({int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp() * 1000)}+0100)/"


def option(value: int) -> dict[str, Any]:
    return {"__type": f"OptionSetValue:{CONTRACTS}", "Value": value}


def amount(value: float | None) -> dict[str, Any] | None:
    return None if value is None else {"__type": f"Money:{CONTRACTS}", "Value": value}


def ref(table: str, name: str) -> dict[str, Any]:
    return {
        "__type": f"EntityReference:{CONTRACTS}", "Id": guid(f"{table}/{name}"), "KeyAttributes": [],
        "LogicalName": table, "Name": None, "RowVersion": None,
    }  # fmt: skip


def entity(table: str, identity: str, attributes: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "__type": f"Entity:{CONTRACTS}",
        "Attributes": [{"key": name, "value": value} for name, value in attributes.items()],
        "EntityState": None, "FormattedValues": [], "Id": identity, "KeyAttributes": [], "LogicalName": table,
        "RelatedEntities": [], "RowVersion": None,
    }  # fmt: skip


def parties(*several: dict[str, Any]) -> dict[str, Any]:
    """Return a list of parties: activity parties, each of which refers to somebody."""
    of_each = [entity("activityparty", guid(f"party/{one['Id']}"), {"partyid": one}) for one in several]
    return {"__type": f"EntityCollection:{CONTRACTS}", "EntityName": "activityparty", "Entities": of_each}


def context(
    message: str, table: str, name: str, at: str, parameters: Mapping[str, Any] | None,
    before: Mapping[str, Any] | None = None, after: Mapping[str, Any] | None = None,
    made: list[dict[str, Any]] | None = None, parent: Any = None,
) -> dict[str, Any]:  # fmt: skip
    """Return the context of one operation, as an asynchronous step after it posts it."""
    identity = guid(f"{table}/{name}")

    def image(alias: str, columns: Mapping[str, Any] | None) -> list[dict[str, Any]]:
        return [{"key": alias, "value": entity(table, identity, columns)}] if columns else []

    automatic = {"key": "AsynchronousStepPrimaryName", "value": entity(table, identity, {f"{table}id": identity})}
    return {
        "BusinessUnitId": guid("unit"), "CorrelationId": guid(f"{message}{table}{name}{at}"), "Depth": 2 if parent else 1,
        "InitiatingUserId": guid("user"),
        "InputParameters": None if parameters is None else [{"key": k, "value": v} for k, v in parameters.items()],
        "IsExecutingOffline": False, "IsInTransaction": False, "IsOfflinePlayback": False, "IsolationMode": 1,
        "MessageName": message, "Mode": 1, "OperationCreatedOn": when(at), "OperationId": guid(f"job{message}{name}{at}"),
        "OrganizationId": guid("organisation"), "OrganizationName": "contoso",
        "OutputParameters": [{"key": "CreatedEntities", "value": made}] if made else [],
        "OwningExtension": ref("sdkmessageprocessingstep", message), "ParentContext": parent,
        "PostEntityImages": [automatic, *image("after", after)], "PreEntityImages": image("before", before),
        "PrimaryEntityId": identity, "PrimaryEntityName": table, "RequestId": None, "SecondaryEntityName": "none",
        "SharedVariables": [], "Stage": 40, "UserId": guid("user"),
    }  # fmt: skip


def created(table: str, name: str, at: str, /, **columns: Any) -> dict[str, Any]:
    """Return a Create: its target has everything that the new record has."""
    identity = guid(f"{table}/{name}")
    whole = {
        f"{table}id": identity, "createdon": when(at), "modifiedon": when(at), "statecode": option(0),
        "transactioncurrencyid": ref("transactioncurrency", "EUR"), "exchangerate": 1.0, **columns,
    }  # fmt: skip
    return context("Create", table, name, at, {"Target": entity(table, identity, whole)})


def updated(
    table: str, name: str, at: str, /, *, parent: Any = None, images: Any = (None, None), **columns: Any
) -> dict[str, Any]:
    """Return an Update: its target has only the columns that were set."""
    identity = guid(f"{table}/{name}")
    target = entity(table, identity, {**columns, f"{table}id": identity, "modifiedon": when(at)})
    return context(
        "Update", table, name, at, {"Target": target, "ConcurrencyBehavior": 0}, images[0], images[1], parent=parent
    )


def closed(message: str, table: str, name: str, at: str, status: int, /, **columns: Any) -> dict[str, Any]:
    """Return Win, Lose, Close or Cancel: what closes the record is an activity of its own."""
    activity = {"opportunity": "OpportunityClose", "quote": "QuoteClose", "salesorder": "OrderClose"}[table]
    attributes = {f"{table}id": ref(table, name), "subject": f"{table} closed", "actualend": when(at), **columns}
    closing = entity(activity.lower(), guid(f"{activity}/{name}{at}"), attributes)
    return context(message, table, name, at, {activity: closing, "Status": option(status)})


def qualified(name: str, at: str, opportunity: str) -> dict[str, Any]:
    """Return QualifyLead, which makes an opportunity of a lead."""
    parameters = {
        "LeadId": ref("lead", name), "CreateAccount": False, "CreateContact": False, "CreateOpportunity": True,
        "OpportunityCurrencyId": ref("transactioncurrency", "EUR"), "OpportunityCustomerId": None,
        "SourceCampaignId": ref("campaign", "fair"), "Status": option(3),
    }  # fmt: skip
    return context("QualifyLead", "lead", name, at, parameters, made=[ref("opportunity", opportunity)])


def told() -> list[dict[str, Any]]:
    """Return the story, in the order in which it happened."""
    activity = {
        "regardingobjectid": ref("campaign", "fair"),
        "transactioncurrencyid": ref("transactioncurrency", "EUR"),
    }
    order = {
        "createdon": when("2026-04-01T10:00:00"), "statecode": option(0), "statuscode": option(1),
        "totalamountlessfreight": amount(100000.0), "totaltax": amount(19000.0), "totalamount": amount(119000.0),
        "opportunityid": ref("opportunity", "line"), "quoteid": ref("quote", "line"), "customerid": ref("account", "adatum"),
        "transactioncurrencyid": ref("transactioncurrency", "EUR"),
    }  # fmt: skip
    win = closed("Win", "opportunity", "line", "2026-03-31T15:00:00", 3, actualrevenue=amount(100000.0))
    return [
        created("campaign", "fair", "2026-01-12T09:00:00", name="Hannover fair 2026", codename="FAIR26", typecode=option(3),
                budgetedcost=amount(15000.0), proposedstart=when("2026-03-01T00:00:00"), othercost=amount(1500.0)),
        created("campaignactivity", "stand", "2026-01-15T09:00:00", subject="Stand", channeltypecode=option(9),
                regardingobjectid=ref("campaign", "fair"), actualcost=None),
        updated("campaignactivity", "stand", "2026-02-20T16:30:00", images=({**activity, "actualcost": None}, None),
                actualcost=amount(8000.0)),
        updated("campaignactivity", "stand", "2026-03-09T08:00:00", actualcost=amount(11000.0)),
        updated("campaignactivity", "stand", "2026-03-10T08:00:00", actualcost=amount(10500.0)),
        created("lead", "kim", "2026-03-02T08:30:00", subject="Asked for a line", leadsourcecode=option(7),
                campaignid=ref("campaign", "fair"), firstname="Kim", lastname="Akers", emailaddress1="kim@adatum.example"),
        created("lead", "lee", "2026-03-02T09:15:00", subject="Student", leadsourcecode=option(7),
                campaignid=ref("campaign", "fair")),
        created("campaignresponse", "answer", "2026-03-03T08:30:00", regardingobjectid=ref("campaign", "fair"),
                customer=parties(ref("lead", "kim")), receivedon=when("2026-03-02T23:00:00"), channeltypecode=option(1)),
        created("connection", "buyer", "2026-03-06T08:00:00", record1id=ref("contact", "kim"),
                record2id=ref("opportunity", "line"), ismaster=True),
        qualified("kim", "2026-03-05T10:00:01", "line"),
        updated("lead", "kim", "2026-03-05T10:00:00", statecode=option(1), statuscode=option(3),
                parent=qualified("kim", "2026-03-05T10:00:01", "line")),
        created("opportunity", "line", "2026-03-05T10:00:00", name="Assembly line", originatingleadid=ref("lead", "kim"),
                campaignid=ref("campaign", "fair"), parentaccountid=ref("account", "adatum"), closeprobability=60,
                estimatedvalue=amount(90000.0), estimatedclosedate=when("2026-04-15T00:00:00"), stepname="1-Qualify"),
        updated("lead", "lee", "2026-03-06T10:00:00", statecode=option(2), statuscode=option(6)),
        created("quote", "line", "2026-03-12T10:00:00", opportunityid=ref("opportunity", "line"), revisionnumber=0,
                totalamountlessfreight=amount(100000.0)),
        updated("quote", "line", "2026-03-13T10:00:00", statecode=option(1), statuscode=option(2)),
        closed("Win", "quote", "line", "2026-03-30T12:00:00", 4),
        win,
        updated("opportunity", "line", "2026-03-31T15:00:00", statecode=option(1), statuscode=option(3),
                images=(None, {"statecode": option(1), "stepname": "4-Close"}),
                actualvalue=amount(100000.0), actualclosedate=when("2026-03-31T00:00:00"), parent=win),
        created("salesorder", "line", "2026-04-01T10:00:00", opportunityid=ref("opportunity", "line"),
                quoteid=ref("quote", "line"), customerid=ref("account", "adatum"), totalamountlessfreight=amount(0.0)),
        updated("salesorder", "line", "2026-04-01T10:00:04", images=(None, order), totaltax=amount(19000.0),
                totalamount=amount(119000.0)),
        created("salesorder", "spare", "2026-04-02T10:00:00", opportunityid=ref("opportunity", "line"),
                customerid=ref("account", "adatum"), totalamountlessfreight=amount(5000.0)),
        closed("Cancel", "salesorder", "spare", "2026-04-07T10:00:00", 4),
        created("invoice", "line", "2026-04-20T10:00:00", salesorderid=ref("salesorder", "line"),
                customerid=ref("account", "adatum"), totalamountlessfreight=amount(100000.0), totaltax=amount(19000.0),
                totalamount=amount(119000.0), new_costofsales=amount(25000.0), duedate=when("2026-05-20T00:00:00")),
        updated("invoice", "line", "2026-05-18T09:00:00", statecode=option(2), statuscode=option(100001)),
    ]  # fmt: skip


def too_large() -> Message:
    """Return a message beyond 256 kB: it says what happened, and nothing else."""
    body = {
        **context("Update", "opportunity", "line", "2026-03-20T10:00:00", None),
        "PostEntityImages": None, "PreEntityImages": None,
    }  # fmt: skip
    headers = {"x-ms-dynamics-msg-size-exceeded": "true", "x-ms-dynamics-entity-name": "opportunity"}
    return Message(json.dumps(body).encode(), headers)


STORY = Story(
    kind="dataverse",
    messages=[*(Message(json.dumps(one).encode()) for one in told()), too_large()],
    campaign_id=guid("campaign/fair"),
    roi={
        "budget": "15000.00", "actual_cost": "12000.00", "booked_revenue": "100000.00", "invoiced_revenue": "100000.00",
        "credited": "0.00", "cogs": "25000.00", "roi": {"booked": 7.333333, "invoiced": 7.333333, "margin": 5.25},
    },
    mapping={
        "currencies": {guid("transactioncurrency/EUR"): "EUR"},
        "timezone": "Europe/Berlin",
        "columns": {"invoice": {"cogs": "new_costofsales"}},
    },
)  # fmt: skip
# The same, with campaigns that go by their codes: what refers to one knows only its GUID.
_COLUMNS = {"invoice": {"cogs": "new_costofsales"}, "campaign": {"code": "codename"}}
BY_CODE = STORY._replace(campaign_id="FAIR26", mapping={**STORY.mapping, "columns": _COLUMNS})
STORIES = (STORY, BY_CODE)
