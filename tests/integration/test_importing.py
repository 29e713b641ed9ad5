"""Importing files into a real log: once, on from where it was, and as the last statement where a mapping says so."""

from __future__ import annotations

import itertools
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from service.intake.acceptance import Intake, Result, read_item
from service.intake.decoding import Limits
from service.intake.importing import (
    Counts,
    Event,
    File,
    Problem,
    import_file,
    ndjson_files,
    once_each,
    starts,
    table_file,
)
from service.intake.preview import Preview
from service.intake.tabular import load_mapping, open_tables
from service.store import imports
from service.store.ledgers import Ledger
from service.store.log import feed, heads
from service.store.log.append import append_rows
from service.store.log.group_commit import Appender
from tests.support import sending
from tests.support.tables import COSTS, rows

LIMITS = Limits(32, 65536)
RESTATING = COSTS.replace("        time:", "        restates: true\n        time:")
_numbers = itertools.count()


@dataclass
class Told:
    """What an import says, for a test to look at; it may be interrupted after some events."""

    counts: Counts = field(default_factory=Counts)
    problems: list[str] = field(default_factory=list)
    stop_after: int | None = None

    def problem(self, problem: Problem, status: str) -> None:
        self.counts.by_status[status] += 1
        self.problems.append(str(problem))

    def taken(self, file: str, events: Sequence[Event], results: Sequence[Result]) -> None:
        for event, result in zip(events, results, strict=True):
            self.counts.by_status[result.status] += 1
            if result.problem is not None:
                self.problems.append(f"{file}, line {event.line}: {result.problem['detail']}")

    def went_on(self, done: int) -> None:
        if self.stop_after is not None and done >= self.stop_after:
            raise KeyboardInterrupt


@dataclass
class Importer:
    """Imports files into a ledger as the command does."""

    pool: asyncpg.Pool
    ledger: int
    folder: Path

    def table(self, mapping: str, *cells: str, name: str = "costs.csv") -> list[File]:
        folder = self.folder / str(next(_numbers))
        folder.mkdir()
        (folder / "mapping.yaml").write_text(mapping, encoding="utf-8")
        (folder / name).write_text(rows(*cells), encoding="utf-8")
        return list(map(table_file, open_tables(load_mapping(folder / "mapping.yaml"), folder / name).tables))

    async def run(self, files: list[File], *, restate: bool = False, keep: bool = False, dry: bool = False,
                  stop_after: int | None = None) -> Told:  # fmt: skip
        told = Told(stop_after=stop_after)
        appender = Appender(self.pool, queue_events=10**9, batch_events=2_000)
        intake = Preview(self.pool, LIMITS) if dry else Intake(self.pool, appender, LIMITS)
        kept, told_twice = once_each(files)
        told.problems += told_twice
        for start in await starts(self.pool, self.ledger, kept, decided=restate or keep):
            left = await import_file(
                self.pool, intake, self.ledger, start, told, restates=restate, stores=not dry, went_on=told.went_on
            )
            told.problems += [left] if left else []
        await appender.close()
        return told

    async def amounts(self) -> dict[str, str]:
        """Return the amount of each cost that is not void."""
        events = [row async for row in feed.read_all(self.pool, self.ledger)]
        data = [(row, json.loads(row.data)) for row in events]
        void = {one["id"] for row, one in data if row.type == "event.voided"}
        costs = [
            (one["cost_entry_id"], one["amount"]["amount"])
            for row, one in data
            if "amount" in one and row.id not in void
        ]
        assert len(costs) == len(dict(costs)), "a cost is stated twice"
        return dict(costs)


@pytest.fixture
def importer(pool: asyncpg.Pool, ledger: Ledger, tmp_path: Path) -> Importer:
    return Importer(pool, ledger.ledger, tmp_path)


def cost(number: int, amount: str = "95.00", day: str = "2026-03-01") -> str:
    return f"{number},{day},Fair,{amount}"


async def test_files_of_one_name_are_known_by_their_content(importer: Importer) -> None:
    january, february = importer.table(COSTS, cost(1)), importer.table(COSTS, cost(2))
    assert str((await importer.run([*january, *february])).counts).startswith("2 accepted, 0 duplicate")
    same = importer.table(COSTS, cost(1), name="copy.csv")
    told = await importer.run([*january, *same])
    assert told.problems == ["copy.csv has the same content as costs.csv, which is imported once"]
    assert str(told.counts).startswith("0 accepted, 1 duplicate")


