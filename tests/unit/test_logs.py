"""Every line of the log is a JSON object, whoever writes it."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import pytest

_WRITE = """
import logging
from service import telemetry
telemetry.configure_logs("{level}")
telemetry.configure_logs("{level}")
try:
    1 / 0
except ZeroDivisionError:
    logging.getLogger("uvicorn.error").exception("Exception in ASGI application\\n")
logging.getLogger("uvicorn.error").warning("Invalid HTTP request received from %s.", "somebody")
logging.getLogger("asyncio").error("100%", "does not fit")
logging.getLogger("httpx").info("https://api.example.com/?token=secret")
telemetry.logger("service").info("listening")
if telemetry.tells_requests():
    telemetry.tell_request(method="GET", path="/livez", status=200)
"""


def written(level: str) -> list[dict[str, Any]]:
    program = [sys.executable, "-c", _WRITE.format(level=level)]
    done = subprocess.run(program, check=True, capture_output=True, text=True)  # noqa: S603  the one above
    return [json.loads(line) for line in done.stderr.splitlines()]


def test_lines_of_libraries_have_the_form_of_all_others() -> None:
    lines = written("INFO")
    assert [(one["part"], one["level"], one["event"]) for one in lines] == [
        ("uvicorn.error", "error", "Exception in ASGI application"),
        ("uvicorn.error", "warning", "Invalid HTTP request received from somebody."),
        ("asyncio", "error", "100%"), ("service", "info", "listening"), ("access", "info", "request"),
    ]  # fmt: skip
    assert "ZeroDivisionError" in lines[0]["exception"]
    assert {"timestamp"} <= set.intersection(*map(set, lines))


@pytest.mark.parametrize(("level", "count"), [("WARNING", 3), ("ERROR", 2)])
def test_a_level_leaves_out_what_is_below_it(level: str, count: int) -> None:
    assert len(written(level)) == count
