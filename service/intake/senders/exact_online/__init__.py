"""`exact-online`: sales orders, sales invoices, credit notes and costs of Exact Online: webhooks that only say what changed.

Facts, from Exact Online's documentation ("Webhooks", "REST API: Reference documentation", "OAuth"), github.com/picqer
(exact-php-client) and what its users report:
- A message is {"Content": {Topic, ClientId, Division, Action (Create, Update, Delete), Key, ExactOnlineEndpoint,
  EventCreatedOn}, "HashCode"}: the hash is the HMAC-SHA256 of the text of Content, as it stands in the body, by the app's webhook
  secret, in upper-case hexadecimal. Nothing of the record is in it.
- When a subscription is made, the URL gets an empty POST and has to answer 2xx at once.
- GET /api/v1/<division>/salesinvoice/SalesInvoices and so on, in the manner of OData 2: {"d": {"results": […], "__next"}},
  `$filter=InvoiceID eq guid'…'`, times as /Date(milliseconds)/ of the wall clock in Amsterdam, as if that were UTC.
- SalesInvoices: Type 8020 and 8023 are invoices, 8021 and 8024 credit notes, below zero; Status 10 draft, 20 open, 50 processed,
  after which it cannot change. AmountFCExclVat is the net total in Currency. A credit note names no invoice but in YourRef.
- SalesOrders: Status 12 open, 20 partial, 21 complete, 45 cancelled; ApprovalStatus 0 waits for approval.
- TransactionLines of an entry (topic FinancialTransactions) have ledger account, cost center, cost unit and AmountDC in the
  currency of the division; types 10 and above 300 are balances and budgets.
- Access tokens last ten minutes, and none is given before the last has nearly ended; each refresh token serves once and
  comes with its successor, which lasts 30 days.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from service.domain.catalogue import shown
from service.intake.blanks import BLANKS
from service.intake.senders.contract import (
    Draft,
    Ignored,
    Kind,
    MalformedError,
    Reply,
    Request,
    Source,
    Statement,
    Waiting,
    Wanted,
)
from service.intake.senders.exact_online import api
from service.intake.senders.exact_online.rules import DELETED, RULES, why_nothing
from service.intake.senders.fields import (
    blanks,
    currency,
    identifier,
    instant,
    json_of,
    object_of,
    text,
    with_defaults,
)
from service.intake.senders.mappings import check_campaigns, check_url, check_zone

DEFAULTS: dict[str, Any] = {
    "division": None,  # whose messages count: numbers are unique only within one
    "api_url": "https://start.exactonline.nl",  # or .be, .de, .fr, .es, .co.uk, .com
    "timezone": "Europe/Amsterdam",  # the wall clock of Exact Online's times
    "currency": "EUR",  # of the division: that of costs
    "campaign_field": "CostUnit",  # of an order or its lines, and of the lines of a cost
    "campaigns": {},  # what it says → campaign_id
    "blanks": list(BLANKS),  # values that name no campaign
    "order": "OrderNumber",  # the field of an order that is its order_id …
    "invoiced_order": "SalesOrderNumber",  # … and that of an invoice, or of its lines, that names it
    "opportunity": None,  # the field of an order that names the CRM's opportunity
    "credited_invoice": "YourRef",  # the field of a credit note that has the number of its invoice
    "cost_accounts": [],  # the beginnings of the ledger accounts that are costs of campaigns
}


def check_mapping(mapping: Mapping[str, Any]) -> dict[str, Any]:
    """Check names, types, the currency and where the API is."""
    checked = with_defaults(mapping, DEFAULTS, tables=("campaigns",))
    checked["campaigns"] = {str(name): ours for name, ours in checked["campaigns"].items()}
    check_zone(checked)
    try:
        currency(checked["currency"], "currency")
    except MalformedError as error:
        raise ValueError(str(error)) from None
    check_url(checked, "api_url", f"a URL such as {DEFAULTS['api_url']}")
    check_campaigns(checked)
    for key, sort in (("campaign_field", "order"), ("order", "order"), ("opportunity", "order"),
                      ("invoiced_order", "invoice"), ("credited_invoice", "invoice")):  # fmt: skip
        if checked[key] is not None and checked[key] not in api.known(sort):
            raise ValueError(f"{key}: expected one of {', '.join(api.known(sort))}, got {shown(checked[key])}")
    checked["blanks"] = blanks(checked["blanks"])
    return {**checked, "cost_accounts": [str(one) for one in checked["cost_accounts"]]}


def handshake(request: Request, _: Source) -> Reply | None:
    """Answer the empty POST with which Exact Online tries the URL of a new subscription."""
    return Reply(200) if request.method == "POST" and not request.body else None


def read(request: Request, source: Source) -> list[Statement | Ignored | Wanted]:
    """Ask for the record that a message names; one that was deleted is no more."""
    content = object_of(object_of(json_of(request.body), "body").get("Content"), "Content")
    topic, action = str(content.get("Topic")), content.get("Action")
    division = identifier(content.get("Division"), "Division")
    wanted = source.mapping["division"]
    if wanted is not None and division != wanted:
        return [Ignored(f"of the division {shown(division)}, not of the one that the mapping names")]
    sort = api.TOPICS.get(topic)
    if sort is None or (sort == "entry" and not source.mapping["cost_accounts"]):
        return [Ignored(f"{shown(topic)} states nothing here" + (" (cost_accounts in the mapping)" if sort else ""))]
    key = identifier(content.get("Key"), "Key").lower()
    if not api.GUID.fullmatch(key):
        raise MalformedError(f"Key: expected a GUID, got {shown(key)}")
    told = text(content.get("EventCreatedOn"), "EventCreatedOn")
    received = request.received_at.isoformat().replace("+00:00", "Z")
    at = instant(told, "EventCreatedOn", source.mapping["timezone"]) or received
    record = f"{sort}:{key}"
    if action == "Delete":
        return [Statement(record, f"deleted/{at}", at, "", DELETED, {})]
    if action not in ("Create", "Update"):
        raise MalformedError(f"Action: expected Create, Update or Delete, got {shown(action)}")
    return [Wanted(record, f"{record}/{at}", at, "", str(action), api.url(sort, key, division, source))]


def translate(record: str, statements: Sequence[Statement], source: Source) -> list[Draft | Waiting]:
    """Give the events of a record by the rule of its sort."""
    sort, _, identity = record.partition(":")
    if any(one.verb == DELETED for one in statements):
        return []  # only what has not been processed can be deleted
    return list(RULES[sort](identity, statements, source.mapping))


def unsaid(record: str, statements: Sequence[Statement], source: Source) -> str:
    """Say why a record gives no event, and what would make it."""
    if any(one.verb == DELETED for one in statements):
        return "it was deleted"
    return why_nothing(record.partition(":")[0], statements, source.mapping)


KIND = Kind(
    name="exact-online",
    about="Exact Online: sales orders, invoices, credit notes and costs, with records read back",
    check_mapping=check_mapping,
    read=read,
    translate=translate,
    unsaid=unsaid,
    authentication={"scheme": "hmac", "field": "HashCode", "signed": "{body.Content}"},
    handshake=handshake,
    fetch=api.fetch,
    credentials=("client_id", "client_secret", "refresh_token"),
)
