"""Rows of CSV files become CloudEvents by a YAML mapping."""

from pathlib import Path
from typing import Any

import pytest

from service.domain.events import read_event
from service.intake.tabular import MappingError, RowError, load_mapping, read_events

LEADS = """
files:
  - file: "leads*.csv"
    source: /imports/leads
    events:
      - type: lead.captured
        id: "captured-{No}"
        time: "{Created}"
        data:
          lead_id: "{No}"
          channel: "{Origin|lower}"
          campaign_id: "{Origin|slug}"
          utm: {source: "{Utm}"}
"""

ORDERS = """
files:
  - file: orders.csv
    source: /imports/orders
    delimiter: ";"
    events:
      - type: order.placed
        id: "placed-{No}"
        time: {column: Day, format: "%d.%m.%Y %H:%M", zone: Europe/Berlin}
        subject: "SO-{No}"
        when: {column: Status, equals: [Won, Shipped]}
        data:
          order_id: "SO-{No}"
          quote_id: "QU-{Quote}"
          net_value: {amount: "{Net|comma|decimal}", currency: "{Currency|default:EUR}"}
          new_customer: "{New|bool}"
          account_id: "{Account}"
      - type: lead.qualified
        id: "qualified-{No}"
        time: {column: Day, format: "%d.%m.%Y %H:%M"}
        when: {column: Lead}
        data:
          lead_id: "{Lead}"
          level: sql
          score: "{Score|int}"
          weight: "{Weight|number}"
          seen: "{Seen|date:%d.%m.%Y}"
"""
ORDER_HEADER = "No;Day;Status;Quote;Net;Currency;New;Account;Lead;Score;Weight;Seen\n"


def events_of(folder: Path, mapping: str, name: str, text: str, **options: Any) -> list[tuple[int, dict[str, Any]]]:
    (folder / "mapping.yaml").write_text(mapping, encoding="utf-8")
    (folder / name).write_text(text, encoding="utf-8")
    return list(read_events(load_mapping(folder / "mapping.yaml"), folder / name, **options))


def order_rows(folder: Path, *rows: str, **options: Any) -> list[tuple[int, dict[str, Any]]]:
    return events_of(folder, ORDERS, "orders.csv", ORDER_HEADER + "".join(f"{row}\n" for row in rows), **options)


def refused_rows(folder: Path, row: str) -> list[RowError]:
    errors: list[RowError] = []
    order_rows(folder, row, on_error=errors.append)
    return errors


def error_of(folder: Path, old: str, new: str, mapping: str = LEADS) -> MappingError:
    assert old in mapping
    (folder / "mapping.yaml").write_text(mapping.replace(old, new), encoding="utf-8")
    with pytest.raises(MappingError) as caught:
        load_mapping(folder / "mapping.yaml")
    return caught.value


def test_a_row_becomes_a_valid_cloud_event_with_the_line_on_which_it_stands(tmp_path: Path) -> None:
    ((line, event),) = events_of(
        tmp_path, LEADS, "leads.csv", "No,Created,Origin,Utm\n7,2026-03-01T09:30:00+01:00,Paid Search,google\n"
    )
    assert line == 2
    assert event == {
        "specversion": "1.0",
        "id": "captured-7",
        "source": "/imports/leads",
        "type": "lead.captured",
        "time": "2026-03-01T08:30:00Z",
        "datacontenttype": "application/json",
        "data": {"lead_id": "7", "channel": "paid search", "campaign_id": "paid-search", "utm": {"source": "google"}},
    }
    read_event(event)


def test_an_empty_cell_states_nothing(tmp_path: Path) -> None:
    ((_, event),) = events_of(tmp_path, LEADS, "leads.csv", "No,Created,Origin,Utm\n7,2026-03-01, ,\n")
    assert event["data"] == {"lead_id": "7"}
    assert event["time"] == "2026-03-01T00:00:00Z"


def test_importing_a_file_again_gives_the_same_events(tmp_path: Path) -> None:
    text = "No,Created,Origin,Utm\n7,2026-03-01,Mail,\n8,2026-03-02,Fair,\n"
    assert events_of(tmp_path, LEADS, "leads.csv", text) == events_of(tmp_path, LEADS, "leads.csv", text)


