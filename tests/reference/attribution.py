"""Attribution by brute force (SPEC section 4 and 7, REPORTS section 5): every touch of every deal, day after day."""

from __future__ import annotations

from decimal import Context, Decimal
from fractions import Fraction
from math import floor
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from tests.reference.facts import Event, Facts, Invoice, Order, aliases, digits_of, is_stated, last_stated
from tests.reference.ledger import Ledger, Posting
from tests.reference.places import Place

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from datetime import date

BUILT_IN: dict[str, dict[str, Any]] = {
    "source_campaign": {"kind": "source_campaign"},
    "first_touch": {"kind": "milestones", "shares": {"first": "1"}},
    "last_touch": {"kind": "milestones", "shares": {"last": "1"}},
    "linear": {"kind": "milestones", "shares": {}},
    "u_shaped": {"kind": "milestones", "shares": {"first": "0.4", "lead_creation": "0.4"}},
    "w_shaped": {
        "kind": "milestones", "shares": {"first": "0.3", "lead_creation": "0.3", "opportunity_creation": "0.3"},
    },
    "full_path": {
        "kind": "milestones",
        "shares": dict.fromkeys(("first", "lead_creation", "opportunity_creation", "last"), "0.225"),
    },
    "position_based": {"kind": "milestones", "shares": {"first": "0.4", "last": "0.4"}},
    "time_decay": {"kind": "time_decay"},
}  # fmt: skip
DAY = 86_400
Where = tuple[str | None, ...]  # campaign, owner, team, region
Sums = dict[tuple[Where, "date"], dict[str, Fraction]]
PRECISE = Context(prec=60)


class Touch:
    """One touch, each field as last stated."""

    def __init__(self, identity: str, told: list[Event], suppressed: bool) -> None:
        self.id = identity
        self.at = told[-1].at
        self.campaign = last_stated(told, "campaign_id")
        self.activity = last_stated(told, "activity_type")
        self.interaction = last_stated(told, "interaction")
        self.contact = last_stated(told, "contact_id")
        self.lead = last_stated(told, "lead_id")
        self.suppressed = suppressed


