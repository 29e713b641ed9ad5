"""`exact-online`: the hash in the body, what is read back page by page, wall clocks, orders, invoices, credit notes, costs."""

from __future__ import annotations

import json
from collections.abc import Mapping
from itertools import permutations
from typing import Any

import pytest

from service.intake.senders import KINDS
from service.intake.senders.contract import (
    Draft,
    Ignored,
    MalformedError,
    RejectedError,
    Renewal,
    Source,
    Statement,
    UnavailableError,
    Waiting,
    Wanted,
)
from service.intake.senders.exact_online import api
from service.intake.senders.exact_online.rules import wall_clock
from tests.support.kinds import NOW, asking, by_key, parts_of, posted, reason, translated
from tests.support.senders_api import Answer
from tests.support.stories import exact_online as story
from tests.support.stories.exact_online import (
    CREDIT,
    INVOICE,
    ORDER,
    RECORDS,
    SECRET,
    STAND,
    document,
    invoice,
    line,
    order,
    told,
)

KIND = KINDS["exact-online"]
USUAL = {"campaigns": {"FAIR26": "fair-2026"}, "cost_accounts": ["45"], "api_url": "https://exact.example"}


def source(name: str = "s", **mapping: Any) -> Source:
    kept: dict[str, str] = dict(story.CLIENT)

    async def renew(renewed: Renewal) -> Mapping[str, str]:
        kept.update(await renewed(dict(kept)))
        return kept

    checked = KIND.check_mapping({**USUAL, **mapping})
    return Source(name, KIND.name, "erp", ("new", SECRET), checked, credentials=kept, renew=renew)


def read(at: Source, *message: Any, **more: Any) -> list[Any]:
    return parts_of(at, told(*message, **more).body)


async def fetched(wanted: Wanted, at: Source, answer: Answer = story.api) -> Any:
    def answered(*asked: Any) -> tuple[int, Any]:
        status, value = answer(*asked)
        return status, value if isinstance(value, bytes) else json.dumps(value).replace("http:", "https:").encode()

    async with asking(answered) as client:
        return await api.fetch(wanted, at, client)


async def states(
    monkeypatch: pytest.MonkeyPatch, at: Source, topic: str, key: str, *versions: list[dict[str, Any]]
) -> list[Statement]:  # fmt: skip
    """Return what is read back while a record stands so, one after another."""
    found = []
    for number, rows in enumerate(versions):
        monkeypatch.setitem(RECORDS, key, rows)
        (wanted,) = read(at, topic, "Update", key, f"2026-05-30T10:00:{number:02}")
        found.append(await fetched(wanted, at))
    assert all(isinstance(one, Statement) for one in found)
    return found


def test_the_hash_is_that_of_the_content_as_it_stands_in_the_body() -> None:
    # `printf '{"Topic": "Items", "Key":1}' | openssl dgst -sha256 -hmac "$SECRET"`, in capitals; blanks count.
    proof = "36D4DCAB669F545DCE7FF571DF8D4B890696CA19599F21DFA601680F814B3C4F"
    body = b'{"Content":{"Topic": "Items", "Key":1},"HashCode":"%b"}' % proof.encode()
    KIND.verify(posted(body), source(), NOW)
    good = told("SalesOrders", "Update", ORDER, "2026-04-01T12:05:03").body
    KIND.verify(posted(good), source(), NOW)
    KIND.verify(posted(b" " + good.replace(b',"HashCode"', b' , "HashCode"')), source(), NOW)
    for wrong in (
        good.replace(b"Update", b"Delete"), good.replace(b'"Division":', b'"Division": '),
        body.replace(b'": ', b'":'), b"", b"{}",
        b"[]", b'{"Content":{},"HashCode":5}', b"[" * 10_000,
    ):  # fmt: skip
        with pytest.raises(RejectedError):
            KIND.verify(posted(wrong), source(), NOW)


def test_the_empty_post_that_tries_a_new_subscription_is_answered() -> None:
    reply = KIND.handshake(posted(b""), source())
    assert reply is not None
    assert reply.status == 200
    assert KIND.handshake(posted(b"{}"), source()) is None


