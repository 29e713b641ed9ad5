"""`business-central`: handshake, notifications, reading documents back over real HTTP, and what documents give."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from itertools import permutations
from pathlib import Path
from typing import Any, cast

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from service.intake.hooks import Hook
from service.intake.reading import Api, read
from service.intake.reconcile import reconcile
from service.intake.senders.business_central import KIND
from service.intake.senders.contract import (
    Draft,
    Ignored,
    MalformedError,
    RejectedError,
    Source,
    Statement,
    UnavailableError,
    Unreadable,
    Waiting,
    Wanted,
    in_order,
)
from service.intake.senders.fields import json_of
from service.store.sources import Stored
from tests.support.kinds import euros, parts_of, posted
from tests.support.kinds import events as drafts
from tests.support.kinds import reasons as reasons_of
from tests.support.kinds import translated as translation_of
from tests.support.senders_api import serving
from tests.support.stories.business_central import (
    CLIENT,
    COMPANY,
    COMPANY_DATA,
    ROOT,
    SECRET,
    answered,
    guid,
    invoice,
    memo,
    notice,
)

NOW = datetime(2026, 3, 2, 10, tzinfo=UTC)
SAMPLES = Path("docs/senders/samples/business-central")
MAPPING = {"company_url": f"https://api.test{ROOT}", "tenant": "contoso", "timezone": "Europe/Berlin"}
SOURCE = Source("s", KIND.name, "erp", (SECRET, "older"), KIND.check_mapping(MAPPING), "https://x.test/h")
ORDER = COMPANY_DATA["salesOrders"][0]


def source(**mapping: Any) -> Source:
    return SOURCE._replace(mapping=KIND.check_mapping({**MAPPING, **mapping}))


def stated(name: str, *documents: Mapping[str, Any]) -> list[Statement]:
    """Return what reading documents back states, one notification each."""
    return [
        Statement(
            f"{name}:{one['id']}", f"k{number}", one["lastModifiedDateTime"], "0", "updated",
            {**one, "dimensions": {line["code"]: line["valueCode"] for line in one.get("dimensionSetLines", [])}},
        )
        for number, one in enumerate(json_of(json.dumps(documents).encode()))
    ]  # fmt: skip


def translated(name: str, *documents: Mapping[str, Any], at: Source = SOURCE) -> list[Draft | Waiting]:
    return translation_of(at, stated(name, *documents))


# What comes in


def test_the_handshake_answers_with_the_token_as_plain_text() -> None:
    reply = KIND.handshake(posted(b"", query={"validationToken": "a b<c>"}), SOURCE)
    assert reply is not None
    assert (reply.status, reply.body) == (200, b"a b<c>")
    assert reply.headers["content-type"].startswith("text/plain")
    assert KIND.handshake(posted(b"{}"), SOURCE) is None


def test_a_request_has_to_carry_a_client_state_of_the_source() -> None:
    good, older = notice("salesInvoices(x)", "updated", ""), notice("items(x)", "updated", "", clientState="older")
    foreign = [{**good, "clientState": "other"}, {**good, "clientState": None}, 3]
    for several in ([good], [older], [*foreign, good]):
        KIND.verify(posted({"value": several}), SOURCE, NOW)
    for bad in (foreign, []):
        with pytest.raises(RejectedError) as refused:
            KIND.verify(posted({"value": bad}), SOURCE, NOW)
        assert SECRET not in str(refused.value)
    with pytest.raises(RejectedError):
        KIND.verify(posted(b"no JSON"), SOURCE, NOW)


def test_foreign_notifications_are_kept_apart_and_no_client_state_is_kept() -> None:
    good, other = notice("salesInvoices(x)", "updated", ""), notice("items(x)", "updated", "", clientState="other-one")
    own, foreign, reason = KIND.screened(posted({"value": [good, other, 3]}), SOURCE)
    assert json.loads(own or b"") == {"value": [{**good, "clientState": "***"}]}
    assert json.loads(foreign or b"") == {"value": [{**other, "clientState": "***"}, 3]}
    assert reason.startswith("2 of 3 notifications")
    assert KIND.screened(posted({"value": [other]}), SOURCE).own is None
    assert KIND.screened(posted({"value": [good]}), SOURCE).foreign is None
    assert KIND.screened(posted({"value": [other]}), SOURCE._replace(secrets=())).foreign is None
    assert KIND.screened(posted(b"no JSON"), SOURCE).own == b"no JSON"


def test_no_answer_makes_business_central_delete_the_subscription() -> None:
    assert KIND.reply(posted(b""), True).status == 200
    assert KIND.reply(posted(b""), False).status == 503


def test_notifications_want_their_documents_read_back() -> None:
    first, second, third = parts_of(SOURCE, (SAMPLES / "notifications.json").read_bytes())
    assert isinstance(first, Wanted)
    record = f"salesInvoice:{guid('PS-INV103002')}"
    assert (first.record, first.key) == (record, f"{record}/2026-05-04T10:00:05.120000Z")
    assert first.url.startswith(f"https://api.test{ROOT}/salesInvoices({guid('PS-INV103002')})?$select=id,number,")
    assert isinstance(second, Wanted)
    assert second.record.startswith("salesCreditMemo:")
    assert isinstance(third, Ignored)
    assert "customers" in third.reason


def test_a_byte_order_mark_is_no_obstacle() -> None:
    body = b"\xef\xbb\xbf" + (SAMPLES / "notifications.json").read_bytes()
    KIND.verify(posted(body), SOURCE, NOW)
    assert len(parts_of(SOURCE, body)) == 3


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"lastModifiedDateTime": None}, "lastModifiedDateTime"),
        ({"changeType": "moved"}, "changeType"),
        ({"resource": f"api/v2.0/companies({COMPANY})/salesInvoices", "changeType": "collection"}, "filter"),
        ({"resource": f"api/v2.0/companies({COMPANY})/salesInvoices"}, "id in resource"),
        ({"resource": 3.5, "lastModifiedDateTime": []}, None),
    ],
)
def test_a_bad_notification_is_listed_and_does_not_spoil_the_others(change: Any, problem: str | None) -> None:
    good = notice(f"salesInvoices({guid('PS-INV103002')})", "updated", "2026-05-04T10:00:05Z")
    bad, other = parts_of(SOURCE, {"value": [{**good, **change}, good]})
    assert isinstance(other, Wanted)
    if problem:
        assert isinstance(bad, Unreadable)
        assert problem in bad.reason
    else:
        assert isinstance(bad, Ignored)


def test_another_company_and_deleted_documents_are_ignored_with_the_reason() -> None:
    there = "api/v2.0/companies(00000000-5f69-4167-a43e-fb975045de15)/salesInvoices"
    strange = {**notice("x", "updated", "2026-05-04T10:00:05Z"), "resource": f"{there}({guid('1')})"}
    deleted = notice(f"salesInvoices({guid('1')})", "deleted", "2026-05-04T10:00:05Z")
    reasons = reasons_of(parts_of(SOURCE, {"value": [strange, deleted]}))
    assert "another company" in reasons[0]
    assert "keeps what it gave" in reasons[1]


# Reading back, over real HTTP


@pytest.fixture
def calls() -> list[str]:
    return []


@pytest.fixture
def api(calls: list[str]) -> Iterator[Callable[[], Source]]:
    """Serve the story's API; gives a source that reads from it. `calls` has what was asked."""

    def noted(method: str, path: str, headers: Mapping[str, str], body: bytes) -> tuple[int, Any]:
        calls.append(f"{method} {path.partition('?')[0].rpartition('/')[2]}")
        return answered(method, path, headers, body)

    with serving(noted) as url:
        at = source(company_url=f"{url}{ROOT}", token_url=f"{url}/contoso/oauth2/v2.0/token")
        yield lambda: at._replace(id=url, credentials=CLIENT)


