"""A role of the database reads the views of one ledger, by a real client: sums are the reports', and no trick shows another's."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from decimal import Decimal
from typing import Any, NamedTuple

import asyncpg
import pytest

from service.domain import words
from service.domain.contributions import REPORTS
from service.domain.figures import Total
from service.projections.reports import bi_views
from service.store import bi, ledgers
from tests.conftest import Api
from tests.support.commands import Run, good
from tests.support.sending import cost, event, lead, order

RIVAL = "rivalsecret"  # in all that the other ledger has
_REFUSED = (
    asyncpg.InsufficientPrivilegeError,
    asyncpg.ObjectNotInPrerequisiteStateError,
)  # what cannot be updated at all
VIEWS = sorted(name for name in bi_views.views() if name.startswith("bi."))


class Client(NamedTuple):
    """A tool that speaks SQL: its connection, and what the server said beside its answers."""

    connection: asyncpg.Connection
    notices: list[str]
    role: str

    async def refuses(self, *statements: str) -> None:
        """Each of the statements has to be refused for want of a right."""
        for one in statements:
            with pytest.raises(_REFUSED):
                await self.connection.execute(one)


@pytest.fixture(scope="module")
def told(module_api: Api) -> Api:
    """Post an event of each type, and some more in a second request, which no balance may have yet."""
    kinds = [one for one in words.EVENTS if one not in {"subject.erased", "order.cancelled", "invoice.cancelled"}]
    module_api.post(
        *map(words.example_of, kinds), event("contact.registered", contact_id="CT-7", emails=["a@example.com"])
    )
    module_api.post(order("O-9", "99.99", campaign_id="fair-2026"), lead("L-8", "fair-2026", score="high"))
    module_api.read("/v1/roi")
    return module_api


@pytest.fixture(scope="module")
async def client(told: Api, dsn: str) -> AsyncIterator[Client]:
    """Grant two roles a ledger each; connect as the first."""
    mine, theirs = f"mine_{told.ledger.ledger}", f"theirs_{told.ledger.ledger}"
    async with asyncpg.create_pool(dsn, min_size=1, max_size=1) as pool:
        other = await ledgers.create_ledger(pool, f"{RIVAL}-{told.ledger.ledger}")
        key = await ledgers.create_key(pool, other, ledgers.SCOPES)
        async with pool.acquire() as connection:
            passwords = [
                await bi.grant(connection, ledger, role, bi_views.views(), bi_views.fingerprint())
                for ledger, role in ((told.ledger, mine), (other, theirs))
            ]
    api = Api(told.http, other, key)
    rows = [
        cost(f"{RIVAL}-k", f"{RIVAL}-c", "77.77"), lead(f"{RIVAL}-l", f"{RIVAL}-c", owner_id=f"{RIVAL}-o"),
        event("campaign.registered", campaign_id=f"{RIVAL}-c", name=f"{RIVAL}-name"),
        event("opportunity.opened", opportunity_id=f"{RIVAL}-op", lead_ids=[f"{RIVAL}-l"], stage=f"{RIVAL}-stage"),
    ]  # fmt: skip
    headers = {"Authorization": f"Bearer {key}"}
    assert api.http.post("/v1/events", json=rows, headers=headers).status_code == 200
    assert api.http.get("/v1/roi", params={"min_position": len(rows)}, headers=headers).status_code == 200
    mine_connected = await asyncpg.connect(dsn, user=mine, password=passwords[0])
    notices: list[str] = []
    mine_connected.add_log_listener(lambda _, message: notices.append(str(message)))
    their = await asyncpg.connect(dsn, user=theirs, password=passwords[1])
    assert await their.fetchval("SELECT name FROM bi.campaigns") == f"{RIVAL}-name"  # there is something to find
    await their.close()
    yield Client(mine_connected, notices, theirs)
    await mine_connected.close()
    async with asyncpg.create_pool(dsn, min_size=1, max_size=1) as pool, pool.acquire() as maker:
        for ledger, role in ((told.ledger, mine), (other, theirs)):
            await bi.revoke(maker, ledger, role)
            await maker.execute(f"DROP ROLE {role}")


async def test_sums_are_those_of_the_reports(told: Api, client: Client) -> None:
    for report in REPORTS.values():
        name = report.name.replace("-", "_")
        view = next((one for one in (f"bi.{name}_report", f"bi.{name}") if one in VIEWS), None)
        if view is None:
            assert not bi_views.is_by_day(report), report.name
            continue
        total = told.read(f"/v1/reports/{report.name}")["total"]
        figures = [one for one, figure in report.of_kind(Total).items() if figure.unless is None]
        columns = {one: one.replace(".", "_") for one in figures}
        row = await client.connection.fetchrow(
            f"SELECT {', '.join(f'sum({one})' for one in columns.values())} FROM {view}"
        )
        for figure, found in zip(figures, row or (), strict=True):
            answered: Any = total
            for part in figure.split("."):
                answered = answered[part]
            assert (found or 0) == Decimal(str(answered)), (view, figure)
    by_campaign = {row["campaign_id"]: row for row in told.read("/v1/roi")["rows"]}
    for campaign, spent in await client.connection.fetch("SELECT campaign_id, sum(actual_cost) FROM bi.roi GROUP BY 1"):
        assert spent == Decimal(by_campaign[campaign]["actual_cost"])


async def test_lists_are_those_of_the_api(told: Api, client: Client) -> None:
    fetch = client.connection.fetch
    entries = told.read("/v1/roi/entries", measure="booked_revenue", limit=1000)
    found = await fetch("SELECT sum(amount), count(*) FROM bi.entries WHERE measure = 'booked_revenue'")
    assert tuple(found[0]) == (Decimal(entries["sum"]), entries["count"])
    (known,) = told.read("/v1/opportunities")["rows"]
    (row,) = await fetch(
        "SELECT opportunity_id, status, value, stage, opened_on::text, campaign_id FROM bi.opportunities"
    )
    assert tuple(row) == (known["opportunity_id"], known["status"], Decimal(known["value"]), *(
        known[one] for one in ("stage", "opened_on", "campaign_id")
    ))  # fmt: skip
    campaigns = {row["campaign_id"] for row in told.read("/v1/campaigns")["rows"]}
    assert {row[0] for row in await fetch("SELECT campaign_id FROM bi.campaigns")} == campaigns
    at = told.http.get("/v1/ledger").json()["last_position"]
    assert [row[0] for row in await fetch("SELECT position FROM bi.events ORDER BY 1")] == list(range(1, at + 1))
    assert await client.connection.fetchval("SELECT position FROM bi.ledger") == at
    net = await client.connection.fetchval("SELECT net_value FROM bi.events WHERE order_id = 'O-9'")
    assert net == Decimal("99.99")


async def test_views_have_no_words_of_persons(client: Client) -> None:
    columns = await client.connection.fetch(
        "SELECT attname FROM pg_attribute WHERE attrelid = 'bi.events'::regclass AND attnum > 0"
    )
    names = {row[0] for row in columns}
    assert names & {"order_id", "net_value", "campaign_id", "channel"}
    assert not names & {
        "data",
        "emails",
        "phones",
        "handles",
        "contact_id",
        "name",
        "reason",
        "subject",
        "extensions",
        "utm",
    }
    for view in VIEWS:
        assert "a@example.com" not in str(await client.connection.fetch(f"SELECT * FROM {view}"))


async def test_no_view_shows_another_ledger(client: Client) -> None:
    for view in VIEWS:
        rows = await client.connection.fetch(f"SELECT * FROM {view}")
        assert RIVAL not in str([tuple(row) for row in rows]), view


async def test_a_function_that_tells_all_that_it_sees_is_shown_its_own_ledger_only(client: Client) -> None:
    await client.connection.execute("SET default_transaction_read_only = off")
    await client.connection.execute("""
        CREATE FUNCTION pg_temp.leak(text) RETURNS boolean LANGUAGE plpgsql COST 0.0000000001 AS
            $$ BEGIN RAISE NOTICE 'saw %', $1; RETURN true; END $$
    """)
    for view in VIEWS:
        columns = await client.connection.fetch(
            "SELECT quote_ident(attname) FROM pg_attribute WHERE attrelid = $1::text::regclass AND attnum > 0 AND atttypid = 25",
            view,
        )
        for (column,) in columns:
            await client.connection.execute(f"SELECT count(*) FROM {view} WHERE pg_temp.leak({column})")
    await asyncio.sleep(0.1)
    assert any("fair-2026" in one for one in client.notices)
    assert not any(RIVAL in one for one in client.notices)


async def test_what_errors_tell_is_of_its_own_ledger(client: Client) -> None:
    for view, column in (
        ("bi.campaigns", "name"),
        ("bi.entries", "entity_id"),
        ("bi.events", "campaign_id"),
        ("bi.roi", "owner"),
    ):
        with pytest.raises(asyncpg.DataError) as told:
            await client.connection.fetch(f"SELECT * FROM {view} WHERE {column}::integer > 0")
        assert RIVAL not in str(told.value)


async def test_nobody_becomes_somebody_else(client: Client) -> None:
    await client.refuses(f"SET ROLE {client.role}", f"SET SESSION AUTHORIZATION {client.role}")
    await client.connection.execute("SET default_transaction_read_only = off")
    await client.connection.execute("""
        CREATE TEMP TABLE bi_grants (ledger integer, role name);
        INSERT INTO bi_grants SELECT n, session_user FROM generate_series(1, 100) n;
        CREATE TEMP VIEW bi_scope AS SELECT * FROM bi_grants;
        SET search_path = pg_temp, bi
    """)
    await client.connection.execute("SET application_name = 'x'; RESET ROLE; SET row_security = off")
    assert RIVAL not in str(await client.connection.fetch("SELECT * FROM bi.campaigns"))
    assert await client.connection.fetchval("SELECT count(*) FROM bi.ledger") == 1


async def test_nothing_else_is_read_and_nothing_is_written(client: Client, dsn: str) -> None:
    await client.connection.execute("SET default_transaction_read_only = off")
    owner = await asyncpg.connect(dsn)
    tables = await owner.fetch(
        "SELECT oid::regclass::text FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'v', 'S')"
    )
    assert {"events", "postings", "bi_grants", "bi_scope", "api_keys"} <= {row[0] for row in tables}
    definer = await owner.fetch(
        "SELECT proname FROM pg_proc WHERE prosecdef AND pronamespace = current_schema()::regnamespace"
    )
    assert definer == []  # whoever may call such a function has its owner's rights
    barriers = await owner.fetch(
        "SELECT reloptions FROM pg_class WHERE relnamespace = 'bi'::regnamespace AND relkind = 'v'"
    )
    assert len(barriers) == len(VIEWS)
    assert all(row[0] == ["security_barrier=true"] for row in barriers)
    await owner.close()
    await client.refuses(*(f"SELECT * FROM public.{row[0]}" for row in tables))
    await client.refuses(
        "INSERT INTO bi.campaigns (campaign_id) VALUES ('x')", "DELETE FROM bi.campaigns", "UPDATE bi.ledger SET name = 'x'",
        "CREATE TABLE bi.mine (n integer)", "CREATE TABLE public.mine (n integer)", "DROP VIEW bi.roi",
        "CREATE OR REPLACE VIEW bi.ledger AS SELECT 1 AS name", "CREATE ROLE other",
        "SELECT pg_read_file('PG_VERSION')", "COPY (SELECT 1) TO PROGRAM 'true'", "SELECT * FROM pg_authid",
    )  # fmt: skip
    assert (
        await client.connection.fetch(
            "SELECT tablename FROM pg_stats WHERE tablename IN ('events', 'postings', 'segments')"
        )
        == []
    )
    for view in VIEWS:
        assert RIVAL not in await client.connection.fetchval("SELECT pg_get_viewdef($1::text::regclass)", view)


async def test_views_are_made_anew_when_a_release_declares_others(client: Client, dsn: str) -> None:
    owner = await asyncpg.connect(dsn)
    async with owner.transaction():
        await bi.drop(owner)  # as before a migration
    with pytest.raises(asyncpg.UndefinedTableError):
        await client.connection.fetch("SELECT * FROM bi.roi")
    async with owner.transaction():
        await bi.define(owner, bi_views.views(), bi_views.fingerprint())
    await owner.close()
    assert await client.connection.fetch("SELECT * FROM bi.roi")


async def test_only_readers_are_granted_a_ledger_and_only_one(told: Api, client: Client, dsn: str) -> None:
    owner, number = await asyncpg.connect(dsn), told.ledger.ledger
    made = (bi_views.views(), bi_views.fingerprint())
    await owner.execute(
        f"CREATE ROLE maker_{number} CREATEROLE; CREATE ROLE member_{number}; GRANT maker_{number} TO member_{number}"
    )
    for role in (f"maker_{number}", f"member_{number}", await owner.fetchval("SELECT session_user")):
        with pytest.raises(ValueError, match="more rights"):
            await bi.grant(owner, told.ledger, role, *made)
    with pytest.raises(ValueError, match="reads one"):
        await bi.grant(owner, told.ledger, client.role, *made)
    for name in ("", "pg_mine", "x" * 64):
        with pytest.raises(ValueError, match="the name of a role"):
            await bi.grant(owner, told.ledger, name, *made)
    await owner.execute(f"DROP ROLE member_{number}; DROP ROLE maker_{number}")
    await owner.close()


async def test_roles_are_granted_and_revoked_by_commands(told: Api, run: Run, dsn: str) -> None:
    role = f'Odd "role" {told.ledger.ledger}'
    said = await asyncio.to_thread(run, "bi", "grant", told.ledger.name, role)
    password = good(said).split()[-1]
    connection = await asyncpg.connect(dsn, user=role, password=password)
    assert await connection.fetchval("SELECT name FROM bi.ledger") == told.ledger.name
    assert f"{role}\t{told.ledger.name}" in good(await asyncio.to_thread(run, "bi", "list"))
    good(await asyncio.to_thread(run, "bi", "revoke", told.ledger.name, role))
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await connection.fetchval("SELECT name FROM bi.ledger")
    await connection.close()
    owner = await asyncpg.connect(dsn)
    await owner.execute(f'DROP ROLE "Odd ""role"" {told.ledger.ledger}"')
    await owner.close()
