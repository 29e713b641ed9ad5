"""`odoo`: leads, orders, invoices and vendor bills of Odoo, from its automation rules, read back where a key is given.

Facts, from github.com/odoo/odoo (base/models/ir_actions.py, crm, sale, sale_crm, account, utm) and Odoo's documentation
("Automation rules", "External JSON-2 API", "External RPC API"), for versions 17 to 19:
- The action *Send Webhook Notification* posts JSON: `_model`, `_id`, `_action` ("name(#id)"), and the chosen fields as `read`
  gives them: False for whatever is empty, ids for links to other records, naive times in UTC. Nothing is signed, no
  header can be set: the URL has to hold the secret. It waits one second for the answer, and never tries again.
- A rule *On create*, *On update* or *On deletion* runs within the transaction; nothing in the message tells which it was
  but the action's name. Order is not promised; `write_date` (seconds when read back) orders the versions of a record.
- Reading back: JSON-2 (since 19) is POST /json/2/<model>/<method> with an API key as bearer; JSON-RPC (until 22) is
  execute_kw with database, user id and key. Both give links as [id, name]. An unknown field is an error, so `fields_get`
  says first which there are. Archived records are only found with `active_test` false.
- crm.lead is lead and opportunity in one record (`type`), opened when it is converted (`date_conversion`). Won has the
  probability 100, lost is archived with 0; `won_status` says it in newer versions. `date_closed` tells when.
- sale.order is a quotation (draft, sent) until it is confirmed (sale; done before 17); `date_order` is then the time of
  the confirmation. `invoice_origin` of an invoice has the names of its orders. `margin` comes with a module.
- account.move is invoice (out_invoice), credit note (out_refund, which names what it takes back in `reversed_entry_id`),
  vendor bill (in_invoice) and its refund (in_refund); draft, posted, cancel. Amounts of refunds are positive.
- Leads, orders and moves have `campaign_id`, `source_id` and `medium_id` (utm); merged leads are deleted but for one.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from service.domain.catalogue import shown
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
from service.intake.senders.fields import currency, identifier, json_of, object_of, with_defaults
from service.intake.senders.mappings import check_campaigns, check_choice, check_url, check_zone
from service.intake.senders.odoo import accounts, api, crm, sales
from service.intake.senders.odoo.records import DELETED, Version, statement, versions, written

DEFAULTS: dict[str, Any] = {
    "url": None,  # of the site, where records are read back with the credentials: https://northwind.odoo.com
    "database": None,  # where a site has several; JSON-RPC needs it always
    "api": "json-2",  # or "json-rpc", before version 19
    "timezone": "UTC",  # of the company
    "company": None,  # company_id of the records that count, as a number
    "currency": None,  # of records that name none
    "currencies": {},  # currency_id → ISO 4217, where records are not read back
    "campaigns": {},  # the campaign's number or name → campaign_id
    "qualified_stages": ["Qualified"],  # names or numbers: a lead that comes into one of them is qualified
    "conversion_qualifies": True,  # a lead that becomes an opportunity is qualified
    "deleted_action": "Ledger: deleted",  # the name of the action by which a rule "On deletion" tells of it
    "deleted_leads": "keep",  # or "withdraw"; merged leads are deleted as well
    "bills_as_costs": True,  # vendor bills that name a campaign are its costs
}
TABLES = ("currencies", "campaigns")
RULES: dict[str, Callable[[str, Sequence[Version], Source], Iterator[Draft | Waiting]]] = {
    "crm.lead": crm.lead,
    "utm.campaign": crm.campaign,
    "sale.order": sales.order,
    "account.move": accounts.move,
}


def check_mapping(mapping: Mapping[str, Any]) -> dict[str, Any]:
    """Check names, types, choices and the URL."""
    checked = with_defaults(mapping, DEFAULTS, TABLES)
    for key in TABLES:
        checked[key] = {str(name): ours for name, ours in checked[key].items()}
    check_zone(checked)
    try:
        for key, code in {
            "currency": checked["currency"],
            **{f"currencies.{k}": v for k, v in checked["currencies"].items()},
        }.items():
            if code is not None:
                currency(code, key)
    except MalformedError as error:
        raise ValueError(str(error)) from None
    check_choice(checked, "api", *api.CALLS)
    check_choice(checked, "deleted_leads", "keep", "withdraw")
    if checked["url"]:
        check_url(checked, "url", "that of the site, such as https://northwind.odoo.com")
    if checked["api"] == "json-rpc" and checked["url"] and not checked["database"]:
        raise ValueError("database: expected its name, which JSON-RPC needs")
    check_campaigns(checked)
    return {**checked, "qualified_stages": [str(one) for one in checked["qualified_stages"]]}


def read(request: Request, source: Source) -> list[Statement | Ignored | Wanted]:
    """A message states the fields that it has; with credentials, its record is read back."""
    body = object_of(json_of(request.body), "body")
    model, action = body.get("_model"), str(body.get("_action") or "")
    if not isinstance(model, str):
        raise MalformedError(
            f"_model: expected its name, got {shown(model)}: is this the action Send Webhook Notification?"
        )
    if model not in RULES:
        return [Ignored(f"a record of {shown(model)} gives no event")]
    identity = identifier(body.get("_id", body.get("id")), "_id")
    record, content = f"{model}:{identity}", hashlib.sha256(request.body).hexdigest()[:32]
    received = request.received_at.isoformat().replace("+00:00", "Z")
    at = written(body)
    if action.startswith(source.mapping["deleted_action"]):
        return [Statement(record, f"deleted/{at or received}", at or received, "9", DELETED, {})]
    if source.credentials.get("api_key"):
        key = f"{record}/{received}/{content}"  # the same message twice may find two states of the record
        return [Wanted(record, key, at or received, "", "read", api.url(model, source))]
    if at is None:
        raise MalformedError(
            "write_date: expected a time, got nothing: let the action send it, and the fields of the page odoo.md; "
            "or give the source an API key, so that records are read back"
        )
    return [statement(record, f"{at}/{content}", body, at, "sent")]


def translate(record: str, statements: Sequence[Statement], source: Source) -> list[Draft | Waiting]:
    """Give the events of a record by the rule of its model."""
    model, _, identity = record.partition(":")
    gone = any(one.verb == DELETED for one in statements)
    if gone and (model != "crm.lead" or source.mapping["deleted_leads"] == "withdraw"):
        return []  # Odoo lets go only of what has never been confirmed or posted
    out: list[Draft | Waiting] = [Waiting("deleted, or merged into another lead: what it gave stands")] if gone else []
    seen = versions(statements)
    company = source.mapping["company"]
    if not seen or (company and seen[-1].number("company_id") not in (None, company)):
        return out
    return [*out, *RULES[model](identity, seen, source)]


def unsaid(record: str, statements: Sequence[Statement], source: Source) -> str:
    """Say why a record gives no event, and what would make it."""
    model = record.partition(":")[0]
    if any(one.verb == DELETED for one in statements):
        return "it was deleted before it was confirmed or posted"
    last = versions(statements)[-1]
    state = last.text("state") or "no state"
    if source.mapping["company"] and last.number("company_id") not in (None, source.mapping["company"]):
        return f"it is of the company {last.number('company_id')}, not of the one that the mapping names"
    if model == "account.move":
        return accounts.unsaid(last, source)
    return (
        f"it is {state}: a {model} counts when it is confirmed (sale), and its quotation when it names an opportunity"
    )


KIND = Kind(
    name="odoo",
    about="Odoo: leads, orders, invoices and bills from automation rules; records read back with an API key",
    check_mapping=check_mapping,
    read=read,
    translate=translate,
    unsaid=unsaid,
    authentication={"scheme": "bearer"},  # Odoo itself can only keep a secret in the URL; a proxy can do this
    fetch=api.fetch,
    credentials=("api_key", "user"),
)
