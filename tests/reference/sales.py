"""The naive reference of opportunities, stages, quotes, leads, payments and response (REPORTS section 3): what each thing adds.

An `Item` is something with its labels, its day and what it adds to sums; rows are sums of items, and figures are made of these.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from fractions import Fraction
from itertools import pairwise
from math import floor
from typing import Any

from tests.reference.facts import (
    QUOTE_TYPES,
    Event,
    Invoice,
    Money,
    Opportunity,
    Order,
    aliases,
    digits_of,
    last_stated,
    money,
)
from tests.reference.ledger import Ledger
from tests.reference.oracle import PERIODS, decimal, divide, number, percentile
from tests.reference.places import Place

Key = tuple[str | None, ...]
Labels = Mapping[str, Any]
STATUS = ("open", "won", "lost")


@dataclass(frozen=True)
class Item:
    labels: Labels
    day: date | None  # None: never windowed
    sums: Mapping[str, Fraction | int]
    lengths: Sequence[Fraction] = field(default=())
    identity: str = ""


def labels_of(place: Place, **more: Any) -> dict[str, Any]:
    return {**vars(place), **more}


class Sales:
    """What there is of each report."""

    def __init__(self, ledger: Ledger, today: date) -> None:
        self.ledger, self.facts, self.places, self.zone = ledger, ledger.facts, ledger.places, ledger.zone
        self.today = today

    def items(self, report: str) -> list[Item]:
        found: list[Item] = [*getattr(self, report)()]
        return found

    def account(self, identity: str | None) -> str | None:
        return None if identity is None else self.facts.account_names.get(identity, identity)

    # ---- money -----------------------------------------------------------------------------------------------

    def converted(self, amount: Money, day: date) -> Fraction | None:
        rate = self.ledger.rate(amount.currency, day)
        return None if rate is None else round(amount.amount * rate, digits_of(self.ledger.currency))

    def chain(self, currency: str, day: date, amounts: Sequence[Fraction]) -> list[tuple[Fraction, Fraction]]:
        """Return what is left after each amount, in both currencies: each is rounded alone, but the last of all takes all."""
        left, here, found = Fraction(0), Fraction(0), []
        for amount in amounts:
            left += amount
            own = self.converted(Money(amount, currency), day) or Fraction(0)
            here = here + own if left != 0 or amount == 0 else Fraction(0)
            found.append((left, here))
        return found

    def standing(self, order: Order) -> Fraction | None:
        """What a live order is worth now."""
        if self.ledger.rate(order.value.currency, order.day) is None:
            return None
        values = [order.value.amount, *(money(e.data["net_value"]).amount for e in order.amendments)]
        steps = [values[0], *(after - before for before, after in pairwise(values))]
        return self.chain(order.value.currency, order.day, steps)[-1][1]

    # ---- opportunities ---------------------------------------------------------------------------------------

    def events_of(self, one: Opportunity) -> list[Event]:
        return [
            e for e in self.facts.events if e.type.startswith("opportunity.") and e.data.get("opportunity_id") == one.id
        ]

    def defined(self, stage: str, name: str) -> Any:
        told = [e for e in self.facts.family("stage.defined") if e.data["stage"] == stage]
        return last_stated(told[-1:], name)

    def entered(self, one: Opportunity) -> list[tuple[str, Event]]:
        found: list[tuple[str, Event]] = []
        for e in self.events_of(one):
            stage = last_stated([e], "stage")
            if stage is not None and (not found or found[-1][0] != stage):
                found.append((stage, e))
        return found

    def chance(self, one: Opportunity) -> Fraction | None:
        found, enters = None, {e.key: stage for stage, e in self.entered(one)}
        for e in self.events_of(one):
            of_stage = self.defined(enters[e.key], "probability") if e.key in enters else None
            own = last_stated([e], "probability")
            told = of_stage if own is None else own
            found = found if told is None else Fraction(str(told))
        return found

    def outcome(self, one: Opportunity) -> tuple[str, Event | None]:
        live = self.places.live_orders(one)
        if one.decided is not None:
            status = one.decided.type.removeprefix("opportunity.")
            return ("open", None) if status == "reopened" else (status, one.decided)
        return ("won", live[0].placed) if live else ("open", None)

    def value(self, one: Opportunity) -> Fraction | None:
        estimate = last_stated(self.events_of(one), "estimated_value")
        return None if estimate is None else self.converted(money(estimate), one.opened.day(self.zone))

    def labels_of_opportunity(self, one: Opportunity) -> dict[str, Any]:
        events = self.events_of(one)
        account = last_stated([e for e in events if e.type == "opportunity.opened"], "account_id")
        return labels_of(self.places.place_opportunity(one), account=self.account(account))

    def opportunities(self) -> Iterator[Item]:
        for one in self.facts.opportunities.values():
            entered, (status, _) = self.entered(one), self.outcome(one)
            lost = [e for e in self.events_of(one) if e.type == "opportunity.lost"]
            more = {"stage": entered[-1][0] if entered else None, "lost_reason": last_stated(lost[-1:], "reason")}
            value, chance, live = self.value(one), self.chance(one), self.places.live_orders(one)
            worth = value or Fraction(0)
            is_open = status == "open" and value is not None
            weighted = round(worth * chance, digits_of(self.ledger.currency)) if is_open and chance is not None else 0
            cycles = [(order.placed.at, one.opened.at) for order in live[:1]]
            yield Item(
                self.labels_of_opportunity(one) | more, one.opened.day(self.zone),
                {
                    "opened": 1, status: 1, "pipeline_value": worth, "open_value": worth if is_open else 0,
                    "weighted_value": weighted, "unweighted_value": worth if is_open and chance is None else 0,
                    "booked_revenue": sum((self.standing(order) or 0 for order in live), Fraction(0)), "orders": len(live),
                },
                [Fraction(floor(end * 10**6) - floor(start * 10**6), 10**6) for end, start in cycles if end >= start],
                one.id,
            )  # fmt: skip

    def stages(self) -> Iterator[Item]:
        """One item per stage that an opportunity ever entered."""
        for one in self.facts.opportunities.values():
            entered, (status, decided) = self.entered(one), self.outcome(one)
            names = sorted({stage for stage, _ in entered})
            orders = [order for name in names if (order := self.defined(name, "order")) is not None]
            for name in names:
                own, lengths = self.defined(name, "order"), []
                for at, (stage, e) in enumerate(entered):
                    ends = [other.key for _, other in entered[at + 1 : at + 2]]
                    ends += [decided.key] if decided is not None and decided.key > e.key else []
                    if stage == name and ends:
                        lengths.append(Fraction(floor(min(ends)[0] * 10**6) - floor(e.at * 10**6), 10**6))
                moved = status == "won" or (own is not None and any(order > own for order in orders))
                value = self.value(one) if status == "open" else None
                sums = {"entered": 1, "moved_on": int(moved), status: 1, "open_value": value or 0}
                yield Item(
                    self.labels_of_opportunity(one) | {"stage": name}, one.opened.day(self.zone), sums, lengths, one.id
                )

    def quotes(self) -> Iterator[Item]:
        for quote in self.facts.quotes.values():
            mine = [e for e in self.facts.family(*QUOTE_TYPES) if e.data["quote_id"] == quote.id]
            for kind in QUOTE_TYPES:
                told, what = [e for e in mine if e.type == kind], kind.removeprefix("quote.")
                if told:
                    day = told[0].day(self.zone)
                    stated = last_stated(told, "value") or last_stated(mine, "value")
                    worth = self.converted(money(stated), day) if stated else None
                    yield Item(labels_of(self.places.place_quote(quote)), day, {what: 1, f"{what}_value": worth or 0})

    # ---- leads -----------------------------------------------------------------------------------------------

    def leads(self) -> Iterator[Item]:
        """What leads give; what they cost is dealt afterwards."""
        for lead in self.facts.leads.values():
            if lead.captured is None:
                continue
            mine = [e for e in self.facts.lead_events if self.facts.lead_name(e.data["lead_id"]) == lead.id]
            verdicts = [e.type for e in mine if e.type in ("lead.accepted", "lead.rejected")]
            ends = [e.type for e in mine if e.type in ("lead.disqualified", "lead.reopened")]
            sums: dict[str, Fraction | int] = {"leads": 1, **dict.fromkeys(self.ledger.steps_reached(lead), 1)}
            sums["handed_over"] = int(any(e.type == "lead.handed_over" for e in mine))
            for last in (*verdicts[-1:], *ends[-1:]):
                sums[last.removeprefix("lead.")] = 1
            place = self.places.place_lead(lead)
            gave = [p for p in self.ledger.postings if p.place.origin == lead.id]
            for name, measure, sign in (
                ("booked_revenue", "booked_revenue", 1), ("invoiced_revenue", "gross", 1), ("invoiced_revenue", "credited", -1),
            ):  # fmt: skip
                sums[name] = sums.get(name, 0) + sign * sum(
                    (p.amount for p in gave if p.measure == measure), Fraction(0)
                )
            yield Item(labels_of(place), place.cohort, sums, identity=lead.id)

    def states(self, lead_id: str, facet: str) -> dict[str, Any]:
        """Return what a lead last states: of its criteria, or under the facet's own name."""
        mine = [e for e in self.facts.lead_events if self.facts.lead_name(e.data["lead_id"]) == lead_id]
        if facet == "criterion":
            told = [last_stated([e], "criteria") or {} for e in mine if e.type in ("lead.captured", "lead.qualified")]
            return {name: str(met).lower() for criteria in told for name, met in criteria.items()}
        if facet == "reason":
            verdicts = [e for e in mine if e.type in ("lead.accepted", "lead.rejected")][-1:]
            rejected = [e for e in verdicts if e.type == "lead.rejected"]
            return {"reason": last_stated(rejected, "reason")} if rejected else {}
        value = last_stated([e for e in mine if e.type == "lead.qualified"], facet)
        if facet == "score" and value is not None:
            low = floor(Fraction(str(value)) / 10) * 10
            value = f"{low}-{low + 9}"
        return {facet: value}

    def by_facet(self, leads: Sequence[Item], facet: str) -> list[Item]:
        """Have each lead once for all that it states, and by criterion for what it does not, if any of them does."""
        of = {one.identity: self.states(one.identity, facet) for one in leads}
        if facet != "criterion":
            return [
                Item({**one.labels, facet: label}, one.day, one.sums)
                for one in leads for label in of[one.identity].values()
            ]  # fmt: skip
        names = sorted({name for stated in of.values() for name in stated})
        return [
            Item({**one.labels, "criterion": name, "state": of[one.identity].get(name, "unstated")}, one.day, one.sums)
            for one in leads for name in names
        ]  # fmt: skip

    def costs(
        self, groups: Sequence[str], only: Sequence[str], inside: Callable[[date | None], bool]
    ) -> Iterator[Item]:
        """Each campaign's costs of each period, dealt to its leads of the period by what is grouped and filtered."""
        times = [name for name in groups if name in PERIODS]
        names = [name for name in dict.fromkeys((*groups, *only)) if name not in PERIODS]
        leads = [(one.labels, one.day) for one in self.leads() if inside(one.day)]
        pots: dict[Key, list[Any]] = defaultdict(list)
        for posting in self.ledger.postings:
            if posting.measure == "actual_cost" and posting.day is not None and inside(posting.day):
                periods = tuple(PERIODS[name](posting.day) for name in times)
                pots[posting.place.campaign, *periods].append(posting)
        for (campaign, *period), postings in pots.items():
            minor = sum((p.amount for p in postings), Fraction(0)) * 10 ** digits_of(self.ledger.currency)
            among: dict[Key, int] = defaultdict(int)
            for labels, day in leads:
                if day and labels["campaign"] == campaign and (*(PERIODS[name](day) for name in times),) == (*period,):
                    among[tuple(labels[name] for name in names)] += 1
            if not among:
                own = labels_of(self.places.place_of_campaign(campaign, postings[0].day))
                yield Item(own, postings[0].day, {"cost": minor / 10 ** digits_of(self.ledger.currency)})
                continue
            keys = sorted(among, key=lambda key: [(label is None, label or "") for label in key])
            whole = sum(among.values())
            exact = {key: abs(minor) * among[key] / whole for key in keys}
            parts = {key: floor(exact[key]) for key in keys}
            for key in sorted(keys, key=lambda key: parts[key] - exact[key])[: int(abs(minor) - sum(parts.values()))]:
                parts[key] += 1
            for key in keys:
                amount = Fraction(parts[key] if minor > 0 else -parts[key], 10 ** digits_of(self.ledger.currency))
                yield Item(dict(zip(names, key, strict=True)), postings[0].day, {"cost": amount})

    # ---- payments --------------------------------------------------------------------------------------------

    def account_of(self, invoice: Invoice) -> str | None:
        order = self.facts.orders.get(invoice.order_id or "")
        parent = self.places.parent_of(order) if order else None
        of_deal = self.labels_of_opportunity(parent)["account"] if parent else None
        own = last_stated(self.facts.of("invoice.posted", "invoice_id", invoice.id), "account_id")
        return of_deal or self.account(own) or (order.account if order else None)

    def payments(self) -> Iterator[Item]:
        for invoice in self.facts.invoices.values():
            posted = self.facts.of("invoice.posted", "invoice_id", invoice.id)
            before = [e for e in posted if invoice.cancelled is None or e.key < invoice.cancelled.key] or posted[:1]
            currency, net = invoice.amount.currency, invoice.amount.amount
            stated = last_stated(before, "tax")
            tax = money(stated).amount if stated and stated["currency"] == currency else Fraction(0)
            bill = [net + tax]
            for note in invoice.credits:
                back = round(tax * note.amount.amount / net, digits_of(currency)) if net else Fraction(0)
                bill.append(-note.amount.amount - back)
            if invoice.cancelled is not None:
                bill.append(-sum(bill, Fraction(0)))
            paid = []
            for payment in {e.data["payment_id"] for e in self.facts.family("payment.received")}:
                told = self.facts.of("payment.received", "payment_id", payment)[-1]
                if told.data["invoice_id"] == invoice.id and told.data["amount"]["currency"] == currency:
                    paid.append(told)
            paid.sort(key=lambda e: e.key)
            amounts = [money(e.data["amount"]).amount for e in paid]
            left = self.chain(currency, invoice.day, [*bill, *(-amount for amount in amounts)])
            billed, (open_here, open_converted) = left[len(bill) - 1], left[-1]
            sums: dict[str, Fraction | int] = {"billed": billed[1], "paid": billed[1] - open_converted}
            if open_here > 0 and open_converted > 0:
                due = last_stated(posted, "due_date")
                sums["open_items"] = open_converted
                sums["overdue_items"] = open_converted if due and date.fromisoformat(due) < self.today else 0
            lengths = []
            completing = [
                e for e, (was, _), (now, _) in zip(paid, left[len(bill) - 1 :], left[len(bill) :], strict=False)
                if now <= 0 < was
            ]  # fmt: skip
            if open_here <= 0 and completing:
                days = (completing[-1].day(self.zone) - invoice.day).days
                lengths = [Fraction(days * 86400)] if days >= 0 else []
            place = labels_of(self.places.place_invoice(invoice), account=self.account_of(invoice))
            yield Item(place, invoice.day, sums, lengths)

    # ---- response --------------------------------------------------------------------------------------------

    def response(self) -> Iterator[Item]:
        def of(campaign: str) -> dict[str, Any]:
            return labels_of(self.places.place_of_campaign(campaign, None))

        told = self.facts.family("campaign.registered", "campaign.updated")
        for campaign in {e.data["campaign_id"] for e in told}:
            mine = [e for e in told if e.data["campaign_id"] == campaign]
            expecting = [e for e in mine if last_stated([e], "expected_revenue")]
            expected = [
                self.converted(money(e.data["expected_revenue"]), e.day(self.zone)) or 0 for e in expecting[-1:]
            ]
            audience = last_stated(mine, "target_audience_size") or 0
            yield Item(of(campaign), None, {"audience": audience, "expected_revenue": sum(expected)})
        for e in self.facts.family("campaign.messages_sent"):
            yield Item(of(e.data["campaign_id"]), e.day(self.zone), {"messages_sent": e.data["count"]})
        touches = self.facts.family("touchpoint.recorded")
        for touch in {e.data["touchpoint_id"] for e in touches}:
            if self.facts.of("touchpoint.suppressed", "touchpoint_id", touch):
                continue
            mine = [e for e in touches if e.data["touchpoint_id"] == touch]
            kind = last_stated(mine, "interaction")
            sums = {"touches": 1, **({f"{kind}s": 1} if kind in ("view", "click", "response") else {})}
            yield Item(of(last_stated(mine, "campaign_id")), mine[-1].day(self.zone), sums)
        for posting in self.ledger.postings:
            name, sign = {
                "captured": ("leads", 1),
                "gross": ("invoiced_revenue", 1),
                "credited": ("invoiced_revenue", -1),
            }.get(posting.measure, ("", 0))
            if name:
                yield Item(labels_of(posting.place), posting.day, {name: sign * posting.amount})


