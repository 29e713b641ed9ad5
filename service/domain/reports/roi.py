"""ROI (SPEC section 4): what campaigns cost and brought in, and what follows from that."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

from service.domain.calendar import recorded_day
from service.domain.components.accounts import AccountsOrder
from service.domain.components.billing import CreditNote, Invoice
from service.domain.components.campaigns import Budget
from service.domain.components.costs import CostEntry
from service.domain.components.entities import NO_DAY, Order
from service.domain.cubes import DEALS, Dimensions, Posts
from service.domain.facts import Fact
from service.domain.figures import Figure, FirstDay, Sums, quotient, total
from service.domain.money import Money, money_of
from service.domain.postings import Book, Remainder, event_name
from service.domain.report import Report
from service.domain.reports import lead_quality, paths, payments, pending, told
from service.domain.units import COUNT, DAY, MONEY

# What entities post

_BOOKED = {"booked_revenue": 1}


def contribute_order(order: Order, book: Book) -> None:
    """Post the value of an order as it was placed, and what each of its changes makes of that."""
    base, left, own = order.base, None, book.cells
    start: tuple[object, ...] = ()
    if order.placed is not None and base is not None:
        placed = book.zone.day(order.placed.micros)
        left = Remainder(book, base.currency, placed, lead_quality.beside(order, book))
        left.post(_BOOKED, order.name, order.where, placed, order.cohort, base.minor)
        start = (left.terms, order.where, order.cohort, placed)
        if order.account is None and order.new_customer and order.live:
            book.add("new_customers", order, placed)
    if start != order.start:
        order.start = start
        order.changes.restart()
    begin: tuple[Any, ...] = (left.remaining, left.remaining_converted, False) if left else ()
    for state, change in order.changes.again(begin):
        book.open(change)
        if left is None:
            pending.contribute_change(change, book)
            change.after = ()
        else:
            left.remaining, left.remaining_converted, ended = state
            change.after = state if ended else _changed(order, change.fact, left, placed, book)
    book.cells = own
    stands = order.changes.items[-1].after if order.changes.items else begin
    order.standing = stands[1] if stands and left and left.known and order.live else None


def _changed(order: Order, fact: Fact, left: Remainder, placed: int, book: Book) -> tuple[object, ...]:
    """Post an amendment or the cancellation of an order that is placed; return what is left then."""
    day, entity = max(placed, book.zone.day(fact.micros)), (order.name, order.where)
    if fact.type == "order.cancelled":
        left.post(_BOOKED, *entity, day, order.cohort, -left.remaining)
    else:
        value = money_of(fact.data["net_value"])
        if value.currency == left.currency:
            left.post(_BOOKED, *entity, day, order.cohort, value.minor - int(left.remaining))
        else:
            book.flag(f"amendment in {value.currency} of an order in {left.currency}", *entity, day, order.cohort)
    return left.remaining, left.remaining_converted, fact.type == "order.cancelled"


def contribute_invoice(invoice: Invoice, book: Book) -> None:
    """Post an invoice with its costs of goods, its credit notes and its cancellation."""
    amount, stated = invoice.amount, invoice.cogs
    if invoice.posted is None or amount is None:
        return
    entity, where, cohort, own, bill = (
        invoice.name,
        invoice.where,
        invoice.cohort,
        book.cells,
        payments.billed(invoice, book),
    )
    left = Remainder(book, amount.currency, invoice.day, lead_quality.beside(invoice, book))
    cogs = Remainder(book, stated.currency, invoice.day) if stated else None
    covered = {"invoiced_with_cogs": 1} if cogs and cogs.known and left.known else {}
    left.post({"invoiced_revenue_gross": 1, **covered}, entity, where, invoice.day, cohort, amount.minor)
    if cogs and stated and (covered or not cogs.known):
        cogs.post({"cogs": 1}, entity, where, invoice.day, cohort, stated.minor)
    places = (where, payments.place(invoice, book), cohort, invoice.day, invoice.origin)
    start = (left.terms, cogs and cogs.terms, bill.terms, places)
    if start != invoice.start:
        invoice.start = start
        invoice.credits.restart()
    begin = _left(left, bill, cogs)
    for state, note in invoice.credits.again(begin):
        book.open(note)
        _set_left(state, left, bill, cogs)
        if _credit(invoice, note, left, cogs, covered, book):
            payments.credit(invoice, note, bill, book)
            told.tell_credit_note(note, book)
            paths.brought(invoice, note.name, book)
        note.after = _left(left, bill, cogs)
    book.cells = own
    _set_left(invoice.credits.left(begin), left, bill, cogs)
    if invoice.credited > max(amount.minor, 0):
        book.flag("more is credited than invoiced", entity, where, invoice.day, cohort)
    if invoice.cancelled is not None:
        day = max(invoice.day, book.zone.day(invoice.cancelled.micros))
        left.post({"invoiced_revenue_gross": 1, **covered}, entity, where, day, cohort, -left.remaining)
        if cogs and (covered or not cogs.known):
            cogs.post({"cogs": 1}, entity, where, day, cohort, -cogs.remaining)
    payments.contribute_payments(invoice, bill, book)


def _left(*amounts: Remainder | None) -> tuple[Any, ...]:
    return tuple(part for one in amounts if one for part in (one.remaining, one.remaining_converted))


def _set_left(state: tuple[Any, ...], *amounts: Remainder | None) -> None:
    for number, one in enumerate(filter(None, amounts)):
        one.remaining, one.remaining_converted = state[2 * number : 2 * number + 2]


def _credit(
    invoice: Invoice, note: CreditNote, left: Remainder, cogs: Remainder | None, covered: dict[str, int], book: Book
) -> bool:
    """Post one credit note; False where it is in another currency, and counts nothing."""
    amount, day = note.amount, recorded_day(note.fact.data["posting_date"])
    place = (note.name, invoice.where, day, invoice.cohort)
    if amount.currency != left.currency:
        book.flag(f"credit note in {amount.currency} of an invoice in {left.currency}", *place)
        return False
    left.post({"credited": -1, **covered}, *place, -amount.minor)
    if cogs and note.cogs and note.cogs.currency != cogs.currency:
        reason = (
            f"cogs of a credit note in {note.cogs.currency} of an invoice's in {cogs.currency}, taken in proportion"
        )
        book.flag(reason, *place)
    if cogs and covered:
        cogs.post({"cogs": 1}, *place, -_cogs_of(amount.minor, note.cogs, invoice))
    return True


def _cogs_of(credited: int, own: Money | None, invoice: Invoice) -> Fraction | int:
    """Return what a credit note takes back of its invoice's cogs: its own statement, else in proportion."""
    cogs, amount = invoice.cogs, invoice.amount
    assert cogs is not None and amount is not None  # noqa: PT018, S101  the caller's condition, for the types
    if own is not None and own.currency == cogs.currency:
        return own.minor
    return Fraction(cogs.minor * credited, amount.minor) if amount.minor else 0


