"""A value that cannot be read must not stop a record: it is left out and named, and forgotten once it is stated anew (pure).

Kinds raise MalformedError where they cannot make anything of a value. Here the statement at fault is found, and the value in
it: the one that the error quotes, or whose name it has. The record is translated as if that statement had left the value as
it was. If no value can be found, the statement is left out whole. What came before it and after it counts.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Any, NamedTuple

from service.domain.catalogue import CATALOGUE, check_data
from service.intake.senders.contract import Draft, MalformedError, Statement, Waiting

Parts = list[Draft | Waiting]
Translate = Callable[[Sequence[Statement]], Parts]
Path = tuple[str | int, ...]
_MOST_AT_ONCE = 8  # values of one statement that cannot be read; with more, it is left out whole
_MOST_VALUES = 500  # of one statement that are looked through
_MOST_TOGETHER = 100  # statements that are tried one after another where each is well by itself
_QUOTED = re.compile(r"(?:got|found) (.*)$", re.DOTALL)


class Fault(NamedTuple):
    """What of a statement was left out, why, and whether it has been stated anew since."""

    key: str  # of the statement
    reason: str
    healed: bool


class _Loss(NamedTuple):
    number: int  # of the statement
    path: Path  # of the value; () is the whole statement
    reason: str


class _InvalidError(MalformedError):
    """What a record gives is not valid by the catalogue."""


def translated(translate: Translate, statements: Sequence[Statement]) -> tuple[Parts, list[Fault]]:
    """Translate a record, without what cannot be read; MalformedError where that cannot be told."""
    try:
        return _checked(translate, statements), []
    except MalformedError:
        pass
    found, losses = _usable(translate, statements)
    if not losses:
        return translate(statements), []  # invalid for no value that could be found: whoever plans the events says so
    stated = dict(found)
    faults = [
        Fault(statements[one.number].key, one.reason, _stated_anew(one, statements, stated, losses)) for one in losses
    ]
    return translate([one for _, one in found]) if found else [], faults


def _checked(translate: Translate, statements: Sequence[Statement]) -> Parts:
    parts = translate(statements)
    for one in parts:
        if isinstance(one, Draft) and one.type in CATALOGUE:
            data = {name: value for name, value in one.data.items() if value is not None}
            for problem in check_data(one.type, data):
                if problem.got != "nothing":
                    raise _InvalidError(f"{problem.field}: expected {problem.expected}, got {problem.got}")
    return parts


def _problem(translate: Translate, statements: Sequence[Statement]) -> MalformedError | None:
    try:
        _checked(translate, statements)
    except MalformedError as error:
        return error
    except Exception as error:  # noqa: BLE001  of a statement that no sender has made: with a value taken out
        return MalformedError(type(error).__name__)
    return None


def _usable(translate: Translate, statements: Sequence[Statement]) -> tuple[list[tuple[int, Statement]], list[_Loss]]:
    """Return the statements that can be translated, by their number, without what cannot; and what was left out."""
    found, losses = _kept(translate, list(enumerate(statements)), together=False)
    problem = _problem(translate, [one for _, one in found])
    if problem is None or isinstance(problem, _InvalidError):
        return found, losses
    if len(found) > _MOST_TOGETHER:
        raise problem
    found, more = _kept(translate, found, together=True)
    return found, losses + more


def _kept(
    translate: Translate, numbered: Sequence[tuple[int, Statement]], *, together: bool
) -> tuple[list[tuple[int, Statement]], list[_Loss]]:
    """Return what can be translated, each statement tried by itself, or `together` with those before it."""
    found: list[tuple[int, Statement]] = []
    losses: list[_Loss] = []
    for number, one in numbered:
        before = [other for _, other in found]
        base = before if together else []
        problem = _problem(translate, [*base, one])
        better, paths = (one, []) if problem is None else _without(translate, base, one, before, problem)
        losses += [_Loss(number, path, reason) for path, reason in paths]
        if better is not None:
            found.append((number, better))
    return found, losses


def _without(
    translate: Translate,
    base: Sequence[Statement],
    one: Statement,
    before: Sequence[Statement],
    problem: MalformedError,
) -> tuple[Statement | None, list[tuple[Path, str]]]:
    """Return a statement without the values that cannot be read, and their paths; None if that does not help."""
    whole, first, out = one, problem, list[tuple[Path, str]]()
    for _ in range(_MOST_AT_ONCE):
        step = None
        for path in _suspects(one.fields, str(problem)):
            other = one._replace(fields=_left_as_it_was(one.fields, path, before))
            left = _problem(translate, [*base, other])
            if left is None:
                return other, [*out, (path, str(problem))]
            if step is None and str(left) != str(problem):
                step = path, other, left
        if step is None:
            break
        out.append((step[0], str(problem)))
        one, problem = step[1], step[2]
    return (whole, []) if isinstance(first, _InvalidError) else (None, [((), str(first))])


def _suspects(fields: Mapping[str, object], problem: str) -> list[Path]:
    """Return the paths of values that a problem quotes or names, the likeliest first."""
    if "currency" in problem.lower():
        return []  # an amount in the currency that stood before would be another amount: the statement is left out whole
    quoted = _QUOTED.search(problem)
    shown = quoted[1].strip("'\"") if quoted else ""
    ranked = [(_likeness(path, value, problem, shown), path) for path, value in _values(fields)]
    return [path for likeness, path in sorted(ranked, key=lambda one: -one[0]) if likeness > 0]


def _likeness(path: Path, value: object, problem: str, shown: str) -> int:
    text = f"{value:f}" if isinstance(value, Decimal) else str(value)
    cut = shown.removesuffix("...")
    quoted = bool(cut) and (shown in (text, str(value)) or (len(cut) < len(shown) and text.startswith(cut)))
    names = [str(one) for one in path if isinstance(one, str)]
    named = bool(names) and re.search(
        rf"(?<![\w.]){re.escape(names[-1])}(?!\w)|\.{re.escape(names[-1])}(?!\w)", problem
    )
    return 2 * quoted + bool(named)


def _values(value: object, path: Path = ()) -> Iterator[tuple[Path, object]]:
    """Yield what stands inside a JSON value, the innermost first, up to a limit."""
    stack: list[tuple[Path, object]] = [(path, value)]
    found: list[tuple[Path, object]] = []
    while stack and len(found) < _MOST_VALUES:
        at, one = stack.pop()
        found.append((at, one))
        items = one.items() if isinstance(one, dict) else enumerate(one) if isinstance(one, list) else ()
        stack += [((*at, name), inner) for name, inner in items]
    yield from ((at, one) for at, one in reversed(found) if at)


def _at(value: object, path: Path) -> object:
    for name in path:
        if isinstance(value, dict):
            value = value.get(str(name))
        else:
            value = value[name] if isinstance(value, list) and isinstance(name, int) and name < len(value) else None
    return value


def _left_as_it_was(fields: Mapping[str, object], path: Path, before: Sequence[Statement]) -> dict[str, Any]:
    """Return fields with the value at a path as the statements before had it; without it, if they had none."""
    named = before if all(isinstance(name, str) for name in path) else ()  # places in lists mean other things each time
    earlier = (value for one in reversed(named) if (value := _at(one.fields, path)) is not None)
    return dict(_replaced(fields, path, next(earlier, None)))


def _replaced(value: Any, path: Path, by: object) -> Any:
    name, *rest = path
    copy: Any = dict(value) if isinstance(value, Mapping) else list(value)
    if rest:
        copy[name] = _replaced(copy[name], tuple(rest), by)
    elif by is None:
        del copy[name]
    else:
        copy[name] = by
    return copy


def _stated_anew(
    loss: _Loss, statements: Sequence[Statement], stated: Mapping[int, Statement], losses: Sequence[_Loss]
) -> bool:
    """Whether a later statement states, readably, what was left out: the value, or all that the statement had."""
    lost = {(one.number, one.path) for one in losses}
    later = [number for number in range(loss.number + 1, len(statements)) if number in stated]
    if loss.path:
        parent, name = loss.path[:-1], loss.path[-1]
        return any(
            isinstance(holder := _at(statements[number].fields, parent), dict) and name in holder
            for number in later
            if (number, loss.path) not in lost
        )
    names = statements[loss.number].fields.keys()
    return any(names <= statements[number].fields.keys() for number in later)
