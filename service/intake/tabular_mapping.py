"""The mapping of tabular.py: a YAML file, read and checked once, as the rules that make events of rows.

Whatever does not fit is a MappingError with the YAML key, before the first row is read.
"""

from dataclasses import dataclass
from datetime import UTC, datetime
from difflib import get_close_matches
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import yaml

from service.domain.catalogue import CATALOGUE, check_data
from service.intake.tabular_templates import (
    MappingError,
    Row,
    RowError,
    Template,
    cell,
    columns_of,
    data_template,
    fill,
    template,
)


@dataclass(frozen=True, slots=True)
class Time:
    """When it happened: a template or a column, the format in which it is written, and the zone it means."""

    value: Template
    format: str | None
    zone: ZoneInfo

    def render(self, row: Row) -> str:
        """Return the instant of this row in UTC."""
        text = self.value.text(row, "a time")
        try:
            # Without an offset of its own the time is the mapping's zone's; the hour that a clock change repeats is
            # taken as its first. Written in UTC, since very old local offsets have seconds that RFC 3339 has not.
            moment = datetime.fromisoformat(text) if self.format is None else datetime.strptime(text, self.format)  # noqa: DTZ007
            moment = moment if moment.tzinfo else moment.replace(tzinfo=self.zone)
            return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")
        except (ValueError, OverflowError):
            form = self.format or "2026-03-01T09:30:00+01:00 (ISO 8601)"
            raise row.error(self.value.columns[0], f"a time written as {form}") from None


@dataclass(frozen=True, slots=True)
class Rule:
    """What makes one event of a row."""

    type: str
    id: Template
    time: Time
    subject: Template | None
    when: tuple[str, frozenset[str]] | None
    data: dict[str, Any]

    @property
    def columns(self) -> set[str]:
        """The columns it needs."""
        parts = [self.id, self.time.value, self.subject, self.data]
        return columns_of(parts) | ({self.when[0]} if self.when else set())

    def applies(self, row: Row) -> bool:
        """Say whether this row gives the event at all."""
        if self.when is None:
            return True
        column, wanted = self.when
        return row.cells[column] in wanted if wanted else row.cells[column] != ""

    def event(self, row: Row, source: str) -> dict[str, Any]:
        """Return the CloudEvent of this row, valid by the catalogue."""
        data = fill(self.data, row)
        # The catalogue is asked here already, where line and column are still known.
        for problem in check_data(self.type, data):
            name = problem.field.removeprefix("data.")
            column = ", ".join(sorted(columns_of(self.data.get(name)))) or name
            raise RowError(row.file, row.line, column, f"{problem.expected}, found {problem.got}")
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


@dataclass(frozen=True, slots=True)
class Table:
    """One entry of `files`, with the YAML key under which it stands."""

    key: str
    file: str
    source: str
    delimiter: str
    encoding: str
    rules: tuple[Rule, ...]


@dataclass(frozen=True, slots=True)
class TableMapping:
    """A mapping that was read and checked: which files there are, and which events their rows give."""

    tables: tuple[Table, ...]


