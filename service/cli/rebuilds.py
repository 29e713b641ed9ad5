"""`replay`, `rebuilds …` and `generations …`: new read models beside the serving ones, compared before they serve."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Annotated, Any

import asyncpg
import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
from rich.table import Table

from service.cli.common import DataDir, LedgerName, chosen, ledger_of, say, settings_of, show, with_pool
from service.domain import contributions
from service.projections.generations import compare, lifecycle, rebuild
from service.projections.generations.lifecycle import Generation
from service.settings import Settings
from service.store.ledgers import Ledger

DIFFERS = 3  # the exit code of a replay whose figures differ and that does not serve
_AT_ONCE = 4  # ledgers rebuilt at the same time
_POLL = 0.25

Rebuild = Annotated[int, typer.Argument(help="The rebuild's number, as `rebuilds list` shows it.")]
AsJson = Annotated[bool, typer.Option("--json", help="As JSON.")]


def register(app: typer.Typer) -> None:
    """Add the commands of this module."""
    app.command(epilog="Example: campaign-ledger replay --ledger acme --dry-run")(replay)
    part = typer.Typer(no_args_is_help=True, help="Follow and steer rebuilds.", rich_markup_mode=None)
    part.command("list", epilog="Example: campaign-ledger rebuilds list --ledger acme")(list_rebuilds)
    part.command("differences", epilog="Example: campaign-ledger rebuilds differences 2 --ledger acme")(differences)
    for action, does in _ACTIONS.items():
        part.command(action, help=does, epilog=f"Example: campaign-ledger rebuilds {action} 2 --ledger acme")(
            _asking(action)
        )
    app.add_typer(part, name="rebuilds", epilog="Example: campaign-ledger rebuilds list --ledger acme")
    kept = typer.Typer(no_args_is_help=True, help="The sets of read models that are kept.", rich_markup_mode=None)
    kept.command("list", epilog="Example: campaign-ledger generations list --ledger acme")(list_generations)
    kept.command("rollback", epilog="Example: campaign-ledger generations rollback --ledger acme")(rollback)
    kept.command("prune", epilog="Example: campaign-ledger generations prune")(prune)
    app.add_typer(kept, name="generations", epilog="Example: campaign-ledger generations list --ledger acme")


def replay(
    names: Annotated[list[str] | None, typer.Argument(help="The ledgers; default: all.", show_default=False)] = None,
    ledger: Annotated[list[str] | None, typer.Option("--ledger", help="A ledger; may be repeated.")] = None,
    data_dir: DataDir = None,
    *,
    everything: Annotated[bool, typer.Option("--all", help="All ledgers, as without a name.")] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Build and compare; keep it, but do not serve it.")
    ] = False,
    apply: Annotated[
        bool, typer.Option("--apply", help="Serve it even if figures differ; also what --dry-run kept.")
    ] = False,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with what was paused or interrupted.")] = False,
) -> None:
    """Rebuild the read models from position 1 while the present ones go on serving, compare, and swap if nothing differs.

    Exit code 3 if figures differ and the new ones do not serve. Ctrl-C pauses.
    """
    if dry_run and apply:
        raise typer.BadParameter("--dry-run and --apply exclude each other")
    given = [*(names or []), *(ledger or [])]
    if everything and given:
        raise typer.BadParameter("--all goes without names")
    serve = "never" if dry_run else "always" if apply else "identical"

    async def work(pool: asyncpg.Pool) -> list[Generation]:
        wanted = [await ledger_of(pool, one) for one in given] if given else await chosen(pool, None)
        begun: list[tuple[Ledger, int, str]] = []
        for one in wanted:
            holder = rebuild.new_holder()
            number = await _opened(pool, one, serve, holder, resume=resume)
            if number is not None:
                begun.append((one, number, holder))
        return await _followed(pool, begun, settings_of(data_dir))

    done = with_pool(data_dir, work, size=3 * _AT_ONCE + 2)
    for one in done:
        say(_told(one))
    if any(one.state == "built" and not (one.report or {}).get("identical") for one in done):
        raise typer.Exit(DIFFERS)


async def _opened(pool: asyncpg.Pool, ledger: Ledger, serve: str, holder: str, *, resume: bool) -> int | None:
    """Return the rebuild to work on: a new one, or the one to go on with."""
    known = await lifecycle.rebuilds(pool, ledger)
    unfinished = [one for one in known if one.state in {"building", "paused"}]
    built = [one for one in known if one.state == "built" and one.version == contributions.READ_MODEL_VERSION]
    if resume:
        for one in unfinished:
            await lifecycle.ask(pool, ledger, one.generation, "apply" if serve == "always" else "resume")
            return one.generation
        say(f"{ledger.name}: there is nothing to resume")
        return None
    if serve == "always" and built and not unfinished:
        return (await lifecycle.ask(pool, ledger, built[-1].generation, "apply")).generation
    return await lifecycle.begin(pool, ledger, serve, holder, rebuild.LEASE_SECONDS)


async def _followed(pool: asyncpg.Pool, begun: list[tuple[Ledger, int, str]], settings: Settings) -> list[Generation]:
    """Build, several at a time, showing how far each has come; being interrupted pauses them."""
    gate = asyncio.Semaphore(_AT_ONCE)

    async def build(ledger: Ledger, number: int, holder: str) -> Generation:
        async with gate:
            return await rebuild.run(
                pool, ledger, number, holder=holder, batch=settings.rebuild_batch, lease_seconds=settings.lease_seconds
            )

    tasks = [asyncio.create_task(build(*one)) for one in begun]
    showing = asyncio.create_task(_show(pool, begun))
    try:
        return list(await asyncio.gather(*tasks))
    except asyncio.CancelledError:
        for ledger, number, _ in begun:
            if (await lifecycle.one(pool, ledger, number)).state == "building":
                await lifecycle.ask(pool, ledger, number, "pause")
        typer.echo("paused: `campaign-ledger replay --resume` goes on", err=True)
        raise
    finally:
        showing.cancel()
        await asyncio.gather(showing, *tasks, return_exceptions=True)


async def _show(pool: asyncpg.Pool, begun: list[tuple[Ledger, int, str]]) -> None:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[told]}"))
    with Progress(*columns, console=Console(stderr=True)) as bar:
        tasks = {one[0].ledger: bar.add_task(f"replay {one[0].name}", total=None, told="") for one in begun}
        while True:
            for ledger, number, _ in begun:
                found = await lifecycle.one(pool, ledger, number)
                bar.update(
                    tasks[ledger.ledger], completed=found.checkpoint, total=max(found.target, found.checkpoint, 1),
                    told=_pace(found),
                )  # fmt: skip
            await asyncio.sleep(_POLL)


def _pace(one: Generation) -> str:
    if one.rate is None or one.seconds_left is None:
        return one.state
    return f"{one.rate:,.0f} events/s, {one.seconds_left:,.0f} s left, {one.state}"


def _told(one: Generation) -> str:
    """Say what became of a rebuild."""
    report = one.report or {}
    compared = "identical to the old one, cell for cell"
    if report and not report["identical"]:
        compared = (
            f"{report['differences']} figures differ: `campaign-ledger rebuilds differences {one.generation} --ledger "
        )
        compared += f"{one.ledger}` lists them"
    if one.state == "serving":
        return f"{one.ledger}: {one.checkpoint} events replayed, generation {one.generation} serves now, {compared}"
    if one.state == "built":
        kept = (
            f"{one.ledger}: {one.checkpoint} events replayed, generation {one.generation} is kept and does not serve, "
        )
        return f"{kept}{compared}; `campaign-ledger replay {one.ledger} --apply` serves it"
    return f"{one.ledger}: rebuild {one.generation} is {one.state} at position {one.checkpoint} of {one.target}"


_ACTIONS = {
    "pause": "Pause a rebuild; what is done is kept.",
    "resume": "Have a worker go on with a paused rebuild (`replay --resume` does it here).",
    "cancel": "Give a rebuild up.",
    "apply": "Have a worker bring a built generation up to date and serve it (`replay --apply` does it here).",
}


def _asking(action: str) -> Callable[..., None]:
    def asked(rebuild_id: Rebuild, ledger: LedgerName = "default", data_dir: DataDir = None) -> None:
        async def work(pool: asyncpg.Pool) -> Generation:
            return await lifecycle.ask(pool, await ledger_of(pool, ledger), rebuild_id, action)

        say(_told(with_pool(data_dir, work)))

    return asked


def _listed(
    data_dir: DataDir,
    ledger: str,
    read: Callable[[asyncpg.Pool, Ledger], Awaitable[list[Generation]]],
    *,
    as_json: bool,
) -> None:
    async def work(pool: asyncpg.Pool) -> list[Generation]:
        return await read(pool, await ledger_of(pool, ledger))

    found = with_pool(data_dir, work)
    if as_json:
        say(json.dumps([one.as_dict() for one in found], indent=2, default=str))
        return
    table = Table("number", "state", "definitions", "position", "of", "events/s", "seconds left", "differences")
    for one in found:
        differs = "-" if one.report is None else "0" if one.report["identical"] else str(one.report["differences"])
        rate, left = ("-" if value is None else f"{value:,.0f}" for value in (one.rate, one.seconds_left))
        table.add_row(
            str(one.generation), one.state, one.version, str(one.checkpoint), str(one.target), rate, left, differs
        )
    show(table)


def list_rebuilds(ledger: LedgerName = "default", data_dir: DataDir = None, *, as_json: AsJson = False) -> None:
    """Show rebuilds: state, position, rate and time left."""
    _listed(data_dir, ledger, lifecycle.rebuilds, as_json=as_json)


def list_generations(ledger: LedgerName = "default", data_dir: DataDir = None, *, as_json: AsJson = False) -> None:
    """Show all sets of read models that are kept, and which one serves."""
    _listed(data_dir, ledger, lifecycle.listed, as_json=as_json)


def differences(
    rebuild_id: Rebuild, ledger: LedgerName = "default", data_dir: DataDir = None, *, as_json: AsJson = False
) -> None:
    """List every figure in which a rebuild differs from the generation that served: campaign, period, measure, old -> new."""

    async def work(pool: asyncpg.Pool) -> list[dict[str, Any]]:
        one = await ledger_of(pool, ledger)
        await lifecycle.one(pool, one, rebuild_id)
        return await compare.listed(pool, one.ledger, rebuild_id, one.currency, limit=1_000_000)

    found = with_pool(data_dir, work)
    if as_json:
        say(json.dumps(found, indent=2))
        return
    for one in found:
        period, basis = one["period"] or "undated", one["date_basis"] or "any"
        none = "not known" if one["measure"] == "attributes" else "null"
        old, new = (none if one[name] is None else one[name] for name in ("old", "new"))
        where = f" {one['where']}" if one["where"] else ""
        say(f"{one['campaign_id'] or 'unattributed'}, {period} ({basis}){where}, {one['measure']}: {old} -> {new}")


def rollback(ledger: LedgerName = "default", data_dir: DataDir = None) -> None:
    """Have the generation that served last catch up and serve again."""

    async def work(pool: asyncpg.Pool) -> list[Generation]:
        one = await ledger_of(pool, ledger)
        begun = [(one, await lifecycle.roll_back(pool, one), rebuild.new_holder())]
        return await _followed(pool, begun, settings_of(data_dir))

    for one in with_pool(data_dir, work, size=8):
        say(_told(one))


def prune(
    ledger: Annotated[str | None, typer.Option("--ledger", help="Only this ledger; default: all.")] = None,
    data_dir: DataDir = None,
    *,
    built: Annotated[bool, typer.Option(help="Also what was built and does not serve.")] = False,
) -> None:
    """Drop the generations that are retired or cancelled: there is no way back to them then."""

    async def work(pool: asyncpg.Pool) -> None:
        for one in await chosen(pool, ledger):
            dropped = await lifecycle.prune(pool, one, built=built)
            if dropped:
                say(f"{one.name}: dropped {', '.join(map(str, dropped))}")

    with_pool(data_dir, work)
