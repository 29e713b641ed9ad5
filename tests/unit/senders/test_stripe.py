"""`stripe`: signatures, exact amounts of every API version and currency, and states that come late, twice or early."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from itertools import permutations
from pathlib import Path
from typing import Any

import pytest

from service.intake.senders.contract import Draft, MalformedError, RejectedError, Request, Source, Statement, Waiting
from service.intake.senders.stripe import KIND
from tests.support.kinds import NOW, parts_of, posted, stated, translated
from tests.support.kinds import reason as reason_of

NEW, OLD = "whsec_new_0123456789", "whsec_old_0123456789"
SAMPLES = Path("docs/senders/samples/stripe")


def source(**mapping: Any) -> Source:
    return Source("s", KIND.name, "billing", (NEW, OLD), KIND.check_mapping(mapping))


def request(body: bytes, headers: Mapping[str, str] | None = None) -> Request:
    return posted(body, headers or KIND.sign(body, source(), NOW))


def event(name: str, **changed: Any) -> dict[str, Any]:
    whole: dict[str, Any] = json.loads((SAMPLES / f"{name}.json").read_text("utf-8"))
    whole["data"]["object"] |= changed
    return whole


def statements(at: Source, *events: Mapping[str, Any]) -> list[Statement]:
    return stated(parts_of(at, *events))


def drafts(at: Source, *events: Mapping[str, Any]) -> list[Draft | Waiting]:
    several = statements(at, *events)
    assert len({one.record for one in several}) == 1
    return translated(at, several)


def reason(at: Source, one: Mapping[str, Any]) -> str:
    return reason_of(parts_of(at, one))


def net(**changed: Any) -> dict[str, str]:
    (posted,) = drafts(source(), event("invoice-finalized", **changed))
    assert isinstance(posted, Draft)
    amount: dict[str, str] = posted.data["net_amount"]
    return amount


def test_the_signature_is_the_hmac_of_time_and_body() -> None:
    # Computed with `openssl dgst -sha256 -hmac whsec_test_secret` over `1700000000.{"id":"evt_1"}`.
    body = b'{"id":"evt_1"}'
    one = request(body, {
        "stripe-signature": "t=1700000000,v1=248a374f50f943a28b0f6ab50faf9a7e7e29b710fa26df9fb1618b9bf8ea9c9a"
    })  # fmt: skip
    at = source()._replace(secrets=("whsec_test_secret",))
    KIND.verify(one, at, datetime.fromtimestamp(1700000000, UTC))
    with pytest.raises(RejectedError, match="does not fit"):
        KIND.verify(one._replace(body=body + b" "), at, datetime.fromtimestamp(1700000000, UTC))


def test_any_v1_by_any_secret_is_enough_and_v0_never() -> None:
    good = KIND.sign(b"{}", source()._replace(secrets=(OLD,)), NOW)["stripe-signature"]
    KIND.verify(request(b"{}", {"stripe-signature": good.replace(",v1=", ",v1=00,v0=11, v1=")}), source(), NOW)
    with pytest.raises(RejectedError, match="does not fit"):
        KIND.verify(request(b"{}", {"stripe-signature": good.replace(",v1=", ",v0=")}), source(), NOW)


@pytest.mark.parametrize("off", [-301, 301])
def test_a_signature_of_more_than_300_seconds_from_now_is_refused(off: int) -> None:
    one = request(b"{}")
    KIND.verify(one, source(), NOW + timedelta(seconds=300))
    with pytest.raises(RejectedError, match="300 seconds"):
        KIND.verify(one, source(), NOW + timedelta(seconds=off))


@pytest.mark.parametrize("value", ["", "v1=00", "t=,v1=00", "t=now,v1=00", "t=1e9,v1=00"])
def test_a_signature_header_without_its_parts_is_refused(value: str) -> None:
    with pytest.raises(RejectedError):
        KIND.verify(request(b"{}", {"stripe-signature": value}), source(), NOW)


def test_the_id_of_the_event_is_the_delivery_id() -> None:
    assert KIND.delivery_id(request((SAMPLES / "invoice-paid.json").read_bytes())) == "evt_1T9RrLLkdIwHu7ixpaid0001"
    assert KIND.delivery_id(request(b"[]")) is None


def test_a_finalized_invoice_is_posted_without_tax_on_the_day_of_the_account() -> None:
    late = 1775080800  # 2026-04-01T22:00:00Z: the second of April in Berlin
    mapping = source(timezone="Europe/Berlin")
    assert drafts(mapping, event("invoice-finalized", metadata={"order_id": "SO-7"}, effective_at=late)) == [
        Draft("posted", "invoice.posted", "2026-04-01T09:00:00Z", {
            "invoice_id": "in_1T8QxRLkdIwHu7ixNoRtHw01", "order_id": "SO-7", "account_id": "cus_T4b0Q2mXv9Lk7P",
            "net_amount": {"amount": "10000.00", "currency": "EUR"}, "tax": {"amount": "1900.00", "currency": "EUR"},
            "posting_date": "2026-04-02", "due_date": "2026-05-01", "number": "9F2A41C7-0001",
        })
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("currency", "units", "amount"),
    [
        ("jpy", 500, "500"), ("krw", 1, "1"), ("isk", 500, "5"), ("ugx", 500, "5"), ("mga", 500, "500.00"),
        ("kwd", 5120, "5.120"), ("tnd", 10, "0.010"), ("huf", 1045, "10.45"), ("twd", 80000, "800.00"),
        ("eur", -1, "-0.01"), ("usd", 10**14, "1000000000000.00"),
    ],
)  # fmt: skip
def test_amounts_are_counted_as_stripe_counts_them(currency: str, units: int, amount: str) -> None:
    changed = {"currency": currency, "total_excluding_tax": units, "total": units}
    assert net(**changed) == {"amount": amount, "currency": currency.upper()}


def test_versions_before_total_excluding_tax_are_read_by_total_and_taxes() -> None:
    old = {"total_excluding_tax": None, "total_taxes": None}
    assert (
        net(**old, total_tax_amounts=[{"amount": 100000, "inclusive": True}, {"amount": 90000}])["amount"] == "10000.00"
    )
    assert net(**old, total_tax_amounts=[])["amount"] == "11900.00"
    assert net(**old, tax=190000)["amount"] == "10000.00"


@pytest.mark.parametrize(
    "unknown", [{}, {"total": None, "tax": 0}, {"total_tax_amounts": [{"amount": None}]}], ids=["tax", "total", "part"]
)
def test_an_unknown_amount_waits_and_is_not_zero(unknown: dict[str, Any]) -> None:
    one = event("invoice-finalized", **({"total_excluding_tax": None, "total_taxes": None} | unknown))
    (waiting,) = drafts(source(), one)
    assert isinstance(waiting, Waiting)
    assert "amount unknown" in waiting.reason


def test_zero_is_an_amount() -> None:
    assert net(total=0, total_excluding_tax=0)["amount"] == "0.00"


@pytest.mark.parametrize("units", [1.5, "100", True, 10**20])
def test_an_amount_that_is_no_number_of_units_is_refused(units: Any) -> None:
    with pytest.raises(MalformedError, match="total_excluding_tax"):
        net(total_excluding_tax=units)


def test_a_void_invoice_is_posted_and_cancelled_in_whatever_order_its_events_come() -> None:
    finalized = event("invoice-voided", status="open") | {"id": "evt_1", "created": 1775034000}
    # Marked and voided in one second: the state decides, not the id.
    marked = event("invoice-voided", status="uncollectible") | {"id": "evt_9", "created": 1775600000}
    voided = event("invoice-voided")
    results = [drafts(source(), *one) for one in permutations([finalized, marked, voided])]
    assert all(one == results[0] for one in results)
    assert drafts(source(), voided, voided) == results[0]
    posted, cancelled = results[0]
    assert isinstance(posted, Draft)
    assert posted.type == "invoice.posted"
    assert cancelled == Draft(
        "cancelled", "invoice.cancelled", "2026-04-07T22:13:20Z",
        {"invoice_id": "in_1T8QxRLkdIwHu7ixWrong002", "reason": "void"},
    )  # fmt: skip


def test_what_is_written_off_stays_invoiced_unless_the_mapping_says_otherwise() -> None:
    bad = event("invoice-finalized", status="uncollectible", status_transitions={"marked_uncollectible_at": 1775600000})
    assert len(drafts(source(), bad)) == 1
    _, cancelled = drafts(source(uncollectible_cancels=True), bad)
    assert isinstance(cancelled, Draft)
    assert (cancelled.type, cancelled.time) == ("invoice.cancelled", "2026-04-07T22:13:20Z")
    paid = event("invoice-paid") | {"created": 1775700000}
    assert [one.type for one in drafts(source(uncollectible_cancels=True), bad, paid) if isinstance(one, Draft)] == [
        "invoice.posted", "payment.received",
    ]  # fmt: skip


def test_a_sale_without_an_order_is_an_order_of_its_campaign_and_lead() -> None:
    one = event("invoice-voided", parent={"subscription_details": {"metadata": {"c": "fair", "lead_id": "L-1"}}})
    got = drafts(source(metadata={"campaign_id": "c"}), one)
    types = ["opportunity.opened", "order.placed", "invoice.posted", "invoice.cancelled", "order.cancelled"]
    assert [draft.type for draft in got if isinstance(draft, Draft)] == types
    opened, placed, posted = got[:3]
    assert isinstance(opened, Draft)
    assert isinstance(placed, Draft)
    assert isinstance(posted, Draft)
    identity = "in_1T8QxRLkdIwHu7ixWrong002"
    assert opened.data["lead_ids"] == ["L-1"]
    assert placed.data == {
        "order_id": identity, "opportunity_id": identity, "campaign_id": "fair", "account_id": "cus_T4b0Q2mXv9Lk7P",
        "net_value": {"amount": "500.00", "currency": "EUR"},
    }  # fmt: skip
    assert posted.data["order_id"] == identity
    assert len(drafts(source(metadata={"campaign_id": "c"}, invoices_as_orders=False), one)) == 2


def test_the_metadata_of_the_invoice_counts_before_that_of_the_subscription() -> None:
    older = {"subscription_details": {"metadata": {"order_id": "SO-1"}}}
    (posted,) = drafts(source(), event("invoice-finalized", **older, metadata={"order_id": "SO-2"}))
    assert isinstance(posted, Draft)
    assert posted.data["order_id"] == "SO-2"
    (posted,) = drafts(source(), event("invoice-finalized", **older, metadata={}))
    assert isinstance(posted, Draft)
    assert posted.data["order_id"] == "SO-1"


def test_a_credit_note_credits_its_invoice_without_tax_until_it_is_voided() -> None:
    issued = event("credit-note-created")
    assert drafts(source(), issued) == [
        Draft("credited", "invoice.credited", "2026-04-27T14:26:40Z", {
            "credit_note_id": "cn_1TbVvRLkdIwHu7ixCred0001", "invoice_id": "in_1T8QxRLkdIwHu7ixNoRtHw01",
            "net_amount": {"amount": "2000.00", "currency": "EUR"}, "posting_date": "2026-04-27", "reason": "order_change",
        })
    ]  # fmt: skip
    voided = event("credit-note-created", status="void") | {"id": "evt_2", "created": 1777310000}
    assert drafts(source(), issued, voided) == drafts(source(), voided, issued) == []
    assert drafts(source(), event("credit-note-created", total=0, total_excluding_tax=0)) == []


def test_a_customer_is_a_lead_where_the_mapping_says_so() -> None:
    one = event("customer-created")
    assert "customers_as_leads" in reason(source(), one)
    leads = source(customers_as_leads=True)
    data = {
        "lead_id": "cus_T4b0Q2mXv9Lk7P",
        "account_id": "cus_T4b0Q2mXv9Lk7P",
        "campaign_id": "webinar-2026-03",
    }
    assert drafts(leads, one) == [Draft("captured", "lead.captured", "2026-03-02T09:50:00Z", data)]
    (merged,) = drafts(leads, event("customer-created", metadata={"lead_id": "L-1"}))
    assert isinstance(merged, Draft)
    assert merged.data == {"survivor_id": "L-1", "merged_id": "cus_T4b0Q2mXv9Lk7P"}
    assert "deleted" in reason(leads, one | {"type": "customer.deleted"})


def test_what_states_nothing_is_ignored_with_the_reason() -> None:
    assert "thin" in reason(source(), {"object": "v2.core.event", "id": "evt_1", "type": "v1.billing.meter.x"})
    assert "status draft is not final" in reason(source(), event("invoice-finalized", status="draft"))
    assert "preview" in reason(source(), event("invoice-finalized", id=None))
    assert "charge" in reason(source(), event("invoice-paid", object="charge"))


def test_what_is_not_from_stripe_is_refused() -> None:
    with pytest.raises(MalformedError, match="is this from Stripe"):
        parts_of(source(), b'{"id": 1}')


def test_no_personal_data_leaves_the_inbox() -> None:
    (statement,) = statements(source(), event("invoice-finalized"))
    assert "northwind" not in repr(statement.fields).lower()


def test_a_mapping_that_cannot_work_is_refused_by_name() -> None:
    with pytest.raises(ValueError, match="timezone: expected an IANA"):
        KIND.check_mapping({"timezone": "Berlin"})
    with pytest.raises(ValueError, match=r"metadata\.order: expected one of"):
        KIND.check_mapping({"metadata": {"order": "x"}})


def updated(identity: str, *, before: dict[str, Any], **changed: Any) -> dict[str, Any]:
    """Return an `invoice.updated` of the second in which the invoice was finalized."""
    whole = event("invoice-finalized", **changed)
    whole["data"]["previous_attributes"] = before
    return whole | {"id": identity, "type": "invoice.updated"}


def test_what_an_invoice_was_before_tells_the_order_of_events_within_one_second() -> None:
    finalized = event("invoice-finalized", metadata={}) | {"id": "evt_5"}
    named = updated("evt_1", before={"metadata": {"campaign_id": None}}, metadata={"campaign_id": "spring"})
    renamed = updated("evt_3", before={"metadata": {"campaign_id": "spring"}}, metadata={"campaign_id": "fair"})
    back = updated("evt_2", before={"metadata": {"campaign_id": "fair"}}, metadata={"campaign_id": "spring"})
    for several, campaign in (((finalized, named), "spring"), ((finalized, named, renamed), "fair"),
                              ((finalized, named, renamed, back), "spring")):  # fmt: skip
        for order in permutations(several):
            placed = next(one for one in drafts(source(), *order) if isinstance(one, Draft) and one.key == "placed")
            assert placed.data["campaign_id"] == campaign, [one["id"] for one in order]


def test_a_paid_invoice_of_the_same_second_keeps_what_was_changed_before_it() -> None:
    finalized = event("invoice-finalized", metadata={}) | {"id": "evt_9"}
    named = updated("evt_8", before={"metadata": {"campaign_id": None}}, metadata={"campaign_id": "spring"})
    paid = event("invoice-finalized", status="paid", metadata={"campaign_id": "spring"}) | {
        "id": "evt_1",
        "type": "invoice.paid",
    }
    for order in permutations([finalized, named, paid]):
        assert {one.key for one in drafts(source(), *order) if isinstance(one, Draft)} == {"placed", "posted"}


@pytest.mark.parametrize("blank", [False, "NULL", "(not set)", "--", "–", " none "])
def test_metadata_that_stands_where_nothing_is_stated_states_nothing(blank: Any) -> None:
    one = event("invoice-finalized", metadata={"campaign_id": blank})
    assert [draft.key for draft in drafts(source(), one) if isinstance(draft, Draft)] == ["posted"]
    (placed, _) = drafts(source(blanks=["nix"]), event("invoice-finalized", metadata={"campaign_id": "NULL"}))
    assert isinstance(placed, Draft)
    assert placed.data["campaign_id"] == "NULL"


def test_a_checkout_that_names_a_campaign_is_a_touch() -> None:
    one = event("checkout-completed")
    (waiting,) = drafts(source(), one)
    assert isinstance(waiting, Waiting)
    assert "lead_id" in waiting.reason
    touch = {
        "touchpoint_id": one["data"]["object"]["id"], "campaign_id": "webinar-2026-03", "activity_type": "checkout",
        "interaction": "response",
    }  # fmt: skip
    for at, metadata, whose in (
        (source(customers_as_leads=True), {}, {"lead_id": "cus_T4b0Q2mXv9Lk7P"}),
        (source(), {"contact_id": "C-1"}, {"contact_id": "C-1"}),
        (source(metadata={"lead_id": "crm_lead"}), {"crm_lead": "L-1"}, {"lead_id": "L-1"}),
    ):
        told = event("checkout-completed", metadata={"campaign_id": "webinar-2026-03", **metadata})
        expected = Draft("touched", "touchpoint.recorded", "2026-03-02T10:00:00Z", {**touch, **whose})
        assert drafts(at, told) == [expected]
    assert "names no campaign" in reason(source(), event("checkout-completed", metadata={}))
    assert "not final" in reason(source(), event("checkout-completed", status="expired"))


def test_what_says_nowhere_when_it_was_made_waits_for_a_message_that_does() -> None:
    at = source(customers_as_leads=True)
    changed = event("customer-created", created=None) | {"type": "customer.updated"}
    (waiting,) = drafts(at, changed)
    assert isinstance(waiting, Waiting)
    assert "when the customer was made" in waiting.reason
    (captured,) = drafts(at, changed | {"id": "evt_2", "type": "customer.created", "created": 1772000000})
    assert isinstance(captured, Draft)
    assert captured.time == "2026-02-25T06:13:20Z"
    (late,) = drafts(source(), event("invoice-finalized", status_transitions=None) | {"type": "invoice.paid"})
    assert isinstance(late, Waiting)


def paid(**changed: Any) -> list[Draft]:
    several = drafts(source(), event("invoice-paid", **changed))
    return [one for one in several if isinstance(one, Draft) and one.type == "payment.received"]


def test_a_paid_invoice_was_paid_whole_less_the_credit_notes_that_came_before() -> None:
    (whole,) = paid()
    assert (whole.time, whole.data) == ("2026-04-06T18:26:30Z", {
        "payment_id": "in_1T8QxRLkdIwHu7ixNoRtHw01", "invoice_id": "in_1T8QxRLkdIwHu7ixNoRtHw01",
        "amount": {"amount": "11900.00", "currency": "EUR"},
    })  # fmt: skip
    assert paid(pre_payment_credit_notes_amount=190000)[0].data["amount"]["amount"] == "10000.00"
    assert paid(amount_paid=0, paid_out_of_band=True) == [whole]  # by a transfer that Stripe did not see
    assert paid(pre_payment_credit_notes_amount=1190000) == paid(status="open") == []


QUOTE: dict[str, Any] = {
    "id": "evt_q", "object": "event", "type": "quote.canceled", "created": 1775600000,
    "data": {"object": {
        "id": "qt_1SvQ", "object": "quote", "status": "canceled", "currency": "eur", "amount_subtotal": 1000000,
        "amount_total": 1190000, "total_details": {"amount_discount": 0, "amount_shipping": 0, "amount_tax": 190000},
        "expires_at": 1777626000, "metadata": {"opportunity_id": "OP-1"},
        "status_transitions": {"finalized_at": 1775034000, "accepted_at": None, "canceled_at": 1775600000},
    }},
}  # fmt: skip


def quote(status: str, **transitions: int | None) -> dict[str, Any]:
    thing = QUOTE["data"]["object"]
    dates = {"finalized_at": 1775034000, "accepted_at": None, "canceled_at": None, **transitions}
    return {**QUOTE, "data": {"object": {**thing, "status": status, "status_transitions": dates}}}


@pytest.mark.parametrize(
    ("status", "transitions", "types"),
    [("open", {}, ["quote.sent"]), ("accepted", {"accepted_at": 1775600000}, ["quote.sent", "quote.accepted"]),
     ("canceled", {"canceled_at": 1775600000}, ["quote.sent", "quote.rejected"]),
     ("canceled", {"canceled_at": 1777626000}, ["quote.sent", "quote.expired"]),
     ("canceled", {"finalized_at": None, "canceled_at": 1775600000}, [])],
)  # fmt: skip
def test_a_quote_is_sent_and_then_accepted_rejected_or_expired(
    status: str, transitions: dict[str, int | None], types: list[str]
) -> None:
    several = [one for one in drafts(source(), quote(status, **transitions)) if isinstance(one, Draft)]
    assert [one.type for one in several] == types
    for one in several:
        assert one.data == {
            "quote_id": "qt_1SvQ",
            "opportunity_id": "OP-1",
            "value": {"amount": "10000.00", "currency": "EUR"},
        }


def test_a_draft_quote_and_one_without_an_opportunity_give_nothing() -> None:
    assert "not final" in reason(source(), quote("draft"))
    bare = {**QUOTE, "data": {"object": {**QUOTE["data"]["object"], "metadata": {}}}}
    assert "no opportunity" in reason(source(), bare)