def contribute_cost(entry: CostEntry, book: Book) -> None:
    """Post one cost entry and its reversals."""
    left, booked, own = None, entry.booked, book.cells
    start: tuple[object, ...] = ()
    if booked is not None:
        where, amount = Dimensions(booked.data["campaign_id"]), money_of(booked.data["amount"])
        booked_on = recorded_day(booked.data["cost_date"])
        left = Remainder(book, amount.currency, booked_on)
        left.post({"actual_cost": 1}, entry.name, where, booked_on, booked_on, amount.minor)
        start = (left.terms, where, booked_on)
    if start != entry.start:
        entry.start = start
        entry.reversals.restart()
    for state, reversal in entry.reversals.again((left.remaining, left.remaining_converted) if left else ()):
        book.open(reversal)
        if left is None:
            pending.contribute_change(reversal, book)
            reversal.after = ()
        else:
            left.remaining, left.remaining_converted = state
            _reverse(entry, reversal.fact, left, where, booked_on, book)
            reversal.after = (left.remaining, left.remaining_converted)
    book.cells = own


def _reverse(entry: CostEntry, fact: Fact, left: Remainder, where: Dimensions, booked_on: int, book: Book) -> None:
    """Post one reversal of a cost entry: at most what is left of it."""
    day = recorded_day(fact.data["cost_date"]) if "cost_date" in fact.data else booked_on
    asked = money_of(fact.data["amount"]) if "amount" in fact.data else None
    if asked and asked.currency != left.currency:
        book.flag(f"reversal in {asked.currency} of a cost in {left.currency}", event_name(fact), where, day, day)
        return
    taken = min(asked.minor, int(left.remaining)) if asked else int(left.remaining)
    if asked and asked.minor > taken:
        book.flag("reversal of more than was booked, capped", event_name(fact), where, day, day)
    left.post({"actual_cost": 1}, entry.name, where, day, day, -taken)


def contribute_budget(budget: Budget, book: Book) -> None:
    """Post the last budget of one campaign for one period; periods add up."""
    if budget.fact is None:
        return
    amount = money_of(budget.fact.data["amount"])
    left = Remainder(book, amount.currency, book.zone.day(budget.fact.micros))
    left.post({"budget": 1}, budget.name, Dimensions(budget.fact.data["campaign_id"]), NO_DAY, NO_DAY, amount.minor)


def contribute_new_customer(one: AccountsOrder, book: Book) -> None:
    """Count an order that brought a new customer."""
    order = one.counted
    if order is not None:
        segment = book.segments[order.where]
        book.put(("new_customers", one.name, segment, order.day, order.cohort, None, None))


# The figures


