"""`hubspot`: forms that were sent in, and marketing e-mails that were opened and clicked, as touches."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from service.domain.catalogue import check_data
from service.intake.senders.contract import Draft, Statement
from service.intake.senders.hubspot import KIND
from tests.unit.senders.test_hubspot import SOURCE, drafts, event

FORM, NEWS = "Fair: Sign up", "March newsletter"
LISTED = SOURCE._replace(mapping=KIND.check_mapping({"campaigns": {FORM: "fair", NEWS: "spring"}}))
T1, T2, T3 = (int(datetime(2026, 3, day, 9, tzinfo=UTC).timestamp() * 1000) for day in (2, 3, 4))


def changed(at: int, **properties: str | int) -> list[dict[str, Any]]:
    return [
        event("contact.propertyChange", 51, at, propertyName=name, propertyValue=str(value))
        for name, value in properties.items()
    ]


def touches(*events: dict[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    found = [one for one in drafts(list(events), "lead:51", LISTED) if isinstance(one, Draft)]
    told = [one for one in found if one.type == "touchpoint.recorded"]
    assert all(not list(check_data(one.type, one.data)) for one in told)
    return sorted(((one.time, one.data) for one in told), key=lambda one: (one[0], one[1]["touchpoint_id"]))


def test_a_form_and_each_opening_and_click_of_an_email_is_a_touch_of_its_campaign() -> None:
    events = [
        *changed(T1, recent_conversion_date=T1, recent_conversion_event_name=FORM),
        *changed(T2 - 5000, hs_email_last_email_name=NEWS), *changed(T2, hs_email_last_open_date=T2),
        *changed(T3, hs_email_last_open_date=T3, hs_email_last_click_date=T3),
    ]  # fmt: skip
    person = {"lead_id": "51", "contact_id": "51"}
    assert touches(*events) == [
        ("2026-03-02T09:00:00Z", {**person, "touchpoint_id": "51/recent_conversion_date/2026-03-02T09:00:00Z",
         "campaign_id": "fair", "activity_type": "form", "interaction": "response"}),
        ("2026-03-03T09:00:00Z", {**person, "touchpoint_id": "51/hs_email_last_open_date/2026-03-03T09:00:00Z",
         "campaign_id": "spring", "activity_type": "email", "interaction": "view"}),
        ("2026-03-04T09:00:00Z", {**person, "touchpoint_id": "51/hs_email_last_click_date/2026-03-04T09:00:00Z",
         "campaign_id": "spring", "activity_type": "email", "interaction": "click"}),
        ("2026-03-04T09:00:00Z", {**person, "touchpoint_id": "51/hs_email_last_open_date/2026-03-04T09:00:00Z",
         "campaign_id": "spring", "activity_type": "email", "interaction": "view"}),
    ]  # fmt: skip
    assert touches(*reversed(events)) == touches(*events) == touches(*events, *events)


@pytest.mark.parametrize("first", ["recent_conversion_date", "recent_conversion_event_name"])
def test_the_date_and_the_name_of_a_form_may_come_one_after_the_other(first: str) -> None:
    def sent(at: int, name: str) -> list[dict[str, Any]]:
        told: dict[str, str | int] = {"recent_conversion_date": at, "recent_conversion_event_name": name}
        second = next(one for one in told if one != first)
        return [*changed(at, **{first: told[first]}), *changed(at + 40, **{second: told[second]})]

    campaigns = [data["campaign_id"] for _, data in touches(*sent(T1, NEWS), *sent(T2, FORM))]
    assert campaigns == ["spring", "fair"]


def test_what_is_of_no_listed_campaign_is_no_touch() -> None:
    assert touches(*changed(T1, recent_conversion_date=T1, recent_conversion_event_name="Contact us")) == []
    assert touches(*changed(T1, recent_conversion_date=T1)) == []


def test_the_history_that_was_read_back_has_earlier_touches() -> None:
    at = {"a": "2026-03-02T09:00:00Z", "b": "2026-03-05T09:00:00Z"}
    history = {
        "recent_conversion_date": [[at["b"], at["b"]], [at["a"], at["a"]]],
        "recent_conversion_event_name": [[at["b"], NEWS], [at["a"], FORM]],
    }
    now = {"recent_conversion_date": at["b"], "recent_conversion_event_name": NEWS}
    read = Statement("lead:51", "read", at["b"], "", "snapshot", {"properties": now, "history": history, "links": {}})
    found = [one for one in KIND.translate("lead:51", [read], LISTED) if isinstance(one, Draft)]
    told = {one.time: one.data["campaign_id"] for one in found if one.type == "touchpoint.recorded"}
    assert told == {at["a"]: "fair", at["b"]: "spring"}


@pytest.mark.parametrize(
    ("rule", "told"),
    [("form", "touches.x: expected campaign, activity, interaction"), ({"campaign": "y"}, "touches.x"),
     ({"campaign": "y", "activity": "form", "interaction": "sent"}, "touches.x.interaction: expected one of view")],
)  # fmt: skip
def test_a_mapping_of_touches_is_checked(rule: Any, told: str) -> None:
    with pytest.raises(ValueError, match=told):
        KIND.check_mapping({"touches": {"x": rule}})
