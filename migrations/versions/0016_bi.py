"""Who reads a ledger by SQL, and the schema of the views that they read, which are made of what a release declares."""

from __future__ import annotations

from alembic import op

revision = "0016"
down_revision = "0014"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("CREATE SCHEMA bi")
    op.execute("CREATE TABLE bi_grants (ledger integer NOT NULL, role name PRIMARY KEY)")


def downgrade() -> None:
    op.execute("DROP SCHEMA bi CASCADE")
    op.execute("DROP VIEW IF EXISTS bi_campaigns, bi_scope")
    op.execute("DROP TABLE bi_grants")