def load_mapping(path: Path) -> TableMapping:
    """Read a mapping; MappingError names the YAML key that is wrong and what was expected there."""
    try:
        raw = yaml.safe_load(path.read_text(encoding="utf-8-sig"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise MappingError(path.name, f"a YAML file in UTF-8 ({error})") from None
    files = members(raw, path.name, ("files",), ())["files"]
    tables = [_table(entry, f"files[{number}]") for number, entry in enumerate(_list(files, "files"))]
    seen: set[tuple[str, tuple[Any, ...]]] = set()
    for table in tables:
        for number, rule in enumerate(table.rules):
            if (identity := (table.source, rule.id.parts)) in seen:
                raise MappingError(f"{table.key}.events[{number}].id", "an id of its own: two events share this one")
            seen.add(identity)
    return TableMapping(tuple(tables))


def _table(raw: Any, key: str) -> Table:
    entry = members(raw, key, ("file", "source", "events"), ("delimiter", "encoding"))
    rules = tuple(
        read_rule(rule, f"{key}.events[{n}]") for n, rule in enumerate(_list(entry["events"], f"{key}.events"))
    )
    delimiter, encoding = entry.get("delimiter", ","), entry.get("encoding", "utf-8-sig")
    if delimiter not in (",", ";", "\t", "|"):
        raise MappingError(f"{key}.delimiter", 'one of "," ";" "|" and "\\t"')
    try:
        "".encode(encoding)
    except (LookupError, TypeError):
        raise MappingError(f"{key}.encoding", "an encoding such as utf-8 or cp1252") from None
    file, source = (_text(entry[name], f"{key}.{name}") for name in ("file", "source"))
    return Table(key, file, source, delimiter, encoding, rules)


def read_rule(raw: Any, key: str) -> Rule:
    """Read what makes one event; MappingError names the key that is wrong."""
    rule = members(raw, key, ("type", "id", "time", "data"), ("subject", "when"))
    kind = _text(rule["type"], f"{key}.type")
    if kind not in CATALOGUE:
        near = "".join(f"; did you mean {name}?" for name in get_close_matches(kind, CATALOGUE, n=1))
        raise MappingError(f"{key}.type", f"an event type of the catalogue, found {kind!r}{near}")
    identity = template(rule["id"], f"{key}.id")
    if not identity.columns:
        raise MappingError(f"{key}.id", "a column that tells the rows apart, else all rows would be the same event")
    data = data_template(rule["data"], f"{key}.data")
    if missing := [name for name in CATALOGUE[kind].required if not isinstance(data, dict) or name not in data]:
        raise MappingError(f"{key}.data", f"a mapping that has {', '.join(missing)}: {kind} requires it")
    subject = template(rule["subject"], f"{key}.subject") if "subject" in rule else None
    return Rule(kind, identity, read_time(rule["time"], f"{key}.time"), subject, _when(rule.get("when"), key), data)


def read_time(raw: Any, key: str) -> Time:
    """Read where a time stands and how it is written."""
    if not isinstance(raw, dict):
        value = template(raw, key)
        if not value.columns:
            raise MappingError(key, 'a column, as in "{created_at}" or {column: created_at, format: …, zone: …}')
        return Time(value, None, ZoneInfo("UTC"))
    entry = members(raw, key, ("column",), ("format", "zone"))
    try:
        zone = ZoneInfo(entry.get("zone", "UTC"))
    except (OSError, LookupError, ValueError, TypeError):
        raise MappingError(f"{key}.zone", "an IANA time zone such as Europe/Berlin") from None
    form = _text(entry["format"], f"{key}.format") if "format" in entry else None
    return Time(cell(entry["column"], f"{key}.column"), form, zone)


def _when(raw: Any, key: str) -> tuple[str, frozenset[str]] | None:
    if raw is None:
        return None
    entry = members(raw, f"{key}.when", ("column",), ("equals",))
    column = cell(entry["column"], f"{key}.when.column").columns[0]
    if "equals" not in entry:
        return column, frozenset()
    equals = entry["equals"] if isinstance(entry["equals"], list) else [entry["equals"]]
    return column, frozenset(_text(value, f"{key}.when.equals") for value in _list(equals, f"{key}.when.equals"))


def members(raw: Any, key: str, required: tuple[str, ...], optional: tuple[str, ...]) -> dict[str, Any]:
    """Return a mapping that has the required keys and no unknown ones; MappingError names the key that is wrong."""
    if not isinstance(raw, dict):
        raise MappingError(key, f"a mapping with {', '.join(required)}")
    for name in raw:
        if name not in required + optional:
            raise MappingError(f"{key}.{name}", f"one of {', '.join(required + optional)} instead of this key")
    for name in required:
        if raw.get(name) is None:
            raise MappingError(f"{key}.{name}", "a value; the key is missing")
    return raw


def _list(raw: Any, key: str) -> list[Any]:
    if not isinstance(raw, list) or not raw:
        raise MappingError(key, "a list with at least one entry")
    return raw


def _text(raw: Any, key: str) -> str:
    if not isinstance(raw, str) or not raw:
        raise MappingError(key, f"a text (in quotes if need be), found {raw!r}")
    return raw
