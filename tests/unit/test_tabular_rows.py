"""What rows give: conditions, words for nothing, lists, look-ups, other names of columns, and ids that come again."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from service.intake.tabular import ClashError, MappingError, RowError, load_mapping, read_events
from tests.support.tables import COSTS, opened, read, rows, with_field

DEALS = """
files:
  - file: "*.csv"
    source: /imports/deals
    events:
      - type: opportunity.opened
        id: "opened-{No}"
        time: "2026-03-01"
        data: {opportunity_id: "{No}", lead_ids: "{Leads|split:;}", probability: "{Odds|percent}", stage: "{Stage}"}
"""


def given(folder: Path, mapping: str, text: str, **files: str) -> list[dict[str, Any]]:
    """Return the events of a file of which nothing is wrong, with further files beside the mapping."""
    for name, content in files.items():
        (folder / f"{name}.csv").write_text(content, encoding="utf-8")
    events, errors = read(opened(folder, mapping, text))
    assert errors == []
    return events


def under(condition: str, key: str = "when") -> str:
    """Return the mapping of costs with a condition."""
    if key == "skip":
        return COSTS.replace("    events:", f"    skip: {condition}\n    events:")
    return COSTS.replace("        data:", f"        when: {condition}\n        data:")


ROWS = ("1,2026-03-01,Fair,95.00", "2,2026-03-01,Mail,-5.00", "3,2026-03-01,Fair Test,0", "4,2026-03-01,--,7")


@pytest.mark.parametrize(
    ("condition", "numbers"),
    [
        ("{column: Campaign, equals: [Fair, Mail]}", "12"), ("{column: Campaign}", "123"),
        ("{not: {column: Campaign}}", "4"), ("{column: Campaign, equals: --}", "4"),
        ("{column: Campaign, starts_with: Fair}", "13"), ("{column: Campaign, contains: Test}", "3"),
        ("{all: [{column: Campaign, starts_with: Fair}, {not: {column: Campaign, contains: Test}}]}", "1"),
        ("{any: [{column: Campaign, equals: Mail}, {column: Net, equals: '0'}]}", "23"),
        ("{column: Net, above: 0}", "14"), ("{column: Net, below: 0}", "2"), ("{column: Net, above: 0, below: 10}", "4"),
        ('{value: "{Net|abs}", above: 4.5}', "124"),
        ("{not: {any: [{column: Campaign, equals: Mail}, {all: [{column: 'No', above: 2}, {column: Net}]}]}}", "1"),
    ],
)  # fmt: skip
def test_a_condition_says_which_rows_give_an_event(tmp_path: Path, condition: str, numbers: str) -> None:
    mapping = under(condition).replace("{Campaign|slug}", "c-{No}").replace("{Net|decimal}", "1")
    table = opened(tmp_path, mapping, rows(*ROWS))
    events, errors = read(table)
    assert (errors, "".join(event["data"]["cost_entry_id"] for event in events)) == ([], numbers)
    assert table.passed.without_event == len(ROWS) - len(numbers)


def test_rows_are_skipped_by_a_condition_or_by_any_of_several_and_counted(tmp_path: Path) -> None:
    skip = '[{column: "No", starts_with: Total}, {not: {column: Net, above: 0}}, {column: Campaign, equals: "--"}]'
    table = opened(tmp_path, under(skip, "skip"), rows(*ROWS, "Total", "Total: 4,,,97.00"))
    events, errors = read(table)
    assert ([event["id"] for event in events], errors) == (["cost-1"], [])
    assert (table.passed.rows, table.passed.skipped) == (6, 5)


def test_one_row_gives_different_events_by_its_sign(tmp_path: Path) -> None:
    mapping = """
files:
  - file: "*.csv"
    source: /imports/invoices
    events:
      - type: invoice.posted
        id: "invoice-{No}"
        time: "{Day}"
        when: {value: "{Net|amount:1,234.50}", above: 0}
        data:
          invoice_id: "{No}"
          net_amount: {amount: "{Net|amount:1,234.50}", currency: EUR}
          posting_date: "{Day|date}"
      - type: invoice.credited
        id: "credit-{No}"
        time: "{Day}"
        when: {value: "{Net|amount:1,234.50}", below: 0}
        data:
          credit_note_id: "{No}"
          invoice_id: "{Of}"
          net_amount: {amount: "{Net|amount:1,234.50|abs}", currency: EUR}
          posting_date: "{Day|date}"