# ---- rows ----------------------------------------------------------------------------------------------------

FACETS = {"criterion": "criterion", "state": "criterion", "level": "level", "score": "score", "reason": "reason"}
MONEY = {
    "lead-quality": ("booked_revenue",),
    "opportunities": ("pipeline_value", "open_value", "weighted_value", "unweighted_value", "booked_revenue"),
    "stages": ("open_value",), "quotes": ("sent_value", "accepted_value"),
    "leads": ("booked_revenue", "invoiced_revenue", "cost"),
    "payments": ("billed", "paid", "open_items", "overdue_items"), "response": ("expected_revenue", "invoiced_revenue"),
}  # fmt: skip
COUNTS = {
    "lead-quality": ("leads", "handed_over", "accepted", "rejected", "opportunity", "ordered"),
    "opportunities": ("opened", *STATUS), "stages": ("entered", "moved_on", *STATUS),
    "quotes": ("sent", "accepted", "rejected", "expired"),
    "leads": ("leads", "qualified", "accepted", "rejected", "disqualified", "opportunity", "ordered", "invoiced"),
    "payments": (), "response": ("audience", "messages_sent", "touches", "views", "clicks", "responses", "leads"),
}  # fmt: skip
QUOTIENTS: dict[str, dict[str, tuple[str, tuple[str, ...]]]] = {
    "lead-quality": {
        **{f"rate_to_{step}": (step, ("leads",)) for step in ("accepted", "rejected", "opportunity", "ordered")},
        "booked_revenue_per_lead": ("booked_revenue", ("leads",)),
    },
    "opportunities": {"win_rate": ("won", ("won", "lost")), "average_deal_size": ("booked_revenue", ("orders",))},
    "stages": {"rate_on": ("moved_on", ("entered",)), "win_rate": ("won", ("won", "lost"))},
    "quotes": {"acceptance_rate": ("accepted", ("accepted", "rejected", "expired"))},
    "leads": {
        **{f"rate_to_{step}": (step, ("leads",)) for step in ("qualified", "opportunity", "ordered")},
        "cost_per_lead": ("cost", ("leads",)), "cost_per_opportunity": ("cost", ("opportunity",)),
        "cpa": ("cost", ("ordered",)), "roas": ("invoiced_revenue", ("cost",)),
    },
    "payments": {},
    "response": {
        "response_rate": ("responses", ("messages_sent",)), "expected_share": ("invoiced_revenue", ("expected_revenue",)),
    },
}  # fmt: skip
PRICES = ("booked_revenue_per_lead", "average_deal_size", "cost_per_lead", "cost_per_opportunity", "cpa")


