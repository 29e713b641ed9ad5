"""What orders, invoices, credit notes and entries of Exact Online become."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Any

from service.intake.senders.contract import Draft, Statement, Waiting, states
from service.intake.senders.fields import (
    day,
    difference,
    from_epoch,
    instant,
    list_of,
    minor,
    money,
    number,
    object_of,
    stated,
    text,
    unless_blank,
)

DELETED, LINES = "deleted", "@lines"
_EPOCH = re.compile(r"/Date\((-?\d{1,15})\)/", re.ASCII)
_CANCELLED, _PROCESSED, _UNAPPROVED = "45", "50", "0"
_PLACED = ("12", "20", "21", _CANCELLED)
_INVOICES, _CREDIT_NOTES = ("8020", "8023"), ("8021", "8024")
_BALANCES = 300  # types of entries from here on, and 10, are balances and budgets
_OPENING = 10
AMOUNT = "amount unknown: no AmountFCExclVat with a Currency is stated yet"

State = Mapping[str, Any]
Rules = Mapping[str, Any]
Parts = Iterator[Draft | Waiting]


def wall_clock(value: Any, what: str, zone: str) -> str | None:
    """Return RFC 3339 of a time that Exact Online wrote: milliseconds of a clock in that zone, as if it were UTC."""
    match = _EPOCH.fullmatch(value) if isinstance(value, str) else None
    written = (from_epoch(int(match[1]), what) or "").removesuffix("Z") if match else value
    return instant(written, what, zone)


def _day(state: State, field: str, rules: Rules) -> str | None:
    return day(wall_clock(state.get(field), field, rules["timezone"]), field, rules["timezone"])


def _on_day(date: str | None, moment: str, rules: Rules) -> str:
    """Return a moment if it is on that day, else the beginning of the day."""
    if date is None or date == day(moment, "time", rules["timezone"]):
        return moment
    return instant(date, "date", rules["timezone"]) or moment


def _versions(statements: Sequence[Statement]) -> list[tuple[str, State]]:
    return list({one.at: (one.at, state) for one, state in states(statements)}.values())


def _text(state: State, field: str) -> str | None:
    return text(state.get(field), field)


def _money(state: State, field: str) -> dict[str, str] | None:
    """Return an amount in the document's currency; codes may be filled up with blanks."""
    code = (_text(state, "Currency") or "").strip()
    return money(state.get(field), code, field) if code else None


def _net(state: State) -> dict[str, str] | None:
    return _money(state, "AmountFCExclVat")


def _named(state: State, field: str | None) -> str | None:
    """Return what a field says: of the document, else what all of its lines that say anything agree on."""
    if field is None:
        return None
    if (own := _text(state, field)) is not None:
        return own.strip() or None
    said = {value.strip() for one in _lines(state) if (value := _text(one, field)) and value.strip()}
    return said.pop() if len(said) == 1 else None


def _lines(state: State) -> list[dict[str, Any]]:
    return [object_of(one, "lines") for one in list_of(state.get(LINES) or [], "lines")]


def _campaign(state: State, rules: Rules) -> str | None:
    named = unless_blank(_named(state, rules["campaign_field"]), rules)
    return rules["campaigns"].get(named, named) if named else None


def order(_: str, statements: Sequence[Statement], rules: Rules) -> Parts:
    """A sales order is placed on its date once it is approved; another net total amends it, status 45 cancels it."""
    history = _versions(statements)
    last = history[-1][1]
    placed = [
        (at, state) for at, state in history
        if _text(state, "Status") in _PLACED and _text(state, "ApprovalStatus") != _UNAPPROVED
    ]  # fmt: skip
    if not placed:
        return
    identity = _text(last, rules["order"])
    known = [(at, net) for at, state in placed if (net := _net(state)) is not None]
    if identity is None or not known:
        yield Waiting(AMOUNT if identity else f"{rules['order']} is not stated yet")
        return
    created = wall_clock(last.get("Created"), "Created", rules["timezone"]) or placed[0][0]
    value = known[0][1]
    yield Draft("placed", "order.placed", _on_day(_day(last, "OrderDate", rules), created, rules), stated(
        order_id=identity, net_value=value, account_id=_text(last, "OrderedBy"), campaign_id=_campaign(last, rules),
        opportunity_id=_named(last, rules["opportunity"]),
    ))  # fmt: skip
    for at, now in known[1:]:
        if now != value:
            yield Draft(f"amended/{at}", "order.amended", at, {"order_id": identity, "net_value": now})
            value = now
    if _text(last, "Status") == _CANCELLED:
        at = next(at for at, state in history if _text(state, "Status") == _CANCELLED)
        yield Draft("cancelled", "order.cancelled", at, {"order_id": identity})


