"""ROI (SPEC section 4): what components contribute to it, and the figures made from the sums on reading."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import date
from fractions import Fraction
from typing import Any, NamedTuple

from service.domain.calendar import Zone, recorded_day
from service.domain.entities import NO_DAY, Invoice, Order, Where
from service.domain.facts import Fact, merge_classes
from service.domain.money import Money, money_of
from service.domain.postings import Book, Remainder, event_name
from service.domain.ratios import Figures, Sums

MEASURES = (
    "budget", "actual_cost", "booked_revenue", "invoiced_revenue_gross", "credited", "cogs", "invoiced_with_cogs",
    "new_customers", "entered.captured", "entered.qualified", "entered.opportunity", "entered.ordered",
)  # fmt: skip
SERIES = (
    "actual_cost",
    "invoiced_revenue_gross",
    "credited",
    "cogs",
    "invoiced_with_cogs",
)  # by day, for break_even_on


# What entities, and components of other kinds, contribute

_BOOKED = {"booked_revenue": 1}


def contribute_order(order: Order, book: Book) -> None:
    """Post the value of an order: placed, amended, cancelled."""
    if order.placed is None or order.base is None:
        return
    placed = book.zone.day(order.placed.micros)
    left = Remainder(book, order.base.currency, placed)
    left.post(_BOOKED, order.name, order.where, placed, order.cohort, order.base.minor)
    for micros, value in order.amendments:
        day = max(placed, book.zone.day(micros))
        if value.currency != left.currency:
            reason = f"amendment in {value.currency} of an order in {left.currency}"
            book.flag(reason, order.name, order.where, day, order.cohort)
            continue
        left.post(_BOOKED, order.name, order.where, day, order.cohort, value.minor - int(left.left))
    if order.cancelled is not None:
        day = max(placed, book.zone.day(order.cancelled))
        left.post(_BOOKED, order.name, order.where, day, order.cohort, -left.left)
    elif order.account is None and order.new_customer:
        book.add("new_customers", order, placed)


def contribute_invoice(invoice: Invoice, book: Book) -> None:
    """Post an invoice with its costs of goods, its credit notes and its cancellation."""
    if invoice.posted is None or invoice.amount is None:
        return
    entity, where, cohort = invoice.name, invoice.where, invoice.cohort
    left = Remainder(book, invoice.amount.currency, invoice.day)
    cogs = Remainder(book, invoice.cogs.currency, invoice.day) if invoice.cogs else None
    covered = {"invoiced_with_cogs": 1} if cogs and cogs.known and left.known else {}
    left.post({"invoiced_revenue_gross": 1, **covered}, entity, where, invoice.day, cohort, invoice.amount.minor)
    if cogs and invoice.cogs and (covered or not cogs.known):
        cogs.post({"cogs": 1}, entity, where, invoice.day, cohort, invoice.cogs.minor)
    for note in sorted(invoice.credits, key=lambda one: one.last[:4]):
        if note.amount.currency != left.currency:
            reason = f"credit note in {note.amount.currency} of an invoice in {left.currency}"
            book.flag(reason, note.name, where, note.day, cohort)
            continue
        left.post({"credited": -1, **covered}, note.name, where, note.day, cohort, -note.amount.minor)
        if cogs and note.cogs and note.cogs.currency != cogs.currency:
            reason = (
                f"cogs of a credit note in {note.cogs.currency} of an invoice's in {cogs.currency}, taken in proportion"
            )
            book.flag(reason, note.name, where, note.day, cohort)
        if cogs and covered:
            taken_back = _cogs_of(note.amount.minor, note.cogs, invoice)
            cogs.post({"cogs": 1}, note.name, where, note.day, cohort, -taken_back)
    if invoice.cancelled is not None:
        day = max(invoice.day, book.zone.day(invoice.cancelled))
        left.post({"invoiced_revenue_gross": 1, **covered}, entity, where, day, cohort, -left.left)
        if cogs and (covered or not cogs.known):
            cogs.post({"cogs": 1}, entity, where, day, cohort, -cogs.left)


def _cogs_of(credited: int, own: Money | None, invoice: Invoice) -> Fraction | int:
    """Return what a credit note takes back of its invoice's cogs: its own statement, else in proportion."""
    assert invoice.cogs is not None and invoice.amount is not None  # noqa: PT018, S101  the caller's condition, for the types
    if own is not None and own.currency == invoice.cogs.currency:
        return own.minor
    return Fraction(invoice.cogs.minor * credited, invoice.amount.minor) if invoice.amount.minor else 0


