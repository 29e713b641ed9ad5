"""`zoho`: the channel's token, what notifications say and what is read back, totals without tax, converted leads."""

from __future__ import annotations

import json
from collections.abc import Mapping
from itertools import permutations
from typing import Any

import pytest

from service.intake.senders import KINDS
from service.intake.senders.contract import (
    Ignored,
    MalformedError,
    RejectedError,
    Source,
    Statement,
    UnavailableError,
    Wanted,
)
from service.intake.senders.zoho import api
from tests.support.kinds import NOW, asking, by_key, parts_of, posted, reason, translated
from tests.support.stories import zoho as story
from tests.support.stories.zoho import DEAL, INVOICE, LEAD, ORDER, RECORDS, TOKEN, items, note

KIND = KINDS["zoho"]


def source(name: str = "s", **mapping: Any) -> Source:
    checked = KIND.check_mapping({"api_url": "https://zoho.example", "accounts_url": "https://zoho.example", **mapping})
    return Source(name, KIND.name, "crm", (TOKEN,), checked)


def keyed(name: str, **mapping: Any) -> Source:
    return source(name, **mapping)._replace(credentials=story.CLIENT)


def read(at: Source, module: str, operation: str, ms: int, *ids: str, **values: Any) -> list[Any]:
    return parts_of(at, note(module, operation, ms, *ids, **values).body)


async def fetched(wanted: Wanted, at: Source, answer: Any = story.api) -> Any:
    async with asking(answer) as client:
        return await api.fetch(wanted, at, client)


async def read_back(at: Source, *told: tuple[str, str, int, str]) -> list[Statement]:
    """Return all that notifications give, with what is read back."""
    found: list[Statement] = []
    for module, operation, ms, identity in told:
        for part in read(at, module, operation, ms, identity):
            got = await fetched(part, at) if isinstance(part, Wanted) else part
            found += [one for one in (got if isinstance(got, list) else [got]) if isinstance(one, Statement)]
    return found


def test_only_a_notification_with_the_channels_token_is_taken() -> None:
    good = note("Deals", "delete", 1775037600733, "1").body
    KIND.verify(posted(good), source(), NOW)
    for wrong in (good.replace(TOKEN.encode(), b"another"), b"{}", b"[]", b"", b'{"token": 5}'):
        with pytest.raises(RejectedError):
            KIND.verify(posted(wrong), source(), NOW)


def test_without_credentials_only_what_a_notification_says_is_known() -> None:
    (made,) = read(
        source(), "Deals", "insert", 1772701201300, DEAL, Stage="Qualification", Amount=60000, Description="x"
    )
    assert isinstance(made, Statement)
    assert made.fields == {"Stage": "Qualification", "Amount": 60000, "Created_Time": "2026-03-05T09:00:01.300000Z"}
    assert "give credentials" in reason(read(source(), "Deals", "update", 1772701201300, DEAL, Description="x"))
    assert [type(one) for one in read(keyed("k"), "Deals", "update", 1772701201300, DEAL, Stage="x")] == [
        Statement,
        Wanted,
    ]


def test_each_of_several_records_is_read_back_once() -> None:
    wanted = read(keyed("k"), "Deals", "update", 1772701201300, DEAL, "7", DEAL)
    assert [one.url for one in wanted] == [f"https://zoho.example/crm/v8/Deals/{one}" for one in (DEAL, "7")]


async def test_a_converted_lead_is_read_back_and_tied_to_its_deal_in_whatever_order() -> None:
    at = keyed("converted", fields={"lead": {"campaign": "Fair"}})
    told = [("Leads", "insert", 1772443800512, LEAD), ("Deals", "insert", 1772701201300, DEAL)]
    for several in permutations(await read_back(at, *told)):
        leads, deals = by_key(translated(at, several, f"lead:{LEAD}")), by_key(translated(at, several, f"deal:{DEAL}"))
        assert leads["captured"].time == "2026-03-02T09:30:00Z"
        assert leads["captured"].data["campaign_id"] == "Spring Fair"
        assert (leads["qualified/sql"].time, leads["qualified/sql"].data["level"]) == ("2026-03-05T09:00:00Z", "sql")
        assert deals["opened"].data["lead_ids"] == [LEAD]
        assert deals["opened"].data["contact_ids"] == ["5725767000003000511"]


