"""A proof finds whatever somebody changed behind the ledger's back; its anchor lets an outsider hold the log to it."""

from __future__ import annotations

import asyncpg
import pytest

from service.domain.contributions import LAYOUT
from service.projections.engine.components import decode
from service.projections.generations import verify
from service.store import ledgers
from tests.conftest import RUN
from tests.integration.test_engine import append, held, project_all
from tests.support.sending import cost, event, invoice, lead, order

BOOKED = LAYOUT.column("booked_revenue")


async def filled(pool: asyncpg.Pool, name: str) -> ledgers.Ledger:
    ledger = await held(pool, f"{RUN}-{name}")
    note = event("invoice.credited", credit_note_id="N", invoice_id="I", net_amount={"amount": "1.00", "currency": "EUR"},
                 posting_date="2026-03-05")  # fmt: skip
    orders = [order(f"O{number}", "2.00", account_id=f"A{number % 3}", campaign_id="c") for number in range(9)]
    events = [lead("L", "c"), cost("C", "c", "5.00"), *orders, invoice("I", "2.00", order_id="O1"), note]
    await append(pool, ledger, events)
    await project_all(pool, ledger, 5)
    assert await bad(pool, ledger, None) == []
    assert await bad(pool, ledger, 5) == []
    return ledger


async def bad(pool: asyncpg.Pool, ledger: ledgers.Ledger, sample: int | None = None) -> list[str]:
    findings = await verify.verify(pool, ledger, deep=True, sample=sample)
    await verify.record(pool, ledger, findings)
    return [one.check for one in findings if not one.good]


@pytest.mark.parametrize(
    ("name", "change", "expected"),
    [
        ("posting", "UPDATE postings SET amount = amount + 1 WHERE ledger = $1 AND measure = 'booked_revenue'",
         ["balances", "conservation", "fresh fold"]),
        ("balance", f"UPDATE balances SET {BOOKED} = {BOOKED} + 1 WHERE ledger = $1 AND grain = 'm' AND cube = 's'",
         ["balances", "conservation"]),
        ("both", """WITH moved AS (UPDATE postings SET entity = entity || 'x' WHERE ledger = $1 AND measure = 'actual_cost')
         SELECT $1""", ["fresh fold"]),
        ("component", "DELETE FROM components WHERE ledger = $1 AND kind = 'cost'", ["fresh fold"]),
        ("entity", "UPDATE entities SET component = 1 WHERE ledger = $1 AND kind = 'account'", ["fresh fold"]),
    ],
)  # fmt: skip
async def test_a_change_of_what_was_projected_is_found(
    pool: asyncpg.Pool, name: str, change: str, expected: list[str]
) -> None:
    ledger = await filled(pool, f"tampered-{name}")
    await pool.execute(change, ledger.ledger)
    assert await bad(pool, ledger) == expected
    assert await bad(pool, ledger, 1_000) == expected
    (proof,) = [one for one in await verify.last_proofs(pool) if one.ledger == ledger.name]
    assert (proof.good, proof.deep, proof.position) == (False, True, 13)


async def test_what_a_component_contributes_is_held_against_its_events(pool: asyncpg.Pool) -> None:
    ledger = await filled(pool, "tampered-state")
    for row in await pool.fetch("SELECT component, kind, state FROM components WHERE ledger = $1", ledger.ledger):
        component = decode(*row)
        component.cells = {cell: amount * 2 for cell, amount in component.all_cells().items()}
        await pool.execute(
            "UPDATE components SET state = $3 WHERE ledger = $1 AND component = $2",
            ledger.ledger, component.id, component.encode(),
        )  # fmt: skip
    assert await bad(pool, ledger, 13) == ["fresh fold"]


async def test_a_log_rewritten_with_a_chain_that_fits_is_found_by_an_anchor(pool: asyncpg.Pool) -> None:
    ledger = await filled(pool, "anchored")
    anchor = await verify.anchor(pool, ledger)
    assert anchor.position == 13
    await append(pool, ledger, [cost("later", "c", "1.00")])
    findings = await verify.verify(pool, ledger, against=anchor)
    assert all(one.good for one in findings)
    assert [one.check for one in findings] == [
        "density",
        "hash chain",
        "anchor",
        "projection",
        "balances",
        "conservation",
    ]

    async with pool.acquire() as connection, connection.transaction():  # what only the owner of the database can do
        await connection.execute("SET LOCAL session_replication_role = replica")
        await connection.execute("UPDATE events SET data = '{}' WHERE ledger = $1 AND position = 2", ledger.ledger)
    broken = {one.check: one for one in await verify.verify(pool, ledger, against=anchor) if not one.good}
    assert {*broken} == {"hash chain", "anchor"}
    computed = broken["hash chain"].detail.rpartition(" ")[2]
    await pool.execute("UPDATE heads SET chain = $2 WHERE ledger = $1", ledger.ledger, bytes.fromhex(computed))
    findings = await verify.verify(pool, ledger, against=anchor)
    assert [one.check for one in findings if not one.good] == ["anchor"]
    ahead = anchor._replace(position=99)
    assert "ends before position 99" in next(
        one.detail for one in await verify.verify(pool, ledger, against=ahead) if not one.good
    )
