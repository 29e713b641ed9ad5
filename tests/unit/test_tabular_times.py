"""Times and days of CSV cells: in the zone that they state, else the mapping's, else the ledger's, never the machine's."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from service.intake.tabular import MappingError, load_mapping
from tests.support.tables import COSTS, opened, read, rows

BERLIN, NEW_YORK = ZoneInfo("Europe/Berlin"), ZoneInfo("America/New_York")


@pytest.fixture(params=["UTC", "Asia/Tokyo", "America/New_York"])
def machine(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A machine that stands in a time zone of its own."""
    monkeypatch.setenv("TZ", request.param)
    time.tzset()
    yield request.param
    monkeypatch.undo()
    time.tzset()


def moment(folder: Path, time_of: str, cell: str, zone: ZoneInfo = BERLIN, more: str = "") -> str:
    """Return the time of an event, or what is wrong with it."""
    mapping = COSTS.replace('time: "{Day}"', f"time: {time_of}").replace("{Day|date}", "2026-03-01")
    mapping = mapping.replace("    events:", f"{more}    events:")
    events, errors = read(opened(folder, mapping, rows(f'1,"{cell}",Fair,1'), zone=zone))
    return errors[0].expected if errors else str(events[0]["time"])


def day(folder: Path, filter_: str, cell: str, zone: ZoneInfo = BERLIN, more: str = "") -> str:
    """Return the day that a cell becomes, or what is wrong with it."""
    mapping = COSTS.replace('time: "{Day}"', 'time: "2026-01-01"').replace("{Day|date}", f"{{Day|{filter_}}}")
    mapping = mapping.replace("    events:", f"{more}    events:")
    events, errors = read(opened(folder, mapping, rows(f'1,"{cell}",Fair,1'), zone=zone))
    return errors[0].expected if errors else str(events[0]["data"]["cost_date"])


def test_a_time_without_a_zone_is_in_the_ledgers_unless_the_mapping_names_one(tmp_path: Path, machine: str) -> None:
    assert machine
    assert moment(tmp_path, '"{Day}"', "2026-04-01", NEW_YORK) == "2026-04-01T04:00:00Z"
    assert moment(tmp_path, '"{Day}"', "2026-04-01", NEW_YORK, "    zone: UTC\n") == "2026-04-01T00:00:00Z"
    assert moment(tmp_path, "{column: Day, zone: Asia/Tokyo}", "2026-04-01", NEW_YORK) == "2026-03-31T15:00:00Z"
    assert moment(tmp_path, '"2026-04-01"', "", NEW_YORK) == "2026-04-01T04:00:00Z"


@pytest.mark.parametrize(
    ("form", "cell", "expected"),
    [
        ("%Y-%m-%d %H:%M:%S %Z", "2026-03-31 22:30:00 UTC", "2026-03-31T22:30:00Z"),
        ("%Y-%m-%d %H:%M:%S %Z", "2026-03-31 22:30:00 Europe/Berlin", "2026-03-31T20:30:00Z"),
        ("%d %B %Y %H:%M %Z", "31 March 2026 22:30 GMT", "2026-03-31T22:30:00Z"),
        ("%d %B %Y %Z %H:%M", "31 March 2026 UTC 22:30", "2026-03-31T22:30:00Z"),
        ("%Y-%m-%dT%H:%M:%SZ", "2026-03-31T22:30:00Z", "2026-03-31T22:30:00Z"),
        ("%Y-%m-%d %H:%M UTC", "2026-03-31 22:30 UTC", "2026-03-31T22:30:00Z"),
        ("%Y-%m-%d %H:%M %z", "2026-03-31 22:30 -05:00", "2026-04-01T03:30:00Z"),
        (None, "2026-03-31 22:30:00 UTC", "2026-03-31T22:30:00Z"),
        (None, "2026-03-31T22:30:00-05:00", "2026-04-01T03:30:00Z"),
    ],
)
def test_a_zone_in_a_cell_counts(tmp_path: Path, machine: str, form: str | None, cell: str, expected: str) -> None:
    assert machine
    time_of = f'{{column: Day, format: "{form}"}}' if form else '"{Day}"'
    assert moment(tmp_path, time_of, cell) == expected


@pytest.mark.parametrize("name", ["CET", "EST", "JST", "PDT", "Mars/Base"])
def test_a_name_that_means_different_things_is_refused_until_the_mapping_says_what_it_is(
    tmp_path: Path, machine: str, name: str
) -> None:
    assert machine
    said = moment(tmp_path, '{column: Day, format: "%d.%m.%Y %H:%M %Z"}', f"31.03.2026 22:30 {name}")
    assert f"instead of {name}" in said
    assert "zones:" in said
    told = f'{{column: Day, format: "%d.%m.%Y %H:%M %Z", zones: {{{name}: "+01:00"}}}}'
    assert moment(tmp_path, told, f"31.03.2026 22:30 {name}") == "2026-03-31T21:30:00Z"


def test_the_day_of_an_instant_is_that_of_the_ledgers_zone_or_of_the_mappings(tmp_path: Path, machine: str) -> None:
    assert machine
    cell = "2026-03-31T22:30:00Z"
    assert day(tmp_path, "date", cell) == "2026-04-01"
    assert day(tmp_path, "date:%Y-%m-%dT%H:%M:%SZ", cell) == "2026-04-01"
    assert day(tmp_path, "date", cell, NEW_YORK) == "2026-03-31"
    assert day(tmp_path, "date", cell, BERLIN, "    zone: UTC\n") == "2026-03-31"
    assert day(tmp_path, "date", "2026-03-31 22:30") == "2026-03-31"
    assert day(tmp_path, "date", "2026-03-31") == "2026-03-31"


def test_a_row_without_a_date_has_the_default(tmp_path: Path) -> None:
    time_of = '{column: Day, format: "%d.%m.%Y", default: "01.03.2026"}'
    assert moment(tmp_path, time_of, "") == "2026-02-28T23:00:00Z"
    assert moment(tmp_path, time_of, "02.03.2026") == "2026-03-01T23:00:00Z"
    assert day(tmp_path, "default:2026-03-05|date", "") == "2026-03-05"
    assert day(tmp_path, "date:%d.%m.%Y|default:2026-03-05", "") == "2026-03-05"


def test_a_time_may_stand_in_two_columns(tmp_path: Path) -> None:
    assert (
        moment(tmp_path, '{value: "{Day} {Net}:30", format: "%d.%m.%Y %H:%M"}', "02.03.2026") == "2026-03-02T00:30:00Z"
    )


@pytest.mark.parametrize(
    ("time_of", "key"),
    [
        ('{column: Day, format: "%d.%m."}', "time.format"), ('{column: Day, format: "%Q %Y"}', "time.format"),
        ("{column: Day, zone: localtime}", "time.zone"), ("{column: Day, zone: posix/Europe/Berlin}", "time.zone"),
        ("{column: Day, zones: {CET: one}}", "time.zones.CET"), ('{column: Day, default: "soon"}', "time.default"),
        ("{column: Day, value: Day}", "time.column"), ('"soon"', "time"),
    ],
)  # fmt: skip
def test_a_time_that_cannot_be_read_is_refused_with_the_mapping(tmp_path: Path, time_of: str, key: str) -> None:
    (tmp_path / "mapping.yaml").write_text(COSTS.replace('time: "{Day}"', f"time: {time_of}"), encoding="utf-8")
    with pytest.raises(MappingError) as caught:
        load_mapping(tmp_path / "mapping.yaml")
    assert caught.value.key == f"files[0].events[0].{key}"
