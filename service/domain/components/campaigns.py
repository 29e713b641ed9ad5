"""A campaign: how it is described, and its budgets (SPEC section 4, ROI: budget)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from service.domain.calendar import Zone
from service.domain.components.entities import Entity
from service.domain.components.kind import Kind
from service.domain.facts import Fact, Rule

_CAMPAIGN = (("campaign_id", "campaign"),)
ATTRIBUTES = (
    "name", "campaign_type", "channel", "parent_id", "start_date", "end_date", "expected_revenue",
    "target_audience_size",
)  # fmt: skip
RULES = {
    "campaign.registered": Rule(_CAMPAIGN, ATTRIBUTES),
    "campaign.updated": Rule(_CAMPAIGN, ATTRIBUTES),
    "campaign.budget_set": Rule(_CAMPAIGN, ("amount", "period")),
    "campaign.messages_sent": Rule(_CAMPAIGN, ("count", "channel")),
}


class Budget(Entity):
    """The budget of a campaign for one period, or for none, as it was last set."""

    kind = "budget"
    fact: Fact | None = None


class Sending(Entity):
    """Messages that a campaign sent; `withdrawn` once that is voided."""

    kind = "sending"
    withdrawn = False

    def __init__(self, fact: Fact) -> None:
        self.fact = fact
        self.name = f"campaign:{fact.data['campaign_id']}"


class Description(Entity):
    """The attributes of a campaign, the last statement of each."""

    kind = "campaign"

    @property
    def attributes(self) -> dict[str, object]:
        """Return them by name, in one order: what is stored of them is compared as text."""
        return {name: self.stated[name].data[name] for name in sorted(self.stated)}


class Campaign:
    """The fold of a component that is one campaign."""

    def __init__(self, _: Zone) -> None:
        self.touched: dict[Entity, None] = {}
        self.description = Description("")
        self._budgets: dict[str | None, Budget] = {}
        self._sendings: dict[tuple[str, str], Sending] = {}  # by the identity of their events

    def contributing(self) -> Iterator[Entity]:
        """Return everything that may contribute."""
        yield from self._budgets.values()
        yield from self._sendings.values()

    def touch_all(self) -> None:
        """Have everything contribute anew: a rate may have changed."""
        self.touched.update(dict.fromkeys(self._budgets.values()))

    def take(self, fact: Fact) -> None:
        """Take in one live fact."""
        if fact.type == "campaign.messages_sent":
            sending = self._sendings[fact.source, fact.id] = Sending(fact)
            self.touched[sending] = None
            return
        if fact.type != "campaign.budget_set":
            for name in fact.data.keys() - {"campaign_id"}:
                self.description.state(name, fact.data[name], fact)
            return
        period, campaign = fact.data.get("period"), fact.data["campaign_id"]
        budget = self._budgets.get(period)
        if budget is None:
            budget = self._budgets[period] = Budget(campaign if period is None else f"{campaign} {period}")
        budget.state("fact", fact, fact)
        self.touched[budget] = None

    def withdraw(self, fact: Fact, others: Iterable[Fact]) -> bool:
        """Take back a fact that was voided; `others` are the live facts that remain."""
        if fact.type == "campaign.messages_sent":
            sending = self._sendings.pop((fact.source, fact.id))
            sending.withdrawn = True
            self.touched[sending] = None
            return True
        if fact.type == "campaign.budget_set":
            period = fact.data.get("period")
            budget = self._budgets[period]
            budget.stated, budget.fact = {}, None
            self.touched[budget] = None
            again = [one for one in others if one.type == fact.type and one.data.get("period") == period]
        else:
            self.description = Description("")
            again = [one for one in others if one.type in ("campaign.registered", "campaign.updated")]
        for one in again:
            self.take(one)
        return True


def topmost(parents: Mapping[str, str | None]) -> dict[str, str]:
    """Return the topmost ancestor of each campaign that has a parent; of one whose line ends in a circle, itself."""
    found: dict[str, str] = {}
    for campaign, parent in parents.items():
        line, top = {campaign}, parent
        while top and top not in line and parents.get(top):
            line.add(top)
            top = parents[top]
        if top:
            found[campaign] = campaign if top in line else top
    return found


KIND = Kind("campaign", RULES, Campaign)
