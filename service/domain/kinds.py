"""Which events belong together, by their kind of component, and what is kept of each.

The kinds are those of the modules of `components` and `reports` that have a `KIND`. Registers reach further than one component
and are taken in by the engine itself; merges of accounts and contacts are of both. Events of other types are kept in the log and
move no figure.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from service.domain import components, reports
from service.domain.calendar import Zone
from service.domain.catalogue import CATALOGUE
from service.domain.components.kind import Folded, Kind
from service.domain.facts import Fact, Key, Rule
from service.domain.modules import found

REGISTERS: dict[str, dict[str, Rule]] = {
    "rates": {"fx.rate_published": Rule((), ("base", "quote", "rate", "rate_date"))},
    "stages": {"stage.defined": Rule((), ("stage", "probability", "order"))},
    "agreements": {
        "sla.defined": Rule((), ("sla_id", "from_event", "to_event", "within_hours", "where", "hours", "holidays"))
    },
    "voids": {"event.voided": Rule((), ("source", "id"))},
}
KINDS: dict[str, Kind] = {kind.name: kind for kind in (*found(components, "KIND"), *found(reports, "KIND"))}
_RULES_OF = {**REGISTERS, **{name: kind.rules for name, kind in KINDS.items()}}
KIND_OF: dict[str, str] = {event_type: name for name, rules in _RULES_OF.items() for event_type in rules}
REGISTER_OF: dict[str, str] = {
    **{event_type: name for name, rules in REGISTERS.items() if name != "voids" for event_type in rules},
    "account.merged": "accounts", "contact.merged": "contacts",
}  # fmt: skip
RULES: dict[str, Rule] = {event_type: rule for rules in _RULES_OF.values() for event_type, rule in rules.items()}

# By type, the fields that are kept, and those of the type that are optional.
_KEPT = {
    event_type: (
        frozenset((*(field for field, _ in rule.ties), *rule.fields)), frozenset(CATALOGUE[event_type].optional)
    )
    for event_type, rule in RULES.items()
}  # fmt: skip
# Types that name their own entity only: most events are of these.
_ALONE = {event_type: rule.ties[0] for event_type, rule in RULES.items() if len(rule.ties) == 1}


def begin(kind: str, zone: Zone) -> Folded:
    """Begin to fold a component; LookupError for a kind that there is none of."""
    if kind not in KINDS:
        raise LookupError(f"there is no kind of component {kind!r}: it was stored by another release")
    return KINDS[kind].fold(zone)


def read_fact(micros: int, rest: str, source: str, identity: str, event_type: str, data: Mapping[str, Any]) -> Fact:
    """Keep of an event what the fold needs and what is stated; of what is required, null alone states nothing."""
    kept, optional = _KEPT[event_type]
    stated = {
        name: value
        for name, value in data.items()
        if name in kept and value is not None and (value != "" or name not in optional)
    }
    for name, made in RULES[event_type].kept_as.items():
        if name in stated:
            stated[name] = made(stated[name])
    return Fact(micros, rest, source, identity, event_type, stated)


def keys_of(fact: Fact) -> list[Key]:
    """Return the entities that a fact names, its own first; all of them belong to one component."""
    _, _, source, identity, event_type, data = fact
    alone = _ALONE.get(event_type)
    if alone is not None:
        field, kind = alone
        return [(kind, data[field] if field else f"{source} {identity}")]
    keys = []
    for field, kind in RULES[event_type].ties:
        value = data.get(field)
        if type(value) is str:
            keys.append((kind, value))
        elif type(value) is list:
            keys.extend((kind, one) for one in value)
    return keys
