"""Each kind is in the overview of docs/senders, and has samples there."""

from __future__ import annotations

from pathlib import Path

import pytest

from service.intake.senders import KINDS

PAGES = Path("docs/senders")


@pytest.mark.parametrize("kind", KINDS)
def test_the_overview_names_each_kind_and_there_are_samples_of_it(kind: str) -> None:
    assert f"| `{kind}` | " in (PAGES / "README.md").read_text(encoding="utf-8")
    assert (PAGES / f"{kind}.md").exists()
    assert list((PAGES / "samples" / kind).iterdir())
