"""How many people can be reached, worked out on paper."""

from __future__ import annotations

from typing import Any

from tests.support.asked_in_any_order import ask, by_key, figures
from tests.support.sending import event


def contact(key: str, **stated: Any) -> dict[str, Any]:
    return event("contact.registered", "2026-01-01", contact_id=key, **stated)


def consent(key: str, channel: str, day: str, *, granted: bool = True) -> dict[str, Any]:
    return event("contact.consent_changed", day, contact_id=key, channel=channel, granted=granted)


PEOPLE = ("contacts", "consented", "addressable", "reachable")
EVENTS = [
    contact("A", emails=["a@example.com"], phones=["+49 511 5550100"]),
    contact("B", emails=["b@example.com"], handles={"example": "b", "email": "b", "other": ""}),
    contact("C"),
    consent("A", "email", "2026-01-02"),
    consent("A", "email", "2026-01-03"),  # already
    consent("A", "sms", "2026-01-04"),
    consent("A", "sms", "2026-02-04", granted=False),
    consent("B", "sms", "2026-02-05"),  # without a phone
    consent("C", "example", "2026-02-06", granted=False),  # had not consented
    consent("X", "email", "2026-02-07"),  # nobody has registered
    event("campaign.messages_sent", "2026-02-08", campaign_id="F", count=100, channel="email"),
    event("campaign.messages_sent", "2026-02-09", campaign_id="F", count=7),
]


def test_people_count_by_channel_and_once_in_the_total() -> None:
    found = ask("reach", EVENTS)
    assert by_key(found, "channel", *PEOPLE) == {
        "email": (3, 1, 2, 1), "example": (3, 0, 1, 0), "sms": (3, 1, 1, 0), None: (3, 0, 0, 0)
    }  # fmt: skip
    assert figures(found["total"], *PEOPLE) == (3, 2, 2, 1)
    some = ask("reach", EVENTS, only={"channel": ("sms", "example")})
    assert figures(some["total"], *PEOPLE) == (3, 1, 2, 0)


def test_consents_count_where_they_change_and_messages_on_their_day() -> None:
    found = ask("reach", EVENTS)
    assert by_key(found, "channel", "granted", "withdrawn", "messages_sent") == {
        "email": (2, 0, 100), "example": (0, 0, 0), "sms": (2, 1, 0), None: (0, 0, 7)
    }  # fmt: skip
    february = ask("reach", EVENTS, "channel", "2026-02-01", "2026-02-08")
    assert figures(february["total"], "granted", "withdrawn", "messages_sent", "contacts") == (2, 1, 0, 3)


def test_by_period_the_people_there_are_now_stand_beside_each() -> None:
    rows = ask("reach", EVENTS, "channel,month", "2026-02-01")["rows"]
    assert [figures(row, "channel", "month", "reachable", "granted") for row in rows] == [
        ("email", "2026-02", 1, 1), ("sms", "2026-02", 0, 1), (None, "2026-02", 0, 0)
    ]  # fmt: skip


def test_merged_contacts_are_one_person() -> None:
    events = [*EVENTS, event("contact.merged", "2026-03-01", survivor_id="B", merged_id="A")]
    found = ask("reach", events)
    assert by_key(found, "channel", *PEOPLE)["sms"] == (2, 1, 1, 1)
    assert by_key(found, "channel", "granted", "withdrawn")["sms"] == (2, 1)
    assert figures(found["total"], *PEOPLE) == (2, 1, 1, 1)
    apart = [*events, event("event.voided", "2026-04-01", source="/test", id=events[-1]["id"])]
    assert ask("reach", apart) == ask("reach", EVENTS)


def test_an_erased_person_counts_under_no_id_and_nothing_undoes_that() -> None:
    erased = event("subject.erased", "2026-03-02", subject_id="A")
    merged = event("contact.merged", "2026-03-01", survivor_id="B", merged_id="A")
    void = event("event.voided", "2026-04-01", source="/test", id=erased["id"])
    assert figures(ask("reach", [*EVENTS, erased])["total"], *PEOPLE) == (2, 1, 1, 0)
    assert figures(ask("reach", [*EVENTS, erased, merged, void])["total"], *PEOPLE) == (1, 0, 0, 0)
    assert ask("reach", [*EVENTS, erased])["total"]["granted"] == ask("reach", EVENTS)["total"]["granted"]


def test_voided_messages_and_consents_count_as_never_sent() -> None:
    for voided in (3, 6, 10):
        void = event("event.voided", "2026-04-01", source="/test", id=EVENTS[voided]["id"])
        assert ask("reach", [*EVENTS, void]) == ask("reach", [*EVENTS[:voided], *EVENTS[voided + 1 :]])
