"""`pipedrive`: Basic authentication, leads that become deals, stages, outcomes and their own times, merges, deletions."""

from __future__ import annotations

import base64
from itertools import permutations
from typing import Any

import pytest

from service.intake.senders import KINDS
from service.intake.senders.contract import (
    Draft,
    MalformedError,
    RejectedError,
    Request,
    Source,
    Waiting,
)
from tests.support.kinds import NOW, parts_of, posted, reason, translated
from tests.support.stories.pipedrive import CAMPAIGN, sample

KIND = KINDS["pipedrive"]
SECRET = "ledger:päss:word"
LEAD = "3f1c8a52-6b0d-4f6e-9d3a-8f2b1c7e5a90"
FIELDS = {"deal": {"campaign": CAMPAIGN}, "lead": {"campaign": CAMPAIGN}}


def source(**mapping: Any) -> Source:
    return Source("s", KIND.name, "crm", (SECRET, "older:one"), KIND.check_mapping({"fields": FIELDS, **mapping}))


def drafts(at: Source, record: str, *bodies: Any) -> list[Draft | Waiting]:
    return translated(at, parts_of(at, *bodies), record)


def given(at: Source, record: str, *bodies: Any) -> list[tuple[str, str]]:
    """Return which events come out, and when."""
    return [(one.type, one.time) for one in drafts(at, record, *bodies) if isinstance(one, Draft)]


def draft(at: Source, record: str, kind: str, *bodies: Any) -> dict[str, Any]:
    (found,) = [one for one in drafts(at, record, *bodies) if isinstance(one, Draft) and one.type == kind]
    return found.data


def gone(entity: str, identity: str, at: str, **more: Any) -> dict[str, Any]:
    meta = {"action": "delete", "entity": entity, "entity_id": identity, **more}
    return {**sample("deal-created", at, meta), "data": None, "previous": {"id": identity}}


def test_user_and_password_are_checked_whole() -> None:
    def request(text: str) -> Request:
        proof = base64.b64encode(text.encode()).decode()
        return posted(headers={"authorization": f"Basic {proof}"})

    KIND.verify(request(SECRET), source(), NOW)
    KIND.verify(request("older:one"), source(), NOW)
    for wrong in (request("ledger:päss"), request("ledger"), request(SECRET)._replace(headers={})):
        with pytest.raises(RejectedError):
            KIND.verify(wrong, source(), NOW)


def test_a_lead_and_the_deal_that_it_becomes_are_tied_by_their_person() -> None:
    at = source(campaigns={"12": "spring-fair"})
    messages = [sample("lead-created"), sample("deal-created"), gone("lead", LEAD, "2026-03-05T09:00:00.400Z")]
    for several in permutations(messages):
        assert given(at, "lead:19", *several) == [
            ("lead.captured", "2026-03-02T09:30:00.120000Z"), ("lead.qualified", "2026-03-05T09:00:00Z")
        ]  # fmt: skip
        assert draft(at, "lead:19", "lead.captured", *several) == {
            "lead_id": "19", "contact_id": "19", "campaign_id": "spring-fair", "source": "Web forms",
            "owner_id": "21669270", "account_id": "17",
        }  # fmt: skip
        assert draft(at, "deal:901", "opportunity.opened", *several)["lead_ids"] == ["19"]


def test_a_lead_without_a_person_becomes_that_of_the_person_it_is_given() -> None:
    alone = sample("lead-created", person_id=None)
    named = sample("lead-created", "2026-03-03T09:00:00.000Z", {"action": "change"})
    named["previous"] = {"person_id": None, "update_time": "2026-03-02T09:30:00.120Z"}
    assert given(source(), f"lead:{LEAD}", alone) == [("lead.captured", "2026-03-02T09:30:00.120000Z")]
    merged = draft(source(), f"lead:{LEAD}", "lead.merged", alone, named)
    assert merged == {"survivor_id": "19", "merged_id": LEAD}
    assert given(source(), "lead:19", alone, named) == [("lead.captured", "2026-03-02T09:30:00.120000Z")]


