"""What leads, deals and orders of ERPNext become: one function per doctype, from the versions of a record to events.

A version is the document as it stood after a save. Whatever is missed is made good by the next version, which is whole;
only the moment of what lay between is then that of the version that shows it.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from service.domain.calendar import parse_instant
from service.intake.senders.contract import Draft, Source, Statement, Waiting
from service.intake.senders.erpnext.fields import (
    UNDATED,
    Doc,
    Money,
    Parts,
    Version,
    campaign_of,
    cancelled_at,
    cogs_of,
    dated_at,
    distinct,
    id_of,
    items,
    made_at,
    money_of,
    on_day,
    versions,
    word_of,
)
from service.intake.senders.fields import day, identifier, minor, number, stated, text


def campaign(name: str, history: Sequence[Version], source: Source) -> Parts:
    """A Campaign (UTM Campaign in newer versions) is registered when it is made."""
    doc, made = history[-1].doc, made_at(history, source)
    if made is None:
        yield UNDATED
        return
    yield Draft("registered", "campaign.registered", made, {
        "campaign_id": identifier(name, "name"), "name": text(doc.get("campaign_name"), "campaign_name") or name,
    })  # fmt: skip


def lead(name: str, history: Sequence[Version], source: Source) -> Parts:
    """A Lead is captured when it is made, and qualified when the mapped field says so for the first time."""
    doc, made, before = history[-1].doc, made_at(history, source), campaign_of(history[0].doc, source)
    if made is None:
        yield UNDATED
        return
    medium, origin = word_of(doc, source, "utm_medium"), word_of(doc, source, "utm_source", "source")
    content = word_of(doc, source, "utm_content")
    owner = id_of(doc, "lead_owner")
    yield Draft("captured", "lead.captured", made, stated(
        lead_id=name, campaign_id=before, source=origin, medium=medium, owner_id=owner, account_id=id_of(doc, "customer"),
        utm=stated(source=word_of(doc, source, "utm_source"), medium=medium, content=content) or None,
    ))  # fmt: skip
    for at, one in history[1:]:
        if (now := campaign_of(one, source)) != before:
            yield Draft(f"campaign/{at}", "lead.campaign_reassigned", at, {"lead_id": name, "campaign_id": now})
            before = now
    rule = source.mapping["qualified"]
    for at, one in history:
        if text(one.get(rule["field"]), rule["field"]) in rule["values"]:
            time = on_day(one.get("qualified_on"), at, "qualified_on", source) or at
            yield Draft("qualified", "lead.qualified", time, stated(lead_id=name, owner_id=owner))
            return


def opportunity(name: str, history: Sequence[Version], source: Source) -> Parts:
    """An Opportunity is opened on its date; stage, value and outcome follow its versions."""
    (_, first), doc, opened = history[0], history[-1].doc, dated_at(history, "transaction_date", source)
    if opened is None:
        yield UNDATED
        return
    party = text(doc.get("opportunity_from"), "opportunity_from")
    value, stage = _prospects(first, source), text(first.get("sales_stage"), "sales_stage")
    contact = id_of(doc, "contact_person")
    yield Draft("opened", "opportunity.opened", opened, stated(
        opportunity_id=name, campaign_id=campaign_of(doc, source), stage=stage, **value,
        lead_ids=[id_of(doc, "party_name")] if party == "Lead" and id_of(doc, "party_name") else None,
        account_id=id_of(doc, "party_name") if party == "Customer" else None, contact_ids=[contact] if contact else None,
        owner_id=id_of(doc, "opportunity_owner"), region=text(doc.get("territory"), "territory"),
        name=text(doc.get(source.mapping["name_field"]), "name_field"),
    ))  # fmt: skip
    ended = None
    for at, one in history:
        if (now := text(one.get("sales_stage"), "sales_stage")) and now != stage:
            yield Draft(f"stage/{at}", "opportunity.stage_changed", at, {"opportunity_id": name, "stage": now})
            stage = now
        worth = _prospects(one, source)
        if "estimated_value" in worth and worth != value:
            yield Draft(f"value/{at}", "opportunity.value_changed", at, {"opportunity_id": name, **worth})
            value = worth
        outcome = source.mapping["outcomes"].get(text(one.get("status"), "status"))
        if outcome != ended:
            data = stated(opportunity_id=name, reason=_lost_reason(one) if outcome == "lost" else None)
            yield Draft(f"{outcome or 'reopened'}/{at}", f"opportunity.{outcome or 'reopened'}", at, data)
        ended = outcome


def quotation(name: str, statements: Sequence[Statement], source: Source) -> Parts:
    """A Quotation is sent on its date, and accepted by the first order that names it, or as its status says."""
    history = versions(one for one in statements if one.verb != "ordered")
    orders = sorted((str(time) for one in statements if (time := one.fields.get("time"))), key=parse_instant)
    if not history:
        yield Waiting("an order names this quotation, which itself has not come yet: its opportunity is unknown")
        return
    doc = history[-1].doc
    deal, direct = deal_of(name, doc, source)
    if deal is None:
        return
    value, sent = money_of(doc, "net_total", source), dated_at(history, "transaction_date", source)
    if sent is None:
        yield UNDATED
        return
    if direct:
        yield Draft("opened", "opportunity.opened", sent, stated(
            opportunity_id=deal, lead_ids=[id_of(doc, "party_name")], estimated_value=value,
            campaign_id=campaign_of(doc, source),
        ))  # fmt: skip
    data = stated(quote_id=name, opportunity_id=deal, value=value)
    yield Draft("sent", "quote.sent", sent, data)
    said: dict[str, str] = {"accepted": orders[0]} if orders else {}
    for at, one in history:
        if step := source.mapping["quote_outcomes"].get(text(one.get("status"), "status")):
            said.setdefault(str(step), at)
    for step, at in said.items():
        yield Draft(step, f"quote.{step}", at, data)


def deal_of(name: str, doc: Doc, source: Source) -> tuple[str | None, bool]:
    """Return the opportunity of a quotation, and whether it is the quotation itself, which goes straight to a lead."""
    if deal := id_of(doc, "opportunity"):
        return deal, False
    to_lead = text(doc.get("quotation_to"), "quotation_to") == "Lead" and id_of(doc, "party_name") is not None
    direct = to_lead and source.mapping["direct_quotations"]
    return (name, True) if direct else (None, False)


def sales_order(name: str, history: Sequence[Version], source: Source) -> Parts:
    """A Sales Order is placed on its date; another net total amends it, docstatus 2 cancels it."""
    doc, value, placed = history[-1].doc, None, dated_at(history, "transaction_date", source)
    if placed is None:
        yield UNDATED
        return
    for at, one in history:
        now = money_of(one, "net_total", source)
        if now is None or now == value:
            continue
        if value is None:
            quotes = distinct(one, "prevdoc_docname")
            yield Draft("placed", "order.placed", placed, stated(
                order_id=name, net_value=now, quote_id=quotes[0] if quotes else id_of(one, "quotation"),
                opportunity_id=id_of(doc, "opportunity"), account_id=id_of(doc, "customer"), cogs=cogs_of(one, source),
                campaign_id=campaign_of(doc, source), amended_from=id_of(doc, "amended_from"),
            ))  # fmt: skip
        else:
            data = stated(order_id=name, net_value=now, cogs=cogs_of(one, source))
            yield Draft(f"amended/{at}", "order.amended", at, data)
        value = now
    if value is None:
        yield Waiting("amount unknown: no net_total with a currency")
    elif cancelled := cancelled_at(history):
        yield Draft("cancelled", "order.cancelled", cancelled, {"order_id": name})


def ordered_at(doc: Doc, at: str, source: Source) -> str | None:
    """Return when an order was placed, as `sales_order` says it, if that is stated."""
    return dated_at([Version(at, doc)], "transaction_date", source)


def _estimate(doc: Doc, source: Source) -> Money | None:
    """Return the value of an opportunity; 0 is what ERPNext writes where nobody has estimated it."""
    value = money_of(doc, "opportunity_amount", source)
    return value if value and minor(value) else None


def _prospects(doc: Doc, source: Source) -> dict[str, Any]:
    return stated(
        estimated_value=_estimate(doc, source), probability=_share(doc.get("probability")),
        expected_close=day(doc.get("expected_closing"), "expected_closing", source.mapping["timezone"]),
    )  # fmt: skip


def _lost_reason(doc: Doc) -> str | None:
    """Return why an opportunity was lost: the reasons that were chosen, else what was written."""
    chosen = [one for row in items(doc, "lost_reasons") if (one := text(row.get("lost_reason"), "lost_reason"))]
    return ", ".join(chosen) or text(doc.get("order_lost_reason"), "order_lost_reason")


def _share(percent: Any) -> Decimal | None:
    """Return a percentage as a share; one outside 0 to 100 says nothing."""
    exact = number(percent, "probability")
    return (exact / 100).normalize() if exact is not None and 0 <= exact <= 100 else None  # noqa: PLR2004
