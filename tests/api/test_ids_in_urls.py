"""Whatever is in an id, what it names can be reached over its path, and the links of its lists lead on."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

import httpx
import pytest

from tests.conftest import Api
from tests.support.sending import cost, event, invoice, lead, order

IDS = (
    "plain", "春", "Ärzte–Mailing", "a b", "100 %", "%41", "%2F", "a>b<c", "ü", "x\n", "\n", "a\r\nb", "a\u2028b", "\x85",
    "roi", "x/roi", "x/roi\n", "x/roi/entries", "roi/entries", "a/b", "/", "//", "/a", "a/", ".", "..", "../roi", "a/../b",
    "a?b=c", "?", "#", "a#b", "a&after=b", "a+b", "'\"", "a,b;c", '<x>; rel="next"', "\x01\x7f", "🎪" * 200, "-" * 200,
)  # fmt: skip


def escaped(identity: str) -> str:
    return quote(identity, safe="").replace(".", "%2E")


def every_page(http: httpx.Client, url: str, rows: str) -> list[dict[str, object]]:
    found: list[dict[str, object]] = []
    for _ in range(2 * len(IDS) + 1):
        answer = http.get(url)
        assert answer.status_code == 200, answer.text
        found += answer.json()[rows]
        if "next" not in answer.links:
            return found
        url = answer.links["next"]["url"]
    raise AssertionError("the links lead nowhere")


@pytest.fixture(scope="module")
def filled(module_api: Api) -> Api:
    for number, one in enumerate(IDS):
        module_api.post(
            event("campaign.registered", campaign_id=one, name=one),
            *(cost(f"{number}.{part}", one, f"{number + 1}.00") for part in range(2)),
            lead(one, one), event("opportunity.opened", opportunity_id=one, lead_ids=[one]),
            order(one, "5.00", opportunity_id=one), invoice(one, "5.00", order_id=one),
        )  # fmt: skip
    module_api.read("/v1/roi")
    return module_api


@pytest.mark.parametrize("identity", IDS)
def test_a_campaign_of_any_id_is_reached_over_its_path(filled: Api, identity: str) -> None:
    path = f"/v1/campaigns/{escaped(identity)}"
    assert filled.http.get(path).json()["name"] == identity
    for report in ("roi", "conversion", "velocity"):
        answer = filled.http.get(f"{path}/{report}")
        assert answer.status_code == 200, answer.text
        assert answer.json()["campaign_id"] == identity
    assert filled.http.get(f"{path}/roi").json()["actual_cost"] == f"{2 * (IDS.index(identity) + 1)}.00"
    entries = every_page(filled.http, f"{path}/roi/entries?measure=actual_cost&limit=1", "entries")
    assert [one["campaign_id"] for one in entries] == [identity, identity]
    query = {"measure": "actual_cost", "limit": 1, "campaign_id": identity}
    again = every_page(filled.http, str(httpx.URL("/v1/roi/entries", params=query)), "entries")
    assert again == entries


@pytest.mark.parametrize("identity", IDS)
@pytest.mark.parametrize("kind", ["lead", "opportunity", "order", "invoice"])
def test_a_journey_of_any_id_is_reached_over_its_path(filled: Api, kind: str, identity: str) -> None:
    answer = filled.http.get(f"/v1/journeys/{kind}/{escaped(identity)}")
    assert answer.status_code == 200, answer.text
    assert answer.json()["journey"] == {"kind": kind, "id": identity}
    assert len(answer.json()["events"]) == 4


def test_the_list_of_campaigns_leads_through_all_of_them(filled: Api) -> None:
    rows = every_page(filled.http, "/v1/campaigns?limit=1", "rows")
    assert [row["campaign_id"] for row in rows] == sorted(IDS)


def test_a_path_that_was_not_escaped_is_read_as_it_is_and_its_link_can_be_followed(filled: Api) -> None:
    assert filled.http.get("/v1/campaigns/a/b/roi").json()["campaign_id"] == "a/b"
    raw = httpx.URL("/v1/x").copy_with(raw_path=b"/v1/campaigns/a>b<c/roi/entries?measure=actual_cost&limit=1")
    first = filled.http.get(raw)
    assert len(every_page(filled.http, first.links["next"]["url"], "entries")) == 1


def test_a_list_that_has_filters_keeps_them_from_page_to_page(filled: Api) -> None:
    types: dict[str, Any] = {"type": ["lead.captured", "order.placed"], "limit": 7}
    answer = filled.http.get("/v1/events", params=types)
    found = {one["type"] for one in answer.json()}
    for _ in range(3):
        answer = filled.http.get(answer.links["next"]["url"])
        found |= {one["type"] for one in answer.json()}
    assert found == {"lead.captured", "order.placed"}


def test_what_waits_is_listed_page_by_page_whatever_its_ids_are(filled: Api) -> None:
    names = sorted(one for one in IDS if len(one) < 190)
    filled.post(*(invoice(f"waits {one}", "1.00", order_id=f"no {one}") for one in names))
    filled.read("/v1/roi")
    rows = every_page(filled.http, "/v1/pending-links?limit=2", "rows")
    assert sorted(str(row["to"]).removeprefix("order:no ") for row in rows) == names
