"""Figures that do not add up over periods, over HTTP and on PostgreSQL."""

from __future__ import annotations

from tests.conftest import Api
from tests.support.sending import event, order


def _post_cases(api: Api) -> None:
    api.post(
        event("case.opened", "2026-01-05", case_id="C1", agent_id="kim"),
        event("case.opened", "2026-02-05", case_id="C2", agent_id="lee"),
        event("case.resolved", "2026-03-05", case_id="C1"),
        event("csat.recorded", "2026-03-06", case_id="C1", score=4.5),
    )  # fmt: skip


def test_the_backlog_of_a_window_counts_what_was_opened_before_and_opens_down_to_it(api: Api) -> None:
    _post_cases(api)
    window = {"from": "2026-02-01", "to": "2026-05-01"}
    answer = api.read("/v1/reports/service", group_by="month", **window)
    rows = {row["month"]: (row["opened"], row["backlog"]) for row in answer["rows"]}
    assert rows == {"2026-02": (1, 2), "2026-03": (0, 1), "2026-04": (0, 1)}
    assert (answer["total"]["backlog"], answer["total"]["csat_mean"]) == (1, 4.5)
    entries = api.read("/v1/reports/service/entries", measure="backlog", **window)
    assert (entries["sum"], [one["amount"] for one in entries["entries"]]) == (1, [1, 1, -1])
    kim = api.read("/v1/reports/service", group_by="owner", owner="kim", **window)
    assert [(row["owner"], row["backlog"], row["resolved"]) for row in kim["rows"]] == [("kim", 0, 1)]
    known_then = api.read("/v1/reports/service", group_by="owner", as_of="2")
    assert {row["owner"]: row["backlog"] for row in known_then["rows"]} == {"kim": 1, "lee": 1}


def test_a_window_of_more_periods_than_anybody_reads_is_refused(api: Api) -> None:
    _post_cases(api)
    window = {"from": "1900-01-01", "to": "9999-01-01", "group_by": "day"}
    response = api.http.get("/v1/reports/service", params=window)
    assert (response.status_code, response.json()["errors"][0]["field"]) == (422, "to")


def test_customers_of_a_window_start_with_those_of_before_and_their_churn_is_told_apart(api: Api) -> None:
    api.post(
        order("S1", "10.00", "2026-01-05", account_id="A"),
        order("S2", "10.00", "2026-02-05", account_id="B"),
        event("account.churned", "2026-02-20", account_id="B"),
        event("account.churned", "2026-03-20", account_id="A"),
    )  # fmt: skip
    answer = api.read("/v1/reports/retention", **{"from": "2026-02-01", "to": "2026-05-01"})
    names = ("month", "customers_at_start", "gained", "churned", "churned_of_start", "retention_rate")
    assert [tuple(row[name] for name in names) for row in answer["rows"]] == [
        ("2026-02", 1, 1, 1, 0, 1.0), ("2026-03", 1, 0, 1, 1, 0.0)
    ]  # fmt: skip
    assert [answer["total"][name] for name in names[1:]] == [1, 1, 2, 1, 0.0]
    entries = api.read("/v1/reports/retention/entries", measure="customers_at_start", **{"from": "2026-03-01"})
    assert (entries["sum"], len(entries["entries"])) == (1, 3)


def test_people_count_once_in_the_total_and_by_channel_in_rows(api: Api) -> None:
    api.post(
        event("contact.registered", contact_id="A", emails=["a@example.com"], phones=["1"]),
        event("contact.registered", contact_id="B", emails=["b@example.com"]),
        event("contact.consent_changed", contact_id="A", channel="email", granted=True),
        event("contact.consent_changed", contact_id="A", channel="sms", granted=True),
        event("campaign.messages_sent", campaign_id="F", count=7),
        event("subject.erased", subject_id="B"),
    )
    answer = api.read("/v1/reports/reach")
    names = ("contacts", "consented", "addressable", "reachable", "messages_sent")
    assert {row["channel"]: tuple(row[name] for name in names) for row in answer["rows"]} == {
        "email": (1, 1, 1, 1, 0), "sms": (1, 1, 1, 1, 0), None: (1, 0, 0, 0, 7)
    }  # fmt: skip
    assert tuple(answer["total"][name] for name in names) == (1, 1, 1, 1, 7)
    before = api.read("/v1/reports/reach", as_of="5", channel="email")
    assert tuple(before["total"][name] for name in names) == (2, 1, 2, 1, 0)
    entries = api.read("/v1/reports/reach/entries", measure="consented", channel="sms")
    assert (entries["sum"], entries["entries"][0]["entity"]) == (1, {"kind": "contact", "id": "A"})


def test_percentiles_of_many_cases_are_within_one_percent(api: Api) -> None:
    hours = [1 + number % 40 for number in range(1_200)]
    opened = [
        event("case.opened", "2026-01-05T00:00:00Z", case_id=f"C{n}", agent_id="kim") for n, _ in enumerate(hours)
    ]
    resolved = [
        event("case.resolved", f"2026-01-{5 + hour // 24:02}T{hour % 24:02}:00:00Z", case_id=f"C{n}")
        for n, hour in enumerate(hours)
    ]
    for at in range(0, 1_200, 400):
        api.post(*opened[at : at + 400], *resolved[at : at + 400])
    for window in ({}, {"from": "2026-01-01", "to": "2026-02-01"}, {"from": "2026-01-05", "to": "2026-01-08"}):
        answer = api.read("/v1/reports/service", **window)
        for row in (answer["rows"][0], answer["total"]):
            assert (row["resolved"], row["mean_hours"]) == (1_200, 20.5)
            assert abs(row["p50_hours"] - 20.5) <= 0.205
            assert abs(row["p90_hours"] - 36.1) <= 0.361
