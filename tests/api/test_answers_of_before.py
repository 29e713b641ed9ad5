"""The three reports answer the demo's portfolio as the release before declared reports did, figure by figure and byte by byte.

`answers_of_before.json.gz` is what that release answered. `break_even_on` of rows has to be asked for since.
"""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from service.demo.portfolio import portfolio
from tests.conftest import Api

LEADS = 300
QUESTIONS = [
    f"/v1/{report}?{query}"
    for report in ("roi", "conversion", "velocity")
    for query in (
        "", "date_basis=cohort", "group_by=campaign,quarter", "group_by=month", "group_by=month&date_basis=cohort",
        "group_by=channel,year", "group_by=owner", "group_by=source,medium", "group_by=campaign_type", "group_by=channel",
        "from=2025-01-01&to=2025-07-01", "from=2025-01-10&to=2025-03-20&group_by=channel",
        "from=2025-01-10&to=2025-03-20&date_basis=cohort", "group_by=day&from=2025-03-01&to=2025-03-15", "campaign_id=",
        "as_of=900", "as_of=900&group_by=channel,month", "as_of=1500&date_basis=cohort&from=2024-09-03&to=2026-01-10",
    )
]  # fmt: skip
RECORDED = Path(__file__).parent / "answers_of_before.json.gz"


@pytest.fixture(scope="module")
def answers(module_api: Api) -> dict[str, Any]:
    last = module_api.post(*portfolio(leads=LEADS))["last_position"]
    module_api.http.get("/v1/roi", params={"min_position": last}).raise_for_status()
    return {question: _figures(module_api.http.get(question).raise_for_status().json()) for question in QUESTIONS}


def _figures(answer: dict[str, Any]) -> dict[str, Any]:
    return {name: answer[name] for name in ("rows", "total", "unconverted", "pending_links")}


@pytest.mark.parametrize("question", QUESTIONS)
def test_a_report_answers_as_before(answers: dict[str, Any], question: str) -> None:
    before = json.loads(gzip.decompress(RECORDED.read_bytes()))
    assert json.dumps(answers[question]) == json.dumps(before[question])
