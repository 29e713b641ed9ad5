"""One record of Dynamics 365 Sales as its statements tell it: how it stood after each change, read through the mapping."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import groupby
from typing import Any, NamedTuple, TypeVar

from service.intake.senders.contract import Draft, Waiting
from service.intake.senders.fields import day, identifier, instant, money, number, text, unless_blank

State = Mapping[str, Any]
_WORDS = ("channel", "source", "medium", "lead_magnet")  # where some sites write a word for nothing
T = TypeVar("T")


class Record(NamedTuple):
    """One record: its id, its table, how it stood after each change (time, state), and the mapping."""

    id: str
    table: str
    history: Sequence[tuple[str, State]]
    mapping: Mapping[str, Any]
    codes: Mapping[str, str] = {}  # of campaigns that are referred to, where a column has the code

    @property
    def last(self) -> State:
        """How it stands."""
        return self.history[-1][1]

    @property
    def since(self) -> str | None:
        """When it was created: what it says itself, else the time of the message that created it."""
        return instant(self.last.get("createdon") or self.last.get("@since"), "createdon")

    def get(self, state: State, name: str) -> Any:
        """Return what stands in the column that is mapped to `name`."""
        column = self.mapping["columns"].get(self.table, {}).get(name)
        return state.get(column) if column else None

    def text(self, state: State, name: str) -> str | None:
        """Return a text, or the label of an option or of a record that is referred to."""
        value: Any = self.get(state, name)
        named: str | None = None
        column = self.mapping["columns"].get(self.table, {}).get(name)
        if isinstance(value, dict):
            value, named = value.get("id"), text(value.get("name"), str(column))
        written = text(value, str(column))
        label: str | None = self.mapping["labels"].get(f"{self.table}.{column}.{written}", named or written)
        return unless_blank(label, self.mapping) if name in _WORDS else label

    def reference(self, state: State, name: str, table: str | None = None) -> str | None:
        """Return the id of the record that is referred to, if it is of `table`."""
        value = self.get(state, name)
        if isinstance(value, dict):
            if table is not None and value.get("type") not in (None, table):
                return None
            value = value.get("id")
        if value is None or value == "":
            return None
        identity = identifier(value, name)
        return self.campaign(identity) if table == "campaign" else identity

    def campaign(self, identity: str) -> str | None:
        """Return the campaign_id of a campaign's GUID; None where that is its code, which nothing has stated yet."""
        names, code = self.mapping["campaigns"], identity
        if identity.lower() not in names and self.mapping["columns"]["campaign"]["code"]:
            code = self.codes.get(identity.lower(), "")
        named: str | None = names.get(identity.lower(), names.get(code.lower(), code))
        return named or None

    def day(self, state: State, name: str) -> str | None:
        """Return the day of a column. Columns of days alone come as midnight UTC, whatever the time zone."""
        at = self.get(state, name)
        return day(at, name, "UTC" if str(at).endswith("T00:00:00Z") else self.mapping["timezone"])

    def currency(self, state: State) -> str | None:
        """Return the ISO code of the record's currency, where it is certain."""
        reference = state.get("transactioncurrencyid")
        named = [str(reference.get(one)).lower() for one in ("id", "name")] if isinstance(reference, dict) else []
        known = self.mapping["currencies"]
        if code := next((known[one] for one in named if one in known), None):
            return str(code)
        foreign = number(state.get("exchangerate"), "exchangerate") not in (None, 1)
        base: str | None = self.mapping["currency"]
        return None if foreign or (named and known) else base

    def money(self, state: State, name: str) -> dict[str, str] | None:
        """Return an amount; None if it, or its currency, is not known."""
        value, code = self.get(state, name), self.currency(state)
        return None if value is None or code is None else money(value, code, name)

    def meaning(self, state: State) -> str:
        """Return what the record's state means; a new record is in state 0."""
        code, status = state.get("statecode"), state.get("statuscode")
        code = 0 if code is None else code
        table = self.mapping["states"][self.table]
        return str(table.get(f"{code}/{status}", table.get(str(code), "draft")))

    def reason(self, state: State) -> str | None:
        """Return what the status reason is called."""
        code = text(state.get("statuscode"), "statuscode")
        label: str | None = self.mapping["labels"].get(f"{self.table}.statuscode.{code}", code)
        return label

    def spells(self) -> Iterator[tuple[str, str, list[tuple[str, State]]]]:
        """Give the spells of one meaning: its beginning, the meaning, and the history within."""
        for meaning, spell in groupby(self.history, lambda one: self.meaning(one[1])):
            several = list(spell)
            yield several[0][0], meaning, several

    def start(self, at: str) -> str:
        """Return when something began that the record's first known state already has: with the record."""
        return self.since if at == self.history[0][0] and self.since is not None else at

    def is_over(self, state: State) -> bool:
        """Whether it is cancelled, or deleted where that means so."""
        gone = state.get("@deleted") is not None and self.mapping["deleted"] == "cancel"
        return gone or self.meaning(state) == "cancelled"


def changes(history: Sequence[tuple[str, State]], of: Callable[[State], T | None]) -> list[tuple[str, T]]:
    """Return when something became known or other than before, and what it became."""
    found: list[tuple[str, T]] = []
    for at, state in history:
        value = of(state)
        if value is not None and (not found or found[-1][1] != value):
            found.append((at, value))
    return found


def restated(
    key: str, kinds: tuple[str, str], start: str, changes: Sequence[tuple[str, dict[str, Any]]]
) -> Iterator[Draft]:
    """Give the event that begins something, at its start, and one more for each change after it."""
    for n, (at, data) in enumerate(changes):
        yield Draft(f"{key}/{at}" if n else key, kinds[n > 0], at if n else start, data)


def uncreated(it: Record) -> Iterator[Waiting]:
    """Say what a record waits for that cannot be dated."""
    yield Waiting(f"when this {it.table} was created is not stated yet: add createdon to the images of its steps")