@pytest.mark.parametrize(
    ("written", "instant"),
    [
        ("/Date(1775044800000)/", "2026-04-01T10:00:00Z"),  # 12:00 by the clock, in summer
        ("/Date(1767268800500)/", "2026-01-01T11:00:00.500000Z"),
        ("2026-04-01T12:00:00", "2026-04-01T10:00:00Z"), ("2026-04-01T12:00:00Z", "2026-04-01T12:00:00Z"), (None, None),
    ],
)  # fmt: skip
def test_times_are_those_of_the_clock_in_amsterdam(written: str | None, instant: str | None) -> None:
    assert wall_clock(written, "Modified", "Europe/Amsterdam") == instant
    with pytest.raises(MalformedError):
        wall_clock("/Date(x)/", "Modified", "Europe/Amsterdam")


def test_a_message_is_read_back_from_where_the_mapping_says() -> None:
    (wanted,) = read(
        source(),
        "SalesInvoices",
        "Update",
        INVOICE,
        "2026-04-20T10:00:05.41",
        ExactOnlineEndpoint="https://evil.example",
    )
    assert isinstance(wanted, Wanted)
    assert wanted.at == "2026-04-20T08:00:05.410000Z"
    assert wanted.url.startswith(
        "https://exact.example/api/v1/3117420/salesinvoice/SalesInvoices?$filter=InvoiceID%20eq%20guid"
    )
    assert "$expand=SalesInvoiceLines" in wanted.url


