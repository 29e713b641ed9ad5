"""Generations: complete sets of read models, one of which serves. What can be done with them by asking, without projecting.

A rebuild is a generation on its way to serving:

    building ⇄ paused → serving → retired (rollback: building again)
    building → built (not to be served, or not without being asked) → building (apply)
    any of these before serving → cancelled; prune drops what is retired or cancelled
"""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any, NamedTuple

import asyncpg

from service.domain import contributions
from service.store import audit
from service.store.ledgers import Ledger

SERVE = ("identical", "always", "never")  # when a rebuilt generation is to serve
# What may be asked of a rebuild: the states it may be in, and the state that it goes to.
TRANSITIONS = {
    "pause": (("building", "paused"), "paused"),
    "resume": (("paused", "building"), "building"),
    "cancel": (("building", "paused", "built", "cancelled"), "cancelled"),
    "apply": (("built", "building", "paused"), "building"),
}


class NotPossibleError(RuntimeError):
    """What was asked of a generation is not possible in its state; the message says what is."""


class Generation(NamedTuple):
    """One generation as operators see it. `target` is the position of the serving one; `report` how it compared."""

    ledger: str
    generation: int
    state: str
    serve: str | None
    version: str
    checkpoint: int
    target: int
    seconds: float
    holder: str | None
    created_at: datetime
    retired_at: datetime | None
    report: dict[str, Any] | None

    @property
    def rate(self) -> float | None:
        """Events per second, over all the time it has been at work."""
        return self.checkpoint / self.seconds if self.seconds and self.checkpoint else None

    @property
    def seconds_left(self) -> float | None:
        """How long it still takes at that rate."""
        left = max(0, self.target - self.checkpoint)
        return left / self.rate if self.rate else None

    def as_dict(self) -> dict[str, Any]:
        """Return it as the members of an answer."""
        known = self._asdict()
        known["id"] = known.pop("generation")
        known["position"] = known.pop("checkpoint")
        known["progress"] = round(self.checkpoint / self.target, 4) if self.target else 1.0
        known["events_per_second"] = round(self.rate, 1) if self.rate else None
        known["seconds_left"] = None if self.seconds_left is None else round(self.seconds_left, 1)
        known["seconds"] = round(self.seconds, 3)
        return known


async def listed(pool: Any, ledger: Ledger) -> list[Generation]:
    """Return the generations of a ledger, oldest first."""
    rows = await pool.fetch(
        """
        SELECT l.name, g.generation, g.state, g.serve, g.version, g.checkpoint, s.checkpoint, g.seconds, g.holder,
               g.created_at, g.retired_at, g.report
        FROM generations g JOIN ledgers l USING (ledger) JOIN generations s USING (ledger)
        WHERE ledger = $1 AND s.state = 'serving' ORDER BY g.generation
        """,
        ledger.ledger,
    )
    return [Generation._make((*list(row)[:-1], json.loads(row[-1]) if row[-1] else None)) for row in rows]


async def rebuilds(pool: Any, ledger: Ledger) -> list[Generation]:
    """Return the generations that are or were rebuilds, oldest first."""
    return [one for one in await listed(pool, ledger) if one.serve is not None]


async def one(pool: Any, ledger: Ledger, generation: int) -> Generation:
    """Return one rebuild; LookupError if there is none."""
    for found in await rebuilds(pool, ledger):
        if found.generation == generation:
            return found
    raise LookupError(f"ledger {ledger.name} has no rebuild {generation}")


async def begin(
    pool: asyncpg.Pool, ledger: Ledger, serve: str = "identical", holder: str | None = None, lease: float = 0.0
) -> int:
    """Open a new generation to be built, held by `holder` or else free for any worker; one at a time per ledger."""
    async with pool.acquire() as connection, connection.transaction():
        await connection.execute("SELECT FROM heads WHERE ledger = $1 FOR NO KEY UPDATE", ledger.ledger)
        unfinished = await connection.fetchrow(
            "SELECT generation, state FROM generations WHERE ledger = $1 AND state IN ('building', 'paused')",
            ledger.ledger,
        )
        if unfinished:
            raise NotPossibleError(
                f"rebuild {unfinished[0]} of ledger {ledger.name} is {unfinished[1]}: resume it (`campaign-ledger replay "
                f"--resume`) or cancel it (`campaign-ledger rebuilds cancel`) first"
            )
        generation: int = await connection.fetchval(
            """
            INSERT INTO generations (ledger, generation, state, version, layout, serve, holder, lease_until)
            SELECT $1, max(generation) + 1, 'building', $2, $6, $3, $4, now() + make_interval(secs => $5)
            FROM generations WHERE ledger = $1 RETURNING generation
            """,
            ledger.ledger, contributions.READ_MODEL_VERSION, serve, holder, lease, contributions.LAYOUT.as_json(),
        )  # fmt: skip
        await audit.note(connection, ledger.ledger, "rebuild.begun", f"rebuild {generation}", serve=serve)
    return generation


