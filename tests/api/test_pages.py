"""Pages: the next one is told in the body and in `Link`, and all are as of the moment of the first."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from tests.conftest import Api
from tests.support.sending import cost, event, lead, money


def test_pages_of_entries_are_as_of_the_first_one(api: Api) -> None:
    api.post(*[cost(f"C-{number}", "fair", "10.00") for number in range(5)])
    page = api.read("/v1/roi/entries", measure="actual_cost", limit=2)
    found = list(page["entries"])
    while page["next"]:
        last = page
        api.post(cost(f"later-{len(found)}", "fair", "1.00"), event("campaign.cost_reversed", cost_entry_id="C-4"))
        api.read("/v1/roi")
        page = api.http.get(page["next"]).json()
        assert (page["as_of"], page["sum"], page["count"]) == (last["as_of"], "50.00", 5)
        found += page["entries"]
    assert [one["amount"] for one in found] == ["10.00"] * 5
    assert len({one["event"]["position"] for one in found}) == 5


@pytest.mark.parametrize(
    ("path", "rows", "all_of_them"),
    [
        ("/v1/campaigns?limit=1", "rows", 4), ("/v1/pending-links?limit=2", "rows", 3), ("/v1/events?limit=3", "", 11),
        ("/v1/flags?limit=1", "rows", 2), ("/v1/roi/entries?measure=actual_cost&limit=1", "entries", 5),
        ("/v1/restatement?from_as_of=1&measure=actual_cost&limit=1", "lines", 4), ("/v1/quarantine?limit=1", "items", 2),
    ],
)  # fmt: skip
def test_the_next_page_is_told_in_the_body_as_in_the_header(api: Api, path: str, rows: str, all_of_them: int) -> None:
    api.post(
        cost("C-1", "a", "1.00"), cost("C-2", "b", "1.00"), cost("C-3", "c", "1.00"), lead("L", "d"),
        *[event("campaign.cost_reversed", cost_entry_id=f"C-{one}", amount=money("9.00")) for one in (1, 2)],
        *[event("opportunity.opened", opportunity_id=f"O-{one}", lead_ids=["none"]) for one in range(3)],
        event("lead.qualified", lead_id="L"), event("lead.qualified", lead_id="L"),
    )  # fmt: skip
    for body in (b"[]", b"[1]"):
        api.http.post("/v1/events", content=body, headers={"Content-Type": "application/x-ndjson"})
    api.read("/v1/roi")
    found: list[Any] = []
    following: str | None = path
    while following:
        answer = api.http.get(following)
        assert answer.status_code == 200, answer.text
        told = answer.json()
        following = answer.links.get("next", {}).get("url")
        found += told[rows] if rows else told
        if rows:
            assert told["next"] == following
        if following and rows not in ("", "items"):
            assert parse_qs(urlsplit(following).query).keys() & {"as_of", "to_as_of"}
    assert len(found) == all_of_them