def period_of(name: str, day: date | None) -> str | None:
    return None if day is None else PERIODS[name](day)


def row_of(report: str, items: Sequence[Item], digits: int) -> dict[str, Any]:
    """Return the figures that items make."""
    sums: dict[str, Fraction] = defaultdict(Fraction)
    for one in items:
        for name, amount in one.sums.items():
            sums[name] += amount
    row: dict[str, Any] = {name: decimal(sums[name], digits) for name in MONEY[report]}
    row |= {name: int(sums[name]) for name in COUNTS[report]}
    for name, (above, below) in QUOTIENTS[report].items():
        value = divide(sums[above], sum((sums[one] for one in below), Fraction(0)))
        row[name] = None if value is None else decimal(value, digits) if name in PRICES else number(value)
    lengths = sorted(length / 86400 for one in items for length in one.lengths)
    mean = number(sum(lengths, Fraction(0)) / len(lengths), 4) if lengths else None
    named = {"opportunities": "mean_cycle_days", "stages": "mean_days", "payments": "mean_days_to_pay"}
    if report in named:
        row[named[report]] = mean
    if report == "stages":
        for name, share in (("p50_days", Fraction(1, 2)), ("p90_days", Fraction(9, 10))):
            row[name] = number(percentile(lengths, share), 4) if lengths else None
    return row


