"""Attribution, worked out by hand: one deal of two campaigns, and what changes it."""

from __future__ import annotations

from typing import Any

from service.projections.sums.selection import Query
from tests.support.asking import ask
from tests.support.sending import cost, credit, event, invoice, lead, order


def touch(key: str, campaign: str, day: str, **more: Any) -> dict[str, Any]:
    reached = {} if "lead_id" in more else {"contact_id": "C"}
    return event(
        "touchpoint.recorded",
        day,
        touchpoint_id=key,
        campaign_id=campaign,
        **{"activity_type": "mail", **reached, **more},
    )


def opened(key: str = "OP", day: str = "2026-03-05", **more: Any) -> dict[str, Any]:
    return event("opportunity.opened", day, opportunity_id=key, **{"contact_ids": ["C"], **more})


ORDER = order("SO", "100.00", "2026-03-20", opportunity_id="OP")
TOUCHES = [touch("T1", "a", "2026-03-01"), touch("T2", "b", "2026-03-02"), touch("T3", "c", "2026-03-03")]
STORY = [*TOUCHES, opened(owner_id="ada"), ORDER]


def booked(events: list[dict[str, Any]], model: str = "linear", query: Query | None = None) -> dict[Any, str]:
    """Return what each campaign has of the booked revenue; what is nothing is left out."""
    answer = ask("attribution", events, query)
    name = (query or Query()).names[0]
    found = {row[name]: row["models"][model]["booked_revenue"] for row in answer.rows}
    assert (query and query.only) or answer.total["models"][model]["booked_revenue"] == answer.total["models"][
        "source_campaign"
    ]["booked_revenue"]
    return {key: amount for key, amount in found.items() if amount != "0.00"}


def test_a_hundred_euros_over_three_campaigns() -> None:
    assert booked(STORY) == {"a": "33.34", "b": "33.33", "c": "33.33"}
    assert booked(STORY, "first_touch") == {"a": "100.00"}
    assert booked(STORY, "last_touch") == {"c": "100.00"}
    assert booked(STORY, "position_based") == {"a": "40.00", "b": "20.00", "c": "40.00"}
    assert booked(STORY, "source_campaign") == {None: "100.00"}
    row = ask("attribution", [*STORY, cost("K", "a", "10.00")]).rows[0]
    assert (row["campaign_id"], row["actual_cost"]) == ("a", "10.00")
    assert row["models"]["linear"]["deals"] == 0.333334
    assert row["models"]["linear"]["roi"]["booked"] == 2.334


def test_dealt_money_has_the_orders_owner_and_the_campaigns_channel() -> None:
    registered = event("campaign.registered", "2026-01-01", campaign_id="a", name="A", channel="web")
    assert booked(STORY, query=Query(("owner",))) == {"ada": "100.00"}
    assert booked([*STORY, registered], query=Query(("channel",))) == {"web": "33.34", None: "66.66"}
    assert booked(STORY, query=Query(("campaign",), only=(("owner", ("ada",)), ("campaign", ("b", ""))))) == {
        "b": "33.33"
    }


def test_a_late_touch_a_suppression_and_a_restatement_deal_anew() -> None:
    late = touch("T4", "d", "2026-03-19")
    assert booked([*STORY, late]) == dict.fromkeys("abcd", "25.00")
    suppressed = event("touchpoint.suppressed", "2026-05-01", touchpoint_id="T4")
    assert booked([suppressed, *STORY, late]) == booked(STORY)
    restated = touch("T3", "a", "2026-03-04")
    assert booked([*STORY, restated]) == {"a": "66.67", "b": "33.33"}
    to_another = touch("T3", "c", "2026-03-04", contact_id="D")
    assert booked([*STORY, to_another]) == {"a": "50.00", "b": "50.00"}