async def test_a_deal_names_its_lead_in_a_field_where_the_mapping_says_so() -> None:
    at = source(lead_field="Lead_Id")
    (made,) = read(at, "Deals", "insert", 1772701201300, DEAL, Lead_Id=LEAD, Stage="Qualification")
    assert by_key(translated(at, [made], f"deal:{DEAL}"))["opened"].data["lead_ids"] == [LEAD]


async def test_the_net_total_is_without_the_tax_of_the_whole_and_of_the_items() -> None:
    at = keyed("net")
    found = await read_back(
        at, ("Sales_Orders", "insert", 1775037900100, ORDER), ("Invoices", "insert", 1776672000250, INVOICE)
    )
    placed = by_key(translated(at, found, f"order:{ORDER}"))["placed"]
    assert placed.data["net_value"] == {"amount": "75000.50", "currency": "EUR"}
    assert (placed.data["opportunity_id"], placed.time) == (DEAL, "2026-04-01T10:05:00Z")
    posted = by_key(translated(at, found, f"invoice:{INVOICE}"))["posted"]
    assert posted.data["net_amount"] == {"amount": "50000.00", "currency": "EUR"}
    assert posted.data["tax"] == {"amount": "9500.00", "currency": "EUR"}
    assert (posted.data["order_id"], posted.data["posting_date"]) == (ORDER, "2026-04-20")


