"""`hubspot`: signature v3, batches of classic and generic subscriptions, mapped stages, and records read back."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import json
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

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
)
from service.intake.senders.hubspot import KIND
from tests.support.kinds import by_key, parts_of, posted, translated
from tests.support.senders_api import serving
from tests.support.stories.hubspot import api

NOW = datetime(2026, 4, 2, 10, tzinfo=UTC)
URL = "https://ledger.example.com/v1/hooks/src_1"
SOURCE = Source("src_1", "hubspot", "crm", ("new-secret", "old-secret"), KIND.check_mapping({"currency": "EUR"}), URL)
SAMPLES = Path("docs/senders/samples/hubspot")
T0 = 1772701200000  # 2026-03-05T09:00:00Z


def event(kind: str, identity: int, at: int = T0, **more: Any) -> dict[str, Any]:
    return {"eventId": 1, "portalId": 62515, "subscriptionType": kind, "objectId": identity, "occurredAt": at, **more}


def changed(kind: str, identity: int, at: int, **properties: str) -> list[dict[str, Any]]:
    return [
        event(f"{kind}.propertyChange", identity, at, propertyName=n, propertyValue=v) for n, v in properties.items()
    ]


def drafts(events: list[dict[str, Any]], record: str, source: Source = SOURCE) -> list[Draft | Waiting]:
    return translated(source, parts_of(source, events), record)


def test_the_signature_is_made_as_hubspot_documents_it() -> None:
    body, stamp = b'[{"eventId":1}]', str(int(NOW.timestamp() * 1000))
    url = f"{URL}?to=a%2Fb%3Ac%20d"  # of the escapes, %2F and %3A are decoded, %20 is not
    signed = f"POST{URL}?to=a/b:c%20d".encode() + body + stamp.encode()
    signature = base64.b64encode(hmac.new(b"old-secret", signed, hashlib.sha256).digest()).decode()
    headers = {"x-hubspot-signature-v3": signature, "x-hubspot-request-timestamp": stamp}
    KIND.verify(posted(body, headers, url=url), SOURCE, NOW)
    for wrong in (posted(body + b" ", headers, url=url), posted(body, headers, url=URL)):
        with pytest.raises(RejectedError, match="does not fit"):
            KIND.verify(wrong, SOURCE, NOW)


@pytest.mark.parametrize("off", [-301, 301])
def test_what_was_signed_more_than_five_minutes_ago_is_refused(off: int) -> None:
    one = posted(b"[]", KIND.sign(b"[]", SOURCE, NOW), url=URL)
    KIND.verify(one, SOURCE, NOW + timedelta(seconds=299))
    with pytest.raises(RejectedError, match="300 seconds"):
        KIND.verify(one, SOURCE, NOW + timedelta(seconds=off))


@pytest.mark.parametrize("missing", ["x-hubspot-signature-v3", "x-hubspot-request-timestamp"])
def test_a_missing_header_is_named(missing: str) -> None:
    headers = {name: value for name, value in KIND.sign(b"[]", SOURCE, NOW).items() if name != missing}
    with pytest.raises(RejectedError, match=missing):
        KIND.verify(posted(b"[]", headers, url=URL), SOURCE, NOW)


def test_a_won_deal_gives_its_opening_with_the_lead_and_its_win() -> None:
    events = json.loads((SAMPLES / "deal-won.json").read_bytes())
    eur = {"amount": "80000.00", "currency": "EUR"}
    opened = {"opportunity_id": "901", "lead_ids": ["51"], "contact_ids": ["51"], "estimated_value": eur}
    stage = {"opportunity_id": "901", "stage": "closedwon"}
    at = "2026-04-01T10:00:00Z"
    assert drafts(events, "deal:901") == [
        Draft("opened", "opportunity.opened", "2026-03-05T09:00:00Z", opened),
        Draft(f"stage/{at}", "opportunity.stage_changed", at, stage),
        Draft(f"won/{at}", "opportunity.won", at, {"opportunity_id": "901", "value": eur}),
    ]


def test_a_generic_order_is_placed_net_of_its_tax() -> None:
    events = json.loads((SAMPLES / "generic-order.json").read_bytes())
    data = {"order_id": "7001", "opportunity_id": "901", "net_value": {"amount": "80000.00", "currency": "EUR"}}
    placed = Draft("placed", "order.placed", "2026-04-01T10:01:00Z", data)
    assert [one for one in drafts(events, "order:7001") if isinstance(one, Draft)] == [placed]
    untaxed = [one for one in events if one.get("propertyName") != "hs_tax"]
    (waiting,) = drafts(untaxed, "order:7001")
    assert isinstance(waiting, Waiting)
    assert "amount unknown" in waiting.reason


def test_merged_contacts_are_merged_leads_and_a_merged_deal_is_listed() -> None:
    events = json.loads((SAMPLES / "contact-merged.json").read_bytes())
    merged = by_key(drafts(events, "lead:52"))
    assert merged["merged/53"].data == {"survivor_id": "53", "merged_id": "52"}
    assert set(by_key(drafts(events, "lead:51"))) == {"captured", "merged/53"}
    deal = [event("deal.creation", 1), event("deal.merge", 9, T0 + 1, primaryObjectId=9, mergedObjectIds=[1])]
    (waiting,) = drafts(deal, "deal:1")
    assert isinstance(waiting, Waiting)
    assert "merged into 9" in waiting.reason


def test_one_fact_by_two_subscriptions_in_several_attempts_is_one_statement() -> None:
    classic = changed("deal", 901, T0, dealstage="closedwon")[0]
    generic = {**classic, "subscriptionType": "object.propertyChange", "objectTypeId": "0-3", "eventId": 2}
    parts = parts_of(SOURCE, [classic, generic, {**classic, "attemptNumber": 3}])
    assert len({one.key for one in parts if isinstance(one, Statement)}) == 1


def test_lifecycle_stages_capture_and_qualify_a_lead_and_other_contacts_are_none() -> None:
    events = changed("contact", 51, T0, lifecyclestage="subscriber")
    assert drafts(events, "lead:51") == []
    events += changed("contact", 51, T0 + 1000, lifecyclestage="marketingqualifiedlead")
    events += changed("contact", 51, T0 + 2000, lifecyclestage="salesqualifiedlead")
    found = by_key(drafts(events, "lead:51"))
    assert {key: one.time for key, one in found.items()} == {
        "captured": "2026-03-05T09:00:01Z", "qualified/mql": "2026-03-05T09:00:01Z", "qualified/sql": "2026-03-05T09:00:02Z",
    }  # fmt: skip


def test_stages_open_a_deal_accept_its_quote_and_place_its_order_by_the_mapping() -> None:
    stages = {
        "qualified": "opportunity.opened", "signed": "quote.accepted", "12345": ["opportunity.won", "order.placed"],
        "closedlost": "opportunity.lost",
    }  # fmt: skip
    assert KIND.check_mapping({"events": {"deal": {12345: "opportunity.won"}}})["events"]["deal"] == {
        "12345": "opportunity.won"
    }
    source = SOURCE._replace(mapping=KIND.check_mapping({"currency": "EUR", "events": {"deal": stages}}))
    events = [event("deal.creation", 1)]
    assert drafts(events, "deal:1", source) == []
    for number, stage in enumerate(("new", "qualified", "signed", "12345"), 1):
        events += changed("deal", 1, T0 + number * 1000, dealstage=stage)
    found = drafts(events, "deal:1", source)
    assert any(isinstance(one, Waiting) and "amount unknown" in one.reason for one in found)
    events += changed("deal", 1, T0 + 9000, amount="1000.5")
    found_by_key = by_key(drafts(events, "deal:1", source))
    assert found_by_key["opened"].time == "2026-03-05T09:00:02Z"
    assert found_by_key["accepted"].time == "2026-03-05T09:00:03Z"
    assert found_by_key["placed"].time == "2026-03-05T09:00:04Z"
    assert found_by_key["placed"].data["net_value"] == {"amount": "1000.50", "currency": "EUR"}
    events += changed("deal", 1, T0 + 10000, dealstage="closedlost")
    found_by_key = by_key(drafts(events, "deal:1", source))
    assert found_by_key["cancelled"].type == "order.cancelled"
    assert found_by_key["lost/2026-03-05T09:00:10Z"].type == "opportunity.lost"
    events += changed("deal", 1, T0 + 11000, dealstage="12345")
    assert "cancelled" not in by_key(drafts(events, "deal:1", source))  # it stands, after all


def test_a_deal_whose_creation_nobody_told_waits_with_its_opening_only() -> None:
    parts = drafts(changed("deal", 1, T0, dealstage="closedwon"), "deal:1")
    assert [type(one) for one in parts] == [Waiting, Draft]
    assert [one.type for one in parts if isinstance(one, Draft)] == ["opportunity.won"]


def test_an_amount_without_any_currency_is_listed_and_not_booked() -> None:
    source = SOURCE._replace(mapping=KIND.check_mapping({}))
    parts = drafts([event("deal.creation", 1), *changed("deal", 1, T0, amount="5")], "deal:1", source)
    assert any(isinstance(one, Waiting) and "without its currency" in one.reason for one in parts)
    assert "estimated_value" not in by_key(parts)["opened"].data


def test_a_deleted_deal_takes_back_what_it_gave_and_a_restored_one_gives_it_again() -> None:
    events = [event("deal.creation", 1), event("deal.deletion", 1, T0 + 1000)]
    assert drafts(events, "deal:1") == []
    assert "opened" in by_key(drafts([*events, event("deal.restore", 1, T0 + 2000)], "deal:1"))


def test_a_contact_erased_for_privacy_is_erased_here() -> None:
    (draft,) = drafts([event("contact.privacyDeletion", 51)], "lead:51")
    assert isinstance(draft, Draft)
    assert (draft.type, draft.data["subject_id"]) == ("subject.erased", "51")


def test_what_is_not_mapped_is_ignored_with_the_reason() -> None:
    several = [
        event("product.creation", 1), event("conversation.newMessage", 2), *changed("contact", 51, T0, email="a@b.example"),
        event("deal.associationChange", 3, associationType="DEAL_TO_LINE_ITEM", fromObjectId=3, toObjectId=4),
    ]  # fmt: skip
    parts = parts_of(SOURCE, several)
    assert all(isinstance(one, Ignored) for one in parts)
    assert "a@b.example" not in repr(parts)
    other = SOURCE._replace(mapping=KIND.check_mapping({"portal": "7"}))
    assert parts_of(other, [event("deal.creation", 1)]) == [Ignored("portalId is not the one that the mapping names")]


def test_one_bad_event_does_not_hold_up_the_others_and_a_wholly_bad_batch_fails() -> None:
    bad = {"subscriptionType": "deal.creation", "objectId": 1}
    statement, ignored = parts_of(SOURCE, [event("deal.creation", 1), bad])
    assert isinstance(statement, Statement)
    assert isinstance(ignored, Ignored)
    assert "event 1: occurredAt" in ignored.reason
    for body in ([bad], [], {"objectId": 1}):
        with pytest.raises(MalformedError):
            parts_of(SOURCE, body)


@pytest.mark.parametrize(
    ("mapping", "problem"),
    [
        ({"events": {"deal": {"closedwon": "deal.won"}}}, r"events\.deal\.closedwon: expected one of opportunity\.opened"),
        ({"objects": {"contact": "lead", "0-136": "lead"}}, r"objects\.contact: another object is lead"),
        ({"fields": {"deal": {"ammount": "x"}}}, r"fields\.deal\.ammount: .*did you mean amount"),
        ({"currency": "EURO"}, "currency: expected an ISO 4217 code"),
        ({"api_url": "ftp://x"}, "api_url: expected a URL"),
        ({"on_delete": {"deal": "drop"}}, r"on_delete\.deal: expected one of withdraw, keep"),
        ({"associations": {"deal": ["contacts"]}}, r"associations\.deal: expected names"),
    ],
)  # fmt: skip
def test_a_wrong_mapping_is_refused_by_its_key(mapping: dict[str, Any], problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        KIND.check_mapping(mapping)


def back(url: str, record: str, token: str = "pat-eu1-story") -> Statement | Ignored:  # noqa: S107  of a test
    """Read a record back from the story's API, over real HTTP."""
    source = SOURCE._replace(mapping=KIND.check_mapping({"api_url": url}), credentials={"token": token})
    sort, identity = record.split(":")
    parts = parts_of(source, [event(f"{sort}.creation", int(identity))])
    (wanted,) = (one for one in parts if isinstance(one, Wanted) and one.record == record)

    async def ask() -> Any:
        assert KIND.fetch is not None
        async with httpx.AsyncClient() as client:
            return await KIND.fetch(wanted, source, client)

    got = asyncio.run(ask())
    assert isinstance(got, Statement | Ignored)
    return got


