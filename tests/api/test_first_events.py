"""The first commands of the README work as they stand, on a machine where nothing has been yet, however slow that is."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from service import __version__
from tests.support import commands
from tests.support.ports import free_port

ROOT = Path(__file__).parents[2]
BIN = Path(sys.executable).parent
pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="the embedded server needs a POSIX system")


def environment(home: Path) -> dict[str, str]:
    return commands.environment(XDG_DATA_HOME=str(home), PATH=f"{BIN}:{os.environ['PATH']}")


def run(script: str, home: Path) -> str:
    script = f"trap 'kill $! && wait $!' EXIT\n{script}"
    done = subprocess.run(  # noqa: S603  the README's own commands
        ["/bin/bash", "-euc", script], check=True, capture_output=True, timeout=200, env=environment(home), cwd=home
    )
    return done.stdout.decode()


def test_the_first_events_of_the_readme_give_the_figure_that_it_names(tmp_path: Path) -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    block = re.search(r"## First events.*?```bash\n(.*?)```", readme, re.DOTALL)
    assert block is not None
    script = block[1].replace(". .venv/bin/activate\n", "").replace("8090", str(free_port()))
    said = run(script, tmp_path)
    assert '"last_position":5' in said
    assert '"margin":5.25' in said


def test_commands_wait_for_a_service_that_is_just_starting(tmp_path: Path) -> None:
    said = run(
        f"campaign-ledger serve --port {free_port()} &\n"
        "for _ in 1 2 3; do campaign-ledger ledgers list; done; campaign-ledger ledgers create acme",
        tmp_path,
    )
    assert "created ledger acme" in said


def test_the_version_can_be_asked() -> None:
    said = subprocess.run([str(BIN / "campaign-ledger"), "--version"], check=True, capture_output=True, text=True)  # noqa: S603
    assert said.stdout == f"campaign-ledger {__version__}\n"
