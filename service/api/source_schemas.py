"""What requests and answers about sources look like, for reading them and for the API description."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, SecretStr, StrictBool

from service.api.schemas import Next
from service.intake.connecting import LONGEST_SECRET, NAME, SHORTEST_SECRET
from service.intake.senders import KINDS

_KINDS = ", ".join(f"{kind.name} ({kind.about})" for kind in KINDS.values())
_MAPPING: dict[str, Any] = {
    "description": "where sites differ: which field is the campaign, which stage means won; see the page of the kind",
    "examples": [{"types": {"order.created": "order.placed"}}],
}
DeliveryState = Literal["received", "accepted", "duplicate", "ignored", "rejected", "failed", "discarded"]
RecordState = Literal["translated", "waiting", "failed"]
_STATES = (
    "received (not translated yet), accepted, duplicate, ignored, rejected (not verified), failed (kept, and tried again), "
    "discarded (by you)"
)
# Checked by `connecting`, for the command line too; here it is only described.
_SECRET = Field(json_schema_extra={"minLength": SHORTEST_SECRET, "maxLength": LONGEST_SECRET})


class SourceChange(BaseModel):
    """What of a source may be changed; what is absent stays."""

    model_config = ConfigDict(extra="forbid")
    secrets: list[Annotated[SecretStr, _SECRET]] | None = Field(
        None, max_length=10, examples=[["whsec_c2VjcmV0LW9mLXRoZS1zaG9w"]],
        description="what requests are verified with, newest first; never shown again",
    )  # fmt: skip
    path_secret: StrictBool = Field(
        False, description="put a new secret into the URL, for senders that cannot authenticate; shown once, in `url`"
    )
    credentials: dict[str, SecretStr] | None = Field(
        None,
        description="for kinds that read records back from the system's API: token, or client_id and client_secret",
    )
    mapping: dict[str, Any] | None = Field(None, **_MAPPING)
    rate_per_minute: int | None = Field(None, ge=1, le=1_000_000, description="requests it may send", examples=[600])
    retention_days: int | None = Field(None, ge=1, le=36_500, description="days that bodies are kept", examples=[90])


class NewSource(SourceChange):
    """A sending system to be connected."""

    kind: str = Field(
        examples=["standard-webhooks"], description=f"one of {_KINDS}", json_schema_extra={"enum": list(KINDS)}
    )
    name: str = Field(
        examples=["shop"], pattern=NAME,
        description="stands in the `source` of its events (/sources/shop), so it cannot be changed",
    )  # fmt: skip


class Secret(BaseModel):
    """A secret as it may be shown."""

    created_at: datetime


class Source(BaseModel):
    """A connected sending system, without its secrets."""

    id: str = Field(examples=["src_3f1q8Zk0V2bX5nJ7mT9wLr4yHc6dGs1a"])
    kind: str = Field(examples=["standard-webhooks"])
    name: str = Field(examples=["shop"])
    url: str = Field(
        examples=["https://ledger.example.com/v1/hooks/src_3f1q8Zk0V2bX5nJ7mT9wLr4yHc6dGs1a"],
        description="to enter in the sending system",
    )
    event_source: str = Field(examples=["/sources/shop"], description="the `source` of the events that it gives")
    secrets: list[Secret] = Field(description="newest first; only how many there are and since when")
    path_secret: bool = Field(description="whether the URL has a secret in it")
    credentials: list[str] = Field(description="the names of those that are set", examples=[["token"]])
    mapping: dict[str, Any] = Field(**_MAPPING)
    rate_per_minute: int = Field(examples=[6000])
    retention_days: int = Field(examples=[90])
    created_at: datetime
    updated_at: datetime


class Sources(BaseModel):
    """Sources by name."""

    items: list[Source]


class Delivery(BaseModel):
    """One request of a sender."""

    id: int = Field(examples=[17])
    received_at: datetime
    state: DeliveryState = Field(description=_STATES)
    reason: str | None = Field(examples=["opportunity:OP-1: amount unknown"])
    attempts: int = Field(examples=[1], description="how often it was translated since it came or was asked for")
    next_try: datetime | None = Field(description="when it is translated (again)")
    settled_at: datetime | None
    sender_id: str | None = Field(examples=["msg_p5jXN8AQM9LWM0D4loKWxJek"], description="the sender's own id of it")
    size: int = Field(examples=[512], description="of its body, in bytes")
    body: str | None = Field(None, description="in the answer about one delivery, as long as it is kept")


class Discard(BaseModel):
    """Why a delivery is taken out."""

    model_config = ConfigDict(extra="forbid")
    reason: str = Field(
        min_length=1, max_length=1000, examples=["test message of the integrator"], description="kept with the delivery"
    )


class Deliveries(BaseModel):
    """Deliveries, newest first."""

    items: list[Delivery]
    next: str | None = Next


class Money(BaseModel):
    """An amount of money."""

    amount: str = Field(examples=["1000.00"])
    currency: str = Field(examples=["EUR"])


class Record(BaseModel):
    """A record of the sending system that deliveries spoke of."""

    record: str = Field(examples=["opportunity:OP-1"])
    state: RecordState
    reasons: list[str] = Field(examples=[["opportunity:OP-1: amount unknown"]])
    amounts: list[Money] = Field([], description="the money that waits, where it is known; absent where it is not")


class Records(BaseModel):
    """Records by name."""

    items: list[Record]
    next: str | None = Next


class Retranslation(BaseModel):
    """How much is going to be translated again; `GET …/deliveries` shows what becomes of it."""

    deliveries: int = Field(examples=[120])
    records: int = Field(examples=[35])