async def fetched(at: Source, resource: str, change: str) -> Any:
    (wanted,) = parts_of(at, {"value": [notice(resource, change, "2026-05-07T11:00:00Z")]})
    assert isinstance(wanted, Wanted)
    assert KIND.fetch is not None
    async with httpx.AsyncClient() as client:
        return await KIND.fetch(wanted, at, client)


async def test_a_document_is_read_back_with_one_token_for_many(api: Callable[[], Source], calls: list[str]) -> None:
    order = await fetched(api(), f"salesOrders({guid('S-ORD101001')})", "created")
    assert isinstance(order, Statement)
    assert order.record == f"salesOrder:{guid('S-ORD101001')}"
    assert order.at == "2026-04-01T09:15:20.467000Z"
    assert order.fields["dimensions"] == {"DEPARTMENT": "SALES", "CAMPAIGN": "FAIR26"}
    assert "email" not in order.fields
    assert isinstance(await fetched(api(), f"salesInvoices({guid('nothing')})", "updated"), Ignored)
    assert [one.partition("(")[0] for one in calls] == ["POST token", "GET salesOrders", "GET salesInvoices"]


async def test_a_collection_is_read_page_by_page_under_the_key_of_its_notification(api: Callable[[], Source]) -> None:
    where = "salesInvoices?$filter=lastModifiedDateTime%20gt%202026-01-01T00:00:00Z"
    found = await fetched(api(), where, "collection")
    assert [one.record for one in found] == [f"salesInvoice:{one['id']}" for one in COMPANY_DATA["salesInvoices"]]
    assert len({one.key for one in found}) == 1
    empty = await fetched(api(), where.replace("2026-01", "2027-01"), "collection")
    assert [type(one) for one in empty] == [Ignored]