def answer(
    sales: Sales, report: str, groups: Sequence[str], since: date | None, until: date | None,
    only: Mapping[str, Sequence[str]],
) -> tuple[dict[Key, dict[str, Any]], dict[str, Any]]:  # fmt: skip
    """Return rows by key, those with anything in them, and the total."""

    def inside(day: date | None) -> bool:
        return day is None or ((since is None or day >= since) and (until is None or day < until))

    def chosen(one: Item, but: set[str]) -> bool:
        kept = ((one.labels.get(name) or "") in values for name, values in only.items() if name not in but)
        return inside(one.day) and all(kept)

    items = sales.items("leads" if report == "lead-quality" else report)
    if report == "leads":
        items += sales.costs(groups, [*only], inside)
    facet = (
        next((own for name in (*groups, *only) if (own := FACETS.get(name))), None)
        if report == "lead-quality"
        else None
    )
    whole = items = [one for one in items if chosen(one, {*FACETS} if facet else set())]
    if facet is not None:
        items = [one for one in sales.by_facet(items, facet) if chosen(one, set())]
        whole = items if facet == "reason" else whole
    by_key: dict[Key, list[Item]] = defaultdict(list)
    for one in items:
        by_key[tuple(period_of(name, one.day) if name in PERIODS else one.labels.get(name) for name in groups)].append(
            one
        )
    digits = digits_of(sales.ledger.currency)
    rows = {key: row_of(report, some, digits) for key, some in by_key.items()}
    return rows, row_of(report, _once(items) if report == "stages" else whole, digits)