def invoice(_: str, statements: Sequence[Statement], rules: Rules) -> Parts:
    """An invoice is posted on its date once it is processed; a credit note credits the invoice that it names."""
    processed = [(at, state) for at, state in _versions(statements) if _text(state, "Status") == _PROCESSED]
    if not processed:
        return
    (first, _state), (_at, last) = processed[0], processed[-1]
    number_, net, kind = _text(last, "InvoiceNumber"), _net(last), _text(last, "Type")
    if number_ is None or net is None:
        yield Waiting(AMOUNT if number_ else "InvoiceNumber is not stated yet")
        return
    date = _day(last, "InvoiceDate", rules)
    at = _on_day(date, first, rules)
    posting = date or day(at, "time", rules["timezone"])
    if kind in _INVOICES:
        yield Draft("posted", "invoice.posted", at, stated(
            invoice_id=number_, net_amount=net, posting_date=posting, order_id=_named(last, rules["invoiced_order"]),
            account_id=_text(last, "OrderedBy"), due_date=_day(last, "DueDate", rules),
            tax=_money(last, "VATAmountFC"),
        ))  # fmt: skip
    elif kind in _CREDIT_NOTES and minor(net) < 0:
        yield from _credited(number_, last, net, at, str(posting), rules)


def _credited(number_: str, state: State, net: dict[str, str], at: str, posting: str, rules: Rules) -> Parts:
    of = _named(state, rules["credited_invoice"])
    if of is None:
        yield Waiting(f"the credit note {number_} names no invoice in {rules['credited_invoice']}", net)
        return
    amount = difference({"amount": "0", "currency": net["currency"]}, net)
    data = {"credit_note_id": number_, "invoice_id": of, "net_amount": amount, "posting_date": posting}
    yield Draft("credited", "invoice.credited", at, data)


def entry(identity: str, statements: Sequence[Statement], rules: Rules) -> Parts:
    """What an entry books on the accounts of campaigns is their cost."""
    history = _versions(statements)
    at, state = history[-1]
    sums: dict[str, Decimal] = {}
    date = None
    for line in _lines(state):
        kind, account = number(line.get("Type"), "Type"), _text(line, "GLAccountCode") or ""
        campaign = _campaign(line, rules)
        if campaign is None or not account.strip().startswith(tuple(rules["cost_accounts"])):
            continue
        if kind is not None and (kind == _OPENING or kind >= _BALANCES):
            continue
        sums[campaign] = sums.get(campaign, Decimal(0)) + (number(line.get("AmountDC"), "AmountDC") or Decimal(0))
        date = date or _day(line, "Date", rules)
    on = date or day(at, "time", rules["timezone"])
    for campaign, total in sorted(sums.items()):
        amount = money(total, rules["currency"], "AmountDC") or {}
        if minor(amount) > 0:
            yield Draft(f"booked/{campaign}", "campaign.cost_booked", _on_day(on, history[0][0], rules), stated(
                cost_entry_id=f"{identity}/{campaign}", campaign_id=campaign, amount=amount, cost_date=on,
            ))  # fmt: skip
        elif minor(amount) < 0:
            yield Waiting(f"{campaign}: an entry below zero takes back a cost, but does not say which")


def why_nothing(sort: str, statements: Sequence[Statement], rules: Rules) -> str:
    """Say why a record gives no event, and what would make it."""
    last = _versions(statements)[-1][1]
    status = _text(last, "Status") or "not stated"
    if sort == "entry":
        accounts = ", ".join(rules["cost_accounts"])
        return f"it has no line on {accounts} that names a campaign in {rules['campaign_field']}"
    if sort == "order":
        return f"its status is {status}: an order counts once it is approved (12, 20, 21)"
    return f"its status is {status}: an invoice counts once it is processed (50)"


RULES: dict[str, Callable[[str, Sequence[Statement], Rules], Parts]] = {
    "order": order,
    "invoice": invoice,
    "entry": entry,
}