def test_a_byte_order_mark_quoted_line_breaks_and_blank_lines_do_not_disturb_the_line_numbers(tmp_path: Path) -> None:
    text = '\ufeffNo,Created,Origin,Utm\n1,2026-03-01,"paid\nsearch",\n\n2,2026-03-02,mail,\n'
    found = events_of(tmp_path, LEADS, "leads.csv", text)
    assert [(line, event["data"]["campaign_id"]) for line, event in found] == [(2, "paid-search"), (5, "mail")]


def test_a_row_gives_one_event_for_each_entry_that_applies_to_it(tmp_path: Path) -> None:
    both = "1;01.07.2026 08:00;Won;;1.234,5;;yes;A1;L1;80;0.25;30.06.2026"
    found = order_rows(tmp_path, both, "2;01.07.2026 08:00;Lost;;1,00;;;A1;;;;", "3;01.07.2026 08:00;Shipped;;1;;;;;;;")
    assert [(line, event["type"]) for line, event in found] == [
        (2, "order.placed"), (2, "lead.qualified"), (4, "order.placed"),
    ]  # fmt: skip


def test_filters_give_money_as_exact_strings_and_numbers_dates_and_truth_as_such(tmp_path: Path) -> None:
    order, lead = order_rows(tmp_path, "1;01.07.2026 08:00;Won;;1.234,5;USD;no;;L1;80;0.25;30.06.2026")
    assert order[1]["data"]["net_value"] == {"amount": "1234.50", "currency": "USD"}
    assert order[1]["data"]["new_customer"] is False
    assert lead[1]["data"] == {"lead_id": "L1", "score": 80, "level": "sql", "weight": 0.25, "seen": "2026-06-30"}


def test_a_time_is_read_by_its_format_in_its_zone_and_in_utc_without_one(tmp_path: Path) -> None:
    order, lead = order_rows(tmp_path, "1;01.07.2026 08:00;Won;;1;;;;L1;;;")
    assert order[1]["time"] == "2026-07-01T06:00:00Z"
    assert lead[1]["time"] == "2026-07-01T08:00:00Z"


def test_constants_around_an_empty_cell_are_no_value(tmp_path: Path) -> None:
    with_quote, without = order_rows(tmp_path, "1;01.07.2026 08:00;Won;9;1;;;;;;;", "2;01.07.2026 08:00;Won;;1;;;;;;;")
    assert with_quote[1]["data"]["quote_id"] == "QU-9"
    assert "quote_id" not in without[1]["data"]
    assert with_quote[1]["subject"] == "SO-1"


@pytest.mark.parametrize(
    ("row", "column", "expected"),
    [
        ("1;2026-07-01;Won;;1;;;;;;;", "Day", "a time written as %d.%m.%Y %H:%M, found '2026-07-01'"),
        ("1;;Won;;1;;;;;;;", "Day", "a time, found ''"),
        ("1;01.07.2026 08:00;Won;;1,234;;;;;;;", "Net", "a number of at most 2 decimal places, found '1,234'"),
        (
            "1;01.07.2026 08:00;Won;;12.34;;;;;;;",
            "Net",
            "a number with a decimal comma such as 1.234,50, found '12.34'",
        ),
        ("1;01.07.2026 08:00;Won;;1;;maybe;;;;;", "New", "one of true, yes, 1, false, no, 0, found 'maybe'"),
        ("1;01.07.2026 08:00;Won;;;;;;;;;", "Currency, Net", "(required for order.placed), found nothing"),
        ("1;01.07.2026 08:00;Won;;1;EURO;;;;;;", "Currency, Net", "ISO 4217"),
        ("1;01.07.2026 08:00;Lost;;1;;;;L1;8.5;;", "Score", "a whole number, found '8.5'"),
        ("1;01.07.2026 08:00;Lost;;1;;;;L1;;1e3;", "Weight", "a number such as 1234.50, found '1e3'"),
        ("1;01.07.2026 08:00;Lost;;1;;;;L1;;;2026-06-30", "Seen", "a date written as %d.%m.%Y, found '2026-06-30'"),
        ("1;01.07.2026 08:00;Won", "(row)", "12 cells as in the header, found 3"),
        ('"1"x;01.07.2026 08:00;Won;;1;;;;;;;', "(row)", "well-formed CSV"),
    ],
)
def test_an_error_names_line_and_column_and_what_was_expected(
    tmp_path: Path, row: str, column: str, expected: str
) -> None:
    with pytest.raises(RowError) as caught:
        order_rows(tmp_path, row)
    assert (caught.value.file, caught.value.line, caught.value.column) == ("orders.csv", 2, column)
    assert expected in caught.value.expected


