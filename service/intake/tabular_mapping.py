"""What makes an event of a row: its type, id, time, condition and data, read from YAML and checked once.

Whatever does not fit is a MappingError with the YAML key, before the first row is read. Imports (tabular_tables.py) and
messages in a shape of their own (the kind `generic`) are mapped by the same rules.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import tzinfo
from difflib import get_close_matches
from typing import Any

from service.domain.catalogue import CATALOGUE, check_data, shown
from service.intake import tabular_times as times
from service.intake.tabular_conditions import Condition, condition_columns, condition_slots, read_condition
from service.intake.tabular_keys import a_flag, a_text, members
from service.intake.tabular_templates import (
    MappingError,
    Row,
    RowError,
    Slot,
    Template,
    cell,
    columns_of,
    data_template,
    fill,
    slots_of,
    template,
)

RULE = (("type", "id", "time", "data"), ("subject", "when"))
OF_IMPORTS = ("restates", "once")
_NOTHING = ("nothing", "null")  # how the catalogue says that a value is not there
TIME = (("column", "value"), ("format", "zone", "zones", "default"))


@dataclass(frozen=True, slots=True)
class Time:
    """When it happened: a template, the format in which it is written, and the zone it means; None is the row's own."""

    value: Template
    format: str | None = None
    zone: tzinfo | None = None
    zones: Mapping[str, tzinfo] | None = None
    default: str | None = None

    def render(self, row: Row) -> str:
        """Return the instant of this row in UTC."""
        column = ", ".join(self.value.columns) or "time"
        text = self.value.render(row) or self.default
        if not text:
            raise row.error(column, "a time")
        try:
            return times.instant(str(text), self.format, self.zone or row.reading.zone, self.zones)
        except times.ZoneError as error:
            raise row.error(column, str(error)) from None
        except (ValueError, OverflowError):
            raise row.error(column, f"a time written as {self.format or times.ISO}") from None


@dataclass(frozen=True, slots=True)
class Rule:
    """What makes one event of a row. `restates`: other content is a later statement; `once`: several rows may give it."""

    type: str
    id: Template
    time: Time
    subject: Template | None
    when: Condition | None
    data: dict[str, Any]
    restates: bool = False
    once: bool = False

    @property
    def columns(self) -> set[str]:
        """The columns it needs."""
        parts = [self.id, self.time.value, self.subject, self.data]
        return columns_of(parts) | (condition_columns(self.when) if self.when else set())

    @property
    def slots(self) -> list[Slot]:
        """The cells it looks at."""
        parts = [self.id, self.time.value, self.subject, self.data]
        return [*slots_of(parts), *(condition_slots(self.when) if self.when else ())]

    def applies(self, row: Row) -> bool:
        """Say whether this row gives the event at all."""
        return self.when is None or self.when.holds(row)

    def event(self, row: Row, source: str) -> dict[str, Any]:
        """Return the CloudEvent of this row, valid by the catalogue."""
        data = fill(self.data, row)
        # The catalogue is asked here already, where line and column are still known.
        for problem in check_data(self.type, data):
            name = problem.field.removeprefix("data.")
            columns = sorted(columns_of(self.data.get(name)))
            found = problem.got
            if columns and found not in _NOTHING:  # then what the file says, not what it became
                found = ", ".join(repr(row.cells[column]) for column in columns)
            raise RowError(row.file, row.line, ", ".join(columns) or name, f"{problem.expected}, found {found}")
        subject = self.subject.render(row) if self.subject else ""
        return {
            "specversion": "1.0",
            "id": self.id.text(row, "a value for the id of the event"),
            "source": source,
            "type": self.type,
            "time": self.time.render(row),
            **({} if subject == "" else {"subject": str(subject)}),
            "datacontenttype": "application/json",
            "data": data,
        }