async def test_what_was_read_back_is_kept_when_a_delivery_is_read_again(
    api: Callable[[], Source], calls: list[str]
) -> None:
    where = "salesInvoices?$filter=lastModifiedDateTime%20gt%202026-01-01T00:00:00Z"
    notices = [
        notice(where, "collection", "2026-05-07T11:00:00Z"),
        notice(f"salesOrders({guid('S-ORD101001')})", "created", "2026-04-01T09:15:20.467Z"),
        notice("salesInvoices(x)", "updated", "2026-04-01T09:15:20.467Z"),
    ]
    hook = Hook(cast("Stored", None), api(), KIND)
    async with httpx.AsyncClient() as client:
        assert await read(hook, 1, posted({"value": notices}), []) is None  # not without the API
        first = await read(hook, 1, posted({"value": notices}), [], Api(client))
        assert first is not None
        asked = len(calls)
        again = await read(hook, 1, posted({"value": notices}), first.stated, Api(client))
    assert len(first.stated) == 5
    assert len(first.ignored) == 1
    assert (again, len(calls)) == (first, asked)


async def test_a_token_that_is_refused_is_had_anew_once() -> None:
    issued: list[str] = []

    def fickle(method: str, _: str, headers: Mapping[str, str], __: bytes) -> tuple[int, Any]:
        if method == "POST":
            issued.append(f"token-{len(issued)}")
            return 200, {"access_token": issued[-1], "expires_in": 3600}
        if headers["authorization"] != "Bearer token-1":
            return 401, {"error": {"code": "Unauthorized"}}
        return 200, ORDER

    with serving(fickle) as url:
        at = source(company_url=f"{url}{ROOT}", token_url=f"{url}/token")._replace(id=url, credentials=CLIENT)
        assert isinstance(await fetched(at, f"salesOrders({guid('S-ORD101001')})", "created"), Statement)
    assert issued == ["token-0", "token-1"]


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (429, UnavailableError),
        (503, UnavailableError),
        (401, MalformedError),
        (403, MalformedError),
        (400, MalformedError),
    ],
)
async def test_what_may_pass_is_tried_again_and_what_has_to_be_put_right_says_so(
    status: int, error: type[Exception]
) -> None:
    def failing(method: str, *_: Any) -> tuple[int, Any]:
        return (200, {"access_token": "t"}) if method == "POST" else (status, {"error": {}})

    with serving(failing) as url:
        at = source(company_url=f"{url}{ROOT}", token_url=f"{url}/token")._replace(id=url, credentials=CLIENT)
        with pytest.raises(error, match=str(status)) as problem:
            await fetched(at, f"salesOrders({guid('S-ORD101001')})", "created")
    assert CLIENT["client_secret"] not in str(problem.value)


async def test_a_next_page_elsewhere_is_not_followed_with_the_token() -> None:
    def luring(method: str, *_: Any) -> tuple[int, Any]:
        page = {"value": [], "@odata.nextLink": "http://elsewhere.test/x"}
        return 200, {"access_token": "t"} if method == "POST" else page

    with serving(luring) as url:
        at = source(company_url=f"{url}{ROOT}", token_url=f"{url}/token")._replace(id=url, credentials=CLIENT)
        with pytest.raises(MalformedError, match="nextLink"):
            await fetched(at, "salesInvoices?$filter=lastModifiedDateTime%20gt%202026-01-01T00:00:00Z", "collection")