def test_a_record_is_read_back_with_all_that_happened_to_it() -> None:
    with serving(api) as url:
        got = back(url, "deal:901")
    assert isinstance(got, Statement)
    found = by_key(translated(SOURCE, [got]))
    assert found["opened"].data["lead_ids"] == ["51"]
    assert found["opened"].data["estimated_value"] == {"amount": "60000.00", "currency": "EUR"}
    assert found["won/2026-04-01T10:00:00Z"].data["value"] == {"amount": "75000.00", "currency": "EUR"}


def test_what_cannot_be_read_back_is_ignored_if_gone_and_tried_again_otherwise() -> None:
    with serving(api) as url:
        assert isinstance(back(url, "deal:903"), Ignored)
        with pytest.raises(UnavailableError, match="refuses the token") as refused:
            back(url, "deal:901", "pat-secret-token")
    assert "pat-secret-token" not in str(refused.value)
    with serving(lambda *_: (503, {})) as url, pytest.raises(UnavailableError, match="503"):
        back(url, "deal:901")


def test_the_page_shows_the_defaults_as_they_are() -> None:
    (block,) = re.findall(r"```yaml\n(.*?)```", Path("docs/senders/hubspot.md").read_text(), re.DOTALL)
    shown, ours = KIND.check_mapping(yaml.safe_load(block)), KIND.check_mapping({})
    for name in ("objects", "fields", "events", "amounts_include_tax"):
        assert shown[name] == ours[name]


