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
}


class Budget(Entity):
    """The budget of a campaign for one period, or for none, as it was last set."""

    kind = "budget"
    fact: Fact | None = None


class Description(Entity):
    """The attributes of a campaign, the last statement of each."""

    kind = "campaign"

    def state(self, attribute: str, value: object, fact: Fact) -> None:  # noqa: ARG002  it is in the fact
        """Note which fact states an attribute, unless a later one has stated it."""
        last = self.stated.get(attribute)
        if last is None or last < fact:
            self.stated[attribute] = fact

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

    def contributing(self) -> Iterator[Entity]:
        """Return everything that may contribute."""
        if self.description.id:
            yield self.description
        yield from self._budgets.values()

    def touch_all(self) -> None:
        """Have everything contribute anew: a rate may have changed."""
        self.touched.update(dict.fromkeys(self.contributing()))

    def take(self, fact: Fact) -> None:
        """Take in one live fact."""
        if fact.type != "campaign.budget_set":
            if not self.description.id:
                self.description = Description(fact.data["campaign_id"])
            for name in fact.data.keys() - {"campaign_id"}:
                self.description.state(name, fact.data[name], fact)
            self.touched[self.description] = None
            return
        period, campaign = fact.data.get("period"), fact.data["campaign_id"]
        budget = self._budgets.get(period)
        if budget is None:
            budget = self._budgets[period] = Budget(campaign if period is None else f"{campaign} {period}")
        budget.state("fact", fact, fact)
        self.touched[budget] = None

    def withdraw(self, fact: Fact, others: Iterable[Fact]) -> bool:
        """Take back a fact that was voided; `others` are the live facts that remain."""
        if fact.type == "campaign.budget_set":
            period = fact.data.get("period")
            budget = self._budgets[period]
            budget.stated, budget.fact = {}, None
            self.touched[budget] = None
            again = [one for one in others if one.type == fact.type and one.data.get("period") == period]
        else:
            self.description.stated = {}
            self.touched[self.description] = None
            again = [one for one in others if one.type != "campaign.budget_set"]
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
