"""`fields` of the kind `generic`: values that a message does not have as they are needed, under names of one's own.

    fields:
      topic:    {header: x-shop-topic}                      # a header of the request
      shop:     {parent: shop.id}                           # of the message around the records of `each`
      campaign: {path: landing_page, query: utm_campaign}   # a parameter of a URL
      number:   {path: name, match: "^#([0-9]+)$"}          # a regular expression (RE2): its group, else what it finds
      status:   {path: state, map: {paid: open, voided: cancelled, "*": other}}
      net:      {path: total, times: "0.01", plus: "-5"}    # arithmetic by constants, exactly
      placed:   {path: created, epoch: milliseconds}        # a count since 1970 becomes a time
      currency: {path: currency, default: EUR}

The steps are taken in this order, whatever the order in the file: epoch, query, match, map, times, plus, default. Expressions
are RE2's, whose time grows with the text and no faster, so that nobody can stop the service with one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from decimal import Decimal, InvalidOperation, localcontext
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import re2

from service.domain.catalogue import shown
from service.intake.senders.contract import MalformedError
from service.intake.senders.fields import dig, from_epoch, number

HEADERS, PARENT = "@headers", "@parent"  # where a record keeps what it needs of its message
_FROM = ("path", "header", "parent")
_UNITS = {"seconds": 1, "milliseconds": 1000, "microseconds": 1_000_000}
_LONGEST = 500  # characters of an expression
_QUIET: Any = re2.Options()
_QUIET.log_errors = False

Step = Callable[[str, str], str]  # (value, name) → value
Field = tuple[str, str, list[Step], str]  # where it is from, the path or name there, the steps, the default
Fields = Mapping[str, Field]


def check_fields(raw: Any) -> Fields:
    """Read the fields; ValueError names the key of what does not fit."""
    if not isinstance(raw, Mapping):
        raise ValueError("fields: expected names, and for each where its value is from")  # noqa: TRY004
    return {str(name): _field(one, f"fields.{name}") for name, one in raw.items()}


def _field(raw: Any, key: str) -> Field:
    known = (*_FROM, *_STEPS, "default")
    if not isinstance(raw, Mapping) or sum(name in raw for name in _FROM) != 1:
        raise ValueError(f"{key}: expected one of {', '.join(_FROM)}, and steps of {', '.join(_STEPS)}, default")
    for name in raw:
        if name not in known:
            raise ValueError(f"{key}.{name}: expected one of {', '.join(known)} instead of this key")
    origin = next(name for name in _FROM if name in raw)
    texts = [raw[origin], *([raw["default"]] if "default" in raw else [])]
    if not all(isinstance(one, str) and one for one in texts):
        raise ValueError(f"{key}: expected texts in quotes, got {shown(texts)}")
    steps = [make(raw[name], f"{key}.{name}") for name, make in _STEPS.items() if name in raw]
    return origin, raw[origin].lower() if origin == "header" else raw[origin], steps, raw.get("default", "")


def of_message(fields: Fields, headers: Mapping[str, str], body: Any) -> dict[str, Any]:
    """Return what records keep of their message: the headers, and the values around them, that fields are from."""
    named = {name for origin, name, *_ in fields.values() if origin == "header"}
    around = {name for origin, name, *_ in fields.values() if origin == "parent"}
    kept: dict[str, Any] = {}
    if named:
        kept[HEADERS] = {name: headers[name] for name in sorted(named) if name in headers}
    if around:
        kept[PARENT] = {path: dig(body, path) for path in sorted(around)}
    return kept


def value_of(name: str, fields: Fields, item: Mapping[str, Any], cell: Callable[[Any], str]) -> str:
    """Return the value of a field for a record; MalformedError where a step cannot be taken."""
    origin, where, steps, default = fields[name]
    kept = {"header": HEADERS, "parent": PARENT}.get(origin)
    value = cell((item.get(kept) or {}).get(where) if kept else dig(item, where))
    for step in steps:
        if value != "":
            value = step(value, where)
    return value or default


def _epoch(unit: Any, key: str) -> Step:
    if unit not in _UNITS:
        raise ValueError(f"{key}: expected one of {', '.join(_UNITS)}, got {shown(unit)}")
    return lambda value, name: from_epoch(value, name, _UNITS[unit]) or ""


def _query(parameter: Any, key: str) -> Step:
    if not isinstance(parameter, str) or not parameter:
        raise ValueError(f"{key}: expected the name of a parameter such as utm_campaign")

    def found(value: str, name: str) -> str:
        try:
            pairs = parse_qsl(urlsplit(value).query, keep_blank_values=True)
        except ValueError:
            raise MalformedError(f"{name}: expected a URL, got {shown(value)}") from None
        return next((one for other, one in pairs if other == parameter), "")

    return found


def _match(pattern: Any, key: str) -> Step:
    try:
        compiled = re2.compile(pattern if len(pattern) <= _LONGEST else "(", _QUIET)
    except (re2.error, TypeError):
        raise ValueError(f"{key}: expected a regular expression of RE2, got {shown(pattern)}") from None

    def found(value: str, _: str) -> str:
        match = compiled.search(value)
        if match is None:
            return ""
        return str((match.group(1) if compiled.groups else match.group(0)) or "")

    return found


def _map(table: Any, key: str) -> Step:
    if not isinstance(table, Mapping) or not all(isinstance(one, str) for one in table.values()):
        raise ValueError(f'{key}: expected values and what they become, as in {{paid: open, "*": other}}')
    # YAML makes a truth value of a bare yes or true, and a number of digits.
    names = {("true" if one else "false") if isinstance(one, bool) else str(one): to for one, to in table.items()}
    return lambda value, _: str(names.get(value, names.get("*", value)))


def _arithmetic(apply: Callable[[Decimal, Decimal], Decimal]) -> Callable[[Any, str], Step]:
    def make(constant: Any, key: str) -> Step:
        try:
            by = Decimal(str(constant))
        except InvalidOperation:
            by = Decimal("NaN")
        if isinstance(constant, bool) or not by.is_finite():
            raise ValueError(f'{key}: expected a number in quotes such as "0.01", got {shown(constant)}')

        def step(value: str, name: str) -> str:
            exact = number(value, name)
            with localcontext(prec=80):
                return "" if exact is None else f"{apply(exact, by):f}"

        return step

    return make


_STEPS: dict[str, Callable[[Any, str], Step]] = {
    "epoch": _epoch, "query": _query, "match": _match, "map": _map,
    "times": _arithmetic(lambda one, other: one * other), "plus": _arithmetic(lambda one, other: one + other),
}  # fmt: skip
