"""`reports` and `alerts`: what is mailed and posted by a timer, as a YAML file says."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from service import bootstrap
from service.cli.common import DataDir, ledger_of, say, settings_of
from service.notices import plan as plans
from service.store import notices as store

if TYPE_CHECKING:
    from service.notices.sending import Outcome

reports_app = typer.Typer(help="Reports by mail.", no_args_is_help=True, rich_markup_mode=None)
alerts_app = typer.Typer(help="Alerts by mail and webhook.", no_args_is_help=True, rich_markup_mode=None)
PlanFile = Annotated[
    Path, typer.Argument(exists=True, dir_okay=False, help="The YAML file; docs/notices.md tells what is in it.")
]


def register(app: typer.Typer) -> None:
    """Add the commands of this module."""
    app.add_typer(reports_app, name="reports", epilog="Example: campaign-ledger reports send notices.yaml")
    app.add_typer(alerts_app, name="alerts", epilog="Example: campaign-ledger alerts send notices.yaml")


@reports_app.command("send", epilog="Example: campaign-ledger reports send notices.yaml")
def send_reports(
    file: PlanFile, data_dir: DataDir = None, *,
    again: Annotated[bool, typer.Option("--again", help="Also what was mailed in this period already.")] = False,
) -> None:  # fmt: skip
    """Mail the reports that are due: each once in the day, week or month that its `every` says."""
    _run(file, data_dir, reports=True, again=again)


@alerts_app.command("send", epilog="Example: campaign-ledger alerts send notices.yaml")
def send_alerts(file: PlanFile, data_dir: DataDir = None) -> None:
    """Look at what the alerts are about, and tell what has changed since it was told."""
    _run(file, data_dir)


@reports_app.callback()
def _reports() -> None:
    """Keep `send` a command of its own while it is the only one."""


@alerts_app.callback()
def _alerts() -> None:
    """Keep `send` a command of its own while it is the only one."""


def _run(file: Path, data_dir: Path | None, *, reports: bool = False, again: bool = False) -> None:
    """Send what is to be sent, and tell of it line by line; RuntimeError where something was not taken."""
    from service.notices import sending  # noqa: PLC0415  the framework, which other commands need not wait for

    plan, settings = plans.read(file), settings_of(data_dir)

    async def sent(dsn: str) -> list[Outcome]:
        found = []
        async with bootstrap.beside(settings, dsn) as service:
            ledger = await ledger_of(service.pool, plan.ledger)
            async with store.turn(service.pool, ledger.ledger):
                if reports:
                    outcomes = sending.send_reports(service, ledger, plan, again=again)
                else:
                    outcomes = sending.send_alerts(service, ledger, plan)
                async for one in outcomes:
                    found.append(one)
                    say(f"{one.name}\t{one.receiver}\t{one.failed or one.words}")
        return found

    with bootstrap.database_of(settings) as dsn:
        outcomes = bootstrap.run(sent(dsn))
    if failed := [one for one in outcomes if one.failed]:
        raise RuntimeError(f"{len(failed)} of {len(outcomes)} notices were not taken: the next run tries them again")
    if not outcomes:
        say("nothing is due, and nothing has changed")
