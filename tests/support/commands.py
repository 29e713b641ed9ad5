"""The command line, in processes of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable

COMMAND = (sys.executable, "-m", "service.cli")
Ran = subprocess.CompletedProcess[str]
Run = Callable[..., Ran]


def environment(**settings: str) -> dict[str, str]:
    """Return the environment that the tests have, with these settings and none of ours besides."""
    return {name: value for name, value in os.environ.items() if not name.startswith("CAMPAIGN_LEDGER_")} | settings


def call(*arguments: str, **settings: str) -> Ran:
    """Run a command to its end, with these settings."""
    return subprocess.run(  # noqa: S603  the command itself
        [*COMMAND, *arguments], env=environment(**settings), capture_output=True, text=True, timeout=300, check=False
    )


def good(ran: Ran) -> str:
    """Return what a command printed that did well."""
    assert ran.returncode == 0, ran.stderr
    return ran.stdout


def refused(ran: Ran) -> str:
    """Return the one line of an expected error."""
    assert ran.returncode == 1
    assert ran.stderr.startswith("campaign-ledger: ")
    assert ran.stderr.count("\n") == 1, ran.stderr
    return ran.stderr