def test_the_first_campaign_that_a_person_came_by_is_that_of_the_lead() -> None:
    later = sample("deal-created", "2026-06-01T09:00:00.000Z", {"entity_id": "950"}, add_time="2026-06-01T09:00:00Z",
                   custom_fields={CAMPAIGN: {"type": "enum", "id": 99}})  # fmt: skip
    for several in permutations([sample("lead-created"), sample("deal-created"), later]):
        assert draft(source(), "lead:19", "lead.captured", *several)["campaign_id"] == "12"
    assert draft(source(), "deal:950", "opportunity.opened", later)["campaign_id"] == "99"


def test_a_lead_that_is_archived_is_out_unless_it_became_a_deal() -> None:
    out = sample("lead-created", "2026-03-10T09:00:00.000Z", {"action": "change"}, is_archived=True)
    back = sample("lead-created", "2026-03-11T09:00:00.000Z", {"action": "change"})
    kinds = [kind for kind, _ in given(source(), "lead:19", sample("lead-created"), back, out)]
    assert kinds == ["lead.captured", "lead.disqualified", "lead.reopened"]
    assert [kind for kind, _ in given(source(), "lead:19", out, sample("deal-created"))] == [
        "lead.captured",
        "lead.qualified",
    ]
    calm = source(archived_disqualifies=False, deals_qualify=False)
    assert len(given(calm, "lead:19", out)) == len(given(calm, "lead:19", out, sample("deal-created"))) == 1


def test_a_deal_moves_through_named_stages_and_is_won_when_it_says_so_itself() -> None:
    at = source(stages={"1": "Qualified", "4": "Proposal"}, events={"deal": {"Proposal": "quote.accepted"}})
    moved = sample("deal-created", "2026-03-20T14:00:00.100Z", {"action": "change"}, stage_id=4, probability=80)
    for several in permutations([sample("deal-created"), moved, sample("deal-won")]):
        assert given(at, "deal:901", *several) == [
            ("opportunity.opened", "2026-03-05T09:00:00Z"),
            ("opportunity.value_changed", "2026-03-20T14:00:00.100000Z"),
            ("opportunity.stage_changed", "2026-03-20T14:00:00.100000Z"),
            ("opportunity.value_changed", "2026-04-01T10:00:00.345000Z"),
            ("opportunity.stage_changed", "2026-04-01T10:00:00.345000Z"),
            ("quote.accepted", "2026-03-20T14:00:00.100000Z"),
        ]  # fmt: skip
    assert draft(at, "deal:901", "opportunity.opened", sample("deal-created"))["stage"] == "Qualified"


def test_a_won_deal_is_an_order_where_the_mapping_says_so_in_exact_money() -> None:
    at = source(events={"deal": {"won": ["opportunity.won", "order.placed"], "lost": "opportunity.lost"}})
    found = given(at, "deal:901", sample("deal-won"))
    assert ("order.placed", "2026-04-01T10:00:00Z") in found
    assert ("opportunity.won", "2026-04-01T10:00:00Z") in found
    placed = draft(at, "deal:901", "order.placed", sample("deal-won"))
    assert placed["net_value"] == {"amount": "75000.50", "currency": "EUR"}
    yen = sample("deal-won", value=75000, currency="JPY")
    assert draft(at, "deal:901", "order.placed", yen)["net_value"] == {"amount": "75000", "currency": "JPY"}
    assert "order.placed" not in dict(given(source(), "deal:901", sample("deal-won")))


def test_a_reopened_deal_is_no_order_any_more_and_a_lost_one_says_why() -> None:
    at = source(events={"deal": {"won": ["opportunity.won", "order.placed"], "lost": "opportunity.lost"}})
    again = sample("deal-created", "2026-04-02T10:00:00.000Z", {"action": "change"}, value=75000.5)
    lost = sample("deal-created", "2026-04-03T10:00:00.000Z", {"action": "change"}, status="lost",
                  lost_time="2026-04-03T09:59:58Z", lost_reason="too small")  # fmt: skip
    for several in permutations([sample("deal-won"), again, lost]):
        kinds = [kind for kind, _ in given(at, "deal:901", *several)]
        assert [one for one in kinds if "order" in one] == ["order.placed", "order.cancelled"]
        assert ("opportunity.lost", "2026-04-03T09:59:58Z") in given(at, "deal:901", *several)
        assert draft(at, "deal:901", "opportunity.lost", *several)["reason"] == "too small"


