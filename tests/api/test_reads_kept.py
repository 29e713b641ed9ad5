"""A read asked again is answered from memory, with the same bytes, and never when something may have changed them.

Tests change a stored balance behind the service's back: whoever still gets the amount before that was answered from memory.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import asyncpg
import httpx
import pytest

from service.domain.contributions import LAYOUT
from service.store import ledgers
from tests.conftest import OPERATOR, Api, Running, start_service, stop_service
from tests.support.sending import cost, event, invoice, lead, order

FORGED = 1_000_000
# Every read that is kept, and the same question in other words.
QUESTIONS = (
    ("/v1/roi", "/v1/roi?date_basis=event"),
    ("/v1/conversion?now=2026-04-01T00:00:00Z", "/v1/conversion?now=2026-04-01T00:00:00Z&min_position=1"),
    ("/v1/reports/calls", "/v1/reports/calls?group_by=owner"),
    ("/v1/velocity?from=2026-01-01&to=2027-01-01", "/v1/velocity?to=2027-01-01&from=2026-01-01"),
    ("/v1/roi?against_as_of=3", "/v1/roi?against_as_of=3&min_position=1"),
    ("/v1/campaigns/c/roi?as_of=4", "/v1/campaigns/c/roi?as_of=4&date_basis=event"),
    ("/v1/roi?as_of=999", "/v1/roi?as_of=998"),
    ("/v1/campaigns?limit=100", "/v1/campaigns"),
    ("/v1/campaigns/c", "/v1/campaigns/c?min_position=1"),
    ("/v1/roi/entries?measure=actual_cost", "/v1/roi/entries?measure=actual_cost&limit=100"),
    ("/v1/restatement?from_as_of=2", "/v1/restatement?from_as_of=2&min_position=1"),
    ("/v1/pending-links", "/v1/pending-links?limit=100"),
    ("/v1/flags", "/v1/flags?limit=100"),
)


def spent(answer: httpx.Response) -> str:
    assert answer.status_code == 200, answer.text
    return str(answer.json()["total"]["actual_cost"])


_OF_THE_REQUEST = ("date", "x-request-id", "ratelimit-remaining", "ratelimit-reset")


def headers_of(answer: httpx.Response) -> list[tuple[str, str]]:
    return sorted((name, value) for name, value in answer.headers.items() if name not in _OF_THE_REQUEST)


@pytest.fixture
def forge(dsn: str) -> Callable[[Api, str], None]:
    """Run a statement about a ledger, $1, behind the service's back, once all its balances are made."""

    def run(api: Api, statement: str) -> None:
        async def execute() -> None:
            connection = await asyncpg.connect(dsn)
            behind = "SELECT true FROM generations WHERE ledger = $1 AND state = 'serving' AND settled < checkpoint"
            while await connection.fetchval(behind, api.ledger.ledger):  # noqa: ASYNC110  a worker makes them
                await asyncio.sleep(0.01)
            await connection.execute(statement, api.ledger.ledger)
            await connection.close()

        asyncio.run(execute())

    return run


COST = LAYOUT.column("actual_cost")
COST_MORE = f"UPDATE balances SET {COST} = {COST} + {FORGED} WHERE ledger = $1"


def told(api: Api) -> None:
    """Post six events, and wait until they are in the figures."""
    api.post(
        lead("L", "c"), cost("C", "c", "5.00"), event("opportunity.opened", opportunity_id="P", lead_ids=["L"]),
        order("O", "9.00", opportunity_id="P"), order("W", "1.00", opportunity_id="none"),
    )  # fmt: skip
    api.post(invoice("I", "9.00", order_id="O"))
    api.read("/v1/roi")


@pytest.mark.parametrize(("path", "otherwise"), QUESTIONS)
def test_what_is_answered_again_is_what_would_be_worked_out_again(api: Api, path: str, otherwise: str) -> None:
    told(api)
    first, again, afresh = api.http.get(path), api.http.get(path), api.http.get(otherwise)
    assert (first.status_code, first.content) == (200, again.content)
    assert headers_of(first) == headers_of(again) == headers_of(afresh)
    assert afresh.content == first.content


