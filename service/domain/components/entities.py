"""The entities of a journey (SPEC section 2): leads, opportunities, quotes and orders, and what changes them.

They are what facts state (`journey` takes those in). Whatever is stated twice holds by event order and not by arrival: of an
attribute the last statement wins, of a first-time mark (captured, qualified, opened, accepted, placed, posted) the earliest, and
what comes as a series (placings, changes, credit notes) is kept sorted. So a fact may come at any time, without others being
looked at again.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from decimal import Decimal
from math import floor
from types import MappingProxyType
from typing import Any, NamedTuple

from service.domain.calendar import Zone
from service.domain.components.series import Series, earliest, last_before, put_in
from service.domain.cubes import NOWHERE, Dimensions
from service.domain.facts import Fact, Key, Merges
from service.domain.money import Money, money_of

CRITERION = "criterion "  # before the name of one among the attributes of a lead
NO_DAY = 1  # 0001-01-01, before every day that an event can state; the database has -infinity for it
NONE: Mapping[Any, Any] = MappingProxyType({})
Mark = tuple[Fact, "Entity"]  # the fact that brought something about for the first time, and of which entity


class Quality(NamedTuple):
    """Something that a lead states of its quality: a criterion, its level, its score, or the reason for which it was rejected."""

    facet: str
    criterion: str | None = None
    state: str | None = None
    reason: str | None = None
    level: str | None = None
    score: str | None = None


class Origin(NamedTuple):
    """The lead that gave something its cohort day, by id: its dimensions, and what it states of its quality."""

    lead: str
    where: Dimensions
    qualities: tuple[Quality, ...] = ()


# The entities have class-level defaults and get only what was stated: a journey makes many, and most know little.


class Entity:
    """What all entities have: an id, a `name` with their kind before it, dimensions and the cohort day.

    `cells` is what it contributed when it was last asked; `stated` tells which fact an attribute was taken from. `marks` are the
    first ends of durations that it, or what came out of it, has: `opened`, `accepted`, `ordered`, `invoiced`, and `counted`
    for an invoice that is not fully credited. `names` are the entities that it refers to, and `seen` is what those that refer
    to it saw of it.
    """

    kind = ""
    where = NOWHERE
    cohort = NO_DAY
    origin: Origin | None = None  # of the lead that gave the cohort day
    cells: dict[Any, int] = {}  # noqa: RUF012  replaced, never changed
    marks: Mapping[str, Mark] = NONE
    queues: Mapping[str, list[Any]] = NONE  # by mark, a heap of those that came out of it: `journey` keeps it
    names: Sequence[Key] = ()
    seen: tuple[Any, ...] = ()
    dated = False  # its cohort day is the first date in its journey
    ends = False  # whether a duration may end with it
    ties = True  # whether what it refers to is one journey with it
    KEPT: frozenset[str] = frozenset({
        "id", "name", "where", "cohort", "origin", "cells", "marks", "queues", "names", "seen", "dated"
    })  # fmt: skip

    def __init__(self, identity: str) -> None:
        self.id = identity
        self.name = f"{self.kind}:{identity}"
        self.stated: dict[str, Fact] = {}

    def state(self, attribute: str, value: Any, fact: Fact) -> None:
        """Take over what a fact states of an attribute, unless a later one has stated it."""
        last = self.stated.get(attribute)
        if last is None or last < fact:
            self.stated[attribute] = fact
            setattr(self, attribute, value)

    def parents(self) -> Collection[Entity]:
        """Return the entities that this one came out of."""
        return ()

    @property
    def arrived(self) -> bool:
        """Whether what changes it has something to change."""
        return True

    def came_out_of(self, parent: Entity) -> bool:  # noqa: ARG002  for those that did
        """Tell whether an entity is one of its parents."""
        return False

    def own_marks(self) -> dict[str, Mark]:
        """Return the marks that are its own."""
        return {}

    def refers_to(self, merges: Merges) -> Sequence[Key]:  # noqa: ARG002  only leads are merged
        """Return the entities that it names, a merged lead by the id of its class."""
        return ()

    def first_day(self, zone: Zone) -> int:  # noqa: ARG002  for those that were
        """Return the first day on which it was captured, qualified, opened, accepted, placed or posted."""
        return NO_DAY

    def forget(self) -> None:
        """Forget all that facts stated, but not what is linked with it nor what it contributed."""
        kept = self.KEPT
        for attribute in [one for one in self.__dict__ if one not in kept]:
            delattr(self, attribute)
        self.stated = {}


class Lead(Entity):
    """A lead, or the class of leads that were merged into one.

    `verdict` is the last time that it was accepted or rejected, `ended` the last time that it was disqualified or reopened.
    `steps` are all its events by type, and `listing` are the opportunities that list it.
    """

    kind = "lead"
    captured: Fact | None = None
    qualified: Fact | None = None
    handed_over: Fact | None = None
    verdict: Fact | None = None
    ended: Fact | None = None
    campaign: str | None = None
    channel: str | None = None
    source: str | None = None
    medium: str | None = None
    lead_magnet: str | None = None
    owner: str | None = None
    contact: str | None = None
    level: str | None = None
    score: Any = None
    steps: Mapping[str, Sequence[Fact]] = NONE
    listing: Collection[Entity] = ()
    KEPT = Entity.KEPT | {"listing"}

    def step(self, fact: Fact) -> None:
        """Take in that something happened to it."""
        self.steps = {**self.steps, fact.type: put_in(self.steps.get(fact.type, ()), fact)}

    def marks_of(self, event_type: str) -> Sequence[Fact]:
        """Return all events of a type that happened to it, in event order: its own, or openings of opportunities that list it."""
        if event_type != "opportunity.opened":
            return self.steps.get(event_type, ())
        opened = (fact for one in self.listing if isinstance(one, Opportunity) for fact in one.openings)
        return sorted(opened, key=lambda fact: fact[:4])

    def first_day(self, zone: Zone) -> int:
        """Return the day on which it was captured or qualified."""
        return _least(zone, self.captured, self.qualified)

    def qualities(self) -> tuple[Quality, ...]:
        """Return what it states of its quality, each as last stated."""
        found = []
        for attribute in sorted(self.stated):
            if attribute.startswith(CRITERION):
                state = "true" if getattr(self, attribute) else "false"
                found.append(Quality("criterion", criterion=attribute.removeprefix(CRITERION), state=state))
        if "level" in self.stated:
            found.append(Quality("level", level=self.level))
        if "score" in self.stated:
            found.append(Quality("score", score=_band(self.score)))
        if self.verdict is not None and self.verdict.type == "lead.rejected":
            found.append(Quality("reason", reason=self.verdict.data.get("reason")))
        return tuple(found)

    def absorb(self, other: Lead) -> None:
        """Take over what facts stated of a lead that was merged into this one."""
        for attribute, fact in other.stated.items():
            self.state(attribute, getattr(other, attribute), fact)
        self.captured = earliest(self.captured, other.captured)
        self.qualified = earliest(self.qualified, other.qualified)
        for event_type, facts in other.steps.items():
            both = (*self.steps.get(event_type, ()), *facts)
            self.steps = {**self.steps, event_type: sorted(both, key=lambda fact: fact[:4])}


class Merging(Entity):
    """A merge, as such: it makes two leads or contacts (`of`) one."""

    kind = "merging"

    def __init__(self, fact: Fact) -> None:
        self.of = fact.type.partition(".")[0]
        self.ids = (fact.data["survivor_id"], fact.data["merged_id"])
        super().__init__(f"{fact.source} {fact.id}")
        self.name = f"{fact.type}:{self.id}"


class Awaited(Entity):
    """A lead that an opportunity (`of`) lists and that is not captured yet; `withdrawn` once it is, or not listed any more."""

    kind = "awaited"
    withdrawn = False

    def __init__(self, of: Entity, lead_id: str) -> None:
        self.of = of
        self.name = of.name
        self.lead_id = lead_id


class Opportunity(Entity):
    """An opportunity with the `leads` that it lists, as far as they have events of their own.

    `openings` are the events that open it, `stages` those that state one, and `estimate` and `own_chance` those that last state
    what it is worth and how probable it is. `placed_under` is what its orders are reported under besides its dimensions.

    `attributing_lead` is the lead whose dimensions and capture day its money takes; `awaited` are, by id, the listed leads that
    are not captured yet.
    """

    kind = "opportunity"
    ends = True
    opened: Fact | None = None
    openings: Sequence[Fact] = ()
    campaign: str | None = None
    owner: str | None = None
    team: str | None = None
    region: str | None = None
    lead_ids: Sequence[str] = ()
    outcome: Fact | None = None
    account: str | None = None
    title: str | None = None
    expected_close: str | None = None
    estimate: Fact | None = None
    own_chance: Fact | None = None
    lost_reason: str | None = None
    stages: Sequence[Fact] = ()
    named_contacts: Fact | None = None
    contacts: Mapping[str, Fact] = NONE  # by id, the last that links or unlinks one
    placed_under: tuple[Any, ...] = ()
    leads: Mapping[str, Lead] = NONE
    awaited: Mapping[str, Awaited] = NONE
    attributing_lead: Lead | None = None
    KEPT = Entity.KEPT | {"leads", "awaited", "attributing_lead", "placed_under"}

    @property
    def stage(self) -> str | None:
        """The stage that it is in."""
        return self.stages[-1].data["stage"] if self.stages else None

    def entered(self) -> Iterator[Fact]:
        """Yield the events by which it entered stages, the last first; a stage said again is not entered."""
        for at in range(len(self.stages) - 1, -1, -1):
            if not at or self.stages[at - 1].data["stage"] != self.stages[at].data["stage"]:
                yield self.stages[at]

    def linked_contacts(self, name: Callable[[str], str]) -> list[str]:
        """Return the contacts, by the `name` of each, that it names or that were linked with it, and not unlinked later."""
        named = self.named_contacts
        stated = dict.fromkeys(map(name, named.data["contact_ids"]), named) if named else {}
        for contact, fact in self.contacts.items():
            one = name(contact)
            if one not in stated or stated[one] < fact:
                stated[one] = fact
        return sorted(one for one, fact in stated.items() if fact.type != "opportunity.contact_unlinked")

    def parents(self) -> Collection[Entity]:
        """Return the leads that it lists."""
        return self.leads.values()

    def came_out_of(self, parent: Entity) -> bool:
        """Tell whether it lists a lead."""
        return self.leads.get(parent.id) is parent

    def refers_to(self, merges: Merges) -> Sequence[Key]:
        """Return the leads that it lists."""
        return [("lead", merges.name(one)) for one in self.lead_ids] if self.lead_ids else ()

    def first_day(self, zone: Zone) -> int:
        """Return the day on which it was opened."""
        return _least(zone, self.opened)

    def own_marks(self) -> dict[str, Mark]:
        """Return its opening, and whether it is `lost`, or `pursued`: whatever came of it, no event says that it is decided."""
        if self.opened is None:
            return {}
        marks: dict[str, Mark] = {"opened": (self.opened, self)}
        if self.outcome is None or self.outcome.type == "opportunity.reopened":
            marks["pursued"] = marks["opened"]
        elif self.outcome.type == "opportunity.lost":
            marks["lost"] = (self.outcome, self)
        return marks


class Quote(Entity):
    """A quote, known by any event about it; `sent`, `accepted`, `rejected` and `expired` are the first time it was.

    `values` are what it was last said to be worth: by name of what happened, and by any event under "".
    """

    kind = "quote"
    ends = True
    sent: Fact | None = None
    accepted: Fact | None = None
    rejected: Fact | None = None
    expired: Fact | None = None
    values: Mapping[str, Fact] = NONE
    opportunity_id = ""
    parent: Opportunity | None = None
    KEPT = Entity.KEPT | {"parent"}

    def parents(self) -> Collection[Entity]:
        """Return its opportunity, if that is opened."""
        return (self.parent,) if self.parent else ()

    def came_out_of(self, parent: Entity) -> bool:
        """Tell whether that is its parent."""
        return self.parent is parent

    def value(self, what: str, fact: Fact) -> None:
        """Take over what it is worth, as an event of a name says, unless a later one has said so."""
        newer = {name: fact for name in ("", what) if name not in self.values or self.values[name] < fact}
        self.values = {**self.values, **newer}

    def worth(self, what: str) -> Money | None:
        """Return what it was last said to be worth by events of a name, else by any."""
        stated = self.values.get(what) or self.values.get("")
        return money_of(stated.data["value"]) if stated else None

    def refers_to(self, _: Merges) -> Sequence[Key]:
        """Return its opportunity."""
        return (("opportunity", self.opportunity_id),) if self.stated else ()

    def first_day(self, zone: Zone) -> int:
        """Return the day on which it was accepted."""
        return _least(zone, self.accepted)

    def own_marks(self) -> dict[str, Mark]:
        """Return its acceptance."""
        return {"accepted": (self.accepted, self)} if self.accepted else {}


class Change(Entity):
    """An amendment or a cancellation of an order, or a cancellation of an invoice: `of` is what it changes.

    `after` is what is left then, in the currency of what it changes and in the ledger's; `taken` is what a reversal takes.
    """

    kind = "change"
    after: tuple[Any, ...] | None = None
    taken: tuple[Any, ...] = ()
    withdrawn = False

    def __init__(self, fact: Fact, of: Entity) -> None:
        self.fact = fact
        self.of = of
        self.name = of.name


class Order(Entity):
    """An order: what was placed, the changes on top, of which a cancellation ends it.

    `quote` and `stated_opportunity` are the quote and the opportunity that it names, as far as those have events of their own.
    """

    kind = "order"
    ends = True
    placed: Fact | None = None
    cancelled: Fact | None = None
    campaign: str | None = None
    account: str | None = None
    new_customer: bool | None = None
    opportunity_id: str | None = None
    quote_id: str | None = None
    quote: Quote | None = None
    stated_opportunity: Opportunity | None = None
    parent: Opportunity | None = None
    placings: Sequence[Fact] = ()
    changes: Series[Change]
    start: tuple[Any, ...] = ()  # what the changes start from, when they were last worked out
    standing: int | None = None  # its value in the ledger's currency, while it is live and there is a rate
    KEPT = Entity.KEPT | {"quote", "stated_opportunity", "parent", "changes", "cancelled", "start", "standing"}

    def __init__(self, identity: str) -> None:
        super().__init__(identity)
        self.changes = Series()

    @property
    def customer(self) -> str | None:
        """The account that it is reported under: its opportunity's, else its own."""
        return (self.parent and self.parent.account) or self.account

    @property
    def base(self) -> Money | None:
        """What was placed, before changes: the last statement, but after a cancellation only the first of an order."""
        stated = last_before(self.placings, self.cancelled)
        return money_of(stated[-1].data["net_value"]) if stated else None

    @property
    def arrived(self) -> bool:
        """Whether it was placed."""
        return self.placed is not None

    @property
    def live(self) -> bool:
        """A live order was placed and not cancelled."""
        return self.placed is not None and self.cancelled is None

    def parents(self) -> Collection[Entity]:
        """Return its opportunity, if that is opened."""
        return (self.parent,) if self.parent else ()

    def came_out_of(self, parent: Entity) -> bool:
        """Tell whether that is its parent."""
        return self.parent is parent

    def refers_to(self, _: Merges) -> Sequence[Key]:
        """Return the opportunity and the quote that it names."""
        named = (("opportunity", self.opportunity_id), ("quote", self.quote_id))
        return tuple((kind, identity) for kind, identity in named if identity is not None)

    def first_day(self, zone: Zone) -> int:
        """Return the day on which it was placed."""
        return _least(zone, self.placed)

    def own_marks(self) -> dict[str, Mark]:
        """Return its placing, while it is live."""
        return {"ordered": (self.placed, self)} if self.placed and self.live else {}


def _band(score: float | str) -> str:
    """Return the ten points that a score lies in, as 70-79."""
    low = floor(Decimal(score) / 10) * 10
    return f"{low}-{low + 9}"


def _least(zone: Zone, *marks: Fact | None) -> int:
    return min((zone.day(mark.micros) for mark in marks if mark is not None), default=NO_DAY)