def test_the_history_that_hubspot_lists_decides_between_two_values_of_one_instant() -> None:
    at = "2026-03-05T09:00:00Z"
    for first, second in (("qualifiedtobuy", "closedwon"), ("closedwon", "qualifiedtobuy")):
        fields = {"properties": {"dealstage": second}, "links": {},
                  "history": {"createdate": [[at, at]], "dealstage": [[at, second], [at, first]]}}  # fmt: skip
        parts = translated(SOURCE, [Statement("deal:9", "k", at, "", "snapshot", fields)])
        assert any(one.type == "opportunity.won" for one in by_key(parts).values()) is (second == "closedwon")


def test_a_value_of_history_that_cannot_be_read_is_nothing_where_another_has_replaced_it() -> None:
    old, new = "2026-03-05T09:00:00Z", "2026-03-06T09:00:00Z"
    fields = {"properties": {"amount": "100"}, "links": {},
              "history": {"createdate": [[old, old]], "amount": [[new, "100"], [old, "a lot"]]}}  # fmt: skip
    parts = translated(SOURCE, [Statement("deal:9", "k", new, "", "snapshot", fields)])
    assert by_key(parts)[f"value/{new}"].data["estimated_value"]["amount"] == "100.00"


@pytest.mark.parametrize("blank", ["NULL", "(not set)", "--", "–", "false"])
def test_a_property_that_holds_a_word_for_nothing_states_nothing(blank: str) -> None:
    words = {"hs_analytics_first_touch_converting_campaign": blank, "hs_analytics_source": blank}
    told = [event("contact.creation", 7), *changed("contact", 7, T0, lifecyclestage="lead", **words)]
    assert not {"campaign_id", "channel"} & by_key(drafts(told, "lead:7"))["captured"].data.keys()