def test_a_deleted_deal_never_was_until_it_is_restored() -> None:
    won, away = sample("deal-won"), gone("deal", "901", "2026-04-02T10:00:00.000Z")
    back = sample("deal-won", "2026-04-03T10:00:00.000Z")
    assert drafts(source(), "deal:901", away, won) == drafts(source(), "deal:901", won, away) == []
    for several in permutations([won, away, back]):
        assert ("opportunity.won", "2026-04-01T10:00:00Z") in given(source(), "deal:901", *several)


def test_persons_organizations_and_deals_are_merged() -> None:
    assert draft(source(), "lead:20", "lead.merged", sample("person-merged")) == {
        "survivor_id": "19",
        "merged_id": "20",
    }
    company = gone("organization", "18", "2026-04-02T10:00:00.000Z", merged_to_id="17")
    assert draft(source(), "account:18", "account.merged", company) == {"survivor_id": "17", "merged_id": "18"}
    into = gone("deal", "901", "2026-04-02T10:00:00.000Z", merged_to_id="950")
    (waiting,) = drafts(source(), "deal:901", sample("deal-won"), into)
    assert isinstance(waiting, Waiting)
    assert "merged into 950" in waiting.reason
    assert waiting.amount is not None
    (other, *_) = parts_of(source(), sample("deal-won", None, {"entity_id": "950"}, id=950))
    assert other.record == "deal:950"
    assert drafts(source()._replace(known={"deal:950": [other]}), "deal:901", sample("deal-won"), into) == []
    (merged,) = parts_of(source(), into)
    assert KIND.lookups("deal:901", [merged], source()) == ["deal:950"]


def test_the_same_change_told_by_two_webhooks_or_twice_is_one_statement() -> None:
    other = sample("deal-won", None, {"webhook_id": "9", "id": "another", "attempt": 3})
    first, second = parts_of(source(), sample("deal-won")), parts_of(source(), other)
    assert [one.key for one in first] == [one.key for one in second]


@pytest.mark.parametrize("written", [1775037600, "1775037600", "2026-04-01T10:00:00.000Z", "2026-04-01T12:00:00+02:00"])
def test_the_time_of_a_change_is_read_in_each_of_its_forms(written: Any) -> None:
    (deal, _) = parts_of(source(), sample("deal-won", None, {"timestamp": written}))
    assert deal.at == "2026-04-01T10:00:00Z"


def test_what_states_nothing_is_ignored_with_the_reason() -> None:
    assert "change.note" in reason(parts_of(source(), sample("deal-won", None, {"entity": "note"})))
    host = source(host="northwind.pipedrive.com")
    assert "other.pipedrive.com" in reason(parts_of(host, sample("deal-won", None, {"host": "other.pipedrive.com"})))
    assert "delete.person" in reason(parts_of(source(), gone("person", "19", "2026-04-02T10:00:00.000Z")))
    only = source(objects={"deal": "deal"})
    assert "create.lead" in reason(parts_of(only, sample("lead-created")))
    assert [one.record for one in parts_of(only, sample("deal-created"))] == ["deal:901"]


@pytest.mark.parametrize(
    "body",
    [
        {"v": 1, "event": "updated.deal", "current": {"id": 1}, "previous": {}, "meta": {"action": "updated", "v": 1}},
        {"meta": {"action": "change", "entity": "deal", "entity_id": 1}, "data": {}},
        {"data": {}},
    ],
)
def test_what_is_no_message_of_version_2_is_refused(body: Any) -> None:
    with pytest.raises(MalformedError, match=r"version 2|timestamp"):
        parts_of(source(), body)


def test_no_personal_data_leaves_the_inbox() -> None:
    kept = repr([one.fields for one in parts_of(source(), sample("deal-won"), sample("person-merged"))])
    assert not [one for one in ("Contoso", "Ida", "PO-77") if one in kept]


@pytest.mark.parametrize(
    ("mapping", "problem"),
    [
        ({"stages": {"1": 5}}, "stages: expected names"),
        ({"objects": {"person": "lead"}}, "objects.person: expected"),
        ({"events": {"deal": {"won": "order.paid"}}}, "events.deal.won: expected one of"),
        ({"field": {}}, "did you mean fields"),
    ],
)
def test_a_mapping_that_cannot_work_is_refused_by_name(mapping: dict[str, Any], problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        KIND.check_mapping(mapping)
