"""What deals, leads and organizations of Pipedrive become. Deals are folded as those of any CRM (`crm_events`)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from service.domain.calendar import parse_instant
from service.intake.senders import crm, crm_events
from service.intake.senders.contract import Draft, Statement, Waiting
from service.intake.senders.fields import identifier, instant, stated

HAS = "has"  # of a person: that there is a lead or a deal of theirs
PHASE = "phase"  # of a deal: won, lost, or its stage while it is open
PERSON = "→person"
Rules = Mapping[str, Any]
Drafts = list[Draft | Waiting]
_TIMES = {"opportunity.won": "won_time", "order.placed": "won_time", "opportunity.lost": "lost_time"}


def person_of(data: Mapping[str, Any]) -> str | None:
    """Return the person of a lead or deal."""
    value = data.get("person_id")
    return None if value is None or value == "" else identifier(value, "person_id")


def deal(identity: str, statements: Sequence[Statement], mapping: Rules, known: crm_events.Known) -> Drafts:
    """Give the events of a deal; it is won, lost and ordered when it says so itself, which may be before it was told.

    `known` has what was stated of the deals that it was merged into.
    """
    people = {person for one in statements if (person := one.fields.get(PERSON))}
    told = [_linked(one, people) for one in statements]
    times = {one.at: one.fields for one in told}
    drafts = crm_events.translate("deal", identity, told, mapping, known)
    return [_dated(one, times) if isinstance(one, Draft) else one for one in drafts]


def _linked(one: Statement, people: set[str]) -> Statement:
    """Say with each state of a deal whose it is, and whose it is not."""
    if PERSON not in one.fields:
        return one
    links = {crm.link(sort, person): person == one.fields[PERSON] for person in people for sort in ("lead", "contact")}
    return one._replace(fields={**one.fields, **links})


def _dated(draft: Draft, times: Mapping[str, Mapping[str, Any]]) -> Draft:
    field = _TIMES.get(draft.type)
    fields = times.get(draft.time, {})
    said = instant(fields.get(field), field) if field else None
    return draft._replace(time=said) if said else draft


def lead(identity: str, statements: Sequence[Statement], mapping: Rules) -> Iterator[Draft | Waiting]:
    """Give the events of a person with leads and deals: captured with the first of them, in the first campaign named."""
    for one in statements:
        if one.verb == crm_events.MERGED:
            data = {"survivor_id": one.fields["survivor"], "merged_id": identity}
            yield Draft(f"merged/{one.fields['survivor']}", "lead.merged", one.at, data)
    last = {(one.fields["entity"], one.fields["id"]): one for one in statements if one.verb == HAS}
    known = [(at, one) for one in last.values() if (at := _created(one, mapping))]
    if not known:
        if last:
            yield Waiting(crm.CREATION)
        return
    known.sort(key=lambda pair: (parse_instant(pair[0]), pair[1].key))
    views = [crm.views("lead", [one._replace(fields=one.fields["fields"])], mapping)[0].values for _, one in known]

    def first(name: str) -> Any:
        return next((view[name] for view in views if view[name] is not None), None)

    yield Draft("captured", "lead.captured", known[0][0], stated(
        lead_id=identity, contact_id=known[0][1].fields["contact"], campaign_id=first("campaign"), source=first("source"),
        channel=first("channel"), owner_id=first("owner"), account_id=first("account"),
    ))  # fmt: skip
    deals = [at for at, one in known if one.fields["entity"] == "deal"]
    if deals and mapping["deals_qualify"]:
        yield Draft("qualified", "lead.qualified", deals[0], {"lead_id": identity, "level": "sql"})
    if not deals and mapping["archived_disqualifies"]:
        yield from _archived(identity, statements)


def _created(one: Statement, mapping: Rules) -> str | None:
    field = mapping["fields"]["lead"]["created"]
    return instant(one.fields["fields"].get(field), field)


def _archived(identity: str, statements: Sequence[Statement]) -> Iterator[Draft]:
    """A person is out while all their leads are archived, and back when one is not."""
    archived: dict[str, bool] = {}
    before = False
    turns: dict[str, bool] = {}
    for one in statements:
        if one.verb == HAS:
            archived[one.fields["id"]] = one.fields["archived"]
            turns[one.at] = all(archived.values())
    for at, now in turns.items():
        if now != before:
            kind = "disqualified" if now else "reopened"
            yield Draft(f"{kind}/{at}", f"lead.{kind}", at, {"lead_id": identity})
        before = now


def account(identity: str, statements: Sequence[Statement], _: Rules) -> Drafts:
    """An organization that was merged into another is the same account."""
    return [
        Draft(f"merged/{one.fields['survivor']}", "account.merged", one.at,
              {"survivor_id": one.fields["survivor"], "merged_id": identity})
        for one in statements if one.verb == crm_events.MERGED
    ]  # fmt: skip