async def test_an_interrupted_import_goes_on_where_it_was_whatever_the_file_is_called(importer: Importer) -> None:
    cells = [cost(number) for number in range(2_500)]
    with pytest.raises(KeyboardInterrupt):
        await importer.run(importer.table(COSTS, *cells), stop_after=1_000)
    told = await importer.run(importer.table(COSTS, *cells, name="renamed.csv"))
    assert str(told.counts) == "1500 accepted, 0 duplicate, 0 conflict, 0 invalid"
    assert len(await importer.amounts()) == 2_500


async def test_a_mapping_that_was_corrected_after_an_interruption_is_told_before_anything_is_stored(
    importer: Importer,
) -> None:
    wrong = COSTS.replace("{Day|date}", "{Day|date:%Y-%d-%m}")
    cells = [cost(number, day="2026-03-04") for number in range(1_500)]
    with pytest.raises(KeyboardInterrupt):
        await importer.run(importer.table(wrong, *cells), stop_after=1_000)
    with pytest.raises(
        ValueError, match=r"costs\.csv: the first 1,000 of its events came in by another mapping .*--restate.*--keep"
    ):
        await importer.run(importer.table(COSTS, *cells))
    kept = await importer.run(importer.table(COSTS, *cells), keep=True, dry=True)
    assert str(kept.counts) == "500 accepted, 0 duplicate, 1000 conflict, 0 invalid"
    told = await importer.run(importer.table(COSTS, *cells), restate=True)
    assert str(told.counts) == "500 accepted, 0 duplicate, 0 conflict, 0 invalid, 1000 restated"
    days = {json.loads(row.data).get("cost_date") async for row in feed.read_all(importer.pool, importer.ledger)}
    assert days == {"2026-04-03", "2026-03-04", None}
    assert len(await importer.amounts()) == 1_500
    again = await importer.run(importer.table(COSTS, *cells))
    assert str(again.counts) == "0 accepted, 1500 duplicate, 0 conflict, 0 invalid"


async def test_a_mapping_that_was_left_in_the_middle_for_another_one_is_told_when_it_comes_back(
    importer: Importer,
) -> None:
    other = COSTS.replace("|slug}", "|lower}")
    cells = [cost(number) for number in range(1_500)]
    await importer.run(importer.table(COSTS, *cells))
    with pytest.raises(KeyboardInterrupt):
        await importer.run(importer.table(other, *cells), restate=True, stop_after=1_000)
    with pytest.raises(ValueError, match="the first 1,000"):
        await importer.run(importer.table(COSTS, *cells))


async def test_a_comment_in_the_mapping_changes_nothing(importer: Importer) -> None:
    await importer.run(importer.table(COSTS, cost(1)))
    reordered = COSTS.replace("    source: /imports/costs\n", "").rstrip() + "\n    source: /imports/costs\n"
    for same in ("# our costs\n" + COSTS, reordered):
        assert (await importer.run(importer.table(same, cost(1)))).problems == []


async def test_a_later_export_is_a_later_statement_where_the_mapping_says_so(importer: Importer) -> None:
    for amount in ("95.00", "100.00", "97.00"):
        told = await importer.run(importer.table(RESTATING, cost(1, amount), cost(2, "5.00")))
        assert await importer.amounts() == {"1": amount, "2": "5.00"}
    (said,) = told.problems
    assert said.startswith("costs.csv, line 2: says otherwise than the event at position ")
    assert str(told.counts) == "0 accepted, 1 duplicate, 0 conflict, 0 invalid, 1 restated"
    back = await importer.run(importer.table(RESTATING, cost(1, "95.00")))
    assert (back.counts.by_status["restated"], await importer.amounts()) == (1, {"1": "95.00", "2": "5.00"})