def test_the_events_of_a_row_stand_or_fall_one_by_one_and_reading_goes_on_after_a_bad_row(tmp_path: Path) -> None:
    errors: list[RowError] = []
    good, bad = "1;01.07.2026 08:00;Won;;1;;;;;;;", "2;01.07.2026 08:00;Won;;1;;;;L1;x;;"
    found = order_rows(tmp_path, bad, good, '"x"y;;', good.replace("1;", "3;", 1), on_error=errors.append)
    assert [event["id"] for _, event in found] == ["placed-2", "placed-1", "placed-3"]
    assert [(error.line, error.column) for error in errors] == [(2, "Score"), (4, "(row)")]


def test_what_is_wrong_with_a_row_is_told_once_however_many_events_it_spoils(tmp_path: Path) -> None:
    errors: list[RowError] = []
    assert order_rows(tmp_path, "1;soon;Won;;1;;;;L1;80;;", on_error=errors.append) == []
    assert [error.column for error in errors] == ["Day"]


def test_rows_are_read_one_by_one(tmp_path: Path) -> None:
    (tmp_path / "mapping.yaml").write_text(LEADS)
    (tmp_path / "leads.csv").write_text("No,Created,Origin,Utm\n1,2026-03-01,mail,\n2,never,mail,\n")
    events = read_events(load_mapping(tmp_path / "mapping.yaml"), tmp_path / "leads.csv")
    assert next(events)[1]["id"] == "captured-1"
    with pytest.raises(RowError, match="line 3"):
        next(events)


def test_a_folder_is_read_in_the_order_of_the_mapping_and_every_entry_finds_its_files(tmp_path: Path) -> None:
    (tmp_path / "mapping.yaml").write_text(ORDERS + LEADS.replace("\nfiles:\n", ""))
    (tmp_path / "orders.csv").write_text(ORDER_HEADER + "1;01.07.2026 08:00;Won;;1;;;;;;;\n")
    (tmp_path / "leads-2.csv").write_text("No,Created,Origin,Utm\n2,2026-03-01,,\n")
    (tmp_path / "leads-1.csv").write_text("No,Created,Origin,Utm\n1,2026-03-01,,\n")
    mapping = load_mapping(tmp_path / "mapping.yaml")
    found = [event["id"] for _, event in read_events(mapping, tmp_path)]
    assert found == ["placed-1", "captured-1", "captured-2"]
    (tmp_path / "orders.csv").unlink()
    with pytest.raises(MappingError, match=r"files\[0\].file: expected a file 'orders.csv'"):
        read_events(mapping, tmp_path)


def test_uploads_are_known_by_the_names_they_came_with(tmp_path: Path) -> None:
    (tmp_path / "mapping.yaml").write_text(LEADS)
    (tmp_path / "tmp123").write_text("No,Created,Origin,Utm\n1,2026-03-01,,\n")
    mapping = load_mapping(tmp_path / "mapping.yaml")
    assert len(list(read_events(mapping, {"leads.csv": tmp_path / "tmp123"}))) == 1
    with pytest.raises(MappingError, match=r"costs\.csv"):
        read_events(mapping, {"costs.csv": tmp_path / "tmp123"})


def test_a_file_without_a_column_of_the_mapping_is_refused_with_the_columns_it_has(tmp_path: Path) -> None:
    with pytest.raises(
        MappingError, match=r"files\[0\]: expected one column 'Utm' in leads.csv, which has No, Created"
    ):
        events_of(tmp_path, LEADS, "leads.csv", "No,Created,Origin\n")


