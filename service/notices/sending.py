"""Sends what a plan says: each report once in its period, each change of an alert once to each receiver.

What a receiver has not taken is tried again in the next run; what the others have taken is not told to them again.
"""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator
from datetime import UTC, date, datetime
from email.message import EmailMessage
from html import escape
from typing import NamedTuple
from urllib.parse import quote, urlencode

from service.api import inside
from service.bootstrap import Service
from service.domain.calendar import Zone
from service.notices import alerts, mail, reports, webhook
from service.notices.alerts import Seen
from service.notices.plan import Alert, MailedReport, Plan, period
from service.store import notices
from service.store.ledgers import Ledger

_MAIL = "mail"
_SCREENS = {  # that reports are on; the others are on that of the campaigns
    **dict.fromkeys(("opportunities", "stages", "quotes", "calls", "activities", "sla"), "sales"),
    **dict.fromkeys(("forecast", "forecast-accuracy"), "sales"),
    **dict.fromkeys(("leads", "lead-quality", "reach", "revenue-performance"), "leads"),
    **dict.fromkeys(("profitability", "payments", "retention", "service"), "profit"), "attribution": "attribution",
}  # fmt: skip
_NOTHING = notices.Told("", None)


class Outcome(NamedTuple):
    """What became of one notice for one receiver; `failed` says why it was not told."""

    name: str
    receiver: str
    words: str
    failed: str = ""


async def send_reports(service: Service, ledger: Ledger, plan: Plan, *, again: bool = False) -> AsyncIterator[Outcome]:
    """Mail the reports that are due; with `again`, also those that have been mailed in this period."""
    today = _today(ledger)
    async with inside.client(service, ledger) as http:
        for one in plan.reports:
            now, receiver = period(one.every, today) if one.every else "", ", ".join(one.to)
            before = (await notices.told(service.pool, ledger.ledger, one.name, receiver)).get("", _NOTHING)
            if one.every and before.state == now and not again:
                continue
            try:
                letter = await reports.letter(http, one, one.asked(today), _report_link(service, ledger, one))
                made = mail.message(
                    service.settings, one.to, letter.subject, letter.text, letter.html, letter.attachments
                )
                await mail.send(service.settings, made)
            except (mail.NotSentError, ValueError) as error:
                yield Outcome(one.name, receiver, one.report, str(error))
                continue
            await notices.tell(service.pool, ledger.ledger, one.name, receiver, "", now)
            yield Outcome(one.name, receiver, one.report)


async def send_alerts(service: Service, ledger: Ledger, plan: Plan) -> AsyncIterator[Outcome]:
    """Look at what alerts are about, and tell each receiver what has changed since it was told."""
    today = _today(ledger)
    async with inside.client(service, ledger) as http:
        for alert in plan.alerts:
            try:
                seen = await alerts.look(http, service.pool, ledger, alert, today)
            except ValueError as error:
                yield Outcome(alert.name, "", alert.kind, str(error))
                continue
            for receiver in (*([_MAIL] if alert.to else ()), *alert.webhooks):
                known = await notices.told(service.pool, ledger.ledger, alert.name, receiver)
                for one in seen:
                    last = known.get(one.subject, _NOTHING)
                    if (last.state or alerts.OFF) == one.state:
                        continue
                    failed = await _told(service, ledger, plan, alert, receiver, one, last)
                    if not failed:
                        await notices.tell(service.pool, ledger.ledger, alert.name, receiver, one.subject, one.state)
                    yield Outcome(alert.name, receiver, one.words, failed)


async def _told(
    service: Service, ledger: Ledger, plan: Plan, alert: Alert, receiver: str, seen: Seen, last: notices.Told
) -> str:
    """Tell a receiver; return why that failed, or nothing. The id of a webhook is that of the change, in a later run too."""
    where = alerts.link(service.settings.public_url, ledger, seen)
    try:
        if receiver == _MAIL:
            await mail.send(service.settings, _letter(service, ledger, alert, seen, where))
        else:
            payload = {
                "type": f"alert.{seen.state}", "timestamp": datetime.now(UTC).isoformat().replace("+00:00", "Z"),
                "data": {
                    "ledger": ledger.name, "alert": alert.name, "kind": alert.kind, "subject": seen.subject or None,
                    "state": seen.state, "words": seen.words, "link": where or None, "seen": seen.data,
                },
            }  # fmt: skip
            hook = plan.webhooks[receiver]
            change = (ledger.ledger, alert.name, receiver, seen.subject, seen.state, str(last.at))
            identity = f"msg_{hashlib.sha256(repr(change).encode()).hexdigest()[:32]}"
            await webhook.post(service.outgoing, hook.url, hook.key, identity, payload)
    except (mail.NotSentError, webhook.NotTakenError) as error:
        return str(error)
    return ""


def _letter(service: Service, ledger: Ledger, alert: Alert, seen: Seen, where: str) -> EmailMessage:
    subject = f"{'Alert' if seen.on else 'Over'}: {alert.name} ({ledger.name})"
    anchor = f'<p><a href="{escape(where)}">{escape(where)}</a></p>' if where else ""
    html = f"<!doctype html><html><body><p>{escape(seen.words)}</p>{anchor}</body></html>"
    return mail.message(service.settings, alert.to, subject, f"{seen.words}\n\n{where}\n", html)


def _report_link(service: Service, ledger: Ledger, one: MailedReport) -> str:
    """Return where a person sees more: the screen that a report is on, with its window."""
    base, asked = service.settings.public_url, one.asked(_today(ledger))
    if base is None:
        return ""
    window = {"period": "custom", "from": asked.get("from", ""), "to": asked.get("to", "")} if one.window else {}
    screen = f"{base.rstrip('/')}/ledgers/{quote(ledger.name, safe='')}/{_SCREENS.get(one.report, 'campaigns')}"
    return f"{screen}?{urlencode(window)}" if window else screen


def _today(ledger: Ledger) -> date:
    """Return the ledger's local day."""
    return date.fromordinal(Zone(ledger.timezone).day(int(datetime.now(UTC).timestamp() * 1_000_000)))
