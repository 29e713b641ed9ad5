"""Payments (REPORTS section 3): what is billed, what of it is paid, and what is open or overdue, as invoices stand now."""

from __future__ import annotations

from fractions import Fraction

from service.domain.calendar import MICROS_PER_DAY
from service.domain.components.billing import CreditNote, Invoice, Payment
from service.domain.cubes import Cube, Dimensions, Posts
from service.domain.figures import PastDue, quotient, total
from service.domain.money import money_of
from service.domain.postings import Book, Minor, Remainder
from service.domain.report import Report
from service.domain.units import DAYS, MONEY

# All of it stands on the posting date of the invoice.
PAYMENTS = Cube("payments", by=(*Dimensions._fields, "account", "due_date"), rollups=(Dimensions._fields, ()))
_BILLED, _PAID = {"payments.billed": 1}, {"payments.paid": -1}


def billed(invoice: Invoice, book: Book) -> Remainder:
    """Post what an invoice bills, its tax included; return what is left of that, which credit notes and payments reduce."""
    amount, tax = invoice.amount, invoice.tax
    assert amount is not None  # noqa: S101  it is posted, for the types
    bill = Remainder(book, amount.currency, invoice.day, listed=False)
    if tax is not None and tax.currency != amount.currency:
        reason = f"tax in {tax.currency} of an invoice in {amount.currency}"
        book.flag(reason, invoice.name, invoice.where, invoice.day, invoice.cohort)
    _post(_BILLED, invoice.name, amount.minor + _tax(invoice), invoice, bill, book)
    return bill


def credit(invoice: Invoice, note: CreditNote, bill: Remainder, book: Book) -> None:
    """Post what a credit note takes back, tax in proportion."""
    net, credited = invoice.amount, note.amount.minor
    back = round(Fraction(_tax(invoice) * credited, net.minor)) if net and net.minor else 0
    _post(_BILLED, note.name, -credited - back, invoice, bill, book)


def contribute_payments(invoice: Invoice, bill: Remainder, book: Book) -> None:
    """Post the payments of an invoice, what they leave open, and when the last of it was paid."""
    own, where, day = book.cells, place(invoice, book), invoice.day
    if invoice.cancelled is not None:
        _post(_BILLED, invoice.name, -bill.remaining, invoice, bill, book)
    payments, start = invoice.payments, (bill.remaining, bill.remaining_converted)
    to_pay = (bill.conversion, where, day, start)
    if to_pay[:3] != invoice.to_pay[:3] or (to_pay != invoice.to_pay and payments.used_up):
        payments.restart()
    invoice.to_pay = to_pay
    for state, payment in payments.again(start):
        book.open(payment)
        bill.remaining, bill.remaining_converted = state
        _pay(invoice, payment, bill, book)
        payment.after = (bill.remaining, bill.remaining_converted)
    book.cells = own
    left, left_converted = payments.left(start)
    stand = (where, day, day, None, None)
    if left > 0 and left_converted > 0:
        book.put(("payments.open", invoice.name, *stand), left_converted)
    completing = _completing(invoice) if left <= 0 else None
    if completing is not None and (days := book.zone.day(completing.fact.micros) - day) >= 0:
        book.put(("payments.completed", completing.name, *stand))
        book.put(("payments.time_to_pay", completing.name, *stand), days * MICROS_PER_DAY)


def _pay(invoice: Invoice, payment: Payment, bill: Remainder, book: Book) -> None:
    amount = money_of(payment.fact.data["amount"])
    if amount.currency == bill.currency:
        _post(_PAID, payment.name, -amount.minor, invoice, bill, book)
    else:
        reason = f"payment in {amount.currency} of an invoice in {bill.currency}"
        book.flag(reason, payment.name, invoice.where, invoice.day, invoice.cohort)


def _completing(invoice: Invoice) -> Payment | None:
    """Return the payment with which an invoice was paid, for the last time where money was paid back in between."""
    for payment in reversed(invoice.payments.items):
        assert payment.after is not None  # noqa: S101  it was worked out
        left = payment.after[0]
        if left <= 0 < left - payment.taken[0]:
            return payment
    return None


def _post(measures: dict[str, int], entity: str, minor: Minor, invoice: Invoice, bill: Remainder, book: Book) -> None:
    bill.post(measures, entity, invoice.where, invoice.day, invoice.day, minor, place(invoice, book))


def place(invoice: Invoice, book: Book) -> int:
    """Return the number of what an invoice, and all that is posted of it here, is reported under."""
    account = book.account(invoice.customer)
    return book.at(PAYMENTS, **invoice.where._asdict(), account=account, due_date=invoice.due_date)


def _tax(invoice: Invoice) -> int:
    """Return the tax that an invoice states in its own currency."""
    amount, tax = invoice.amount, invoice.tax
    return tax.minor if amount and tax and tax.currency == amount.currency else 0


POSTS = Posts(
    PAYMENTS,
    money=("payments.billed", "payments.paid", "payments.open"),
    counts=("payments.completed",),
    seconds=("payments.time_to_pay",),
    rules={},  # they go on from what ROI posts of an invoice
)

REPORT = Report(
    "payments",
    "What is billed, what of it is paid, and what is open or overdue?",
    PAYMENTS,
    {
        "billed": total("payments.billed", MONEY, "Σ net and tax of invoices, less credit notes and cancellations"),
        "paid": total("payments.paid", MONEY, "Σ payments of these invoices"),
        "open_items": total("payments.open", MONEY, "Σ what is left to pay of each invoice, never below 0"),
        "overdue_items": PastDue(
            unit=MONEY, of="payments.open", by="due_date", definition="open_items whose due date is before today"
        ),
        "mean_days_to_pay": quotient(
            "payments.time_to_pay", "payments.completed", DAYS, called="the number of invoices paid",
            note="from the posting date to the local day of the payment that completes it; one before it is left out",
        ),
    },
    group_by="month",
    notes=("Of invoices posted in the period, as they stand now, on their posting date.",),
)  # fmt: skip
