"""`demo`."""

from __future__ import annotations

import contextlib
import socket
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from service import telemetry
from service.bootstrap import database_of, run
from service.cli.common import DataDir, settings_of
from service.cli.serving import Host, Port
from service.demo.run import LEADS, console
from service.demo.run import run as run_demo
from service.server import listen, url_of
from service.settings import Settings
from service.store.embedded import default_data_dir


def register(app: typer.Typer) -> None:
    """Add the command of this module."""
    app.command(epilog="Example: campaign-ledger demo --port 8090")(demo)


def demo(
    host: Host = "127.0.0.1",
    port: Port = 8080,
    data_dir: DataDir = None,
    leads: Annotated[
        int, typer.Option(min=1, help="How many leads the portfolio has; its costs stay the same.")
    ] = LEADS,
    *,
    exit_: Annotated[bool, typer.Option("--exit", help="End after the figures instead of staying up.")] = False,
) -> None:
    """Serve a made-up portfolio on the embedded database, show its figures, and stay up until Ctrl-C.

    It keeps its data apart from yours, in the directory `demo` below the data directory.
    """
    out = console()
    settings = _settings(data_dir)
    with contextlib.ExitStack() as undo:
        with out.status("starting PostgreSQL"):
            dsn = undo.enter_context(database_of(settings, own=True))
        listener = undo.enter_context(_listener(host, port, out))
        run(run_demo(settings, dsn, listener, out, leads=leads, stay=not exit_))


def _settings(data_dir: Path | None) -> Settings:
    """Return the environment's settings with a place of the demo's own: never where real data is."""
    settings = settings_of(None)
    if "log_level" not in settings.model_fields_set:
        telemetry.configure_logs("WARNING")  # a line per request would stand between the figures
    place = data_dir or (settings.data_dir or default_data_dir()) / "demo"
    return settings.model_copy(update={"database_url": None, "bootstrap_key": None, "data_dir": place})


def _listener(host: str, port: int, out: Console) -> socket.socket:
    try:
        return listen(host, port)
    except OSError:
        if port == 0:
            raise
        listener = listen(host, 0)
        out.print(f"Port {port} cannot be had; the demo listens at {url_of(listener)} instead.")
        return listener