@pytest.mark.parametrize(
    ("page", "problem"),
    [
        ({"value": [{"id": str(n)} for n in range(20_001)]}, "more than 20000 documents"),
        ({"value": [{"id": "1", "number": [[]]}]}, "number: expected a text or a number"),
        ({"value": [{"id": "1", "dimensionSetLines": [{"code": "C", "valueCode": {}}]}]}, "valueCode"),
    ],
)
async def test_a_collection_that_is_too_much_or_not_plain_is_told(page: dict[str, Any], problem: str) -> None:
    with serving(lambda method, *_: (200, {"access_token": "t"} if method == "POST" else page)) as url:
        at = source(company_url=f"{url}{ROOT}", token_url=f"{url}/token")._replace(id=url, credentials=CLIENT)
        with pytest.raises(MalformedError, match=problem):
            await fetched(at, "salesInvoices?$filter=lastModifiedDateTime%20gt%202026-01-01T00:00:00Z", "collection")


async def test_what_is_missing_to_read_back_is_named() -> None:
    resource = f"salesOrders({guid('1')})"
    for at, name in ((source(company_url=None), "company_url"), (source(tenant=None), "tenant"), (SOURCE, "client_id")):
        with pytest.raises(MalformedError, match=name):
            await fetched(at, resource, "created")


# What documents give


def test_a_released_order_is_placed_in_the_campaign_of_its_dimension() -> None:
    draft = {**ORDER, "status": "Draft", "lastModifiedDateTime": "2026-03-31T09:00:00Z"}
    more = {**ORDER, "totalAmountExcludingTax": 110000.5, "lastModifiedDateTime": "2026-04-08T09:00:00Z"}
    reopened = {**more, "status": "In_x0020_Review", "lastModifiedDateTime": "2026-04-09T09:00:00Z"}
    at = source(campaigns={"FAIR26": "fair-2026"})
    expected = {
        "placed": ("order.placed", "2026-04-01T09:15:20.467Z", {
            "order_id": "S-ORD101001", "net_value": euros("100000.00"), "campaign_id": "fair-2026", "account_id": "10000",
        }),
        "amended/2026-04-08T09:00:00Z": ("order.amended", "2026-04-08T09:00:00Z", {
            "order_id": "S-ORD101001", "net_value": euros("110000.50"),
        }),
    }  # fmt: skip
    for documents in permutations([draft, ORDER, more, reopened]):
        assert drafts(translated("salesOrder", *documents, at=at)) == expected


def test_an_order_of_an_earlier_day_counts_on_its_order_date() -> None:
    found = drafts(translated("salesOrder", {**ORDER, "orderDate": "2026-03-27"}))
    assert found["placed"][1] == "2026-03-26T23:00:00Z", "midnight in Berlin"


def test_a_deleted_order_stands_unless_the_site_says_that_it_is_cancelled() -> None:
    resource = f"salesOrders({guid('S-ORD101001')})"
    (deleted,) = parts_of(SOURCE, {"value": [notice(resource, "deleted", "2026-05-08T11:00:00Z")]})
    assert isinstance(deleted, Statement)
    found = [*stated("salesOrder", ORDER), deleted]
    assert list(drafts(list(KIND.translate(deleted.record, in_order(found), SOURCE)))) == ["placed"]
    cancelled = drafts(list(KIND.translate(deleted.record, in_order(found), source(deleted_orders="cancel"))))
    assert cancelled["cancelled"][:2] == ("order.cancelled", "2026-05-08T11:00:00Z")


def test_an_invoice_counts_once_it_is_posted_under_its_posted_number() -> None:
    draft = {**invoice("SI-1", "2026-04-19T10:00:00Z", 60000.0, "Draft", "2026-04-20", "S-ORD101001"), "id": guid("x")}
    posted = {**invoice("PS-1", "2026-04-20T10:00:00Z", 60000.0, "Open", "2026-04-20", "S-ORD101001"), "id": guid("x")}
    paid = {**posted, "status": "Paid", "lastModifiedDateTime": "2026-05-20T10:00:00Z"}
    assert translated("salesInvoice", draft) == []
    expected = {
        "posted": ("invoice.posted", "2026-04-20T10:00:00Z", {
            "invoice_id": "PS-1", "net_amount": euros("60000.00"), "tax": euros("11400.00"), "posting_date": "2026-04-20",
            "due_date": "2026-06-01", "order_id": "S-ORD101001", "account_id": "10000",
        }),
    }  # fmt: skip
    for documents in permutations([draft, posted, paid]):
        assert drafts(translated("salesInvoice", *documents)) == expected


