"""Whatever a file or a mapping holds: events come out, or it is told what is wrong; nothing else ever happens."""

from __future__ import annotations

import tempfile
from pathlib import Path

import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from service.domain.events import read_event
from service.intake.tabular import MappingError, RowError, TabularError, load_mapping, open_tables

EXAMPLES = Path(__file__).parents[2] / "docs/examples"
FILES = [
    path for vendor in ("google-ads", "meta-ads", "linkedin-ads") for path in sorted((EXAMPLES / vendor).glob("*.csv"))
]
PIECES = [
    '"',
    ",",
    ";",
    "\t",
    "\n",
    "\r",
    "\r\n",
    "\x00",
    "\ufeff",
    "sep=;\n",
    "--",
    "1e9",
    "(5)",
    "{",
    "Total",
    "é",
    "9" * 400,
    "\ud7ff",
]
EDITS = st.lists(st.tuples(st.floats(0, 1), st.sampled_from(PIECES), st.integers(0, 30)), max_size=6)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.sampled_from(["", "{Day}", "{Day|date}", "{Cost|amount:1,5}", "{", "x"]),
    lambda inner: (
        st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from(["column", "all", "not", "x"]), inner, max_size=2)
    ),
    max_leaves=4,
)  # fmt: skip


def edited(data: bytes, edits: list[tuple[float, str, int]]) -> bytes:
    """Return a file of which pieces were cut out and others put in."""
    for where, piece, cut in edits:
        at = int(where * len(data))
        data = data[:at] + piece.encode("utf-8") + data[at + cut :]
    return data


def read_all(folder: Path, mapping: Path) -> None:
    """Read a folder; every event has to be valid, and every error has to name a file and a line."""
    errors: list[RowError] = []
    try:
        for table in open_tables(load_mapping(mapping), folder).tables:
            for item in table.items(errors.append):
                read_event(item.event)
    except MappingError:  # what is wrong with the mapping, or with a file as a whole
        pass
    assert all(error.file and error.line > 0 for error in errors)


@settings(deadline=None, max_examples=300)
@given(which=st.sampled_from(FILES), edits=EDITS)
def test_a_damaged_file_is_read_or_told(which: Path, edits: list[tuple[float, str, int]]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / which.name).write_bytes(edited(which.read_bytes(), edits))
        read_all(Path(folder), which.parent / "mapping.yaml")


@settings(deadline=None, max_examples=500)
@given(which=st.sampled_from(["google-ads", "meta-ads", "linkedin-ads"]), path=st.integers(0, 60), value=VALUES)
def test_a_damaged_mapping_is_read_or_told(which: str, path: int, value: object) -> None:
    mapping = yaml.safe_load((EXAMPLES / which / "mapping.yaml").read_text(encoding="utf-8"))
    places: list[tuple[object, object]] = []

    def walk(node: object) -> None:
        items = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
        for key, child in list(items):
            places.append((node, key))
            walk(child)

    walk(mapping)
    node, key = places[path % len(places)]
    node[key] = value  # type: ignore[index]  # a place that was walked through
    with tempfile.TemporaryDirectory() as folder:
        changed = Path(folder) / "mapping.yaml"
        changed.write_text(yaml.safe_dump(mapping), encoding="utf-8")
        try:
            read_all(EXAMPLES / which, changed)
        except TabularError as error:
            assert str(error)  # noqa: PT017  of either kind
