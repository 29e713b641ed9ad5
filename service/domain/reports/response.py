"""Response (REPORTS section 3): whom each campaign was meant for, how many answered, and what was expected of it."""

from __future__ import annotations

from service.domain.components.campaigns import Description
from service.domain.components.entities import NO_DAY
from service.domain.components.statements import Stated
from service.domain.components.touchpoints import SUPPRESSED
from service.domain.cubes import Cube, Dimensions, Posts
from service.domain.figures import quotient, total
from service.domain.money import money_of
from service.domain.postings import Book, Remainder
from service.domain.report import Report
from service.domain.reports import roi
from service.domain.units import COUNT, MONEY

RESPONSE = Cube("response", by=("campaign",))
_INTERACTIONS = {"view": "response.views", "click": "response.clicks", "response": "response.responses"}


def contribute_messages(messages: Stated, book: Book) -> None:
    """Count the messages of one event on its day."""
    _count(messages, book, "response.messages_sent", messages.fields.get("count", 0))


def contribute_touchpoint(touch: Stated, book: Book) -> None:
    """Count a touch that was recorded and not suppressed, and what it was."""
    if SUPPRESSED in touch.marked or "campaign_id" not in touch.fields:
        return
    _count(touch, book, "response.touches")
    if measure := _INTERACTIONS.get(touch.fields.get("interaction", "")):
        _count(touch, book, measure)


def _count(one: Stated, book: Book, measure: str, amount: int = 1) -> None:
    place = book.at(RESPONSE, campaign=one.fields["campaign_id"])
    book.put((measure, one.name, place, one.day, one.day, None, None), amount)


def contribute_campaign(campaign: Description, book: Book) -> None:
    """Post the audience of a campaign and the revenue expected of it, as last stated; like a budget they have no day."""
    place, said = book.at(RESPONSE, campaign=campaign.id), campaign.stated
    if size := said.get("target_audience_size"):
        cell = ("response.audience", campaign.name, place, NO_DAY, NO_DAY, None, None)
        book.put(cell, size.data["target_audience_size"])
    if fact := said.get("expected_revenue"):
        expected = money_of(fact.data["expected_revenue"])
        left = Remainder(book, expected.currency, book.zone.day(fact.micros))
        where = Dimensions(campaign.id)
        left.post({"response.expected": 1}, campaign.name, where, NO_DAY, NO_DAY, expected.minor, place)


POSTS = Posts(
    RESPONSE,
    money=("response.expected",),
    counts=(
        "response.audience", "response.messages_sent", "response.touches", "response.views", "response.clicks",
        "response.responses",
    ),
    rules={"messages": contribute_messages, "touchpoint": contribute_touchpoint, "campaign": contribute_campaign},
)  # fmt: skip

_WHOLE = "not cut to the window"

REPORT = Report(
    "response",
    "Whom does each campaign reach, how many respond, and does it bring in what was expected?",
    RESPONSE,
    {
        "audience": total("response.audience", COUNT, "Σ target audience size of each campaign, as last stated", _WHOLE),
        "messages_sent": total("response.messages_sent", COUNT, "Σ messages sent"),
        "touches": total("response.touches", COUNT, "touches recorded and not suppressed, each once, on its last day"),
        "views": total("response.views", COUNT, "of them, views"),
        "clicks": total("response.clicks", COUNT, "clicks"),
        "responses": total("response.responses", COUNT, "responses"),
        "response_rate": quotient("responses", "messages_sent"),
        "leads": roi.REPORT.figures["leads"],
        "expected_revenue": total(
            "response.expected", MONEY, "Σ revenue expected of each campaign, as last stated", _WHOLE
        ),
        "invoiced_revenue": roi.REPORT.figures["invoiced_revenue"],
        "expected_share": quotient("invoiced_revenue", "expected_revenue"),
    },
)  # fmt: skip
