"""Deliveries of one source: read, translated, and what became of each. One that cannot be done holds up no other."""

from __future__ import annotations

import asyncio
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence

import asyncpg

from service import telemetry
from service.intake.credentials import keeping
from service.intake.hooks import Hook, opened, request_of
from service.intake.reading import Api, Reading, fault, read, reasons
from service.intake.translation import EVERYONE, Outcome, Translation
from service.settings import Settings
from service.store import faults, sources, statements
from service.store.inbox import Delivery
from service.store.inbox_work import Settled
from service.store.log.group_commit import QueueFullError
from service.store.statements import Stated
from service.store.vault import MasterKeyError, Vault

_log = telemetry.logger("translator")


class Deliveries:
    """What is done with deliveries, whoever has taken them."""

    def __init__(self, pool: asyncpg.Pool, translation: Translation, vault: Vault, settings: Settings) -> None:
        self._pool = pool
        self._translation = translation
        self._vault = vault
        self._settings = settings

    async def hook(self, ledger: int, source: str) -> Hook:
        """Return a source, deleted or not; MasterKeyError if its secrets cannot be read."""
        stored = await sources.one(self._pool, source, ledger, deleted=True)
        if stored is None:
            raise LookupError(f"there is no source {source} in ledger {ledger}")
        return keeping(opened(stored, self._vault, self._settings), self._pool, self._vault)

    async def before(self, ledger: int, several: Iterable[Delivery]) -> dict[int, list[Stated]]:
        """Return what deliveries stated when they were read before, by delivery."""
        found = defaultdict(list)
        again = [one.delivery for one in several if one.attempts or one.settled_at]
        async with self._pool.acquire() as connection:
            for stated in await statements.of_deliveries(connection, ledger, again):
                found[stated.delivery].append(stated)
        return found

    async def read(self, hook: Hook, one: Delivery, before: Sequence[Stated], api: Api | None = None) -> Reading | None:
        """Read a delivery; without an API, None for one that needs it."""
        await asyncio.sleep(0)  # whoever posts meanwhile gets a turn
        try:
            return await read(hook, one.delivery, request_of(one, self._vault), before, api)
        except MasterKeyError as error:
            return Reading([], [], [str(error)])
        except Exception as error:  # noqa: BLE001  one that cannot be opened must not stop the others
            return Reading([], [], [fault(hook, "opening this", error)])

    async def translated(
        self, hook: Hook, several: Sequence[Delivery], readings: Mapping[int, Reading]
    ) -> list[Settled]:
        """Translate what was read. If that fails for all, it is done one by one, and one that fails alone is set aside."""
        if not several:
            return []
        try:
            outcomes, first = await self._translation.run(
                hook, {one.delivery: readings[one.delivery] for one in several}
            )
        except Exception as error:
            if has_to_wait(error):
                raise
            if len(several) == 1:
                return [failed(several[0], error)]
            return [result for one in several for result in await self.translated(hook, [one], readings)]
        results = [_settled(one, readings[one.delivery], outcomes, first=one.delivery in first) for one in several]
        for state, count in Counter(one.state for one in results).items():
            telemetry.DELIVERIES.labels(hook.kind.name, state).inc(count)
        return results


def has_to_wait(error: BaseException) -> bool:
    """Tell whether an error says nothing of deliveries: the database or the log cannot take them now."""
    return isinstance(error, QueueFullError | TimeoutError) or faults.is_outage(error)


def failed(one: Delivery, error: Exception) -> Settled:
    """Set a delivery aside that failed by no fault of its own; it is tried again."""
    if isinstance(error, MasterKeyError):
        return Settled(one.ledger, one.delivery, "failed", str(error), again=True)
    _log.error("a delivery cannot be translated", delivery=one.delivery, exc_info=error)
    reason = f"translation failed: {type(error).__name__}, which is a fault of ours; the log says more"
    return Settled(one.ledger, one.delivery, "failed", reason, again=True)


def _settled(delivery: Delivery, reading: Reading, outcomes: Mapping[str, Outcome], *, first: bool) -> Settled:
    """Say what became of a delivery, from what became of the records it speaks of."""
    names = {one.record for one in reading.stated}
    mine = [outcomes[name] for name in names if name in outcomes]
    said = {(one.record, one.key) for one in reading.stated}
    faults = [
        one
        for name, out in outcomes.items()
        for one in out.faults
        if (name, one.key) in said or (name in names and one.key == EVERYONE)
    ]
    problems = [*reading.problems, *(text for one in mine for text in one.problems)]
    problems += [one.reason for one in faults if not one.healed]
    unsaid = reading.ignored or [text for one in mine for text in one.unsaid]
    notes = [f"{one.reason}; a later message says it anew" for one in faults if one.healed]
    notes += [text for one in mine for text in one.waiting]

    def settled(state: str, texts: Sequence[str] = (), *, again: bool = False) -> Settled:
        return Settled(delivery.ledger, delivery.delivery, state, reasons(texts), again)

    if problems:
        return settled("failed", problems, again=True)
    if not mine:
        return settled("ignored", reading.ignored or ["the message states nothing"])
    if not first:
        return settled("duplicate", ["the same was stated before", *notes])
    if notes or any(one.changed for one in mine):
        return settled("accepted", [*notes, *reading.ignored])
    if any(one.gives for one in mine):
        return settled("duplicate", ["what it states is in the ledger already, or changes no event"])
    return settled("ignored", unsaid or ["what it states gives no event"])
