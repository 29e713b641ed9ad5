"""What definitions state: targets their measure, period and value; agreements (SLA) their events, leads and hours.

Each is a kind of field; `check_target` and `check_sla` hold fields to each other. `sla.defined` was taken with anything at all
before there was a report of it: who reads definitions from the log passes over those that `catalogue.check_data` refuses.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from service.domain import calendar
from service.domain.fields import (
    BOOL,
    DATE,
    ID,
    MONEY,
    NUMBER,
    NUMBER_0,
    NUMBER_WITHIN,
    SHARE,
    TEXT,
    Kind,
    list_of,
    object_of,
    one_of,
    parsed,
)

# The measures that there can be a target for, by the kind of its value. A share is stated as one: 0.25 is 25 %.
MONEY_MEASURES = ("booked_revenue", "invoiced_revenue", "gross_margin", "actual_cost")
COUNT_MEASURES = ("leads", "qualified_leads", "opportunities", "orders", "new_customers", "calls", "activities")
SHARE_MEASURES = ("win_rate",)
RATIO_MEASURES = ("roi.booked", "roi.invoiced", "roi.margin")
_VALUE_OF = {
    **dict.fromkeys(MONEY_MEASURES, MONEY), **dict.fromkeys(COUNT_MEASURES, NUMBER_0),
    **dict.fromkeys(SHARE_MEASURES, SHARE), **dict.fromkeys(RATIO_MEASURES, NUMBER_WITHIN),
}  # fmt: skip

# The events that begin or end a clock: those of a lead, and the opening of an opportunity that lists it.
MARKS = (
    "lead.captured", "lead.qualified", "lead.handed_over", "lead.accepted", "lead.rejected", "lead.followed_up",
    "lead.disqualified", "lead.reopened", "lead.campaign_reassigned", "opportunity.opened",
)  # fmt: skip
# What leads are told apart by, named as the filters of reports are.
LEAD_DIMENSIONS = (
    "campaign_id", "campaign_type", "parent", "channel", "source", "medium", "lead_magnet", "owner",
)  # fmt: skip
WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_TIME = re.compile(r"([01]\d|2[0-3]):[0-5]\d|24:00", re.ASCII)
_WINDOWS = (
    'weekdays (mon to sun) with their windows, such as {"mon": [["09:00", "17:00"]]}: each within a day, from 00:00 to 24:00, '
    "its start before its end; at least one, or leave it out for all hours"
)


def _period() -> Kind:
    pattern = r"^\d{4}(-Q[1-4]|-(0[1-9]|1[0-2]))?$"
    told = f"a year, quarter or month within {calendar.expected_years()}, as 2026, 2026-Q1 or 2026-03"
    schema = {"type": "string", "pattern": pattern, "description": told, "examples": ["2026-Q1"]}
    return Kind(parsed(calendar.parse_period, told), schema)


def _is_window(value: Any) -> bool:
    good = type(value) is list and len(value) == 2 and all(type(one) is str for one in value)  # noqa: PLR2004
    return good and all(map(_TIME.fullmatch, value)) and value[0] < value[1]


def _hours(value: Any) -> str | None:
    good = type(value) is dict and value.keys() <= set(WEEKDAYS) and any(value.values())
    good = good and all(type(day) is list and all(map(_is_window, day)) for day in value.values())
    return None if good else _WINDOWS


def _where(value: Any) -> str | None:
    good = type(value) is dict and value.keys() <= set(LEAD_DIMENSIONS)
    good = good and all(TEXT.check(one) is None for one in value.values())
    return None if good else f"an object of texts by dimension of a lead: {', '.join(LEAD_DIMENSIONS)}"


def _money_or_number(value: Any) -> str | None:
    if type(value) is dict:
        return MONEY.check(value)
    return NUMBER.check(value) and 'money as {"amount": "1234.50", "currency": "EUR"}, or a number'


def _with_example(kind: Kind, example: Any) -> Kind:
    return Kind(kind.check, {**kind.schema, "examples": [example]})


MEASURE = one_of(*_VALUE_OF)
PERIOD = _period()
TARGET_VALUE = Kind(_money_or_number, {"anyOf": [MONEY.schema, NUMBER.schema]})
START = _with_example(one_of(*MARKS), "lead.captured")
END = _with_example(one_of(*MARKS), "lead.followed_up")
CRITERIA = object_of(ID, BOOL, "true or false by name of criterion (a non-empty string without U+0000)")
DAYS = list_of(DATE, f"a list of days, each {calendar.expected_day()}")
WHERE = Kind(
    _where,
    {
        "type": "object", "additionalProperties": {"type": "string"}, "examples": [{"channel": "event"}],
        "description": f"of {', '.join(LEAD_DIMENSIONS)}",
    },
)  # fmt: skip
HOURS = Kind(
    _hours,
    {
        "type": "object", "description": _WINDOWS, "examples": [{"mon": [["09:00", "17:00"]]}],
        "additionalProperties": {
            "type": "array", "items": {"type": "array", "items": {"type": "string"}, "minItems": 2, "maxItems": 2},
        },
    },
)  # fmt: skip


def check_target(data: Mapping[str, Any]) -> tuple[str, str] | None:
    """Hold a target's value to its measure: money has an amount, a count is a number, a win rate is a share."""
    expected = _VALUE_OF[data["measure"]].check(data["value"])
    return ("value", f"{expected}: what {data['measure']} is measured in") if expected else None


def check_sla(data: Mapping[str, Any]) -> tuple[str, str] | None:
    """Hold the two events of an agreement to each other: no event is followed by itself."""
    same = data["from_event"] == data["to_event"]
    return ("to_event", f"another event than from_event, {data['from_event']}") if same else None
