"""What records of Odoo have in common: versions, empty fields, links, days and amounts."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from service.intake.senders.contract import Source, Statement, states
from service.intake.senders.fields import day, instant, money, text

DELETED = "deleted"
AMOUNT = (
    "amount unknown: amount_untaxed is not stated, or its currency: that of a number in `currencies` of the mapping, that of "
    "records that name none in `currency`"
)
Money = dict[str, str]
# The later state of a record has the greater rank: versions of one second are ordered by it.
_RANKS = {"draft": "1", "sent": "2", "sale": "3", "posted": "3", "done": "4", "cancel": "5"}
_COMMON = (
    "id",
    "write_date",
    "create_date",
    "company_id",
    "currency_id",
    "campaign_id",
    "source_id",
    "medium_id",
    "partner_id",
)
FIELDS: dict[str, tuple[str, ...]] = {
    "crm.lead": (
        *_COMMON, "type", "active", "probability", "expected_revenue", "company_currency", "stage_id", "user_id", "team_id",
        "date_conversion", "date_closed", "date_deadline", "lost_reason_id", "won_status",
    ),
    "utm.campaign": ("id", "write_date", "create_date", "company_id", "name", "title"),
    "sale.order": (*_COMMON, "name", "state", "amount_untaxed", "date_order", "opportunity_id", "margin"),
    "account.move": (
        *_COMMON, "name", "state", "move_type", "amount_untaxed", "amount_tax", "date", "invoice_date",
        "invoice_date_due", "invoice_origin", "reversed_entry_id",
    ),
}  # fmt: skip


class Version(NamedTuple):
    """A record as it stood at an instant."""

    at: str
    record: Mapping[str, Any]

    def text(self, field: str) -> str | None:
        """Return the text of a field."""
        return text(self.record.get(field), field)

    def number(self, field: str) -> str | None:
        """Return the number of the record that a field links to."""
        value = self.record.get(field)
        return text(value[0] if isinstance(value, list) and value else value, field) if value != [] else None

    def name(self, field: str) -> str | None:
        """Return the name of the record that a field links to, where it is known; else its number."""
        value = self.record.get(field)
        return text(value[-1], field) if isinstance(value, list) and value else self.number(field)

    def instant(self, field: str) -> str | None:
        """Return a time, which Odoo writes in UTC without saying so."""
        return instant(self.record.get(field), field)

    def day(self, field: str, source: Source) -> str | None:
        """Return a date."""
        return day(self.record.get(field), field, source.mapping["timezone"])

    def money(self, field: str, source: Source, code: str = "currency_id") -> Money | None:
        """Return an amount; None if it, or its currency, is not known."""
        known = self.code(source, code)
        return money(self.record.get(field), known, field) if known else None

    def code(self, source: Source, field: str = "currency_id") -> str | None:
        """Return the record's currency: by its name, or what the mapping calls its number; the mapping's, if it has none."""
        number, named = self.number(field), isinstance(self.record.get(field), list)
        if number is None:
            return text(source.mapping["currency"], "currency")
        return self.name(field) if named else text(source.mapping["currencies"].get(number), "currencies")

    def campaign(self, source: Source) -> str | None:
        """Return the campaign that the record names."""
        return campaign_id(self.number("campaign_id"), self.name("campaign_id"), source)


def campaign_id(number: str | None, name: str | None, source: Source) -> str | None:
    """Return what a campaign is called in the ledger: as the mapping says by number or name, else its name."""
    known = source.mapping["campaigns"]
    return known.get(number) or known.get(name) or name


def written(record: Mapping[str, Any]) -> str | None:
    """Return when a record was last changed."""
    value = record.get("write_date")
    return None if value is False else instant(value, "write_date")


def statement(record: str, key: str, body: Mapping[str, Any], at: str, verb: str) -> Statement:
    """Return what a record says: False stands for what is empty, but of what is true or false."""
    model = record.partition(":")[0]
    fields = {
        name: None if body[name] is False and name != "active" else body[name]
        for name in FIELDS[model] if name in body
    }  # fmt: skip
    return Statement(record, key, at, _RANKS.get(str(body.get("state")), ""), verb, fields)


def versions(statements: Iterable[Statement]) -> list[Version]:
    """Return how a record stood after each of its instants; of one instant the last statement counts."""
    told = [one for one in statements if one.verb != DELETED]
    return list({one.at: Version(one.at, state) for one, state in states(told)}.values())


def made_at(seen: Sequence[Version]) -> str:
    """Return when a record was made."""
    return seen[-1].instant("create_date") or seen[0].at


def on_day(date: str | None, moment: str, source: Source) -> str:
    """Return a moment if it is on that day, else the beginning of the day."""
    zone = source.mapping["timezone"]
    if date is None or date == day(moment, "time", zone):
        return moment
    return instant(date, "date", zone) or moment
