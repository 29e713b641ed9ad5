"""What is defined – targets, agreements, criteria – is checked as strictly as facts, and a refusal says what to change."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest

from service.domain import words
from service.domain.calendar import parse_period
from service.domain.catalogue import CATALOGUE, check_data
from service.domain.definitions import COUNT_MEASURES, MARKS, MONEY_MEASURES, RATIO_MEASURES
from service.domain.fields import ID

EUR = {"amount": "1234.50", "currency": "EUR"}
AT_LEAST_ONE = [["09:00", "17:00"]]


def problems(kind: str, **changed: Any) -> dict[str, str]:
    """Return what is wrong with the example of a type in which some fields are changed; None takes one out."""
    data = {**words.example_of(kind)["data"], **changed}
    stated = {name: value for name, value in data.items() if value is not None}
    return {one.field.removeprefix("data."): one.expected for one in check_data(kind, stated)}


@pytest.mark.parametrize(
    ("text", "first", "end"),
    [("2026", (2026, 1, 1), (2027, 1, 1)), ("2026-Q1", (2026, 1, 1), (2026, 4, 1)), ("2026-Q4", (2026, 10, 1), (2027, 1, 1)),
     ("2024-02", (2024, 2, 1), (2024, 3, 1)), ("9998-12", (9998, 12, 1), (9999, 1, 1))],
)  # fmt: skip
def test_a_period_is_its_first_day_and_the_day_after_it(
    text: str, first: tuple[int, ...], end: tuple[int, ...]
) -> None:
    assert parse_period(text) == (date(*first), date(*end))
    assert problems("target.set", period=text) == {}


@pytest.mark.parametrize("text", ["2026-13", "2026-00", "2026-Q5", "2026-Q0", "2026-q1", "26", "2026-W07", "2026-03-01",
                                  "1899", "9999", "0000", "2026 ", "2026\n", "٢٠٢٦", "", 2026, ["2026"]])  # fmt: skip
def test_a_period_in_another_form_is_refused_with_the_forms_that_there_are(text: Any) -> None:
    assert problems("target.set", period=text) == {
        "period": "a year, quarter or month within 1900 to 9998, as 2026, 2026-Q1 or 2026-03"
    }


def test_a_target_of_another_measure_is_refused_with_the_measures_that_there_are() -> None:
    assert "booked_revenue, " in problems("target.set", measure="revenue")["measure"]
    assert problems("target.set", measure="roi.margin", value=1.5) == {}


@pytest.mark.parametrize(
    ("measures", "good", "bad"),
    [(MONEY_MEASURES, [EUR, {"amount": "-5.00", "currency": "EUR"}], [1234.5, 0]),
     (COUNT_MEASURES, [0, 12, 12.5], [EUR, -1]),
     (("win_rate",), [0, 0.25, 1], [EUR, 25, -0.1]),
     (RATIO_MEASURES, [-0.5, 0, 3.2], [EUR])],
)  # fmt: skip
def test_a_target_is_in_what_its_measure_is_measured_in(
    measures: tuple[str, ...], good: list[Any], bad: list[Any]
) -> None:
    for measure in measures:
        for value in good:
            assert problems("target.set", measure=measure, value=value) == {}
        for value in bad:
            assert problems("target.set", measure=measure, value=value)["value"].endswith(
                f": what {measure} is measured in"
            )


@pytest.mark.parametrize("value", ["1234.50", {"amount": 5, "currency": "EUR"}, {}, [], True])
def test_a_target_that_is_neither_money_nor_a_number_is_refused(value: Any) -> None:
    assert problems("target.set", value=value).keys() == {"value"}


def test_the_clock_of_an_agreement_goes_by_events_that_have_a_lead() -> None:
    of_leads = {
        name for name, one in CATALOGUE.items() if name.startswith("lead.") and one.required.get("lead_id") is ID
    }
    assert set(MARKS) == {*of_leads, "opportunity.opened"}
    for mark in of_leads:
        assert problems("sla.defined", from_event=mark, to_event="opportunity.opened") == {}
        assert problems("sla.defined", from_event="opportunity.opened", to_event=mark) == {}


@pytest.mark.parametrize("mark", ["lead.merged", "call.completed", "opportunity.won", "lead", ""])
@pytest.mark.parametrize("field", ["from_event", "to_event"])
def test_an_agreement_about_other_events_is_refused_with_those_that_there_are(field: str, mark: str) -> None:
    assert problems("sla.defined", **{field: mark})[field].startswith("one of lead.captured, ")


def test_an_agreement_whose_events_are_the_same_is_refused() -> None:
    assert problems("sla.defined", from_event="lead.captured", to_event="lead.captured") == {
        "to_event": "another event than from_event, lead.captured"
    }


@pytest.mark.parametrize(
    "hours",
    [{"mon": AT_LEAST_ONE}, {"mon": AT_LEAST_ONE, "sun": []}, {"sat": [["00:00", "24:00"]]},
     {"fri": [["09:00", "13:00"], ["12:00", "17:00"], ["12:00", "17:00"]]}],
)  # fmt: skip
def test_hours_are_windows_within_a_day_which_may_overlap(hours: dict[str, Any]) -> None:
    assert problems("sla.defined", hours=hours) == {}


@pytest.mark.parametrize(
    "hours",
    [{}, {"mon": []}, {"monday": AT_LEAST_ONE}, {"mon": [["17:00", "09:00"]]}, {"mon": [["09:00", "09:00"]]},
     {"mon": [["09:00", "24:30"]]}, {"mon": [["24:00", "24:00"]]}, {"mon": [["9:00", "17:00"]]}, {"mon": ["09:00", "17:00"]},
     {"mon": [["09:00"]]}, {"mon": [["09:00", "12:00", "17:00"]]}, {"mon": [[9, 17]]}, {"mon": "09:00"}, {"mon": None},
     {"mon": AT_LEAST_ONE, "tue": None}, [["09:00", "17:00"]], "09:00-17:00", {"mon": [["09:00", "17:00\n"]]}],
)  # fmt: skip
def test_other_hours_are_refused_with_how_they_are_written(hours: Any) -> None:
    assert 'such as {"mon": [["09:00", "17:00"]]}' in problems("sla.defined", hours=hours)["hours"]


@pytest.mark.parametrize(
    ("kind", "field", "good", "bad"),
    [("sla.defined", "holidays", [[], ["2026-12-25", "2026-12-25"]], [["25.12.2026"], "2026-12-25", ["2026-02-30"], [None]]),
     ("sla.defined", "where", [{}, {"channel": "web", "owner": "", "campaign_id": "c"}],
      [{"region": "EMEA"}, {"channel": 1}, {"channel": None}, ["channel"], "web"]),
     ("lead.captured", "criteria", [{}, {"budget": True, "Größe": False}],
      [{"budget": "yes"}, {"budget": None}, {"budget": 1}, {"": True}, {"x" * 201: True}, ["budget"]]),
     ("lead.qualified", "criteria", [{"need": False}], [{"need": "no"}]),
     ("stage.defined", "probability", [0, 0.4, 1], [40, -0.1, "0.4"]),
     ("stage.defined", "order", [-1, 0, 3], [1.5, "3", True, 2**53]),
     ("activity.completed", "activity", ["email", "meeting", "demo", "visit", "other"], ["call", "Email", 1]),
     ("activity.completed", "duration_s", [0, 90.5], [-1, "60"]),
     ("opportunity.opened", "name", ["Press line"], [1, {}])],
)  # fmt: skip
def test_a_new_field_is_taken_in_its_form_and_refused_in_any_other(
    kind: str, field: str, good: list[Any], bad: list[Any]
) -> None:
    for value in good:
        assert problems(kind, **{field: value}) == {}
    for value in bad:
        assert problems(kind, **{field: value}).keys() == {field}


def test_what_is_wrong_with_fields_themselves_is_told_before_what_they_are_to_each_other() -> None:
    assert problems("sla.defined", from_event=None).keys() == {"from_event"}
    assert problems("target.set", measure=["leads"], value=EUR).keys() == {"measure"}
