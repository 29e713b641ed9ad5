"""`serve`, `worker`, `migrate`, `openapi`."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import sys
from pathlib import Path
from typing import Annotated

import typer

from service import telemetry
from service.bootstrap import Projection, Service, database_of, opened, run
from service.cli import access, processes
from service.cli.common import DataDir, say, settings_of
from service.demo.portfolio import everything
from service.projections.worker import Worker
from service.server import interruption, listen, serving
from service.settings import Settings
from service.store import migrate as migrations
from service.supervision import Parts

Host = Annotated[str, typer.Option(help="The address to listen on.")]
Port = Annotated[int, typer.Option(help="The port to listen on; 0 takes a free one.", min=0, max=65535)]


def register(app: typer.Typer) -> None:
    """Add the commands of this module."""
    app.command(epilog="Example: campaign-ledger serve --port 8080")(serve)
    app.command(epilog="Example: CAMPAIGN_LEDGER_DATABASE_URL=postgresql://… campaign-ledger worker")(worker)
    app.command(epilog="Example: CAMPAIGN_LEDGER_DATABASE_URL=postgresql://… campaign-ledger migrate")(migrate)
    app.command(epilog="Example: campaign-ledger openapi > openapi.json")(openapi)


def serve(
    host: Host = "127.0.0.1",
    port: Port = 8080,
    data_dir: DataDir = None,
    *,
    projector: Annotated[bool, typer.Option(help="Keep the read models up to date in this process.")] = True,
    workers: Annotated[int, typer.Option(help="Processes that answer requests.", min=1, max=64)] = 1,
    inherit: Annotated[str | None, typer.Option(hidden=True)] = None,
) -> None:
    """Serve the API, with the projector in the same process."""
    settings = settings_of(data_dir)
    if inherit is not None:
        listening, first = map(int, inherit.split(","))
        run(_serve_too(settings, socket.socket(fileno=listening), processes.FirstProcess(first)))
        return
    if workers > 1 and sys.platform == "win32":
        raise typer.BadParameter("several processes share a socket only on Unix", param_hint="--workers")
    parts = Parts()
    with listen(host, port) as listener, database_of(settings, own=True, parts=parts) as dsn:
        run(_serve(settings, dsn, listener, parts, projector=projector, workers=workers))


async def _serve(
    settings: Settings, dsn: str, listener: socket.socket, parts: Parts, *, projector: bool, workers: int = 1
) -> None:
    """Serve until SIGINT or SIGTERM; requests in hand are finished first."""
    with interruption() as interrupted:
        async with (
            opened(settings, dsn, projector=projector, parts=parts) as service,
            processes.others(settings, dsn, listener, workers - 1, service),
            serving(service, listener, everything) as url,
        ):
            telemetry.logger("service").info("listening", url=url, processes=workers)
            if sys.stdout.isatty():
                say(await _welcome(service, url))
            await interrupted.wait()


async def _welcome(service: Service, url: str) -> str:
    """Say where the page is, with a link that signs in whoever sits at this terminal, once."""
    base = (service.settings.public_url or url).rstrip("/")
    link = await access.new_link(service.pool, base)
    return f"Campaign Ledger is at {base}. Sign in, once and within 15 minutes: {link}"


async def _serve_too(settings: Settings, listener: socket.socket, first: processes.FirstProcess) -> None:
    """Serve at the same socket as the first process, until that ends; signals are its business."""
    assert settings.database_url is not None  # noqa: S101  the first process has set it
    with interruption():
        async with (
            opened(settings, settings.database_url, projector=False, appended=first.tell) as service,
            serving(service, listener, everything),
        ):
            telemetry.logger("service").info("answering too", pid=os.getpid())
            first.tell(0)
            await first.ended()


def worker(data_dir: DataDir = None) -> None:
    """Keep the read models of all ledgers up to date, sharing them with other workers."""
    settings, parts = settings_of(data_dir), Parts()

    def begun(one: Worker) -> None:
        telemetry.logger("service").info("projecting", holder=one.holder)

    async def work(dsn: str) -> None:
        projection = Projection(dsn, settings, parts, watches=True)
        for number in (signal.SIGINT, signal.SIGTERM):
            asyncio.get_running_loop().add_signal_handler(number, projection.stop)
        await projection.run(begun)

    with database_of(settings, parts=parts) as dsn:
        run(work(dsn))


def migrate(data_dir: DataDir = None) -> None:
    """Bring the database to the newest migration."""
    settings = settings_of(data_dir)
    with database_of(settings) as dsn:
        asyncio.run(migrations.migrate(dsn))
    say(f"the database is at migration {migrations.newest()}")


def openapi(
    check: Annotated[
        Path | None, typer.Option(help="Compare with this file instead of printing; exit 1 if it differs.")
    ] = None,
) -> None:
    """Print the API description as JSON."""
    from service.api.app import create_app  # noqa: PLC0415  the framework, which other commands need not wait for

    text = json.dumps(create_app().openapi(), indent=2, ensure_ascii=False, sort_keys=True) + "\n"
    if check is None:
        sys.stdout.write(text)
    elif not check.is_file() or check.read_text(encoding="utf-8") != text:
        raise RuntimeError(f"{check} is not what the code says: `make openapi` writes it anew")