async def test_an_order_is_placed_amended_and_cancelled_in_whatever_order_it_is_read(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    at = source("orders", opportunity="YourRef")
    found = await states(
        monkeypatch, at, "SalesOrders", ORDER,
        [order(1101, "2026-04-01T12:05:00", 70000.0, YourRef="O-7", ApprovalStatus=0)],
        [order(1101, "2026-04-02T12:05:00", 75000.0, YourRef="O-7", Created=story.at("2026-04-01T12:05:00"),
               OrderDate=story.at("2026-04-01"))],
        [order(1101, "2026-04-03T12:05:00", 80000.5, YourRef="O-7", Created=story.at("2026-04-01T12:05:00"),
               OrderDate=story.at("2026-04-01"), status=20)],
        [order(1101, "2026-04-04T12:05:00", 80000.5, YourRef="O-7", Created=story.at("2026-04-01T12:05:00"),
               OrderDate=story.at("2026-04-01"), status=45)],
    )  # fmt: skip
    assert translated(at, found[:1]) == []  # not approved
    for several in permutations(found):
        made = by_key(translated(at, several))
        assert made["placed"] == Draft("placed", "order.placed", "2026-04-01T10:05:00Z", {
            "order_id": "1101", "net_value": {"amount": "75000.00", "currency": "EUR"}, "account_id": story.ACCOUNT,
            "campaign_id": "fair-2026", "opportunity_id": "O-7",
        })  # fmt: skip
        assert made["amended/2026-04-03T10:05:00Z"].data["net_value"]["amount"] == "80000.50"
        assert made["cancelled"].time == "2026-04-04T10:05:00Z"


async def test_lines_of_different_campaigns_name_none(monkeypatch: pytest.MonkeyPatch) -> None:
    at = source("lines")
    two = order(1101, "2026-04-01T12:05:00", 1.0)
    two["lines"] = [{"CostUnit": "FAIR26"}, {"CostUnit": "OTHER"}]
    (one,) = await states(monkeypatch, at, "SalesOrders", ORDER, [two])
    assert "campaign_id" not in by_key(translated(at, [one]))["placed"].data
    by_channel = source("lines2", campaign_field="SalesChannelCode")
    (one,) = await states(monkeypatch, by_channel, "SalesOrders", ORDER, [{**two, "SalesChannelCode": " WEB "}])
    assert by_key(translated(by_channel, [one]))["placed"].data["campaign_id"] == "WEB"


async def test_an_invoice_is_posted_once_it_is_processed_on_its_date(monkeypatch: pytest.MonkeyPatch) -> None:
    at = source("invoices")
    dated = {"InvoiceDate": story.at("2026-04-22")}
    rows = [
        invoice(26700001, f"2026-04-2{day}T23:30:00", 75000.0, 8020, status=status) | dated
        for day, status in ((0, 20), (2, 50))
    ]
    found = await states(monkeypatch, at, "SalesInvoices", INVOICE, *([one] for one in rows))
    assert translated(at, found[:1]) == []
    for several in permutations(found):
        assert by_key(translated(at, several))["posted"] == Draft("posted", "invoice.posted", "2026-04-22T21:30:00Z", {
            "invoice_id": "26700001", "net_amount": {"amount": "75000.00", "currency": "EUR"}, "posting_date": "2026-04-22",
            "order_id": "1101", "account_id": story.ACCOUNT, "due_date": "2026-06-01",
            "tax": {"amount": "15750.00", "currency": "EUR"},
        })  # fmt: skip


async def test_a_credit_note_credits_the_invoice_that_it_names_or_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    at = source("credits")
    (named,) = await states(monkeypatch, at, "SalesInvoices", CREDIT, RECORDS[CREDIT])
    assert by_key(translated(at, [named]))["credited"].data == {
        "credit_note_id": "26700003", "invoice_id": "26700001", "net_amount": {"amount": "10000.00", "currency": "EUR"},
        "posting_date": "2026-05-04",
    }  # fmt: skip
    (alone,) = await states(
        monkeypatch, at, "SalesInvoices", CREDIT, [invoice(26700003, "2026-05-04T10:00:00", -1.0, 8024)]
    )
    assert "YourRef" in reason(translated(at, [alone]))


@pytest.mark.parametrize("missing", [{"AmountFCExclVat": None}, {"Currency": None}, {"InvoiceNumber": None}])
async def test_what_is_not_stated_waits(missing: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    at = source(f"missing-{next(iter(missing))}")
    one = invoice(26700001, "2026-04-20T10:00:00", 1.0, 8020) | missing
    (waiting,) = translated(at, await states(monkeypatch, at, "SalesInvoices", INVOICE, [one]))
    assert isinstance(waiting, Waiting)


async def test_an_entry_books_per_campaign_what_stands_on_the_accounts_of_costs() -> None:
    at = source("entries")
    (wanted,) = read(at, "FinancialTransactions", "Create", STAND, "2026-03-02T09:00:01.2")
    one = await fetched(wanted, at)
    booked = {key: draft.data["amount"]["amount"] for key, draft in by_key(translated(at, [one])).items()}
    assert booked == {"booked/OTHER": "250.00", "booked/fair-2026": "12000.00"}
    assert by_key(translated(at, [one]))["booked/fair-2026"].data["cost_date"] == "2026-03-02"
    assert "cost_accounts" in reason(
        read(source(cost_accounts=[]), "FinancialTransactions", "Create", STAND, "2026-03-02T09:00:01.2")
    )


async def test_balances_are_no_costs_and_an_entry_below_zero_is_listed(monkeypatch: pytest.MonkeyPatch) -> None:
    at = source("balances")
    rows = [line("4510", 100, "FAIR26", "2026-01-01", kind=one) for one in (10, 310, 3000)]
    found = await states(
        monkeypatch, at, "FinancialTransactions", STAND, [*rows, line("4510", -100, "FAIR26", "2026-01-01", kind=31)]
    )
    assert "below zero" in reason(translated(at, found))


def test_what_was_deleted_is_no_more() -> None:
    (gone,) = read(source(), "SalesOrders", "Delete", ORDER, "2026-04-02T08:00:00.9")
    assert translated(source(), [gone]) == []


def test_what_is_of_another_division_or_topic_is_ignored_and_what_is_no_message_refused() -> None:
    for parts in (
        read(source(division="1"), "SalesOrders", "Update", ORDER, "x"),
        read(source(), "Accounts", "Update", ORDER, "x"),
    ):
        assert isinstance(parts[0], Ignored)
    for message in (("SalesOrders", "Merge", ORDER), ("SalesOrders", "Update", "x' or '1")):
        with pytest.raises(MalformedError):
            read(source(), *message, "2026-04-02T08:00:00.9")
    with pytest.raises(MalformedError):
        parts_of(source(), b'{"Content": 1}')


@pytest.mark.parametrize(
    ("status", "value", "error"),
    [
        (401, {}, UnavailableError), (403, {}, UnavailableError), (429, {}, UnavailableError), (500, {}, UnavailableError),
        (404, {}, MalformedError), (200, b"<html>", MalformedError), (200, {"d": 5}, MalformedError),
        (200, {"d": {"results": [], "__next": "https://evil.example/x"}}, MalformedError),
    ],
)  # fmt: skip
async def test_an_api_that_does_not_answer_is_asked_later_and_one_that_refuses_says_why(
    status: int, value: Any, error: type[Exception]
) -> None:
    at = source(f"bad-{status}-{len(str(value))}")

    def answer(method: str, path: str, headers: Mapping[str, str], body: bytes) -> tuple[int, Any]:
        return story.api(method, path, headers, body) if method == "POST" else (status, value)

    (wanted,) = read(at, "SalesOrders", "Update", ORDER, "2026-04-02T08:00:00.9")
    with pytest.raises(error) as raised:
        await fetched(wanted, at, answer)
    assert not [one for one in (*story.CLIENT.values(), "access-1") if one in str(raised.value)]


async def test_a_record_that_is_gone_is_ignored_and_no_personal_data_is_kept() -> None:
    at = source("gone")
    (wanted,) = read(at, "SalesOrders", "Update", story.GONE, "2026-04-02T08:00:00.9")
    assert isinstance(await fetched(wanted, at), Ignored)
    (wanted,) = read(at, "SalesOrders", "Update", ORDER, "2026-04-02T08:00:00.9")
    assert "Contoso" not in repr(await fetched(wanted, at))
    assert "OrderedByName" in document("2026-04-02T08:00:00", 1, 12, [])


async def test_without_a_way_to_keep_the_next_token_none_is_used_up() -> None:
    at = source("unkept")._replace(renew=None)
    (wanted,) = read(at, "SalesOrders", "Update", ORDER, "2026-04-02T08:00:00.9")
    with pytest.raises(MalformedError, match="serves only once"):
        await fetched(wanted, at)


@pytest.mark.parametrize(
    ("mapping", "problem"),
    [
        ({"timezone": "Amsterdam"}, "timezone: expected an IANA"),
        ({"currency": "Euro"}, "currency: expected an ISO 4217"),
        ({"order": "Number"}, "order: expected one of"),
        ({"api_url": "start.exactonline.nl"}, "api_url: expected a URL"),
        ({"campaigns": {"A": 1}}, "campaigns.A: expected a campaign_id"),
        ({"cost_account": []}, "did you mean cost_accounts"),
    ],
)
def test_a_mapping_that_cannot_work_is_refused_by_name(mapping: dict[str, Any], problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        KIND.check_mapping(mapping)


@pytest.mark.parametrize(
    ("key", "rows", "reason"),
    [
        (
            INVOICE,
            [invoice(26700001, "2026-04-20T10:00:00", 1.0, 8020, status=20)],
            "its status is 20: an invoice counts",
        ),
        (ORDER, [order(1101, "2026-04-01T12:05:00", 1.0, ApprovalStatus=0)], "counts once it is approved"),
        (STAND, [line("4510", 1, None, "2026-03-02")], "no line on 45 that names a campaign in CostUnit"),
        (STAND, [line("4510", 1, "(not set)", "2026-03-02")], "no line on 45"),
    ],
)
async def test_what_gives_no_event_says_what_would(
    key: str, rows: list[dict[str, Any]], reason: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    at = source(f"unsaid-{reason}-{rows[0].get('CostUnit')}")
    topic = {INVOICE: "SalesInvoices", ORDER: "SalesOrders"}.get(key, "FinancialTransactions")
    found = await states(monkeypatch, at, topic, key, rows)
    assert translated(at, found) == []
    assert reason in KIND.unsaid(found[0].record, found, at)
