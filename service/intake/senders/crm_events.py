"""From how a CRM's record stood at each instant (`crm.View`) to the events of that record; one function per sort.

A record's statements are folded whole each time, so nothing here knows of late, repeated or partial messages. What is
not known is not guessed: an amount, a creation, a parent that no message states yet is waited for, and listed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from typing import Any

from service.domain.calendar import parse_instant
from service.intake.senders import fields as read
from service.intake.senders.contract import Draft, Source, Statement, Waiting
from service.intake.senders.crm import CREATION, KEEP, View, created, first, gives, local_day, moves, views
from service.intake.senders.crm_activities import activity, case, payment, stage
from service.intake.senders.crm_campaigns import campaign, member
from service.intake.senders.crm_touches import contact_role, touches

CREATED, UPDATED, SNAPSHOT = "created", "updated", "snapshot"
DELETED, RESTORED, GAP, MERGED, ERASED = "deleted", "restored", "gap", "merged", "erased"
UNDATED = "undated"  # a message that does not say when the record was so
_SAID = (CREATED, UPDATED, SNAPSHOT, RESTORED)
AMOUNT = "amount unknown: no message has stated it yet, or the tax in it (see `amounts_include_tax` in the mapping)"
CURRENCY = "an amount is stated without its currency: name it as `currency` in the mapping, or have it sent"
DELETION = "deleted, or merged into another record: what it gave stands until a message says more"
_NO_MONEY = (DELETION,)  # the money of what stands does not wait

Drafts = list[Draft | Waiting]
Rules = Mapping[str, Any]
Known = Mapping[str, Sequence[Statement]]


def translate(
    sort: str,
    identity: str,
    statements: Sequence[Statement],
    rules: Rules,
    known: Known | None = None,
) -> Drafts:
    """Return the events of a record, from its statements in order. What waits is told with its money, where that is known.

    `known` has the statements of the records that this one was merged into.
    """
    out = _translated(sort, identity, statements, rules, known or {})
    if not any(isinstance(one, Waiting) for one in out):
        return out
    amount = _amount(sort, statements, rules)
    return [
        one._replace(amount=amount) if isinstance(one, Waiting) and one.reason not in _NO_MONEY else one for one in out
    ]


def _amount(sort: str, statements: Sequence[Statement], rules: Rules) -> Mapping[str, str] | None:
    """Return the last amount of a record that has one."""
    seen = views(sort, [one for one in statements if one.verb in _SAID], rules)
    amounts = [view.values["amount"] for view in seen if view.values.get("amount")]
    return amounts[-1] if amounts else None


def unsaid(sort: str, statements: Sequence[Statement], rules: Rules) -> str:
    """Say why a record gives no event, and what would make it."""
    if statements[-1].verb in (DELETED, MERGED):
        return f"the {sort} is {statements[-1].verb}"
    seen = views(sort, [one for one in statements if one.verb in _SAID], rules)
    field, table = rules["fields"][sort].get("status"), rules["events"][sort]
    known = ", ".join(table) or "none is listed"
    status = seen[-1].values.get("status") if seen else None
    if not field:
        return f"it has no status that gives an event: name its field under fields.{sort}.status in the mapping"
    if status is None:
        return f"no message has stated its {field}, of which these give events: {known}; have {field} sent"
    return f"{field} is {status}; these give events: {known} (events.{sort} in the mapping)"


def _untold(sort: str, survivor: str, own: Sequence[Statement], rules: Rules, known: Known) -> list[str]:
    """Return which properties are waited for of a record that another one was merged into.

    Until it states the status and the amount where that one did, what the two stand for is not known.
    """
    told = [one for one in known.get(f"{sort}:{survivor}", ()) if one.verb in _SAID]
    if any(one.verb == SNAPSHOT for one in told):
        return []  # it was read back whole
    wanted = [field for name in ("status", "amount") if (field := rules["fields"][sort].get(name))]
    stated = {name for one in told for name in one.fields}
    mine = {name for one in own if one.verb in _SAID for name, value in one.fields.items() if value not in (None, "")}
    untold = [field for field in wanted if field in mine - stated]
    return untold or ([] if told else ["any property"])


def lookups(record: str, statements: Sequence[Statement], _: Source) -> list[str]:
    """Return the records that a record was merged into, with which it is translated. Leads are merged in the ledger."""
    sort = record.partition(":")[0]
    return sorted({f"{sort}:{one.fields['survivor']}" for one in statements if one.verb == MERGED and sort != "lead"})


def _translated(sort: str, identity: str, statements: Sequence[Statement], rules: Rules, known: Known) -> Drafts:
    verbs = [one.verb for one in statements]
    out: Drafts = [Waiting(one) for one in _gaps(statements)]
    if erased := next((one for one in statements if one.verb == ERASED), None):
        data = {"subject_id": identity, "legal_basis": "erased in the CRM"}
        out.append(Draft("erased", "subject.erased", erased.at, data))
    merged = {one.fields["survivor"]: one for one in statements if one.verb == MERGED}
    if merged and sort != "lead":
        waits = {one: fields for one in sorted(merged) if (fields := _untold(sort, one, statements, rules, known))}
        # Without any, what it gave is withdrawn: the other record stands for both now.
        return out + [
            Waiting(f"merged into {one}, of which no message has stated {' and '.join(fields)} yet: have that sent")
            for one, fields in waits.items()
        ]
    out += [
        Draft(f"merged/{survivor}", "lead.merged", one.at, {"survivor_id": survivor, "merged_id": identity})
        for survivor, one in sorted(merged.items())
    ]
    if not merged and [one for one in verbs if one in (DELETED, RESTORED)][-1:] == [DELETED]:
        if rules["on_delete"][sort] != KEEP:
            return out
        out.append(Waiting(DELETION))
    seen = views(sort, [one for one in statements if one.verb in _SAID or (one.verb == UNDATED and one.fields)], rules)
    if seen and seen[-1].values["unpriced"]:
        out.append(Waiting(CURRENCY))
    return out + (_SORTS[sort](identity, seen, rules) if seen else [])


def _gaps(statements: Sequence[Statement]) -> list[str]:
    """Say where the sender itself does not know what changed, until it states the record whole."""
    open_gaps: list[str] = []
    for one in statements:
        if one.verb == GAP:
            what = one.fields.get("change", "a gap")
            open_gaps.append(f"{what} at {one.at}: the sender did not say what changed; have the record sent again")
        elif one.verb == UNDATED:
            open_gaps.append(
                "a message does not say when its record was so: have it sent with the time of its last change"
            )
        elif one.verb in (SNAPSHOT, RESTORED):
            open_gaps = []
    return open_gaps


def _lead(identity: str, seen: Sequence[View], rules: Rules) -> Drafts:
    last, steps, out = seen[-1].values, moves("lead", seen, rules), Drafts()
    by_status = gives("lead", "lead.captured", rules)
    captured = next((view.at for view, one in steps if one == "lead.captured"), None) if by_status else created(seen)
    if captured:
        data = read.stated(
            lead_id=identity, campaign_id=last["campaign"], channel=last["channel"], source=last["source"],
            owner_id=first(seen, "owner"), account_id=last["account"], contact_id=last["contact"],
        )  # fmt: skip
        out.append(Draft("captured", "lead.captured", captured, data))
    elif not by_status:
        out.append(Waiting(CREATION))
    qualified: set[str] = set()
    for view, one in steps:
        kind, _, level = one.partition(":")
        if kind == "lead.qualified" and level not in qualified:
            qualified.add(level)
            data = read.stated(lead_id=identity, level=level or None, owner_id=view.values["owner"])
            out.append(Draft(f"qualified/{level}", kind, view.at, data))
        elif kind not in ("lead.qualified", "lead.captured"):
            out.append(Draft(f"{kind.partition('.')[2]}/{view.at}", kind, view.at, {"lead_id": identity}))
    return out + touches(identity, seen, rules)


def _deal(identity: str, seen: Sequence[View], rules: Rules) -> Drafts:
    steps, turns, last, out = moves("deal", seen, rules), _turns(seen, rules), seen[-1].values, Drafts()
    by_stage = gives("deal", "opportunity.opened", rules)
    at = next((view.at for view, one in steps if one == "opportunity.opened"), None) if by_stage else created(seen)
    base = next((view for view in seen if at and parse_instant(view.at) >= parse_instant(at)), seen[0])
    if at:
        data = read.stated(
            opportunity_id=identity, lead_ids=last["leads"], contact_ids=last["contacts"], account_id=last["account"],
            campaign_id=last["campaign"], estimated_value=base.values["amount"], stage=base.values["status"],
            probability=base.values["probability"], expected_close=base.values["close"],
            owner_id=first(seen, "owner"), name=last["name"], team=last["team"], region=last["region"],
        )  # fmt: skip
        out.append(Draft("opened", "opportunity.opened", at, data))
    elif not by_stage:
        out.append(Waiting(CREATION))
    out += _changes(identity, seen[base.number :])
    for view, turn in turns:
        data = read.stated(
            opportunity_id=identity, value=view.values["amount"] if turn == "won" else None,
            reason=view.values["reason"] if turn == "lost" else None,
        )  # fmt: skip
        out.append(Draft(f"{turn}/{view.at}", f"opportunity.{turn}", view.at, data))
    if accepted := next((view for view, one in steps if one == "quote.accepted"), None):
        data = read.stated(quote_id=identity, opportunity_id=identity, value=accepted.values["amount"])
        out.append(Draft("accepted", "quote.accepted", accepted.at, data))
    placed = [view for view, one in steps if one == "order.placed"]
    ended = [view for view, one in steps if one == "order.cancelled"]
    ended += [view for view, turn in turns if turn != "won" and view not in placed]
    links = {"opportunity_id": identity, "account_id": last["account"]}
    return out + _ordered(identity, seen, placed, sorted(ended, key=lambda view: view.number), links)


def _turns(seen: Sequence[View], rules: Rules) -> list[tuple[View, str]]:
    """Return where a deal's outcome turns: won, lost, or reopened."""
    found, before = [], "open"
    for view in seen:
        types, values = rules["events"]["deal"].get(view.values["status"], []), view.values
        if "opportunity.won" in types or (values["won"] and "opportunity.lost" not in types):
            now = "won"
        elif "opportunity.lost" in types or values["lost"] or (values["closed"] and values["won"] is False):
            now = "lost"
        else:
            now = "open"
        if now != before:
            found.append((view, "reopened" if now == "open" else now))
        before = now
    return found


