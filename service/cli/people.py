"""`erase`, `subject`: what is stored of a person, and having them forgotten."""

from __future__ import annotations

from typing import Annotated

import asyncpg
import msgspec
import typer

from service.bootstrap import vault_of
from service.cli.common import DataDir, LedgerName, ledger_of, say, settings_of, with_pool
from service.intake import forgetting
from service.intake.acceptance import Intake
from service.intake.decoding import Limits
from service.settings import Settings
from service.store.log.group_commit import Appender
from service.store.log.stored_events import as_cloudevent
from service.store.people import erasures
from service.store.people.erasing import Eraser
from service.store.people.keys import Subjects

Subject = Annotated[str, typer.Argument(help="The id of a contact or a lead.")]


def register(app: typer.Typer) -> None:
    """Add the commands of this module."""
    app.command(epilog='Example: campaign-ledger erase C-17 --ledger acme --legal-basis "GDPR, article 17"')(erase)
    app.command(epilog="Example: campaign-ledger subject C-17 --ledger acme")(subject)


def erase(
    subject_id: Subject,
    ledger: LedgerName = "default",
    legal_basis: Annotated[str | None, typer.Option(help="Why, as it is to stand in the log.")] = None,
    data_dir: DataDir = None,
    *,
    leads: Annotated[bool, typer.Option(help="With the leads that say that the person is their contact.")] = True,
) -> None:
    """Forget a person for good, and print the receipt: their data become unreadable, figures stay."""
    settings = settings_of(data_dir)

    async def work(pool: asyncpg.Pool) -> None:
        found = await ledger_of(pool, ledger)
        appender = Appender(pool, queue_events=10**9, batch_events=settings.append_batch_events)
        intake = _intake(pool, settings, appender)
        try:
            positions = await forgetting.forget(pool, intake, found.ledger, subject_id, legal_basis, leads=leads)
        finally:
            await appender.close()
        for one in await erasures.listed(pool, found.ledger, positions[0] - 1, len(positions)):
            waits = f'{{"position":{one.position},"done_at":null}}'  # the service destroys what is in use in a moment
            say(one.receipt or waits)

    with_pool(data_dir, work)


def subject(subject_id: Subject, ledger: LedgerName = "default", data_dir: DataDir = None) -> None:
    """Print what is stored of a person, as NDJSON: first who that is, then the events."""
    settings = settings_of(data_dir)

    async def work(pool: asyncpg.Pool) -> None:
        known = await ledger_of(pool, ledger)
        appender = Appender(pool, queue_events=0, batch_events=1)
        found = await forgetting.found(pool, _intake(pool, settings, appender), known.ledger, subject_id)
        who = {"subject_id": subject_id, "subjects": found.names, "erased": found.erased, "leads": found.leads}
        say(msgspec.json.encode(who).decode())
        for event in found.events:
            say(as_cloudevent(event).decode())

    with_pool(data_dir, work)


def _intake(pool: asyncpg.Pool, settings: Settings, appender: Appender) -> Intake:
    eraser = Eraser(pool, Subjects(pool, vault_of(settings)))
    return Intake(pool, appender, Limits(settings.max_json_depth, settings.max_string_length), eraser)
