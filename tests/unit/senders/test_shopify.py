"""`shopify`: signatures, net totals, edits, refunds in whole and in part, other currencies, where orders come from."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import permutations
from typing import Any

import pytest

from service.intake.senders import KINDS
from service.intake.senders.contract import (
    Draft,
    MalformedError,
    RejectedError,
    Source,
    Waiting,
)
from tests.support.kinds import NOW, parts_of, posted, reason, translated
from tests.support.stories.shopify import money, priced, sample, taken_off, told

KIND = KINDS["shopify"]
AT = "2026-03-02T09:15:43.120398114Z"
ORDER = "5842190467329"


def source(**mapping: Any) -> Source:
    return Source("s", KIND.name, "shop", ("hush", "older"), KIND.check_mapping(mapping))


def read(topic: str, body: Mapping[str, Any], at: Source, triggered: str = AT, **more: str) -> list[Any]:
    message = told(topic, dict(body), triggered, 1, **more)
    headers = {name.lower(): value for name, value in message.headers.items()}
    return parts_of(at, posted(message.body, headers))


def order(**changed: Any) -> tuple[str, dict[str, Any]]:
    return "orders/updated", sample("order-paid", **changed)


def refund(**changed: Any) -> tuple[str, dict[str, Any]]:
    return "refunds/create", sample("refund-created", **changed)


def drafts(at: Source, *messages: tuple[str, Mapping[str, Any]], record: str = "") -> list[Draft | Waiting]:
    return translated(at, [part for topic, body in messages for part in read(topic, body, at)], record)


def given(at: Source, *messages: tuple[str, Mapping[str, Any]]) -> dict[str, str]:
    """Return what comes out: the amounts by key."""
    found = {}
    for one in drafts(at, *messages):
        assert isinstance(one, Draft), one
        value = one.data.get("net_value") or one.data.get("net_amount") or {"amount": ""}
        found[one.key] = value["amount"]
    return found


def test_the_signature_is_the_base64_hmac_of_the_body_by_any_secret() -> None:
    # Computed with `openssl dgst -sha256 -hmac hush -binary | base64` over `{"id":1}`.
    good = "VnKUjZsLuN5iZWjn5EntcBVCF9kMN43LglzCE1/GSeY="
    one = posted(b'{"id":1}', {"x-shopify-hmac-sha256": good})
    KIND.verify(one, source(), NOW)
    KIND.verify(one, source()._replace(secrets=("new", "hush")), NOW)
    for wrong in (
        one._replace(body=b'{"id":2}'),
        one._replace(headers={}),
        one._replace(headers={"x-shopify-hmac-sha256": "e"}),
    ):
        with pytest.raises(RejectedError):
            KIND.verify(wrong, source(), NOW)


def test_an_attempt_has_the_id_of_the_delivery() -> None:
    message = told(*order(), AT, 7)
    headers = {name.lower(): value for name, value in message.headers.items()}
    assert KIND.delivery_id(posted(message.body, headers)) == "b54557e4-bdd9-4b37-8a5f-bf7d70bcd007"


def test_a_paid_order_is_placed_and_invoiced_without_tax_on_its_day_in_the_shop() -> None:
    late = order(processed_at="2026-03-31T23:30:00+02:00", created_at="2026-04-01T00:00:00+02:00")
    placed, posted = drafts(source(timezone="Europe/Berlin"), late)
    net = {"amount": "1010.08", "currency": "EUR"}
    assert placed == Draft("placed", "order.placed", "2026-03-31T21:30:00Z", {
        "order_id": ORDER, "net_value": net, "account_id": "7263549108481", "campaign_id": "spring-fair",
        "number": "#1001", "utm": {"source": "newsletter", "medium": "email", "campaign": "spring-fair"},
    })  # fmt: skip
    assert posted == Draft("posted", "invoice.posted", "2026-03-31T21:30:00Z", {
        "invoice_id": ORDER, "order_id": ORDER, "account_id": "7263549108481", "net_amount": net,
        "posting_date": "2026-03-31", "number": "#1001",
    })  # fmt: skip
    assert list(given(source(paid_orders_as_invoices=False), late)) == ["placed"]


def test_an_order_that_is_paid_later_is_invoiced_then() -> None:
    pending = order(financial_status="pending")
    paid = order(updated_at="2026-03-30T10:00:00+02:00")
    assert given(source(), pending) == {"placed": "1010.08"}
    for several in ([pending, paid], [paid, pending]):
        posted = drafts(source(), *several)[1]
        assert isinstance(posted, Draft)
        assert (posted.time, posted.data["posting_date"]) == ("2026-03-30T08:00:00Z", "2026-03-30")


@pytest.mark.parametrize("missing", ["total_price", "total_tax"])
def test_an_amount_that_is_not_stated_waits_and_is_not_zero(missing: str) -> None:
    assert "amount unknown" in reason(drafts(source(), order(**{missing: None, f"{missing}_set": None})))


def test_an_old_message_without_money_sets_is_read_by_its_plain_amounts() -> None:
    assert given(source(), order(total_price_set=None, total_tax_set=None))["placed"] == "1010.08"


def test_the_customers_money_is_taken_where_the_mapping_says_so() -> None:
    francs = ("orders/updated", sample("order-in-francs"))
    (placed, *_) = drafts(source(money="presentment"), francs)
    assert isinstance(placed, Draft)
    assert placed.data["net_value"] == {"amount": "1900.00", "currency": "CHF"}
    assert given(source(), francs)["placed"] == "2000.00"


def test_an_edit_amends_and_what_is_taken_off_unpaid_too_in_whatever_order_it_comes() -> None:
    off = taken_off("100.00", "19.00", "2026-04-03T08:00:00+02:00")
    messages = [
        ("orders/create", priced("500.00", "95.00", financial_status="pending", updated_at="2026-04-01T08:00:01+02:00")),
        ("orders/updated", priced("700.00", "133.00", financial_status="pending", updated_at="2026-04-02T08:00:00+02:00")),
        ("refunds/create", off),
        ("orders/updated", priced("700.00", "133.00", financial_status="paid", updated_at="2026-04-20T08:00:00+02:00",
                                  refunds=[off])),
    ]  # fmt: skip
    expected = {
        "placed": "500.00", "amended/2026-04-02T06:00:00Z": "700.00", "amended/2026-04-03T06:00:00Z": "600.00",
        "posted": "600.00",
    }  # fmt: skip
    for several in permutations(messages):
        assert given(source(), *several) == expected
        assert given(source(), *several, *several) == expected


def test_what_is_taken_off_after_it_was_paid_is_credited_when_the_money_goes_back() -> None:
    off = taken_off("100.00", "19.00", "2026-04-03T08:00:00+02:00")
    back = {
        "id": 502, "order_id": 77, "created_at": "2026-04-05T08:00:00+02:00", "refund_line_items": [],
        "transactions": [{"kind": "refund", "status": "success", "amount": "119.00", "currency": "EUR"}],
    }  # fmt: skip
    paid = priced("700.00", "133.00", financial_status="paid", updated_at="2026-04-01T08:00:02+02:00")
    assert given(source(), ("orders/paid", paid), ("refunds/create", off), ("refunds/create", back)) == {
        "placed": "700.00", "amended/2026-04-03T06:00:00Z": "600.00", "posted": "700.00", "credited/502": "100.00",
    }  # fmt: skip


def test_what_is_taken_back_without_being_paid_back_takes_nothing_off_the_order() -> None:
    kept = taken_off("100.00", "19.00", "2026-04-03T08:00:00+02:00")
    kept["order_adjustments"] = [{"kind": "refund_discrepancy", "amount": "119.00", "tax_amount": "0.00"}]
    paid = priced("700.00", "133.00", financial_status="paid", updated_at="2026-04-01T08:00:02+02:00")
    assert given(source(), ("orders/paid", paid), ("refunds/create", kept)) == {"placed": "700.00", "posted": "700.00"}


@pytest.mark.parametrize(
    ("paid", "net"),
    [("595.00", "500.00"), ("297.50", "250.00"), ("0.01", "0.01"), ("1190.00", "1000.00")],
)
def test_a_refund_credits_what_was_paid_back_less_the_tax_in_it(paid: str, net: str) -> None:
    back = refund(transactions=[{"kind": "refund", "status": "success", "amount": paid, "currency": "EUR"}])
    assert given(source(), order(), back)["credited/912340987137"] == net


def test_a_refund_without_items_has_the_orders_share_of_tax() -> None:
    back = refund(
        refund_line_items=[],
        transactions=[{"kind": "refund", "status": "pending", "amount": "12.02", "currency": "EUR"}],
        order_adjustments=[{"kind": "refund_discrepancy", "amount": "-12.02", "tax_amount": "0.00"}],
    )
    assert given(source(), order(), back)["credited/912340987137"] == "10.10"  # 12.02 × 1010.08 / 1202.00


@pytest.mark.parametrize("shape", ["lines", "adjustment"])
def test_shipping_is_refunded_by_lines_or_in_older_messages_by_an_adjustment(shape: str) -> None:
    lines = [{"id": 1, "subtotal_amount_set": money("12.00"), "tax_amount_set": money("1.92")}]
    adjustments = [{"kind": "shipping_refund", "amount": "-10.08", "tax_amount": "-1.92"}]
    back = refund(
        transactions=[{"kind": "refund", "status": "success", "amount": "607.00", "currency": "EUR"}],
        refund_shipping_lines=lines if shape == "lines" else [],
        order_adjustments=adjustments,
    )
    assert given(source(), order(), back)["credited/912340987137"] == "510.08"


def test_a_refund_in_the_customers_currency_is_converted_as_its_order_was() -> None:
    back = refund(
        order_id=5842190467331, refund_line_items=[],
        transactions=[{"kind": "refund", "status": "success", "amount": "1900.00", "currency": "CHF"}],
    )  # fmt: skip
    francs = ("orders/updated", sample("order-in-francs"))
    assert given(source(), francs, back)["credited/912340987137"] == "2000.00"
    assert given(source(money="presentment"), francs, back)["credited/912340987137"] == "1900.00"
    strange = refund(order_id=5842190467331, transactions=[{"kind": "refund", "amount": "1", "currency": "JPY"}])
    assert any(isinstance(one, Waiting) for one in drafts(source(), francs, strange))


def test_a_refund_counts_once_whether_it_comes_alone_within_its_order_or_both() -> None:
    within = order(financial_status="refunded", updated_at="2026-03-20T11:00:06+01:00", refunds=[refund()[1]])
    expected = {"placed": "1010.08", "posted": "1010.08", "credited/912340987137": "500.00"}
    for several in permutations([order(), refund(), within]):
        assert given(source(), *several) == expected
    assert given(source(), within) == expected


def test_a_refund_waits_for_its_order() -> None:
    assert "orders/create" in reason(drafts(source(), refund()))


def test_a_cancelled_order_is_cancelled_with_its_reason_and_one_of_the_test_gateway_never_was() -> None:
    placed, cancelled = drafts(source(), ("orders/cancelled", sample("order-cancelled")))
    assert isinstance(placed, Draft)
    assert cancelled == Draft(
        "cancelled", "order.cancelled", "2026-03-04T15:20:30Z", {"order_id": "5842190467330", "reason": "customer"}
    )
    assert "test order" in reason(read("orders/create", order(test=True)[1], source()))


def test_a_deleted_order_stands_unless_the_mapping_withdraws_it() -> None:
    gone = ("orders/delete", {"id": int(ORDER)})
    kept = drafts(source(), order(), gone)
    assert [type(one) for one in kept] == [Waiting, Draft, Draft]
    assert drafts(source(deleted_orders="withdraw"), order(), gone) == []


@pytest.mark.parametrize(
    ("changed", "campaign"),
    [
        ({}, "spring-fair"),
        ({"landing_site": "/?utm_campaign=Fr%C3%BChling+26#top"}, "frühling-26"),
        ({"landing_site": None}, None),
        ({"landing_site": "http://[x"}, None),
        ({"landing_site": "/?utm_campaign="}, None),
        ({"landing_site": "/?utm_campaign=(not%20set)"}, None),
        ({"landing_site": "/?utm_campaign=--", "discount_codes": [{"code": "FAIR10"}]}, "fair"),
        ({"landing_site": None, "discount_codes": [{"code": "fair10", "amount": "1", "type": "x"}]}, "fair"),
        ({"note_attributes": [{"name": "utm_campaign", "value": "cart"}, {"name": "x", "value": "y"}]}, "cart"),
    ],
)
def test_the_campaign_is_named_by_the_cart_the_landing_site_or_a_discount_code(
    changed: dict[str, Any], campaign: str | None
) -> None:
    mapping = {"campaigns": {"Frühling 26": "frühling-26"}, "discount_codes": {"FAIR10": "fair"}}
    placed = drafts(source(**mapping), order(**changed))[0]
    assert isinstance(placed, Draft)
    assert placed.data.get("campaign_id") == campaign


def test_a_customer_is_the_lead_of_their_orders_where_the_mapping_says_so() -> None:
    made = {"id": 7263549108481, "created_at": "2026-03-02T10:02:11+01:00", "updated_at": "2026-03-02T10:02:11+01:00"}
    leads = source(customers_as_leads=True)
    assert "customers_as_leads" in reason(read("customers/create", made, source()))
    opened, placed, _ = drafts(leads, order())
    assert isinstance(opened, Draft)
    assert isinstance(placed, Draft)
    assert (opened.type, opened.data["lead_ids"]) == ("opportunity.opened", ["7263549108481"])
    assert placed.data["opportunity_id"] == opened.data["opportunity_id"] == ORDER
    later = order(id=9, landing_site="/?utm_campaign=later", created_at="2026-05-02T10:02:11+01:00")
    for several in permutations([("customers/create", made), order(), later]):
        (captured,) = drafts(leads, *several, record="customer:7263549108481")
        assert captured == Draft("captured", "lead.captured", "2026-03-02T09:02:11Z", {
            "lead_id": "7263549108481", "account_id": "7263549108481", "campaign_id": "spring-fair",
            "source": "newsletter", "medium": "email",
            "utm": {"source": "newsletter", "medium": "email", "campaign": "spring-fair"},
        })  # fmt: skip


def test_customers_are_merged_and_erased() -> None:
    merge: dict[str, Any] = {
        "admin_graphql_api_customer_kept_id": "gid://shopify/Customer/1", "status": "completed", "errors": [],
        "admin_graphql_api_customer_deleted_id": "gid://shopify/Customer/2", "admin_graphql_api_job_id": None,
    }  # fmt: skip
    (merged,) = drafts(source(), ("customers/merge", merge))
    assert isinstance(merged, Draft)
    assert (merged.type, merged.data) == ("account.merged", {"survivor_id": "1", "merged_id": "2"})
    assert "failed" in reason(read("customers/merge", merge | {"status": "failed"}, source()))
    (erased,) = drafts(source(), ("customers/redact", {"customer": {"id": 2, "email": "x@y.example"}}))
    assert isinstance(erased, Draft)
    assert (erased.type, erased.data["subject_id"]) == ("subject.erased", "2")


def test_what_states_nothing_is_ignored_with_the_reason() -> None:
    shop = source(shop="northwind.myshopify.com")
    assert "orders/updated" in reason(read("orders/edited", {"order_edit": {"id": 1}}, source()))
    assert "orders/link_requested" in reason(read("orders/link_requested", {"order": {"id": 1}}, source()))
    assert "products/update" in reason(read("products/update", {"id": 1}, source()))
    assert "test notification" in reason(read("orders/create", order()[1], source(), AT, **{"X-Shopify-Test": "true"}))
    assert "other.myshopify.com" in reason(
        read("orders/create", order()[1], shop, AT, **{"X-Shopify-Shop-Domain": "other.myshopify.com"})
    )


def test_what_is_not_from_shopify_is_refused() -> None:
    with pytest.raises(MalformedError, match="is this from Shopify"):
        parts_of(source(), b'{"id": 1}')
    with pytest.raises(MalformedError, match="updated_at"):
        read(*order(updated_at=None), source())


def test_no_personal_data_leaves_the_inbox() -> None:
    (statement,) = read(*order(), source())
    kept = repr(statement.fields).lower()
    assert not [one for one in ("ida", "hafenstr", "203.0.113", "northwind") if one in kept]


@pytest.mark.parametrize(
    ("mapping", "problem"),
    [
        ({"timezone": "Berlin"}, "timezone: expected an IANA"),
        ({"money": "mine"}, "money: expected shop or presentment"),
        ({"parameters": "utm_campaign"}, "parameters: expected a list"),
        ({"discount_codes": {"A": ""}}, "discount_codes.A: expected a campaign_id"),
        ({"deleted_orders": "cancel"}, "deleted_orders: expected keep or withdraw"),
        ({"shopp": "x"}, "did you mean shop"),
    ],
)
def test_a_mapping_that_cannot_work_is_refused_by_name(mapping: dict[str, Any], problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        KIND.check_mapping(mapping)
