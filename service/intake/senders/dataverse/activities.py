"""What activities and cases give: calls, mails, appointments and tasks once they are completed, cases as they open and close."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from service.intake.senders.contract import Draft, Waiting
from service.intake.senders.dataverse.record import Record, State, uncreated
from service.intake.senders.fields import instant, number, stated

KINDS = {"phonecall": "call", "email": "email", "appointment": "meeting", "task": "other"}


def done(it: Record) -> Iterator[Draft | Waiting]:
    """Give a completed activity; one that was deleted, or is open again, gives nothing."""
    if it.last.get("@deleted") is not None or it.meaning(it.last) not in ("completed", "voicemail", "missed"):
        return
    *_, (at, meaning, spell) = it.spells()
    state, owner = spell[-1][1], it.reference(it.last, "owner")
    if owner is None:
        yield Waiting("the activity's owner is not stated yet")
        return
    minutes = number(it.get(state, "minutes"), "minutes")
    about = {
        "rep_id": owner, "duration_s": None if minutes is None else round(minutes * 60),
        "lead_id": it.reference(state, "regarding", "lead"), "contact_id": it.reference(state, "regarding", "contact"),
        "opportunity_id": it.reference(state, "regarding", "opportunity"),
    }  # fmt: skip
    time = instant(it.get(state, "end"), "end") or at
    if KINDS[it.table] != "call":
        data = stated(activity_id=it.id, activity=KINDS[it.table], **about)
        yield Draft("done", "activity.completed", time, data)
        return
    outcome = "voicemail" if it.get(state, "voicemail") is True else "answered" if meaning == "completed" else meaning
    if minutes is None and outcome == "answered":
        yield Waiting(f"how long the call was is not stated yet: {it.mapping['columns'][it.table]['minutes']}")
        return
    data = stated(call_id=it.id, outcome=outcome, **{**about, "duration_s": about["duration_s"] or 0})
    yield Draft("done", "call.completed", time, data)


def case(it: Record) -> Iterator[Draft | Waiting]:
    """Give a case's opening, each resolution and reopening, and the score; one that was cancelled or deleted was none."""
    if it.last.get("@deleted") is not None or it.meaning(it.last) == "cancelled":
        return
    if it.since is None:
        yield from uncreated(it)
        return
    spells = [one for one in it.spells() if one[1] != "cancelled"]
    yield Draft("opened", "case.opened", it.since, _case(it, spells[0][2][0][1]))
    before = "open"
    for at, meaning, spell in spells:
        if meaning != before:
            kind = "case.resolved" if meaning == "resolved" else "case.opened"
            yield Draft(f"{meaning}/{at}", kind, at, _case(it, spell[0][1]))
        before = meaning
    rated = [(at, score) for at, state in it.history if (score := number(it.get(state, "score"), "score")) is not None]
    if rated:
        yield Draft("rated", "csat.recorded", rated[-1][0], {"case_id": it.id, "score": rated[-1][1]})


def _case(it: Record, state: State) -> dict[str, Any]:
    account = it.reference(state, "account", "account")
    return stated(case_id=it.id, agent_id=it.reference(state, "owner", "systemuser"), account_id=account)


RULES: dict[str, Callable[[Record], Iterator[Draft | Waiting]]] = {**dict.fromkeys(KINDS, done), "incident": case}