async def test_a_row_that_states_the_same_thing_at_the_same_time_under_another_id_is_told(importer: Importer) -> None:
    """Which of the two counts would be decided by how their ids sort."""
    by_cells = COSTS.replace('"cost-{No}"', '"{@cells}"')
    await importer.run(importer.table(by_cells, cost(1, "95.00"), cost(2), cost(3, "1.00")))
    later = importer.table(by_cells, cost(1, "100.00"), cost(2), cost(3, "1.00", day="2026-03-09"), cost(4))
    dry, told = await importer.run(later, dry=True), await importer.run(later)
    assert (str(dry.counts), dry.problems) == (str(told.counts), told.problems)
    assert str(told.counts) == "3 accepted, 1 duplicate, 0 conflict, 0 invalid, 1 in doubt"
    (problem,) = told.problems
    assert problem.startswith("costs.csv, line 2, ")
    assert (
        "at position 1 states the same cost entry at the same time, but otherwise: one of the two does not count"
        in problem
    )


async def test_what_is_void_or_was_restated_is_in_nobodys_way(importer: Importer) -> None:
    by_cells = COSTS.replace('"cost-{No}"', '"{@cells}"')
    await importer.run(importer.table(by_cells, cost(1, "95.00")))
    (first,) = [row async for row in feed.read_all(importer.pool, importer.ledger)]
    void = sending.event("event.voided", source=first.source, id=first.id)
    await append_rows(importer.pool, importer.ledger, [read_item(json.dumps(void).encode(), LIMITS)])
    assert (await importer.run(importer.table(by_cells, cost(1, "100.00")))).problems == []
    for amount in ("5.00", "6.00", "7.00"):
        told = await importer.run(importer.table(RESTATING, cost(2, amount), name=f"{amount}.csv"))
        assert told.counts.by_status["in doubt"] == 0


WON = RESTATING.replace("        data:", '        when: {value: "{Net|decimal}", above: 0}\n        data:')


async def test_what_a_later_export_says_no_longer_is_taken_back_and_comes_back_when_it_is_said_again(
    importer: Importer,
) -> None:
    await importer.run(importer.table(WON, cost(1), cost(2)))
    gone = importer.table(WON, cost(1, "0.00"), cost(2), cost(3, "0.00"))
    dry, told = await importer.run(gone, dry=True), await importer.run(gone)
    assert (str(dry.counts), dry.problems) == (str(told.counts), told.problems)
    assert str(told.counts) == "0 accepted, 1 duplicate, 0 conflict, 0 invalid, 1 taken back"
    assert told.problems == ["costs.csv, line 2: the event at position 1 is said no longer and was taken back"]
    assert await importer.amounts() == {"2": "95.00"}
    assert str((await importer.run(gone)).counts) == "0 accepted, 1 duplicate, 0 conflict, 0 invalid"
    again = await importer.run(importer.table(WON, cost(1), cost(4)))
    assert str(again.counts) == "1 accepted, 0 duplicate, 0 conflict, 0 invalid, 1 restated"
    assert await importer.amounts() == {"1": "95.00", "2": "95.00", "4": "95.00"}
    last = await importer.run(importer.table(WON, cost(1, "0")))
    assert (last.counts.by_status["taken back"], await importer.amounts()) == (1, {"2": "95.00", "4": "95.00"})


async def test_what_is_no_longer_said_is_no_event_of_a_file(importer: Importer) -> None:
    await importer.run(importer.table(WON, cost(1), cost(2, "0.00")))
    told = await importer.run(importer.table(WON + "# changed\nzone: UTC\n", cost(1), cost(2, "0.00")), restate=True)
    assert (str(told.counts), told.problems) == ("0 accepted, 1 duplicate, 0 conflict, 0 invalid", [])


async def test_what_another_row_of_the_file_says_is_not_taken_back(importer: Importer) -> None:
    rows_of_one = (cost(1, "0.00"), cost(1, "95.00"), cost(1, "0"))
    for cells in (rows_of_one, (*rows_of_one, cost(2))):
        told = await importer.run(importer.table(WON, *cells))
        assert told.counts.by_status["taken back"] == 0
    assert await importer.amounts() == {"1": "95.00", "2": "95.00"}


