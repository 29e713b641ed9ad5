"""`erpnext`: documents of ERPNext, posted whole by Frappe's webhooks.

Facts, from github.com/frappe (frappe/integrations/doctype/webhook, frappe/model, erpnext/crm, /selling, /accounts) and
docs.frappe.io (Framework, Guides, Integration, Webhooks):
- The body is what a Jinja template makes of a document, which is a plain dict there: `{{ doc | tojson }}` gives all of it, empty
  fields too. Nothing in it names the event: what happened is read off the document, by `docstatus` (0 draft, 1 submitted,
  2 cancelled), `status`, amounts.
- `X-Frappe-Webhook-Signature` is base64 of the HMAC-SHA256 of the body; there is neither timestamp nor delivery id.
- Three attempts within seconds, 5 seconds each; then it is only listed in *Webhook Request Log*. Any 2xx will do. Jobs of a
  queue post the documents, so order is not promised; `modified` orders them.
- `on_change` comes after each save of what exists and after `db_set`, by which ERPNext sets most statuses; nothing else
  does (erpnext issue 31810). `on_update_after_submit` was not sent for years (frappe pull request 39164).
- Times are naive, in the site's time zone. Amounts are JSON numbers, in `currency` (net_total) or, prefixed by `base_`,
  in the company's currency, which no document names. `net_total` is without tax and after discounts.
- A submitted document is corrected by cancelling it and submitting a copy that names it in `amended_from`; items of an
  order can be changed in place ("Update Items"). A credit note is a Sales Invoice with `is_return`, `return_against`
  and negative amounts. An order's items name its quotation (`prevdoc_docname`), an invoice's items its orders.
- Campaigns: `campaign_name` (Lead) and `campaign` in older versions, `utm_campaign` in newer ones (erpnext moved to UTM
  fields after version 15 began); purchases have a campaign where the site adds one: an accounting dimension, or a field.
- An Email Campaign is of one `recipient`, a Lead or Contact (or a group), and of a `campaign_name`. Its mails, and the answers to
  them, are Communications that name it (`reference_doctype`, `reference_name`), with `read_by_recipient_on` (erpnext/crm).
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from service.domain.catalogue import check_data, shown
from service.intake.blanks import BLANKS
from service.intake.senders.contract import (
    Draft,
    Ignored,
    Kind,
    MalformedError,
    Request,
    Source,
    Statement,
    Waiting,
    Wanted,
)
from service.intake.senders.erpnext import accounts, activities, sales, touches
from service.intake.senders.erpnext.fields import (
    Doc,
    Parts,
    Version,
    distinct,
    docstatus,
    id_of,
    is_return,
    items,
    versions,
)
from service.intake.senders.fields import blanks, currency, identifier, instant, json_of, object_of, with_defaults
from service.intake.senders.mappings import check_choice, check_zone

HEADER = "X-Frappe-Webhook-Signature"
TEMPLATE = 'let the webhook send the whole document: Request Structure "JSON", JSON Request Body {{ doc | tojson }}'

# Where the amount of a cost stands in a document; `currency` is a field, or a code where the document has none.
COST: dict[str, Any] = {
    "amount": "net_total",
    "currency": "currency",
    "date": "posting_date",
    "supplier": "supplier",
    "category": "",
    "items": "items",
    "item_amount": "net_amount",
    "submitted": True,  # whether the doctype is submitted, so that drafts say nothing
}
DEFAULTS: dict[str, Any] = {
    "timezone": "UTC",  # of the site: System Settings
    "campaign_fields": ["utm_campaign", "campaign", "campaign_name"],  # the first that is filled in counts
    "blanks": list(BLANKS),  # what stands where no campaign, source or medium is stated
    "qualified": {"field": "qualification_status", "values": ["Qualified"]},  # which leads are qualified
    "outcomes": {"Converted": "won", "Lost": "lost"},  # the status of an opportunity → its outcome; else it is open
    "quote_outcomes": {
        "Ordered": "accepted",
        "Partially Ordered": "accepted",
        "Lost": "rejected",
        "Expired": "expired",
    },
    "call_outcomes": {"Completed": "answered", "No Answer": "missed", "Busy": "missed"},  # the status of a Call Log
    "activities": {
        "Meeting": "meeting",
        "Sent/Received Email": "email",
        "Event": "other",
        "Other": "other",
    },  # of an Event
    "resolved": ["Resolved", "Closed"],  # the statuses of an Issue that is over
    "direct_quotations": True,  # a quotation straight to a lead opens an opportunity of its own name
    "amounts": "transaction",  # in the document's currency, or "company": in that of the company, as ERPNext converted
    "company_currencies": {},  # company → currency, for "company"
    "name_field": "",  # the field of opportunities with their name: "title", which ERPNext fills with the customer's
    "cogs_field": "",  # the field of orders and invoices that holds their cost of goods, where the site has one
    "costs": {"Purchase Invoice": {}},  # doctypes that are costs of campaigns, and what differs from COST
}
TABLES = ("outcomes", "quote_outcomes", "call_outcomes", "activities", "company_currencies", "costs")
CHOICES = {
    "outcomes": ("won", "lost"), "quote_outcomes": ("accepted", "rejected", "expired"),
    "call_outcomes": ("answered", "missed", "voicemail"), "activities": ("email", "meeting", "demo", "visit", "other"),
}  # fmt: skip

HISTORIES: dict[str, Callable[[str, Sequence[Version], Source], Parts]] = {
    "Campaign": sales.campaign,
    "UTM Campaign": sales.campaign,
    "Lead": sales.lead,
    "Opportunity": sales.opportunity,
    "Sales Order": sales.sales_order,
    "Call Log": activities.call_log,
    "Event": activities.event,
    "Issue": activities.issue,
    "Payment Entry": activities.payment_entry,
}
GATHERED: dict[str, Callable[[str, Sequence[Statement], Source], Parts]] = {  # by statements about several documents
    "Quotation": sales.quotation,
    "Sales Invoice": accounts.sales_invoice,
    "Email Campaign": touches.email_campaign,
}
SUBMITTED = ("Quotation", "Sales Order", "Sales Invoice", "Payment Entry")
VERBS = ("saved", "submitted", "cancelled")  # by docstatus

# What translation needs, beside the mapped fields; the rest, which is personal in part, stays in the inbox.
_KEPT = (
    "name", "doctype", "docstatus", "creation", "company", "currency", "customer", "status", "amended_from",
    "campaign_name", "utm_source", "utm_medium", "utm_content", "source", "lead_owner", "qualified_on",
    "opportunity_from", "party_name", "contact_person", "opportunity_amount", "base_opportunity_amount", "probability",
    "expected_closing", "sales_stage", "opportunity_owner", "territory", "order_lost_reason", "quotation_to",
    "opportunity", "quotation", "transaction_date", "net_total", "base_net_total", "total_taxes_and_charges",
    "base_total_taxes_and_charges", "posting_date", "posting_time", "due_date", "is_return", "return_against",
    "owner", "duration", "start_time", "end_time", "employee_user_id", "event_category", "starts_on", "ends_on",
    "email_campaign_for", "recipient", "communication_date", "sent_or_received", "read_by_recipient_on",
    "resolution_date", "sla_resolution_date", "_assign", "payment_type", "paid_from_account_currency",
)  # fmt: skip
_KEPT_TABLES = {
    "links": ("link_doctype", "link_name"), "event_participants": ("reference_doctype", "reference_docname"),
    "references": ("reference_doctype", "reference_name", "allocated_amount"), "lost_reasons": ("lost_reason",),
}  # fmt: skip
_KEPT_OF_ITEMS = ("prevdoc_docname", "sales_order", "net_amount", "base_net_amount")


def check_mapping(mapping: Mapping[str, Any]) -> dict[str, Any]:
    """Check names, types and choices; costs are completed by COST."""
    checked = with_defaults(mapping, DEFAULTS, TABLES)
    check_zone(checked)
    for name, choices in CHOICES.items():
        for status, outcome in checked[name].items():
            if outcome not in choices:
                raise ValueError(f"{name}.{status}: expected one of {', '.join(choices)}, got {shown(outcome)}")
    check_choice(checked, "amounts", "transaction", "company")
    for name, several in (
        ("campaign_fields", checked["campaign_fields"]),
        ("qualified.values", checked["qualified"]["values"]),
        ("resolved", checked["resolved"]),
    ):
        if not all(isinstance(one, str) and one for one in several):
            raise ValueError(f"{name}: expected a list of texts, got {shown(several)}")
    for company, code in checked["company_currencies"].items():
        currency(code, f"company_currencies.{company}")
    for doctype in checked["costs"]:
        if doctype in HISTORIES or doctype in GATHERED:
            raise ValueError(f"costs.{doctype}: expected a doctype that is a cost")
    costs = {one: with_defaults(rule, COST, where=f"costs.{one}.") for one, rule in checked["costs"].items()}
    return {**checked, "costs": costs, "blanks": blanks(checked["blanks"])}


def read(request: Request, source: Source) -> list[Statement | Ignored | Wanted]:
    """A document is a statement of itself, a return one of what it takes back; an order is one of its quotations too."""
    doc = object_of(json_of(request.body), "body")
    doctype, cost = doc.get("doctype"), source.mapping["costs"].get(str(doc.get("doctype")))
    if not isinstance(doctype, str):
        raise MalformedError(f"doctype: expected its name, got {shown(doctype)}: {TEMPLATE}")
    mailed = touches.campaign_of_mail(doc) if doctype == "Communication" else None
    if cost is None and doctype not in HISTORIES and doctype not in GATHERED and mailed is None:
        return [Ignored(f"the doctype {shown(doctype)} gives no event, and is none of the costs in the mapping")]
    submitted = doctype in SUBMITTED or (cost is not None and cost["submitted"])
    if submitted and doc.get("docstatus") is None:
        raise MalformedError(f"docstatus: expected 0, 1 or 2, got nothing: {TEMPLATE}")
    if submitted and docstatus(doc) == 0:
        return [Ignored(f"a draft {doctype} states nothing until it is submitted")]
    at = instant(doc.get("modified"), "modified", source.mapping["timezone"])
    if at is None:
        raise MalformedError(f"modified: expected a time, got nothing: {TEMPLATE}")
    name, order, verb = identifier(doc.get("name"), "name"), str(docstatus(doc)), VERBS[docstatus(doc)]
    key = hashlib.sha256(request.body).hexdigest()  # attempts repeat the body; nothing else numbers them
    if mailed is not None:
        return [Statement(f"Email Campaign:{mailed}", key, at, order, touches.MAILED, _kept(doc, source, {}))]
    of = (id_of(doc, "return_against") if doctype == "Sales Invoice" and is_return(doc) else None) or name
    parts: list[Statement | Ignored | Wanted] = [
        Statement(f"{doctype}:{of}", key, at, order, verb, _kept(doc, source, cost or {}))
    ]
    if doctype == "Sales Order":
        fields = {"order": name, "time": sales.ordered_at(doc, at, source)}
        parts += [
            Statement(f"Quotation:{quote}", f"{key[:32]}/{quote}", at, order, "ordered", fields)
            for quote in distinct(doc, "prevdoc_docname")
        ]
    if reason := _unsaid(doc, name, cost, source):
        parts.append(Ignored(reason))
    return parts


def _unsaid(doc: Doc, name: str, cost: Mapping[str, Any] | None, source: Source) -> str:
    """Say why a document gives no event, where that is not in the mapping's hand alone."""
    if cost is not None and not accounts.costs_of(doc, cost, source):
        return f"{name} names no campaign in {', '.join(source.mapping['campaign_fields'])}: it is no campaign's cost"
    if doc["doctype"] == "Quotation" and sales.deal_of(name, doc, source)[0] is None:
        return f"{name} names no opportunity, and goes to no lead: it belongs to no deal"
    return ""


