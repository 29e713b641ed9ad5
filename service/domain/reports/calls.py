"""Calls (REPORTS section 3): how many calls everybody makes, how they end, and the revenue that stands beside them."""

from __future__ import annotations

from decimal import Decimal

from service.domain.components import statements
from service.domain.components.statements import Stated
from service.domain.cubes import Cube, Posts
from service.domain.figures import quotient, total
from service.domain.postings import Book
from service.domain.report import Report
from service.domain.units import COUNT, MONEY, SECONDS

CALLS = Cube("calls", by=("owner",))
KIND = statements.kind(
    "call", identity="call_id", types={"call.completed": ("rep_id", "outcome", "duration_s", "advanced")}
)


def contribute_call(call: Stated, book: Book) -> None:
    """A call counts once, by its last statement, on that one's day; how long it took and what it advanced, if it was answered."""
    said, place = call.fields, (call.name, book.at(CALLS, owner=call.fields["rep_id"]), call.day, call.day, None, None)
    book.put(("calls.made", *place))
    book.put((f"calls.{said['outcome']}", *place))
    if said["outcome"] == "answered":
        book.put(("calls.talk", *place), round(Decimal(said["duration_s"]) * 1_000_000))
        if said.get("advanced"):
            book.put(("calls.advanced", *place))


POSTS = Posts(
    CALLS,
    counts=("calls.made", "calls.answered", "calls.missed", "calls.voicemail", "calls.advanced"),
    seconds=("calls.talk",),
    rules={"call": contribute_call},
)

REPORT = Report(
    "calls",
    "Who calls how often, what comes of it, and how much revenue stands beside it?",
    CALLS,
    {
        "calls": total("calls.made", COUNT, "calls, each once, on the day of its last statement"),
        "answered": total("calls.answered", COUNT, "calls that were answered"),
        "missed": total("calls.missed", COUNT, "calls that were missed"),
        "voicemail": total("calls.voicemail", COUNT, "calls that a voice mailbox took"),
        "answer_rate": quotient("answered", "calls"),
        "talk_s": total("calls.talk", SECONDS, "Σ length of answered calls"),
        "mean_talk_s": quotient("talk_s", "answered", SECONDS),
        "advanced": total("calls.advanced", COUNT, "answered calls that got their deal further"),
        "advance_rate": quotient("advanced", "answered"),
        "booked_revenue": total("booked_revenue", MONEY, "Σ value of live orders of the same owner"),
        "revenue_per_call": quotient("booked_revenue", "calls", MONEY, note="rounded half-even"),
    },
    group_by="owner",
)  # fmt: skip
