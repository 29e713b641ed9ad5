"""People: the keys that what is said of them is sealed with, who was merged with whom, and whom was asked to be forgotten.

Everything of a ledger carries the ledger as its first key column, so that it can live together.
"""

from __future__ import annotations

from alembic import op

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None

UP = (
    # A ledger's own keys: number 0 signs receipts, the others wrap the keys of people; the last one does. `wrapped` tells that
    # the master key has encrypted it.
    """
    CREATE TABLE ledger_keys (
        ledger  integer NOT NULL,
        number  integer NOT NULL,
        key     bytea NOT NULL,
        wrapped boolean NOT NULL,
        made_at timestamptz NOT NULL DEFAULT now(),
        PRIMARY KEY (ledger, number)
    )
    """,
    # The key of each person, wrapped by a key of the ledger. Once erased, the row stays without it, so that none is made again:
    # what then still has a key waits for the copies of what was said to be gone.
    """
    CREATE TABLE subject_keys (
        ledger    integer NOT NULL,
        subject   text COLLATE "C" NOT NULL,
        number    integer NOT NULL,
        key       bytea,
        made_at   timestamptz NOT NULL DEFAULT now(),
        erased_at timestamptz,
        position  bigint,
        PRIMARY KEY (ledger, subject)
    )
    """,
    "CREATE INDEX subject_keys_erased ON subject_keys (ledger) WHERE erased_at IS NOT NULL",
    # Who was merged with whom, both ways, by the event that says so.
    """
    CREATE TABLE aliases (
        ledger integer NOT NULL,
        one    text COLLATE "C" NOT NULL,
        other  text COLLATE "C" NOT NULL,
        source text COLLATE "C" NOT NULL,
        id     text COLLATE "C" NOT NULL,
        PRIMARY KEY (ledger, one, other, source, id)
    )
    """,
    # How far each log has been looked through for erasures and what reaches them.
    "CREATE TABLE erasing (ledger integer PRIMARY KEY, position bigint NOT NULL DEFAULT 0)",
    # Whom an event at a position has erased, and what was destroyed where.
    """
    CREATE TABLE erasures (
        ledger   integer NOT NULL,
        position bigint NOT NULL,
        subjects text[] NOT NULL,
        asked_at timestamptz NOT NULL DEFAULT now(),
        done_at  timestamptz,
        receipt  json,
        PRIMARY KEY (ledger, position)
    )
    """,
    "CREATE INDEX erasures_waiting ON erasures (ledger, position) WHERE done_at IS NULL",
    # Which log positions are of: one that is restored from a backup goes on otherwise than the one that the backup was made of.
    "ALTER TABLE ledgers ADD COLUMN epoch uuid NOT NULL DEFAULT gen_random_uuid()",
    # The erasure that a record of a sender speaks of somebody of: what comes of it later goes too.
    "ALTER TABLE records ADD COLUMN erased bigint",
    "CREATE INDEX records_erased ON records (ledger, erased) WHERE erased IS NOT NULL",
    """
    CREATE INDEX events_about_people ON events (ledger, position)
    WHERE type IN ('subject.erased', 'contact.merged', 'lead.merged', 'event.voided')
    """,
)


def upgrade() -> None:
    for statement in UP:
        op.execute(statement)


def downgrade() -> None:
    """What is sealed could not be read any more: only a database without any can go back."""
    op.execute("""
        DO $$ BEGIN
            IF EXISTS (SELECT FROM subject_keys) THEN
                RAISE EXCEPTION 'what is said of people is sealed: an earlier release could not read it';
            END IF;
        END $$
    """)
    op.execute("DROP INDEX events_about_people")
    op.execute("DROP INDEX records_erased")
    op.execute("ALTER TABLE records DROP COLUMN erased")
    op.execute("ALTER TABLE ledgers DROP COLUMN epoch")
    for table in ("erasures", "erasing", "aliases", "subject_keys", "ledger_keys"):
        op.execute(f"DROP TABLE {table}")
