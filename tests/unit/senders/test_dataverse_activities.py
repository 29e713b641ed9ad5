"""`dataverse`: calls, mails, appointments, tasks and cases, in the context of the operation that completed them."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from service.domain.catalogue import check_data
from service.intake.senders.contract import Draft, Waiting
from tests.support.kinds import reasons
from tests.support.stories.dataverse import closed, context, created, entity, guid, option, ref, updated, when
from tests.unit.senders.test_dataverse import AT, DAYS, translated

REP = ref("systemuser", "rep")
CALL = {"ownerid": REP, "regardingobjectid": ref("opportunity", "line"), "actualdurationminutes": 5}


def valid(parts: list[Draft | Waiting]) -> list[tuple[str, str, dict[str, Any]]]:
    assert all(isinstance(one, Draft) and not list(check_data(one.type, one.data)) for one in parts), parts
    return [(one.type, one.time, one.data) for one in parts if isinstance(one, Draft)]


@pytest.mark.parametrize(("voicemail", "outcome"), [(False, "answered"), (True, "voicemail")])
def test_a_phone_call_counts_once_it_is_completed(voicemail: bool, outcome: str) -> None:
    planned = created("phonecall", "first", AT[0], **CALL)
    assert translated(planned) == []
    made = updated("phonecall", "first", AT[1], statecode=option(1), statuscode=option(2), leftvoicemail=voicemail,
                   actualend=when("2026-03-03T07:30:00"))  # fmt: skip
    assert valid(translated(planned, made)) == [("call.completed", "2026-03-03T07:30:00Z", {
        "call_id": guid("phonecall/first"), "rep_id": guid("systemuser/rep"), "duration_s": 300, "outcome": outcome,
        "opportunity_id": guid("opportunity/line"),
    })]  # fmt: skip
    again = updated("phonecall", "first", AT[2], statecode=option(0), statuscode=option(1))
    assert translated(planned, made, again) == []


def test_how_long_a_call_was_is_waited_for() -> None:
    made = created("phonecall", "first", AT[0], ownerid=REP)
    made["InputParameters"][0]["value"]["Attributes"].append({"key": "statuscode", "value": option(2)})
    done = updated("phonecall", "first", AT[1], statecode=option(1))
    assert "actualdurationminutes" in "; ".join(reasons(translated(made, done)))


@pytest.mark.parametrize(
    ("table", "status", "activity"),
    [("email", 3, "email"), ("email", 4, None), ("appointment", 3, "meeting"), ("task", 5, "other")],
)
def test_an_activity_counts_when_it_is_completed_and_a_mail_when_it_was_sent(
    table: str, status: int, activity: str | None
) -> None:
    planned = created(table, "one", AT[0], ownerid=REP, regardingobjectid=ref("lead", "kim"))
    done = updated(table, "one", AT[1], statecode=option(1), statuscode=option(status))
    data = {"activity_id": guid(f"{table}/one"), "rep_id": guid("systemuser/rep"), "activity": activity,
            "lead_id": guid("lead/kim")}  # fmt: skip
    assert valid(translated(planned, done)) == ([("activity.completed", DAYS[1], data)] if activity else [])
    gone = context("Delete", table, "one", AT[2], {"Target": ref(table, "one")})
    assert translated(planned, done, gone) == []


def test_a_case_is_opened_resolved_by_its_resolution_reactivated_and_rated() -> None:
    opened = created("incident", "noise", AT[0], ownerid=REP, customerid=ref("account", "contoso"))
    resolution = entity("incidentresolution", guid("resolution"), {"incidentid": ref("incident", "noise")})
    over = context("Close", "incident", "noise", AT[1], {"IncidentResolution": resolution, "Status": option(5)})
    again = updated("incident", "noise", AT[2], statecode=option(0), statuscode=option(1))
    rated = updated("incident", "noise", AT[3], customersatisfactioncode=option(4))
    about = {
        "case_id": guid("incident/noise"),
        "agent_id": guid("systemuser/rep"),
        "account_id": guid("account/contoso"),
    }
    assert valid(translated(opened, over, again, rated)) == [
        ("case.opened", DAYS[0], about), ("case.resolved", DAYS[1], about), ("case.opened", DAYS[2], about),
        ("csat.recorded", DAYS[3], {"case_id": about["case_id"], "score": Decimal(4)}),
    ]  # fmt: skip
    assert translated(opened, updated("incident", "noise", AT[1], statecode=option(2), statuscode=option(6))) == []


def test_an_opportunity_has_its_name_and_a_lost_quote_its_end() -> None:
    line = created("opportunity", "line", AT[0], name="Press line")
    assert valid(translated(line))[0][2]["name"] == "Press line"
    sent = created("quote", "q", AT[0], opportunityid=ref("opportunity", "line"))
    lost = closed("Close", "quote", "q", AT[1], 5)
    assert [one[0] for one in valid(translated(sent, lost))] == ["quote.rejected"]
