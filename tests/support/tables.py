"""Files and mappings as a marketer has them, and the events that they give."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, tzinfo
from pathlib import Path
from typing import Any

from service.intake.tabular import OpenTable, RowError, load_mapping, open_tables

COSTS = """
files:
  - file: "*.csv"
    source: /imports/costs
    events:
      - type: campaign.cost_booked
        id: "cost-{No}"
        time: "{Day}"
        data:
          cost_entry_id: "{No}"
          campaign_id: "{Campaign|slug}"
          amount: {amount: "{Net|decimal}", currency: EUR}
          cost_date: "{Day|date}"
"""
HEADER = "No,Day,Campaign,Net"


def opened(folder: Path, mapping: str, text: str | bytes, name: str = "costs.csv", zone: tzinfo = UTC) -> OpenTable:
    """Write a mapping and a file, and open the file by it."""
    (folder / "mapping.yaml").write_text(mapping, encoding="utf-8")
    (folder / name).write_bytes(text if isinstance(text, bytes) else text.encode())
    (table,) = open_tables(load_mapping(folder / "mapping.yaml"), folder / name, zone).tables
    return table


def read(table: OpenTable) -> tuple[list[dict[str, Any]], list[RowError]]:
    """Return the events that a file gives, and what is wrong with its rows."""
    errors: list[RowError] = []
    return [item.event for item in table.items(errors.append)], errors


def rows(*cells: str, header: str = HEADER, delimiter: str = ",", end: str = "\n") -> str:
    """Return the text of a file."""
    return "".join(line.replace(",", delimiter) + end for line in (header, *cells))


Changed = Callable[[str], str]


def with_field(field: str, template: str, mapping: str = COSTS) -> str:
    """Return a mapping whose event has one more field of data."""
    return mapping.replace("          cost_entry_id:", f"          {field}: {template}\n          cost_entry_id:")