@pytest.mark.parametrize("path", ["/v1/roi", "/v1/campaigns/c/roi", "/v1/roi?as_of=5", "/v1/roi?min_position=6"])
def test_an_answer_comes_from_memory_until_the_read_models_have_another_revision(
    api: Api, forge: Callable[[Api, str], None], path: str
) -> None:
    told(api)
    before = api.http.get(path)
    forge(api, COST_MORE)
    assert api.http.get(path).content == before.content
    assert api.http.get(f"{path}{'&' if '?' in path else '?'}date_basis=event").content != before.content
    forge(api, "UPDATE generations SET revision = revision + 1 WHERE ledger = $1")  # as a retry does
    after = api.http.get(path, headers={"If-None-Match": before.headers["etag"]})
    assert after.status_code == 200
    assert after.content != before.content
    assert api.http.get(path).content == after.content


def test_an_event_ends_the_answers_of_now_and_no_others(api: Api, forge: Callable[[Api, str], None]) -> None:
    told(api)
    then, last = (api.http.get(f"/v1/events/{number}").json()["recorded_at"] for number in (5, 6))
    fixed = ("/v1/roi?as_of=5", f"/v1/roi?as_of={then}", f"/v1/roi?as_of={last}&date_basis=event")
    now = ("/v1/roi", "/v1/roi?as_of=7", "/v1/roi?as_of=2099-01-01T00:00:00Z", "/v1/roi?as_of=6")
    for path in (*fixed, *now):
        assert spent(api.http.get(path)) == "5.00"
    api.post(lead("M"))
    api.read("/v1/roi", date_basis="cohort")
    for path in fixed:
        assert spent(api.http.get(path)) == "5.00"  # worked out now that there is an event after it, and kept
    forge(api, COST_MORE)
    for path in fixed:
        assert spent(api.http.get(path)) == "5.00"
        assert api.http.get(path).json()["as_of"]["position"] == (6 if last in path else 5)
    for path in now:
        answer = api.http.get(path)
        assert spent(answer) == "10005.00"
        assert answer.json()["as_of"]["position"] == (6 if path.endswith("=6") else 7)


def test_an_answer_beyond_the_log_does_not_outlive_the_position_it_was_given_at(api: Api) -> None:
    told(api)
    for number in range(7, 11):
        ahead = api.http.get("/v1/roi?as_of=9")
        assert ahead.json()["as_of"]["position"] == min(number - 1, 9)
        assert api.http.get("/v1/roi?as_of=9").content == ahead.content
        api.post(cost(f"C{number}", "c", "1.00"))
        api.read("/v1/conversion")
    assert spent(api.http.get("/v1/roi?as_of=9")) == "8.00"


def test_a_rebuild_that_takes_over_ends_all_answers(api: Api, forge: Callable[[Api, str], None]) -> None:
    told(api)
    forge(api, COST_MORE)
    wrong = {path: api.http.get(path) for path in ("/v1/roi", "/v1/roi?as_of=5")}
    assert {spent(answer) for answer in wrong.values()} == {"10005.00"}
    assert api.http.post("/v1/rebuilds", json={"apply": True}).status_code == 202
    deadline = time.monotonic() + 60
    while api.http.get("/v1/generations").json()["items"][-1]["state"] != "serving":
        assert time.monotonic() < deadline
        time.sleep(0.02)
    for path, before in wrong.items():
        after = api.http.get(path, headers={"If-None-Match": before.headers["etag"]})
        assert spent(after) == "5.00"


def test_ledgers_do_not_share_answers(open_api: Callable[..., Api]) -> None:
    one, other = open_api(), open_api()
    one.post(cost("C", "c", "1.00"))
    other.post(cost("C", "c", "2.00"))
    for api in (one, other):
        api.read("/v1/conversion")
    for _ in range(3):
        assert [spent(api.http.get("/v1/roi")) for api in (one, other)] == ["1.00", "2.00"]


async def test_an_answer_is_for_keys_that_may_read_and_not_for_a_revoked_one(
    api: Api, pool: asyncpg.Pool, service_url: str
) -> None:
    told(api)
    reader, sender = [await ledgers.create_key(pool, api.ledger, (scope,)) for scope in ("read", "ingest")]

    def asked(key: str) -> int:
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        return httpx.get(f"{service_url}/v1/roi", headers=headers).status_code

    for _ in range(3):
        assert [asked(key) for key in (reader, sender, "cl_unknown", "")] == [200, 403, 401, 401]
    key_id = next(one.key_id for one in await ledgers.keys(pool, api.ledger) if one.scopes == ("read",))
    assert await ledgers.revoke_key(pool, key_id)
    deadline = time.monotonic() + 6
    while asked(reader) != 401:
        assert time.monotonic() < deadline
        await asyncio.sleep(0.1)


