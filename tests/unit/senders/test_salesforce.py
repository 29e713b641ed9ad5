"""`salesforce`: change events as bridges forward them, outbound messages with their acknowledgement, and what is not guessed."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml

from service.intake.senders.contract import Draft, MalformedError, RejectedError, Source, Statement, Waiting
from service.intake.senders.salesforce import KIND, long_id
from tests.support.kinds import by_key, parts_of, posted, translated
from tests.support.kinds import reasons as reasons_of
from tests.support.stories.salesforce import (
    CAMPAIGN,
    CONVERTED,
    LEAD,
    MEMBER,
    OPPORTUNITY,
    ORDER,
    WON,
    change,
    outbound,
)

NOW = datetime(2026, 6, 1, tzinfo=UTC)
SOURCE = Source("src_1", "salesforce", "crm", ("new-secret", "old-secret"), KIND.check_mapping({}))
SAMPLES = Path("docs/senders/samples/salesforce")
EUR: dict[str, Any] = {"CurrencyIsoCode": "EUR"}
T1, T2, T3 = "2026-03-05T09:00:00Z", "2026-03-06T09:00:00Z", "2026-03-07T09:00:00Z"


def given(record: str, *bodies: Any, source: Source = SOURCE) -> list[Draft | Waiting]:
    return translated(source, parts_of(source, *bodies), record)


def reasons(parts: list[Any]) -> str:
    return "; ".join(reasons_of(parts))


def order(kind: str, at: str, **fields: Any) -> dict[str, Any]:
    return change("Order", ORDER, kind, at, **fields)


def test_ids_of_fifteen_characters_are_completed_as_salesforce_completes_them() -> None:
    for whole in ("0015f00002JUX1JAAX", "001D000000IRt53IAD", "0065f00000LkTzQAAV"):
        assert long_id(whole[:15]) == whole
        assert long_id(whole) == whole
    assert long_id("spring-fair-001") == "spring-fair-001"


@pytest.mark.parametrize("secret", ["new-secret", "old-secret"])
def test_a_bridge_signs_or_bears_a_token_and_an_outbound_message_has_a_key(secret: str) -> None:
    body = b"{}"
    signed = KIND.sign(body, SOURCE._replace(secrets=(secret,)), NOW)
    KIND.verify(posted(body, signed), SOURCE, NOW)
    KIND.verify(posted(body, {"authorization": f"Bearer {secret}"}), SOURCE, NOW)
    KIND.verify(posted(b"<a/>", query={"key": secret}), SOURCE, NOW)
    for wrong in (
        posted(body + b" ", signed), posted(body, {"authorization": "Bearer no"}),
        posted(b"<a/>", query={"key": "no"}), posted(body),
    ):  # fmt: skip
        with pytest.raises(RejectedError) as refused:
            KIND.verify(wrong, SOURCE, NOW)
        assert secret not in str(refused.value)


def test_an_outbound_message_is_acknowledged_and_one_that_is_not_verified_comes_again() -> None:
    answer = KIND.reply(posted((SAMPLES / "outbound-opportunity-won.xml").read_bytes()), True)
    assert answer.status == 200
    assert b"<Ack>true</Ack>" in answer.body
    assert answer.headers["content-type"].startswith("text/xml")
    assert KIND.reply(posted(b"<a/>"), False).status == 401
    assert KIND.reply(posted(b"{}"), True).status == 202


def test_the_id_of_a_session_is_not_kept() -> None:
    body = (SAMPLES / "outbound-opportunity-won.xml").read_bytes()
    for session in (b"<SessionId>00D8z!AQcAQ.session</SessionId>", b'<s:SessionId a="b">00D8z!AQcAQ</s:SessionId>'):
        own, foreign, _ = KIND.screened(posted(body.replace(b'<SessionId xsi:nil="true"/>', session)), SOURCE)
        assert own is not None
        assert b"AQcAQ" not in own
        assert session.replace(b"00D8z!AQcAQ.session", b"***").replace(b"00D8z!AQcAQ", b"***") in own
        assert foreign is None
    assert KIND.screened(posted(body), SOURCE).own == body


def test_several_notifications_are_several_records() -> None:
    body = (SAMPLES / "outbound-opportunity-won.xml").read_bytes()
    won = by_key(given(f"deal:{OPPORTUNITY}", body))
    assert won["opened"].time == T1
    assert won["won/2026-04-01T10:00:00Z"].data["value"] == {"amount": "80000.00", "currency": "EUR"}
    assert "lost/2026-04-01T10:05:00Z" in by_key(given("deal:0065f00000LkU0AAAV", body))


def test_one_win_in_two_messages_is_one_event() -> None:
    created = json.loads((SAMPLES / "opportunity-created.json").read_bytes())
    fields = {"Id": OPPORTUNITY, "StageName": "Closed Won", "IsWon": "true", "Amount": "80000.0",
              "LastModifiedDate": "2026-04-01T10:00:00.000Z"}  # fmt: skip
    twice = given(f"deal:{OPPORTUNITY}", created, WON, outbound(("04l1", "Opportunity", fields)))
    assert [one.key for one in twice if isinstance(one, Draft) and one.type == "opportunity.won"] == [
        "won/2026-04-01T10:00:00Z"
    ]
    assert twice == given(f"deal:{OPPORTUNITY}", WON, created)


def test_a_converted_lead_is_qualified_and_ties_its_opportunity() -> None:
    sample = json.loads((SAMPLES / "lead-converted.json").read_bytes())
    created = json.loads((SAMPLES / "opportunity-created.json").read_bytes())
    lead = given("lead:00Q5f000005F6XnEAK", sample)
    assert by_key(lead)["qualified/sql"].data == {"lead_id": "00Q5f000005F6XnEAK", "level": "sql"}
    assert "created" in reasons(lead)  # when it was captured, no message has said yet
    opened = by_key(given(f"deal:{OPPORTUNITY}", sample, created))["opened"].data
    assert (opened["lead_ids"], opened["contact_ids"]) == (["00Q5f000005F6XnEAK"], ["0035f00001D2WTNAA3"])
    custom = {**CONVERTED, "Status": "Handed to sales"}  # a status that no mapping knows
    assert "qualified/sql" in by_key(given(f"lead:{LEAD}", custom))


def test_null_means_emptied_only_where_the_header_says_so() -> None:
    created = change("Opportunity", OPPORTUNITY, "CREATE", T1, Amount=5.0, **EUR)
    decoded = change("Opportunity", OPPORTUNITY, "UPDATE", T2, StageName="Negotiation")
    decoded["Amount"] = None  # unchanged, as decoded Avro has it
    won = change("Opportunity", OPPORTUNITY, "UPDATE", T3, StageName="Closed Won", IsWon=True)
    kept = by_key(given(f"deal:{OPPORTUNITY}", created, decoded, won))[f"won/{T3}"]
    assert kept.data["value"] == {"amount": "5.00", "currency": "EUR"}
    emptied = change("Opportunity", OPPORTUNITY, "UPDATE", T2, Amount=None)
    alone = by_key(given(f"deal:{OPPORTUNITY}", created, emptied, won))[f"won/{T3}"]
    assert alone.data["value"] == {"amount": "5.00", "currency": "EUR"}  # null alone says nothing
    emptied["ChangeEventHeader"]["nulledFields"] = ["Amount"]
    assert "value" not in by_key(given(f"deal:{OPPORTUNITY}", created, emptied, won))[f"won/{T3}"].data
    del emptied["Amount"]
    assert "value" not in by_key(given(f"deal:{OPPORTUNITY}", created, emptied, won))[f"won/{T3}"].data


def test_one_change_that_two_subscribers_tell_of_is_the_sum_of_what_they_may_see() -> None:
    mapping = {"currency": "EUR", "events": {"deal": {"Closed Won": ["opportunity.won", "order.placed"]}}}
    source = SOURCE._replace(mapping=KIND.check_mapping(mapping))
    created = change("Opportunity", OPPORTUNITY, "CREATE", T1, StageName="Open")
    won = {"StageName": "Closed Won", "IsWon": True}
    whole, less, other = (
        change("Opportunity", OPPORTUNITY, "UPDATE", T2, **fields)
        for fields in ({**won, "Amount": 46200.0}, won, {"StageName": "Closed Won", "AccountId": "0015f00002JUX1JAAX"})
    )
    for several in ((whole, less, other), (less, other, whole), (other, less, whole), (less, whole, less)):
        found = by_key(given(f"deal:{OPPORTUNITY}", created, *several, source=source))
        assert found["placed"].data["net_value"] == {"amount": "46200.00", "currency": "EUR"}
    assert found["won/" + T2].data["value"]["amount"] == "46200.00"


def test_an_outbound_message_without_the_time_of_its_change_waits_and_a_resend_changes_nothing() -> None:
    fields = {"Id": LEAD, "Status": "Qualified", "LeadSource": "Web"}
    body = outbound(("04l1", "Lead", fields))
    first, again = (
        [part for part in parts_of(SOURCE, posted(body, at=at)) if isinstance(part, Statement)]
        for at in (NOW, datetime(2026, 7, 1, tzinfo=UTC))
    )
    assert first == again
    bare = translated(SOURCE, first)
    assert not by_key(bare)
    assert "does not say when" in reasons(bare)
    created = {**fields, "CreatedDate": "2026-03-01T09:00:00.000Z"}
    dated = given(f"lead:{LEAD}", outbound(("04l1", "Lead", created)))
    assert by_key(dated)["captured"].time == "2026-03-01T09:00:00Z"
    assert "qualified/sql" not in by_key(dated)
    assert "does not say when" in reasons(dated)
    whole = given(f"lead:{LEAD}", body, outbound(("04l2", "Lead", {**created, "LastModifiedDate": T2})))
    assert by_key(whole)["qualified/sql"].time == T2
    assert reasons(whole) == ""


def test_merged_change_events_state_the_same_of_each_record() -> None:
    several = ["00Q5f000005F6XnEAK", "00Q5f000005F6XoEAK"]
    parts = parts_of(SOURCE, change("Lead", several, "UPDATE", T1, Status="Qualified"))
    assert [one.record for one in parts] == [f"lead:{one}" for one in several]
    assert len({one.key for one in parts}) == 2
    assert "all Lead records" in reasons(parts_of(SOURCE, change("Lead", "00Q*", "UPDATE", T1, Status="Qualified")))


def test_a_gap_is_listed_and_what_stood_stands_until_the_record_is_stated_whole() -> None:
    gap = json.loads((SAMPLES / "gap.json").read_bytes())
    created = json.loads((SAMPLES / "opportunity-created.json").read_bytes())
    found = given(f"deal:{OPPORTUNITY}", created, gap)
    assert "GAP_UPDATE at 2026-04-01T10:00:00Z" in reasons(found)
    assert "opened" in by_key(found)
    assert "GAP_OVERFLOW" in reasons(parts_of(SOURCE, gap))
    fields = {"Id": OPPORTUNITY, "StageName": "Closed Won", "SystemModstamp": "2026-04-01T10:00:01.000Z"}
    assert not reasons(given(f"deal:{OPPORTUNITY}", created, gap, outbound(("04l1", "Opportunity", fields))))


def test_a_deleted_lead_may_have_been_merged_which_is_listed_unless_the_bridge_says_it() -> None:
    created, deleted = change("Lead", LEAD, "CREATE", T1, Status="New"), change("Lead", LEAD, "DELETE", T2)
    found = given(f"lead:{LEAD}", created, deleted)
    assert "merged" in reasons(found)
    assert "captured" in by_key(found)
    told = given(f"lead:{LEAD}", created, {**deleted, "MasterRecordId": "00Q5f000005F6Xo"})
    assert not reasons(told)
    merge = {"survivor_id": "00Q5f000005F6XoEAK", "merged_id": LEAD}
    assert by_key(told)["merged/00Q5f000005F6XoEAK"].data == merge


def test_a_deleted_order_takes_back_what_it_gave_unless_the_mapping_keeps_it() -> None:
    placed = order("CREATE", T1, Status="Activated", TotalAmount=5.0, **EUR)
    assert given(f"order:{ORDER}", placed, order("DELETE", T2)) == []
    assert "placed" in by_key(given(f"order:{ORDER}", placed, order("DELETE", T2), order("UNDELETE", T3, **EUR)))
    keeping = SOURCE._replace(mapping=KIND.check_mapping({"on_delete": {"order": "keep"}}))
    assert "placed" in by_key(given(f"order:{ORDER}", placed, order("DELETE", T2), source=keeping))


def test_an_activated_order_without_amount_waits_for_the_message_that_has_it() -> None:
    activated = order("CREATE", T1, Status="Activated", **EUR)
    assert "amount unknown" in reasons(given(f"order:{ORDER}", activated))
    stated, less = order("UPDATE", T2, TotalAmount=100.1), order("UPDATE", T3, TotalAmount=90)
    found = given(f"order:{ORDER}", less, activated, stated)
    assert not reasons(found)
    assert by_key(found)["placed"].data["net_value"] == {"amount": "100.10", "currency": "EUR"}
    assert by_key(found)["placed"].time == T1
    assert by_key(found)[f"amended/{T3}"].data["net_value"] == {"amount": "90.00", "currency": "EUR"}
    assert (
        by_key(given(f"order:{ORDER}", activated, order("UPDATE", T2, TotalAmount=0)))["placed"].data["net_value"][
            "amount"
        ]
        == "0.00"
    )


def test_an_amount_whose_currency_nobody_states_is_listed() -> None:
    placed = order("CREATE", T1, Status="Activated", TotalAmount=5.0)
    assert "without its currency" in reasons(given(f"order:{ORDER}", placed))
    known = SOURCE._replace(mapping=KIND.check_mapping({"currency": "JPY"}))
    assert by_key(given(f"order:{ORDER}", placed, source=known))["placed"].data["net_value"] == {
        "amount": "5",
        "currency": "JPY",
    }


def test_a_reduction_order_is_listed_and_not_guessed() -> None:
    reduction = order("CREATE", T1, Status="Activated", TotalAmount=-5.0, IsReductionOrder=True, **EUR)
    assert "reduces another order" in reasons(given(f"order:{ORDER}", reduction))
    assert not by_key(given(f"order:{ORDER}", reduction))


def test_an_absolute_cost_books_what_it_grew_by_and_takes_back_from_the_latest() -> None:
    costs = [change("Campaign", CAMPAIGN, "CREATE", T1, Name="Fair", ActualCost=100.0, **EUR)]
    costs += [
        change("Campaign", CAMPAIGN, "UPDATE", at, ActualCost=cost)
        for at, cost in ((T2, 150.0), ("2026-03-06T10:00:00Z", 150.0), (T3, 30.0), ("2026-03-08T09:00:00Z", 30.5))
    ]
    found = by_key(given(f"campaign:{CAMPAIGN}", *reversed(costs)))
    money = [
        (kind, data["cost_entry_id"].partition("/")[2], data["amount"]["amount"], data["cost_date"])
        for kind, data in ((one.type.partition(".")[2], one.data) for one in found.values())
        if "cost" in kind
    ]
    assert sorted(money) == [
        ("cost_booked", "2026-03-05T09:00:00Z", "100.00", "2026-03-05"),
        ("cost_booked", "2026-03-06T09:00:00Z", "50.00", "2026-03-06"),
        ("cost_booked", "2026-03-08T09:00:00Z", "0.50", "2026-03-08"),
        ("cost_reversed", "2026-03-05T09:00:00Z", "70.00", "2026-03-07"),
        ("cost_reversed", "2026-03-06T09:00:00Z", "50.00", "2026-03-07"),
    ]
    assert found["registered"].data == {"campaign_id": CAMPAIGN, "name": "Fair"}


def test_a_member_gives_its_lead_the_campaign_and_its_response_is_a_touch() -> None:
    joined = change("CampaignMember", MEMBER, "CREATE", T1, CampaignId=CAMPAIGN, LeadId=LEAD, HasResponded=False)
    responded = change("CampaignMember", MEMBER, "UPDATE", T2, HasResponded=True)
    source = SOURCE._replace(mapping=KIND.check_mapping({"campaigns": {CAMPAIGN[:15]: "fair"}}))
    found = by_key(given(f"member:{MEMBER}", responded, joined, source=source))
    assert found["member"].data == {"lead_id": LEAD, "campaign_id": "fair", "reason": "member of the campaign"}
    assert (found["responded"].type, found["responded"].time) == ("touchpoint.recorded", T2)
    assert "whose membership" in reasons(given(f"member:{MEMBER}", responded))


def test_a_reopened_opportunity_is_open_again() -> None:
    created = change("Opportunity", OPPORTUNITY, "CREATE", T1, StageName="Closed Won", IsClosed=True, IsWon=True)
    back = change("Opportunity", OPPORTUNITY, "UPDATE", T2, StageName="Negotiation", IsClosed=False, IsWon=False)
    assert {f"won/{T1}", f"reopened/{T2}"} <= set(by_key(given(f"deal:{OPPORTUNITY}", created, back)))


@pytest.mark.parametrize(
    "body",
    [
        b'<!DOCTYPE a [<!ENTITY x "y">]><a>&x;</a>',
        b'<!DOCTYPE a SYSTEM "file:///etc/passwd"><a/>',
        b"<a/>",
        b"<a",
        b'<notifications xmlns="http://soap.sforce.com/2005/09/outbound"/>',
        b"<notifications><Notification><Id>1</Id></Notification></notifications>",
        b"{}",
        b"[]",
        b'{"ChangeEventHeader": {"entityName": "Lead", "changeType": "SNAPSHOT"}}',
    ],
)
def test_what_is_neither_change_event_nor_outbound_message_fails_and_says_why(body: bytes) -> None:
    with pytest.raises(MalformedError, match="expected"):
        parts_of(SOURCE, body)


def test_bitmaps_that_the_bridge_has_not_decoded_are_refused() -> None:
    event = change("Lead", LEAD, "UPDATE", T1, Status="Qualified")
    event["ChangeEventHeader"]["changedFields"] = ["0x650004E0"]
    with pytest.raises(MalformedError, match="decode the bitmaps"):
        parts_of(SOURCE, event)


def test_messages_of_another_organization_are_ignored() -> None:
    source = SOURCE._replace(mapping=KIND.check_mapping({"organization": "00D000000000000"}))
    body = (SAMPLES / "outbound-opportunity-won.xml").read_bytes()
    assert "OrganizationId" in reasons(parts_of(source, body))


def test_the_page_shows_the_defaults_as_they_are() -> None:
    (block,) = re.findall(r"```yaml\n(.*?)```", Path("docs/senders/salesforce.md").read_text(), re.DOTALL)
    shown, ours = KIND.check_mapping(yaml.safe_load(block)), KIND.check_mapping({})
    for name in ("objects", "fields", "events", "amounts_include_tax"):
        assert shown[name] == ours[name]
