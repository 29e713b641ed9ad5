"""`hubspot`: calls, emails, meetings, tickets and payments, and the stages of deals as they are read back."""

from __future__ import annotations

import asyncio
from decimal import Decimal
from typing import Any

import httpx
import pytest

from service.domain.catalogue import check_data
from service.intake.senders.contract import Draft, Ignored, Statement, Waiting, Wanted
from service.intake.senders.hubspot import KIND
from tests.support.kinds import by_key, parts_of
from tests.support.senders_api import serving
from tests.support.stories.hubspot import api
from tests.unit.senders.test_hubspot import SOURCE, T0, drafts, event

CONNECTED = "f240bbac-87c9-4f6e-bf70-924b57d47db7"
CALL = {"hubspot_owner_id": "7001", "hs_call_status": "COMPLETED", "hs_call_disposition": CONNECTED, "hs_call_duration": "312400",
        "hs_timestamp": "2026-03-05T09:30:00Z"}  # fmt: skip


def of(type_id: str, identity: int, **properties: str) -> list[dict[str, Any]]:
    """Return what a generic subscription tells of a record that was created with properties."""
    about = {"objectTypeId": type_id}
    return [event("object.creation", identity, T0, **about)] + [
        event("object.propertyChange", identity, T0, propertyName=name, propertyValue=value, **about)
        for name, value in properties.items()
    ]


def tied(to: str, end: int, type_id: str, identity: int) -> dict[str, Any]:
    about = {"fromObjectTypeId": to, "toObjectTypeId": type_id, "fromObjectId": end, "toObjectId": identity}
    return {**event("object.associationChange", 0, T0), **about, "associationRemoved": False}


def valid(part: Draft | Waiting) -> dict[str, Any]:
    assert isinstance(part, Draft)
    assert list(check_data(part.type, part.data)) == []
    return part.data


def test_a_call_is_of_its_owner_about_the_contact_and_the_deal_that_it_is_tied_to() -> None:
    events = [*of("0-48", 61, **CALL), tied("0-1", 51, "0-48", 61), tied("0-3", 901, "0-48", 61)]
    (done,) = drafts(events, "call:61")
    assert valid(done) == {
        "call_id": "61", "rep_id": "7001", "duration_s": 312, "outcome": "answered", "lead_id": "51", "contact_id": "51",
        "opportunity_id": "901",
    }  # fmt: skip
    assert isinstance(done, Draft)
    assert (done.type, done.time) == ("call.completed", "2026-03-05T09:30:00Z")


@pytest.mark.parametrize(
    ("changed", "outcome"),
    [({"hs_call_disposition": "b2cf5968-551e-4856-9783-52b3da59a7d0"}, "voicemail"),
     ({"hs_call_disposition": "", "hs_call_status": "NO_ANSWER", "hs_call_duration": ""}, "missed"),
     ({"hs_call_disposition": "an-outcome-of-their-own"}, None), ({"hs_call_disposition": ""}, None)],
)  # fmt: skip
def test_what_came_of_a_call_is_what_the_mapping_says_of_its_outcome_or_status(
    changed: dict[str, str], outcome: str | None
) -> None:
    (done,) = drafts(of("0-48", 61, **{**CALL, **changed}), "call:61")
    if outcome is None:
        assert isinstance(done, Waiting)
        assert "`outcomes`" in done.reason
    else:
        assert valid(done)["outcome"] == outcome


def test_an_email_that_was_sent_is_an_activity_and_one_that_came_in_is_none() -> None:
    sent = of("0-49", 62, hubspot_owner_id="7001", hs_email_direction="EMAIL")
    (done,) = drafts(sent, "email:62")
    assert valid(done) == {"activity_id": "62", "rep_id": "7001", "activity": "email"}
    assert drafts(of("0-49", 63, hubspot_owner_id="7001", hs_email_direction="INCOMING_EMAIL"), "email:63") == []


