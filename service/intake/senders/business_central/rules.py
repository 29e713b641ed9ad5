"""What documents of Business Central give: quotes, orders, posted invoices and credit memos, payments, costs of campaigns."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from service.intake.senders.contract import Draft, Source, Statement, Waiting, states
from service.intake.senders.fields import day, instant, minor, money, stated, text, unless_blank

NET = "totalAmountExcludingTax"
_POSTED = ("Open", "Paid", "Canceled", "Corrective")
_GROSS = "totalAmountIncludingTax"
_NO_DATE = "0001-01-01"

State = Mapping[str, Any]
History = Sequence[tuple[str, State]]
Drafts = Iterator[Draft | Waiting]


class Document(NamedTuple):
    """One document: how it stood after each change that was read back (time, state), and the mapping."""

    history: History
    mapping: Mapping[str, Any]

    def within(self, statuses: Sequence[str]) -> History:
        """Return the part of the history in which it was in one of some states."""
        return [one for one in self.history if _status(one[1]) in statuses]

    def amount(self, state: State, field: str = NET) -> dict[str, str] | None:
        """Return an amount; None if it, or its currency, is not known."""
        code = text(state.get("currencyCode"), "currencyCode")
        code = self.mapping["currencies"].get(code, code) or self.mapping["currency"]
        return money(state.get(field), code, field) if code else None

    def campaign(self, state: State) -> str | None:
        """Return the campaign that the document names, by a field or a dimension."""
        field, dimension = self.mapping["campaign_field"], self.mapping["campaign_dimension"]
        value = state.get(field) if field else (state.get("dimensions") or {}).get(dimension)
        named = unless_blank(text(value, field or f"dimension {dimension}"), self.mapping)
        renamed: str | None = self.mapping["campaigns"].get(named, named)
        return renamed

    def text(self, state: State, field: str | None) -> str | None:
        """Return the text of a field, if there is one of that name."""
        return text(state.get(field), field) if field else None

    def day(self, state: State, field: str) -> str | None:
        """Return a date; blank ones are stated as the first day of all."""
        value = state.get(field)
        return None if value == _NO_DATE else day(value, field, self.mapping["timezone"])

    def lacks(self, state: State, *needed: str) -> list[Waiting]:
        """Return what has to be known, and is not."""
        missing = [Waiting(f"{name} is not stated yet") for name in needed if state.get(name) in (None, "", _NO_DATE)]
        if state.get(NET) is None:
            return [Waiting(f"amount unknown: {NET} is not stated yet"), *missing]
        if self.amount(state) is None:
            return [Waiting("currency unknown: the document names none; set currency in the mapping"), *missing]
        return missing


def translate(record: str, statements: Sequence[Statement], source: Source) -> list[Draft | Waiting]:
    """Return the events of a document, and what it waits for."""
    history = list({one.at: state for one, state in states(statements)}.items())
    rule = _RULES.get(record.partition(":")[0])
    return list(rule(Document(history, source.mapping))) if rule else []


def unsaid(record: str, statements: Sequence[Statement], source: Source) -> str:
    """Say why a document gives no event, and what would make it."""
    it = Document([(one.at, state) for one, state in states(statements)], source.mapping)
    name, last = record.partition(":")[0], it.history[-1][1]
    if name == "salesQuote" and it.text(last, it.mapping["quoted_opportunity"]) is None:
        return "it names no opportunity: say in quoted_opportunity which of its fields does, externalDocumentNumber for instance"
    status, wanted = _status(last) or "no status", it.mapping["order_status"] if name == "salesOrder" else _POSTED
    if name == "purchaseInvoice" and status in _POSTED and it.campaign(last) is None:
        where = it.mapping["campaign_field"] or f"the dimension {it.mapping['campaign_dimension']}"
        return f"it names no campaign in {where}: it is no campaign's cost"
    return f"it is {status}: a {name} counts from {', '.join(wanted)} on"


def _status(state: State) -> str:
    return str(state.get("status") or "").replace("_x0020_", " ")


def _given(
    key: str, kind: str, it: Document, history: History, data_of: Callable[[State], dict[str, Any]],
    *needed: str,
) -> Drafts:  # fmt: skip
    """Give an event, and again for each change of what it says; or say what it waits for."""
    whole = [(at, state) for at, state in history if not it.lacks(state, *needed)]
    if history and not whole:
        yield from it.lacks(history[-1][1], *needed)
    before = None
    for at, state in whole:
        data = data_of(state)
        if data != before:
            yield Draft(key if before is None else f"{key}/{at}", kind, at, data)
        before = data


def _invoice(it: Document) -> Drafts:
    def posted(state: State) -> dict[str, Any]:
        return stated(
            invoice_id=it.text(state, "number"), net_amount=it.amount(state), tax=it.amount(state, "totalTaxAmount"),
            posting_date=it.day(state, "postingDate"), due_date=it.day(state, "dueDate"),
            order_id=it.text(state, it.mapping["invoiced_order"]), account_id=it.text(state, "customerNumber"),
        )  # fmt: skip

    yield from _given("posted", "invoice.posted", it, it.within(_POSTED), posted, "number", "postingDate")
    for at, state in it.within(["Canceled"])[:1]:
        if number := it.text(state, "number"):
            yield Draft("cancelled", "invoice.cancelled", at, {"invoice_id": number})
    for at, state in it.within(["Paid"])[:1]:
        number, amount = it.text(state, "number"), it.amount(state, _GROSS)
        if number and amount and minor(amount):
            yield Draft("paid", "payment.received", at, {"payment_id": number, "invoice_id": number, "amount": amount})


def _quote(it: Document) -> Drafts:
    """A quote is sent and accepted on its dates, if they are stated; it expires when it is read back as expired."""
    last = it.history[-1][1]
    opportunity, number = it.text(last, it.mapping["quoted_opportunity"]), it.text(last, "number")
    if opportunity is None or number is None:
        return
    steps = {"sent": ("Sent", "sentDate"), "accepted": ("Accepted", "acceptedDate"), "expired": ("Expired", None)}
    for step, (status, field) in steps.items():
        found = [one for one in it.history if _status(one[1]).strip() == status or (field and _dated(one[1], field))]
        for at, state in found[:1]:
            stamp = (
                instant(_dated(state, field), field, it.mapping["timezone"]) if field and _dated(state, field) else None
            )
            data = stated(quote_id=number, opportunity_id=opportunity, value=it.amount(state))
            yield Draft(step, f"quote.{step}", stamp or at, data)


def _dated(state: State, field: str) -> Any:
    """Return a date or time; blank ones are stated as the first day of all."""
    value = state.get(field)
    return None if value in (None, "") or str(value).startswith(_NO_DATE) else value


def _credit_memo(it: Document) -> Drafts:
    history = it.within(_POSTED)
    yield from _negative(it, history)

    def credited(state: State) -> dict[str, Any]:
        return stated(
            credit_note_id=it.text(state, "number"), invoice_id=it.text(state, "invoiceNumber"),
            net_amount=it.amount(state), posting_date=it.day(state, "postingDate"),
        )  # fmt: skip

    needed = ("number", "postingDate", "invoiceNumber")
    yield from _given("credited", "invoice.credited", it, _positive(it, history), credited, *needed)


def _positive(it: Document, history: History) -> History:
    """Leave out what is certainly not above 0: nothing is credited, or booked, by it."""
    return [one for one in history if (amount := it.amount(one[1])) is None or minor(amount) > 0]


def _negative(it: Document, history: History) -> Drafts:
    last = it.amount(history[-1][1]) if history else None
    if last is not None and minor(last) < 0:
        yield Waiting(f"{NET} is less than 0, which cannot be booked")


def _order(it: Document) -> Drafts:
    key = it.mapping["order"]
    since = next((n for n, one in enumerate(it.history) if _status(one[1]) in it.mapping["order_status"]), None)
    # Once placed, an order stays so while it is reopened to be changed.
    live = [one for one in it.history[since:] if one[1].get("@deleted") is None] if since is not None else []
    whole = [(at, state) for at, state in live if not it.lacks(state, key)]
    if not whole:
        if live:
            yield from it.lacks(live[-1][1], key)
        return
    first = it.amount(whole[0][1])

    def placed(state: State) -> dict[str, Any]:
        return stated(
            order_id=it.text(state, key), net_value=first, account_id=it.text(state, "customerNumber"),
            campaign_id=it.campaign(state), opportunity_id=it.text(state, it.mapping["opportunity"]),
        )  # fmt: skip

    for draft in _given("placed", "order.placed", it, whole, placed):
        at_first = isinstance(draft, Draft) and draft.key == "placed"
        yield draft._replace(time=_ordered(it, whole[0])) if isinstance(draft, Draft) and at_first else draft
    order, net = it.text(whole[0][1], key), first
    for at, state in whole:
        if (now := it.amount(state)) != net:
            yield Draft(f"amended/{at}", "order.amended", at, {"order_id": order, "net_value": now})
            net = now
    if it.history[-1][1].get("@deleted") is not None and it.mapping["deleted_orders"] == "cancel":
        yield Draft("cancelled", "order.cancelled", it.history[-1][0], stated(order_id=order, reason="deleted"))


def _ordered(it: Document, first: tuple[str, State]) -> str:
    """Return when an order was placed: when it was first seen as such, but on its order date."""
    at, state = first
    on = it.day(state, "orderDate")
    same = on is None or on == day(at, "time", it.mapping["timezone"])
    return at if same else instant(on, "orderDate", it.mapping["timezone"]) or at


def _cost(it: Document) -> Drafts:
    """Book a posted purchase invoice as a cost of the campaign that it names; others are no cost of marketing."""
    history = [one for one in it.within(_POSTED) if it.campaign(one[1])]
    yield from _negative(it, history)

    def booked(state: State) -> dict[str, Any]:
        return stated(
            cost_entry_id=it.text(state, "number"), campaign_id=it.campaign(state), amount=it.amount(state),
            cost_date=it.day(state, "postingDate"), supplier_ref=it.text(state, "vendorNumber"),
        )  # fmt: skip

    yield from _given("cost", "campaign.cost_booked", it, _positive(it, history), booked, "number", "postingDate")
    for at, state in it.within(["Canceled"])[:1]:
        number = it.text(state, "number")
        if number and it.campaign(state):
            on = day(at, "time", it.mapping["timezone"])
            data = {"cost_entry_id": number, "cost_date": on, "reason": "canceled"}
            yield Draft("cancelled", "campaign.cost_reversed", at, data)


_RULES: dict[str, Callable[[Document], Drafts]] = {
    "salesInvoice": _invoice,
    "salesCreditMemo": _credit_memo,
    "salesOrder": _order,
    "purchaseInvoice": _cost,
    "salesQuote": _quote,
}
