"""Voids (SPEC sections 2 and 7): a voided event counts as if it had never been sent, whichever of the two arrives first.

A void is itself voided only by a void that is later in event order, so following voids always ends.
"""

from __future__ import annotations

from service.domain.facts import Fact

Identity = tuple[str, str]  # (source, id)


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

    def is_void(self, identity: Identity, after: Fact | None = None) -> bool:
        """Tell whether the event of that identity is voided (`after`: only by a void later in event order than it)."""
        if identity not in self._by_target:
            return False
        return any(
            (after is None or void[:4] > after[:4]) and not self.is_void((void.source, void.id), void)
            for void in self._by_target.get(identity, ())
        )

    def concerned(self, fact: Fact) -> Identity:
        """Return the event, not itself a void, whose standing a void changes: the end of its chain of targets."""
        identity, seen = (fact.source, fact.id), set()
        while identity in self._targets and identity not in seen:
            seen.add(identity)
            identity = self._targets[identity]
        return identity

    def __bool__(self) -> bool:
        return bool(self._by_target)
