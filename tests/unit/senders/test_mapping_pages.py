"""The pages of the senders: the mappings that they show are taken, and what they call usual is."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from service.intake.senders import KINDS
from tests.support.stories.generic import MAPPING

PAGES = Path("docs/senders")
_YAML = re.compile(r"^```ya?ml\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def blocks(page: str) -> list[str]:
    return _YAML.findall((PAGES / f"{page}.md").read_text(encoding="utf-8"))


def needed(kind: str) -> dict[str, object]:
    """Return what a mapping of a kind has to have, beside what a page shows of it."""
    return {name: MAPPING[name] for name in ("record", "at", "events")} if kind == "generic" else {}


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_a_mapping_that_a_page_shows_is_taken(kind: str) -> None:
    for block in blocks(kind):
        shown = block.replace("<tenant>", "contoso").replace("<environment>", "production")
        shown = shown.replace("<id>", "11111111-2222-3333-4444-555555555555")
        KINDS[kind].check_mapping({**needed(kind), **yaml.safe_load(shown)})


def test_every_way_of_authentication_that_the_first_page_shows_is_taken() -> None:
    lines = [line for block in blocks("README") for line in block.splitlines() if line.startswith("authentication")]
    schemes = {
        KINDS["generic"].check_mapping({**needed("generic"), **yaml.safe_load(line)})["authentication"]["scheme"]
        for line in lines
    }
    assert {"standard-webhooks", "hmac", "basic", "bearer", "token", "message-signature"} <= schemes


def test_the_usual_columns_of_dataverse_are_on_its_page() -> None:
    page = (PAGES / "dataverse.md").read_text(encoding="utf-8")
    columns = KINDS["dataverse"].check_mapping({})["columns"]
    for table, names in columns.items():
        rows = [line.partition("|")[2] for line in page.splitlines() if line.startswith(f"| `{table}` |")]
        shown = [set(re.findall(r"`(\w+)`", row.partition("|")[2])) for row in rows]
        assert {one for one in names.values() if one} in shown, table


def test_every_kind_is_in_the_list_of_the_first_page() -> None:
    first = (PAGES / "README.md").read_text(encoding="utf-8")
    assert {kind for kind in KINDS if f"| `{kind}` |" not in first} == set()