def _changes(identity: str, seen: Sequence[View]) -> Drafts:
    out: Drafts = []
    for before, after in pairwise(seen):
        old, new = before.values, after.values
        if new["amount"] and any(old[one] != new[one] for one in ("amount", "probability", "close")):
            data = read.stated(
                opportunity_id=identity, estimated_value=new["amount"], probability=new["probability"],
                expected_close=new["close"],
            )  # fmt: skip
            out.append(Draft(f"value/{after.at}", "opportunity.value_changed", after.at, data))
        if new["status"] and new["status"] != old["status"]:
            data = {"opportunity_id": identity, "stage": new["status"]}
            out.append(Draft(f"stage/{after.at}", "opportunity.stage_changed", after.at, data))
    return out


def _quote(identity: str, seen: Sequence[View], rules: Rules) -> Drafts:
    steps = {kind: view for view, kind in reversed(moves("quote", seen, rules))}
    opportunity = seen[-1].values["opportunity"]
    if steps and opportunity is None:
        return [Waiting("no message has stated which opportunity the quote belongs to")]
    return [
        Draft(
            kind.partition(".")[2], kind, view.at,
            read.stated(quote_id=identity, opportunity_id=opportunity, value=view.values["amount"]),
        )
        for kind, view in sorted(steps.items())
    ]  # fmt: skip