class Attribution:
    """What each model deals of a heap of events."""

    def __init__(self, raw: Sequence[Mapping[str, Any]], currency: str = "EUR", timezone: str = "UTC") -> None:
        self.facts = Facts(raw, ZoneInfo(timezone))
        self.ledger = Ledger(self.facts, currency)
        self.places = self.ledger.places
        self.unit = Fraction(1, 10 ** digits_of(currency))
        self.contacts = aliases(self.facts.events, "contact.merged")
        suppressed = {e.data["touchpoint_id"] for e in self.facts.family("touchpoint.suppressed")}
        told: dict[str, list[Event]] = {}
        for event in self.facts.family("touchpoint.recorded"):
            told.setdefault(event.data["touchpoint_id"], []).append(event)
        self.touches = [Touch(i, events, i in suppressed) for i, events in told.items()]
        self.models = dict(BUILT_IN)
        self.official = "source_campaign"
        for event in self.facts.family("attribution.model_published"):
            self.models[event.data["model_id"]] = event.data["definition"]
            if is_stated(event.data.get("official")):
                self.official = event.data["model_id"] if event.data["official"] else "source_campaign"

    # ---- who is linked with a deal ---------------------------------------------------------------------------

    def leads_of(self, order: Order) -> set[str]:
        opportunity = self.places.parent_of(order)
        if opportunity is not None:
            return set(opportunity.lead_ids)
        journey = {("order", order.id)}
        for _ in self.places.edges():
            for a, b in self.places.edges():
                if a in journey or b in journey:
                    journey |= {a, b}
        return {identity for kind, identity in journey if kind == "lead"}

    def contacts_of(self, order: Order) -> set[str]:
        """Give the linked contacts: whoever was named or linked, and not unlinked after that."""
        said: list[tuple[Any, str, bool]] = []
        for lead in self.leads_of(order):
            captures = [e for e in self.facts.lead_events if e.type == "lead.captured"]
            mine = [e for e in captures if self.facts.lead_name(e.data["lead_id"]) == lead]
            naming = [e for e in mine if is_stated(e.data.get("contact_id"))]
            said += [(e.key, e.data["contact_id"], True) for e in naming[-1:]]
        opportunity = self.places.parent_of(order)
        if opportunity is not None:
            opened = self.facts.of("opportunity.opened", "opportunity_id", opportunity.id)
            naming = [e for e in opened if is_stated(e.data.get("contact_ids"))]
            said += [(e.key, contact, True) for e in naming[-1:] for contact in e.data["contact_ids"]]
            for kind, linked in (("contact_linked", True), ("contact_unlinked", False)):
                for e in self.facts.of(f"opportunity.{kind}", "opportunity_id", opportunity.id):
                    said.append((e.key, e.data["contact_id"], linked))
        last: dict[str, bool] = {}
        for _, contact, linked in sorted(said):
            last[self.contacts.get(contact, contact)] = linked
        return {contact for contact, linked in last.items() if linked}

    def of_deal(self, order: Order) -> list[Touch]:
        leads, contacts = self.leads_of(order), self.contacts_of(order)
        found = [
            touch
            for touch in self.touches
            if (touch.lead is not None and self.facts.lead_name(touch.lead) in leads)
            or (touch.contact is not None and self.contacts.get(touch.contact, touch.contact) in contacts)
        ]
        return sorted(found, key=lambda touch: (touch.at, touch.id))

    # ---- weights ---------------------------------------------------------------------------------------------

    def eligible(self, order: Order, definition: Mapping[str, Any]) -> list[Touch]:
        days = {False: definition.get("lookback_days", 90), True: definition.get("view_lookback_days", 7)}
        found = []
        for touch in self.of_deal(order):
            reach = Fraction(str(days[touch.interaction == "view"])) * DAY
            if not touch.suppressed and touch.at <= order.placed.at <= touch.at + reach:
                found.append(touch)
        if any(touch.interaction == "click" for touch in found):
            found = [touch for touch in found if touch.interaction != "view"]
        return found

    def shares(self, order: Order, definition: Mapping[str, Any]) -> dict[str | None, Fraction]:
        """Give the share of each campaign; None = unattributed."""
        if definition["kind"] == "source_campaign":
            return {self.places.place_order(order).campaign: Fraction(1)}
        touches = self.eligible(order, definition)
        weights = self._weights(order, touches, definition)
        if definition.get("normalised", True) or sum(weights) > 1:
            whole = sum(weights)
            weights = [weight / whole if whole else Fraction(0) for weight in weights]
        found: dict[str | None, Fraction] = {}
        for touch, weight in zip(touches, weights, strict=True):
            found[touch.campaign] = found.get(touch.campaign, Fraction(0)) + weight
        found[None] = 1 - sum(found.values(), Fraction(0))
        return found

    def _weights(self, order: Order, touches: list[Touch], definition: Mapping[str, Any]) -> list[Fraction]:
        kind = definition["kind"]
        if kind == "linear":
            return [Fraction(1) for _ in touches]
        if kind == "weighted_activities":
            return [Fraction(str(definition["weights"].get(touch.activity, 0))) for touch in touches]
        if kind == "time_decay":
            half_life = Fraction(str(definition.get("half_life_days", 7))) * DAY
            return [self._faded((touches[-1].at - touch.at) / half_life) for touch in touches]
        shares = {name: Fraction(str(share)) for name, share in definition["shares"].items()}
        opportunity = self.places.parent_of(order)
        leads = [self.facts.leads[one] for one in self.leads_of(order) if one in self.facts.leads]
        captures = [lead.captured.at for lead in leads if lead.captured is not None]
        at: dict[str, Fraction | None] = {
            "lead_creation": min(captures, default=None),
            "opportunity_creation": None if opportunity is None else opportunity.opened.at,
        }
        holders: dict[str, int] = {}
        for name in shares:
            if name == "first" and touches:
                holders[name] = 0
            elif name == "last" and touches:
                holders[name] = len(touches) - 1
            elif (moment := at.get(name)) is not None:
                before = [place for place, touch in enumerate(touches) if touch.at <= moment]
                if before:
                    holders[name] = before[-1]
        rest = [place for place in range(len(touches)) if place not in holders.values()]
        weights = [Fraction(0)] * len(touches)
        for name, place in holders.items():
            weights[place] += shares[name]
        for place in rest:
            weights[place] += (1 - sum(shares.values(), Fraction(0))) / len(rest)
        return weights

    @staticmethod
    def _faded(times: Fraction) -> Fraction:
        if times > 300:
            return Fraction(0)
        return Fraction(
            PRECISE.power(Decimal(2), -PRECISE.divide(Decimal(times.numerator), Decimal(times.denominator)))
        )

    # ---- money -----------------------------------------------------------------------------------------------

    def deal(
        self, amount: Fraction, shares: Mapping[str | None, Fraction], unit: Fraction
    ) -> dict[str | None, Fraction]:
        units, sign = abs(amount) / unit, -1 if amount < 0 else 1
        exact = {campaign: units * share for campaign, share in shares.items()}
        dealt = {campaign: floor(one) for campaign, one in exact.items()}
        order = sorted(exact, key=lambda one: (-(exact[one] - dealt[one]), one is None, one or ""))
        for campaign in order[: int(units - sum(dealt.values()))]:
            dealt[campaign] += 1
        return {campaign: sign * one * unit for campaign, one in dealt.items()}

    def _posted(self, post: Callable[[], None]) -> list[Posting]:
        kept, self.ledger.postings = self.ledger.postings, []
        post()
        made, self.ledger.postings = self.ledger.postings, kept
        return made

    def _of_order(self, order: Order) -> list[Posting]:
        kept, self.facts.orders = self.facts.orders, {order.id: order}
        made = self._posted(self.ledger._post_orders)  # noqa: SLF001
        self.facts.orders = kept
        return [one for one in made if one.measure == "booked_revenue"]

    def _of_invoice(self, invoice: Invoice) -> list[Posting]:
        kept, self.facts.invoices = self.facts.invoices, {invoice.id: invoice}
        made = self._posted(self.ledger._post_invoices)  # noqa: SLF001
        self.facts.invoices = kept
        return made

    @staticmethod
    def _day(posting: Posting, place: Place, basis: str) -> date:
        day = posting.day if basis == "event" else place.cohort
        assert day is not None
        return day

    def sums(self, model: str, basis: str = "event") -> Sums:
        """Give what is dealt by campaign, owner, team, region and day."""
        definition, found = self.models[model], dict[tuple[Where, "date"], dict[str, Fraction]]()
        nothing: dict[str | None, Fraction] = {None: Fraction(1)}

        def add(where: Where, day: date, measure: str, amount: Fraction) -> None:
            of = found.setdefault((where, day), {})
            of[measure] = of.get(measure, Fraction(0)) + amount

        def deal_days(measure: str, moves: list[tuple[date, Fraction]], shares: Any, rest: Where) -> None:
            before: dict[str | None, Fraction] = {}
            for day in sorted({on for on, _ in moves}):
                now = self.deal(sum((a for on, a in moves if on <= day), Fraction(0)), shares, self.unit)
                for campaign in now.keys() | before.keys():
                    add(
                        (campaign, *rest),
                        day,
                        measure,
                        now.get(campaign, Fraction(0)) - before.get(campaign, Fraction(0)),
                    )
                before = now

        for order in self.facts.orders.values():
            place, shares = self.places.place_order(order), self.shares(order, definition)
            rest = (place.owner, place.team, place.region)
            deal_days(
                "booked_revenue",
                [(self._day(one, place, basis), one.amount) for one in self._of_order(order)],
                shares,
                rest,
            )
            if order.cancelled is None:
                on = order.day if basis == "event" else place.cohort
                assert on is not None
                for campaign, part in self.deal(Fraction(1), shares, Fraction(1, 10**6)).items():
                    add((campaign, *rest), on, "deals", part)
        for invoice in self.facts.invoices.values():
            place, of = self.places.place_invoice(invoice), self.facts.orders.get(invoice.order_id or "")
            shares = nothing if of is None else self.shares(of, definition)
            if definition["kind"] == "source_campaign":
                shares = {place.campaign: Fraction(1)}
            rest = (place.owner, place.team, place.region)
            made = self._of_invoice(invoice)
            pots = {
                "gross": [(self._day(one, place, basis), one.amount) for one in made if one.measure == "gross"],
                "net": [
                    (self._day(one, place, basis), one.amount if one.measure == "gross" else -one.amount)
                    for one in made
                    if one.measure in ("gross", "credited")
                ],
                "cogs": [(self._day(one, place, basis), one.amount) for one in made if one.measure == "cogs"],
            }
            for measure, moves in pots.items():
                deal_days(measure, moves, shares, rest)
        kept = {key: {name: amount for name, amount in of.items() if amount} for key, of in found.items()}
        return {key: of for key, of in kept.items() if of}