"""
    text = rows(
        'R1,2026-03-01,,"1,200.00"', 'G1,2026-03-02,R1,"(200.00)"', "R2,2026-03-03,,0.00", header="No,Day,Of,Net"
    )
    events = given(tmp_path, mapping, text)
    found = [(event["type"], event["data"]["net_amount"]["amount"]) for event in events]
    assert found == [("invoice.posted", "1200.00"), ("invoice.credited", "200.00")]


def test_a_comparison_with_what_is_no_number_is_told(tmp_path: Path) -> None:
    _, (error,) = read(opened(tmp_path, under("{column: Net, above: 0}"), rows('1,2026-03-01,Fair,"1,5"')))
    assert str(error).startswith(
        "costs.csv, line 2, Net: expected a number such as 1234.50 to compare with 0, found '1,5'"
    )


@pytest.mark.parametrize(
    ("condition", "key"),
    [
        ("{column: Net, over: 5}", "when.over"), ("{equals: Fair}", "when"), ("{column: A, value: B}", "when"),
        ("{all: {column: Net}}", "when.all"), ("{not: [{column: Net}]}", "when.not"), ("[{column: Net}]", "when"),
        ("{column: Net, above: many}", "when.above"), ("{column: Net, below: true}", "when.below"),
        ("{value: Net, above: 1}", "when.value"), ("{any: [{column: Net}, {colum: Net}]}", "when.any[1]"),
        ("{all: [{column: Net}], equals: x}", "when.equals"), ("{column: Net, equals: yes}", "when.equals"),
    ],
)  # fmt: skip
def test_a_condition_that_cannot_be_read_is_refused_with_its_key(tmp_path: Path, condition: str, key: str) -> None:
    (tmp_path / "mapping.yaml").write_text(under(condition), encoding="utf-8")
    with pytest.raises(MappingError) as caught:
        load_mapping(tmp_path / "mapping.yaml")
    assert caught.value.key == f"files[0].events[0].{key}"


@pytest.mark.parametrize("cell", ["", "false", "False", "NULL", "(not set)", "--", "–", "—", "N/A", "(none)", "none"])
def test_a_word_for_nothing_states_nothing(tmp_path: Path, cell: str) -> None:
    mapping = with_field("activity_id", '"A-{Campaign}"').replace("{Campaign|slug}", "fair")
    (event,) = given(tmp_path, mapping, rows(f"1,2026-03-01,{cell},95.00"))
    assert "activity_id" not in event["data"]


def test_a_mapping_has_its_own_words_for_nothing(tmp_path: Path) -> None:
    mapping = with_field("activity_id", '"{Campaign}"').replace("{Campaign|slug}", "fair")
    text = rows("1,2026-03-01,unbekannt,95.00", "2,2026-03-01,--,95.00")
    for said in (
        "blanks: [Unbekannt]\n" + mapping,
        mapping.replace("    events:", "    blanks: Unbekannt\n    events:"),
    ):
        first, second = given(tmp_path, said, text)
        assert ("activity_id" in first["data"], second["data"]["activity_id"]) == (False, "--")
    first, second = given(tmp_path, "blanks: []\n" + mapping, text)
    assert first["data"]["activity_id"] == "unbekannt"


def test_false_is_a_truth_value_where_one_is_asked_for(tmp_path: Path) -> None:
    mapping = with_field("open", '"{Campaign|bool}"').replace("{Campaign|slug}", "fair")
    text = rows("1,2026-03-01,false,1", "2,2026-03-01,NULL,1", "3,2026-03-01,TRUE,1")
    found = [event["data"].get("open") for event in given(tmp_path, mapping, text)]
    assert found == [False, None, True]


def test_a_cell_becomes_a_list_a_share_and_a_part(tmp_path: Path) -> None:
    text = rows('7,"101; 102;",60 %,2026_Fair_DE', "8,,,", header="No,Leads,Odds,Stage")
    first, second = given(tmp_path, DEALS.replace("{Stage}", "{Stage|part:2:_}"), text)
    assert first["data"] == {"opportunity_id": "7", "lead_ids": ["101", "102"], "probability": 0.6, "stage": "Fair"}
    assert second["data"] == {"opportunity_id": "8"}
    prefixed = DEALS.replace("{Leads|split:;}", "L-{Leads|split|slug}")
    assert given(tmp_path, prefixed, text)[0]["data"]["lead_ids"] == ["L-101", "L-102"]
    listed = DEALS.replace('"{Leads|split:;}"', '["{Leads|split:;}", "{No}"]')
    assert given(tmp_path, listed, text)[0]["data"]["lead_ids"] == ["101", "102", "7"]


def test_a_list_of_lists_that_the_mapping_has_stays_one(tmp_path: Path) -> None:
    nested = with_field("weights", '[[1, 2], ["{Campaign}"], [], "{No|split}"]')
    (event,) = given(tmp_path, nested, rows("1,2026-03-01,Fair,95.00"))
    assert event["data"]["weights"] == [[1, 2], ["Fair"], "1"]


LOOKING = (
    "lookups:\n  teams: {file: 'teams*.csv', key: Id}\n  stages: {values: {New: open}, else: other}\n"
    + DEALS.replace('stage: "{Stage}"', 'stage: "{Stage|lookup:stages}", team: "{Odds|lookup:teams.Team}"').replace(
        'probability: "{Odds|percent}", ', ""
    )
)


def test_a_second_file_and_a_table_of_the_mapping_are_looked_up_by_a_key(tmp_path: Path) -> None:
    text = rows("7,,A,New", "8,,B,Lost", "9,,,", header="No,Leads,Odds,Stage")
    teams = "Id;Team\nA;North\nA;North\nB;--\n"
    found = [event["data"] for event in given(tmp_path, LOOKING, text, teams=teams)]
    assert found == [
        {"opportunity_id": "7", "stage": "open", "team": "North"}, {"opportunity_id": "8", "stage": "other"},
        {"opportunity_id": "9"},
    ]  # fmt: skip


def test_a_lookup_is_found_among_the_files_to_import_and_not_told_as_passed_over(tmp_path: Path) -> None:
    folder = tmp_path / "exports"
    folder.mkdir()
    (folder / "teams.csv").write_text("Id,Team\nA,North\n", encoding="utf-8")
    (folder / "deals.csv").write_text(rows("7,,A,New", header="No,Leads,Odds,Stage"), encoding="utf-8")
    (tmp_path / "mapping.yaml").write_text(LOOKING.replace('file: "*.csv"', "file: deals.csv"), encoding="utf-8")
    mapping = load_mapping(tmp_path / "mapping.yaml")
    assert [event["data"]["team"] for _, event in read_events(mapping, folder)] == ["North"]
    assert len(list(read_events(mapping, [folder / "deals.csv", folder / "teams.csv"]))) == 1
    (tmp_path / "mapping.yaml").write_text(LOOKING, encoding="utf-8")
    assert len(list(read_events(load_mapping(tmp_path / "mapping.yaml"), folder))) == 1


@pytest.mark.parametrize("place", ["tables/teams.csv", "{folder}/tables/teams.csv", "../{name}/tables/teams.csv"])
def test_a_lookup_may_be_named_by_a_path(tmp_path: Path, place: str) -> None:
    (tmp_path / "tables").mkdir()
    (tmp_path / "tables" / "teams.csv").write_text("Id,Team\nA,North\n", encoding="utf-8")
    mapping = LOOKING.replace("teams*.csv", place.format(folder=tmp_path, name=tmp_path.name))
    (event,) = given(tmp_path, mapping, rows("7,,A,New", header="No,Leads,Odds,Stage"))
    assert event["data"]["team"] == "North"


def test_a_key_that_is_not_there_is_told(tmp_path: Path) -> None:
    (tmp_path / "teams.csv").write_text("Id,Team\nA,North\n", encoding="utf-8")
    text = rows("7,,Z,New", header="No,Leads,Odds,Stage")
    _, (error,) = read(opened(tmp_path, LOOKING, text))
    assert str(error) == "costs.csv, line 2, Odds: expected a value of the column 'Id' of teams.csv, found 'Z'"
    kept = LOOKING.replace("key: Id}", 'key: Id, else: ""}')
    assert "team" not in given(tmp_path, kept, text)[0]["data"]


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("lookup:teams.Team", "lookup:team.Team", "a name under `lookups` (teams, stages)"),
        ("lookup:teams.Team", "lookup:teams", "lookup:teams.COLUMN"),
        ("lookup:stages", "lookup:stages.A", "lookup:stages, found"),
        ("key: Id}", "kee: Id}", "lookups.teams.kee"), ("{New: open}", "[New]", "lookups.stages.values"),
        ("else: other", "else: 5", "lookups.stages.else"),
    ],
)  # fmt: skip
def test_a_lookup_that_the_mapping_does_not_have_is_refused(tmp_path: Path, old: str, new: str, said: str) -> None:
    assert old in LOOKING
    (tmp_path / "mapping.yaml").write_text(LOOKING.replace(old, new), encoding="utf-8")
    with pytest.raises(MappingError) as caught:
        load_mapping(tmp_path / "mapping.yaml")
    assert said in str(caught.value)


def test_a_second_file_that_is_not_there_or_has_a_key_twice_is_refused(tmp_path: Path) -> None:
    text = rows("7,,A,New", header="No,Leads,Odds,Stage")
    with pytest.raises(MappingError, match=r"lookups.teams.file: expected a file 'teams\*.csv'"):
        opened(tmp_path, LOOKING, text)
    (tmp_path / "teams.csv").write_text("Id,Team\nA,North\nA,South\n", encoding="utf-8")
    with pytest.raises(RowError, match=r"teams.csv, line 3, Id: expected each key once, found 'A' again"):
        opened(tmp_path, LOOKING, text)


def test_a_column_may_have_several_names_and_tell_the_currency(tmp_path: Path) -> None:
    mapping = COSTS.replace("    events:", '    columns: {Day: [Tag, Day], Net: "Spent ({unit})"}\n    events:')
    mapping = mapping.replace("currency: EUR", 'currency: "{unit|upper}"')
    for header in ("No,Day,Campaign,Spent (usd)", "No,Tag,Campaign,Spent (USD)"):
        (event,) = given(tmp_path, mapping, rows("1,2026-03-01,Fair,95", header=header))
        assert event["data"]["amount"] == {"amount": "95.00", "currency": "USD"}


@pytest.mark.parametrize("columns", ["{Dya: [Tag, Day]}", '{Net2: "Spent ({unit})"}'])
def test_another_name_of_a_column_that_no_template_uses_is_refused(tmp_path: Path, columns: str) -> None:
    (tmp_path / "mapping.yaml").write_text(
        COSTS.replace("    events:", f"    columns: {columns}\n    events:"), encoding="utf-8"
    )
    with pytest.raises(MappingError, match=r"files\[0\].columns.\w+: expected a column that a template names"):
        load_mapping(tmp_path / "mapping.yaml")


def test_a_key_that_stands_twice_in_a_mapping_is_refused(tmp_path: Path) -> None:
    (tmp_path / "mapping.yaml").write_text(
        under("{column: Net}").replace("when:", "time: now\n        when:"), encoding="utf-8"
    )
    with pytest.raises(MappingError, match="the key time stands twice"):
        load_mapping(tmp_path / "mapping.yaml")


def test_what_is_known_of_a_row_can_be_part_of_it(tmp_path: Path) -> None:
    mapping = with_field("supplier_ref", '"{@file} {@row} {@line} {@title 1|part:1:-}"')
    mapping = mapping.replace("cost-{No}", "{@cells}-{@nth}").replace('"{No}"', '"{@cells}-{@nth}"')
    same = "1,2026-03-01,Fair,20.00"
    events = given(tmp_path, mapping, "Ads - March\n\n" + rows(same, ",,,", same, "2,2026-03-01,Fair,20.00"))
    assert [event["data"]["supplier_ref"] for event in events] == [
        "costs.csv 1 4 Ads", "costs.csv 2 6 Ads", "costs.csv 3 7 Ads"
    ]  # fmt: skip
    fingerprints = [event["id"].rpartition("-") for event in events]
    assert [number for *_, number in fingerprints] == ["1", "2", "1"]
    assert fingerprints[0][0] == fingerprints[1][0] != fingerprints[2][0]


def test_an_id_that_comes_again_in_a_file_is_told_whether_the_rows_are_equal_or_not(tmp_path: Path) -> None:
    mapping = COSTS.replace('"cost-{No}"', '"cost-{Day}-{Campaign}"').replace('"{No}"', '"{Day}-{Campaign}"')
    text = rows(
        "1,2026-03-01,Fair,20.00", "1,2026-03-01,Fair,20.00", "2,2026-03-01,Fair,20.00", "3,2026-03-01,Fair,30.00"
    )
    events, errors = read(opened(tmp_path, mapping, text.replace("No,", "Ad,").replace("No", "Ad")))
    assert (len(events), [type(error) for error in errors]) == (1, [ClashError] * 3)
    for error, said in zip(errors, ("{@nth}", "once: true", "says something else"), strict=True):
        assert "found 'cost-2026-03-01-Fair' as in line 2" in str(error)
        assert said in str(error)


def test_two_rows_that_state_one_thing_at_one_time_under_two_ids_are_told(tmp_path: Path) -> None:
    """Which of the two counts would be decided by how their ids sort."""
    mapping = COSTS.replace('"cost-{No}"', '"{@row}"')
    same, other, later = "1,2026-03-01,Fair,20.00", "1,2026-03-01,Fair,30.00", "1,2026-03-02,Fair,30.00"
    events, errors = read(opened(tmp_path, mapping, rows(same, same, other, later)))
    assert [event["id"] for event in events] == ["1", "4"]  # of two times, the later one is the later statement
    for error in errors:
        assert isinstance(error, ClashError)
        assert "cost_entry_id: expected a value of its own, found '1' as in line 2, of the same time" in str(error)
    assert len(errors) == 2


def test_two_events_of_one_row_that_state_one_thing_are_told(tmp_path: Path) -> None:
    fee = COSTS.partition("    events:")[2].replace("cost-{No}", "fee-{No}").replace("{Net|decimal}", "1.00")
    events, (error,) = read(opened(tmp_path, COSTS.rstrip() + fee, rows("1,2026-03-01,Fair,20.00")))
    assert [event["id"] for event in events] == ["cost-1"]
    assert "cost_entry_id: expected a value of its own" in str(error)


def test_what_restates_has_an_id_that_stays_when_the_row_changes(tmp_path: Path) -> None:
    mapping = COSTS.replace('"cost-{No}"', '"{@cells}"').replace(
        "        data:", "        restates: true\n        data:"
    )
    (tmp_path / "mapping.yaml").write_text(mapping, encoding="utf-8")
    with pytest.raises(MappingError, match="@cells changes with the row"):
        load_mapping(tmp_path / "mapping.yaml")


def test_several_rows_may_name_the_same_thing_once(tmp_path: Path) -> None:
    mapping = COSTS + (
        '      - {type: campaign.registered, id: "campaign-{Campaign}", time: "2026-01-01", once: true,'
        ' data: {campaign_id: "{Campaign|slug}", name: "{Campaign}"}}\n'
    )
    events = given(tmp_path, mapping, rows("1,2026-03-01,Fair,20.00", "2,2026-03-02,Fair,20.00"))
    assert [event["id"] for event in events] == ["cost-1", "campaign-Fair", "cost-2"]
    changing = mapping.replace('name: "{Campaign}"', 'name: "{Campaign} {Day}"')
    _, (error,) = read(opened(tmp_path, changing, rows("1,2026-03-01,Fair,20.00", "2,2026-03-02,Fair,20.00")))
    assert "says something else" in str(error)


def test_a_won_row_without_an_amount_still_gives_its_opportunity(tmp_path: Path) -> None:
    mapping = (
        COSTS + '      - {type: opportunity.opened, id: "opened-{No}", time: "{Day}", data: {opportunity_id: "{No}"}}\n'
    )
    events, (error,) = read(opened(tmp_path, mapping, rows("1,2026-03-01,Fair,")))
    assert [event["type"] for event in events] == ["opportunity.opened"]
    assert str(error).startswith("costs.csv, line 2, Net: ")


def test_two_kinds_of_files_may_restate_one_another(tmp_path: Path) -> None:
    entry = COSTS.removeprefix("\nfiles:\n")
    (tmp_path / "mapping.yaml").write_text(COSTS + entry, encoding="utf-8")
    with pytest.raises(MappingError, match="an id of its own"):
        load_mapping(tmp_path / "mapping.yaml")
    both = (COSTS + entry).replace("        time:", "        restates: true\n        time:")
    (tmp_path / "mapping.yaml").write_text(both, encoding="utf-8")
    assert len(load_mapping(tmp_path / "mapping.yaml").tables) == 2
