"""What answers look like, for the API description: meaning, units and examples of every member."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

DateBasis = Literal["event", "cohort"]
Money = Field(examples=["1234.50"], description="a decimal string with the ledger currency's digits")
Ratio = Field(examples=[5.25], description="rounded to 6 decimals; null with a reason where it cannot be had")

Version = Field(description="of the definitions behind the figures", examples=["1"])
Next: Any = Field(
    None,
    description="where the next page is, as `Link` has it; null at the last one",
    examples=["/v1/flags?as_of=7&after=x"],
)


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


class _Answer(BaseModel):
    currency: str = Field(examples=["EUR"])
    date_basis: DateBasis = Field(examples=["event"])
    as_of: Moment
    read_model_version: str = Version
    unconverted: list[Unconverted]
    pending_links: int = Field(description="how many links wait for what has not arrived", examples=[0])


class _Figures(BaseModel):
    reasons: dict[str, str] = Field(
        description="for each figure that is null: why", examples=[{"roas": "actual_cost is 0"}]
    )


class Group(BaseModel):
    """What a row is about: of these members it has those that `group_by` names; null = without one."""

    campaign_id: str | None = Field(None, examples=["fair-2026"], description="null = unattributed")
    campaign_type: str | None = None
    parent_id: str | None = None
    channel: str | None = None
    source: str | None = None
    medium: str | None = None
    owner: str | None = None
    day: str | None = Field(None, examples=["2026-03-17"])
    month: str | None = Field(None, examples=["2026-03"])
    quarter: str | None = Field(None, examples=["2026-Q1"])
    year: str | None = Field(None, examples=["2026"])


class Returns(BaseModel):
    """(return − actual_cost) / actual_cost; 0 is break-even, 1.0 means that the money doubled."""

    booked: float | None = Ratio
    invoiced: float | None = Ratio
    margin: float | None = Ratio


class RoiFigures(_Figures):
    """Costs, revenues and returns."""

    budget: str = Money
    actual_cost: str = Money
    budget_variance: str = Money
    booked_revenue: str = Money
    invoiced_revenue_gross: str = Money
    credited: str = Money
    invoiced_revenue: str = Money
    cogs: str = Money
    gross_margin: str | None = Field(
        description="null unless cogs is known for all of invoiced_revenue; negative for credit notes alone",
        examples=["75000.00"],
    )
    margin_coverage: float | None = Ratio
    roi: Returns
    roas: float | None = Ratio
    cost_to_revenue: float | None = Ratio
    break_even_roas: float | None = Ratio
    leads: int
    qualified_leads: int
    opportunities: int
    orders: int
    new_customers: int
    cost_per_lead: str | None
    cost_per_qualified_lead: str | None
    cost_per_opportunity: str | None
    cost_per_order: str | None
    cac: str | None
    break_even_on: date | None = Field(None, examples=["2026-05-04"])


class Step(BaseModel):
    """One step of the funnel."""

    count: int
    rate_from_previous: float | None = Ratio
    rate_from_start: float | None = Ratio


class Entered(BaseModel):
    """How many entered each step, orders and invoices less those cancelled."""

    captured: int
    qualified: int
    opportunity: int
    quote_accepted: int
    ordered: int
    invoiced: int


class Funnel(BaseModel):
    """Of the leads captured in the period, how many have reached each step by now."""

    captured: Step
    qualified: Step
    opportunity: Step
    quote_accepted: Step
    ordered: Step
    invoiced: Step


class ConversionFigures(_Figures):
    """Entries, funnel and outcomes."""

    entered: Entered
    funnel: Funnel
    won: int
    lost: int
    open: int
    win_rate: float | None = Ratio
    average_deal_size: str | None
    maturity_days: int | None


class Duration(BaseModel):
    """How long a step takes, in days rounded to 4 decimals."""

    count: int
    mean_days: float | None
    p50_days: float | None
    p90_days: float | None
    out_of_sequence: int = Field(description="negative durations, which are not averaged")


class VelocityFigures(_Figures):
    """Durations."""

    captured_to_qualified: Duration
    qualified_to_opened: Duration
    opened_to_accepted: Duration
    accepted_to_ordered: Duration
    ordered_to_invoiced: Duration
    sales_cycle: Duration
    full_cycle: Duration
    lead_to_cash: Duration
    pipeline_velocity: str | None = Field(examples=["1520.25"])


class RoiRow(RoiFigures, Group):
    """Costs, revenues and returns of one group."""


class ConversionRow(ConversionFigures, Group):
    """Entries, funnel and outcomes of one group."""


class VelocityRow(VelocityFigures, Group):
    """Durations of one group."""


class RoiAnswer(_Answer):
    """Rows by group; the unattributed row has campaign_id null."""

    rows: list[RoiRow]
    total: RoiFigures


class ConversionAnswer(_Answer):
    """Rows by group; the unattributed row has campaign_id null."""

    rows: list[ConversionRow]
    total: ConversionFigures


class VelocityAnswer(_Answer):
    """Rows by group; the unattributed row has campaign_id null."""

    rows: list[VelocityRow]
    total: VelocityFigures


class CampaignRoi(RoiFigures, _Answer):
    """One campaign's costs, revenues and returns, flat."""

    campaign_id: str


class CampaignConversion(ConversionFigures, _Answer):
    """One campaign's entries, funnel and outcomes, flat."""

    campaign_id: str


class CampaignVelocity(VelocityFigures, _Answer):
    """One campaign's durations, flat."""

    campaign_id: str


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
