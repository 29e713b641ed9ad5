"""Alerts: what is looked at, and what was seen. Whether it is told is up to what was told before (`sending`)."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from typing import Any, NamedTuple
from urllib.parse import quote, urlencode

import asyncpg
import httpx

from service.notices.plan import Alert, BudgetSpent, Parameters, ProofFailed, RoiBelow, SlaOverdue, SourceSilent
from service.projections.generations import verify
from service.store.ledgers import Ledger

ON, OFF = "on", "off"


class Seen(NamedTuple):
    """What an alert has seen of one subject: whether it is on, in words, as data, and the screen that shows it."""

    subject: str
    on: bool
    words: str
    data: Mapping[str, Any]
    screen: str

    @property
    def state(self) -> str:
        """The state that is told once."""
        return ON if self.on else OFF


async def look(http: httpx.AsyncClient, pool: asyncpg.Pool, ledger: Ledger, alert: Alert, today: date) -> list[Seen]:
    """Return what an alert sees. What cannot be told, as a ratio without a divisor, is not seen, and changes nothing."""
    if isinstance(alert, RoiBelow):
        return await _roi_below(http, alert, today)
    if isinstance(alert, BudgetSpent):
        return await _budget_spent(http, alert, today)
    if isinstance(alert, SlaOverdue):
        return await _sla_overdue(http, alert, today)
    if isinstance(alert, SourceSilent):
        return await _source_silent(http, alert)
    return await _proof_failed(pool, ledger, alert)


def link(public_url: str | None, ledger: Ledger, seen: Seen) -> str:
    """Return where a person sees the same; nothing where the service does not know how it is reached."""
    return f"{public_url.rstrip('/')}/ledgers/{quote(ledger.name, safe='')}/{seen.screen}" if public_url else ""


async def _get(http: httpx.AsyncClient, path: str, asked: Mapping[str, Any]) -> Any:
    answer = await http.get(path, params=dict(asked))
    if not answer.is_success:
        raise ValueError(f"{path}: {answer.json()['detail']}")
    return answer.json()


async def _roi_below(http: httpx.AsyncClient, alert: RoiBelow, today: date) -> list[Seen]:
    asked = alert.asked(today)
    found = await _get(http, "/v1/roi", {**asked, "group_by": "campaign"} if alert.each else asked)
    lines = (
        [(row["campaign_id"], row) for row in found["rows"] if row["campaign_id"] is not None]
        if alert.each
        else [("", found["total"])]
    )
    seen = []
    for campaign, row in lines:
        value: Any = row
        for part in alert.figure.split("."):
            value = value[part]
        if value is None:
            continue
        of = f" of {found['names'].get(campaign, campaign)}" if campaign else ""
        words = f"{alert.figure}{of} is {value}, {'below' if value < alert.below else 'not below'} {alert.below}"
        data = {
            "figure": alert.figure, "value": value, "below": alert.below, "campaign_id": campaign or None,
            "actual_cost": row["actual_cost"], "as_of": found["as_of"]["position"],
        }  # fmt: skip
        seen.append(Seen(campaign, value < alert.below, words, data, _screen_of(campaign, asked)))
    return seen


async def _budget_spent(http: httpx.AsyncClient, alert: BudgetSpent, today: date) -> list[Seen]:
    asked = alert.asked(today)
    found = await _get(http, "/v1/roi", {**asked, "group_by": "campaign"})
    seen = []
    for row in found["rows"]:
        budget, spent = float(row["budget"]), float(row["actual_cost"])
        if row["campaign_id"] is None or budget <= 0:
            continue
        name = found["names"].get(row["campaign_id"], row["campaign_id"])
        words = f"{name} has spent {row['actual_cost']} of {row['budget']} {found['currency']} ({spent / budget:.1%})"
        data = {
            "campaign_id": row["campaign_id"], "actual_cost": row["actual_cost"], "budget": row["budget"],
            "share": alert.share, "currency": found["currency"], "as_of": found["as_of"]["position"],
        }  # fmt: skip
        on = spent >= alert.share * budget
        seen.append(Seen(row["campaign_id"], on, words, data, _screen_of(row["campaign_id"], asked)))
    return seen


async def _sla_overdue(http: httpx.AsyncClient, alert: SlaOverdue, today: date) -> list[Seen]:
    found = await _get(http, "/v1/sla/overdue", {**alert.asked(today), "limit": 5})
    count, first = found["total"]["overdue"], found["rows"]
    oldest = ", ".join(f"{one['lead_id']} ({one['sla']})" for one in first)
    words = f"{count} clocks are overdue" + (f"; the oldest: {oldest}" if oldest else "")
    data = {"overdue": count, "more_than": alert.more_than, "oldest": first, "as_of": found["as_of"]["position"]}
    return [Seen("", count > alert.more_than, words, data, "sales")]


async def _source_silent(http: httpx.AsyncClient, alert: SourceSilent) -> list[Seen]:
    found = await _get(http, "/v1/completeness", {})
    seen = []
    for one in found["sources"]:
        if alert.sources and one["source"] not in alert.sources:
            continue
        hours, usual = one["silent_seconds"] / 3600, one["longest_usual_interval_seconds"]
        words = f"{one['source']} has been silent for {hours:.1f} hours" if one["silent"] else f"{one['source']} sends"
        words += f"; usually it sends within {usual / 3600:.1f}" if one["silent"] and usual else ""
        seen.append(Seen(one["source"], one["silent"], words, one, "completeness"))
    return seen


async def _proof_failed(pool: asyncpg.Pool, ledger: Ledger, alert: ProofFailed) -> list[Seen]:
    proof = next((one for one in await verify.last_proofs(pool) if one.ledger == ledger.name), None)
    if proof is None:
        words = "nobody has proved it yet: `campaign-ledger verify` does"
        return [Seen("", alert.days is not None, words, {"checked_at": None}, "completeness")]
    old = alert.days is not None and proof.checked_at < datetime.now(UTC) - timedelta(days=alert.days)
    what = "failed" if not proof.good else "held, but is old" if old else "held"
    words = f"the proof of {proof.checked_at:%Y-%m-%d %H:%M} UTC up to position {proof.position} {what}"
    data = {"checked_at": proof.checked_at.isoformat(), "position": proof.position, "good": proof.good}
    return [Seen("", not proof.good or old, words, data, "completeness")]


def _screen_of(campaign: str, asked: Parameters) -> str:
    """Return the screen of a campaign or of all, of the window that was asked for."""
    given = {"campaign_id": campaign} if campaign else {}
    if "from" in asked and "to" in asked:
        given |= {"period": "custom", "from": str(asked["from"]), "to": str(asked["to"])}
    screen = "campaign" if campaign else "campaigns"
    return f"{screen}?{urlencode(given)}" if given else screen
