"""What the engine keeps of an event, and what the event ties together (SPEC section 2).

A `Fact` is an event without what no figure needs. It starts with its event order (time, source, id), so that sorting
facts is ordering events. `RULES` says for each type that moves a figure which component it belongs to, which entities
it names, and which fields it states. Those of `names` only make a campaign known. Events of other types are kept in the log and
move no figure here.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from service.domain.catalogue import CATALOGUE


class Fact(NamedTuple):
    """One event as the fold sees it: event order first, then type and the stated fields."""

    micros: int
    rest: str
    source: str
    id: str
    type: str
    data: dict[str, Any]


class Rule(NamedTuple):
    """`component`: the kind of component that folds the type; `ties`: (field, entity kind) pairs; `fields`: others kept."""

    component: str
    ties: tuple[tuple[str, str], ...]
    fields: tuple[str, ...] = ()


Key = tuple[str, str]  # (entity kind, id)

_LEAD = (("lead_id", "lead"),)
_OPPORTUNITY = (("opportunity_id", "opportunity"),)
_QUOTE = (("quote_id", "quote"), *_OPPORTUNITY)
_ORDER = (("order_id", "order"),)
_INVOICE = (("invoice_id", "invoice"),)
_COST = (("cost_entry_id", "cost"),)
_CAMPAIGN = (("campaign_id", "campaign"),)
CAMPAIGN_ATTRIBUTES = (
    "name", "campaign_type", "channel", "parent_id", "start_date", "end_date", "expected_revenue",
    "target_audience_size",
)  # fmt: skip

RULES: dict[str, Rule] = {
    "lead.captured": Rule("journey", _LEAD, ("campaign_id", "channel", "source", "medium", "utm", "owner_id")),
    "lead.qualified": Rule("journey", _LEAD, ("owner_id",)),
    "lead.campaign_reassigned": Rule("journey", _LEAD, ("campaign_id",)),
    "lead.handed_over": Rule("journey", _LEAD, ("owner_id",)),
    "lead.accepted": Rule("journey", _LEAD, ("owner_id",)),
    "lead.rejected": Rule("journey", _LEAD, ("owner_id",)),
    "lead.followed_up": Rule("journey", _LEAD, ("owner_id",)),
    "lead.merged": Rule("journey", (("survivor_id", "lead"), ("merged_id", "lead"))),
    "opportunity.opened": Rule("journey", (*_OPPORTUNITY, ("lead_ids", "lead")), ("campaign_id", "owner_id")),
    "opportunity.won": Rule("journey", _OPPORTUNITY),
    "opportunity.lost": Rule("journey", _OPPORTUNITY),
    "opportunity.reopened": Rule("journey", _OPPORTUNITY),
    "quote.sent": Rule("journey", _QUOTE),
    "quote.accepted": Rule("journey", _QUOTE),
    "quote.rejected": Rule("journey", _QUOTE),
    "quote.expired": Rule("journey", _QUOTE),
    "order.placed": Rule(
        "journey", (*_ORDER, *_OPPORTUNITY, ("quote_id", "quote")),
        ("net_value", "campaign_id", "account_id", "new_customer"),
    ),
    "order.amended": Rule("journey", _ORDER, ("net_value",)),
    "order.cancelled": Rule("journey", _ORDER),
    "invoice.posted": Rule("journey", (*_INVOICE, *_ORDER), ("net_amount", "posting_date", "cogs")),
    "invoice.credited": Rule(
        "journey", (("credit_note_id", "credit_note"), *_INVOICE), ("net_amount", "posting_date", "cogs")
    ),
    "invoice.cancelled": Rule("journey", _INVOICE),
    "campaign.cost_booked": Rule("cost", _COST, ("campaign_id", "amount", "cost_date")),
    "campaign.cost_reversed": Rule("cost", _COST, ("amount", "cost_date")),
    "campaign.registered": Rule("campaign", _CAMPAIGN, CAMPAIGN_ATTRIBUTES),
    "campaign.updated": Rule("campaign", _CAMPAIGN, CAMPAIGN_ATTRIBUTES),
    "campaign.budget_set": Rule("campaign", _CAMPAIGN, ("amount", "period")),
    "account.merged": Rule("account", (("survivor_id", "account"), ("merged_id", "account"))),
    "campaign.messages_sent": Rule("names", (), ("campaign_id",)),
    "touchpoint.recorded": Rule("names", (), ("campaign_id",)),
    "fx.rate_published": Rule("rates", (), ("base", "quote", "rate", "rate_date")),
    "event.voided": Rule("voids", (), ("source", "id")),
}  # fmt: skip

# By type, the fields that are kept, and those of the type that are optional.
_KEPT = {
    event_type: (
        frozenset((*(field for field, _ in rule.ties), *rule.fields)), frozenset(CATALOGUE[event_type].optional)
    )
    for event_type, rule in RULES.items()
}  # fmt: skip


def read_fact(micros: int, rest: str, source: str, identity: str, event_type: str, data: Mapping[str, Any]) -> Fact:
    """Keep of an event what the fold needs and what is stated; of what is required, null alone states nothing."""
    kept, optional = _KEPT[event_type]
    stated = {
        name: value
        for name, value in data.items()
        if name in kept and value is not None and (value != "" or name not in optional)
    }
    return Fact(micros, rest, source, identity, event_type, stated)


def keys_of(fact: Fact) -> list[Key]:
    """Return the entities that a fact names, its own first; all of them belong to one component."""
    _, _, _, _, event_type, data = fact
    alone = _ALONE.get(event_type)
    if alone is not None:
        return [(alone[1], data[alone[0]])]
    keys = []
    for field, kind in RULES[event_type].ties:
        value = data.get(field)
        if type(value) is str:
            keys.append((kind, value))
        elif type(value) is list:
            keys.extend((kind, one) for one in value)
    return keys


# Types that name their own entity only: most events are of these.
_ALONE = {event_type: rule.ties[0] for event_type, rule in RULES.items() if len(rule.ties) == 1}


class Merges:
    """The equivalence classes that merges form (SPEC section 7), and the id that each goes by.

    A class goes by the id that was never merged away, the least if several; where every id was (a circle), by the least of all.
    """

    def __init__(self) -> None:
        self._parent: dict[str, str] = {}
        self._standing: dict[str, set[str]] = {}  # by root: who was never merged away
        self._least: dict[str, str] = {}  # by root

    def __bool__(self) -> bool:
        return bool(self._parent)

    def take(self, fact: Fact) -> None:
        """Take in one merge."""
        survivor, merged = fact.data["survivor_id"], fact.data["merged_id"]
        large, small = self._root(survivor), self._root(merged)
        if survivor != merged:
            self._standing[small].discard(merged)
        if large != small:
            if len(self._standing[large]) < len(self._standing[small]):
                large, small = small, large
            self._parent[small] = large
            self._standing[large] |= self._standing.pop(small)
            self._least[large] = min(self._least[large], self._least.pop(small))

    def name(self, one: str) -> str:
        """Return the id that the class of an id goes by."""
        if one not in self._parent:
            return one
        root = self._root(one)
        standing = self._standing[root]
        return min(standing) if standing else self._least[root]

    def _root(self, one: str) -> str:
        parent = self._parent
        if one not in parent:
            parent[one] = self._least[one] = one
            self._standing[one] = {one}
            return one
        while (up := parent[one]) != one:
            parent[one] = one = parent[up]
        return one