async def ask(pool: asyncpg.Pool, ledger: Ledger, generation: int, action: str) -> Generation:
    """Pause, resume, cancel or apply a rebuild; whoever builds it sees it before its next step."""
    allowed, state = TRANSITIONS[action]
    if state == "building":
        cancel = f"cancel it (`campaign-ledger rebuilds cancel {generation} --ledger {ledger.name}`) and begin another"
        _refuse_others(await one(pool, ledger, generation), cancel)
    async with pool.acquire() as connection, connection.transaction():
        done = await connection.execute(
            """
            UPDATE generations SET state = $4, serve = CASE WHEN $5 = 'apply' THEN 'always' ELSE serve END
            WHERE ledger = $1 AND generation = $2 AND serve IS NOT NULL AND state = ANY($3)
            """,
            ledger.ledger, generation, allowed, state, action,
        )  # fmt: skip
        if done != "UPDATE 0":
            await audit.note(connection, ledger.ledger, f"rebuild.{action}", f"rebuild {generation}")
    found = await one(pool, ledger, generation)
    if done == "UPDATE 0":
        raise NotPossibleError(
            f"rebuild {generation} of ledger {ledger.name} is {found.state}: it is too late to {action} it"
        )
    return found


def _refuse_others(one: Generation, instead: str) -> None:
    """Refuse to have a generation built that was made by the definitions of another release: nobody here can."""
    if one.version != contributions.READ_MODEL_VERSION:
        raise NotPossibleError(
            f"generation {one.generation} of ledger {one.ledger} was made by definitions {one.version}, and this release has "
            f"{contributions.READ_MODEL_VERSION}: {instead}"
        )


async def roll_back(pool: asyncpg.Pool, ledger: Ledger) -> int:
    """Have the generation that served last catch up and serve again; return its number."""
    known = await listed(pool, ledger)
    retired = sorted(
        (one for one in known if one.retired_at and one.state == "retired"), key=lambda one: str(one.retired_at)
    )
    if not retired:
        raise NotPossibleError(f"ledger {ledger.name} has no earlier generation to go back to")
    last = retired[-1]
    _refuse_others(last, "roll back with the release that made it (docs/operations.md, Upgrades)")
    async with pool.acquire() as connection, connection.transaction():
        await connection.execute("SELECT FROM heads WHERE ledger = $1 FOR NO KEY UPDATE", ledger.ledger)
        done = await connection.execute(
            """
            UPDATE generations g SET state = 'building', serve = 'always' WHERE ledger = $1 AND generation = $2
            AND state = 'retired' AND NOT EXISTS (
                SELECT FROM generations WHERE ledger = $1 AND state IN ('building', 'paused')
            )
            """,
            ledger.ledger, last.generation,
        )  # fmt: skip
        if done != "UPDATE 0":
            await audit.note(connection, ledger.ledger, "generation.rolled_back", f"generation {last.generation}")
    if done == "UPDATE 0":
        raise NotPossibleError(f"a rebuild of ledger {ledger.name} is under way: cancel it first")
    return last.generation


async def prune(pool: asyncpg.Pool, ledger: Ledger, *, built: bool = False) -> list[int]:
    """Drop what is retired or cancelled (with `built`, also what was built and not served); return which generations."""
    states = ["retired", "cancelled", "pruned", *(["built"] if built else [])]
    async with pool.acquire() as connection, connection.transaction():
        rows = await connection.fetch(
            """
            UPDATE generations SET state = 'pruned'
            WHERE ledger = $1 AND state = ANY($2) AND (holder IS NULL OR lease_until < now()) RETURNING generation
            """,
            ledger.ledger, states,
        )  # fmt: skip
        if numbers := sorted(row[0] for row in rows):
            await audit.note(connection, ledger.ledger, "generation.pruned", ", ".join(map(str, numbers)))
    tables = await pool.fetch(
        """
        SELECT table_name::text FROM information_schema.columns WHERE table_schema = current_schema()
        AND column_name = 'generation' ORDER BY table_name = 'generations'
        """
    )
    for (table,) in tables:
        await pool.execute(
            f"DELETE FROM {table} WHERE ledger = $1 AND generation = ANY($2)", ledger.ledger, numbers, timeout=3600
        )
    return numbers