def test_the_encoding_of_a_file_can_be_named_and_a_wrong_one_is_refused(tmp_path: Path) -> None:
    (tmp_path / "leads.csv").write_bytes("No,Created,Origin,Utm\n1,2026-03-01,Köln,\n".encode("cp1252"))
    named = LEADS.replace("source: /imports/leads", "source: /imports/leads\n    encoding: cp1252")
    (tmp_path / "mapping.yaml").write_text(named)
    ((_, event),) = read_events(load_mapping(tmp_path / "mapping.yaml"), tmp_path / "leads.csv")
    assert event["data"]["campaign_id"] == "köln"
    (tmp_path / "mapping.yaml").write_text(LEADS)
    with pytest.raises(MappingError, match=r"files\[0\].encoding"):
        list(read_events(load_mapping(tmp_path / "mapping.yaml"), tmp_path / "leads.csv"))


@pytest.mark.parametrize(
    ("old", "new", "key", "expected"),
    [
        ("lead.captured", "lead.capture", "files[0].events[0].type", "did you mean lead.captured?"),
        ("lead_id:", "leadid:", "files[0].events[0].data", "lead_id"),
        ("    source: /imports/leads\n", "", "files[0].source", "missing"),
        ("    source:", "    sourc:", "files[0].sourc", "one of file, source, events"),
        ('"captured-{No}"', "captured", "files[0].events[0].id", "a column"),
        ('"{Created}"', "2026-03-01", "files[0].events[0].time", "in quotes"),
        ('"{Created}"', '"soon"', "files[0].events[0].time", "a column"),
        ('"{Created}"', "{column: Created, zone: Europe/Bonn}", "files[0].events[0].time.zone", "IANA"),
        ('"{Created}"', "{col: Created}", "files[0].events[0].time.col", "one of column, format, zone"),
        ("{Origin|slug}", "{Origin|snake}", "files[0].events[0].data.campaign_id", "found 'snake'"),
        ("{Origin|slug}", "{Origin|slug:x}", "files[0].events[0].data.campaign_id", "found 'slug:x'"),
        ("{Origin|slug}", "{Origin", "files[0].events[0].data.campaign_id", "closing brace"),
        ("{Origin|slug}", "no {Origin|int}", "files[0].events[0].data.campaign_id", "nothing beside"),
        ("{Origin|slug}", "{Origin|int|slug}", "files[0].events[0].data.campaign_id", "last filter"),
        ('"captured-{No}"', '"{No|split}"', "files[0].events[0].id", "split gives a list"),
        (
            '{source: "{Utm}"}',
            '{amount: "{Utm|split}", currency: EUR}',
            "files[0].events[0].data.utm.amount",
            "no JSON number",
        ),
        ("{Origin|slug}", "{|slug}", "files[0].events[0].data.campaign_id", "a column name"),
        ('"{Utm}"', "2026-03-01", "files[0].events[0].data.utm.source", "put dates and times in quotes"),
        ('{source: "{Utm}"}', "{amount: 5, currency: EUR}", "files[0].events[0].data.utm.amount", "no JSON number"),
        ("    events:", "    delimiter: tab\n    events:", "files[0].delimiter", '";"'),
        ("    events:", "    encoding: ansi9\n    events:", "files[0].encoding", "cp1252"),
        (
            "        data:",
            '        when: {column: "No", equals: yes}\n        data:',
            "files[0].events[0].when.equals",
            "found true",
        ),
        ('"{Created}"', "{column: No}", "files[0].events[0].time.column", "in quotes if need be), found false"),
        ("files:", "tables:", "mapping.yaml.tables", "files"),
        ("files:", "files: [", "mapping.yaml", "YAML"),
    ],
)
def test_a_mapping_error_names_the_yaml_key_and_what_was_expected(
    tmp_path: Path, old: str, new: str, key: str, expected: str
) -> None:
    error = error_of(tmp_path, old, new)
    assert error.key == key
    assert expected in str(error)


def test_two_entries_with_the_same_id_are_refused_since_they_would_conflict(tmp_path: Path) -> None:
    assert error_of(tmp_path, "qualified-{No}", "placed-{No}", ORDERS).key == "files[0].events[1].id"


