"""What people at a CRM do beside deals: calls, mails, meetings, cases; and payments and stages, as its records tell them.

A record's kind of activity is that of its sort, or what `activities` of the mapping makes of its field `kind`: call, email,
meeting, demo, visit or other. Of a call `outcomes` says what came of it: answered, missed or voicemail, by its outcome or else
its status; "" is where it has neither. What neither table lists is waited for, and never guessed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from typing import Any

from service.domain.catalogue import shown
from service.intake.senders import fields as read
from service.intake.senders.contract import Draft, Waiting
from service.intake.senders.crm import CREATION, View, created, first, gives, moves

Drafts = list[Draft | Waiting]
Rules = Mapping[str, Any]
_SCALED = (("seconds", 1), ("minutes", 60), ("milliseconds", Decimal("0.001")))


def activity(kind: str | None) -> Callable[[str, Sequence[View], Rules], Drafts]:
    """Return what makes of records of a sort a call or another activity; without a `kind` the record names it."""

    def made(identity: str, seen: Sequence[View], rules: Rules) -> Drafts:
        last, sort = seen[-1].values, kind or "task"
        named = last.get("kind")
        what = rules["activities"].get(named or "") if kind is None or named in rules["activities"] else kind
        done = _done(sort, seen, rules)
        if done is None:
            return [] if gives(sort, "activity.completed", rules) else [Waiting(CREATION)]
        if what is None:
            return [Waiting(f"its kind {shown(named)} is not listed: add it to `activities` in the mapping")]
        if last["owner"] is None:
            return [Waiting("no message has stated whose it is")]
        who = {
            "rep_id": last["owner"], "opportunity_id": last["opportunity"], "duration_s": _seconds(last),
            "lead_id": last["lead"] or next(iter(last["leads"]), None),
            "contact_id": last["contact"] or next(iter(last["contacts"]), None),
        }  # fmt: skip
        at = last.get("at") or done
        if what == "call":
            return _call(identity, at, last, who, rules)
        return [Draft("done", "activity.completed", at, read.stated(activity_id=identity, activity=what, **who))]

    return made


def _done(sort: str, seen: Sequence[View], rules: Rules) -> str | None:
    """Return when an activity was completed: by its status, or by its creation where no status says so."""
    if gives(sort, "activity.completed", rules):
        steps = moves(sort, seen, rules)
        return next((view.at for view, one in steps if one == "activity.completed"), None)
    return created(seen)


def _seconds(values: Mapping[str, Any]) -> int | None:
    lengths = [round(values[name] * unit) for name, unit in _SCALED if values.get(name) is not None]
    return next((one for one in lengths if one >= 0), None)


def _call(identity: str, at: str, last: Mapping[str, Any], who: Mapping[str, Any], rules: Rules) -> Drafts:
    named, status = last["outcome"], last["status"]
    outcome = rules["outcomes"].get(named or status or "", None if named else rules["outcomes"].get(""))
    if outcome is None:
        told = f"its outcome {shown(named)} is not listed" if named else "no message has stated what came of the call"
        return [Waiting(f"{told}: add it to `outcomes` in the mapping")]
    length = who["duration_s"] if outcome == "answered" or who["duration_s"] is not None else 0
    if length is None:
        return [Waiting("no message has stated how long the call was")]
    data = read.stated(call_id=identity, outcome=outcome, **{**who, "duration_s": length})
    return [Draft("done", "call.completed", at, data)]


def case(identity: str, seen: Sequence[View], rules: Rules) -> Drafts:
    """Return a case's opening, each resolution and reopening, and how content the customer was."""
    at, out, resolved = created(seen), Drafts(), False
    about = {"case_id": identity, "account_id": seen[-1].values["account"]}
    if at:
        data = read.stated(**about, agent_id=first(seen, "owner"))
        out.append(Draft("opened", "case.opened", at, data))
    else:
        out.append(Waiting(CREATION))
    for view in seen:
        values = view.values
        types = rules["events"]["case"].get(values["status"], [])
        over = "case.resolved" in types or bool(values["closed"]) or values["closed_at"] is not None
        if over != resolved:
            moment = values["closed_at"] if over and values["closed_at"] else view.at
            kind = "case.resolved" if over else "case.opened"
            data = read.stated(**about, agent_id=values["owner"])
            out.append(Draft(f"{'resolved' if over else 'reopened'}/{moment}", kind, moment, data))
        resolved = over
    rated = next((view for view in reversed(seen) if view.values["score"] is not None), None)
    if rated:
        data = {"case_id": identity, "score": rated.values["score"]}
        out.append(Draft("rated", "csat.recorded", rated.at, data))
    return out


def payment(identity: str, seen: Sequence[View], rules: Rules) -> Drafts:
    """Return a payment of an invoice, or what takes one back: below 0."""
    steps, last = moves("payment", seen, rules), seen[-1].values
    by_status = any(rules["events"]["payment"].values())
    found = steps[-1] if steps else None
    at = last["at"] or (found[0].at if found else created(seen))
    if by_status and found is None:
        return []
    if at is None or last["amount"] is None or last["invoice"] is None:
        missing = "when it was made" if at is None else "its amount" if last["amount"] is None else "its invoice"
        return [Waiting(f"no message has stated {missing}")]
    amount = read.difference(last["amount"], last["refunded"])
    if found and found[1].endswith(":back"):
        amount["amount"] = "-" + amount["amount"].removeprefix("-")
    data = {"payment_id": identity, "invoice_id": last["invoice"], "amount": amount}
    return [Draft("received", "payment.received", at, data)]


def stage(_: str, seen: Sequence[View], __: Rules) -> Drafts:
    """Return a stage's definition, as often as it was another."""
    out: Drafts = []
    before = None
    for view in seen:
        values = view.values
        rank = None if values["rank"] is None else int(values["rank"])
        data = read.stated(stage=values["name"], probability=values["probability"], order=rank)
        if values["name"] and data != before:
            out.append(Draft(f"defined/{view.at}", "stage.defined", view.at, data))
            before = data
    return out or [Waiting("no message has stated the stage's name")]
