"""The working set: the components in memory, which entities belong to them, and what has changed since it was stored."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterable, Sequence

from service.domain.facts import Fact, Key
from service.projections.engine.components import Component
from service.projections.engine.tables import Changes, Tables
from service.projections.engine.writer import Writer


class WorkingSet:
    """Finds, makes and joins components. `joined` is told of (absorbed, absorbing)."""

    def __init__(self, tables: Tables, writer: Writer, next_component: int, joined: Callable[[int, int], None]) -> None:
        self.next_component = next_component
        self.components: dict[int, Component] = {}
        self.owners: dict[Key, int] = {}
        self.changes = Changes()
        self._tables = tables
        self._writer = writer
        self._joined = joined
        self._asked: dict[str, dict[int, int]] = {}  # currency → component in memory → last day it asked for
        self._complete = next_component == 1  # nothing is stored that is not in memory

    def component(self, kind: str, keys: Sequence[Key]) -> Component:
        """Return the one component of all these entities: the largest that any of them has, the others absorbed."""
        owners = self.owners
        first = owners.get(keys[0])
        if len(keys) == 1:
            return self._made(kind, keys) if first is None else self.components[first]
        found = {owners[key] for key in keys if key in owners}
        if not found:
            return self._made(kind, keys)
        component = (
            self.components[found.pop()] if len(found) == 1 else self._join([self.components[one] for one in found])
        )
        self._own(keys, component)
        return component

    def _made(self, kind: str, keys: Sequence[Key]) -> Component:
        number = self.next_component
        component = self.components[number] = Component(number, kind)
        self.next_component = number + 1
        for key in keys:
            self.owners[key] = self.changes.new_owners[key] = number
        return component

    def _join(self, found: Iterable[Component]) -> Component:
        component, *others = sorted(found, key=lambda one: (-len(one.facts), one.id))
        component.absorb(others)
        for other in others:
            self._own(other.keys(), component)
            del self.components[other.id]
            for currency in other.lookups:
                self._asked[currency].pop(other.id, None)
            self.changes.remove(other)
            self._joined(other.id, component.id)
        return component

    def _own(self, keys: Iterable[Key], component: Component) -> None:
        for key in keys:
            owner = self.owners.get(key)
            if owner != component.id:
                self.owners[key] = component.id
                self.changes.own(key, component.id, new=owner is None)

    # Exchange rates

    def ask(self, component: Component, lookups: set[tuple[str, int]], *, whole: bool) -> None:
        """Note which rates a component asks for: (currency, day); `whole` = no others."""
        last = {} if whole else dict(component.lookups)
        for currency, day in sorted(lookups):
            last[currency] = max(day, last.get(currency, day))
        for currency in component.lookups.keys() - last.keys():
            del self._asked[currency][component.id]
        component.lookups = last
        for currency, day in last.items():
            self._asked.setdefault(currency, {})[component.id] = day

    async def asking_for(self, currency: str, day: int) -> list[int]:
        """Return the components that asked for a rate of a currency on or after a day."""
        asking = {one for one, last in self._asked.get(currency, {}).items() if last >= day}
        if not self._complete:
            await self._writer.written()
            asking |= {*await self._tables.asking_for(currency, day)} - self.changes.removed
        return sorted(asking)

    # Loading and storing

    async def load(self, facts: Iterable[Fact], named: Iterable[Sequence[Key]]) -> None:
        """Bring the components of facts, and of the accounts of their orders, into memory."""
        keys = {key for some in named for key in some}
        for fact in facts:
            if fact.type == "order.placed" and "account_id" in fact.data:
                keys.add(("account", fact.data["account_id"]))
        await self._load_keys(keys)

    async def _load_keys(self, keys: Iterable[Key]) -> None:
        missing = [] if self._complete else [key for key in keys if key not in self.owners]
        if missing:
            await self._writer.written()
            found = await self._tables.owners(missing)
            self.owners.update(found)
            await self.load_components(found.values())

    async def load_components(self, identities: Iterable[int]) -> None:
        """Bring components into memory, with the accounts that they tell of their orders."""
        missing = {one for one in identities if one not in self.components}
        if missing:
            await self._writer.written()
            loaded = await self._tables.components(missing)
            accounts: set[Key] = set()
            for component in loaded:
                self.components[component.id] = component
                self.owners.update(dict.fromkeys(component.keys(), component.id))
                accounts.update(component.accounts())
            await self._load_keys(accounts)

    def take_changes(self) -> Changes:
        """Return what has changed and is not stored, to be stored now."""
        changes, self.changes = self.changes, Changes()
        return changes

    def forget(self, most: int) -> None:
        """Drop everything when it has grown beyond `most` components; it is loaded again when needed."""
        too_large = len(self.components) > most or len(self.owners) > 8 * most
        if too_large and not self.changes.kept:
            self.components.clear()
            self.owners.clear()
            self._asked.clear()
            self._complete = False
            gc.collect()  # entities of a journey refer to each other, and the collector would come for them much later
