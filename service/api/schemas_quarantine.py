"""What is asked and answered about the quarantine, for the API description."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from service.api.schemas import Next, Problem

State = Literal["waiting", "resolved", "dismissed"]
By = Literal["reason", "type", "source"]


class Identity(BaseModel):
    """Which event an item was to be, as far as it says so in a form that an event can have."""

    type: str | None = Field(examples=["order.placed"])
    source: str | None = Field(examples=["/shop"])
    id: str | None = Field(examples=["SO-17"])


class Dismissal(BaseModel):
    """Why an item was put away, and by whom."""

    reason: str = Field(examples=["a test order of the shop"])
    by: str = Field(description="the key's id, or command line", examples=["cl_3f9a"])


class Quarantined(BaseModel):
    """An item that could not be taken as it came."""

    id: int = Field(description="counted per ledger", examples=[3])
    received_at: datetime
    state: State
    position: int | None = Field(description="of the event that it has become", examples=[17])
    event: Identity
    reason: str = Field(
        description="the first of what is wrong; the same for all that fail alike",
        examples=["data.net_value: an object with amount and currency"],
    )
    problem: Problem
    body: str = Field(description="as it was sent; in lists the first 2,000 bytes")
    size: int = Field(description="bytes of the whole body")
    whole: bool = Field(description="whether `body` is all of it")
    settled_at: datetime | None = Field(description="when it was resolved or dismissed")
    dismissed: Dismissal | None


class Quarantine(BaseModel):
    """A page of items."""

    items: list[Quarantined]
    next: str | None = Next


class QuarantineCount(BaseModel):
    """How many items have a reason, a type or a source."""

    value: str | None = Field(description="null for those that have none", examples=["order.placed"])
    count: int = Field(examples=[12])
    since: datetime = Field(description="when the oldest of them was received")


class QuarantineCounts(BaseModel):
    """How many items there are, the most first; of more than 1,000 values those."""

    by: By
    state: State
    total: int = Field(description="of the counts told", examples=[12])
    counts: list[QuarantineCount]


class TriedAgain(BaseModel):
    """What became of an item that was tried again."""

    item: int
    status: Literal["accepted", "duplicate"]
    position: int
    source: str | None = None
    id: str | None = None
    problem: None = None


class ItemsTriedAgain(BaseModel):
    """What trying several items again came to; there may be more while `next_after` is one."""

    tried: int = Field(examples=[1000])
    resolved: int = Field(description="became events", examples=[990])
    waiting: int = Field(description="could not be taken this time either", examples=[10])
    next_after: int | None = Field(description="`after` of the next request", examples=[1042])


class DismissalReason(BaseModel):
    """Why items are put away."""

    model_config = ConfigDict(extra="forbid")
    reason: Annotated[
        str, StringConstraints(strip_whitespace=True, min_length=1, max_length=2_000, pattern=r"^[^\x00]*$")
    ] = Field(examples=["test orders of the shop, agreed with finance"])


class Dismissed(BaseModel):
    """How many items were put away."""

    dismissed: int = Field(examples=[12])
