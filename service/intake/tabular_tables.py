"""The mapping of an import: a YAML file, read and checked once, that says which files there are and what their rows give.

docs/importing.md shows every key. Whatever does not fit is a MappingError with the YAML key, before the first row is read.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import tzinfo
from pathlib import Path
from typing import Any

import yaml

from service.domain.catalogue import shown
from service.intake.blanks import BLANKS, blanks_of
from service.intake.tabular_conditions import Condition, condition_slots, read_any
from service.intake.tabular_files import DELIMITERS, Written
from service.intake.tabular_keys import a_flag, a_list, a_text, members, texts
from service.intake.tabular_mapping import OF_IMPORTS, Rule, read_rule, read_zone
from service.intake.tabular_templates import MappingError, Slot

MAPPING = (("files",), ("zone", "blanks", "lookups"))
ENTRY = (
    ("file", "source", "events"),
    ("delimiter", "encoding", "zone", "blanks", "columns", "skip", "optional"),
)  # fmt: skip
LOOKUP = ("file", "key", "delimiter", "encoding", "values", "else")
ROW_COLUMNS = ("@row", "@line", "@file", "@cells", "@nth")  # what is known of a row beside its cells
_TITLE = re.compile(r"@title [1-9]")
_IN_BRACES = re.compile(r"\{(\w+)\}")

Patterns = tuple[re.Pattern[str], ...]


class _Loader(yaml.SafeLoader):
    """Reads YAML as it is, but refuses a key that stands twice: the first of two conditions would be lost without a word."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: set[str] = set()
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode) and key.value != "<<":
                if key.value in seen:
                    raise yaml.constructor.ConstructorError(
                        None, None, f"the key {key.value} stands twice", key.start_mark
                    )
                seen.add(key.value)
        return super().construct_mapping(node, deep)


@dataclass(frozen=True, slots=True)
class Lookup:
    """A table that says what keys stand for: in the mapping (`values`), or in a file beside those that are imported."""

    key: str
    file: str
    column: str
    written: Written
    values: Mapping[str, str]
    otherwise: str | None


@dataclass(frozen=True, slots=True)
class Table:
    """One entry of `files`, with the YAML key under which it stands."""

    key: str
    file: str
    source: str
    written: Written
    zone: tzinfo | None
    blanks: frozenset[str]
    columns: Mapping[str, Patterns]
    skip: Condition | None
    optional: bool
    rules: tuple[Rule, ...]

    @property
    def slots(self) -> list[Slot]:
        """The cells that it looks at."""
        return [
            *(slot for rule in self.rules for slot in rule.slots),
            *(condition_slots(self.skip) if self.skip else ()),
        ]

    def wanted(self) -> dict[str, Patterns]:
        """Return the columns that a file needs, by the names that they may have there."""
        named = {name for patterns in self.columns.values() for one in patterns for name in one.groupindex}
        plain = {slot.column for slot in self.slots if not is_row_column(slot.column)} - named
        known = {column: (re.compile(re.escape(column)),) for column in sorted(plain)}
        return known | {
            column: patterns for column, patterns in self.columns.items() if column in plain or _names(patterns)
        }


@dataclass(frozen=True, slots=True)
class TableMapping:
    """A mapping that was read and checked: its files, its lookups, and a digest of all that it says."""

    path: Path
    tables: tuple[Table, ...]
    lookups: Mapping[str, Lookup]
    digest: str

    def looked_up(self, name: str) -> set[str]:
        """Return the columns that are taken from a lookup."""
        steps = [step for table in self.tables for slot in table.slots for step in slot.filters]
        split = [argument.partition(".") for filter_, argument in steps if filter_ == "lookup"]
        return {column for found, _, column in split if found == name and column}


def is_row_column(column: str) -> bool:
    """Tell whether a name between braces is no column of the file but something that is known of its rows."""
    return column in ROW_COLUMNS or _TITLE.fullmatch(column) is not None


def _names(patterns: Patterns) -> bool:
    return any(one.groupindex for one in patterns)


def load_mapping(path: Path) -> TableMapping:
    """Read a mapping; MappingError names the YAML key that is wrong and what was expected there."""
    try:
        raw = yaml.load(path.read_text(encoding="utf-8-sig"), _Loader)  # noqa: S506  it is the safe one, with one more check
    except yaml.MarkedYAMLError as error:
        line = f"line {error.problem_mark.line + 1}: " if error.problem_mark else ""
        raise MappingError(path.name, f"a YAML file ({line}{error.problem})") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise MappingError(path.name, f"a YAML file in UTF-8 ({' '.join(str(error).split())})") from None
    if not isinstance(raw, dict) or "files" not in raw:
        members(raw, path.name, *MAPPING)
    members(raw, "", *MAPPING)
    entries = [
        {**_defaults(raw), **entry} if isinstance(entry, dict) else entry for entry in a_list(raw["files"], "files")
    ]
    tables = tuple(_table(entry, f"files[{number}]") for number, entry in enumerate(entries))
    _check_ids(tables)
    lookups = {str(name): _lookup(entry, f"lookups.{name}") for name, entry in _tables(raw.get("lookups")).items()}
    digest = hashlib.sha256(repr(_sorted(raw)).encode()).hexdigest()
    mapping = TableMapping(path, tables, lookups, digest)
    _check_lookups(mapping)
    return mapping