@pytest.mark.parametrize(("kind", "activity"), [("Product demo", "demo"), ("First meeting", "meeting")])
def test_a_meeting_counts_once_it_is_completed_as_what_its_type_says(kind: str, activity: str) -> None:
    source = SOURCE._replace(mapping=KIND.check_mapping({"activities": {"Product demo": "demo"}}))
    about = {"hubspot_owner_id": "7001", "hs_activity_type": kind, "hs_meeting_end_time": "2026-03-06T10:00:00Z"}
    planned = of("0-47", 64, hs_meeting_outcome="SCHEDULED", **about)
    assert drafts(planned, "meeting:64", source) == []
    done = event("object.propertyChange", 64, T0 + 99_000_000, objectTypeId="0-47", propertyName="hs_meeting_outcome",
                 propertyValue="COMPLETED")  # fmt: skip
    (met,) = drafts([*planned, done], "meeting:64", source)
    assert valid(met) == {"activity_id": "64", "rep_id": "7001", "activity": activity}
    assert isinstance(met, Draft)
    assert met.time == "2026-03-06T10:00:00Z"


def test_a_ticket_is_a_case_until_it_is_closed() -> None:
    opened = of("0-5", 65, createdate="2026-03-05T09:00:00Z", hs_pipeline_stage="1", hubspot_owner_id="7001")
    closed = event("object.propertyChange", 65, T0 + 1_000_000, objectTypeId="0-5", propertyName="closed_date",
                   propertyValue="2026-03-05T09:16:40Z")  # fmt: skip
    first, second = drafts([*opened, closed], "case:65")
    assert isinstance(first, Draft)
    assert isinstance(second, Draft)
    assert (first.type, second.type) == ("case.opened", "case.resolved")
    assert valid(first) == valid(second) == {"case_id": "65", "agent_id": "7001"}
    assert second.time == "2026-03-05T09:16:40Z"


def test_a_payment_counts_without_what_was_refunded_for_the_invoice_that_it_is_tied_to() -> None:
    about = {"hs_initial_amount": "119.00", "hs_currency_code": "EUR", "hs_initiated_date": "2026-03-05T08:00:00Z"}
    processing = of("0-101", 66, hs_latest_status="processing", **about)
    assert drafts(processing, "payment:66") == []
    paid = [*of("0-101", 66, hs_latest_status="succeeded", **about), tied("0-53", 8001, "0-101", 66)]
    (whole,) = drafts(paid, "payment:66")
    assert valid(whole) == {"payment_id": "66", "invoice_id": "8001", "amount": {"amount": "119.00", "currency": "EUR"}}
    refund = event(
        "object.propertyChange", 66, T0 + 1, objectTypeId="0-101", propertyName="hs_refunds_amount", propertyValue="19"
    )
    assert valid(drafts([*paid, refund], "payment:66")[0])["amount"]["amount"] == "100.00"


def test_a_deal_is_opened_with_its_name_and_team_and_a_published_quote_is_sent() -> None:
    deal = [event("deal.creation", 901, T0)] + [
        event("deal.propertyChange", 901, T0, propertyName=name, propertyValue=value)
        for name, value in {"dealname": "Press line", "hubspot_team_id": "33"}.items()
    ]
    opened = valid(by_key(drafts(deal, "deal:901"))["opened"])
    assert opened == {"opportunity_id": "901", "name": "Press line", "team": "33"}
    quote = [*of("0-14", 70, hs_status="APPROVAL_NOT_NEEDED"), tied("0-3", 901, "0-14", 70)]
    (sent,) = drafts(quote, "quote:70")
    assert isinstance(sent, Draft)
    assert sent.type == "quote.sent"


def asked(token: str, url: str) -> Any:
    source = SOURCE._replace(mapping=KIND.check_mapping({"api_url": url}), credentials={"token": token})
    (wanted,) = (one for one in parts_of(source, [event("deal.creation", 901)]) if isinstance(one, Wanted) and one.many)

    async def ask() -> Any:
        assert KIND.fetch is not None
        async with httpx.AsyncClient() as client:
            return await KIND.fetch(wanted, source, client)

    return asyncio.run(ask())


def test_the_stages_of_deals_are_read_back_with_their_order_and_probability() -> None:
    with serving(api) as url:
        several = asked("pat-eu1-story", url)
        assert isinstance(asked("pat-other", url), Ignored)  # a scope that is missing holds up no deal
    found = {one.record: one for one in several if isinstance(one, Statement)}
    assert set(found) == {"stage:qualifiedtobuy", "stage:closedwon"}
    (defined,) = KIND.translate("stage:qualifiedtobuy", [found["stage:qualifiedtobuy"]], SOURCE)
    assert valid(defined) == {"stage": "qualifiedtobuy", "order": 1, "probability": Decimal("0.4")}
