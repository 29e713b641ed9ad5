"""What Call Log, Event, Issue and Payment Entry become: calls, activities, cases, and payments of invoices."""

from __future__ import annotations

import json
from collections.abc import Sequence
from decimal import Decimal

from service.domain.calendar import parse_instant
from service.intake.senders.contract import Draft, Source, Waiting
from service.intake.senders.erpnext.fields import (
    UNDATED,
    Doc,
    Parts,
    Version,
    cancelled_at,
    dated_at,
    id_of,
    items,
    made_at,
)
from service.intake.senders.fields import instant, money, number, stated, text

_LINKS = {"Lead": "lead_id", "Contact": "contact_id", "Opportunity": "opportunity_id"}


def call_log(name: str, history: Sequence[Version], source: Source) -> Parts:
    """A Call Log is a call once its status is one that the mapping lists."""
    at, doc = history[-1]
    outcome = source.mapping["call_outcomes"].get(text(doc.get("status"), "status"))
    seconds, rep = number(doc.get("duration"), "duration"), id_of(doc, "employee_user_id") or id_of(doc, "owner")
    if outcome is None:
        return
    if rep is None or (seconds is None and outcome == "answered"):
        yield Waiting(f"{'who called' if rep is None else 'how long the call was'} is not stated")
        return
    ended = instant(doc.get("end_time") or doc.get("start_time"), "end_time", source.mapping["timezone"])
    yield Draft("done", "call.completed", ended or at, stated(
        call_id=name, rep_id=rep, duration_s=seconds or Decimal(0), outcome=outcome, **_about(doc, "links", "link_"),
    ))  # fmt: skip


def event(name: str, history: Sequence[Version], source: Source) -> Parts:
    """An Event of the calendar is an activity once it is completed or closed, as its category says."""
    at, doc = history[-1]
    kind = source.mapping["activities"].get(text(doc.get("event_category"), "event_category"))
    rep = id_of(doc, "owner")
    if kind is None or text(doc.get("status"), "status") not in ("Completed", "Closed"):
        return
    if rep is None:
        yield Waiting("whose event it is is not stated")
        return
    begun, ended = (instant(doc.get(one), one, source.mapping["timezone"]) for one in ("starts_on", "ends_on"))
    length = (parse_instant(ended).micros - parse_instant(begun).micros) // 1_000_000 if begun and ended else None
    yield Draft("done", "activity.completed", ended or begun or at, stated(
        activity_id=name, rep_id=rep, activity=kind, duration_s=length if length is not None and length >= 0 else None,
        **_about(doc, "event_participants", "reference_"),
    ))  # fmt: skip


def _about(doc: Doc, table: str, start: str) -> dict[str, str]:
    """Return whom and what a document is about, by the first link of each sort in a child table."""
    found: dict[str, str] = {}
    for row in items(doc, table):
        ours = _LINKS.get(text(row.get(f"{start}doctype"), f"{start}doctype") or "")
        named = id_of(row, f"{start}name") or id_of(row, f"{start}docname")
        if ours and named:
            found.setdefault(ours, named)
    return found


def issue(name: str, history: Sequence[Version], source: Source) -> Parts:
    """An Issue is a case: opened when it is made, resolved and reopened as its status says."""
    made, resolved = made_at(history, source), False
    if made is None:
        yield UNDATED
        return
    about = {"case_id": name, "account_id": id_of(history[-1].doc, "customer")}
    yield Draft("opened", "case.opened", made, stated(**about, agent_id=_assigned(history[0].doc)))
    for at, doc in history:
        over = text(doc.get("status"), "status") in source.mapping["resolved"]
        if over != resolved:
            stamp = doc.get("sla_resolution_date") or doc.get("resolution_date")
            time = (instant(stamp, "resolution_date", source.mapping["timezone"]) if over else None) or at
            kind = "resolved" if over else "opened"
            data = stated(**about, agent_id=_assigned(doc))
            yield Draft(f"{kind if over else 'reopened'}/{time}", f"case.{kind}", time, data)
        resolved = over


def _assigned(doc: Doc) -> str | None:
    """Return the first user that a document is assigned to: Frappe keeps them as a text of JSON."""
    try:
        several = json.loads(text(doc.get("_assign"), "_assign") or "[]")
    except ValueError:
        return None
    return next((one for one in several if isinstance(one, str) and one), None) if isinstance(several, list) else None


def payment_entry(name: str, history: Sequence[Version], source: Source) -> Parts:
    """A Payment Entry that was received pays each Sales Invoice that it names; a cancelled one pays none."""
    doc, on = history[-1].doc, dated_at(history, "posting_date", source)
    if cancelled_at(history) or text(doc.get("payment_type"), "payment_type") != "Receive":
        return
    if on is None:
        yield UNDATED
        return
    paid: dict[str, Decimal | None] = {}
    for row in items(doc, "references"):
        invoice = id_of(row, "reference_name")
        if row.get("reference_doctype") == "Sales Invoice" and invoice:
            part, before = number(row.get("allocated_amount"), "allocated_amount"), paid.get(invoice, Decimal(0))
            paid[invoice] = None if part is None or before is None else before + part
    code = doc.get("paid_from_account_currency")  # of the customer's account, in which amounts are allocated
    for invoice, amount in paid.items():
        if amount is None or not code:
            yield Waiting("amount unknown: no allocated_amount, or no paid_from_account_currency")
            continue
        yield Draft(f"received/{invoice}", "payment.received", on, {
            "payment_id": f"{name}/{invoice}", "invoice_id": invoice, "amount": money(amount, code, "allocated_amount"),
        })  # fmt: skip
