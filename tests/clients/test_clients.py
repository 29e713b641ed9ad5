"""Clients made of the description compile strictly, and post and read what a service that runs has."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import Api

HERE = Path(__file__).parent
PYTHON = HERE / ".venv/bin/python"
TOOLS = HERE / "node_modules/.bin"
EXPECTED = {
    "statuses": [201, 200, 207, 200],
    "problem": [422, "The event is not valid", "data.amount"],
    "roi": ["fair", "2026-03", "100.00", 1.5, "EUR"],
    "conversion": [1, 1],
    "velocity": 0,
    "flat": ["fair", "250.00", 1, 0],
    "entries": ["100.00", "campaign.cost_booked"],
    "moved": "100.00",
    "complete": 1,  # the event that was refused
    "lead": "LD-1",
    "refused": [404, 404],
}


def run(where: Path, *command: str | Path, **more: str) -> subprocess.CompletedProcess[str]:
    """Run a program in a folder."""
    done = subprocess.run(  # noqa: S603  the generators, compilers and what they made
        command, cwd=where, env={**os.environ, **more}, capture_output=True, text=True, timeout=240, check=False
    )
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    return done


def needed(*tools: Path) -> None:
    missing = [str(one.relative_to(HERE)) for one in tools if not one.exists()]
    if missing:
        pytest.skip(
            f"generators and compilers of clients are not installed ({', '.join(missing)}): "
            "`make clients` does that, where there is npm"
        )


def described(api: Api, where: Path) -> Path:
    """Write the description as the service has it."""
    path = where / "api.json"
    path.write_text(api.http.get("/openapi.json").text, encoding="utf-8")
    return path


def access(api: Api) -> dict[str, str]:
    return {"URL_OF_SERVICE": str(api.http.base_url).rstrip("/"), "KEY": api.key}


def test_clients_in_typescript_compile_strictly_and_work(open_api: Callable[..., Api], tmp_path: Path) -> None:
    needed(TOOLS / "openapi-typescript", TOOLS / "openapi-ts", TOOLS / "tsc")
    for name in ("by_fetch.ts", "by_hey.ts", "tsconfig.json"):
        shutil.copy(HERE / name, tmp_path)
    (tmp_path / "node_modules").symlink_to(HERE / "node_modules")
    fetch, hey = open_api(), open_api()
    description = described(fetch, tmp_path)
    run(tmp_path, TOOLS / "openapi-typescript", description, "-o", "schema.ts")
    run(tmp_path, TOOLS / "openapi-ts", "-i", description, "-o", "hey")
    run(tmp_path, TOOLS / "tsc")
    found: dict[str, Any] = json.loads(run(tmp_path, "node", "out/by_fetch.js", **access(fetch)).stdout)
    assert found == {**EXPECTED, "statuses": [*EXPECTED["statuses"], 200]}  # type: ignore[misc]  # and NDJSON
    assert json.loads(run(tmp_path, "node", "out/by_hey.js", **access(hey)).stdout) == EXPECTED


def test_a_client_in_python_is_typed_strictly_and_works(api: Api, tmp_path: Path) -> None:
    needed(PYTHON)
    description = described(api, tmp_path)
    (tmp_path / "config.yaml").write_text("post_hooks: []\n", encoding="utf-8")  # its formatting
    shutil.copy(HERE / "by_python.py", tmp_path)
    said = run(
        tmp_path, PYTHON.with_name("openapi-python-client"), "generate", "--path", description, "--meta", "none",
        "--output-path", "made", "--config", "config.yaml",
    )  # fmt: skip
    passed_over = [line for line in said.stderr.splitlines() if line.startswith(("WARNING", "ERROR"))]
    assert passed_over == [
        "WARNING parsing POST /v1/events within events.",  # NDJSON, which it cannot send
        "WARNING parsing POST /v1/hooks/{source_id} within senders.",  # whatever a sender posts
        "WARNING parsing POST /v1/hooks/{source_id}/{path_secret} within senders.",
    ]
    run(tmp_path, sys.executable, "-m", "mypy", "--strict", "--python-executable", PYTHON, "made", "by_python.py")
    assert json.loads(run(tmp_path, PYTHON, "by_python.py", **access(api)).stdout) == EXPECTED
