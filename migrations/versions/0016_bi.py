"""Who reads a ledger by SQL, with the schema of their views, which a release makes; and what has been told to whom."""

from __future__ import annotations

from alembic import op

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("CREATE SCHEMA bi")
    op.execute("CREATE TABLE bi_grants (ledger integer NOT NULL, role name PRIMARY KEY)")
    op.execute("""
        CREATE TABLE notices (
            ledger    integer NOT NULL,
            name      text NOT NULL,
            receiver  text NOT NULL,
            subject   text NOT NULL,
            state     text NOT NULL,
            told_at   timestamptz NOT NULL DEFAULT now(),
            PRIMARY KEY (ledger, name, receiver, subject)
        )
    """)


def downgrade() -> None:
    op.execute("DROP SCHEMA bi CASCADE")
    op.execute("DROP VIEW IF EXISTS bi_campaigns, bi_scope")
    op.execute("DROP TABLE bi_grants")
    op.execute("DROP TABLE notices")
