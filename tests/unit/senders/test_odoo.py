"""`odoo`: leads that become opportunities, quotations that become orders, moves of all types, links by number or by name."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from itertools import permutations
from typing import Any

import pytest

from service.intake.senders import KINDS
from service.intake.senders.contract import (
    Draft,
    Ignored,
    MalformedError,
    RejectedError,
    Source,
    Statement,
    UnavailableError,
    Waiting,
    Wanted,
)  # fmt: skip
from service.intake.senders.odoo import api
from tests.support.kinds import NOW, asking, by_key, parts_of, posted, reason, translated
from tests.support.stories.odoo import json2, jsonrpc, sample

KIND = KINDS["odoo"]
CURRENCIES = {"1": "EUR", "9": "KWD"}
KEY = "0d2f7ac9e1b34c5d8a6f"


def source(**mapping: Any) -> Source:
    return Source("s", KIND.name, "erp", (), KIND.check_mapping({"currencies": CURRENCIES, **mapping}))


def with_key(name: str, **mapping: Any) -> Source:
    """Return a source that reads back; each has an id of its own, since what its API can is remembered."""
    checked = KIND.check_mapping({"url": "https://odoo.example", "database": "northwind", **mapping})
    return Source(name, KIND.name, "erp", (), checked, credentials={"api_key": KEY, "user": "ledger@northwind.example"})


def drafts(at: Source, *bodies: Any) -> list[Draft | Waiting]:
    return translated(at, parts_of(at, *bodies))


def given(at: Source, *bodies: Any) -> list[tuple[str, str]]:
    return [(one.type, one.time) for one in drafts(at, *bodies) if isinstance(one, Draft)]


def draft(at: Source, kind: str, *bodies: Any) -> dict[str, Any]:
    (found,) = [one for one in drafts(at, *bodies) if isinstance(one, Draft) and one.type == kind]
    return found.data


def converted(**changed: Any) -> dict[str, Any]:
    usual = {"write_date": "2026-03-05 09:00:00.1", "date_closed": False, "probability": 30.0, "stage_id": 2}
    return sample("opportunity-won", **{**usual, "expected_revenue": 60000.0, **changed})


def test_a_lead_is_captured_then_converted_then_won_in_whatever_order_it_is_told() -> None:
    messages = [sample("lead"), converted(), sample("opportunity-won")]
    expected = [
        ("lead.captured", "2026-03-02T09:30:00Z"), ("lead.qualified", "2026-03-05T09:00:00Z"),
        ("opportunity.opened", "2026-03-05T09:00:00Z"),
        ("opportunity.stage_changed", "2026-04-01T10:00:00.004500Z"),
        ("opportunity.value_changed", "2026-04-01T10:00:00.004500Z"), ("opportunity.won", "2026-04-01T10:00:00Z"),
    ]  # fmt: skip
    for several in permutations(messages):
        assert given(source(), *several) == expected
        assert given(source(), *several, *several) == expected
    opened = draft(source(), "opportunity.opened", *messages)
    assert opened["lead_ids"] == [opened["opportunity_id"]] == ["42"]
    assert opened["estimated_value"] == {"amount": "60000.00", "currency": "EUR"}


def test_an_opportunity_that_never_was_a_lead_is_captured_and_opened_at_once_and_qualified_by_its_stage() -> None:
    direct = converted(date_conversion=False, write_date="2026-03-02 09:30:01")
    assert given(source(), direct) == [
        ("lead.captured", "2026-03-02T09:30:00Z"), ("opportunity.opened", "2026-03-02T09:30:00Z")
    ]  # fmt: skip
    staged = source(qualified_stages=["2", "Qualified"])
    assert ("lead.qualified", "2026-03-02T09:30:01Z") in given(staged, direct)
    assert "lead.qualified" not in dict(given(source(conversion_qualifies=False), converted()))


@pytest.mark.parametrize("said", [{"won_status": "lost", "active": True}, {"active": False, "probability": 0.0}])
def test_a_lost_opportunity_says_when_and_why_and_can_come_back(said: dict[str, Any]) -> None:
    lost = converted() | {"write_date": "2026-04-02 09:00:00.2", "date_closed": "2026-04-02 09:00:00",
                          "lost_reason_id": [3, "Too expensive"]} | said  # fmt: skip
    back = converted() | {"write_date": "2026-04-09 09:00:00", "won_status": "pending"}
    found = [one for one in drafts(source(), back, lost, converted()) if isinstance(one, Draft)]
    ended = [(one.type, one.time, one.data.get("reason")) for one in found if one.key[:4] in ("lost", "reop")]
    assert ended == [
        ("opportunity.lost", "2026-04-02T09:00:00Z", "Too expensive"),
        ("opportunity.reopened", "2026-04-09T09:00:00Z", None),
    ]


def test_a_lead_that_is_lost_before_it_was_converted_is_disqualified() -> None:
    lost = sample("lead", active=False, probability=0.0, write_date="2026-03-04 09:00:00")
    assert given(source(), lost, sample("lead"))[-1] == ("lead.disqualified", "2026-03-04T09:00:00Z")


def test_a_deleted_lead_stands_and_is_listed_unless_the_mapping_withdraws_it() -> None:
    gone = sample("lead", _action="Ledger: deleted(#709)", write_date="2026-03-04 09:30:00")
    first, *rest = drafts(source(), sample("lead"), gone)
    assert isinstance(first, Waiting)
    assert [one.type for one in rest if isinstance(one, Draft)] == ["lead.captured"]
    assert drafts(source(deleted_leads="withdraw"), gone, sample("lead")) == []
    assert isinstance(parts_of(source(deleted_action="Gone"), sample("lead", _action="Gone(#1)"))[0], Statement)


def test_a_quotation_is_sent_confirmed_changed_and_cancelled() -> None:
    confirmed = sample("order-confirmed", amount_untaxed=80000.0)
    lowered = sample("order-confirmed", write_date="2026-04-02 08:00:00")
    cancelled = sample("order-confirmed", state="cancel", write_date="2026-04-03 08:00:00")
    messages = [sample("quotation-sent"), confirmed, lowered, cancelled]
    for several in permutations(messages):
        assert given(source(), *several) == [
            ("quote.sent", "2026-03-20T10:05:00.900000Z"), ("quote.accepted", "2026-04-01T10:00:00Z"),
            ("order.placed", "2026-04-01T10:00:00Z"), ("order.amended", "2026-04-02T08:00:00Z"),
            ("order.cancelled", "2026-04-03T08:00:00Z"),
        ]  # fmt: skip
    placed = draft(source(), "order.placed", *messages)
    assert placed == {
        "order_id": "S00012", "net_value": {"amount": "80000.00", "currency": "EUR"}, "quote_id": "S00012",
        "opportunity_id": "42", "account_id": "71", "campaign_id": "3", "cogs": {"amount": "52000.00", "currency": "EUR"},
    }  # fmt: skip


def test_an_order_set_back_to_a_quotation_is_none_until_it_is_confirmed_again() -> None:
    back = sample("order-confirmed", state="draft", write_date="2026-04-02 08:00:00")
    again = sample("order-confirmed", write_date="2026-04-03 08:00:00")
    assert given(source(), sample("order-confirmed"), back)[-1] == ("order.cancelled", "2026-04-02T08:00:00Z")
    assert "order.cancelled" not in dict(given(source(), sample("order-confirmed"), back, again))


def test_states_of_one_second_are_ordered_by_what_follows_what() -> None:
    sale, cancel = (
        sample("order-confirmed", state=one, write_date="2026-04-01 10:00:00") for one in ("sale", "cancel")
    )
    assert drafts(source(), sale, cancel) == drafts(source(), cancel, sale)


def test_a_quotation_that_is_cancelled_before_it_was_confirmed_is_rejected() -> None:
    never = sample("quotation-sent", state="cancel", write_date="2026-03-22 10:00:00")
    assert [kind for kind, _ in given(source(), never, sample("quotation-sent"))] == ["quote.sent", "quote.rejected"]


def test_an_invoice_is_posted_on_its_date_of_the_company_and_taken_back_while_it_is_a_draft_again() -> None:
    late = sample("invoice-posted", write_date="2026-04-20 22:30:00", date="2026-04-21")
    at = source(timezone="Europe/Berlin")
    assert draft(at, "invoice.posted", late) == {
        "invoice_id": "901", "order_id": "S00012", "account_id": "71", "net_amount": {"amount": "75000.00", "currency": "EUR"},
        "posting_date": "2026-04-21", "due_date": "2026-05-20", "tax": {"amount": "14250.00", "currency": "EUR"},
        "number": "INV/2026/00031",
    }  # fmt: skip
    assert given(at, late) == [("invoice.posted", "2026-04-20T22:30:00Z")]
    assert given(source(), sample("invoice-posted", write_date="2026-04-25 22:30:00")) == [
        ("invoice.posted", "2026-04-20T00:00:00Z")
    ]
    draft_again = sample("invoice-posted", state="draft", write_date="2026-04-22 08:00:00")
    cancelled = sample("invoice-posted", state="cancel", write_date="2026-04-22 09:00:00")
    assert drafts(source(), draft_again, sample("invoice-posted")) == []
    for several in permutations([sample("invoice-posted"), draft_again, cancelled]):
        assert [kind for kind, _ in given(source(), *several)] == ["invoice.posted", "invoice.cancelled"]


def test_an_invoice_of_several_orders_belongs_to_none_of_them() -> None:
    assert "order_id" not in draft(
        source(), "invoice.posted", sample("invoice-posted", invoice_origin="S00012, S00013")
    )


def test_a_credit_note_names_the_invoice_that_it_takes_back_or_waits() -> None:
    assert draft(source(), "invoice.credited", sample("credit-note-posted")) == {
        "credit_note_id": "905", "invoice_id": "901", "net_amount": {"amount": "10000.00", "currency": "EUR"},
        "posting_date": "2026-05-04", "number": "RINV/2026/00002",
    }  # fmt: skip
    assert "reversed_entry_id" in reason(drafts(source(), sample("credit-note-posted", reversed_entry_id=False)))
    assert drafts(source(), sample("credit-note-posted", state="cancel", write_date="2026-06-01 08:00:00")) == []
    named = sample("credit-note-posted", reversed_entry_id=[901, "INV/2026/00031 (late)"])
    assert draft(source(), "invoice.credited", named)["invoice_id"] == "901"


def test_a_bill_with_a_campaign_is_its_cost_and_its_refund_takes_back() -> None:
    assert draft(source(), "campaign.cost_booked", sample("vendor-bill")) == {
        "cost_entry_id": "880", "campaign_id": "3", "amount": {"amount": "12000.00", "currency": "EUR"},
        "cost_date": "2026-03-01", "supplier_ref": "55",
    }  # fmt: skip
    refund = sample("vendor-bill", id=881, move_type="in_refund", reversed_entry_id=880, amount_untaxed=2000.0)
    assert draft(source(), "campaign.cost_reversed", refund)["amount"]["amount"] == "2000.00"
    cancelled = sample("vendor-bill", state="cancel", write_date="2026-03-05 08:00:00")
    kinds = [kind for kind, _ in given(source(), cancelled, sample("vendor-bill"))]
    assert kinds == ["campaign.cost_booked", "campaign.cost_reversed"]
    assert drafts(source(), sample("vendor-bill", campaign_id=False)) == []
    assert drafts(source(bills_as_costs=False), sample("vendor-bill")) == []


@pytest.mark.parametrize(
    ("field", "money"),
    [
        (9, {"amount": "75000.000", "currency": "KWD"}),
        ([5, "JPY"], {"amount": "75000", "currency": "JPY"}),
        (False, {"amount": "75000.00", "currency": "USD"}),
        (77, None),
    ],
)
def test_a_currency_is_known_by_name_or_number_and_is_never_guessed(field: Any, money: dict[str, str] | None) -> None:
    at = source(currency="USD")
    one = sample("invoice-posted", currency_id=field)
    if money is None:
        assert "amount unknown" in reason(drafts(at, one))
    else:
        assert draft(at, "invoice.posted", one)["net_amount"] == money


def test_a_campaign_is_known_by_what_the_mapping_says_else_by_name_else_by_number() -> None:
    by_number, by_name = source(campaigns={"3": "spring"}), source(campaigns={"Spring Fair": "spring"})
    named = sample("lead", campaign_id=[3, "Spring Fair"])
    assert draft(by_number, "lead.captured", sample("lead"))["campaign_id"] == "spring"
    assert draft(by_name, "lead.captured", named)["campaign_id"] == "spring"
    assert draft(source(), "lead.captured", named)["campaign_id"] == "Spring Fair"
    assert draft(source(), "lead.captured", sample("lead"))["campaign_id"] == "3"
    assert draft(source(), "campaign.registered", sample("campaign")) == {"campaign_id": "3", "name": "Spring Fair"}
    assert draft(by_number, "campaign.registered", sample("campaign"))["campaign_id"] == "spring"


def test_only_the_companys_records_count_where_the_mapping_names_one() -> None:
    assert given(source(company="2"), sample("lead")) == []
    assert given(source(company="1"), sample("lead")) != []


def test_a_message_without_fields_is_read_back_or_says_what_it_needs() -> None:
    thin = sample("thin")
    with pytest.raises(MalformedError, match=r"write_date.*API key"):
        parts_of(source(), thin)
    (first,), (second,) = (parts_of(with_key("s1"), posted(thin, at=at)) for at in (NOW, NOW + timedelta(seconds=1)))
    assert isinstance(first, Wanted)
    assert first.url == "https://odoo.example/json/2/sale.order/search_read"
    assert first.key != second.key  # the same message twice may find two states


async def fetched(at: Source, body: Any, answer: Callable[..., tuple[int, Any]]) -> Any:
    (wanted,) = parts_of(at, body)
    async with asking(answer) as client:
        return await api.fetch(wanted, at, client)


@pytest.mark.parametrize(("name", "answer"), [("json-2", json2), ("json-rpc", jsonrpc)])
async def test_a_record_is_read_back_with_the_fields_that_this_odoo_has(
    name: str, answer: Callable[..., tuple[int, Any]]
) -> None:
    at = with_key(f"read-{name}", api=name)
    one = await fetched(at, sample("thin"), answer)
    assert isinstance(one, Statement)
    assert (one.at, one.fields["currency_id"]) == ("2026-04-01T10:00:00Z", [1, "EUR"])
    assert by_key(translated(at, [one]))["placed"].data["campaign_id"] == "Spring Fair"
    gone = await fetched(at, {"_model": "sale.order", "_id": 99}, answer)
    assert isinstance(gone, Ignored)


@pytest.mark.parametrize(
    ("name", "status", "value", "error"),
    [
        ("json-2", 401, {"name": "werkzeug.exceptions.Unauthorized", "message": "Invalid apikey"}, UnavailableError),
        ("json-2", 403, {"name": "odoo.exceptions.AccessError", "message": "no"}, UnavailableError),
        ("json-2", 429, {}, UnavailableError),
        ("json-2", 503, {}, UnavailableError),
        ("json-2", 500, {"name": "builtins.ValueError", "message": "Invalid field 'x'"}, MalformedError),
        ("json-2", 404, {"name": "werkzeug.exceptions.NotFound", "message": "no model"}, MalformedError),
        ("json-rpc", 200, {"result": False}, UnavailableError),
        (
            "json-rpc",
            200,
            {"error": {"data": {"name": "odoo.exceptions.AccessDenied", "message": "x"}}},
            UnavailableError,
        ),
        ("json-rpc", 200, {"error": {"message": "Odoo Server Error"}}, MalformedError),
    ],
)
async def test_an_api_that_refuses_is_asked_later_and_one_that_does_not_understand_says_why(
    name: str, status: int, value: Any, error: type[Exception]
) -> None:
    with pytest.raises(error) as raised:
        await fetched(with_key(f"bad-{name}-{status}-{value}", api=name), sample("thin"), lambda *_: (status, value))
    assert KEY not in str(raised.value)


def test_a_bearer_token_is_checked_where_somebody_can_send_one() -> None:
    at = source()._replace(secrets=("new", "old"))
    good = posted(headers={"authorization": "Bearer old"})
    KIND.verify(good, at, NOW)
    for headers in ({}, {"authorization": "Bearer no"}):
        with pytest.raises(RejectedError):
            KIND.verify(good._replace(headers=headers), at, NOW)


def test_what_states_nothing_is_ignored_and_what_is_not_from_odoo_refused() -> None:
    assert "res.partner" in reason(parts_of(source(), {"_model": "res.partner", "_id": 1}))
    with pytest.raises(MalformedError, match="Send Webhook Notification"):
        parts_of(source(), {"model": "crm.lead"})


@pytest.mark.parametrize(
    ("mapping", "problem"),
    [
        ({"timezone": "Berlin"}, "timezone: expected an IANA"),
        ({"currencies": {"1": "Euro"}}, "currencies.1: expected an ISO 4217 code"),
        ({"api": "xml-rpc"}, "api: expected json-2 or json-rpc"),
        ({"api": "json-rpc", "url": "https://x.example"}, "database: expected its name"),
        ({"url": "northwind.odoo.com"}, "url: expected that of the site"),
        ({"campaigns": {"3": ""}}, "campaigns.3: expected a campaign_id"),
        ({"deleted_leads": "drop"}, "deleted_leads: expected keep or withdraw"),
    ],
)
def test_a_mapping_that_cannot_work_is_refused_by_name(mapping: dict[str, Any], problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        KIND.check_mapping(mapping)


@pytest.mark.parametrize(
    ("which", "changed", "reason"),
    [
        ("invoice-posted", {"state": "draft"}, "draft: it counts when it is posted"),
        ("invoice-posted", {"move_type": "entry"}, "type entry is neither"),
        ("vendor-bill", {"campaign_id": False}, "names no campaign"),
        ("quotation-sent", {"opportunity_id": False}, "it is sent: a sale.order counts when it is confirmed"),
        ("order-confirmed", {"company_id": 2}, "of the company 2"),
        ("order-confirmed", {"_action": "Ledger: deleted"}, "deleted before"),
    ],
)
def test_what_gives_no_event_says_what_would(which: str, changed: dict[str, Any], reason: str) -> None:
    at = source(company="1")
    several = [one for one in parts_of(at, sample(which, **changed)) if isinstance(one, Statement)]
    assert KIND.translate(several[0].record, several, at) == []
    assert reason in KIND.unsaid(several[0].record, several, at)
