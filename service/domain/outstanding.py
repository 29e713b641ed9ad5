"""How much money something stands for that waits for a link: what its last live statements say, in event order.

A voided statement says nothing, and a cancellation leaves nothing. An order stands for its last amendment, else its last
placing; an amendment or a reversal for what it states itself. Opportunities and quotes state money that no figure needs, so
that it is not among their facts: `statements` are the facts to look for it in.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from service.domain.facts import Fact
from service.domain.kinds import RULES
from service.domain.money import Money
from service.domain.postings import event_name
from service.domain.stated import stated_money

# By kind of entity: the types that state its money, the strongest first, and what ends it.
_STATES: Mapping[str, tuple[tuple[str, ...], str | None]] = {
    "order": (("order.amended", "order.placed"), "order.cancelled"),
    "invoice": (("invoice.posted",), "invoice.cancelled"),
    "credit_note": (("invoice.credited",), None),
}
_UNKEPT = {
    "opportunity": ("opportunity.opened",),
    "quote": ("quote.sent", "quote.accepted", "quote.rejected", "quote.expired"),
}
KINDS = frozenset((*_STATES, *_UNKEPT))


def name_of(fact: Fact) -> str:
    """Return the entity that a fact is about, as `kind:id`."""
    field, kind = RULES[fact.type].ties[0]
    return f"{kind}:{fact.data[field]}"


def by_name(facts: Iterable[Fact], names: frozenset[str]) -> dict[str, list[Fact]]:
    """Return the facts about entities, and about events that wait themselves, by name, in the order given."""
    found: dict[str, list[Fact]] = {}
    for fact in facts:
        for name in {name_of(fact), event_name(fact)} & names:
            found.setdefault(name, []).append(fact)
    return found


def money_of(name: str, facts: Iterable[Fact]) -> Money | None:
    """Return what an entity, or an event that changes one, stands for by its live facts in event order."""
    known = list(facts)
    kind = name.partition(":")[0]
    states, end = _STATES.get(kind, ((kind,), None))
    if end is not None and any(fact.type == end for fact in known):
        return None
    for event_type in states:
        last = next((fact for fact in reversed(known) if fact.type == event_type), None)
        if last is not None and (money := stated_money(last.data)):
            return money
    return None


def statements(name: str, facts: Iterable[Fact]) -> list[Fact]:
    """Return the facts whose events may state money that is not kept of them, the last first."""
    types = _UNKEPT.get(name.partition(":")[0], ())
    return [fact for fact in facts if fact.type in types][::-1]