def _kept(doc: Doc, source: Source, cost: Mapping[str, Any]) -> dict[str, Any]:
    mapping = source.mapping
    mapped = {*mapping["campaign_fields"], mapping["qualified"]["field"], mapping["cogs_field"], mapping["name_field"]}
    names = {*_KEPT, *mapped, *(one for one in cost.values() if isinstance(one, str))}
    tables = {"items", cost.get("items", "items")}
    of_items = {*_KEPT_OF_ITEMS, *mapping["campaign_fields"], cost.get("item_amount", "net_amount")}
    kept = {one: doc[one] for one in sorted(names - tables) if one in doc}
    for table, columns in _KEPT_TABLES.items():
        if doc.get(table):
            kept[table] = [{one: row[one] for one in columns if one in row} for row in items(doc, table)]
    for table in sorted(tables & doc.keys()):
        kept[table] = [{one: row[one] for one in sorted(of_items) if one in row} for row in items(doc, table)]
    return kept


def translate(record: str, statements: Sequence[Statement], source: Source) -> list[Draft | Waiting]:
    """Give the events of a record by the rule of its doctype."""
    doctype, _, name = record.partition(":")
    if gathered := GATHERED.get(doctype):
        parts = gathered(name, statements, source)
    elif rule := HISTORIES.get(doctype):
        parts = rule(name, versions(statements), source)
    elif doctype in source.mapping["costs"]:
        parts = accounts.cost(doctype, name, versions(statements), source)
    else:
        return []  # a doctype that was a cost before the mapping was changed
    drafts = list(parts)
    for one in drafts:
        for problem in check_data(one.type, one.data) if isinstance(one, Draft) else ():
            raise MalformedError(f"{problem.field}: expected {problem.expected}, got {problem.got}")
    return drafts


KIND = Kind(
    name="erpnext",
    about="ERPNext: leads, deals, orders, invoices, payments, calls, cases and costs from webhooks of Frappe",
    check_mapping=check_mapping,
    read=read,
    translate=translate,
    authentication={"scheme": "hmac", "header": HEADER, "encoding": "base64"},
)
