"""Which of several messages of one instant is the later, where the sender says what a record was before each.

Times of many systems count whole seconds. A message that tells the values before it (`previous_attributes`, an image before
the change) follows the one that left them. That decides before versions guessed from a status, and before ids do.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import groupby, pairwise, permutations
from typing import Any

from service.domain.calendar import parse_instant
from service.intake.senders.contract import Statement

BEFORE = "@before"  # the field of a statement with the values before it, by the names of its other fields
_MOST = 6  # messages of one instant that are looked at in every order


def by_previous(statements: Iterable[Statement]) -> list[Statement]:
    """Return statements that are in order, those of one instant as what they say of the values before them tells."""
    ordered: list[Statement] = []
    for _, group in groupby(statements, key=lambda one: parse_instant(one.at)):
        several = list(group)
        told = {name for one in several for name in _before(one)}
        if told and 1 < len(several) <= _MOST:
            known = _known(ordered, told)
            # Of several orders that fit equally well, the one that stands: `permutations` begins with it.
            several = list(min(permutations(several), key=lambda order: _misfits(known, order, told)))
        ordered += several
    return ordered


def _before(one: Statement) -> Mapping[str, Any]:
    before = one.fields.get(BEFORE)
    return before if isinstance(before, Mapping) else {}


def _known(statements: Sequence[Statement], names: Iterable[str]) -> dict[str, Any]:
    state: dict[str, Any] = {}
    for one in statements:
        state.update({name: one.fields[name] for name in names if name in one.fields})
    return state


def _misfits(known: Mapping[str, Any], order: Iterable[Statement], names: Iterable[str]) -> int:
    """Count the values that are not as the message before left them."""
    first = Statement("", "", "", "", "", dict(known))
    return sum(1 for before, after in pairwise([first, *order]) for _ in _broken(before, after, names))


def _broken(before: Statement, after: Statement, names: Iterable[str]) -> Iterator[str]:
    told = _before(after)
    for name in names:
        expected = told[name] if name in told else after.fields.get(name)
        if name in before.fields and (name in told or name in after.fields) and before.fields[name] != expected:
            yield name
