"""Posts and reads with what openapi-python-client makes, and prints what it got."""

from __future__ import annotations

import json
import os
from datetime import UTC, date, datetime

from made.api.events import get_events, post_events
from made.api.lineage import get_completeness, get_journey, get_restatement
from made.api.reports import (
    get_campaign_conversion,
    get_campaign_roi,
    get_campaign_velocity,
    get_conversion,
    get_roi,
    get_roi_entries,
    get_velocity,
)
from made.client import AuthenticatedClient
from made.models.batch import Batch
from made.models.campaign_conversion import CampaignConversion
from made.models.campaign_cost_booked import CampaignCostBooked
from made.models.campaign_cost_booked_data import CampaignCostBookedData
from made.models.campaign_roi import CampaignRoi
from made.models.campaign_velocity import CampaignVelocity
from made.models.completeness import Completeness
from made.models.conversion_answer import ConversionAnswer
from made.models.entries_page import EntriesPage
from made.models.event_type import EventType
from made.models.get_journey_kind import GetJourneyKind
from made.models.get_roi_entries_measure import GetRoiEntriesMeasure
from made.models.lead_captured import LeadCaptured
from made.models.lead_captured_data import LeadCapturedData
from made.models.money import Money
from made.models.order_placed import OrderPlaced
from made.models.order_placed_data import OrderPlacedData
from made.models.problem import Problem
from made.models.restatement import Restatement
from made.models.roi_answer import RoiAnswer
from made.models.taken import Taken
from made.models.velocity_answer import VelocityAnswer

MARCH = datetime(2026, 3, 1, 9, 30, tzinfo=UTC)


def cost(identity: str, amount: str) -> CampaignCostBooked:
    data = CampaignCostBookedData(
        cost_entry_id="C-1", campaign_id="fair", amount=Money(amount, "EUR"), cost_date=date(2026, 3, 1)
    )
    return CampaignCostBooked(
        specversion="1.0", id=identity, source="/python", type_="campaign.cost_booked", time=MARCH, data=data
    )


def main() -> None:
    client = AuthenticatedClient(base_url=os.environ["URL_OF_SERVICE"], token=os.environ["KEY"])
    lead = LeadCaptured(
        specversion="1.0", id="lead", source="/python", type_="lead.captured", time=MARCH,
        data=LeadCapturedData(lead_id="LD-1", campaign_id="fair", channel="event"),
    )  # fmt: skip
    order = OrderPlaced(
        specversion="1.0", id="order", source="/python", type_="order.placed", time=MARCH,
        data=OrderPlacedData(order_id="O-1", campaign_id="fair", net_value=Money("250.00", "EUR")),
    )  # fmt: skip
    mixed = LeadCaptured(
        specversion="1.0", id="x", source="/python", type_="lead.captured", time=MARCH,
        data=order.data,  # type: ignore[arg-type]  # the data of an order are no data of a lead
    )  # fmt: skip
    assert mixed

    one = post_events.sync_detailed(client=client, body=lead)
    again = post_events.sync_detailed(client=client, body=lead)
    several = post_events.sync_detailed(client=client, body=[cost("cost", "100.00"), cost("wrong", "1.234")])
    batch = post_events.sync_detailed(client=client, body=[order])
    assert isinstance(one.parsed, Taken)
    assert isinstance(again.parsed, Taken)
    assert isinstance(several.parsed, Batch)
    assert isinstance(batch.parsed, Batch)
    problem = several.parsed.items[1].problem
    assert isinstance(problem, Problem)
    assert isinstance(problem.errors, list)

    at = batch.parsed.last_position
    roi = get_roi.sync(client=client, min_position=at, group_by="campaign,month")
    conversion = get_conversion.sync(client=client, min_position=at)
    velocity = get_velocity.sync(client=client, min_position=at)
    flat = get_campaign_roi.sync("fair", client=client, min_position=at)
    steps = get_campaign_conversion.sync("fair", client=client, min_position=at)
    days = get_campaign_velocity.sync("fair", client=client, min_position=at)
    entries = get_roi_entries.sync(client=client, min_position=at, measure=GetRoiEntriesMeasure.ACTUAL_COST)
    moved = get_restatement.sync(client=client, min_position=at, from_as_of="1")
    complete = get_completeness.sync(client=client, min_position=at)
    log = get_events.sync(client=client, type_=[EventType.LEAD_CAPTURED])
    refused = get_journey.sync_detailed(GetJourneyKind.ORDER, "O-9", client=client)
    assert isinstance(roi, RoiAnswer)
    assert isinstance(conversion, ConversionAnswer)
    assert isinstance(velocity, VelocityAnswer)
    assert isinstance(flat, CampaignRoi)
    assert isinstance(steps, CampaignConversion)
    assert isinstance(days, CampaignVelocity)
    assert isinstance(entries, EntriesPage)
    assert isinstance(moved, Restatement)
    assert isinstance(complete, Completeness)
    assert isinstance(log, list)
    assert isinstance(refused.parsed, Problem)
    first = log[0]
    print(json.dumps({
        "statuses": [int(answer.status_code) for answer in (one, again, several, batch)],
        "problem": [problem.status, problem.title, problem.errors[0].field],
        "roi": [
            roi.rows[0].campaign_id, roi.rows[0].month, roi.total.actual_cost, roi.total.roi.booked, roi.currency,
        ],
        "conversion": [conversion.total.entered.ordered, conversion.total.funnel.captured.count],
        "velocity": velocity.total.sales_cycle.count,
        "flat": [flat.campaign_id, flat.booked_revenue, steps.entered.captured, days.full_cycle.count],
        "entries": [entries.sum_, entries.entries[0].event.type_],
        "moved": moved.total["actual_cost"].difference,
        "complete": len(complete.waiting),
        "lead": first.data.lead_id if isinstance(first, LeadCaptured) else None,
        "refused": [int(refused.status_code), refused.parsed.status],
    }))  # fmt: skip


if __name__ == "__main__":
    main()
