"""Campaigns are known by the live events that name them."""

from __future__ import annotations

from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # How many live events name a campaign, from the position on at which it became known, or was no longer.
    op.execute("""
        CREATE TABLE known_campaigns (
            ledger     integer NOT NULL,
            generation integer NOT NULL,
            campaign   text COLLATE "C" NOT NULL,
            position   bigint NOT NULL,
            events     bigint NOT NULL,
            PRIMARY KEY (ledger, generation, campaign, position)
        ) WITH (fillfactor = 70)
    """)
    # What an earlier release knew, so that its generations go on telling it until they are rebuilt.
    op.execute("""
        INSERT INTO known_campaigns
        SELECT ledger, generation, campaign, 1, 1 FROM campaigns WHERE attributes::text <> '{}'
        UNION SELECT ledger, generation, campaign, 1, 1 FROM segments
        WHERE campaign IS NOT NULL AND segment = campaign_segment
    """)


def downgrade() -> None:
    op.execute("DROP TABLE known_campaigns")