def _order(identity: str, seen: Sequence[View], rules: Rules) -> Drafts:
    if seen[-1].values["reduces"]:
        return [Waiting("it reduces another order, which is not guessed: state the new total of that order instead")]
    placed, ended, problem = _life("order", seen, rules, "order.placed", "order.cancelled")
    last = seen[-1].values
    links = {
        "opportunity_id": last["opportunity"], "quote_id": last["quote"], "account_id": last["account"],
        "campaign_id": last["campaign"],
    }  # fmt: skip
    return problem + _ordered(identity, seen, placed, ended, links)


def _ordered(
    identity: str, seen: Sequence[View], placed: Sequence[View], ended: Sequence[View], links: Mapping[str, Any]
) -> Drafts:
    """Return an order's placing, amendments and cancellation. It is cancelled if it has ended since it was last placed."""
    if not placed:
        return []
    over = next((view for view in ended if view.number > placed[-1].number), None)
    span = seen[max(placed[0].number, 0) : over.number + 1 if over else None]
    live = [view for view in span if view.values["amount"] is not None]
    if not live:
        return [Waiting(AMOUNT)]
    at = placed[0].values.get("placed_at") or placed[0].at
    data = read.stated(order_id=identity, net_value=live[0].values["amount"], **links)
    out: Drafts = [Draft("placed", "order.placed", at, data)]
    for before, after in pairwise(live):
        if before.values["amount"] != after.values["amount"]:
            data = {"order_id": identity, "net_value": after.values["amount"]}
            out.append(Draft(f"amended/{after.at}", "order.amended", after.at, data))
    if over:
        out.append(Draft("cancelled", "order.cancelled", over.at, {"order_id": identity}))
    return out


