"""Any JSON: a mapping says which record a message speaks of, and which events its fields give.

Nothing is known of the sender but what the mapping says, and how it signs is in its `authentication`. Templates and event
rules are those of CSV imports (`tabular_mapping`); between the braces stands a path into the JSON instead of a column:

    record: "order:{order.id}"          # what belongs together; its messages are translated together
    at: "{order.updated_at}"            # when this was so; or {column: …, format: …, zone: …}
    order: "{order.version}"            # optional: decides between messages of one instant
    each: orders                        # optional: the list of records in a message
    partial: true                       # optional: a message has only what has changed
    fields: {…}                         # optional: values made of others; see `generic_fields`
    read_back: {…}                      # optional: where records are asked for; see `generic_reading`
    events:
      - type: order.placed
        time: "{order.created_at}"
        when: {column: order.status, equals: [open, paid]}
        data: {order_id: "{order.id}", net_value: {amount: "{order.net|decimal}", currency: EUR}}

An event is given once per record (with `id`, once per id): with the data of the last message in which its `when` holds,
and the time of the first. Where data that the event requires is not stated yet, the record waits for it.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Any

import httpx

from service.domain.catalogue import CATALOGUE, shown
from service.intake.blanks import BLANKS
from service.intake.senders import generic_fields, generic_reading
from service.intake.senders.contract import (
    Draft,
    Ignored,
    Kind,
    MalformedError,
    Request,
    Source,
    Statement,
    Unreadable,
    Waiting,
    Wanted,
    states,
)
from service.intake.senders.fields import blanks, dig, json_of, list_of, object_of, with_defaults
from service.intake.tabular_filters import READING
from service.intake.tabular_mapping import Rule, read_rule, read_time
from service.intake.tabular_templates import Row, RowError, fill, slots_of, template
from service.store.rows import encode_json

_OPTIONS: dict[str, Any] = {"each": None, "order": None, "partial": False, "blanks": list(BLANKS)}
_MAPPED = ("record", "at", "events")
_MADE = ("fields", "read_back")


def check_mapping(mapping: Mapping[str, Any]) -> dict[str, Any]:
    """Read templates and rules; what cannot be read is named by its key."""
    rest = {name: value for name, value in mapping.items() if name not in (*_MAPPED, *_MADE)}
    checked = with_defaults(rest, _OPTIONS)
    for name in _MAPPED:
        if not mapping.get(name):
            raise ValueError(
                f"{name}: expected a value; the key is missing. The page of the kind `generic` has an example"
            )
    record = template(mapping["record"], "record")
    if not record.columns:
        raise ValueError('record: expected a field that tells records apart, as in "order:{id}"')
    if not isinstance(mapping["events"], list):
        raise ValueError("events: expected a list with at least one entry")  # noqa: TRY004  as every mapping error
    rules = [_rule(raw, mapping["record"], f"events[{number}]") for number, raw in enumerate(mapping["events"])]
    order = template(checked["order"], "order") if checked["order"] else None
    compiled = {
        "record": record, "at": read_time(mapping["at"], "at"), "order": order, "rules": rules,
        "fields": generic_fields.check_fields(mapping.get("fields") or {}),
        "read_back": generic_reading.check_read_back(mapping.get("read_back")),
    }  # fmt: skip
    return {**checked, "compiled": compiled, "blanks": blanks(checked["blanks"])}


def _rule(raw: Any, record: str, key: str) -> tuple[bool, Rule]:
    """Return whether the rule has an id of its own, and the rule."""
    own = isinstance(raw, dict) and "id" in raw
    return own, read_rule({**raw, "id": raw["id"] if own else record} if isinstance(raw, dict) else raw, key)


def read(request: Request, source: Source) -> list[Statement | Ignored | Unreadable | Wanted]:
    """Give one statement per record in the message, or what is to be read back for it."""
    body = json_of(request.body)
    each = source.mapping["each"]
    of_message = generic_fields.of_message(source.mapping["compiled"]["fields"], request.headers, body)
    if each is None:
        return [_part({**object_of(body, "the message"), **of_message}, request, source)]
    items = list_of(body if each in ("$", "") else dig(body, _path(each)), each)
    parts: list[Statement | Ignored | Unreadable | Wanted] = []
    for number, one in enumerate(items):
        try:
            parts.append(_part({**object_of(one, each), **of_message}, request, source))
        except MalformedError as error:
            parts.append(Unreadable(f"{each}[{number}]: {error}"))
    return parts or [Ignored(f"{each} is empty")]


def _part(item: dict[str, Any], request: Request, source: Source) -> Statement | Ignored | Wanted:
    if (back := source.mapping["compiled"]["read_back"]) is None:
        return _statement(item, source)
    return generic_reading.wanted(back, item, request, lambda path: _row(item, [path], source).cells[path])


async def fetch(wanted: Wanted, source: Source, client: httpx.AsyncClient) -> list[Statement | Ignored]:
    """Read records back; each states what the mapping makes of it."""
    found = await generic_reading.fetch(wanted, source.mapping["compiled"]["read_back"], source, client)
    if isinstance(found, Ignored):
        return [found]
    parts = [_statement(one, source) for one in found]
    return [one._replace(key=wanted.key) if isinstance(one, Statement) else one for one in parts]


def _statement(item: dict[str, Any], source: Source) -> Statement | Ignored:
    compiled = source.mapping["compiled"]
    at, by = compiled["at"], compiled["order"]
    row = _row(item, {*compiled["record"].columns, *at.value.columns, *(by.columns if by else ())}, source)
    try:
        if (record := compiled["record"].render(row)) == "":
            return Ignored(f"there is no {' or '.join(compiled['record'].columns)} in it, so it is about no record")
        version = str(by.render(row)) if by else ""
        when = at.render(row)
    except RowError as error:
        raise _malformed(error) from None
    key = hashlib.sha256(encode_json(item)).hexdigest()
    # Numbers in a version are compared as numbers: "v9" comes before "v10", and 9.5 before 10.
    order = re.sub(r"[0-9]+", lambda match: match[0].rjust(40, "0"), version)
    return Statement(str(record), key, when, order, "stated", item)


def translate(_: str, statements: Sequence[Statement], source: Source) -> list[Draft | Waiting]:
    """Give the events whose rules hold, with the time of the first and the data of the last message."""
    drafts: dict[str, Draft] = {}
    waiting: dict[str, Waiting] = {}
    for one in statements if not source.mapping["partial"] else _completed(statements):
        for own, rule in source.mapping["compiled"]["rules"]:
            row = _row(one.fields, rule.columns, source)
            try:
                if rule.applies(row):
                    _check_texts(rule, one.fields, source)
                    key = f"{rule.type}/{rule.id.text(row, 'a value for the id')}" if own else rule.type
                    drafts, waiting = _given(rule, row, key, drafts, waiting)
            except RowError as error:
                raise _malformed(error) from None
    return [*drafts.values(), *waiting.values()]


def unsaid(_: str, __: Sequence[Statement], ___: Source) -> str:
    """Say why a record gives no event."""
    return "no `when` of the mapping's events holds for it: `hooks translate` shows what a message gives"


def _given(
    rule: Rule, row: Row, key: str, drafts: dict[str, Draft], waiting: dict[str, Waiting]
) -> tuple[dict[str, Draft], dict[str, Waiting]]:
    """Return what the record gives when a rule holds for a row."""
    data = fill(rule.data, row)
    if missing := [name for name in CATALOGUE[rule.type].required if data.get(name) in (None, {}, [])]:
        if key in drafts:
            return drafts, waiting
        return drafts, {**waiting, key: Waiting(f"{rule.type}: {', '.join(missing)} unknown")}
    event = rule.event(row, source="")
    time = drafts[key].time if key in drafts else event["time"]
    draft = Draft(key, rule.type, time, event["data"], event.get("subject"))
    return {**drafts, key: draft}, {name: one for name, one in waiting.items() if name != key}


def _completed(statements: Iterable[Statement]) -> Iterable[Statement]:
    for one, state in states(statements):
        yield one._replace(fields=state)


def _row(item: Mapping[str, Any], paths: Iterable[str], source: Source) -> Row:
    fields = source.mapping["compiled"]["fields"]
    cells = {
        path: generic_fields.value_of(path, fields, item, _cell) if path in fields else _cell(dig(item, _path(path)))
        for path in paths
    }
    return Row("", 0, cells, READING._replace(blanks=source.mapping["blanks"]))


def _check_texts(rule: Rule, item: Mapping[str, Any], source: Source) -> None:
    """Raise MalformedError where an object or a list stands where an event wants a text: it would become a name."""
    for slot in slots_of([rule.id, rule.time.value, rule.subject, rule.data]):
        if slot.column in source.mapping["compiled"]["fields"]:
            continue
        value = dig(item, _path(slot.column))
        if isinstance(value, dict | list):
            raise MalformedError(f"{slot.column}: expected a text, a number, true or false, got {shown(value)}")


def _path(path: str) -> str:
    return path.removeprefix("$").removeprefix(".")


def _cell(value: Any) -> str:
    """Write a JSON value as a cell: what is nothing is empty."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Decimal):
        return f"{value:f}"
    return value if isinstance(value, str) else encode_json(value).decode()


def _malformed(error: RowError) -> MalformedError:
    return MalformedError(f"{error.column}: expected {error.expected}")


KIND = Kind(
    name="generic",
    about="any system that posts JSON, mapped by a YAML file",
    check_mapping=check_mapping,
    read=read,
    translate=translate,
    unsaid=unsaid,
    authentication={"scheme": "hmac", "header": "x-signature", "prefix": ""},
    fetch=fetch,
    credentials=("token",),
)