def test_an_invoice_that_is_cancelled_later_is_posted_and_cancelled() -> None:
    posted = COMPANY_DATA["salesInvoices"][1]
    later = {**posted, "status": "Canceled", "lastModifiedDateTime": "2026-05-09T10:00:00Z"}
    found = drafts(translated("salesInvoice", posted, later))
    assert [(key, *one[:2]) for key, one in found.items()] == [
        ("posted", "invoice.posted", "2026-05-04T10:00:05.12Z"),
        ("cancelled", "invoice.cancelled", "2026-05-09T10:00:00Z"),
    ]


def test_a_credit_memo_credits_the_invoice_that_it_names_and_waits_without_one() -> None:
    body = COMPANY_DATA["salesCreditMemos"][0]
    assert drafts(translated("salesCreditMemo", body))["credited"][2] == {
        "credit_note_id": "PS-CR104001", "invoice_id": "PS-INV103002", "net_amount": euros("10000.00"),
        "posting_date": "2026-05-12",
    }  # fmt: skip
    alone = translated("salesCreditMemo", {**body, "invoiceNumber": ""})
    assert alone == [Waiting("invoiceNumber is not stated yet")]
    assert translated("salesCreditMemo", memo("1", "2026-05-12T09:00:00Z", 0.0, "Open", "2026-05-12", "I")) == []


def test_a_purchase_invoice_is_a_cost_of_the_campaign_that_it_names() -> None:
    fair, office, cancelled = COMPANY_DATA["purchaseInvoices"]
    assert drafts(translated("purchaseInvoice", fair))["cost"][2] == {
        "cost_entry_id": "108001", "campaign_id": "FAIR26", "amount": euros("12000.00"), "cost_date": "2026-03-09",
        "supplier_ref": "V-30",
    }  # fmt: skip
    assert translated("purchaseInvoice", office) == []
    assert list(drafts(translated("purchaseInvoice", cancelled))) == ["cost", "cancelled"]
    by_field = source(campaign_field="shortcutDimension1Code")
    assert drafts(translated("purchaseInvoice", office, at=by_field))["cost"][2]["campaign_id"] == "SALES"


def test_an_unknown_amount_currency_or_date_waits() -> None:
    whole = COMPANY_DATA["salesInvoices"][0]
    for change, reason in (
        ({"totalAmountExcludingTax": None}, "amount unknown"),
        ({"currencyCode": ""}, "currency unknown"),
        ({"postingDate": "0001-01-01"}, "postingDate"),
    ):
        (waiting,) = translated("salesInvoice", {**whole, **change})
        assert isinstance(waiting, Waiting)
        assert reason in waiting.reason
    local = drafts(translated("salesInvoice", {**whole, "currencyCode": ""}, at=source(currency="DKK")))
    assert local["posted"][2]["net_amount"] == {"amount": "60000.00", "currency": "DKK"}
    named = drafts(translated("salesInvoice", {**whole, "currencyCode": "EURO"}, at=source(currencies={"EURO": "EUR"})))
    assert named["posted"][2]["net_amount"]["currency"] == "EUR"
    with pytest.raises(MalformedError, match="currency of"):
        translated("salesInvoice", {**whole, "currencyCode": "EURO"})


STRANGE: list[Any] = [
    None, "", "x", 0, -1, 10**30, 0.5, True, [], {}, "2026-02-30", "0001-01-01", "Paid", "JPY", "x" * 300,
]  # fmt: skip
DOCUMENTS = [(name, one) for name, several in COMPANY_DATA.items() for one in several]
SORTS = {name: name.removesuffix("s") for name in COMPANY_DATA}


@settings(max_examples=150, deadline=None)
@given(
    st.sampled_from(DOCUMENTS), st.lists(st.tuples(st.sampled_from(sorted(ORDER)), st.sampled_from(STRANGE)), max_size=3),
    st.sampled_from(["Draft", "Open", "Paid", "Canceled"]),
)  # fmt: skip
def test_strange_documents_never_crash_and_the_order_of_reading_never_matters(
    chosen: tuple[str, dict[str, Any]], changes: list[tuple[str, Any]], status: str
) -> None:
    name, whole = chosen
    fixed = ("id", "lastModifiedDateTime", "dimensionSetLines")
    strange = {**whole, **{key: value for key, value in changes if key not in fixed}}
    versions = [
        {**whole, "status": status, "lastModifiedDateTime": "2026-01-01T00:00:00Z"},
        {**strange, "lastModifiedDateTime": "2026-01-02T00:00:00Z"},
        whole,
    ]
    results = []
    for several in permutations(stated(SORTS[name], *versions)):
        try:
            parts = KIND.translate(several[0].record, in_order(several), SOURCE)
            reconcile(
                "erp", several[0].record, [], [one for one in parts if isinstance(one, Draft)], "2026-06-01T00:00:00Z"
            )
            results.append(list(parts))
        except MalformedError as error:
            results.append([Waiting(str(error))])
    assert all(one == results[0] for one in results)