def contribute_cost(facts: Sequence[Fact], book: Book) -> None:
    """Post one cost entry and its reversals, given in event order."""
    booked = None
    for fact in facts:
        if fact.type == "campaign.cost_booked":
            booked = fact  # a second booking of the entry restates it, date included
    reversals = [fact for fact in facts if fact.type == "campaign.cost_reversed"]
    if booked is None:
        for fact in reversals:
            book.pending(event_name(fact), f"cost:{fact.data['cost_entry_id']}")
        return
    entity, where, amount = (
        f"cost:{booked.data['cost_entry_id']}",
        Where(booked.data["campaign_id"]),
        money_of(booked.data["amount"]),
    )
    entry_day = recorded_day(booked.data["cost_date"])
    left = Remainder(book, amount.currency, entry_day)
    left.post({"actual_cost": 1}, entity, where, entry_day, entry_day, amount.minor)
    for fact in reversals:
        day = recorded_day(fact.data["cost_date"]) if "cost_date" in fact.data else entry_day
        asked = money_of(fact.data["amount"]) if "amount" in fact.data else None
        if asked and asked.currency != left.currency:
            book.flag(f"reversal in {asked.currency} of a cost in {left.currency}", event_name(fact), where, day, day)
            continue
        taken = min(asked.minor, int(left.left)) if asked else int(left.left)
        if asked and asked.minor > taken:
            book.flag("reversal of more than was booked, capped", event_name(fact), where, day, day)
        left.post({"actual_cost": 1}, entity, where, day, day, -taken)


def contribute_budget(facts: Iterable[Fact], book: Book) -> None:
    """Post the last budget per period of one campaign, given its facts in event order; periods add up."""
    last = {fact.data.get("period"): fact for fact in facts if fact.type == "campaign.budget_set"}
    for period, fact in last.items():
        amount, identity = money_of(fact.data["amount"]), fact.data["campaign_id"]
        left = Remainder(book, amount.currency, book.zone.day(fact.micros))
        entity = f"budget:{identity}" if period is None else f"budget:{identity} {period}"
        left.post({"budget": 1}, entity, Where(identity), NO_DAY, NO_DAY, amount.minor)


class AccountOrder(NamedTuple):
    """What an account needs to know of one of its orders to count new customers."""

    placed: tuple[int, str, str, str]  # event order of the first placing
    order_id: str
    account_id: str
    live: bool
    new_customer: bool | None
    where: Where
    day: int
    cohort: int


def account_order(order: Order, zone: Zone) -> AccountOrder | None:
    """Return what its account needs to know of an order; None unless it is placed and names one."""
    if order.placed is None or order.account is None:
        return None
    return AccountOrder(
        order.placed[:4], order.id, order.account, order.live, order.new_customer, order.where,
        zone.day(order.placed.micros), order.cohort,
    )  # fmt: skip


def contribute_new_customers(orders: Iterable[AccountOrder], merges: Iterable[Fact], book: Book) -> None:
    """Post the new customers among the orders of one component of merged accounts.

    Where an order of the account says so either way (a cancelled one too), the live orders that say true are the new
    customers; where none says anything, the account's first live order is.
    """
    names = merge_classes([(one.data["survivor_id"], one.data["merged_id"]) for one in merges])
    accounts: dict[str, list[AccountOrder]] = {}
    for order in sorted(orders):
        accounts.setdefault(names.get(order.account_id, order.account_id), []).append(order)
    for all_orders in accounts.values():
        live = [one for one in all_orders if one.live]
        stated = any(one.new_customer is not None for one in all_orders)
        for one in [one for one in live if one.new_customer] if stated else live[:1]:
            segment = book.segments[one.where]
            book.put(("new_customers", f"order:{one.order_id}", segment, one.day, one.cohort, None, None))