def read_rule(raw: object, key: str, more: tuple[str, ...] = ()) -> Rule:
    """Read what makes one event; MappingError names the key that is wrong. `more` keys may be those of imports."""
    rule = members(raw, key, RULE[0], (*RULE[1], *more))
    kind = a_text(rule["type"], f"{key}.type")
    if kind not in CATALOGUE:
        near = "".join(f"; did you mean {name}?" for name in get_close_matches(kind, CATALOGUE, n=1))
        raise MappingError(f"{key}.type", f"an event type of the catalogue, found {shown(kind)}{near}")
    identity = template(rule["id"], f"{key}.id")
    if not identity.columns:
        raise MappingError(f"{key}.id", "a column that tells the rows apart, else all rows would be the same event")
    if rule.get("restates") and "@cells" in identity.columns:
        raise MappingError(
            f"{key}.id", "an id that stays when a row says something else: @cells changes with the row, and would restate nothing"
        )  # fmt: skip
    subject = template(rule["subject"], f"{key}.subject") if "subject" in rule else None
    for name, text in (("id", identity), ("subject", subject)):
        if text is not None and text.lists:
            raise MappingError(f"{key}.{name}", "one text: the filter split gives a list")
    data = data_template(rule["data"], f"{key}.data")
    if missing := [name for name in CATALOGUE[kind].required if not isinstance(data, dict) or name not in data]:
        raise MappingError(f"{key}.data", f"a mapping that has {', '.join(missing)}: {kind} requires it")
    return Rule(
        kind, identity, read_time(rule["time"], f"{key}.time"),
        subject,
        read_condition(rule["when"], f"{key}.when") if rule.get("when") is not None else None,
        data, *(a_flag(rule.get(name, False), f"{key}.{name}") for name in OF_IMPORTS),
    )  # fmt: skip


def read_time(raw: object, key: str) -> Time:
    """Read where a time stands and how it is written."""
    if not isinstance(raw, dict):
        return _checked(Time(template(raw, key)), key)
    form = "value" if "value" in raw else "column"
    entry = members(raw, key, (form,), TIME[1])
    value = template(entry[form], f"{key}.value") if form == "value" else cell(entry[form], f"{key}.column")
    zones = entry.get("zones") or {}
    if not isinstance(zones, dict):
        raise MappingError(f"{key}.zones", 'names and what they are, as in {CET: "+01:00"}')
    return _checked(
        Time(
            value,
            _format(entry["format"], f"{key}.format") if "format" in entry else None,
            read_zone(entry["zone"], f"{key}.zone") if "zone" in entry else None,
            {str(name): _offset(offset, f"{key}.zones.{name}") for name, offset in zones.items()},
            a_text(entry["default"], f"{key}.default") if "default" in entry else None,
        ),
        key,
    )


def _checked(time: Time, key: str) -> Time:
    """Return a time whose constants, if it has any, can be read."""
    constant = "" if time.value.columns else time.value.parts[0]
    for text, where in ((constant, key), (time.default, f"{key}.default")):
        try:
            if text:
                times.moment(str(text), time.format, time.zones)
        except ValueError:
            written = time.format or times.ISO
            raise MappingError(where, f'a column, as in "{{created_at}}", or a time written as {written}') from None
    return time


def read_zone(raw: object, key: str) -> tzinfo:
    """Read the name of a time zone."""
    try:
        return times.zone_named(raw)
    except ValueError as error:
        raise MappingError(key, f"{error}, found {shown(raw)}") from None


def _offset(raw: object, key: str) -> tzinfo:
    try:
        return times.offset_named(a_text(raw, key))
    except ValueError:
        raise MappingError(
            key, f'an offset such as "+01:00", UTC or a zone such as Europe/Berlin, found {shown(raw)}'
        ) from None


def _format(raw: object, key: str) -> str:
    try:
        return times.check_format(a_text(raw, key))
    except MappingError:
        raise
    except ValueError as error:
        raise MappingError(key, f"{error}, found {shown(raw)}") from None