@pytest.mark.parametrize("changed", [{"Tax": None, "Invoiced_Items": []}, {"Grand_Total": None}])
async def test_an_amount_whose_tax_or_total_is_not_stated_waits(
    changed: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(RECORDS, ("Invoices", INVOICE), RECORDS["Invoices", INVOICE] | changed)
    at = keyed("waits")
    found = await read_back(at, ("Invoices", "insert", 1776672000250, INVOICE))
    assert "amount unknown" in reason(translated(at, found, f"invoice:{INVOICE}"))


async def test_a_draft_invoice_is_not_posted_and_a_cancelled_one_is_cancelled(monkeypatch: pytest.MonkeyPatch) -> None:
    at, seen = keyed("states"), []
    for day, status in enumerate(("Created", "Approved", "Cancelled"), 20):
        changed = {
            "Status": status,
            "Modified_Time": f"2026-04-{day}T10:00:00+02:00",
            "Invoiced_Items": items((100, 19)),
        }
        monkeypatch.setitem(
            RECORDS, ("Invoices", INVOICE), RECORDS["Invoices", INVOICE] | changed | {"Grand_Total": 119}
        )
        seen += await read_back(at, ("Invoices", "update", 1776672000250 + day, INVOICE))
    assert translated(at, seen[:1], f"invoice:{INVOICE}") == []
    for several in permutations(seen):
        assert list(by_key(translated(at, several, f"invoice:{INVOICE}"))) == ["posted", "cancelled"]


async def test_what_was_deleted_is_withdrawn_until_it_is_there_again() -> None:
    at = keyed("deleted")
    found = await read_back(at, ("Deals", "update", 1775037600733, DEAL))
    (gone,) = read(at, "Deals", "delete", 1775037000000, DEAL)  # before its last change
    assert isinstance(gone, Statement)
    assert "won/2026-04-01T10:00:00Z" in by_key(translated(at, [*found, gone], f"deal:{DEAL}"))
    (later,) = read(at, "Deals", "delete", 1775124000100, DEAL)
    assert translated(at, [*found, later], f"deal:{DEAL}") == []
    missing = await fetched(read(at, "Deals", "update", 1775124000200, "77")[0], at)
    assert isinstance(missing, Ignored)


async def test_a_token_that_is_refused_is_had_anew_once() -> None:
    asked: list[str] = []

    def answer(method: str, path: str, headers: Mapping[str, str], _: bytes) -> tuple[int, Any]:
        asked.append(path.partition("?")[0].rpartition("/")[2])
        if method == "POST":
            return 200, {"access_token": f"1000.{len(asked)}", "expires_in": 3600}
        return (200, {"data": [RECORDS["Deals", DEAL]]}) if headers["authorization"].endswith(".3") else (401, {})

    (wanted,) = read(keyed("refused"), "Deals", "update", 1775124000200, DEAL)
    one = await fetched(wanted, keyed("refused"), answer)
    assert isinstance(one[0], Statement)
    assert asked == ["token", DEAL, "token", DEAL]


@pytest.mark.parametrize(
    ("status", "value", "error"),
    [
        (401, {"code": "INVALID_TOKEN"}, UnavailableError), (403, {"code": "NO_PERMISSION"}, UnavailableError),
        (429, {}, UnavailableError), (500, {}, UnavailableError), (400, {"code": "INVALID_MODULE"}, MalformedError),
        (200, {"data": None}, MalformedError), (200, b"<html>", MalformedError),
    ],
)  # fmt: skip
async def test_an_api_that_does_not_answer_is_asked_later_and_one_that_refuses_says_why(
    status: int, value: Any, error: type[Exception]
) -> None:
    at = keyed(f"bad-{status}-{value}")

    def answer(method: str, path: str, headers: Mapping[str, str], body: bytes) -> tuple[int, Any]:
        return story.api(method, path, headers, body) if method == "POST" else (status, value)

    (wanted,) = read(at, "Deals", "update", 1775124000200, DEAL)
    with pytest.raises(error) as raised:
        await fetched(wanted, at, answer)
    assert not [one for one in (*story.CLIENT.values(), "1000.access") if one in str(raised.value)]


async def test_a_record_that_zoho_no_longer_knows_is_ignored() -> None:
    def answer(method: str, path: str, headers: Mapping[str, str], body: bytes) -> tuple[int, Any]:
        return story.api(method, path, headers, body) if method == "POST" else (400, {"code": "INVALID_DATA"})

    (wanted,) = read(keyed("unknown"), "Deals", "update", 1775124000200, DEAL)
    assert isinstance(await fetched(wanted, keyed("unknown"), answer), Ignored)


def test_what_is_no_notification_is_refused_and_what_is_of_another_module_ignored() -> None:
    for body in (
        b"{}",
        b'{"module": "Deals", "operation": "merge", "ids": ["1"]}',
        b'{"module": "Deals", "operation": "insert"}',
    ):
        with pytest.raises(MalformedError):
            parts_of(source(), body)
    (ignored,) = read(source(), "Contacts", "insert", 1772701201300, "1")
    assert isinstance(ignored, Ignored)
    body = json.loads(note("Deals", "delete", 1775037600733, "1").body) | {"module": {"api_name": "Deals", "id": "5"}}
    assert isinstance(parts_of(source(), body)[0], Statement)


async def test_no_personal_data_leaves_the_inbox() -> None:
    at = keyed("personal")
    found = await read_back(at, ("Leads", "insert", 1772443800512, LEAD), ("Deals", "insert", 1772701201300, DEAL))
    assert not [one for one in ("Nord", "ida@", "Anna", "Press") if one in repr([each.fields for each in found])]


@pytest.mark.parametrize(
    ("mapping", "problem"),
    [
        ({"api_url": "zohoapis.eu"}, "api_url: expected a URL"),
        ({"objects": {"Deals": "deal", "Projects": "deal"}}, "objects.(Deals|Projects): another module is deal"),
        ({"events": {"deal": {"x": "deal.won"}}}, "events.deal.x: expected one of"),
        ({"lead_fields": "x"}, "did you mean lead_field"),
    ],
)
def test_a_mapping_that_cannot_work_is_refused_by_name(mapping: dict[str, Any], problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        KIND.check_mapping(mapping)


def test_what_is_kept_of_a_notification_has_no_token() -> None:
    whole = note("Deals", "update", 1775037600733, DEAL, Stage="Closed Won", Amount=75000.5)
    kept = KIND.screened(posted(whole.body), source()).own
    assert kept is not None
    assert TOKEN.encode() not in kept
    assert parts_of(source(), kept) == parts_of(source(), whole.body)
    assert KIND.screened(posted(b"no JSON"), source()).own == b"no JSON"
