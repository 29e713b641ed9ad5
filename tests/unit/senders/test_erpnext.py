"""`erpnext`: signatures, the document as the only witness, exact amounts, site time, corrections and returns."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Mapping
from datetime import UTC, datetime
from itertools import permutations
from pathlib import Path
from typing import Any

import pytest

from service.intake.senders import KINDS
from service.intake.senders.contract import (
    Draft,
    MalformedError,
    RejectedError,
    Source,
    Statement,
    Waiting,
)
from tests.support.kinds import euros, parts_of, posted, reason, reasons, translated

KIND = KINDS["erpnext"]
NOW = datetime(2026, 6, 1, 10, tzinfo=UTC)
SAMPLES = Path("docs/senders/samples/erpnext")


def source(**mapping: Any) -> Source:
    checked = KIND.check_mapping({"timezone": "Europe/Berlin", **mapping})
    return Source("s", KIND.name, "erp", ("new-secret", "old-secret"), checked)


def document(sample: str, /, **changed: Any) -> dict[str, Any]:
    whole: dict[str, Any] = json.loads((SAMPLES / f"{sample}.json").read_text("utf-8"))
    return whole | changed


def records(at: Source, *several: Mapping[str, Any]) -> dict[str, list[Draft | Waiting]]:
    """Translate documents as the service does, record by record."""
    parts = parts_of(at, *several)
    return {one.record: translated(at, parts, one.record) for one in parts if isinstance(one, Statement)}


def drafts(at: Source, *several: Mapping[str, Any]) -> list[Draft | Waiting]:
    (only,) = records(at, *several).values()
    return only


def by_type(several: list[Draft | Waiting]) -> dict[str, Draft]:
    assert all(isinstance(one, Draft) for one in several), several
    return {one.type: one for one in several if isinstance(one, Draft)}


def why_not(at: Source, one: Mapping[str, Any]) -> str:
    return reasons(parts_of(at, one))[0]


def test_the_signature_is_base64_of_the_hmac_of_the_body_by_any_secret() -> None:
    body = (SAMPLES / "lead.json").read_bytes()
    for secret in ("new-secret", "old-secret"):
        signature = base64.b64encode(hmac.new(secret.encode(), body, hashlib.sha256).digest()).decode()
        one = posted(body, {"x-frappe-webhook-signature": signature})
        KIND.verify(one, source(), NOW)
        with pytest.raises(RejectedError, match="does not fit"):
            KIND.verify(one._replace(body=body + b" "), source(), NOW)
    with pytest.raises(RejectedError, match="X-Frappe-Webhook-Signature is missing"):
        KIND.verify(one._replace(headers={}), source(), NOW)


def test_what_is_signed_for_a_try_verifies() -> None:
    one = posted(b"{}", KIND.sign(b"{}", source(), NOW))
    KIND.verify(one, source(), NOW)


def test_a_lead_is_captured_when_it_was_made_in_the_sites_time() -> None:
    assert drafts(source(), document("lead")) == [
        Draft("captured", "lead.captured", "2026-03-09T09:31:12.004211Z", {
            "lead_id": "CRM-LEAD-2026-00017", "campaign_id": "Hannover Fair 2026", "source": "Trade fair",
            "medium": "Stand", "utm": {"source": "Trade fair", "medium": "Stand"}, "owner_id": "anna@erp.example",
        })
    ]  # fmt: skip


def test_campaigns_of_older_versions_are_found_too() -> None:
    old = document("lead", campaign_name="Fair", utm_campaign=None)
    assert by_type(drafts(source(), old))["lead.captured"].data["campaign_id"] == "Fair"
    old = document("opportunity", campaign="Fair")
    del old["utm_campaign"]
    assert by_type(drafts(source(), old))["opportunity.opened"].data["campaign_id"] == "Fair"


def test_a_lead_that_changes_its_campaign_is_reassigned_and_none_is_a_campaign_too() -> None:
    moved = document("lead", modified="2026-03-10 08:00:00", utm_campaign="Mailing")
    freed = document("lead", modified="2026-03-11 08:00:00", utm_campaign=None)
    several = [drafts(source(), *one) for one in permutations([document("lead"), moved, freed])]
    assert all(one == several[0] for one in several)
    assert several[0][1:] == [
        Draft("campaign/2026-03-10T07:00:00Z", "lead.campaign_reassigned", "2026-03-10T07:00:00Z",
              {"lead_id": "CRM-LEAD-2026-00017", "campaign_id": "Mailing"}),
        Draft("campaign/2026-03-11T07:00:00Z", "lead.campaign_reassigned", "2026-03-11T07:00:00Z",
              {"lead_id": "CRM-LEAD-2026-00017", "campaign_id": None}),
    ]  # fmt: skip


def test_a_lead_is_qualified_on_its_day_or_by_the_status_that_the_mapping_names() -> None:
    late = document("lead", modified="2026-03-20 08:00:00", qualification_status="Qualified", qualified_on="2026-03-12")
    qualified = by_type(drafts(source(), document("lead"), late))["lead.qualified"]
    assert qualified.time == "2026-03-11T23:00:00Z"  # the twelfth begins in Berlin
    mapped = source(qualified={"field": "status", "values": ["Opportunity"]})
    assert "lead.qualified" not in by_type(drafts(mapped, late))
    reached = document("lead", modified="2026-03-16 14:05:32", status="Opportunity")
    assert by_type(drafts(mapped, reached))["lead.qualified"].time == "2026-03-16T13:05:32Z"


def test_an_opportunity_opens_moves_and_ends_by_its_versions_in_any_order() -> None:
    moved = document("opportunity", modified="2026-03-18 09:00:00", sales_stage="Proposal", opportunity_amount=82500.0)
    lost = document("opportunity", modified="2026-03-19 09:00:00", status="Lost", order_lost_reason="Price")
    lost |= {"sales_stage": "Proposal", "opportunity_amount": 82500.0}
    again = lost | {"modified": "2026-03-20 09:00:00", "status": "Quotation"}
    won = lost | {"modified": "2026-04-01 09:00:00", "status": "Converted"}
    several = [drafts(source(), *one) for one in permutations([document("opportunity"), moved, lost, again, won])]
    assert all(one == several[0] for one in several)
    types = ["opened", "stage_changed", "value_changed", "lost", "reopened", "won"]
    assert [one.type for one in several[0] if isinstance(one, Draft)] == [f"opportunity.{one}" for one in types]
    opened = by_type(several[0])["opportunity.opened"]
    assert opened.time == "2026-03-16T13:05:31.550000Z"
    assert opened.data["estimated_value"] == euros("80000.00")
    assert str(opened.data["probability"]) == "0.2"
    assert opened.data["lead_ids"] == ["CRM-LEAD-2026-00017"]
    assert by_type(several[0])["opportunity.lost"].data["reason"] == "Price"


def test_a_value_that_nobody_estimated_is_not_zero() -> None:
    opened = by_type(drafts(source(), document("opportunity", opportunity_amount=0.0)))["opportunity.opened"]
    assert "estimated_value" not in opened.data


def test_a_quotation_is_accepted_once_by_its_order_and_by_its_status() -> None:
    ordered = document("quotation", modified="2026-04-01 10:16:31", status="Ordered")
    for several in permutations([document("quotation"), ordered, document("sales-order")]):
        got = records(source(), *several)["Quotation:SAL-QTN-2026-00012"]
        sent, accepted = got
        assert isinstance(sent, Draft)
        assert sent.type == "quote.sent"
        assert accepted == Draft("accepted", "quote.accepted", "2026-04-01T08:15:00.000100Z", {
            "quote_id": "SAL-QTN-2026-00012", "opportunity_id": "CRM-OPP-2026-00008", "value": euros("82500.00"),
        })  # fmt: skip
    by_status = by_type(records(source(), document("quotation"), ordered)["Quotation:SAL-QTN-2026-00012"])
    assert by_status["quote.accepted"].time == "2026-04-01T08:16:31Z"


def test_an_order_waits_for_the_quotation_that_says_which_deal_it_is() -> None:
    got = records(source(), document("sales-order"))
    (waiting,) = got["Quotation:SAL-QTN-2026-00012"]
    assert isinstance(waiting, Waiting)
    assert by_type(got["Sales Order:SAL-ORD-2026-00021"])["order.placed"].data["quote_id"] == "SAL-QTN-2026-00012"


def test_a_quotation_straight_to_a_lead_is_a_deal_of_its_own_unless_the_mapping_says_no() -> None:
    direct = document("quotation", opportunity=None)
    got = by_type(drafts(source(), direct))
    assert got["opportunity.opened"].data["lead_ids"] == ["CRM-LEAD-2026-00017"]
    assert got["quote.sent"].data["opportunity_id"] == "SAL-QTN-2026-00012"
    assert drafts(source(direct_quotations=False), direct) == []
    assert "belongs to no deal" in why_not(source(direct_quotations=False), direct)


def test_an_order_is_placed_amended_and_cancelled_whatever_comes_first() -> None:
    grown = document("sales-order", modified="2026-04-08 13:30:00", net_total=99000.0)
    billed = grown | {"modified": "2026-04-21 16:45:56", "status": "Completed"}
    gone = billed | {"modified": "2026-05-02 09:00:00", "docstatus": 2, "status": "Cancelled"}
    name = "Sales Order:SAL-ORD-2026-00021"
    several = [records(source(), *one)[name] for one in permutations([document("sales-order"), grown, billed, gone])]
    assert all(one == several[0] for one in several)
    placed, amended, cancelled = several[0]
    assert placed == Draft("placed", "order.placed", "2026-04-01T08:15:00.000100Z", {
        "order_id": "SAL-ORD-2026-00021", "net_value": euros("82500.00"), "quote_id": "SAL-QTN-2026-00012",
        "account_id": "Kunde KG", "campaign_id": "Hannover Fair 2026",
    })  # fmt: skip
    assert isinstance(amended, Draft)
    assert (amended.type, amended.time) == ("order.amended", "2026-04-08T11:30:00Z")
    assert amended.data["net_value"] == euros("99000.00")
    assert isinstance(cancelled, Draft)
    assert (cancelled.type, cancelled.time) == ("order.cancelled", "2026-05-02T07:00:00Z")


def test_a_backdated_order_counts_on_its_date() -> None:
    one = document("sales-order", transaction_date="2026-03-30")
    got = by_type(records(source(), one)["Sales Order:SAL-ORD-2026-00021"])
    assert got["order.placed"].time == "2026-03-29T22:00:00Z"


@pytest.mark.parametrize("missing", [{"net_total": None}, {"currency": None}, {"currency": ""}])
def test_an_unknown_amount_waits_until_a_document_states_it(missing: dict[str, Any]) -> None:
    unknown = document("sales-order", **missing)
    (waiting,) = records(source(), unknown)["Sales Order:SAL-ORD-2026-00021"]
    assert isinstance(waiting, Waiting)
    assert "amount unknown" in waiting.reason
    told = document("sales-order", modified="2026-04-02 08:00:00")
    placed = by_type(records(source(), told, unknown)["Sales Order:SAL-ORD-2026-00021"])["order.placed"]
    assert placed.data["net_value"] == euros("82500.00")


@pytest.mark.parametrize(
    ("currency", "number", "amount"),
    [("EUR", "0.1", "0.10"), ("EUR", "1234.565000000001", "1234.57"), ("EUR", "1e3", "1000.00"), ("JPY", "1500.0", "1500"),
     ("KWD", "1.2345", "1.234"), ("EUR", "999999999999.99", "999999999999.99"), ("EUR", "0", "0.00")],
)  # fmt: skip
def test_json_numbers_become_exact_amounts(currency: str, number: str, amount: str) -> None:
    body = json.dumps(document("sales-order", currency=currency, net_total="@")).replace('"@"', number)
    (statement, _) = parts_of(source(), body.encode())
    (placed,) = translated(source(), [statement])
    assert isinstance(placed, Draft)
    assert placed.data["net_value"] == {"amount": amount, "currency": currency}


def test_amounts_in_the_companys_currency_are_those_that_erpnext_converted() -> None:
    dollars = document("sales-invoice", currency="USD", net_total=108000.0)
    plain = by_type(drafts(source(), dollars))["invoice.posted"]
    assert plain.data["net_amount"] == {"amount": "108000.00", "currency": "USD"}
    company = source(amounts="company", company_currencies={"Northwind Tools GmbH": "EUR"})
    assert by_type(drafts(company, dollars))["invoice.posted"].data["net_amount"] == euros("99000.00")
    with pytest.raises(MalformedError, match="company_currencies in the mapping"):
        drafts(source(amounts="company"), dollars)


def test_an_invoice_is_posted_without_tax_and_its_returns_credit_it_until_they_are_cancelled() -> None:
    invoice, back = document("sales-invoice"), document("sales-invoice-return")
    for several in permutations([invoice, back]):
        posted, credited = drafts(source(), *several)
        assert posted == Draft("posted", "invoice.posted", "2026-04-21T14:40:10Z", {
            "invoice_id": "ACC-SINV-2026-00044", "order_id": "SAL-ORD-2026-00021", "account_id": "Kunde KG",
            "net_amount": euros("99000.00"), "tax": euros("18810.00"), "posting_date": "2026-04-21",
            "due_date": "2026-05-21",
        })  # fmt: skip
        assert credited == Draft("credited/ACC-SINV-2026-00051", "invoice.credited", "2026-05-04T07:00:01Z", {
            "credit_note_id": "ACC-SINV-2026-00051", "invoice_id": "ACC-SINV-2026-00044",
            "net_amount": euros("16500.00"), "posting_date": "2026-05-04",
        })  # fmt: skip
    undone = back | {"modified": "2026-05-05 08:00:00", "docstatus": 2}
    assert [one.type for one in drafts(source(), undone, invoice, back) if isinstance(one, Draft)] == ["invoice.posted"]
    assert by_type(drafts(source(), back))["invoice.credited"].data["invoice_id"] == "ACC-SINV-2026-00044"


def test_a_cancelled_invoice_is_posted_and_cancelled() -> None:
    gone = document("sales-invoice", modified="2026-05-02 09:00:00", docstatus=2)
    got = by_type(drafts(source(), gone))
    assert got["invoice.posted"].data["net_amount"] == euros("99000.00")
    assert got["invoice.cancelled"].time == "2026-05-02T07:00:00Z"


def test_a_return_that_names_no_invoice_waits() -> None:
    assert "return_against" in reason(drafts(source(), document("sales-invoice-return", return_against=None)))


def test_an_invoice_of_several_orders_is_posted_once_per_order_to_the_cent() -> None:
    rows = [{"sales_order": "SO-1", "net_amount": 33.335}, {"sales_order": "SO-2", "net_amount": 33.335},
            {"sales_order": "SO-1", "net_amount": 33.33}]  # fmt: skip
    joint = document("sales-invoice", net_total=100.0, items=rows)
    back = document("sales-invoice-return", net_total=-33.34, items=[{"sales_order": "SO-2", "net_amount": -33.34}])
    for several in permutations([joint, back]):
        first, second, credited = drafts(source(), *several)
        assert isinstance(first, Draft)
        assert isinstance(second, Draft)
        assert isinstance(credited, Draft)
        assert (first.data["order_id"], first.data["net_amount"]) == ("SO-1", euros("66.66"))
        assert (second.data["order_id"], second.data["net_amount"]) == ("SO-2", euros("33.34"))
        assert credited.data["invoice_id"] == second.data["invoice_id"] == "ACC-SINV-2026-00044/SO-2"


def test_what_else_an_invoice_of_one_order_bills_belongs_to_the_order() -> None:
    rows = [{"sales_order": "SO-1", "net_amount": 90.0}, {"item_code": "FREIGHT", "net_amount": 10.0}]
    (posted,) = drafts(source(), document("sales-invoice", net_total=100.0, items=rows))
    assert isinstance(posted, Draft)
    assert (posted.data["order_id"], posted.data["net_amount"]) == ("SO-1", euros("100.00"))


def test_a_purchase_is_the_cost_of_the_campaign_that_it_or_its_items_name() -> None:
    assert drafts(source(), document("purchase-invoice")) == [
        Draft("booked/Hannover Fair 2026", "campaign.cost_booked", "2026-03-02T08:12:44.400000Z", {
            "cost_entry_id": "ACC-PINV-2026-00031/Hannover Fair 2026", "campaign_id": "Hannover Fair 2026",
            "amount": euros("12000.00"), "cost_date": "2026-03-02", "supplier_ref": "Deutsche Messe AG",
        })
    ]  # fmt: skip
    shared = document("purchase-invoice")
    shared["items"][1]["utm_campaign"] = "Mailing"
    amounts = {
        one.data["campaign_id"]: one.data["amount"] for one in drafts(source(), shared) if isinstance(one, Draft)
    }
    assert amounts == {"Hannover Fair 2026": euros("8000.00"), "Mailing": euros("4000.00")}


def test_a_purchase_is_taken_back_by_its_return_and_by_its_cancelling() -> None:
    back = document("purchase-invoice", name="R", is_return=1, return_against="P", net_total=-2000.0, items=[])
    (reversed_,) = drafts(source(), back)
    assert isinstance(reversed_, Draft)
    assert reversed_.type == "campaign.cost_reversed"
    entry, day = "P/Hannover Fair 2026", "2026-03-02"
    assert reversed_.data == {"cost_entry_id": entry, "amount": euros("2000.00"), "cost_date": day}
    assert drafts(source(), back | {"docstatus": 2}) == []
    gone = by_type(drafts(source(), document("purchase-invoice", docstatus=2)))
    assert gone["campaign.cost_reversed"].data == {"cost_entry_id": "ACC-PINV-2026-00031/Hannover Fair 2026"}


def test_a_purchase_of_no_campaign_is_ignored_with_the_reason() -> None:
    other = document("purchase-invoice", utm_campaign=None)
    assert "names no campaign in utm_campaign, campaign, campaign_name" in why_not(source(), other)
    assert drafts(source(), other) == []


def test_any_doctype_can_be_a_cost_by_mapping() -> None:
    rule = {"amount": "spent", "currency": "EUR", "date": "day", "supplier": "", "submitted": False}
    at = source(costs={"Marketing Expense": rule}, campaign_fields=["for_campaign"])
    expense = {"doctype": "Marketing Expense", "name": "ME-1", "creation": "2026-03-01 08:00:00", "docstatus": 0,
               "modified": "2026-03-01 08:00:00", "for_campaign": "Fair", "spent": 12.3, "day": "2026-02-28"}  # fmt: skip
    (booked,) = drafts(at, expense)
    assert isinstance(booked, Draft)
    assert booked.data == {
        "cost_entry_id": "ME-1/Fair", "campaign_id": "Fair", "amount": euros("12.30"), "cost_date": "2026-02-28",
    }  # fmt: skip
    (corrected,) = drafts(at, expense, expense | {"modified": "2026-03-02 08:00:00", "spent": 20})
    assert isinstance(corrected, Draft)
    assert (corrected.key, corrected.data["amount"]) == (booked.key, euros("20.00"))


def test_a_campaign_is_registered_under_its_name() -> None:
    (one,) = drafts(source(), document("campaign"))
    assert isinstance(one, Draft)
    assert one.data == {"campaign_id": "Hannover Fair 2026", "name": "Hannover Fair 2026"}


def test_drafts_and_other_doctypes_are_ignored_with_the_reason() -> None:
    assert "draft Sales Order" in why_not(source(), document("sales-order", docstatus=0))
    assert "Customer" in why_not(source(), document("lead", doctype="Customer"))


@pytest.mark.parametrize("field", ["doctype", "modified", "docstatus", "name"])
def test_a_template_that_leaves_out_what_is_needed_is_named(field: str) -> None:
    one = document("sales-order")
    del one[field]
    with pytest.raises(MalformedError, match=field):
        parts_of(source(), one)


def test_no_personal_data_leaves_the_inbox() -> None:
    for sample in ("lead", "opportunity", "sales-order"):
        stated = repr(parts_of(source(), document(sample)))
        assert "Jana" not in stated
        assert "kunde.example" not in stated


@pytest.mark.parametrize(
    ("mapping", "problem"),
    [
        ({"timezone": "Berlin"}, "timezone: expected an IANA"),
        ({"outcomes": {"Closed": "gone"}}, r"outcomes\.Closed: expected one of won, lost"),
        ({"amounts": "base"}, "amounts: expected transaction or company"),
        ({"campaign_fields": [1]}, "campaign_fields: expected a list of texts"),
        ({"company_currencies": {"X": "Euro"}}, r"company_currencies\.X"),
        ({"costs": {"Purchase Invoice": {"amout": "x"}}}, r"costs\.Purchase Invoice\.amout.*did you mean amount"),
        ({"costs": {"Lead": {}}}, r"costs\.Lead"),
        ({"costs": {"X": 1}}, r"costs\.X"),
    ],
)
def test_a_mapping_that_cannot_work_is_refused_by_name(mapping: dict[str, Any], problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        KIND.check_mapping(mapping)


@pytest.mark.parametrize("sample", ["lead", "campaign"])
def test_a_document_that_does_not_say_when_it_was_made_waits_and_a_later_change_moves_nothing(sample: str) -> None:
    bare = {name: value for name, value in document(sample).items() if name != "creation"}
    again = {**bare, "modified": "2026-07-01 09:00:00.000000"}
    for several in ([bare], [bare, again]):
        assert "creation" in reason(drafts(source(), *several))
    whole = drafts(source(), bare, document(sample) | {"modified": "2026-07-02 09:00:00.000000"})
    (made,) = (one for one in whole if isinstance(one, Draft) and one.type in ("lead.captured", "campaign.registered"))
    assert made.time == by_type(drafts(source(), document(sample)))[made.type].time


@pytest.mark.parametrize(
    ("sample", "dates"),
    [("opportunity", ["transaction_date"]), ("sales-order", ["transaction_date"]),
     ("sales-invoice", ["posting_date", "posting_time"]), ("purchase-invoice", ["posting_date", "posting_time"])],
)  # fmt: skip
def test_a_document_with_a_date_needs_no_creation_and_one_with_neither_waits(sample: str, dates: list[str]) -> None:
    undated = {name: value for name, value in document(sample).items() if name != "creation"}
    record = f"{undated['doctype']}:{undated['name']}"
    given = records(source(), undated)[record]
    assert any(isinstance(one, Draft) for one in given)
    assert given == records(source(), {**undated, "modified": "2026-07-01 09:00:00.000000"})[record]
    (waiting,) = records(source(), {name: value for name, value in undated.items() if name not in dates})[record]
    assert isinstance(waiting, Waiting)


@pytest.mark.parametrize("blank", [False, None, "", "NULL", "(not set)", "--", "–"])
def test_a_field_that_holds_a_word_for_nothing_names_no_campaign(blank: Any) -> None:
    captured = by_type(drafts(source(), document("lead", utm_campaign=blank, campaign_name=None, utm_source=blank)))
    assert not {"campaign_id", "source"} & captured["lead.captured"].data.keys()
    named = by_type(drafts(source(), document("lead", utm_campaign=blank, campaign_name="Fair")))
    assert named["lead.captured"].data["campaign_id"] == "Fair"
    own = drafts(source(blanks=["nix"]), document("lead", utm_campaign="--"))
    assert by_type(own)["lead.captured"].data["campaign_id"] == "--"