def _invoice(identity: str, seen: Sequence[View], rules: Rules) -> Drafts:
    posted, ended, problem = _life("invoice", seen, rules, "invoice.posted", "invoice.cancelled")
    if not posted:
        return problem
    last, at = seen[-1].values, posted[0].at
    if last["amount"] is None:
        return [*problem, Waiting(AMOUNT)]
    data = read.stated(
        invoice_id=identity, net_amount=last["amount"], posting_date=last["posting"] or local_day(at, rules),
        order_id=last["order"], account_id=last["account"], tax=last["tax"], due_date=last["due"],
    )  # fmt: skip
    out = [*problem, Draft("posted", "invoice.posted", at, data)]
    if over := next((view for view in ended if view.number > posted[-1].number), None):
        out.append(Draft("cancelled", "invoice.cancelled", over.at, {"invoice_id": identity}))
    return out


def _credit_note(identity: str, seen: Sequence[View], rules: Rules) -> Drafts:
    posted, ended, problem = _life("credit_note", seen, rules, "invoice.credited", "invoice.cancelled")
    if not posted or any(view.number > posted[-1].number for view in ended):
        return problem
    last, at = seen[-1].values, posted[0].at
    if last["amount"] is None or last["invoice"] is None:
        which = AMOUNT if last["amount"] is None else "no message has stated which invoice it credits"
        return [*problem, Waiting(which)]
    amount = {**last["amount"], "amount": last["amount"]["amount"].removeprefix("-")}  # some write credits below zero
    data = read.stated(
        credit_note_id=identity, invoice_id=last["invoice"], net_amount=amount, reason=last["reason"],
        posting_date=last["posting"] or local_day(at, rules),
    )  # fmt: skip
    return [*problem, Draft("credited", "invoice.credited", at, data)]


def _life(
    sort: str, seen: Sequence[View], rules: Rules, begins: str, ends: str
) -> tuple[list[View], list[View], Drafts]:
    """Return where a document begins to count and where it ends; by its creation, if no status begins it."""
    steps = moves(sort, seen, rules)
    begun, ended = ([view for view, one in steps if one == kind] for kind in (begins, ends))
    if gives(sort, begins, rules):
        return begun, ended, []
    begin = created(seen)
    if begin is None:
        return [], [], [Waiting(CREATION)]
    return [seen[0]._replace(number=-1, at=begin)], ended, []


_SORTS: dict[str, Callable[[str, Sequence[View], Rules], Drafts]] = {
    "lead": _lead, "deal": _deal, "quote": _quote, "order": _order, "invoice": _invoice, "credit_note": _credit_note,
    "campaign": campaign, "member": member, "contact_role": contact_role, "payment": payment, "case": case, "stage": stage,
    "call": activity("call"), "email": activity("email"), "meeting": activity("meeting"), "task": activity(None),
}  # fmt: skip