async def test_what_came_in_by_an_earlier_mapping_and_is_not_met_again_is_told(importer: Importer) -> None:
    await importer.run(importer.table(COSTS, cost(1), cost(2), cost(3)))
    renamed = COSTS.replace("cost-{No}", "spend-{No}").replace(
        "        data:", "        when: {column: 'No', above: 1}\n        data:"
    )
    told = await importer.run(importer.table(renamed, cost(1), cost(2), cost(3)), restate=True)
    assert str(told.counts).startswith("2 accepted, 0 duplicate")
    assert told.problems[0].startswith(
        "costs.csv: 3 of the 3 events that came in by the earlier mapping did not come out again"
    )
    narrower = COSTS.replace("        data:", "        when: {column: 'No', above: 2}\n        data:")
    told = await importer.run(importer.table(narrower, cost(2), cost(3)), restate=True)
    assert (told.counts.by_status["taken back"], told.counts.by_status["duplicate"]) == (1, 1)


async def test_a_file_that_is_in_says_nothing_that_is_later(importer: Importer) -> None:
    first, second = importer.table(RESTATING, cost(1)), importer.table(RESTATING, cost(1, "100.00"))
    await importer.run([*first, *second])
    for files in (first, second, [*second, *first]):
        told = await importer.run(files)
        assert str(told.counts) == f"0 accepted, {len(files)} duplicate, 0 conflict, 0 invalid"
    assert await importer.amounts() == {"1": "100.00"}
    told = await importer.run(first, restate=True)
    assert (told.counts.by_status["restated"], await importer.amounts()) == (1, {"1": "95.00"})


async def test_without_it_a_row_that_says_otherwise_is_a_conflict_with_file_and_line(importer: Importer) -> None:
    await importer.run(importer.table(COSTS, cost(1)))
    told = await importer.run(importer.table(COSTS, cost(2), cost(1, "100.00"), name="later.csv"))
    assert str(told.counts) == "1 accepted, 0 duplicate, 1 conflict, 0 invalid"
    assert told.problems[0].startswith(
        "later.csv, line 3: the event at position 1 has the same source and id but other"
    )
    assert await importer.amounts() == {"1": "95.00", "2": "95.00"}


async def test_a_statement_whose_predecessor_was_not_taken_back_yet_takes_it_back(importer: Importer) -> None:
    files = importer.table(RESTATING, cost(1))
    await importer.run(files)
    event: dict[str, Any] = json.loads(next(files[0].events(Told(), False)).raw)
    event["data"]["amount"]["amount"] = "100.00"
    appender = Appender(importer.pool, queue_events=10**9, batch_events=2_000)
    await Intake(importer.pool, appender, LIMITS).take(
        importer.ledger, [json.dumps({**event, "id": "cost-1~1"}).encode()]
    )
    told = await importer.run(importer.table(RESTATING, cost(1, "100.00")))
    assert str(told.counts).startswith("0 accepted, 1 duplicate")
    assert await importer.amounts() == {"1": "100.00"}


async def test_a_dry_run_says_what_an_import_would_and_stores_nothing(importer: Importer) -> None:
    await importer.run(importer.table(RESTATING, cost(1), cost(2)))
    changed = [cost(1, "100.00"), cost(2), cost(3), cost(3), cost(4, "nine"), cost(5, "1.00"), cost(5, "2.00")]
    files = importer.table(RESTATING, *changed)
    before = await heads.head(importer.pool, importer.ledger)
    dry = await importer.run(files, dry=True)
    assert await heads.head(importer.pool, importer.ledger) == before
    assert await imports.of_file(importer.pool, importer.ledger, files[0].digest) == []
    done = await importer.run(files)
    assert str(dry.counts) == str(done.counts)
    assert str(done.counts) == "2 accepted, 1 duplicate, 0 conflict, 1 invalid, 1 restated, 2 repeated within a file"
    assert dry.problems == done.problems


async def test_ndjson_is_known_by_its_content_too(importer: Importer) -> None:
    event = {"specversion": "1.0", "source": "/t", "type": "lead.captured", "time": "2026-03-01T00:00:00Z"}
    lines = "".join(json.dumps({**event, "id": str(n), "data": {"lead_id": str(n)}}) + "\n" for n in range(1_200))
    paths = [importer.folder / name for name in ("a.ndjson", "b.ndjson")]
    for path in paths:
        path.write_text(lines, encoding="utf-8")
    with pytest.raises(KeyboardInterrupt):
        await importer.run(ndjson_files(paths[:1]), stop_after=1_000)
    assert str((await importer.run(ndjson_files(paths[1:]))).counts).startswith("200 accepted, 0 duplicate")
