"""The mapping of `dataverse`: the columns, states and names of Dynamics 365 Sales as they come, for sites that changed them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from service.domain.catalogue import shown
from service.domain.money import MINOR_DIGITS
from service.intake.blanks import BLANKS
from service.intake.senders.fields import blanks, with_defaults
from service.intake.senders.mappings import check_campaigns, check_choice, check_zone

_GUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
COMMON = (
    "createdon",
    "statecode",
    "statuscode",
    "transactioncurrencyid",
    "exchangerate",
    "merged",
)  # columns of every table
OPTIONAL = ("msevtmgt_eventregistration", "msdynmkt_marketingformsubmission")  # tables of Customer Insights – Journeys
MERGING = ("lead", "contact", "account")

# What a state (statecode, or statecode/statuscode) means, by table.
_STATES: dict[str, dict[str, str]] = {
    "lead": {"0": "open", "1": "qualified", "2": "disqualified"},
    "opportunity": {"0": "open", "1": "won", "2": "lost"},
    "quote": {"0": "draft", "1": "sent", "2": "accepted", "3": "rejected", "3/7": "draft"},  # 7: revised
    "salesorder": {"0": "placed", "1": "placed", "2": "cancelled", "3": "placed", "4": "placed"},
    "invoice": {"0": "posted", "1": "posted", "2": "posted", "3": "cancelled"},
    "phonecall": {"0": "open", "1": "completed", "2": "cancelled"},
    "email": {
        "0": "open",
        "1": "open",
        "1/2": "completed",
        "1/3": "completed",
        "2": "cancelled",
    },  # 2: done, 3: sent, 4: received
    "appointment": {"0": "open", "1": "completed", "2": "cancelled", "3": "open"},
    "task": {"0": "open", "1": "completed", "2": "cancelled"},
    "incident": {"0": "open", "1": "resolved", "2": "cancelled"},
    "campaignresponse": {"0": "open", "1": "completed", "2": "cancelled"},
    **{table: {"0": "completed", "1": "cancelled"} for table in OPTIONAL},
    "connection": {"0": "active", "1": "inactive"},
}
_MEANINGS = {
    "lead": ("open", "qualified", "disqualified"),
    "opportunity": ("open", "won", "lost"),
    "quote": ("draft", "sent", "accepted", "rejected", "expired"),
    "salesorder": ("draft", "placed", "cancelled"),
    "invoice": ("draft", "posted", "cancelled"),
    "phonecall": ("open", "completed", "voicemail", "missed", "cancelled"),
    **dict.fromkeys(("email", "appointment", "task"), ("open", "completed", "cancelled")),
    "incident": ("open", "resolved", "cancelled"),
    **dict.fromkeys(("campaignresponse", *OPTIONAL), ("open", "completed", "cancelled")),
    "connection": ("active", "inactive"),
}
# What numbers of option sets are called in events.
_LABELS = {
    **{f"campaign.typecode.{n}": name for n, name in enumerate(
        ("Advertisement", "Direct Marketing", "Event", "Co-branding", "Other"), 1)},
    **{f"lead.leadsourcecode.{n}": name for n, name in enumerate(
        ("Advertisement", "Employee Referral", "External Referral", "Partner", "Public Relations", "Seminar",
         "Trade Show", "Web", "Word of Mouth", "Other"), 1)},
    **{f"campaignresponse.channeltypecode.{n}": name for n, name in enumerate(
        ("email", "phone", "fax", "letter", "appointment", "other"), 1)},
    "lead.statuscode.4": "Lost", "lead.statuscode.5": "Cannot Contact", "lead.statuscode.6": "No Longer Interested",
    "lead.statuscode.7": "Canceled", "opportunity.statuscode.4": "Canceled", "opportunity.statuscode.5": "Out-Sold",
}  # fmt: skip
_ACTIVITY = {
    "owner": "ownerid", "regarding": "regardingobjectid", "end": "actualend", "minutes": "actualdurationminutes",
}  # fmt: skip
DEFAULTS: dict[str, Any] = {
    "currency": None,  # the organisation's base currency, for records that are in it
    "currencies": {},  # id or name of a Dataverse currency → ISO 4217
    "timezone": "UTC",  # where a day begins
    "campaigns": {},  # id or code of a campaign → the campaign_id to use instead
    "blanks": list(BLANKS),  # what stands where no channel, source or medium is stated
    "deleted": "cancel",  # what deleting an order, invoice or cost means: "cancel" or "keep"
    "qualified_level": "sql",
    "states": {name: {} for name in _STATES},
    "labels": {},
    "columns": {
        "campaign": {
            "name": "name", "type": "typecode", "start": "proposedstart", "end": "proposedend",
            "expected_revenue": "expectedrevenue", "budget": "budgetedcost", "cost": "othercost", "cost_date": None,
            "code": None,  # "codename": that is the campaign_id then, here and wherever the campaign is referred to
        },
        "campaignactivity": {"campaign": "regardingobjectid", "cost": "actualcost", "cost_date": None},
        "lead": {
            "campaign": "campaignid", "source": "leadsourcecode", "medium": None, "channel": None, "lead_magnet": None,
            "contact": "parentcontactid", "account": "parentaccountid", "owner": "ownerid",
        },
        "opportunity": {
            "lead": "originatingleadid", "campaign": "campaignid", "account": "parentaccountid",
            "contact": "parentcontactid", "owner": "ownerid", "value": "estimatedvalue", "probability": "closeprobability",
            "close": "estimatedclosedate", "stage": "stepname", "actual_value": "actualvalue", "name": "name", "team": None,
            "region": None,
        },
        "quote": {"opportunity": "opportunityid", "value": "totalamountlessfreight", "revision": "revisionnumber"},
        "salesorder": {
            "opportunity": "opportunityid", "quote": "quoteid", "account": "customerid", "campaign": "campaignid",
            "net": "totalamountlessfreight", "cogs": None,
        },
        "invoice": {
            "order": "salesorderid", "account": "customerid", "net": "totalamountlessfreight", "tax": "totaltax",
            "cogs": None, "posting_date": None, "due": "duedate",
        },
        "phonecall": {**_ACTIVITY, "voicemail": "leftvoicemail"},
        **{name: dict(_ACTIVITY) for name in ("email", "appointment", "task")},
        "incident": {"owner": "ownerid", "account": "customerid", "score": "customersatisfactioncode"},
        "campaignresponse": {
            "campaign": "regardingobjectid", "person": "customer", "at": "receivedon", "activity": "channeltypecode",
        },
        **{table: {"campaign": None, "person": None, "at": None, "activity": None, "cancelled": None} for table in OPTIONAL},
        "connection": {
            "one": "record1id", "other": "record2id", "one_role": "record1roleid", "other_role": "record2roleid",
            "master": "ismaster",
        },
    },
}  # fmt: skip
MONEY = {
    "campaign": ("expected_revenue", "budget", "cost"), "campaignactivity": ("cost",),
    "opportunity": ("value", "actual_value"), "quote": ("value",), "salesorder": ("net",), "invoice": ("net",),
}  # fmt: skip


def check_mapping(mapping: Mapping[str, Any]) -> dict[str, Any]:
    """Complete the mapping; `states` and `labels` are added to the usual ones."""
    tables = ("currencies", "campaigns", "labels", *(f"states.{name}" for name in _STATES))
    checked = with_defaults(mapping, DEFAULTS, tables)
    check_zone(checked)
    check_choice(checked, "deleted", "cancel", "keep")
    if checked["qualified_level"] not in ("mql", "sal", "sql"):
        raise ValueError(f"qualified_level: expected mql, sal or sql, got {shown(checked['qualified_level'])}")
    for name, code in (("currency", checked["currency"]), *_named("currencies", checked["currencies"])):
        if code is not None and code not in MINOR_DIGITS:
            raise ValueError(f'{name}: expected an ISO 4217 code such as "EUR", got {shown(code)}')
    for table, given in checked["states"].items():
        for key, meaning in _named(f"states.{table}", given):
            if meaning not in _MEANINGS[table]:
                raise ValueError(f"{key}: expected one of {', '.join(_MEANINGS[table])}, got {shown(meaning)}")
    check_campaigns(checked)
    for name, value in _named("labels", checked["labels"]):
        if not isinstance(value, str) or not value:
            raise ValueError(f"{name}: expected a text, got {shown(value)}")
    checked["blanks"] = blanks(checked["blanks"])
    checked["campaigns"] = {name.lower(): value for name, value in checked["campaigns"].items()}
    if not all(_GUID.fullmatch(name) for name in checked["campaigns"]):  # named by their codes: so they go by them
        of_campaigns = checked["columns"]["campaign"]
        by_code = {**of_campaigns, "code": of_campaigns["code"] or "codename"}
        checked["columns"] = {**checked["columns"], "campaign": by_code}
    checked["currencies"] = {name.lower(): value for name, value in checked["currencies"].items()}
    checked["states"] = {table: {**usual, **checked["states"][table]} for table, usual in _STATES.items()}
    checked["labels"] = {**_LABELS, **checked["labels"]}
    return checked


def _named(where: str, table: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    return ((f"{where}.{name}", value) for name, value in table.items())
