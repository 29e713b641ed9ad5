"""What invoices and costs of ERPNext become: posted and credited per order, booked and taken back per campaign."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from service.domain.money import MINOR_DIGITS
from service.intake.senders.contract import Draft, Source, Statement, Waiting
from service.intake.senders.erpnext.fields import (
    UNDATED,
    Doc,
    Money,
    Parts,
    Version,
    campaign_of,
    cancelled_at,
    cogs_of,
    dated_at,
    day_of,
    distinct,
    id_of,
    is_return,
    items,
    money_of,
    negated,
    total,
    versions,
)
from service.intake.senders.fields import difference, minor, money, stated, text


def sales_invoice(name: str, statements: Sequence[Statement], source: Source) -> Parts:
    """A Sales Invoice is posted on its date, once per order that it bills; returns against it are its credit notes."""
    by_name: dict[str, list[Statement]] = {}
    for one in statements:
        by_name.setdefault(str(one.fields["name"]), []).append(one)
    own = versions(by_name.pop(name, []))
    bills: list[str | None] = []
    if own and is_return(own[-1].doc):
        yield Waiting("a return that names no invoice in return_against credits nothing")
    elif own:
        shares = _shares(own[-1].doc, source)
        bills = [order for order, _ in shares]
        yield from _posted(name, own, shares, source)
    for credit, several in sorted(by_name.items()):
        yield from _credited(credit, versions(several), name, bills, source)


def _posted(
    name: str, history: Sequence[Version], shares: Sequence[tuple[str | None, Money | None]], source: Source
) -> Parts:
    doc, posted, cancelled = history[-1].doc, dated_at(history, "posting_date", source), cancelled_at(history)
    if posted is None:
        yield UNDATED
        return
    alone = len(shares) == 1
    for order, net in shares:
        invoice, mark = _part(name, order, alone=alone), "" if alone or order is None else f"/{order}"
        if net is None:
            yield Waiting("amount unknown: no net_total with a currency")
            continue
        yield Draft(f"posted{mark}", "invoice.posted", posted, stated(
            invoice_id=invoice, order_id=order, account_id=id_of(doc, "customer"), net_amount=net,
            tax=money_of(doc, "total_taxes_and_charges", source) if alone else None,
            cogs=cogs_of(doc, source) if alone else None, posting_date=day_of(doc, "posting_date", posted, source),
            due_date=day_of(doc, "due_date", None, source), amended_from=id_of(doc, "amended_from"),
        ))  # fmt: skip
        if cancelled:
            yield Draft(f"cancelled{mark}", "invoice.cancelled", cancelled, {"invoice_id": invoice})


def _credited(
    name: str, history: Sequence[Version], invoice: str, bills: Sequence[str | None], source: Source
) -> Parts:
    """A return credits that part of the invoice which billed the same order; a cancelled one credits nothing."""
    doc, posted = history[-1].doc, dated_at(history, "posting_date", source)
    if cancelled_at(history):
        return
    if posted is None:
        yield UNDATED
        return
    shares = _shares(doc, source) if len(bills) > 1 else [(None, money_of(doc, "net_total", source))]
    for order, net in shares:
        if net is None or minor(net) > 0:
            yield Waiting(f"amount unknown: the return {name} states no negative net_total with a currency")
        elif minor(net) < 0:
            part = order if order in bills else bills[0] if bills else None
            mark = "" if len(shares) == 1 or order is None else f"/{order}"
            yield Draft(f"credited/{name}{mark}", "invoice.credited", posted, stated(
                credit_note_id=name + mark, invoice_id=_part(invoice, part, alone=len(bills) < 2),  # noqa: PLR2004
                net_amount=negated(net), posting_date=day_of(doc, "posting_date", posted, source),
            ))  # fmt: skip


def _part(invoice: str, order: str | None, *, alone: bool) -> str:
    return invoice if alone or order is None else f"{invoice}/{order}"


def _shares(doc: Doc, source: Source) -> list[tuple[str | None, Money | None]]:
    """Return what an invoice bills per order; the last takes what rounding leaves, so that the shares make the total.

    What else stands on the invoice of one order (freight, for instance) belongs to it; on that of several, to none.
    """
    net, orders = money_of(doc, "net_total", source), distinct(doc, "sales_order", keep_none=True)
    known = [one for one in orders if one is not None]
    if len(known) < 2 or net is None:  # noqa: PLR2004  one order needs no shares
        return [(known[0] if len(known) == 1 else None, net)]
    field = "net_amount" if source.mapping["amounts"] == "transaction" else "base_net_amount"
    shares: list[tuple[str | None, Money | None]] = []
    rest = net
    for order in orders[:-1]:
        rows = [one for one in items(doc) if id_of(one, "sales_order") == order]
        share = money_of({**doc, field: total(rows, field)}, "net_amount", source)
        if share is None:
            return [(None, net)]
        shares.append((order, share))
        rest = difference(rest, share)
    return [*shares, (orders[-1], rest)]


def cost(doctype: str, name: str, history: Sequence[Version], source: Source) -> Parts:
    """A document of a cost doctype books its amount to the campaigns that it or its items name; a return takes back."""
    doc, rule = history[-1].doc, source.mapping["costs"][doctype]
    on = dated_at(history, rule["date"], source)
    if on is None:
        yield UNDATED
        return
    booked, cancelled = day_of(doc, rule["date"], on, source), cancelled_at(history)
    against = id_of(doc, "return_against") if is_return(doc) else None
    for target, amount in costs_of(doc, rule, source).items():
        entry = f"{against or name}/{target}"
        if amount is None:
            yield Waiting(f"amount unknown: no {rule['amount']} with a currency")
        elif minor(amount) > 0 and not is_return(doc):
            yield Draft(f"booked/{target}", "campaign.cost_booked", on, stated(
                cost_entry_id=entry, campaign_id=target, amount=amount, cost_date=booked,
                category=text(doc.get(rule["category"]), "category") if rule["category"] else None,
                supplier_ref=text(doc.get(rule["supplier"]), "supplier") if rule["supplier"] else None,
            ))  # fmt: skip
            if cancelled:
                yield Draft(f"cancelled/{target}", "campaign.cost_reversed", cancelled, {"cost_entry_id": entry})
        elif minor(amount) < 0 and against and not cancelled:
            yield Draft(f"returned/{target}", "campaign.cost_reversed", on, stated(
                cost_entry_id=entry, amount=negated(amount), cost_date=booked,
            ))  # fmt: skip
        elif minor(amount) and not cancelled:
            yield Waiting(f"{target}: expected a cost above 0, or a return that names what it takes back")


def costs_of(doc: Doc, rule: Mapping[str, Any], source: Source) -> dict[str, Money | None]:
    """Return the cost per campaign: by items where an item names one, else the whole for the document's campaign."""
    own = campaign_of(doc, source)
    code = rule["currency"] if rule["currency"] in MINOR_DIGITS else doc.get(rule["currency"])

    def amount(value: Any, what: str) -> Money | None:
        return money(value, code, what) if code else None

    if not any(campaign_of(one, source) for one in items(doc, rule["items"])):
        return {own: amount(doc.get(rule["amount"]), rule["amount"])} if own else {}
    rows: dict[str, list[Doc]] = {}
    for one in items(doc, rule["items"]):
        if target := campaign_of(one, source) or own:
            rows.setdefault(target, []).append(one)
    item_amount = rule["item_amount"]
    return {target: amount(total(several, item_amount), item_amount) for target, several in rows.items()}