def test_who_has_the_answer_is_told_so_the_first_time_and_again(api: Api) -> None:
    told(api)
    path = "/v1/roi/entries?measure=actual_cost&limit=1"
    api.post(cost("D", "c", "1.00"))
    api.read("/v1/conversion")
    tag = api.http.get("/v1/roi").headers["etag"]
    first = api.http.get(path, headers={"If-None-Match": tag})
    again = api.http.get(path, headers={"If-None-Match": tag})
    assert (first.status_code, first.content, again.status_code, again.content) == (304, b"", 304, b"")
    assert headers_of(first) == headers_of(again)
    assert again.links["next"]["url"] == api.http.get(path).links["next"]["url"]
    for wanted, status in (("*", 304), (f'"x", {tag}', 304), (tag.removeprefix("W/"), 304), ('W/"x"', 200), ("", 200)):
        assert api.http.get(path, headers={"If-None-Match": wanted}).status_code == status, wanted


def test_other_methods_and_parameters_are_not_answered_from_memory(api: Api) -> None:
    told(api)
    for _ in range(2):
        assert api.http.get("/v1/roi").status_code == 200
        assert api.http.head("/v1/roi").status_code == 200
        assert api.http.post("/v1/roi").status_code == 405
        assert api.http.get("/v1/roi?form=2026-01-01").status_code == 422
        assert api.http.get("/v1/roi?min_position=7x").status_code == 422
        assert api.http.get("/v1/campaigns/none/roi").status_code == 404
    assert api.http.get("/v1/completeness").status_code == 200


def test_answers_are_counted_wherever_they_come_from(api: Api) -> None:
    told(api)

    def counted(status: int) -> float:
        name = f'campaign_ledger_http_requests_total{{status="{status}"}} '
        answer = api.http.get("/metrics", headers={"Authorization": f"Bearer {OPERATOR}"})
        lines = answer.text.splitlines()
        return next((float(one.removeprefix(name)) for one in lines if one.startswith(name)), 0.0)

    tag = api.http.get("/v1/roi").headers["etag"]
    before, unchanged = counted(200), counted(304)
    for _ in range(5):
        api.http.get("/v1/roi")
        api.http.get("/v1/roi", headers={"If-None-Match": tag})
    assert counted(200) - before >= 5
    assert counted(304) - unchanged == 5


@pytest.fixture
def for_pages(dsn: str, tmp_path: Path) -> Iterator[Running]:
    """A service whose answers pages of another origin may read."""
    environment = {
        "CAMPAIGN_LEDGER_DATABASE_URL": dsn,
        "CAMPAIGN_LEDGER_CORS_ORIGINS": '["https://page.example"]',
        "CAMPAIGN_LEDGER_KEY_RATE_PER_MINUTE": "60",
    }
    running = start_service(["--no-projector"], environment, tmp_path / "log")
    yield running
    stop_service(running)


def test_answers_from_memory_say_who_may_read_them_and_count_for_a_key_s_rate(api: Api, for_pages: Running) -> None:
    told(api)
    headers = {"Authorization": f"Bearer {api.key}", "Origin": "https://page.example"}
    with httpx.Client(base_url=for_pages.url, headers=headers) as http:
        first, *later = [http.get("/v1/roi") for _ in range(4)]
        assert first.headers["access-control-allow-origin"] == "https://page.example"
        assert {"authorization", "origin"} <= {one.strip().lower() for one in first.headers["vary"].split(",")}
        assert all(headers_of(one) == headers_of(first) and one.content == first.content for one in later)
        asked = {"Access-Control-Request-Method": "GET", "Access-Control-Request-Headers": "Authorization"}
        assert http.options("/v1/roi", headers=asked).status_code == 200
        answers = [http.get("/v1/roi") for _ in range(200)]
        refused = next(one for one in answers if one.status_code == 429)
        assert refused.headers["access-control-allow-origin"] == "https://page.example"
        assert int(refused.headers["retry-after"]) >= 1
