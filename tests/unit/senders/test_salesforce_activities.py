"""`salesforce`: what people do beside deals – calls, meetings, cases –, what was paid, and the stages that there are."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from service.domain.catalogue import check_data
from service.intake.senders.contract import Draft
from service.intake.senders.salesforce import KIND
from tests.support.kinds import by_key
from tests.support.stories.salesforce import ACCOUNT, CONTACT, INVOICE, LEAD, OPPORTUNITY, change
from tests.unit.senders.test_salesforce import EUR, SOURCE, T1, T2, T3, given, reasons

REP, QUEUE = "0055f000005mc66AAA", "00G5f000003AbCdEAK"
TASK, EVENT, CASE, LINE = "00T5f00000AbCdEEAV", "00U5f00000AbCdEEAV", "5005f00000AbCdEAAV", "1PL5f0000000001AAA"
CALL = {"OwnerId": REP, "WhoId": LEAD, "WhatId": OPPORTUNITY, "TaskSubtype": "Call", "Status": "Completed",
        "CallDurationInSeconds": 312, "CallDisposition": "Connected", "CompletedDateTime": "2026-03-05T10:00:00Z"}  # fmt: skip
LISTED = SOURCE._replace(mapping=KIND.check_mapping({"outcomes": {"Connected": "answered", "No answer": "missed"}}))


def task(**fields: Any) -> dict[str, Any]:
    return change("Task", TASK, "CREATE", T1, **{**CALL, **fields})


def valid(draft: Draft) -> dict[str, Any]:
    assert list(check_data(draft.type, draft.data)) == []
    return draft.data


def test_a_completed_call_is_a_call_with_its_result_by_the_mapping() -> None:
    (done,) = given(f"task:{TASK}", task(), source=LISTED)
    assert isinstance(done, Draft)
    assert (done.type, done.time) == ("call.completed", "2026-03-05T10:00:00Z")
    assert valid(done) == {
        "call_id": TASK, "rep_id": REP, "duration_s": 312, "outcome": "answered", "lead_id": LEAD, "opportunity_id": OPPORTUNITY,
    }  # fmt: skip
    missed = by_key(given(f"task:{TASK}", task(CallDisposition="No answer", CallDurationInSeconds=None), source=LISTED))
    assert valid(missed["done"])["duration_s"] == 0
    assert "contact_id" in by_key(given(f"task:{TASK}", task(WhoId=CONTACT), source=LISTED))["done"].data


@pytest.mark.parametrize(
    ("fields", "told"),
    [({"CallDisposition": "Busy"}, "outcome Busy is not listed"), ({"CallDisposition": None}, "what came of the call"),
     ({"CallDurationInSeconds": None}, "how long the call was"), ({"OwnerId": None}, "whose it is"),
     ({"TaskSubtype": "Cadence"}, "kind Cadence is not listed")],
)  # fmt: skip
def test_what_is_not_known_of_a_call_is_waited_for(fields: dict[str, Any], told: str) -> None:
    assert told in reasons(given(f"task:{TASK}", task(**fields), source=LISTED))


def test_a_task_counts_when_it_is_completed_as_what_its_subtype_says() -> None:
    planned = change("Task", TASK, "CREATE", T1, OwnerId=REP, TaskSubtype="Email", Status="Not Started", WhoId=CONTACT)
    assert given(f"task:{TASK}", planned) == []
    (done,) = given(f"task:{TASK}", planned, change("Task", TASK, "UPDATE", T2, Status="Completed"))
    assert isinstance(done, Draft)
    assert (done.type, done.time) == ("activity.completed", T2)
    assert valid(done) == {"activity_id": TASK, "rep_id": REP, "activity": "email", "contact_id": CONTACT}


def test_an_event_is_a_meeting_at_its_end_until_it_is_deleted() -> None:
    met = change("Event", EVENT, "CREATE", T1, OwnerId=REP, WhatId=OPPORTUNITY, EventSubtype="Event",
                 EndDateTime="2026-03-09T11:00:00.000Z", DurationInMinutes=60)  # fmt: skip
    (done,) = given(f"meeting:{EVENT}", met)
    assert isinstance(done, Draft)
    assert done.time == "2026-03-09T11:00:00Z"
    assert valid(done) == {
        "activity_id": EVENT, "rep_id": REP, "activity": "meeting", "opportunity_id": OPPORTUNITY, "duration_s": 3600,
    }  # fmt: skip
    assert given(f"meeting:{EVENT}", met, change("Event", EVENT, "DELETE", T2)) == []


def test_a_case_is_opened_resolved_and_reopened_and_a_queue_is_no_agent() -> None:
    source = SOURCE._replace(mapping=KIND.check_mapping({"fields": {"case": {"score": "Satisfaction__c"}}}))
    several = [
        change("Case", CASE, "CREATE", T1, Status="New", OwnerId=QUEUE, AccountId=ACCOUNT, IsClosed=False),
        change("Case", CASE, "UPDATE", T2, Status="Closed", OwnerId=REP, IsClosed=True, ClosedDate="2026-03-06T08:59:58.000Z"),
        change("Case", CASE, "UPDATE", T3, Status="Working", IsClosed=False, Satisfaction__c=4),
    ]  # fmt: skip
    several[2]["ChangeEventHeader"]["nulledFields"] = ["ClosedDate"]
    parts = given(f"case:{CASE}", *several, source=source)
    assert [(one.type, one.time, valid(one)) for one in parts if isinstance(one, Draft)] == [
        ("case.opened", T1, {"case_id": CASE, "account_id": ACCOUNT}),
        ("case.resolved", "2026-03-06T08:59:58Z", {"case_id": CASE, "account_id": ACCOUNT, "agent_id": REP}),
        ("case.opened", T3, {"case_id": CASE, "account_id": ACCOUNT, "agent_id": REP}),
        ("csat.recorded", T3, {"case_id": CASE, "score": Decimal(4)}),
    ]


@pytest.mark.parametrize(("kind", "amount"), [("Applied", "120.00"), ("Unapplied", "-120.00")])
def test_what_is_applied_to_an_invoice_is_a_payment_and_what_is_unapplied_takes_it_back(kind: str, amount: str) -> None:
    line = change(
        "PaymentLineInvoice", LINE, "CREATE", T2, Type=kind, Amount=120.0, InvoiceId=INVOICE, AppliedDate=T1, **EUR
    )
    (paid,) = given(f"payment:{LINE}", line)
    assert isinstance(paid, Draft)
    assert paid.time == T1
    assert valid(paid) == {"payment_id": LINE, "invoice_id": INVOICE, "amount": {"amount": amount, "currency": "EUR"}}


def test_the_answer_of_a_query_defines_the_stages() -> None:
    record = {
        "attributes": {"type": "OpportunityStage", "url": "/services/data/v60.0/sobjects/OpportunityStage/01J5f000000AbCdEAK"},
        "Id": "01J5f000000AbCdEAK", "MasterLabel": "Negotiation", "SortOrder": 7, "DefaultProbability": 90.0,
        "CreatedDate": "2025-01-01T08:00:00.000+0000", "SystemModstamp": "2026-01-02T08:00:00.000+0000",
    }  # fmt: skip
    answer = {"totalSize": 1, "done": True, "records": [record]}
    (defined,) = given("stage:01J5f000000AbCdEAK", answer, answer)
    assert isinstance(defined, Draft)
    assert defined.time == "2026-01-02T08:00:00Z"
    assert valid(defined) == {"stage": "Negotiation", "order": 7, "probability": Decimal("0.9")}


def test_the_answer_of_a_query_states_a_record_as_it_is() -> None:
    record = {
        "attributes": {"type": "Opportunity", "url": "/services/data/v60.0/sobjects/Opportunity/x"}, "Id": OPPORTUNITY,
        "Name": "Press line",
        "StageName": "Prospecting", "Amount": 80000.0, "Probability": 10.0, "CloseDate": "2026-06-30", "OwnerId": REP,
        "CreatedDate": T1, "SystemModstamp": T2, **EUR,
    }  # fmt: skip
    source = SOURCE._replace(
        mapping=KIND.check_mapping({"fields": {"deal": {"team": "Team__c", "region": "Region__c"}}})
    )
    opened = by_key(
        given(f"deal:{OPPORTUNITY}", {"records": [{**record, "Team__c": "north", "Region__c": "EMEA"}]}, source=source)
    )
    assert valid(opened["opened"]) == {
        "opportunity_id": OPPORTUNITY, "name": "Press line", "stage": "Prospecting", "owner_id": REP, "team": "north",
        "region": "EMEA", "probability": Decimal("0.1"), "expected_close": "2026-06-30",
        "estimated_value": {"amount": "80000.00", "currency": "EUR"},
    }  # fmt: skip
