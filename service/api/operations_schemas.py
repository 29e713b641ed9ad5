"""What answers about operations look like: what is set aside, rebuilds and generations."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

from pydantic import BaseModel, Field

from service.api.schemas import DateBasis, Next


class EventName(BaseModel):
    """Which event."""

    type: str = Field(examples=["order.placed"])
    source: str
    id: str
    time: datetime


class Aside(BaseModel):
    """An event that could not be read, or a component that its rules could not fold."""

    position: int = Field(description="of the event at which it happened first", examples=[17])
    component: int = Field(description="0 for an event that could not be read")
    kind: str | None = Field(description="of the component", examples=["journey"])
    entities: list[str] = Field(description="what belongs to the component, up to 20", examples=[["order:SO-1"]])
    event: EventName
    last_position: int = Field(description="the latest event that waits with it")
    error: str = Field(description="the last line of the traceback", examples=["ZeroDivisionError: division by zero"])
    attempts: int
    since: datetime


class SetAside(BaseModel):
    """What could not be processed; everything else goes on."""

    items: list[Aside]
    next: str | None = Next


class Retried(BaseModel):
    """What processing it again came to."""

    cleared: int
    remaining: int


class Report(BaseModel):
    """How a generation compared with the one that served, at the same position."""

    compared_with: int
    compared_version: str = Field(description="of the definitions behind that one", examples=["1"])
    position: int
    identical: bool = Field(description="cell for cell, by the digests")
    differences: int = Field(description="how many figures differ")
    digests: dict[str, dict[str, str]] = Field(
        description="by read model, of the old and the new one", examples=[{"roi": {"old": "09af…", "new": "09af…"}}]
    )


class Rebuild(BaseModel):
    """A generation of the read models, and how far its building is."""

    id: int
    ledger: str
    state: Literal["building", "paused", "built", "serving", "retired", "cancelled", "pruned"]
    serve: Literal["identical", "always", "never"] | None = Field(
        description="when it is to serve: identical, always, never; null for a ledger's first"
    )
    version: str = Field(description="of the definitions behind its figures", examples=["1"])
    position: int
    target: int = Field(description="the position of the serving generation")
    progress: float = Field(examples=[0.42])
    events_per_second: float | None
    seconds: float = Field(description="at work so far")
    seconds_left: float | None
    holder: str | None = Field(description="who builds it")
    created_at: datetime
    retired_at: datetime | None
    report: Report | None


class Rebuilds(BaseModel):
    """Generations."""

    items: list[Rebuild]


class MovedFigure(BaseModel):
    """One figure that is another one in the new generation."""

    line: int
    models: list[str] = Field(examples=[["roi"]])
    measure: str = Field(examples=["actual_cost"])
    campaign_id: str | None
    date_basis: DateBasis | None = Field(examples=["event"])
    period: str | None = Field(description="null for what has no day", examples=["2026-03"])
    where: str | None = Field(description="the other dimensions, where only they differ")
    old: str | None = Field(examples=["4620.00"])
    new: str | None = Field(examples=["0.00"])


class Differences(BaseModel):
    """Figures that differ."""

    rows: list[MovedFigure]
    next: str | None = Next


class Pruned(BaseModel):
    """Generations that are gone."""

    dropped: list[int]


class Alive(BaseModel):
    """The process answers."""

    status: Literal["alive"]
    version: str = Field(examples=["0.1.0"])


class Ready(BaseModel):
    """What serving takes is there."""

    status: Literal["ready"]
    database: Any = Field(description="how it stands")
    parts: dict[str, Any] = Field(description="how each part of the process stands")
    migrations: str = Field(examples=["ok"])
    master_key: str = Field(examples=["ok"])
    keys_of_people: str = Field(description="ok, or that they are stored without a master key", examples=["ok"])
    projection_lag_events: int = Field(
        description="events that are in no read model yet, of the ledger that waits most"
    )
    projection_lag_seconds: float = Field(description="how long the oldest of them waits")
    made_by_other_definitions: int = Field(description="ledgers whose read models are of another release")
    set_aside: int = Field(description="what could not be processed")


class LedgerState(BaseModel):
    """A ledger, and how far it is."""

    name: str = Field(examples=["acme"])
    currency: str = Field(examples=["EUR"], description="ISO 4217; all figures are in it")
    timezone: str = Field(examples=["Europe/Berlin"], description="IANA; days are its days")
    last_position: int = Field(description="of the last event; 0 = none yet")
    recorded_at: datetime | None = Field(description="when that was recorded")
    projected_position: int = Field(description="up to where the figures are")
    epoch: str = Field(
        description="of the log: what is restored begins another one, and positions of two epochs are of different logs"
    )
    chain: str = Field(description="the hash that the last event is chained with, hexadecimal")
