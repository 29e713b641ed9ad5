"""What is asked and answered about people and their erasure, for the API description."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from service.api.schemas import Next
from service.domain.fields import MAX_ID

SubjectId = Annotated[str, StringConstraints(min_length=1, max_length=MAX_ID, pattern=r"^[^\x00]+$")]


class ErasureRequest(BaseModel):
    """Whom to forget."""

    model_config = ConfigDict(extra="forbid")

    subject_id: SubjectId = Field(description="of a contact or a lead", examples=["C-17"])
    legal_basis: str | None = Field(None, max_length=2_000, examples=["GDPR, article 17"])
    leads: bool = Field(True, description="with the leads that say that the person is their contact")


class LogHead(BaseModel):
    """The end of the log when the keys were destroyed."""

    position: int
    chain: str


class Erasure(BaseModel):
    """An erasure, with its receipt once the copies and the keys are destroyed."""

    position: int = Field(description="of the event that erased", examples=[42])
    subjects: list[str] = Field(
        description="every name of the person, as kind:id", examples=[["contact:C-17", "lead:C-17"]]
    )
    asked_at: datetime
    done_at: datetime | None = Field(description="null while copies are still in use, by the translation of a delivery")
    destroyed: dict[str, int] | None = Field(
        description="how many, by what they were", examples=[{"keys": 1, "deliveries": 2}]
    )
    log: LogHead | None
    signature: str | None = Field(description="Ed25519, under the members before it as JSON in this order, in base64")
    public_key: str | None


class Erased(BaseModel):
    """The receipts of what was asked for."""

    erasures: list[Erasure]


class ErasureList(BaseModel):
    """A page of erasures."""

    erasures: list[Erasure]
    next: str | None = Next


class Subject(BaseModel):
    """What is stored of a person."""

    subject_id: str
    subjects: list[str] = Field(description="every name of the person, as kind:id: merges make several ids one person")
    erased: bool
    leads: list[str] = Field(description="that say that the person is their contact")
    events: list[dict[str, Any]] = Field(description="CloudEvents, with what of them is erased told in its place")
