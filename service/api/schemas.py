"""What answers look like, for the API description: meaning, units and examples of every member."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, create_model

from service.domain.contributions import REPORTS

DateBasis = Literal["event", "cohort"]
Money = Field(examples=["1234.50"], description="a decimal string with the ledger currency's digits")
Ratio = Field(examples=[5.25], description="rounded to 6 decimals; null with a reason where it cannot be had")

Version = Field(description="of the definitions behind the figures", examples=["1"])
Next: Any = Field(
    None,
    description="where the next page is, as `Link` has it; null at the last one",
    examples=["/v1/flags?as_of=7&after=x"],
)


class Today(BaseModel):
    """The time that today was told by, and where that is from."""

    model_config = ConfigDict(populate_by_name=True)
    at: datetime = Field(examples=["2026-03-31T08:15:00Z"])
    origin: Literal["now", "as_of", "clock"] = Field(alias="from")


class Moment(BaseModel):
    """The moment of knowing that an answer is for."""

    position: int = Field(examples=[1200])
    recorded_at: datetime | None = Field(examples=["2026-03-31T08:15:00.123456Z"])


class Unconverted(BaseModel):
    """An amount that waits for an exchange rate, and joins the sums by itself when one arrives."""

    kind: str = Field(examples=["invoice"])
    id: str = Field(examples=["INV-17"])
    campaign_id: str | None
    measure: str = Field(examples=["invoiced_revenue_gross"])
    amount: str = Money
    currency: str = Field(examples=["USD"])
    day: date | None = Field(description="the day it counts on", examples=["2026-03-17"])
    rate_date: date = Field(description="the day whose rate is missing", examples=["2026-03-17"])
    entries: int = Field(examples=[1])


_STORED: dict[str, Any] = {
    name: (str | None, None) for report in REPORTS.values() for name in report.dimensions if name != "campaign"
}
_PERIODS = {"day": "2026-03-17", "week": "2026-W12", "month": "2026-03", "quarter": "2026-Q1", "year": "2026"}
_OF_PERIODS: dict[str, Any] = {name: (str | None, Field(None, examples=[one])) for name, one in _PERIODS.items()}


class _Attributed(BaseModel):
    campaign_id: str | None = Field(None, examples=["fair-2026"], description="null = unattributed")


Labels = create_model("Labels", __base__=_Attributed, __doc__="What is known of it; null = nothing.", **_STORED)
Group = create_model(
    "Group", __base__=Labels, __doc__="What a row is about: what `group_by` names; null = none.", **_OF_PERIODS
)


class Amount(BaseModel):
    """An amount in the currency in which it was stated."""

    amount: str = Money
    currency: str = Field(examples=["USD"], description="ISO 4217")


class Campaign(BaseModel):
    """A campaign's attributes, the last statement of each."""

    model_config = ConfigDict(extra="allow")
    campaign_id: str = Field(examples=["fair-2026"])
    name: str | None = Field(None, examples=["Hannover trade fair 2026"])
    campaign_type: str | None = Field(None, examples=["trade_fair"])
    channel: str | None = Field(None, examples=["event"])
    parent_id: str | None = None
    start_date: date | None = Field(None, examples=["2026-03-01"])
    end_date: date | None = Field(None, examples=["2026-03-05"])
    expected_revenue: Amount | None = None
    target_audience_size: int | None = None


class Campaigns(BaseModel):
    """Campaigns by id."""

    rows: list[Campaign]
    next: str | None = Next
    as_of: Moment
    read_model_version: str = Version


class Link(BaseModel):
    """`from` waits for `to`; both are written kind:id."""

    model_config = ConfigDict(populate_by_name=True)
    origin: str = Field(alias="from", examples=["order:SO-1"])
    to: str = Field(examples=["opportunity:OP-1"])
    campaign_id: str | None
    since_position: int


class Links(BaseModel):
    """Pending links."""

    rows: list[Link]
    next: str | None = Next
    as_of: Moment
    read_model_version: str = Version


class Flag(BaseModel):
    """Something that a person should look at."""

    entity: str
    reason: str = Field(examples=["reversal of more than was booked, capped"])
    campaign_id: str | None
    since_position: int


class Flags(BaseModel):
    """Flags."""

    rows: list[Flag]
    next: str | None = Next
    as_of: Moment
    read_model_version: str = Version


class FieldProblem(BaseModel):
    """What is wrong with one field, or parameter."""

    field: str = Field(examples=["data.amount.amount"])
    expected: str
    got: str


class Problem(BaseModel):
    """An error (RFC 9457): `detail` says what to change, `errors` which fields."""

    model_config = ConfigDict(extra="allow")
    type: str = Field(examples=["/problems/invalid-request"])
    title: str = Field(examples=["Unprocessable Content"])
    status: int = Field(examples=[422])
    detail: str = Field(examples=["from: expected a date as YYYY-MM-DD, got yesterday"])
    errors: list[FieldProblem] | None = None