def test_a_merge_into_a_new_record_asks_for_that_record_where_a_token_is_given() -> None:
    merge = event("deal.merge", 51, primaryObjectId=51, mergedObjectIds=[51, 52], newObjectId=99)
    asked = [one.record for one in parts_of(SOURCE._replace(credentials={"token": "t"}), [merge])
             if isinstance(one, Wanted)]  # fmt: skip
    assert asked == ["deal:99"]


@pytest.mark.parametrize(("told", "waits"), [
    ({}, "dealstage and amount"),
    ({"amount": "1000"}, "dealstage"),
    ({"dealstage": "closedwon"}, "amount"),
    ({"amount": "1000", "dealstage": "closedwon"}, None),
])  # fmt: skip
def test_a_merged_deal_waits_with_its_money_until_the_new_record_states_what_it_stated(
    told: dict[str, str], waits: str | None
) -> None:
    away = [
        event("deal.creation", 1),
        *changed("deal", 1, T0, amount="600", deal_currency_code="EUR", dealstage="closedwon"),
    ]
    merge = event("deal.merge", 1, T0 + 1, primaryObjectId=1, mergedObjectIds=[1, 2], newObjectId=3)
    new = [event("deal.creation", 3, T0 + 1), *changed("deal", 3, T0 + 1, **told)]
    parts = parts_of(SOURCE, [*away, merge, *new])
    known = {"deal:3": [one for one in parts if isinstance(one, Statement) and one.record == "deal:3"]}
    given = translated(SOURCE._replace(known=known), parts, "deal:1")
    waiting = [one for one in given if isinstance(one, Waiting)]
    assert given == waiting
    assert [
        (one.amount, f"merged into 3, of which no message has stated {waits} yet" in one.reason) for one in waiting
    ] == ([({"amount": "600.00", "currency": "EUR"}, True)] if waits else [])
