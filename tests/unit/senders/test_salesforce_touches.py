"""`salesforce`: the contacts of an opportunity by their roles, and the contact that a converted lead became."""

from __future__ import annotations

from typing import Any

from service.domain.catalogue import check_data
from service.intake.senders.contract import Draft
from tests.support.kinds import by_key
from tests.support.stories.salesforce import CONTACT, CONVERTED, LEAD, OPPORTUNITY, ROLE, change
from tests.unit.senders.test_salesforce import T1, T2, T3, given, reasons

OTHER = "0035f00001D2WTOAA3"


def role(kind: str, at: str, **fields: Any) -> dict[str, Any]:
    return change("OpportunityContactRole", ROLE, kind, at, **fields)


CREATED = role("CREATE", T1, OpportunityId=OPPORTUNITY, ContactId=CONTACT, Role="Decision Maker")


def told(*events: dict[str, Any]) -> list[tuple[str, str, dict[str, Any]]]:
    found = [one for one in given(f"contact_role:{ROLE}", *events) if isinstance(one, Draft)]
    assert all(not list(check_data(one.type, one.data)) for one in found)
    return [(one.time, one.type.partition(".")[2], one.data) for one in found]


def test_a_contact_is_linked_by_its_role_and_unlinked_where_that_goes_to_another() -> None:
    linked = {"opportunity_id": OPPORTUNITY, "contact_id": CONTACT, "role": "Decision Maker"}
    assert told(CREATED) == [(T1, "contact_linked", linked)]
    moved = role("UPDATE", T2, ContactId=OTHER)
    assert told(moved, CREATED) == [
        (T1, "contact_linked", linked),
        (T2, "contact_unlinked", {"opportunity_id": OPPORTUNITY, "contact_id": CONTACT}),
        (T2, "contact_linked", {**linked, "contact_id": OTHER}),
    ]


def test_a_role_that_was_deleted_links_nobody_until_it_is_restored() -> None:
    gone = role("DELETE", T2)
    assert told(CREATED, gone) == []
    assert len(told(CREATED, gone, role("UNDELETE", T3, OpportunityId=OPPORTUNITY, ContactId=CONTACT))) == 1


def test_what_is_not_known_of_a_role_is_waited_for() -> None:
    assert "which contact it is of which opportunity" in reasons(
        given(f"contact_role:{ROLE}", role("UPDATE", T2, Role="User"))
    )


def test_a_converted_lead_has_the_contact_that_it_became() -> None:
    made = change("Lead", LEAD, "CREATE", "2026-03-02T09:30:00Z", LeadSource="Web")
    assert by_key(given(f"lead:{LEAD}", made, CONVERTED))["captured"].data["contact_id"] == CONTACT
