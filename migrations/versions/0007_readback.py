"""Deliveries whose sender's API has to be asked wait apart from the others, and turns are taken ledger by ledger.

Secrets that senders put into bodies are blotted out of those that are kept: Business Central's clientState, and the id of
a session in Salesforce's outbound messages.
"""

from __future__ import annotations

import re

import sqlalchemy
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

UP = (
    "ALTER TABLE deliveries ADD COLUMN asks boolean NOT NULL DEFAULT false, ADD COLUMN leased_until timestamptz",
    "DROP INDEX deliveries_due",
    "CREATE INDEX deliveries_due ON deliveries (asks, ledger, next_try, delivery) WHERE next_try IS NOT NULL",
    "DROP INDEX records_due",
    "CREATE INDEX records_due ON records (ledger, due) WHERE due IS NOT NULL",
)
DOWN = (
    "DROP INDEX records_due",
    "CREATE INDEX records_due ON records (due) WHERE due IS NOT NULL",
    "DROP INDEX deliveries_due",
    "CREATE INDEX deliveries_due ON deliveries (next_try, delivery) WHERE next_try IS NOT NULL",
    "ALTER TABLE deliveries DROP COLUMN asks, DROP COLUMN leased_until",
)
SECRETS = {
    "business-central": re.compile(rb'("clientState"\s*:\s*)"(?:[^"\\]|\\.)*"?'),
    "salesforce": re.compile(rb"(<(?:\w+:)?SessionId(?:\s[^>]*)?>)[^<]*"),
}
BLOTTED = {"business-central": rb'\1"***"', "salesforce": rb"\1***"}
BATCH = 20


def upgrade() -> None:
    for statement in UP:
        op.execute(statement)
    for kind in SECRETS:
        blot(kind)


def blot(kind: str) -> None:
    """Blot the secrets of a kind out of the bodies that are kept."""
    connection, after = op.get_bind(), 0
    read = sqlalchemy.text("""
        SELECT d.ledger, d.delivery, d.body FROM deliveries d JOIN sources s USING (ledger, source)
        WHERE s.kind = :kind AND d.body IS NOT NULL AND d.delivery > :after ORDER BY d.delivery LIMIT :batch
    """)
    write = sqlalchemy.text("UPDATE deliveries SET body = :body WHERE ledger = :ledger AND delivery = :delivery")
    while rows := connection.execute(read, {"kind": kind, "after": after, "batch": BATCH}).all():
        after = rows[-1].delivery
        for ledger, delivery, body in rows:
            if (clean := SECRETS[kind].sub(BLOTTED[kind], body)) != body:
                connection.execute(write, {"body": clean, "ledger": ledger, "delivery": delivery})


def downgrade() -> None:
    for statement in DOWN:
        op.execute(statement)
