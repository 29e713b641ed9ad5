"""`erpnext`: mails of an Email Campaign that were read and answered, as touches."""

from __future__ import annotations

from itertools import permutations
from typing import Any

import pytest

from service.domain.catalogue import check_data
from service.intake.senders.contract import Draft, Waiting
from tests.unit.senders.test_erpnext import document, records, source

CAMPAIGN = "Email Campaign:MAIL-CAMP-2026-00007"


def told(*documents: dict[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    given = records(source(), *documents).get(CAMPAIGN, [])
    drafts = [one for one in given if isinstance(one, Draft)]
    assert all(not list(check_data(one.type, one.data)) for one in drafts)
    return [(one.time, one.data) for one in drafts]


def test_a_mail_that_was_read_and_its_answer_are_touches_of_whose_campaign_it_is() -> None:
    mailing, answer = document("email-campaign"), document("communication")
    sent = {**answer, "name": "1", "sent_or_received": "Sent", "modified": "2026-03-11 09:01:00"}
    read = {**sent, "modified": "2026-03-12 10:00:00", "read_by_recipient_on": "2026-03-12 09:59:00"}
    whose = {"campaign_id": "Hannover Fair 2026", "activity_type": "email", "lead_id": "CRM-LEAD-2026-00017"}
    expected = [
        ("2026-03-12T08:59:00Z", {**whose, "touchpoint_id": "1/read", "interaction": "view"}),
        ("2026-03-12T09:39:30Z", {**whose, "touchpoint_id": "9f2c1a77be/answered", "interaction": "response"}),
    ]
    for several in permutations([mailing, sent, read, answer]):
        assert sorted(told(*several), key=lambda one: one[0]) == expected
    assert told(mailing, sent) == []
    (_, data), *_ = told({**mailing, "email_campaign_for": "Contact", "recipient": "C-1"}, answer)
    assert data["contact_id"] == "C-1"


@pytest.mark.parametrize("changed", [{"email_campaign_for": "Email Group"}, {"campaign_name": None}])
def test_what_names_nobody_or_no_campaign_is_no_touch(changed: dict[str, Any]) -> None:
    assert told({**document("email-campaign"), **changed}, document("communication")) == []


def test_a_mail_waits_for_its_campaign_and_other_mails_are_ignored() -> None:
    (waiting,) = records(source(), document("communication"))[CAMPAIGN]
    assert isinstance(waiting, Waiting)
    assert records(source(), document("communication", reference_doctype="Issue")) == {}
