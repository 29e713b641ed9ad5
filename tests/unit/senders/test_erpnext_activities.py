"""`erpnext`: payments, calls, events of the calendar and issues, as documents tell them."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from service.domain.catalogue import check_data
from service.intake.senders.contract import Draft, Waiting
from tests.support.kinds import euros
from tests.unit.senders.test_erpnext import document, drafts, source

OF_ALL = {
    "owner": "anna@erp.example",
    "creation": "2026-03-16 14:00:00",
    "modified": "2026-03-16 15:00:00",
    "docstatus": 0,
}
CALL = {**OF_ALL, "doctype": "Call Log", "name": "CA-1", "id": "CA-1", "from": "+49511555", "to": "+49511777", "type": "Incoming",
        "status": "Completed", "duration": 95, "start_time": "2026-03-16 14:10:00", "end_time": "2026-03-16 14:11:35",
        "employee_user_id": "ben@erp.example",
        "links": [{"link_doctype": "Customer", "link_name": "K"},
                  {"link_doctype": "Lead", "link_name": "CRM-LEAD-1"}]}  # fmt: skip
EVENT = {**OF_ALL, "doctype": "Event", "name": "EV00017", "event_category": "Meeting", "status": "Open",
         "starts_on": "2026-03-17 10:00:00", "ends_on": "2026-03-17 11:30:00",
         "event_participants": [{"reference_doctype": "Opportunity", "reference_docname": "CRM-OPP-1"}]}  # fmt: skip
ISSUE = {**OF_ALL, "doctype": "Issue", "name": "ISS-2026-00003", "status": "Open", "customer": "Contoso",
         "_assign": '["ben@erp.example"]'}  # fmt: skip
PAID = {**OF_ALL, "doctype": "Payment Entry", "name": "ACC-PAY-2026-00009", "docstatus": 1, "payment_type": "Receive",
        "party_type": "Customer", "party": "Contoso", "posting_date": "2026-05-02", "paid_amount": 150.0,
        "paid_from_account_currency": "EUR",
        "references": [
            {"reference_doctype": "Sales Invoice", "reference_name": "SI-1", "allocated_amount": 100.0},
            {"reference_doctype": "Sales Invoice", "reference_name": "SI-1", "allocated_amount": 19.0},
            {"reference_doctype": "Sales Order", "reference_name": "SO-1", "allocated_amount": 31.0}]}  # fmt: skip


def valid(several: list[Draft | Waiting]) -> list[tuple[str, str, dict[str, Any]]]:
    assert all(isinstance(one, Draft) and not list(check_data(one.type, one.data)) for one in several), several
    return [(one.type, one.time, one.data) for one in several if isinstance(one, Draft)]


@pytest.mark.parametrize(("status", "outcome"), [("Completed", "answered"), ("No Answer", "missed"), ("Ringing", None)])
def test_a_call_log_is_a_call_of_the_employee_it_was_directed_to(status: str, outcome: str | None) -> None:
    data = {
        "call_id": "CA-1",
        "rep_id": "ben@erp.example",
        "duration_s": Decimal(95),
        "outcome": outcome,
        "lead_id": "CRM-LEAD-1",
    }
    expected = [("call.completed", "2026-03-16T13:11:35Z", data)] if outcome else []
    assert valid(drafts(source(), {**CALL, "status": status})) == expected


def test_how_long_a_call_was_is_waited_for() -> None:
    (waits,) = drafts(source(), {**CALL, "duration": None})
    assert isinstance(waits, Waiting)
    assert "how long" in waits.reason


def test_an_event_is_an_activity_once_it_is_completed() -> None:
    assert drafts(source(), EVENT) == []
    done = {**EVENT, "status": "Completed", "modified": "2026-03-17 12:00:00"}
    assert valid(drafts(source(), EVENT, done)) == [("activity.completed", "2026-03-17T10:30:00Z", {
        "activity_id": "EV00017", "rep_id": "anna@erp.example", "activity": "meeting", "duration_s": 5400,
        "opportunity_id": "CRM-OPP-1",
    })]  # fmt: skip
    assert drafts(source(), {**done, "event_category": "Call"}) == []


def test_an_issue_is_a_case_opened_resolved_and_reopened() -> None:
    closed = {
        **ISSUE,
        "status": "Closed",
        "modified": "2026-03-18 09:00:00",
        "sla_resolution_date": "2026-03-18 08:59:00",
    }
    again = {**ISSUE, "status": "Open", "modified": "2026-03-19 09:00:00"}
    about = {"case_id": "ISS-2026-00003", "account_id": "Contoso", "agent_id": "ben@erp.example"}
    assert valid(drafts(source(), ISSUE, closed, again)) == [
        ("case.opened", "2026-03-16T13:00:00Z", about), ("case.resolved", "2026-03-18T07:59:00Z", about),
        ("case.opened", "2026-03-19T08:00:00Z", about),
    ]  # fmt: skip


def test_a_payment_pays_each_invoice_that_it_names_until_it_is_cancelled() -> None:
    (paid,) = valid(drafts(source(), PAID))
    assert paid[0] == "payment.received"
    assert paid[2] == {"payment_id": "ACC-PAY-2026-00009/SI-1", "invoice_id": "SI-1", "amount": euros("119.00")}
    assert drafts(source(), PAID, {**PAID, "docstatus": 2, "modified": "2026-05-04 10:00:00"}) == []
    assert drafts(source(), {**PAID, "payment_type": "Pay"}) == []


def test_an_opportunity_tells_its_name_what_changes_of_its_prospects_and_why_it_was_lost() -> None:
    first = document("opportunity", title="Press line")
    later = {**first, "modified": "2026-03-20 10:00:00", "probability": 60.0, "expected_closing": "2026-05-31"}
    lost = {**later, "modified": "2026-04-01 10:00:00", "status": "Lost",
            "lost_reasons": [{"lost_reason": "Price"}, {"lost_reason": "Delivery time"}]}  # fmt: skip
    opened, changed, ended = valid(drafts(source(name_field="title"), first, later, lost))
    assert opened[2]["name"] == "Press line"
    assert "name" not in valid(drafts(source(), first))[0][2]  # which may be that of a person
    assert changed[2] == {
        "opportunity_id": "CRM-OPP-2026-00008", "estimated_value": euros("80000.00"), "probability": Decimal("0.6"),
        "expected_close": "2026-05-31",
    }  # fmt: skip
    assert ended[2]["reason"] == "Price, Delivery time"