@pytest.mark.parametrize(
    ("mapping", "problem"),
    [
        ({"company_url": "https://api.test/v2.0"}, r"company_url: expected a URL that ends in /companies"),
        ({"deleted_orders": "void"}, "keep or cancel"),
        ({"invoiced_order": "orderNo"}, "invoiced_order: expected a field of salesInvoice"),
        ({"currency": "Euro"}, "ISO 4217"),
        ({"campain_field": "x"}, "did you mean campaign_field"),
        ({"campaigns": {"A": ""}}, r"campaigns\.A"),
    ],
)
def test_a_mapping_that_does_not_fit_is_refused_by_its_key(mapping: dict[str, Any], problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        KIND.check_mapping(mapping)


@pytest.mark.parametrize("blank", ["NULL", "(not set)", "--", "–"])
def test_a_dimension_that_holds_a_word_for_nothing_names_no_campaign(blank: str) -> None:
    lines = [{"code": "CAMPAIGN", "valueCode": blank}]
    placed = drafts(translated("salesOrder", {**ORDER, "status": "Open", "dimensionSetLines": lines}))["placed"]
    assert "campaign_id" not in placed[2]


def test_an_invoice_that_is_read_as_paid_was_paid_with_its_tax() -> None:
    opened = {
        **invoice("SI-1", "2026-04-02T08:00:00Z", 100.0, "Open", "2026-04-01", "SO-1"),
        "totalAmountIncludingTax": 119.0,
    }
    paid = {**opened, "status": "Paid", "lastModifiedDateTime": "2026-05-02T08:00:00Z"}
    assert "paid" not in drafts(translated("salesInvoice", opened, at=source(currency="EUR")))
    kind, at, data = drafts(translated("salesInvoice", opened, paid, at=source(currency="EUR")))["paid"]
    assert (kind, at) == ("payment.received", "2026-05-02T08:00:00Z")
    assert data == {"payment_id": opened["number"], "invoice_id": opened["number"], "amount": euros("119.00")}


QUOTE = {
    "id": guid("quote"), "number": "SQ-1006", "externalDocumentNumber": "OP-1", "customerNumber": "10000", "currencyCode": "",
    "totalAmountExcludingTax": 6825.6, "status": "Draft", "sentDate": "0001-01-01T00:00:00Z", "validUntilDate": "0001-01-01",
    "acceptedDate": "0001-01-01", "lastModifiedDateTime": "2026-03-01T09:00:00Z",
}  # fmt: skip


@pytest.mark.parametrize(
    ("changed", "types"),
    [({"status": "Draft"}, []),
     ({"status": "Sent", "sentDate": "2026-03-02T10:00:00Z"}, [("quote.sent", "2026-03-02T10:00:00Z")]),
     ({"status": "Accepted", "sentDate": "2026-03-02T10:00:00Z", "acceptedDate": "2026-03-04"},
      [("quote.sent", "2026-03-02T10:00:00Z"), ("quote.accepted", "2026-03-03T23:00:00Z")]),
     ({"status": "Expired_x0020_"}, [("quote.expired", "2026-03-05T09:00:00Z")])],
)  # fmt: skip
def test_a_quote_of_an_opportunity_is_sent_accepted_and_expires(
    changed: dict[str, str], types: list[tuple[str, str]]
) -> None:
    at = source(currency="EUR", quoted_opportunity="externalDocumentNumber")
    later = {**QUOTE, **changed, "lastModifiedDateTime": "2026-03-05T09:00:00Z"}
    found = drafts(translated("salesQuote", QUOTE, later, at=at))
    assert [(kind, time) for kind, time, _ in found.values()] == types
    for _, _, data in found.values():
        assert data == {"quote_id": "SQ-1006", "opportunity_id": "OP-1", "value": euros("6825.60")}
    assert translated("salesQuote", later, at=source(currency="EUR")) == []
