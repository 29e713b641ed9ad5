"""What a customer of Shopify becomes: a lead where the mapping says so; merged into another, or erased."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from service.domain.calendar import parse_instant
from service.intake.senders.contract import Draft, Source, Statement, Waiting
from service.intake.senders.fields import instant, stated
from service.intake.senders.shopify.orders import CREATED, MERGED, ORDERED, REDACTED
from service.intake.senders.shopify.reading import campaign_of


def customer(identity: str, statements: Sequence[Statement], source: Source) -> Iterator[Draft | Waiting]:
    """Give the events of a customer: a lead of the campaign of their first order that names one."""
    if source.mapping["customers_as_leads"]:
        yield from _captured(identity, statements, source)
    for one in statements:
        if one.verb == MERGED:
            data = {"survivor_id": one.fields["survivor"], "merged_id": identity}
            survivor = one.fields["survivor"]
            yield Draft(f"merged/{survivor}", "account.merged", one.at, data)
            if source.mapping["customers_as_leads"]:
                yield Draft(f"lead-merged/{survivor}", "lead.merged", one.at, data)
    if redacted := next((one for one in statements if one.verb == REDACTED), None):
        data = {"subject_id": identity, "legal_basis": "the shop asked to redact the customer"}
        yield Draft("erased", "subject.erased", redacted.at, data)


def _captured(identity: str, statements: Sequence[Statement], source: Source) -> Iterator[Draft | Waiting]:
    known = [one for one in statements if one.verb in (CREATED, ORDERED)]
    created = [instant(one.fields.get("created_at"), "created_at") for one in known]
    orders = [one for one in known if one.verb == ORDERED]
    if not known:
        return
    times = [*(one for one in created if one), *(one.at for one in orders)] or [known[0].at]
    at = min(times, key=parse_instant)
    origin = next((one for one in orders if campaign_of(one.fields, source)), orders[0] if orders else None)
    fields = origin.fields if origin else {}
    utm = fields.get("utm") or {}
    yield Draft("captured", "lead.captured", at, stated(
        lead_id=identity, account_id=identity, campaign_id=campaign_of(fields, source), source=utm.get("source"),
        medium=utm.get("medium"), utm=utm or None,
    ))  # fmt: skip