# The figures


def figures(sums: Sums, currency: str, break_even_on: date | None) -> dict[str, Any]:
    """Return the ROI row of the given sums. Money is in decimal strings, ratios are numbers, see SPEC section 4."""
    of, make = sums.get, Figures(currency)
    cost, booked = of("actual_cost", 0), of("booked_revenue", 0)
    invoiced = of("invoiced_revenue_gross", 0) - of("credited", 0)
    coverage = make.divide("margin_coverage", of("invoiced_with_cogs", 0), invoiced, "invoiced_revenue")
    margin = gross_margin(sums)
    if margin is None:
        make.reasons["gross_margin"] = (
            "cogs is not known for all of invoiced_revenue" if coverage is not None else "nothing is invoiced"
        )
    if break_even_on is None:
        make.reasons["break_even_on"] = "cumulative return has not reached cumulative cost"
    margin_rate = None if margin is None else make.divide("break_even_roas", margin, invoiced, "invoiced_revenue")
    margin_return = None if margin is None else margin - cost
    counts = {
        "leads": of("entered.captured", 0),
        "qualified_leads": of("entered.qualified", 0),
        "opportunities": of("entered.opportunity", 0),
        "orders": of("entered.ordered", 0),
        "new_customers": of("new_customers", 0),
    }
    return make.row({
        "budget": make.money(of("budget", 0)),
        "actual_cost": make.money(cost),
        "budget_variance": make.money(of("budget", 0) - cost),
        "booked_revenue": make.money(booked),
        "invoiced_revenue_gross": make.money(of("invoiced_revenue_gross", 0)),
        "credited": make.money(of("credited", 0)),
        "invoiced_revenue": make.money(invoiced),
        "cogs": make.money(of("cogs", 0)),
        "gross_margin": None if margin is None else make.money(margin),
        "margin_coverage": None if coverage is None else float(round(coverage, 6)),
        "roi": {
            "booked": make.ratio("roi.booked", booked - cost, cost, "actual_cost"),
            "invoiced": make.ratio("roi.invoiced", invoiced - cost, cost, "actual_cost"),
            "margin": make.ratio("roi.margin", margin_return, cost, "actual_cost" if margin is not None else "gross_margin"),
        },
        "roas": make.ratio("roas", invoiced, cost, "actual_cost"),
        "cost_to_revenue": make.ratio("cost_to_revenue", cost, invoiced, "invoiced_revenue"),
        "break_even_roas": make.ratio("break_even_roas", 1, margin_rate, "gross_margin"),
        **counts,
        "cost_per_lead": make.price("cost_per_lead", cost, counts["leads"], "leads"),
        "cost_per_qualified_lead": make.price("cost_per_qualified_lead", cost, counts["qualified_leads"], "qualified_leads"),
        "cost_per_opportunity": make.price("cost_per_opportunity", cost, counts["opportunities"], "opportunities"),
        "cost_per_order": make.price("cost_per_order", cost, counts["orders"], "orders"),
        "cac": make.price("cac", cost, counts["new_customers"], "new_customers"),
        "break_even_on": break_even_on.isoformat() if break_even_on else None,
    })  # fmt: skip


def gross_margin(sums: Sums) -> int | None:
    """Return invoiced revenue less cogs; None unless all of a positive invoiced revenue has its cogs known."""
    invoiced = sums.get("invoiced_revenue_gross", 0) - sums.get("credited", 0)
    if invoiced <= 0 or sums.get("invoiced_with_cogs", 0) != invoiced:
        return None
    return invoiced - sums.get("cogs", 0)
