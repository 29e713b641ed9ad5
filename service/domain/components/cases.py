"""A service case: its openings and resolutions, who has it, and how content the customer was with it (REPORTS section 3)."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Iterator

from service.domain.calendar import Zone
from service.domain.components.entities import Entity
from service.domain.components.kind import Kind
from service.domain.components.series import earliest
from service.domain.facts import Fact, Rule

_CASE = (("case_id", "case"),)
RULES = {
    "case.opened": Rule(_CASE, ("agent_id",)),
    "case.resolved": Rule(_CASE, ("agent_id",)),
    "csat.recorded": Rule(_CASE, ("score",)),
}


class Case(Entity):
    """A case: its first opening, its first and last resolution, whether it is open, and the fact that last scored it."""

    kind = "case"
    agent: str | None = None
    opened: Fact | None = None
    first_resolved: Fact | None = None
    resolved: Fact | None = None
    open = False
    scored: Fact | None = None


class Step(Entity):
    """One opening or resolution of a case (`of`); `from_open` tells whether the step before left it open."""

    kind = "case_step"
    from_open = False

    def __init__(self, fact: Fact, of: Case) -> None:
        self.fact = fact
        self.of = of
        self.name = of.name

    @property
    def opens(self) -> bool:
        """Whether it opens the case."""
        return self.fact.type == "case.opened"

    @property
    def reopens(self) -> bool:
        """Whether it opens a case that had been resolved before."""
        return self.opens and self.of.first_resolved is not None and self.of.first_resolved < self.fact


class Cases:
    """The fold of a component that is one case."""

    def __init__(self, _: Zone) -> None:
        self.touched: dict[Entity, None] = {}
        self._case: Case | None = None
        self._steps: list[Step] = []  # in event order

    def contributing(self) -> Iterator[Entity]:
        """Return everything that may contribute."""
        if self._case is not None:
            yield self._case
            yield from self._steps

    def touch_all(self) -> None:
        """Have everything contribute anew."""
        self.touched.update(dict.fromkeys(self.contributing()))

    def take(self, fact: Fact) -> None:
        """Take in one live fact."""
        case = self._case = self._case or Case(fact.data["case_id"])
        self.touched[case] = None
        if fact.type == "csat.recorded":
            case.state("scored", fact, fact)
            return
        agent = case.agent
        if "agent_id" in fact.data:
            case.state("agent", fact.data["agent_id"], fact)
        self._step(case, fact)
        if case.agent != agent:
            self.touch_all()

    def _step(self, case: Case, fact: Fact) -> None:
        """Put a step in its place, and have those contribute anew that see it."""
        step, steps = Step(fact, case), self._steps
        at = _place(steps, fact)
        steps.insert(at, step)
        step.from_open = at > 0 and steps[at - 1].opens
        self.touched[step] = None
        if at + 1 < len(steps):
            steps[at + 1].from_open = step.opens
            self.touched[steps[at + 1]] = None
        case.open = steps[-1].opens
        if step.opens:
            case.opened = earliest(case.opened, fact)
            return
        case.resolved = fact if case.resolved is None else max(case.resolved, fact)
        first, case.first_resolved = case.first_resolved, earliest(case.first_resolved, fact)
        if first is not case.first_resolved:
            until = len(steps) if first is None else _place(steps, first)
            self.touched.update(dict.fromkeys(steps[at:until]))

    def withdraw(self, _: Fact, __: Iterable[Fact]) -> bool:
        """Have it folded anew: what is left may have been stated before."""
        return False


def _place(steps: list[Step], fact: Fact) -> int:
    return bisect_left(steps, fact[:4], key=lambda one: one.fact[:4])


KIND = Kind("case", RULES, Cases)