def _once(items: Sequence[Item]) -> list[Item]:
    """An opportunity once, whichever stages it has been in; their visits all."""
    found: dict[str, Item] = {}
    for one in items:
        if one.identity not in found:
            found[one.identity] = one
        else:
            was = found[one.identity]
            moved = max(was.sums["moved_on"], one.sums["moved_on"])
            sums = {**was.sums, "moved_on": moved}
            found[one.identity] = Item(was.labels, was.day, sums, [*was.lengths, *one.lengths], one.identity)
    return [*found.values()]


def listed(sales: Sales) -> list[dict[str, Any]]:
    """Return the list of opportunities, by id."""
    found = []
    contacts = aliases(sales.facts.events, "contact.merged")
    items = {one.identity: one for one in sales.opportunities()}
    for one in sales.facts.opportunities.values():
        item, events, entered = items[one.id], sales.events_of(one), sales.entered(one)
        status, decided = sales.outcome(one)
        opened = [e for e in events if e.type == "opportunity.opened"]
        named = [e for e in opened if e.data.get("contact_ids") not in (None, "")]
        linked: dict[str, bool] = {}
        for e in events:
            name = contacts.get(e.data.get("contact_id", ""), e.data.get("contact_id", ""))
            if e in named[-1:]:
                # Those of earlier statements are not named any more; whoever was unlinked before is named again.
                linked |= {contacts.get(one, one): True for one in e.data["contact_ids"]}
            elif e.type == "opportunity.contact_linked":
                linked[name] = True
            elif e.type == "opportunity.contact_unlinked":
                linked[name] = False
        value, chance, digits = sales.value(one), sales.chance(one), digits_of(sales.ledger.currency)
        weighted = value * chance if status == "open" and value is not None and chance is not None else None
        close = last_stated(events, "expected_close")
        until = decided.day(sales.zone) if decided else sales.today
        day = one.opened.day(sales.zone)
        found.append({
            "opportunity_id": one.id, "name": last_stated(opened, "name"), "status": status,
            "stage": entered[-1][0] if entered else None,
            "stage_since": entered[-1][1].day(sales.zone).isoformat() if entered else None,
            "value": None if value is None else decimal(value, digits), "probability": None if chance is None else float(chance),
            "weighted_value": None if weighted is None else decimal(weighted, digits), "expected_close": close,
            "overdue": status == "open" and close is not None and date.fromisoformat(close) < sales.today,
            "opened_on": day.isoformat(), "age_days": max(0, (until - day).days), "account": item.labels["account"],
            "contacts": sorted(name for name, there in linked.items() if there), "leads": one.lead_ids,
            **{name: item.labels[name] for name in ("owner", "team", "region")}, "campaign_id": item.labels["campaign"],
            "orders": sorted(order.id for order in sales.places.live_orders(one)),
        })  # fmt: skip
    return found
