"""Activities (REPORTS section 3): what everybody does, and what stands beside it."""

from __future__ import annotations

from service.domain.components import statements
from service.domain.components.statements import Stated
from service.domain.cubes import Posts
from service.domain.figures import quotient, total
from service.domain.postings import Book
from service.domain.report import Report
from service.domain.reports.calls import CALLS
from service.domain.units import COUNT, MONEY

ACTIVITIES = {"emails": "email", "meetings": "meeting", "demos": "demo", "visits": "visit", "other": "other"}
KIND = statements.kind(
    "activity", identity="activity_id", types={"activity.completed": ("rep_id", "activity")}
)  # fmt: skip


def contribute_activity(one: Stated, book: Book) -> None:
    """An activity counts once, by its last statement, on that one's day."""
    segment = book.at(CALLS, owner=one.fields["rep_id"])
    book.put((f"activities.{one.fields['activity']}", one.name, segment, one.day, one.day, None, None))


POSTS = Posts(
    CALLS, {"activity": contribute_activity}, counts=tuple(f"activities.{kind}" for kind in ACTIVITIES.values())
)

REPORT = Report(
    "activities",
    "Who does what how often, and what is won beside it?",
    CALLS,
    {
        **{
            name: total(f"activities.{kind}", COUNT, f"activities: {kind}", "each once, on the day of its last statement")
            for name, kind in ACTIVITIES.items()
        },
        "calls": total("calls.made", COUNT, "calls, each once, on the day of its last statement"),
        "quotes_sent": total("quotes.sent", COUNT, "quotes sent, each once, on the first day"),
        "opportunities": total("entered.opportunity", COUNT, "opportunities opened"),
        "won": total("won", COUNT, "opportunities won", "without won, lost or reopened, a live order wins it"),
        "won_per_activity": quotient("won", " + ".join((*ACTIVITIES, "calls")), called="the number of activities and calls"),
        "booked_revenue": total("booked_revenue", MONEY, "Σ value of live orders of the same owner"),
    },
    group_by="owner",
)  # fmt: skip
