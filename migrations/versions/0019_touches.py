"""Touches are found by whom they reached."""

from __future__ import annotations

from alembic import op

revision = "0019"
down_revision = "0017"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("""
        CREATE INDEX postings_of_touches ON postings (
            ledger, generation, ((detail::json -> 0 ->> 0) || ':' || (detail::json -> 0 ->> 1))
        ) WHERE measure = 'told.touch'
    """)


def downgrade() -> None:
    op.execute("DROP INDEX postings_of_touches")
