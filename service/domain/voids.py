"""Voids (SPEC sections 2 and 7): a voided event counts as if it had never been sent, whichever of the two arrives first.

A void is itself voided only by a void that is later in event order, so following voids always ends.
"""

from __future__ import annotations

from service.domain.facts import Fact

Identity = tuple[str, str]  # (source, id)
FOR_GOOD = "subject.erased"  # the type that nothing voids


class Voids:
    """All `event.voided` facts of a ledger, by the event they void."""

    def __init__(self) -> None:
        self._by_target: dict[Identity, list[Fact]] = {}
        self._targets: dict[Identity, Identity] = {}

    def add(self, fact: Fact) -> None:
        """Take in one void."""
        target = (fact.data["source"], fact.data["id"])
        self._by_target.setdefault(target, []).append(fact)
        self._targets[(fact.source, fact.id)] = target

    def is_void(self, identity: Identity) -> bool:
        """Tell whether the event of that identity, which is not itself a void, is voided."""
        direct = self._by_target.get(identity)
        if direct is None:
            return False
        standing = self._standing(direct)
        return any((one.source, one.id) in standing for one in direct)

    def _standing(self, direct: list[Fact]) -> set[Identity]:
        """Return which of these voids, and of those that void them, stand: decided from the latest to the earliest."""
        reached: dict[Identity, Fact] = {}
        waiting = list(direct)
        while waiting:
            one = waiting.pop()
            if (one.source, one.id) not in reached:
                reached[(one.source, one.id)] = one
                waiting += self._later(one)
        standing: set[Identity] = set()
        for one in sorted(reached.values(), key=lambda void: void[:4], reverse=True):
            if not any((later.source, later.id) in standing for later in self._later(one)):
                standing.add((one.source, one.id))
        return standing

    def _later(self, void: Fact) -> list[Fact]:
        """Return the voids of a void, as far as they are later in event order than it."""
        return [one for one in self._by_target.get((void.source, void.id), ()) if one[:4] > void[:4]]

    def concerned(self, fact: Fact) -> Identity:
        """Return the event, not itself a void, whose standing a void changes: the end of its chain of targets."""
        identity, seen = (fact.data["source"], fact.data["id"]), {(fact.source, fact.id)}
        while identity in self._targets and identity not in seen:
            seen.add(identity)
            identity = self._targets[identity]
        return identity

    def __bool__(self) -> bool:
        return bool(self._by_target)
