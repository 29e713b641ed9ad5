"""The deals of the demo: from the opportunity over quote and order to invoice, credit note and payment."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from random import Random
from typing import Any

from service.demo.outbox import Outbox
from service.demo.story import Lead, Story, money
from service.demo.tables import NEWSLETTER, RETARGETING

_SPREAD = 0.55  # how far orders stray from the median of their campaign (sigma of the log-normal)
_VAT = 19
_LOST = ("price", "competitor", "no decision", "project stopped")


@dataclass(frozen=True, slots=True)
class _Deal:
    opportunity_id: str
    lead: Lead
    value: int  # in cents, what will be ordered if it is won

    @property
    def account_id(self) -> str:
        return self.lead.account_id


class Deals(Story):
    """What becomes of the opportunities."""

    def __init__(self, rng: Random, outbox: Outbox) -> None:
        super().__init__(rng, outbox)
        self._customers: set[str] = set()

    def open(self, lead: Lead, at: datetime) -> None:
        """Tell an opportunity from its opening on."""
        deal = _Deal(self.next_id("OP"), lead, self._price(lead.campaign.deal))
        colleague = [lead.colleague.lead_id] if lead.colleague and self.happens("two leads") else []
        guess = money(deal.value * self.rng.randint(80, 135) // 100_00 * 100)
        self._says(
            deal, at, "opportunity.opened", lead_ids=[lead.lead_id, *colleague], account_id=deal.account_id,
            estimated_value=guess, probability=self.rng.choice((0.1, 0.2, 0.25)), stage="qualification",
            expected_close=(at + timedelta(days=self.rng.randint(40, 120))).date().isoformat(),
            owner_id=lead.rep.rep_id, team=lead.rep.team, region=lead.rep.region,
        )  # fmt: skip
        for stage in ("proposal", "negotiation"):
            if not self.happens("stage moves on"):
                break
            at = self.after(at, "stage")
            self._says(deal, at, "opportunity.stage_changed", stage=stage)
        if self.happens("value changed"):
            self._says(deal, at, "opportunity.value_changed", estimated_value=money(deal.value), probability=0.5)
        if self.happens("lead called"):
            self.call(lead.rep.rep_id, self.after(at, "called"), opportunity_id=deal.opportunity_id)
        self._decide(deal, at)

    def _price(self, median: int) -> int:
        return round(median * self.rng.lognormvariate(0, _SPREAD) / 5) * 500

    def _says(self, deal: _Deal, at: datetime, kind: str, **data: Any) -> None:
        self.say(at, kind, deal.opportunity_id, opportunity_id=deal.opportunity_id, **data)

    def _quote_says(self, deal: _Deal, at: datetime, kind: str, quote: str | None) -> None:
        if quote:
            self.say(
                at, kind, quote, quote_id=quote, opportunity_id=deal.opportunity_id, value=money(deal.value)
            )  # fmt: skip

    def _decide(self, deal: _Deal, at: datetime) -> None:
        quote = self.next_id("QU") if self.happens("quoted") else None
        sent = self.after(at, "quoted")
        self._quote_says(deal, sent, "quote.sent", quote)
        if self.happens("still open"):
            return
        if self.rng.random() < deal.lead.campaign.won:
            self._win(deal, self.after(sent, "decided"), quote)
        else:
            self._lose(deal, self.after(sent, "lost"), quote)

    def _lose(self, deal: _Deal, at: datetime, quote: str | None) -> None:
        answer = "quote.rejected" if self.happens("rejected in writing") else "quote.expired"
        self._quote_says(deal, at, answer, quote)
        self._says(deal, at, "opportunity.lost", reason=self.rng.choice(_LOST))
        if self.happens("lost reopened"):
            again = self.after(at, "reopened")
            self._says(deal, again, "opportunity.reopened", reason="asked again")
            if self.happens("won after all"):
                self._win(deal, self.after(again, "decided"), None)

    def _win(self, deal: _Deal, at: datetime, quote: str | None) -> None:
        accepted = quote if self.happens("accepted in writing") else None
        self._quote_says(deal, at, "quote.accepted", accepted)
        self._says(deal, at + timedelta(hours=1), "opportunity.won", value=money(deal.value))
        first = deal.account_id not in self._customers
        self._customers.add(deal.account_id)
        placed = self.after(at, "ordered")
        new = first if self.happens("says new") else None
        self._order(
            deal, placed, deal.value, opportunity_id=deal.opportunity_id, quote_id=accepted, new_customer=new
        )  # fmt: skip
        while self.happens("repeat order"):
            placed = self.after(placed, "repeat")
            self._order(deal, placed, self._price(deal.lead.campaign.deal // 2), **self._reason_to_return(deal))

    def _reason_to_return(self, deal: _Deal) -> dict[str, Any]:
        if self.happens("repeat is marked"):
            return {
                "campaign_id": self.rng.choice((NEWSLETTER, NEWSLETTER, RETARGETING)).campaign_id,
                "new_customer": False,
            }
        return {"opportunity_id": deal.opportunity_id, "new_customer": False}

    def _order(self, deal: _Deal, at: datetime, value: int, **named: Any) -> None:
        order = self.next_id(f"SO-{at.year}", 5)
        self.say(
            at, "order.placed", order, order_id=order, net_value=money(value), account_id=deal.account_id, **named
        )  # fmt: skip
        if self.happens("order cancelled"):
            gone = self.after(at, "cancelled")
            self.say(gone, "order.cancelled", order, order_id=order, reason="customer withdrew")
            return
        if self.happens("order amended"):
            value = value * self.rng.randint(80, 125) // 100
            at = self.after(at, "amended")
            self.say(at, "order.amended", order, order_id=order, net_value=money(value), reason="scope changed")
        first = value * self.rng.randint(30, 60) // 100 if self.happens("two invoices") else value
        at = self.after(at, "invoiced")
        self._invoice(deal, order, at, first)
        if value > first:
            self._invoice(deal, order, self.after(at, "second invoice"), value - first)

    def _invoice(self, deal: _Deal, order: str, at: datetime, net: int) -> None:
        invoice = self.next_id(f"INV-{at.year}", 5)
        tax = net * _VAT // 100
        known = self.rng.random() < deal.lead.campaign.cogs_known
        cogs = net * self.rng.randint(50, 64) // 100 if known else None
        self.say(
            at, "invoice.posted", invoice, invoice_id=invoice, net_amount=money(net), order_id=order, tax=money(tax),
            account_id=deal.account_id, cogs=None if cogs is None else money(cogs),
            posting_date=at.date().isoformat(), due_date=(at + timedelta(days=30)).date().isoformat(),
        )  # fmt: skip
        if self.happens("invoice cancelled"):
            again = self.after(at, "cancelled")
            self.say(again, "invoice.cancelled", invoice, invoice_id=invoice, reason="wrong address")
            self._invoice(deal, order, again + timedelta(hours=1), net)
            return
        credited = self._credit(invoice, at, net, cogs) if self.happens("credited") else 0
        if credited < net and self.happens("paid"):
            payment = self.next_id("PAY")
            amount = (net - credited) * (100 + _VAT) // 100
            self.say(
                self.after(at, "paid"), "payment.received", payment, payment_id=payment, invoice_id=invoice,
                amount=money(amount),
            )  # fmt: skip

    def _credit(self, invoice: str, at: datetime, net: int, cogs: int | None) -> int:
        percent = 100 if self.happens("credited in full") else self.rng.randint(5, 50)
        amount, note, back = net * percent // 100, self.next_id(f"CN-{at.year}", 5), self.after(at, "credited")
        taken = money(cogs * percent // 100) if cogs is not None and percent % 2 else None  # half of them say so
        self.say(
            back, "invoice.credited", note, credit_note_id=note, invoice_id=invoice, net_amount=money(amount),
            posting_date=back.date().isoformat(), cogs=taken, reason="goods returned",
        )  # fmt: skip
        return amount
