"""What records of Zoho CRM say by the mapped fields: links by their id, totals without tax, links between records."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from service.intake.senders import crm
from service.intake.senders.contract import Source
from service.intake.senders.fields import dig, identifier, number

_ITEMS = ("Quoted_Items", "Ordered_Items", "Invoiced_Items", "Product_Details")
NET, TAX = "@net", "@tax"


def kept(record: Mapping[str, Any], sort: str, source: Source) -> dict[str, Any]:
    """Return the mapped fields of a record, and what ties a deal to its lead and contact."""
    mapping, derived = source.mapping, _derived(record)
    whole = {**record, **derived}
    fields = {name: _plain(whole[name]) for name in sorted(crm.mapped(mapping, sort)) if name in whole}
    if sort == "lead" and is_converted(record):
        fields[mapping["fields"]["lead"]["status"] or "Lead_Status"] = "Converted"
    if sort == "deal":
        for name, other in ((mapping["lead_field"], "lead"), ("Contact_Name", "contact")):
            linked = _plain(record.get(name)) if name else None
            if linked not in (None, ""):
                fields[crm.link(other, identifier(linked, name))] = True
    return fields


def is_converted(record: Mapping[str, Any]) -> bool:
    """Whether a lead has been converted."""
    return record.get("$converted") is True or record.get("Converted__s") is True


def deal_of(record: Mapping[str, Any]) -> str | None:
    """Return the deal that a lead was converted into."""
    for path in ("Converted_Deal", "$converted_detail.deal"):
        found = _plain(dig(record, path))
        if found not in (None, ""):
            return identifier(found, path)
    return None


def _derived(record: Mapping[str, Any]) -> dict[str, Any]:
    """Return the tax of a document, and its total without it; nothing where one of them is not stated."""
    total, tax = number(record.get("Grand_Total"), "Grand_Total"), number(record.get("Tax"), "Tax")
    items = [one for name in _ITEMS for one in (record.get(name) or []) if isinstance(record.get(name), list)]
    taxes = [number(dig(one, name), name) for one in items for name in ("Tax", "tax")]
    stated = [one for one in (tax, *taxes) if one is not None]
    if total is None or not stated:
        return {}
    whole = sum(stated, Decimal(0))
    return {NET: total - whole, TAX: whole}


def _plain(value: Any) -> Any:
    """Return the id of a link, and anything else as it is."""
    return value.get("id") if isinstance(value, dict) else value
