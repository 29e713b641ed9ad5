"""Who did what: an audit log that is never changed, keys that end, sessions of browsers, and grants to identities."""

from __future__ import annotations

from alembic import op

revision = "0014"
down_revision = "0012"
branch_labels = None
depends_on = None

# Statements one by one: the driver takes one at a time.
UP = (
    # Entries are numbered densely by ledger, so that a missing one is seen.
    """
    CREATE TABLE audit_entries (
        ledger      integer NOT NULL,
        entry       bigint NOT NULL,
        at          timestamptz NOT NULL DEFAULT clock_timestamp(),
        actor       text NOT NULL,
        action      text COLLATE "C" NOT NULL,
        object      text,
        address     text,
        request_id  text,
        details     json NOT NULL DEFAULT '{}',
        PRIMARY KEY (ledger, entry)
    )
    """,
    "CREATE TABLE audit_numbers (ledger integer PRIMARY KEY, last bigint NOT NULL)",
    """
    CREATE OR REPLACE FUNCTION refuse_to_change_history() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        RAISE EXCEPTION '% are append-only: % is refused', TG_TABLE_NAME, TG_OP
            USING ERRCODE = 'integrity_constraint_violation';
    END $$
    """,
    """
    CREATE TRIGGER audit_entries_are_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON audit_entries
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_to_change_history()
    """,
    # `addresses` are networks that a key may be used from; empty = from anywhere.
    """
    ALTER TABLE api_keys ADD COLUMN expires_at timestamptz, ADD COLUMN addresses text[] NOT NULL DEFAULT '{}',
        ADD COLUMN first_used_at timestamptz, ADD COLUMN last_used_at timestamptz, ADD COLUMN last_used_from text
    """,
    # A signed-in browser: by a key, whose rights it has, or as a subject of an issuer, with the rights granted to that.
    """
    CREATE TABLE sessions (
        hash        bytea PRIMARY KEY,
        session_id  text COLLATE "C" NOT NULL UNIQUE,
        ledger      integer NOT NULL,
        key_id      text,
        issuer      text,
        subject     text,
        groups      text[] NOT NULL DEFAULT '{}',
        address     text,
        agent       text,
        created_at  timestamptz NOT NULL DEFAULT now(),
        seen_at     timestamptz NOT NULL DEFAULT now(),
        expires_at  timestamptz NOT NULL
    )
    """,
    "CREATE INDEX sessions_of_ledger ON sessions (ledger)",
    # What an identity may do in a ledger: a subject of an issuer, or whoever the issuer says is in a group.
    """
    CREATE TABLE grants (
        grant_id    text COLLATE "C" PRIMARY KEY,
        ledger      integer NOT NULL,
        issuer      text NOT NULL,
        subject     text,
        in_group    text,
        scopes      text[] NOT NULL,
        created_at  timestamptz NOT NULL DEFAULT now(),
        CHECK ((subject IS NULL) <> (in_group IS NULL))
    )
    """,
    "CREATE UNIQUE INDEX grants_once ON grants (ledger, issuer, subject, in_group) NULLS NOT DISTINCT",
    # Random texts that hold once and not for long: links to sign in with, and what is on its way to an issuer.
    """
    CREATE TABLE tickets (
        hash        bytea PRIMARY KEY,
        kind        text NOT NULL,
        payload     json NOT NULL,
        expires_at  timestamptz NOT NULL
    )
    """,
)
DOWN = (
    "DROP TABLE tickets",
    "DROP TABLE grants",
    "DROP TABLE sessions",
    """
    ALTER TABLE api_keys DROP COLUMN expires_at, DROP COLUMN addresses, DROP COLUMN first_used_at, DROP COLUMN last_used_at,
        DROP COLUMN last_used_from
    """,
    "DROP TABLE audit_numbers",
    "DROP TABLE audit_entries",
    """
    CREATE OR REPLACE FUNCTION refuse_to_change_history() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        RAISE EXCEPTION 'events are append-only: % is refused', TG_OP USING ERRCODE = 'integrity_constraint_violation';
    END $$
    """,
)


def upgrade() -> None:
    for statement in UP:
        op.execute(statement)


def downgrade() -> None:
    # A key that has ended, or holds for some addresses only, would open everything again.
    op.execute("""
        UPDATE api_keys SET revoked_at = now() WHERE revoked_at IS NULL AND (expires_at <= now() OR addresses <> '{}')
    """)
    for statement in DOWN:
        op.execute(statement)
