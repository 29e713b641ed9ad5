"""`dataverse`: campaign responses, registrations and forms as touches, and contacts that are connected with opportunities."""

from __future__ import annotations

from typing import Any

import pytest

from service.domain.catalogue import check_data
from service.intake.senders.contract import Draft, Waiting
from service.intake.senders.dataverse import KIND
from tests.support.kinds import reasons
from tests.support.stories.dataverse import context, created, guid, option, parties, ref, updated, when
from tests.unit.senders.test_dataverse import AT, DAYS, SOURCE, translated

ANSWER = {"regardingobjectid": ref("campaign", "fair"), "customer": parties(ref("contact", "kim"), ref("contact", "lee")),
          "receivedon": when("2026-03-01T07:30:00"), "channeltypecode": option(2)}  # fmt: skip
EVENTS = SOURCE._replace(mapping=KIND.check_mapping({
    "campaigns": {guid("msevtmgt_event/demo"): "spring-demo"},
    "columns": {
        "msevtmgt_eventregistration": {
            "campaign": "msevtmgt_eventid", "person": "msevtmgt_contactid", "cancelled": "msevtmgt_iscanceled",
        }
    },
}))  # fmt: skip
BUYER = {"record1id": ref("opportunity", "line"), "record2id": ref("contact", "kim"), "ismaster": True,
         "record2roleid": {**ref("connectionrole", "decides"), "Name": "Decision Maker"}}  # fmt: skip


def valid(parts: list[Draft | Waiting]) -> list[tuple[str, str, dict[str, Any]]]:
    assert all(isinstance(one, Draft) and not list(check_data(one.type, one.data)) for one in parts), parts
    return [(one.type, one.time, one.data) for one in parts if isinstance(one, Draft)]


def test_a_campaign_response_is_a_touch_of_its_first_customer_on_the_day_it_was_received() -> None:
    made = created("campaignresponse", "one", AT[0], **ANSWER)
    touch = {
        "touchpoint_id": guid("campaignresponse/one"), "campaign_id": guid("campaign/fair"), "activity_type": "phone",
        "interaction": "response", "contact_id": guid("contact/kim"),
    }  # fmt: skip
    assert valid(translated(made)) == [("touchpoint.recorded", "2026-03-01T07:30:00Z", touch)]
    closed = updated("campaignresponse", "one", AT[1], statecode=option(1), statuscode=option(2))
    assert valid(translated(made, closed)) == valid(translated(made))
    cancelled = updated("campaignresponse", "one", AT[1], statecode=option(2), statuscode=option(3))
    deleted = context("Delete", "campaignresponse", "one", AT[1], {"Target": ref("campaignresponse", "one")})
    assert translated(made, cancelled) == translated(made, deleted) == []


@pytest.mark.parametrize(
    ("column", "told"), [("customer", "whose campaignresponse it is"), ("regardingobjectid", "campaign of this")]
)
def test_whose_a_response_is_and_to_what_is_waited_for(column: str, told: str) -> None:
    assert told in "; ".join(reasons(translated(created("campaignresponse", "one", AT[0], **{**ANSWER, column: None}))))


def test_a_registration_is_a_touch_of_the_campaign_that_its_event_is_listed_for() -> None:
    about = {"msevtmgt_eventid": ref("msevtmgt_event", "demo"), "msevtmgt_contactid": ref("contact", "kim")}
    made = created("msevtmgt_eventregistration", "one", AT[0], **about)
    ((kind, time, data),) = valid(translated(made, at=EVENTS))
    assert (kind, time, data["campaign_id"], data["activity_type"], data["contact_id"]) == (
        "touchpoint.recorded", DAYS[0], "spring-demo", "event_registration", guid("contact/kim"),
    )  # fmt: skip
    assert (
        translated(made, updated("msevtmgt_eventregistration", "one", AT[1], msevtmgt_iscanceled=True), at=EVENTS) == []
    )
    other = created(
        "msevtmgt_eventregistration", "two", AT[0], **{**about, "msevtmgt_eventid": ref("msevtmgt_event", "x")}
    )
    assert translated(other, at=EVENTS) == []


def test_a_contact_is_linked_while_it_is_connected_with_an_opportunity() -> None:
    made = created("connection", "one", AT[0], **BUYER)
    pair = {"opportunity_id": guid("opportunity/line"), "contact_id": guid("contact/kim")}
    linked = ("opportunity.contact_linked", DAYS[0], {**pair, "role": "Decision Maker"})
    assert valid(translated(made)) == [linked]
    over = updated("connection", "one", AT[1], statecode=option(1), statuscode=option(2))
    assert valid(translated(made, over)) == [linked, ("opportunity.contact_unlinked", DAYS[1], pair)]
    deleted = context("Delete", "connection", "one", AT[1], {"Target": ref("connection", "one")})
    assert translated(made, deleted) == []
    for other in ({"ismaster": False}, {"record2id": ref("account", "adatum")}):
        assert translated(created("connection", "two", AT[0], **{**BUYER, **other})) == []
