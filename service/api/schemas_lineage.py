"""What the answers of lineage, restatement and completeness look like, for the API description."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any

from pydantic import BaseModel, Field

from service.api.schemas import Amount, DateBasis, Group, Labels, Moment, Next, Today, Version

Written = str | int | float  # of an amount


class Entity(BaseModel):
    """What an entry is about."""

    kind: str = Field(examples=["credit_note"])
    id: str = Field(examples=["CN-17"])


class Cause(BaseModel):
    """The event that caused an entry."""

    position: int = Field(examples=[1207])
    type: str = Field(examples=["invoice.credited"])
    time: datetime = Field(examples=["2026-04-09T10:00:00Z"])
    source: str = Field(examples=["/erp"])
    id: str = Field(examples=["cn-17"])
    recorded_at: datetime


class Entry(Labels):
    """One posting of a figure; amounts add up to it."""

    measure: str = Field(description="what was posted; a figure may be made of several", examples=["credited"])
    model: str | None = Field(None, description="of what is dealt: the model", examples=["linear"])
    amount: Written = Field(
        description="money as a decimal string, a count or seconds as a number", examples=["-4620.00"]
    )
    day: date | None = Field(
        description="the day it counts on by the date basis that was asked for, as in a row of that day",
        examples=["2026-04-09"],
    )
    event_day: date | None = Field(description="its own day: what `day` is on the basis `event`")
    cohort_day: date | None = Field(description="the day of its lead's capture: what `day` is on the basis `cohort`")
    entity: Entity
    event: Cause
    why: str = Field(examples=["credited", "re-attributed from A to B", "converted at rate 0.8 of 2026-03-01"])
    days: float | None = Field(None, description="of a duration: its length")
    original: Amount | None = Field(None, description="of a converted amount: as it was stated")
    rate: str | None = Field(None, description="of a converted amount: units of the ledger's currency per unit")
    rate_day: date | None = Field(None, description="the rate_date of that rate")


class EntriesPage(BaseModel):
    """A page of what makes up a figure."""

    measure: str = Field(examples=["invoiced_revenue"])
    sum: Written | None = Field(
        description="the figure: what all entries of all pages add up to; null for a ratio", examples=["95380.00"]
    )
    sums: dict[str, Written] | None = Field(
        None, description="of a ratio: what the entries of each figure that it is made of add up to"
    )
    count: int | None = Field(description="entries in all pages; null where there are more than 10,000", examples=[2])
    entries: list[Entry]
    next: str | None = Next
    reasons: dict[str, str] | None = Field(None, description="why the report has no such figure, though entries add up")
    now: Today | None = Field(None, description="of what is past due: the time that today was told by")
    currency: str = Field(examples=["EUR"])
    date_basis: DateBasis = Field(examples=["event"])
    as_of: Moment
    read_model_version: str = Version


class Moved(BaseModel):
    """What an event did to one entity of a journey."""

    measure: str
    amount: Written
    campaign_id: str | None
    day: date | None
    entity: Entity
    why: str


class TimelineEvent(Cause):
    """An event of a journey, or one from outside that moved it: a rate, a void."""

    voided: bool
    data: dict[str, Any]
    moved: list[Moved] = Field(description="of up to 100 entities; the entries of the figures have all")


class Standing(Entity, Labels):
    """An entity of a journey as it stands."""

    cohort_day: date | None
    parent: Entity | None = Field(description="whose part it is, or what it has its campaign from")
    live: bool | None = Field(None, description="of an order or invoice: whether it is not cancelled")


class JourneyLink(BaseModel):
    """`from` waits for `to`; both are written kind:id."""

    origin: str = Field(alias="from", examples=["order:SO-1"])
    to: str = Field(examples=["opportunity:OP-1"])


class Timeline(BaseModel):
    """A page of one journey: its events in event order, the entities that they name first, and what those wait for."""

    journey: Entity
    currency: str = Field(examples=["EUR"])
    count: int = Field(description="events in all pages", examples=[12])
    events: list[TimelineEvent]
    entities: list[Standing]
    pending_links: list[JourneyLink]
    next: str | None = Next
    as_of: Moment
    read_model_version: str = Version


class Compared(BaseModel):
    """A figure at two moments of knowing."""

    then: Written = Field(examples=["100000.00"])
    now: Written = Field(examples=["95380.00"])
    difference: Written = Field(examples=["-4620.00"])


class RestatedRow(Compared, Group):
    """A figure of one group that differs."""

    measure: str = Field(examples=["credited"])


class RestatedLine(Entry):
    """An entry between the two moments, in words; with the members of its group, as its row has them."""

    week: str | None = Field(None, examples=["2026-W12"])
    month: str | None = Field(None, examples=["2026-03"])
    quarter: str | None = Field(None, examples=["2026-Q1"])
    year: str | None = Field(None, examples=["2026"])
    sentence: str = Field(examples=["2026-03 moved by -4,620.00 because credit note CN-17 was posted on 2026-04-09"])


class Restatement(BaseModel):
    """What changed between two moments of knowing."""

    from_as_of: Moment
    to_as_of: Moment
    currency: str = Field(examples=["EUR"])
    date_basis: DateBasis = Field(examples=["event"])
    rows: list[RestatedRow]
    total: dict[str, Compared]
    lines: list[RestatedLine]
    next: str | None = Next
    count: int | None = Field(description="lines in all pages; null where there are more than 10,000")
    as_of: Moment
    read_model_version: str = Version


class Since(BaseModel):
    """When the oldest of what waits was recorded; what is in the quarantine has no position."""

    position: int | None
    recorded_at: datetime | None


class Overdue(BaseModel):
    """How much has waited for too long."""

    count: int
    amounts: list[Amount]


class Waiting(BaseModel):
    """What waits for one reason."""

    kind: str = Field(examples=["order"])
    waits_for: str = Field(examples=["opportunity", "invoice", "rate USD/EUR", "a correction", "a message"])
    count: int
    amounts: list[Amount] = Field(description="how much money it stands for, by currency, as last stated")
    overdue: Overdue = Field(description="what of it has waited for longer than `overdue_days`")
    since: Since
    examples: list[str] = Field(description="ids of the first few", examples=[["SO-1"]])
    see: str = Field(description="where all of it is listed", examples=["/v1/pending-links"])


class LastEvent(BaseModel):
    """The last event of a source."""

    position: int
    recorded_at: datetime


class SourceFreshness(BaseModel):
    """How fresh a source is. Intervals are between arrivals, in seconds; what comes in one batch is one arrival."""

    source: str = Field(examples=["/erp"])
    events: int
    last_event: LastEvent
    usual_interval_seconds: float | None = Field(description="the median")
    longest_usual_interval_seconds: float | None = Field(description="the 95th percentile")
    silent_seconds: float = Field(description="since the last event")
    silent: bool = Field(description="whether that is more than three times the longest usual interval")


class Completeness(BaseModel):
    """What is recorded and in no figure yet, and how fresh the sources are."""

    complete: bool = Field(description="whether nothing waits")
    currency: str = Field(examples=["EUR"])
    overdue_days: int = Field(description="after which what waits is overdue: a setting", examples=[30])
    waiting: list[Waiting]
    sources: list[SourceFreshness]
    addresses_as_ids: dict[str, int] = Field(
        description="how many ids of contacts and leads look like an e-mail address or a phone number, which no erasure "
        "takes out: ids are open"
    )
    as_of: Moment
    read_model_version: str = Version
