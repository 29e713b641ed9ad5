"""What the records of Dynamics 365 Sales give: the translation of `dataverse`, table by table, and its mapping.

Each table's rule folds what was stated about one record into its events. It looks at the record's history: how the record
stood after each of its changes. All times are those of the sender.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from decimal import Decimal
from itertools import takewhile
from typing import Any

from service.intake.senders.contract import Draft, Source, Statement, Waiting, states
from service.intake.senders.dataverse import activities, touches
from service.intake.senders.dataverse.campaigns import activity, campaign
from service.intake.senders.dataverse.mapping import MERGING, MONEY
from service.intake.senders.dataverse.record import Record, State, changes, restated, uncreated
from service.intake.senders.fields import day, number, stated, text
from service.intake.senders.ordering import by_previous


def translate(record: str, statements: Sequence[Statement], source: Source) -> list[Draft | Waiting]:
    """Return the events of a record, and what it waits for."""
    table, _, identity = record.partition(":")
    # What was stated about one instant counts together.
    history = list({one.at: state for one, state in states(by_previous(statements))}.items())
    known = {**source.known, record: statements} if table == "campaign" else source.known
    it = Record(identity, table, history, source.mapping, _codes(known, source))
    given = [*(_RULES[table](it) if table in _RULES else ()), *_merges(it), *_unknown(it, statements)]
    # What was deleted will not be completed any more.
    return [one for one in given if isinstance(one, Draft) or it.last.get("@deleted") is None]


def unsaid(record: str, statements: Sequence[Statement], source: Source) -> str:
    """Say why a record gives no event: it is in a state that means nothing here."""
    table, _, identity = record.partition(":")
    history = [(one.at, state) for one, state in states(by_previous(statements))]
    if table not in source.mapping["states"]:
        return f"what it states of this {table} gives no event"
    meaning = Record(identity, table, history, source.mapping).meaning(history[-1][1])
    return f"this {table} is {meaning}, which gives no event: `states` in the mapping says what its states mean"


def lookups(record: str, statements: Sequence[Statement], source: Source) -> list[str]:
    """What refers to a campaign is translated with it, where campaigns go by their codes."""
    columns = source.mapping["columns"]
    column = columns.get(record.partition(":")[0], {}).get("campaign")
    if column is None or not columns["campaign"]["code"]:
        return []
    named = [one.fields.get(column) for one in statements]
    return sorted({f"campaign:{one['id']}" for one in named if isinstance(one, dict) and one.get("id")})


def _codes(known: Mapping[str, Sequence[Statement]], source: Source) -> dict[str, str]:
    """Return the code of each campaign that has stated one, by its GUID."""
    column, codes = source.mapping["columns"]["campaign"]["code"], dict[str, str]()
    for record, several in known.items():
        for _, state in states(several) if column else ():
            if code := text(state.get(column), column):
                codes[record.removeprefix("campaign:").lower()] = code
    return codes


def _unknown(it: Record, statements: Sequence[Statement]) -> Iterator[Waiting]:
    if it.currency(it.last) is None and any(it.get(it.last, name) is not None for name in MONEY.get(it.table, ())):
        named = it.last.get("transactioncurrencyid")
        which = (named.get("name") or named.get("id")) if isinstance(named, dict) else "of the organisation"
        yield Waiting(f"the ISO code of the currency {which} is unknown: set currency, or currencies, in the mapping")
    named = it.get(it.last, "campaign")
    if (
        isinstance(named, dict)
        and named.get("type") in (None, "campaign")
        and it.campaign(str(named.get("id"))) is None
    ):
        column = it.mapping["columns"]["campaign"]["code"]
        yield Waiting(f"the code ({column}) of the campaign {named['id']} is not stated yet: have that campaign sent")
    cut = [n for n, one in enumerate(statements) if one.verb == "truncated"]
    if cut and not any(one.fields.get("@whole") for one in statements[cut[-1] + 1 :]):
        yield Waiting(
            f"the message of {statements[cut[-1]].at} was larger than 256 kB and came without values: save the record again"
        )


def _nth(key: str, seen: Counter[str]) -> str:
    seen[key] += 1
    return key if seen[key] == 1 else f"{key}/{seen[key]}"


def _lead(it: Record) -> Iterator[Draft | Waiting]:
    if it.since is None:
        yield from uncreated(it)
        return

    def captured(state: State) -> dict[str, Any]:
        return stated(
            lead_id=it.id, owner_id=it.reference(state, "owner"), contact_id=it.reference(state, "contact"),
            account_id=it.reference(state, "account"),
            **{name: it.text(state, name) for name in ("channel", "source", "medium", "lead_magnet")},
        )  # fmt: skip

    def origin(state: State) -> str | None:
        return it.reference(state, "campaign", "campaign")

    now = origin(it.history[0][1])
    for draft in restated("captured", ("lead.captured", "lead.captured"), it.since, changes(it.history, captured)):
        yield draft._replace(data=draft.data | stated(campaign_id=now)) if draft.key == "captured" else draft
    for at, state in it.history[1:]:
        if origin(state) != now:
            now = origin(state)
            yield Draft(f"campaign/{at}", "lead.campaign_reassigned", at, {"lead_id": it.id, "campaign_id": now})
    yield from _lead_states(it)


def _lead_states(it: Record) -> Iterator[Draft]:
    seen: Counter[str] = Counter()
    for n, (at, meaning, spell) in enumerate(it.spells()):
        if meaning == "qualified":
            data = {"lead_id": it.id, "level": it.mapping["qualified_level"]}
            yield Draft(_nth("qualified", seen), "lead.qualified", at, data)
        elif meaning == "disqualified":
            if spell[-1][1].get("merged") is True:  # it lives on in the lead that it was merged into
                continue
            data = stated(lead_id=it.id, reason=it.reason(spell[-1][1]))
            yield Draft(_nth("disqualified", seen), "lead.disqualified", at, data)
        elif n:
            yield Draft(_nth("reopened", seen), "lead.reopened", at, {"lead_id": it.id})


def _opportunity(it: Record) -> Iterator[Draft | Waiting]:
    if it.since is None:
        yield from uncreated(it)
        return

    def references(state: State) -> dict[str, Any]:
        lead, contact = it.reference(state, "lead", "lead"), it.reference(state, "contact", "contact")
        return stated(
            opportunity_id=it.id, lead_ids=[lead] if lead else [], contact_ids=[contact] if contact else [],
            account_id=it.reference(state, "account", "account"), campaign_id=it.reference(state, "campaign", "campaign"),
            owner_id=it.reference(state, "owner"), name=it.text(state, "name"), team=it.text(state, "team"),
            region=it.text(state, "region"),
        )  # fmt: skip

    def prospects(state: State) -> dict[str, Any]:
        return stated(
            estimated_value=it.money(state, "value"), probability=_share(it.get(state, "probability")),
            expected_close=it.day(state, "close"),
        )  # fmt: skip

    def value(state: State) -> dict[str, Any] | None:
        known = prospects(state)
        return known if "estimated_value" in known else None

    def stage(state: State) -> dict[str, Any] | None:
        return stated(stage=it.text(state, "stage")) or None

    began, first = it.history[0]
    begun = prospects(first) | (stage(first) or {})
    kinds = ("opportunity.opened", "opportunity.opened")
    for draft in restated("opened", kinds, it.since, changes(it.history, references)):
        yield draft._replace(data=draft.data | begun) if draft.key == "opened" else draft
    for key, of in (("value", value), ("stage", stage)):
        for at, data in changes(it.history, of):
            if at != began:
                yield Draft(f"{key}/{at}", f"opportunity.{key}_changed", at, {"opportunity_id": it.id, **data})
    yield from _outcomes(it)


def _share(percent: Any) -> Decimal | None:
    exact = number(percent, "probability")
    return None if exact is None or not 0 <= exact <= 100 else exact / 100  # noqa: PLR2004  per cent


def _outcomes(it: Record) -> Iterator[Draft]:
    seen: Counter[str] = Counter()
    for n, (at, meaning, spell) in enumerate(it.spells()):
        last = spell[-1][1]
        if meaning == "won":
            data = stated(opportunity_id=it.id, value=it.money(last, "actual_value"))
        elif meaning == "lost":
            data = stated(opportunity_id=it.id, reason=it.reason(last))
        elif n:
            data = {"opportunity_id": it.id}
        else:
            continue
        name = meaning if meaning in ("won", "lost") else "reopened"
        yield Draft(_nth(name, seen), f"opportunity.{name}", at, data)


def _quote(it: Record) -> Iterator[Draft | Waiting]:
    seen: Counter[str] = Counter()
    for at, meaning, spell in it.spells():
        if meaning == "draft":
            continue
        opportunity = it.reference(it.last, "opportunity", "opportunity")
        if opportunity is None:
            yield Waiting("the quote's opportunity is not stated yet")
            return
        state = spell[-1][1]
        data = stated(quote_id=it.id, opportunity_id=opportunity, value=it.money(state, "value"))
        if meaning == "accepted":
            data |= stated(revision=number(it.get(state, "revision"), "revision"))
        yield Draft(_nth(meaning, seen), f"quote.{meaning}", at, data)


def _order(it: Record) -> Iterator[Draft | Waiting]:
    live = [one for one in it.history if it.meaning(one[1]) == "placed"]
    values = changes(live, lambda state: it.money(state, "net"))
    if not values:
        yield from _unpriced(it, live, "net")
        return
    if it.since is None:
        yield from uncreated(it)
        return

    def placed(state: State) -> dict[str, Any]:
        return stated(
            order_id=it.id, net_value=values[0][1], cogs=it.money(state, "cogs"),
            opportunity_id=it.reference(state, "opportunity", "opportunity"),
            quote_id=it.reference(state, "quote", "quote"), account_id=it.reference(state, "account", "account"),
            campaign_id=it.reference(state, "campaign", "campaign"),
        )  # fmt: skip

    yield from restated("placed", ("order.placed", "order.placed"), it.start(live[0][0]), changes(live, placed))
    for at, net in values[1:]:
        yield Draft(f"amended/{at}", "order.amended", at, {"order_id": it.id, "net_value": net})
    yield from _cancelled(it, "order")


def _invoice(it: Record) -> Iterator[Draft | Waiting]:
    live = [one for one in it.history if it.meaning(one[1]) == "posted"]
    if not any(it.money(state, "net") for _, state in live):
        yield from _unpriced(it, live, "net")
        return
    if it.since is None:
        yield from uncreated(it)
        return
    start = it.start(live[0][0])

    def posted(state: State) -> dict[str, Any] | None:
        net = it.money(state, "net")
        return net and stated(
            invoice_id=it.id, net_amount=net, tax=it.money(state, "tax"), cogs=it.money(state, "cogs"),
            posting_date=it.day(state, "posting_date") or day(start, "time", it.mapping["timezone"]),
            order_id=it.reference(state, "order", "salesorder"), account_id=it.reference(state, "account", "account"),
            due_date=it.day(state, "due"),
        )  # fmt: skip

    yield from restated("posted", ("invoice.posted", "invoice.posted"), start, changes(live, posted))
    yield from _cancelled(it, "invoice")


def _unpriced(it: Record, live: Sequence[object], name: str) -> Iterator[Waiting]:
    if live and it.get(it.last, name) is None:
        yield Waiting(f"amount unknown: {it.mapping['columns'][it.table][name]} is not stated yet")


def _cancelled(it: Record, kind: str) -> Iterator[Draft]:
    """Give the cancellation, if the record ends as cancelled or deleted, at the time from which on it is."""
    over = [at for at, _ in takewhile(lambda one: it.is_over(one[1]), reversed(it.history))]
    if over:
        reason = "deleted" if it.last.get("@deleted") is not None else None
        yield Draft("cancelled", f"{kind}.cancelled", over[-1], stated(**{f"{kind}_id": it.id}, reason=reason))


def _merges(it: Record) -> Iterator[Draft]:
    for name, at in it.last.items():
        if name.startswith("@merged/") and it.table in MERGING:
            merged = name.removeprefix("@merged/")
            yield Draft(f"merged/{merged}", f"{it.table}.merged", at, {"survivor_id": it.id, "merged_id": merged})


_RULES: dict[str, Callable[[Record], Iterator[Draft | Waiting]]] = {
    "campaign": campaign,
    "campaignactivity": activity,
    "lead": _lead,
    "opportunity": _opportunity,
    "quote": _quote,
    "salesorder": _order,
    "invoice": _invoice,
    **activities.RULES,
    **touches.RULES,
}