def test_the_example_mapping_turns_leads_and_deals_into_a_funnel(tmp_path: Path) -> None:
    (tmp_path / "marketing_qualified_leads.csv").write_text(
        "mql_id,first_contact_date,landing_page_id,origin\nm1,2018-02-01,p1,organic search\nm2,2018-02-02,p1,\n"
    )
    (tmp_path / "closed_deals.csv").write_text(
        "mql_id,seller_id,sr_id,won_date,declared_monthly_revenue\nm1,s1,r1,2018-02-26 19:58:54,300.0\n"
    )
    example = Path(__file__).parents[2] / "docs" / "examples" / "olist.yaml"
    events = [event for _, event in read_events(load_mapping(example), tmp_path)]
    assert [event["type"] for event in events] == [
        "lead.captured", "lead.captured", "opportunity.opened", "opportunity.won", "order.placed",
    ]  # fmt: skip
    assert events[0]["data"] == {
        "lead_id": "m1",
        "channel": "organic search",
        "campaign_id": "organic-search",
        "lead_magnet": "p1",
    }
    assert events[1]["data"] == {"lead_id": "m2", "lead_magnet": "p1"}
    assert events[2]["data"]["lead_ids"] == ["m1"]
    assert events[4]["time"] == "2018-02-26T19:58:54Z"
    assert events[4]["data"]["net_value"] == {"amount": "300.00", "currency": "BRL"}


def test_what_the_catalogue_refuses_is_told_with_what_the_file_says(tmp_path: Path) -> None:
    (error,) = refused_rows(tmp_path, "1;01.07.2026 08:00;Won;;1.234,50;EURO;;;;;;")
    assert str(error).endswith(
        "Currency, Net: expected an ISO 4217 code such as \"EUR\" in \"currency\", found 'EURO', '1.234,50'"
    )


def test_a_file_that_is_no_yaml_is_told_in_one_line_with_the_line(tmp_path: Path) -> None:
    error = error_of(tmp_path, "    source:", "\tsource:")
    assert str(error).startswith("mapping.yaml: expected a YAML file (line 4: ")
    assert "\n" not in str(error)


DEFINITIONS = """
files:
  - file: plan.csv
    source: /imports/plan
    events:
      - {type: target.set, id: "target-{No}", time: "{Day}", when: {column: Kind, equals: target},
         data: {measure: booked_revenue, period: "{Period}", value: {amount: "{Value}", currency: EUR}, team: "{Team}"}}
      - {type: stage.defined, id: "stage-{No}", time: "{Day}", when: {column: Kind, equals: stage},
         data: {stage: "{Team}", order: "{Period|int}", probability: "{Value|number}"}}
      - {type: lead.captured, id: "lead-{No}", time: "{Day}", when: {column: Kind, equals: lead},
         data: {lead_id: "{No}", criteria: {budget: "{Value|bool}", "decision maker": "{Period|bool}"}}}
      - {type: sla.defined, id: "sla-{No}", time: "{Day}", when: {column: Kind, equals: sla},
         data: {sla_id: "{Team}", from_event: lead.captured, to_event: lead.followed_up, within_hours: "{Value|int}",
                where: {channel: web}, hours: {mon: [["09:00", "17:00"]]}, holidays: ["2026-12-25", "{Period}"]}}
"""


def test_a_mapping_gives_targets_stages_agreements_and_criteria(tmp_path: Path) -> None:
    rows = "1,target,2026-01-01,2026-Q1,1000.00,north\n2,stage,2026-01-01,3,0.4,Proposal\n3,lead,2026-01-02,,yes,\n"
    text = f"No,Kind,Day,Period,Value,Team\n{rows}4,sla,2026-01-03,2026-12-24,24,first\n"
    events = [event for _, event in events_of(tmp_path, DEFINITIONS, "plan.csv", text)]
    for event in events:
        read_event(event)
    assert [event["data"] for event in events] == [
        {"measure": "booked_revenue", "period": "2026-Q1", "value": {"amount": "1000.00", "currency": "EUR"}, "team": "north"},
        {"stage": "Proposal", "order": 3, "probability": events[1]["data"]["probability"]},
        {"lead_id": "3", "criteria": {"budget": True}},
        {"sla_id": "first", "from_event": "lead.captured", "to_event": "lead.followed_up", "within_hours": 24,
         "where": {"channel": "web"}, "hours": {"mon": [["09:00", "17:00"]]}, "holidays": ["2026-12-25", "2026-12-24"]},
    ]  # fmt: skip