def no_margin(sums: Sums) -> str | None:
    """Return why there is no gross margin: some invoiced revenue has no known cogs, or there is nothing that it is made of."""
    invoiced = sums.get("invoiced_revenue_gross", 0) - sums.get("credited", 0)
    if sums.get("invoiced_with_cogs", 0) != invoiced:
        return "cogs is not known for all of invoiced_revenue"
    if not any(sums.get(part) for part in ("invoiced_revenue_gross", "credited", "cogs")):
        return "nothing is invoiced, credited or costed"
    return None


def no_margin_of_1(sums: Sums) -> str | None:
    """As `no_margin`, but credit notes alone had no margin by the definitions of version 1."""
    positive = sums.get("invoiced_revenue_gross", 0) > sums.get("credited", 0)
    return no_margin(sums) if positive else "nothing is invoiced"


_HALF_EVEN = "rounded half-even"
_RETURN = "0 is break-even; 1.0 means that the money doubled"


def _per_cost(returned: str) -> Figure:
    return quotient(f"{returned} - actual_cost", "actual_cost", note=_RETURN)


POSTS = Posts(
    DEALS,
    money=(
        "budget", "actual_cost", "booked_revenue", "invoiced_revenue_gross", "credited", "cogs", "invoiced_with_cogs",
    ),
    counts=("new_customers",),
    rules={
        "order": contribute_order, "invoice": contribute_invoice, "cost": contribute_cost, "budget": contribute_budget,
        "account_order": contribute_new_customer,
    },
)  # fmt: skip

REPORT = Report(
    "roi",
    "What did each campaign cost, what did it bring in, and did that pay?",
    DEALS,
    {
        "budget": total("budget", MONEY, "Σ last budget of each campaign and period", "not cut to the window"),
        "actual_cost": total("actual_cost", MONEY, "Σ costs booked − Σ costs reversed"),
        "budget_variance": total("budget - actual_cost", MONEY, "budget − actual_cost"),
        "booked_revenue": total(
            "booked_revenue", MONEY, "Σ value of live orders", "as amended; a cancellation takes it out on its own day"
        ),
        "invoiced_revenue_gross": total("invoiced_revenue_gross", MONEY, "Σ invoices"),
        "credited": total("credited", MONEY, "Σ credit notes"),
        "invoiced_revenue": total("invoiced_revenue_gross - credited", MONEY, "invoiced_revenue_gross − credited"),
        "cogs": total("cogs", MONEY, "Σ costs of goods sold that invoices state", "credit notes take theirs back"),
        "gross_margin": total(
            "invoiced_revenue_gross - credited - cogs", MONEY, "invoiced_revenue − cogs",
            "null unless the cogs of all of it is known", unless=no_margin, beside=("invoiced_with_cogs",),
            once={"1": no_margin_of_1},
        ),
        "margin_coverage": quotient(
            "invoiced_with_cogs", "invoiced_revenue", note="`invoiced_with_cogs` is the invoiced revenue whose cogs is known"
        ),
        "roi.booked": _per_cost("booked_revenue"),
        "roi.invoiced": _per_cost("invoiced_revenue"),
        "roi.margin": _per_cost("gross_margin"),
        "roas": quotient("invoiced_revenue", "actual_cost", note="1.0 means that the money came back as revenue"),
        "cost_to_revenue": quotient("actual_cost", "invoiced_revenue"),
        "break_even_roas": quotient(
            "invoiced_revenue", "gross_margin", both=True, note="the roas at which the margin pays the cost"
        ),
        "leads": total("entered.captured", COUNT, "leads captured"),
        "qualified_leads": total("entered.qualified", COUNT, "leads qualified"),
        "opportunities": total("entered.opportunity", COUNT, "opportunities opened"),
        "orders": total("entered.ordered", COUNT, "orders placed, less those cancelled"),
        "new_customers": total(
            "new_customers", COUNT, "live orders with `new_customer`, else the first live order of an account"
        ),
        "cost_per_lead": quotient("actual_cost", "leads", MONEY, note=_HALF_EVEN),
        "cost_per_qualified_lead": quotient("actual_cost", "qualified_leads", MONEY, note=_HALF_EVEN),
        "cost_per_opportunity": quotient("actual_cost", "opportunities", MONEY, note=_HALF_EVEN),
        "cost_per_order": quotient("actual_cost", "orders", MONEY, note=_HALF_EVEN),
        "cac": quotient("actual_cost", "new_customers", MONEY, note=f"customer acquisition cost, {_HALF_EVEN}"),
        "break_even_on": FirstDay(
            unit=DAY, cost="actual_cost", result="gross_margin", instead="invoiced_revenue",
            definition="first day on which cumulative return ≥ cumulative cost > 0",
            note="return is gross_margin where that is known, else invoiced_revenue; both within the window",
        ),
    },
    on_request=frozenset({"break_even_on"}),
    shows="invoiced_revenue",
)  # fmt: skip
