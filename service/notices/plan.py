"""What is sent to whom: a YAML file with reports and alerts, checked as a whole before anything is sent.

docs/notices.md tells of each member; a wrong or unknown one is told with its place.
"""

from __future__ import annotations

import os
import re
from datetime import date, timedelta
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from service.domain.calendar import grain_start
from service.domain.contributions import REPORTS

Every = Literal["day", "week", "month"]
_PERIODS = ("day", "week", "month", "quarter", "year")
_WINDOW = re.compile(rf"(this|last) ({'|'.join(_PERIODS)})")
_ADDRESS = re.compile(r"[^\s@<>,;]+@[^\s@<>,;]+")
_SECRET = re.compile(r"whsec_[A-Za-z0-9+/=]{24,}")
Parameters = dict[str, str | int | float | list[str]]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Webhook(_Strict):
    """Where alerts are posted, and the secret that they are signed with: `whsec_…`, or the variable that has it."""

    url: str = Field(pattern="^https?://")
    secret: str = ""
    secret_env: str = ""

    @model_validator(mode="after")
    def _has_a_secret(self) -> Webhook:
        if bool(self.secret) == bool(self.secret_env):
            raise ValueError("expected secret or secret_env, one of them")
        if _SECRET.fullmatch(self.key) is None:
            raise ValueError("expected a secret as whsec_ and base64 of at least 18 bytes")
        return self

    @property
    def key(self) -> str:
        """The secret itself."""
        return self.secret or os.environ.get(self.secret_env, "")


class Told(_Strict):
    """Whom something is told: addresses of mail, and names of webhooks."""

    name: str = Field(min_length=1, max_length=200)
    to: tuple[str, ...] = ()
    webhooks: tuple[str, ...] = ()

    @field_validator("to")
    @classmethod
    def _are_addresses(cls, to: tuple[str, ...]) -> tuple[str, ...]:
        for one in to:
            if _ADDRESS.fullmatch(one) is None:
                raise ValueError(f"expected an address as name@example.com, got {one[:80]}")
        return to


class _Asked(_Strict):
    """How a report is asked: its parameters as in the API, and the window that moves with the days."""

    window: str = Field("", description="`last month`, `this quarter`, … ; empty = as the parameters say")
    parameters: Parameters = {}

    @field_validator("window")
    @classmethod
    def _is_known(cls, window: str) -> str:
        if window and _WINDOW.fullmatch(window) is None:
            raise ValueError(f"expected this or last, and one of {', '.join(_PERIODS)}, got {window[:80]}")
        return window

    def asked(self, today: date) -> Parameters:
        """Return the parameters as of a day."""
        if not self.window:
            return self.parameters
        since, until = window(self.window, today)
        return {**self.parameters, "from": str(since), "to": str(until)}


class MailedReport(Told, _Asked):
    """A report by mail: its table and chart in it, all of it attached. Once in each day, week or month that `every` says."""

    report: str
    every: Every | None = None
    figures: tuple[str, ...] = ()

    @field_validator("report")
    @classmethod
    def _exists(cls, report: str) -> str:
        if report not in REPORTS:
            raise ValueError(f"expected one of {', '.join(REPORTS)}, got {report[:80]}")
        return report

    @model_validator(mode="after")
    def _is_sent(self) -> MailedReport:
        if not self.to or self.webhooks:
            raise ValueError("expected addresses in `to`: reports go by mail")
        for one in self.figures:
            if one not in REPORTS[self.report].figures:
                raise ValueError(f"figures: expected some of {', '.join(REPORTS[self.report].figures)}, got {one[:80]}")
        return self


class RoiBelow(Told, _Asked):
    """An ROI, or another ratio of the report, is below a value: in total, or of `each` campaign."""

    kind: Literal["roi_below"]
    below: float
    figure: Literal["roi.booked", "roi.invoiced", "roi.margin", "roas", "margin_coverage"] = "roi.invoiced"
    each: bool = False


class BudgetSpent(Told, _Asked):
    """A campaign has spent a share of its budget, or more."""

    kind: Literal["budget_spent"]
    share: float = Field(1.0, gt=0)


class SlaOverdue(Told, _Asked):
    """More clocks of agreements are overdue than this."""

    kind: Literal["sla_overdue"]
    more_than: int = Field(0, ge=0)


class SourceSilent(Told):
    """A source has been silent for longer than it usually is: one of `sources`, or any."""

    kind: Literal["source_silent"]
    sources: tuple[str, ...] = ()


class ProofFailed(Told):
    """The last proof (`campaign-ledger verify`) found a fault, or is older than so many days."""

    kind: Literal["proof_failed"]
    days: int | None = Field(None, ge=1)


Alert = Annotated[RoiBelow | BudgetSpent | SlaOverdue | SourceSilent | ProofFailed, Field(discriminator="kind")]


class Plan(_Strict):
    """A whole file."""

    ledger: str
    webhooks: dict[str, Webhook] = {}
    reports: tuple[MailedReport, ...] = ()
    alerts: tuple[Alert, ...] = ()

    @model_validator(mode="after")
    def _hangs_together(self) -> Plan:
        names = [one.name for one in (*self.reports, *self.alerts)]
        if twice := {name for name in names if names.count(name) > 1}:
            raise ValueError(f"expected each name once, got {', '.join(sorted(twice))} more often")
        for alert in self.alerts:
            if not alert.to and not alert.webhooks:
                raise ValueError(f"{alert.name}: expected addresses in `to`, or names in `webhooks`")
            if unknown := set(alert.webhooks) - self.webhooks.keys():
                raise ValueError(f"{alert.name}: there is no webhook {', '.join(sorted(unknown))}")
        return self


def read(path: Path) -> Plan:
    """Read a file; ValueError says what is wrong in it, and where."""
    try:
        given: Any = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ValueError(f"{path} is not YAML: {' '.join(str(error).split())}") from None
    try:
        return Plan.model_validate(given)
    except ValidationError as error:  # told without the values, which may be secrets
        wrong = (f"{'.'.join(map(str, one['loc'])) or 'the file'}: {one['msg']}" for one in error.errors())
        raise ValueError(f"{path}: {'; '.join(wrong)}") from None


def window(text: str, today: date) -> tuple[date, date]:
    """Return the days [first, end) of `this month`, `last week` …; `this` one ends with today."""
    which, grain = text.split()
    start = grain_start(today, grain)
    if which == "this":
        return start, today + timedelta(days=1)
    return grain_start(start - timedelta(days=1), grain), start


def period(every: Every, today: date) -> str:
    """Return the period that a day is in: a report is mailed once in each."""
    return str(grain_start(today, every))
