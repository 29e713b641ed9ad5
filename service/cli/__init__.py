"""`campaign-ledger`: run the service, operate it, and get events in and out."""

from __future__ import annotations

import sys
from typing import Annotated

import asyncpg
import httpx
import typer

from service import __version__
from service.cli import (
    access,
    backups,
    bi,
    citus,
    demo,
    files,
    hooks,
    notices,
    operations,
    people,
    quarantine,
    rebuilds,
    report,
    serving,
    sources,
)

app = typer.Typer(
    name="campaign-ledger",
    help="CRM and ERP events in, explainable per-campaign ROI, conversion and velocity out.",
    epilog="Example: campaign-ledger demo",
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)


def _version(asked: bool) -> None:
    if asked:
        print(f"campaign-ledger {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    *,
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and end.")
    ] = False,
) -> None:
    """Take the options that stand before a command."""


for part in (
    demo, serving, report, operations, people, backups, quarantine, rebuilds, files, access, sources, hooks, citus, bi, notices,
):  # fmt: skip
    part.register(app)


def main() -> None:
    """Run the command line; an expected error is one line on stderr and exit code 1."""
    try:
        app()
    except (
        RuntimeError,
        ValueError,
        LookupError,
        OSError,
        asyncpg.PostgresError,
        asyncpg.InterfaceError,
        asyncpg.InternalClientError,
        httpx.HTTPError,
    ) as error:
        print(f"campaign-ledger: {error}", file=sys.stderr)
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)


if __name__ == "__main__":
    main()
