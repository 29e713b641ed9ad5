"""Each kind's page in docs/senders: its mappings are ones that the kind takes, and the overview names it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from service.intake.senders import KINDS

PAGES = Path("docs/senders")
_YAML = re.compile(r"^```yaml\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("kind", KINDS)
def test_a_mapping_on_a_page_is_one_that_the_kind_takes(kind: str) -> None:
    page = (PAGES / f"{kind}.md").read_text(encoding="utf-8").replace("<id>", "7dbba574-5f69-4167-a43e-fb975045de15")
    for block in _YAML.findall(page):
        KINDS[kind].check_mapping(yaml.safe_load(block))


@pytest.mark.parametrize("kind", KINDS)
def test_the_overview_names_each_kind_and_there_are_samples_of_it(kind: str) -> None:
    assert f"| `{kind}` |" in (PAGES / "README.md").read_text(encoding="utf-8")
    assert list((PAGES / "samples" / kind).iterdir())