def test_contacts_and_leads_of_a_deal() -> None:
    of_lead = [lead("L", "x", "2026-03-02", contact_id="C"), touch("T5", "e", "2026-03-10", lead_id="L"), *TOUCHES[:2]]
    deal = opened(contact_ids=[], lead_ids=["L"])
    assert booked([*of_lead, deal, ORDER]) == {"a": "33.34", "b": "33.33", "e": "33.33"}
    unlinked = event("opportunity.contact_unlinked", "2026-03-06", opportunity_id="OP", contact_id="C")
    assert booked([*of_lead, deal, ORDER, unlinked]) == {"e": "100.00"}
    linked = event("opportunity.contact_linked", "2026-03-07", opportunity_id="OP", contact_id="C")
    assert booked([*of_lead, deal, ORDER, unlinked, linked], "first_touch") == {"a": "100.00"}
    merged = event("contact.merged", "2026-04-01", survivor_id="C", merged_id="D")
    assert booked([*STORY, touch("T6", "f", "2026-03-04", contact_id="D"), merged], "last_touch") == {"f": "100.00"}
    merged = event("lead.merged", "2026-04-01", survivor_id="M", merged_id="L")
    assert booked([*of_lead, deal, ORDER, merged]) == {"a": "33.34", "b": "33.33", "e": "33.33"}
    voided = event("event.voided", "2026-05-01", source=merged["source"], id=merged["id"])
    assert booked([*of_lead, deal, ORDER, merged, voided]) == booked([*of_lead, deal, ORDER])
    several = [opened("OQ"), order("SP", "10.00", "2026-03-20", opportunity_id="OQ")]
    assert booked([*STORY, *several], "first_touch") == {"a": "110.00"}


def test_an_order_without_an_opportunity_has_the_touches_of_its_journeys_leads() -> None:
    quoted = event("quote.accepted", "2026-03-09", quote_id="Q", opportunity_id="GHOST")
    alone = order("SO", "100.00", "2026-03-20", opportunity_id="GHOST")
    touched = [lead("L", "x", "2026-03-02"), touch("T5", "e", "2026-03-10", lead_id="L")]
    assert booked([quoted, alone, *touched]) == {None: "100.00"}
    other = order("SP", "1.00", "2026-03-01", quote_id="Q", opportunity_id="OP")
    tied = [quoted, alone, *touched, other, opened(lead_ids=["L"], contact_ids=[])]
    assert booked(tied) == {"e": "100.00", None: "1.00"}


def test_credit_notes_and_amendments_deal_what_stands_at_the_end_of_each_day() -> None:
    amended = event("order.amended", "2026-04-02", order_id="SO", net_value={"amount": "50.00", "currency": "EUR"})
    by_month = Query(("month", "campaign"))
    rows = ask("attribution", [*STORY, amended], by_month).rows
    found = {(row["month"], row["campaign_id"]): row["models"]["linear"]["booked_revenue"] for row in rows}
    assert found["2026-03", "a"] == "33.34"
    assert [found["2026-04", one] for one in "abc"] == ["-16.67", "-16.66", "-16.67"]  # 50.00 is 16.67, 16.67, 16.66
    billed = [invoice("IN", "100.00", "2026-03-21", order_id="SO"), credit("CN", "IN", "100.00", "2026-04-09")]
    for row in ask("attribution", [*STORY, *billed]).rows:
        assert all(of["invoiced_revenue"] == "0.00" for of in row["models"].values())
    months = ask("attribution", [*STORY, *billed], Query(("month",))).rows
    assert [row["models"]["w_shaped"]["invoiced_revenue"] for row in months] == ["100.00", "-100.00"]


def test_deals_are_those_of_live_orders() -> None:
    assert ask("attribution", STORY).total["models"]["linear"]["deals"] == 1
    cancelled = event("order.cancelled", "2026-05-02", order_id="SO")
    assert ask("attribution", [*STORY, cancelled]).total["models"]["linear"]["deals"] == 0


def test_margin_is_dealt_where_cogs_is_known() -> None:
    costs = {"amount": "40.00", "currency": "EUR"}
    events = [*STORY, invoice("IN", "100.00", "2026-03-21", order_id="SO", cogs=costs)]
    rows = {row["campaign_id"]: row["models"]["linear"]["gross_margin"] for row in ask("attribution", events).rows}
    assert rows == {"a": "20.00", "b": "20.00", "c": "20.00", None: None}  # 40.00 of cogs is 13.34, 13.33, 13.33
