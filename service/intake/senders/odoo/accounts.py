"""What invoices, credit notes and vendor bills of Odoo become."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from service.intake.senders.contract import Draft, Source, Waiting
from service.intake.senders.fields import day, minor, stated
from service.intake.senders.odoo.records import AMOUNT, Money, Version, on_day

Parts = Iterator[Draft | Waiting]


def move(identity: str, seen: Sequence[Version], source: Source) -> Parts:
    """Give the events of a journal entry by its type; while it is a draft (again), it gives none."""
    last = seen[-1]
    state, rule = last.text("state"), _RULES.get(last.text("move_type") or "")
    posted = [one for one in seen if one.text("state") == "posted"]
    if rule is None or not posted or state not in ("posted", "cancel"):
        return
    cancelled = next((one.at for one in seen[seen.index(posted[-1]) :] if one.text("state") == "cancel"), None)
    amount = posted[-1].money("amount_untaxed", source)
    date = posted[-1].day("date", source) or posted[-1].day("invoice_date", source)
    on = date or day(posted[0].at, "time", source.mapping["timezone"]) or ""
    if amount is None:
        yield Waiting(AMOUNT)
        return
    yield from rule(identity, posted, amount, on, cancelled, source)


def unsaid(last: Version, source: Source) -> str:
    """Say why a journal entry gives no event."""
    kind, state = last.text("move_type") or "no move_type", last.text("state") or "no state"
    if kind not in _RULES:
        return f"a journal entry of the type {kind} is neither invoice nor bill"
    if state not in ("posted", "cancel"):
        return f"it is {state}: it counts when it is posted"
    if kind.startswith("in_") and last.campaign(source) is None:
        return "the bill names no campaign (campaign_id): it is no campaign's cost"
    return f"it is {state}, and there is nothing of it that counts"


def _invoice(
    identity: str, posted: Sequence[Version], amount: Money, on: str, cancelled: str | None, source: Source
) -> Parts:  # fmt: skip
    last = posted[-1]
    yield Draft("posted", "invoice.posted", on_day(on, posted[0].at, source), stated(
        invoice_id=identity, order_id=_order(last), account_id=last.number("partner_id"), net_amount=amount,
        posting_date=on, due_date=last.day("invoice_date_due", source), tax=last.money("amount_tax", source),
        number=last.text("name"),
    ))  # fmt: skip
    if cancelled:
        yield Draft("cancelled", "invoice.cancelled", cancelled, {"invoice_id": identity})


def _order(one: Version) -> str | None:
    """Return the order that an invoice bills; of several, none is more right than another."""
    names = [name.strip() for name in (one.text("invoice_origin") or "").split(",")]
    return names[0] if len(names) == 1 and names[0] else None


def _credit_note(
    identity: str, posted: Sequence[Version], amount: Money, on: str, cancelled: str | None, source: Source
) -> Parts:  # fmt: skip
    last = posted[-1]
    invoice = last.number("reversed_entry_id")
    if cancelled or minor(amount) == 0:
        return
    if invoice is None:
        yield Waiting("the credit note names no invoice that it takes back (reversed_entry_id)", amount)
        return
    yield Draft("credited", "invoice.credited", on_day(on, posted[0].at, source), stated(
        credit_note_id=identity, invoice_id=invoice, net_amount=amount, posting_date=on, number=last.text("name"),
    ))  # fmt: skip


def _bill(
    identity: str, posted: Sequence[Version], amount: Money, on: str, cancelled: str | None, source: Source
) -> Parts:  # fmt: skip
    last, campaign = posted[-1], posted[-1].campaign(source)
    if not source.mapping["bills_as_costs"] or campaign is None or minor(amount) <= 0:
        return
    yield Draft("booked", "campaign.cost_booked", on_day(on, posted[0].at, source), stated(
        cost_entry_id=identity, campaign_id=campaign, amount=amount, cost_date=on, supplier_ref=last.number("partner_id"),
    ))  # fmt: skip
    if cancelled:
        yield Draft(
            "cancelled", "campaign.cost_reversed", cancelled, {"cost_entry_id": identity, "reason": "cancelled"}
        )


def _returned(
    _: str, posted: Sequence[Version], amount: Money, on: str, cancelled: str | None, source: Source
) -> Parts:  # fmt: skip
    """A vendor's refund takes back the cost of the bill that it names, if that belongs to a campaign as the refund does."""
    last = posted[-1]
    bill = last.number("reversed_entry_id")
    if cancelled or not source.mapping["bills_as_costs"] or last.campaign(source) is None or minor(amount) <= 0:
        return
    if bill is None:
        yield Waiting("the refund names no bill that it takes back (reversed_entry_id)", amount)
        return
    data = {"cost_entry_id": bill, "amount": amount, "cost_date": on}
    yield Draft("returned", "campaign.cost_reversed", on_day(on, posted[0].at, source), data)


_RULES: dict[str, Callable[[str, Sequence[Version], Money, str, str | None, Source], Parts]] = {
    "out_invoice": _invoice,
    "out_refund": _credit_note,
    "in_invoice": _bill,
    "in_refund": _returned,
}
