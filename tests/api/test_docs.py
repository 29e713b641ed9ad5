"""The commands of the documentation do what it says they do."""

from __future__ import annotations

import json
import os
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import Api

DOCS = Path(__file__).parents[2] / "docs"
_BLOCK = re.compile(r"^```(bash|json)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def holds(expected: Any, found: Any) -> bool:
    """Tell whether an answer has everything that the page shows of it; a list shows its first elements."""
    if isinstance(expected, dict):
        return isinstance(found, dict) and all(
            name in found and holds(one, found[name]) for name, one in expected.items()
        )
    if isinstance(expected, list):
        return isinstance(found, list) and len(found) >= len(expected) and all(map(holds, expected, found))
    return bool(expected == found)


@pytest.mark.parametrize("page", ["why-did-roi-fall.md"])
def test_a_walk_through_answers_what_its_page_shows(api: Api, page: str) -> None:
    blocks = _BLOCK.findall((DOCS / page).read_text(encoding="utf-8"))
    script = "\necho; echo '----'\n".join(text for kind, text in blocks if kind == "bash")
    done = subprocess.run(  # noqa: S603  the page's own commands, as its reader would run them
        ["/bin/bash", "-euc", script], check=True, capture_output=True, timeout=60,
        env={**os.environ, "URL": str(api.http.base_url).rstrip("/"), "KEY": api.key},
    )  # fmt: skip
    answers = [json.loads(one) for one in done.stdout.decode().split("----\n")]
    number, shown = -1, 0
    for kind, text in blocks:
        if kind == "bash":
            number += 1
        else:
            shown += 1
            assert holds(json.loads(text), answers[number]), (text, answers[number])
    assert shown > 0