def _check_ids(tables: tuple[Table, ...]) -> None:
    """Raise MappingError where two events share an id, unless two kinds of files restate one another."""
    seen: dict[tuple[str, tuple[object, ...]], tuple[Table, Rule]] = {}
    for table in tables:
        for number, rule in enumerate(table.rules):
            other, first = seen.setdefault((table.source, rule.id.parts), (table, rule))
            if first is not rule and (other is table or not (first.restates and rule.restates)):
                raise MappingError(f"{table.key}.events[{number}].id", "an id of its own: two events share this one")


def _sorted(raw: object) -> Any:
    """Return what a mapping says in one form, whatever the order of its keys."""
    if isinstance(raw, dict):
        return sorted((str(name), _sorted(value)) for name, value in raw.items())
    return [_sorted(value) for value in raw] if isinstance(raw, list) else raw


def _defaults(raw: dict[str, Any]) -> dict[str, Any]:
    return {name: raw[name] for name in ("zone", "blanks") if name in raw}


def _tables(raw: object) -> dict[str, Any]:
    if raw is not None and not isinstance(raw, dict):
        raise MappingError("lookups", "names with a table each, as in {accounts: {file: accounts.csv, key: Id}}")
    return raw or {}


def _table(raw: object, key: str) -> Table:
    entry = members(raw, key, *ENTRY)
    events = a_list(entry["events"], f"{key}.events")
    table = Table(
        key,
        a_text(entry["file"], f"{key}.file"),
        a_text(entry["source"], f"{key}.source"),
        _written(entry, key),
        read_zone(entry["zone"], f"{key}.zone") if entry.get("zone") is not None else None,
        blanks_of(_words(entry.get("blanks", list(BLANKS)), f"{key}.blanks")),
        _columns(entry.get("columns"), f"{key}.columns"),
        read_any(entry["skip"], f"{key}.skip") if entry.get("skip") is not None else None,
        a_flag(entry.get("optional", False), f"{key}.optional"),
        tuple(read_rule(rule, f"{key}.events[{number}]", OF_IMPORTS) for number, rule in enumerate(events)),
    )
    used = {slot.column for slot in table.slots}
    for name, patterns in table.columns.items():
        if name not in used and not used & {group for one in patterns for group in one.groupindex}:
            raise MappingError(f"{key}.columns.{name}", f"a column that a template names, as in {{{name}}}")
    return table


def _written(entry: dict[str, Any], key: str) -> Written:
    delimiter, encoding = entry.get("delimiter"), entry.get("encoding")
    if delimiter not in (None, *DELIMITERS):
        raise MappingError(f"{key}.delimiter", 'one of "," ";" "|" and "\\t"')
    try:
        "".encode(encoding or "utf-8")
    except (LookupError, TypeError):
        raise MappingError(f"{key}.encoding", "an encoding such as utf-8 or cp1252") from None
    return Written(delimiter, encoding)


def _words(raw: object, key: str) -> tuple[str, ...]:
    return () if raw == [] else texts(raw, key)


def _columns(raw: object, key: str) -> dict[str, Patterns]:
    if raw is not None and not isinstance(raw, dict):
        raise MappingError(key, "names with what stands in the header, as in {Day: [Day, Tag]}")
    return {
        str(name): tuple(_header(text, f"{key}.{name}") for text in texts(one, f"{key}.{name}"))
        for name, one in (raw or {}).items()
    }


def _header(text: str, key: str) -> re.Pattern[str]:
    """Return the pattern of a name in the header, in which one part may have a name of its own: "Spent ({currency})"."""
    parts = _IN_BRACES.split(text)
    if len(parts) > 3:  # noqa: PLR2004  what is before, the name, what is after
        raise MappingError(key, f"at most one name in braces in {text!r}")
    named = f"(?P<{parts[1]}>.+)" if len(parts) > 1 and parts[1].isidentifier() else ""
    if len(parts) > 1 and not named:
        raise MappingError(key, f"a name of letters in the braces of {text!r}")
    return re.compile(re.escape(parts[0]) + named + (re.escape(parts[2]) if named else ""))


def _lookup(raw: object, key: str) -> Lookup:
    entry = members(raw, key, (), LOOKUP)
    otherwise = entry.get("else")
    if otherwise is not None and not isinstance(otherwise, str):
        raise MappingError(f"{key}.else", f"a text for keys that are not there, found {shown(otherwise)}")
    if "values" in entry:
        members(raw, key, ("values",), ("else",))
        if not isinstance(entry["values"], dict):
            raise MappingError(f"{key}.values", 'keys and what they stand for, as in {"New": mql}')
        values = {
            a_text(name, f"{key}.values"): a_text(entry["values"][name], f"{key}.values.{name}")
            for name in entry["values"]
        }
        return Lookup(key, "", "", Written(), values, otherwise)
    members(raw, key, ("file", "key"), ("delimiter", "encoding", "else"))
    file, column = a_text(entry["file"], f"{key}.file"), a_text(entry["key"], f"{key}.key")
    return Lookup(key, file, column, _written(entry, key), {}, otherwise)


def _check_lookups(mapping: TableMapping) -> None:
    """Raise MappingError where a filter looks something up that the mapping does not have."""
    for table in mapping.tables:
        for argument in [text for slot in table.slots for name, text in slot.filters if name == "lookup"]:
            name, _, column = argument.partition(".")
            if name not in mapping.lookups:
                known = ", ".join(mapping.lookups) or "nothing yet"
                raise MappingError(table.key, f"a name under `lookups` ({known}) in lookup:{argument}")
            if bool(column) != bool(mapping.lookups[name].file):
                form = f"lookup:{name}.COLUMN" if mapping.lookups[name].file else f"lookup:{name}"
                raise MappingError(table.key, f"{form}, found lookup:{argument}")
