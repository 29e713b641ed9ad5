"""`dataverse`: Dynamics 365 Sales, from the context of an operation to the events of its record."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from decimal import Decimal
from itertools import permutations
from pathlib import Path
from typing import Any

import pytest

from service.intake.reconcile import reconcile
from service.intake.senders import KINDS
from service.intake.senders.contract import (
    Draft,
    Ignored,
    MalformedError,
    RejectedError,
    Source,
    Statement,
    Waiting,
    in_order,
)
from tests.support.kinds import euros, parts_of, posted, reasons, stated
from tests.support.kinds import events as drafts
from tests.support.kinds import translated as translation_of
from tests.support.stories.dataverse import (
    NOBODY,
    amount,
    closed,
    context,
    created,
    entity,
    guid,
    option,
    qualified,
    ref,
    updated,
    when,
)

KIND = KINDS["dataverse"]
NOW = datetime(2026, 3, 2, 10, tzinfo=UTC)
SAMPLES = Path("docs/senders/samples/dataverse")
SOURCE = Source(
    "s", KIND.name, "crm", ("new-key", "old-key"), KIND.check_mapping({"currency": "EUR"}), "https://x.test/h"
)
FAIR, STAND, KIM, LINE = (
    guid(one) for one in ("campaign/fair", "campaignactivity/stand", "lead/kim", "opportunity/line")
)
AT = ("2026-03-02T08:00:00", "2026-03-03T08:00:00", "2026-03-04T08:00:00", "2026-03-05T08:00:00")
DAYS = tuple(f"{one}Z" for one in AT)


def source(**mapping: Any) -> Source:
    return SOURCE._replace(mapping=KIND.check_mapping({"currency": "EUR", **mapping}))


def statements(*bodies: Any, at: Source = SOURCE) -> list[Statement]:
    return stated(parts_of(at, *bodies))


def translated(*bodies: Any, record: str = "", at: Source = SOURCE) -> list[Draft | Waiting]:
    return translation_of(at, statements(*bodies, at=at), record)


def sample(name: str) -> Any:
    return json.loads((SAMPLES / f"{name}.json").read_bytes())


@pytest.mark.parametrize(
    ("headers", "query"),
    [({"x-api-key": "new-key"}, {}), ({"x-api-key": "old-key"}, {}), ({}, {"code": "old-key"})],
)
def test_the_key_is_taken_from_the_header_or_the_query(headers: dict[str, str], query: dict[str, str]) -> None:
    KIND.verify(posted(b"{}", headers, query), SOURCE, NOW)


@pytest.mark.parametrize("headers", [{}, {"x-api-key": "other"}, {"x-api-key": "é"}])
def test_a_missing_or_wrong_key_is_refused_without_telling_it(headers: dict[str, str]) -> None:
    with pytest.raises(RejectedError) as refused:
        KIND.verify(posted(b"{}", headers), SOURCE, NOW)
    assert "new-key" not in str(refused.value)


def test_what_is_signed_verifies_under_another_name_of_the_header_too() -> None:
    other = source(authentication={"header": "X-Ledger-Key"})
    headers = {name.lower(): value for name, value in KIND.sign(b"{}", other, NOW).items()}
    KIND.verify(posted(b"{}", headers), other, NOW)


def test_a_campaign_is_registered_with_its_budget_and_its_other_cost() -> None:
    found = drafts(translated(sample("campaign-create")))
    assert found["registered"][2] == {
        "campaign_id": FAIR, "name": "Hannover fair 2026", "campaign_type": "Event", "start_date": "2026-03-01",
    }  # fmt: skip
    assert found["budget/2026-01-12T09:00:00Z"][2] == {"campaign_id": FAIR, "amount": euros("15000.00")}
    assert found["cost/2026-01-12T09:00:00Z"][2]["amount"] == euros("1500.00")


def activity(at: str, cost: float | None, campaign: str = "fair") -> Any:
    return updated(
        "campaignactivity", "stand", at, images=({"regardingobjectid": ref("campaign", campaign)}, None),
        actualcost=amount(cost),
    )  # fmt: skip


def test_an_actual_cost_is_a_whole_figure_of_which_the_differences_are_booked() -> None:
    found = drafts(translated(activity(AT[0], 8000.0), activity(AT[1], 11000.5), activity(AT[2], 2500.0)))
    assert [(kind, data["cost_entry_id"], data["amount"], data["cost_date"]) for kind, _, data in found.values()] == [
        ("campaign.cost_booked", f"{STAND}/{DAYS[0]}", euros("8000.00"), "2026-03-02"),
        ("campaign.cost_booked", f"{STAND}/{DAYS[1]}", euros("3000.50"), "2026-03-03"),
        ("campaign.cost_reversed", f"{STAND}/{DAYS[1]}", euros("3000.50"), "2026-03-04"),
        ("campaign.cost_reversed", f"{STAND}/{DAYS[0]}", euros("5500.00"), "2026-03-04"),
    ]


def test_the_same_cost_stated_again_books_nothing_in_whatever_order_it_comes() -> None:
    bodies = [activity(AT[0], 8000.0), activity(AT[1], 8000.0), activity(AT[2], 9000.0)]
    expected = translated(*bodies)
    assert [one.data["amount"]["amount"] for one in expected if isinstance(one, Draft)] == ["8000.00", "1000.00"]
    for order in permutations(bodies):
        assert translated(*order, *order) == expected


def test_a_cost_that_moves_to_another_campaign_is_taken_back_and_booked_anew() -> None:
    found = drafts(translated(activity(AT[0], 8000.0), activity(AT[1], 8000.0, "web")))
    assert found[f"reversed/{DAYS[1]}/{DAYS[0]}"][2]["amount"] == euros("8000.00")
    assert found[f"cost/{DAYS[1]}"][2]["campaign_id"] == guid("campaign/web")


def test_a_cost_without_amount_or_campaign_waits_and_is_not_nothing() -> None:
    assert translated(activity(AT[0], None)) == [
        Waiting("amount unknown: the activity's actual cost is not stated yet")
    ]
    alone = translated(updated("campaignactivity", "stand", AT[0], actualcost=amount(5.0)))
    assert alone == [Waiting("the activity's campaign is not stated yet")]


def test_a_deleted_cost_is_taken_back_unless_deleting_means_nothing() -> None:
    gone = context("Delete", "campaignactivity", "stand", AT[1], {"Target": ref("campaignactivity", "stand")})
    assert f"reversed/{DAYS[1]}/{DAYS[0]}" in drafts(translated(activity(AT[0], 8000.0), gone))
    kept = translated(activity(AT[0], 8000.0), gone, at=source(deleted="keep"))
    assert [one.type for one in kept if isinstance(one, Draft)] == ["campaign.cost_booked"]


def test_what_is_deleted_waits_for_nothing() -> None:
    gone = context("Delete", "salesorder", "line", AT[1], {"Target": ref("salesorder", "line")})
    assert translated(order(AT[0], None), gone) == []
    assert list(drafts(translated(order(AT[0], 5.0), gone))) == ["placed", "cancelled"]


def test_options_and_lookups_are_called_as_the_mapping_says() -> None:
    lookup = {**ref("new_channel", "podcast"), "Name": "Podcasts"}
    body = created("lead", "kim", AT[0], leadsourcecode=option(100000001), new_channel=lookup)
    columns = {"lead": {"channel": "new_channel"}}
    named = drafts(translated(body, at=source(columns=columns)))["captured"][2]
    assert (named["source"], named["channel"]) == ("100000001", "Podcasts")
    labels = {f"lead.new_channel.{guid('new_channel/podcast')}": "podcast", "lead.leadsourcecode.100000001": "audio"}
    called = drafts(translated(body, at=source(columns=columns, labels=labels)))["captured"][2]
    assert (called["source"], called["channel"]) == ("audio", "podcast")


def test_qualify_lead_states_the_lead_and_the_opportunity_that_came_of_it() -> None:
    body = sample("lead-qualify")
    lead = drafts(translated(sample("lead-create"), body))
    assert lead["captured"][2] == {"lead_id": KIM, "source": "Trade Show", "campaign_id": FAIR}
    assert lead["qualified"] == ("lead.qualified", "2026-03-05T10:00:01Z", {"lead_id": KIM, "level": "sql"})
    opened = drafts(translated(body, record=f"opportunity:{LINE}"))
    assert opened["opened"][2] == {"opportunity_id": LINE, "lead_ids": [KIM], "campaign_id": FAIR}


def test_one_fact_in_two_messages_is_one_event_and_the_parent_context_is_not_read() -> None:
    parent = qualified("kim", AT[1], "line")
    child = updated("lead", "kim", AT[1], statecode=option(1), statuscode=option(3), parent=parent)
    assert [one.record for one in statements(child)] == [f"lead:{KIM}"]
    found = drafts(translated(sample("lead-create"), parent, child))
    assert sorted(found) == ["captured", "qualified"]


def test_a_lead_that_changes_its_campaign_or_loses_it_is_reassigned() -> None:
    first = created("lead", "kim", AT[0], campaignid=ref("campaign", "fair"))
    moved = updated("lead", "kim", AT[1], campaignid=ref("campaign", "web"))
    none = updated("lead", "kim", AT[2], campaignid=None)
    found = drafts(translated(none, first, moved))
    assert found["captured"][2]["campaign_id"] == FAIR
    assert found[f"campaign/{DAYS[1]}"][2] == {"lead_id": KIM, "campaign_id": guid("campaign/web")}
    assert found[f"campaign/{DAYS[2]}"][2] == {"lead_id": KIM, "campaign_id": None}


def test_the_event_of_a_lead_that_lost_its_campaign_says_so() -> None:
    (*_, lost) = translated(
        created("lead", "kim", AT[0], campaignid=ref("campaign", "fair")),
        updated("lead", "kim", AT[1], campaignid=None),
    )
    assert isinstance(lost, Draft)
    plan = reconcile("crm", f"lead:{KIM}", [], [lost], "2026-06-01T00:00:00Z")
    assert not plan.problems
    assert json.loads(plan.new[0].event)["data"] == {"lead_id": KIM, "campaign_id": None}


def test_a_lead_that_is_disqualified_and_taken_up_again_is_reopened() -> None:
    parts = translated(
        created("lead", "kim", AT[0]),
        updated("lead", "kim", AT[1], statecode=option(2), statuscode=option(5)),
        context("SetState", "lead", "kim", AT[2],
                {"EntityMoniker": ref("lead", "kim"), "State": option(0), "Status": option(-1)}),
    )  # fmt: skip
    assert drafts(parts)["disqualified"][2]["reason"] == "Cannot Contact"
    assert drafts(parts)["reopened"][:2] == ("lead.reopened", DAYS[2])


def test_a_lead_that_is_merged_into_another_is_not_disqualified() -> None:
    gone = updated("lead", "kim", AT[1], statecode=option(2), statuscode=option(7), merged=True)
    assert sorted(drafts(translated(created("lead", "kim", AT[0]), gone))) == ["captured"]


def test_an_update_is_completed_by_the_images_before_and_after_it() -> None:
    before = {"createdon": when(AT[0]), "campaignid": ref("campaign", "web"), "statecode": option(0)}
    after = {"campaignid": ref("campaign", "fair")}
    found = drafts(translated(updated("lead", "kim", AT[1], images=(before, after), subject="x")))
    assert found["captured"] == ("lead.captured", DAYS[0], {"lead_id": KIM, "campaign_id": FAIR})


def test_an_update_of_what_nobody_saw_created_waits_for_its_creation() -> None:
    (waiting,) = reasons(translated(updated("lead", "kim", AT[1], statecode=option(1))))
    assert "createdon" in waiting


def test_win_and_the_update_of_the_state_give_one_won_with_the_revenue_of_either() -> None:
    opened = sample("opportunity-create")
    win = sample("opportunity-win")
    update = updated("opportunity", "line", "2026-03-31T14:59:59", statecode=option(1), statuscode=option(3))
    for order in permutations([opened, win, update]):
        found = drafts(translated(*order))
        assert sorted(found) == ["opened", "won"]
        assert found["won"] == (
            "opportunity.won", "2026-03-31T14:59:59Z", {"opportunity_id": LINE, "value": euros("100000.00")},
        )  # fmt: skip


def test_an_opportunity_without_a_value_has_its_probability_and_close_nevertheless() -> None:
    body = created("opportunity", "line", AT[0], closeprobability=25, estimatedclosedate=when("2026-05-01T00:00:00"))
    assert drafts(translated(body))["opened"][2] == {
        "opportunity_id": LINE, "probability": Decimal("0.25"), "expected_close": "2026-05-01",
    }  # fmt: skip


def test_an_opportunity_changes_its_value_and_stage_is_lost_and_reopened() -> None:
    parts = translated(
        sample("opportunity-create"),
        updated("opportunity", "line", "2026-03-10T10:00:00", estimatedvalue=amount(95000.0), stepname="2-Develop"),
        closed("Lose", "opportunity", "line", "2026-03-11T10:00:00", 5, actualrevenue=amount(0.0)),
        updated("opportunity", "line", "2026-03-12T10:00:00", statecode=option(0), statuscode=option(1)),
    )
    found = drafts(parts)
    assert found["opened"][2]["expected_close"] == "2026-04-15"
    assert found["value/2026-03-10T10:00:00Z"][2]["estimated_value"] == euros("95000.00")
    assert found["stage/2026-03-10T10:00:00Z"][2]["stage"] == "2-Develop"
    assert found["lost"][2] == {"opportunity_id": LINE, "reason": "Out-Sold"}
    assert found["reopened"][0] == "opportunity.reopened"


def test_a_quote_is_sent_and_accepted_and_a_revision_is_no_rejection() -> None:
    line = {"opportunityid": ref("opportunity", "line"), "totalamountlessfreight": amount(100.0), "revisionnumber": 1}
    sent = updated("quote", "line", AT[1], statecode=option(1))
    won = closed("Win", "quote", "line", AT[2], 4)
    revised = closed("Close", "quote", "line", AT[2], 7)
    lost = closed("Close", "quote", "line", AT[2], 5)
    assert sorted(drafts(translated(created("quote", "line", AT[0], **line), sent, won))) == ["accepted", "sent"]
    assert sorted(drafts(translated(created("quote", "line", AT[0], **line), sent, revised))) == ["sent"]
    assert sorted(drafts(translated(created("quote", "line", AT[0], **line), sent, lost))) == ["rejected", "sent"]
    (waiting,) = reasons(translated(created("quote", "line", AT[0]), sent))
    assert "opportunity" in waiting


def order(at: str, net: float | None, **more: Any) -> Any:
    return created("salesorder", "line", at, totalamountlessfreight=amount(net), **more)


def test_an_order_is_placed_amended_and_cancelled() -> None:
    parts = translated(
        order(AT[0], 100.0, customerid=ref("contact", "kim")),
        updated("salesorder", "line", AT[1], totalamountlessfreight=amount(150.25)),
        closed("Fulfill", "salesorder", "line", AT[2], 100001),
        closed("Cancel", "salesorder", "line", AT[3], 4),
    )
    identity = guid("salesorder/line")
    assert drafts(parts) == {
        "placed": ("order.placed", DAYS[0], {"order_id": identity, "net_value": euros("100.00")}),
        f"amended/{DAYS[1]}": ("order.amended", DAYS[1], {"order_id": identity, "net_value": euros("150.25")}),
        "cancelled": ("order.cancelled", DAYS[3], {"order_id": identity}),
    }


def test_an_order_of_unknown_amount_waits_until_a_message_states_it() -> None:
    first = order(AT[0], None)
    assert reasons(translated(first)) == ["amount unknown: totalamountlessfreight is not stated yet"]
    later = updated("salesorder", "line", AT[1], totalamountlessfreight=amount(7.0))
    assert drafts(translated(later, first))["placed"][:2] == ("order.placed", DAYS[0])


def test_a_site_may_say_that_an_order_is_placed_when_it_is_submitted() -> None:
    at = source(states={"salesorder": {"0": "draft"}})
    submitted = updated("salesorder", "line", AT[1], statecode=option(1))
    assert drafts(translated(order(AT[0], 5.0), at=at)) == {}
    assert drafts(translated(order(AT[0], 5.0), submitted, at=at))["placed"][1] == DAYS[1]


def test_an_invoice_is_posted_restated_and_cancelled() -> None:
    body = sample("invoice-create")
    at = source(columns={"invoice": {"cogs": "new_costofsales"}})
    parts = translated(
        body,
        updated("invoice", "line", "2026-04-21T10:00:00", totalamountlessfreight=amount(99000.0)),
        updated("invoice", "line", "2026-04-22T10:00:00", statecode=option(3), statuscode=option(100003)),
        at=at,
    )
    found = drafts(parts)
    assert found["posted"][2] == {
        "invoice_id": guid("invoice/line"), "net_amount": euros("100000.00"), "tax": euros("19000.00"),
        "cogs": euros("25000.00"), "posting_date": "2026-04-20", "order_id": guid("salesorder/line"),
        "account_id": guid("account/adatum"), "due_date": "2026-05-20",
    }  # fmt: skip
    assert found["posted/2026-04-21T10:00:00Z"][2]["net_amount"] == euros("99000.00")
    assert found["cancelled"][:2] == ("invoice.cancelled", "2026-04-22T10:00:00Z")


def test_a_currency_that_is_not_certain_is_not_guessed() -> None:
    dollar = {"transactioncurrencyid": ref("transactioncurrency", "USD"), "exchangerate": 1.08}
    (waiting,) = reasons(translated(order(AT[0], 100.0, **dollar)))
    assert guid("transactioncurrency/USD") in waiting
    known = source(currencies={guid("transactioncurrency/USD").upper(): "USD"})
    assert drafts(translated(order(AT[0], 100.0, **dollar), at=known))["placed"][2]["net_value"]["currency"] == "USD"
    assert reasons(translated(order(AT[0], 100.0), at=known)), "another currency than those that are named"


def test_a_message_that_was_too_large_is_waited_for_until_the_record_is_stated_again() -> None:
    cut = {**context("Update", "salesorder", "line", AT[1], None), "PostEntityImages": None, "PreEntityImages": None}
    (waiting,) = reasons(translated(order(AT[0], 5.0), cut))
    assert "256 kB" in waiting
    again = updated("salesorder", "line", AT[2], images=(None, {"totalamountlessfreight": amount(6.0)}))
    assert not reasons(translated(order(AT[0], 5.0), cut, again))
    read = parts_of(SOURCE, posted(order(AT[0], 5.0), {"x-ms-dynamics-msg-size-exceeded": "true"}))
    assert [one.verb for one in read if isinstance(one, Statement)] == ["truncated"]


def test_several_records_of_one_message_are_each_stated() -> None:
    several = [entity("lead", guid(f"lead/{name}"), {"subject": name}) for name in ("a", "b")]
    body = context("CreateMultiple", "lead", "none", AT[0], {"Targets": {"EntityName": "lead", "Entities": several}})
    found = statements({**body, "PrimaryEntityId": NOBODY})
    assert [one.record for one in found] == [f"lead:{guid('lead/a')}", f"lead:{guid('lead/b')}"]
    assert [one.key for one in translated(body) if isinstance(one, Draft)] == ["captured"]


def test_merged_leads_and_accounts_are_merged() -> None:
    parameters = {"Target": ref("account", "adatum"), "SubordinateId": guid("account/adatum-2"), "UpdateContent": None}
    (merged,) = translated(context("Merge", "account", "adatum", AT[0], parameters))
    assert isinstance(merged, Draft)
    assert merged.data == {"survivor_id": guid("account/adatum"), "merged_id": guid("account/adatum-2")}


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"Stage": 20}, "PostOperation"),
        ({"PrimaryEntityName": "salesorderdetail"}, "salesorderdetail"),
        ({"PrimaryEntityName": "account"}, "account"),
        ({"MessageName": "Assign"}, "Assign"),
        ({"MessageName": "Delete"}, "keeps what it gave"),
    ],
)
def test_what_states_nothing_is_ignored_with_the_reason(change: dict[str, Any], reason: str) -> None:
    (ignored,) = parts_of(SOURCE, {**sample("lead-create"), **change})
    assert isinstance(ignored, Ignored)
    assert reason in ignored.reason


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"OperationCreatedOn": None, "InputParameters": None}, "OperationCreatedOn"),
        ({"InputParameters": 3}, "InputParameters"),
        ({"PrimaryEntityName": None}, "PrimaryEntityName"),
        ({"MessageName": ""}, "is this from Dataverse"),
        ({"PrimaryEntityId": NOBODY, "InputParameters": None}, "GUID"),
    ],
)
def test_what_cannot_be_read_says_what_was_expected_where(change: dict[str, Any], problem: str) -> None:
    with pytest.raises(MalformedError, match=problem):
        parts_of(SOURCE, {**sample("lead-create"), **change})


def test_a_repeated_message_is_the_same_statement_and_two_different_ones_of_one_second_are_two() -> None:
    one, two = (updated("lead", "kim", AT[0], subject=text) for text in ("a", "b"))
    assert statements(one) == statements(one)
    assert statements(one)[0].key != statements(two)[0].key


def test_personal_columns_are_not_stated() -> None:
    (lead,) = statements(sample("lead-create"))
    assert "emailaddress1" not in lead.fields
    assert "Akers" not in repr(lead)


@pytest.mark.parametrize(
    ("mapping", "problem"),
    [
        ({"currency": "Euro"}, "currency: expected an ISO 4217"),
        ({"currencies": {"x": 1}}, r"currencies\.x"),
        ({"states": {"lead": {"1": "won"}}}, r"states\.lead\.1: expected one of open"),
        ({"columns": {"lead": {"campain": "x"}}}, "did you mean campaign"),
        ({"timezone": "Berlin"}, "IANA"),
        ({"deleted": "void"}, "cancel or keep"),
        ({"qualified_level": "hot"}, "mql, sal or sql"),
    ],
)
def test_a_mapping_that_does_not_fit_is_refused_by_its_key(mapping: dict[str, Any], problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        KIND.check_mapping(mapping)


def test_campaigns_go_by_their_codes_where_a_column_says_so() -> None:
    at = source(columns={"campaign": {"code": "codename"}}, campaigns={"FAIR27": "fair-2027"})
    fair = created("campaign", "fair", AT[0], name="Fair", codename="FAIR26")
    lead = created("lead", "kim", AT[1], campaignid=ref("campaign", "fair"))
    assert drafts(translated(fair, at=at))["registered"][2]["campaign_id"] == "FAIR26"
    (said,) = statements(lead, at=at)
    assert list(KIND.lookups(said.record, [said], at)) == [f"campaign:{FAIR}"]
    unknown = translation_of(at, [said])
    assert "campaign_id" not in drafts(unknown)["captured"][2]
    assert "codename" in reasons(unknown)[0]
    for several, campaign in (
        ([fair], "FAIR26"), ([fair, updated("campaign", "fair", AT[2], codename="FAIR27")], "fair-2027")
    ):  # fmt: skip
        known = {f"campaign:{FAIR}": in_order(statements(*several, at=at))}
        given = translation_of(at._replace(known=known), [said])
        assert drafts(given)["captured"][2]["campaign_id"] == campaign
        assert not reasons(given)
    assert KIND.lookups(said.record, [said], SOURCE) == []
    named = source(campaigns={"FAIR26": "fair-2026"})  # a code among the names says that campaigns go by theirs
    known = {f"campaign:{FAIR}": in_order(statements(fair, at=named))}
    given = translation_of(named._replace(known=known), [said])
    assert drafts(given)["captured"][2]["campaign_id"] == "fair-2026"


def test_the_image_before_a_change_tells_the_order_of_two_within_one_second() -> None:
    first = updated("opportunity", "line", AT[1], images=({"stepname": "1-Qualify"}, None), stepname="2-Develop")
    second = updated("opportunity", "line", AT[1], images=({"stepname": "2-Develop"}, None), stepname="3-Propose")
    third = updated("opportunity", "line", AT[1], images=({"stepname": "3-Propose"}, None), stepname="2-Develop")
    begun = created("opportunity", "line", AT[0], stepname="1-Qualify")
    for several, stage in (((first, second), "3-Propose"), ((first, second, third), "2-Develop")):
        for order in permutations(several):
            given = drafts(translated(begun, *order))
            assert given[f"stage/{DAYS[1]}"][2]["stage"] == stage


@pytest.mark.parametrize("blank", ["NULL", "(not set)", "--", "–"])
def test_a_column_that_holds_a_word_for_nothing_states_nothing(blank: str) -> None:
    at = source(columns={"lead": {"channel": "new_channel"}})
    assert "channel" not in drafts(translated(created("lead", "kim", AT[0], new_channel=blank), at=at))["captured"][2]
