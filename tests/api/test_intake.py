"""`POST /v1/events` in every form, the log back out, and the quarantine, over real HTTP."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest

from tests.conftest import Api
from tests.support.sending import cost, event, invoice, lead, money, order

BATCH = "application/cloudevents-batch+json"
SINGLE = "application/cloudevents+json"
NDJSON = "application/x-ndjson"


def send(api: Api, body: bytes | str, media_type: str = "application/json", **headers: str) -> httpx.Response:
    return api.http.post("/v1/events", content=body, headers={"Content-Type": media_type, **headers})


def take(api: Api, one: dict[str, Any]) -> httpx.Response:
    return api.http.post("/v1/events", json=one)


def last_position(api: Api) -> int:
    return int(api.http.get("/v1/ledger").json()["last_position"])


@pytest.mark.parametrize("media_type", ["application/json", SINGLE, f"{SINGLE}; charset=utf-8"])
def test_one_event_is_created_at_a_location_and_comes_back_from_there(api: Api, media_type: str) -> None:
    sent = lead("L-1", "c-1")
    answer = send(api, json.dumps(sent), media_type)
    assert answer.status_code == 201
    assert answer.headers["location"] == "/v1/events/1"
    named = {"source": "/test", "id": sent["id"]}
    assert answer.json() == {**named, "status": "accepted", "position": 1, "last_position": 1}
    back = api.http.get("/v1/events/1")
    assert back.headers["content-type"] == SINGLE
    assert back.json().items() >= {**sent, "datacontenttype": "application/json", "position": 1}.items()


def test_a_duplicate_is_answered_with_the_first_position_and_the_last_of_the_ledger(api: Api) -> None:
    first = lead("L-1")
    api.post(first, lead("L-2"), lead("L-3"))
    answer = take(api, first)
    assert answer.status_code == 200
    assert answer.headers["location"] == "/v1/events/1"
    assert (answer.json()["status"], answer.json()["position"], answer.json()["last_position"]) == ("duplicate", 1, 3)


@pytest.mark.parametrize(
    ("path", "first", "second"),
    [
        ("time", '"2026-03-01T12:00:00Z"', '"2026-03-01T14:00:00.000+02:00"'),
        ("data", '{"lead_id":"L","n":1}', '{"n":1.0,"lead_id":"L"}'),
        ("data", '{"lead_id":"L","n":1}', '{"lead_id":"L","n":1e0}'),
        ("data", '{"lead_id":"L","n":[0,120]}', '{"lead_id":"L","n":[-0.0,1.2e2]}'),
        ("data", '{"lead_id":"L","a":{"b":1,"c":2}}', '{"a":{"c":2,"b":1},"lead_id":"\\u004c"}'),
    ],
)
def test_the_same_content_written_otherwise_is_a_duplicate(api: Api, path: str, first: str, second: str) -> None:
    text = json.dumps({**lead("L"), path: "@"})
    assert send(api, text.replace('"@"', first)).status_code == 201
    again = send(api, text.replace('"@"', second))
    assert (again.status_code, again.json()["position"]) == (200, 1)


@pytest.mark.parametrize(
    "change",
    [
        {"time": "2026-03-01T12:00:00.0000001Z"},
        {"subject": "other"},
        {"type": "lead.disqualified"},
        {"data": {"lead_id": "L", "n": 1}},
        {"data": {"lead_id": "L", "n": "1"}},
        {"data": {"lead_id": "L", "n": True}},
    ],
)
def test_another_content_is_a_conflict_and_stores_nothing(api: Api, change: dict[str, Any]) -> None:
    first = lead("L", n=2)
    take(api, first)
    answer = take(api, {**first, **change})
    assert answer.status_code == 409
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json().items() >= {"id": first["id"], "item_status": "conflict", "position": 1}.items()
    assert last_position(api) == 1
    assert api.http.get("/v1/events/1").json()["data"] == first["data"]


def test_binary_mode_reads_the_context_from_percent_encoded_and_quoted_headers(api: Api) -> None:
    headers = {
        "ce-specversion": "1.0", "ce-type": "lead.captured", "ce-time": "2026-03-01T12:00:00Z",
        "ce-id": "Euro%20%E2%82%AC%20%F0%9F%98%80", "ce-source": '"/q\\"uoted%25"', "ce-traceparent": "00-ab",
    }  # fmt: skip
    answer = send(api, '{"lead_id":"L-1","score":1.50}', **headers)
    assert answer.status_code == 201
    back = api.http.get("/v1/events/1")
    assert (back.json()["id"], back.json()["source"], back.json()["traceparent"]) == ("Euro € 😀", '/q"uoted%', "00-ab")
    assert '"score":1.50' in back.text
    structured = {name: back.json()[name] for name in ("specversion", "id", "source", "type", "time", "data")}
    assert take(api, structured).json()["status"] == "duplicate"
    broken = send(api, '{"lead_id":"L-1"}', **{**headers, "ce-id": "%ff"})
    assert (broken.status_code, broken.json()["errors"][0]["field"]) == (422, "id")


def test_a_structured_event_stays_one_though_a_proxy_adds_ce_headers(api: Api) -> None:
    answer = send(api, json.dumps(lead("L-1")), SINGLE, **{"ce-specversion": "1.0", "ce-id": "x"})
    assert (answer.status_code, answer.json()["id"] == "x") == (201, False)


@pytest.mark.parametrize("media_type", [BATCH, "application/json"])
def test_a_batch_answers_item_by_item_in_the_order_sent(api: Api, media_type: str) -> None:
    first, second = lead("L-1"), lead("L-2")
    take(api, first)
    wrong, other = lead(""), {**first, "data": {"lead_id": "L-9"}}
    answer = send(api, json.dumps([second, first, wrong, other, second, 7]), media_type)
    assert answer.status_code == 207
    items = answer.json()["items"]
    statuses = ["accepted", "duplicate", "invalid", "conflict", "duplicate", "invalid"]
    assert [item["status"] for item in items] == statuses
    assert [item["position"] for item in items] == [2, 1, None, 1, 2, None]
    assert all(set(item) == {"source", "id", "status", "position", "problem"} for item in items)
    assert [item["id"] for item in items] == [*(one["id"] for one in (second, first, wrong, other, second)), None]
    assert items[2]["problem"]["errors"][0]["field"] == "data.lead_id"
    assert items[0]["problem"] is None
    assert answer.json()["last_position"] == 2
    assert send(api, json.dumps([first, second]), media_type).status_code == 200


def test_an_empty_list_is_fine_and_says_where_the_ledger_is(api: Api) -> None:
    take(api, lead("L-1"))
    answer = send(api, "[]", BATCH)
    assert (answer.status_code, answer.json()) == (200, {"items": [], "last_position": 1})


def test_one_event_sent_as_a_batch_is_refused_and_not_stored(api: Api) -> None:
    assert send(api, json.dumps(lead("L-1")), BATCH).status_code == 415
    assert send(api, json.dumps("L-1"), BATCH).status_code == 422
    assert last_position(api) == 0
    assert len(api.http.get("/v1/quarantine").json()["items"]) == 1


def test_ndjson_takes_blank_lines_crlf_and_a_last_line_without_an_end(api: Api) -> None:
    first, second, third = lead("L-1"), lead("L-2"), lead("L-3")
    lines = [json.dumps(one) for one in (first, second, third)]
    answer = send(api, f"\n{lines[0]}\r\n\r\n  \n{lines[1]}\nnot json\n{lines[0]}\n{lines[2]}", NDJSON)
    assert answer.status_code == 207
    counts = {"accepted": 3, "duplicate": 1, "conflict": 0, "invalid": 1, "last_position": 3}
    assert answer.json().items() >= counts.items()
    assert [(one["line"], one["status"]) for one in answer.json()["problems"]] == [(6, "invalid")]
    assert [one["id"] for one in api.http.get("/v1/events").json()] == [one["id"] for one in (first, second, third)]


def test_ndjson_of_many_stretches_keeps_the_order_and_names_the_first_hundred_problems(api: Api) -> None:
    sent = [lead(f"L-{number}", note="x" * 600) for number in range(4_000)]
    lines = [json.dumps(one if number % 8 else {**one, "type": "no.such"}) for number, one in enumerate(sent)]
    answer = send(api, "\n".join(lines) + "\n", "application/jsonl").json()
    assert (answer["accepted"], answer["invalid"], answer["last_position"]) == (3_500, 500, 3_500)
    assert [one["line"] for one in answer["problems"]] == [number * 8 + 1 for number in range(100)]
    page = api.http.get("/v1/events", params={"after": 3_000, "limit": 1_000}).json()
    assert [one["id"] for one in page] == [one["id"] for number, one in enumerate(sent) if number % 8][3_000:]
    assert send(api, "", NDJSON).json()["accepted"] == 0


def test_ndjson_is_stored_in_the_order_sent_and_checks_corrections_across_its_stretches(api: Api) -> None:
    wrong = event("order.amended", order_id="O", net_value=money("5.00", "USD"))
    right = [event("order.amended", order_id=f"O{number}", net_value=money("5.00")) for number in range(20)]
    filling = [lead(f"L-{number}") for number in range(3_000)]
    sent = [*right[:10], *filling[:1_500], order("O", "9.00"), *right[10:], *filling[1_500:]]
    answer = send(api, "\n".join(json.dumps(one) for one in [*sent, wrong]), NDJSON).json()
    assert (answer["accepted"], answer["invalid"]) == (len(sent), 1)
    pages = [
        api.http.get("/v1/events", params={"after": after, "limit": 1_000}).json() for after in range(0, 4_000, 1_000)
    ]
    assert [one["id"] for page in pages for one in page] == [one["id"] for one in sent]


def test_ndjson_lists_problems_of_every_kind_by_line(api: Api) -> None:
    first, corrected = lead("L-1"), order("O", "9.00")
    api.post(first, corrected)
    wrong = event("order.amended", order_id="O", net_value=money("5.00", "USD"))
    sent: list[Any] = ["", first, {**first, "subject": "other"}, " ", wrong, lead("L-2"), lead("")]
    answer = send(api, "\n".join(one if isinstance(one, str) else json.dumps(one) for one in sent), NDJSON).json()
    assert {name: answer[name] for name in ("accepted", "duplicate", "conflict", "invalid", "last_position")} == {
        "accepted": 1, "duplicate": 1, "conflict": 1, "invalid": 2, "last_position": 3,
    }  # fmt: skip
    problems = [(one["line"], one["status"], one["id"], one["position"]) for one in answer["problems"]]
    assert problems == [
        (3, "conflict", first["id"], 1),
        (5, "invalid", wrong["id"], None),
        (7, "invalid", sent[6]["id"], None),
    ]
    kept = [json.loads(one["body"])["id"] for one in api.http.get("/v1/quarantine").json()["items"]]
    assert kept == [wrong["id"], sent[6]["id"]]


def test_unknown_fields_and_extensions_are_kept_to_the_last_digit(api: Api) -> None:
    sent = {**lead("L-1"), "traceid": "t", "sampled": True, "hops": -3, "subject": "s", "dataschema": "/s/1"}
    kept = '{"deep":[1.10,null,"ü",12345678901234567890123,1E-7]}'
    assert (
        send(api, json.dumps({**sent, "data": {"lead_id": "L-1", "mine": "@"}}).replace('"@"', kept)).status_code == 201
    )
    back = api.http.get("/v1/events/1")
    assert f'"mine":{kept}' in back.text
    assert [back.json()[name] for name in sent if name != "data"] == [sent[name] for name in sent if name != "data"]
    again = send(api, back.text)  # what came out goes in again, with what the server has added
    assert (again.json()["status"], again.json()["position"]) == ("duplicate", 1)


@pytest.mark.parametrize(
    "body",
    [
        b"", b" ", b"{", b"null", b"7", b'"x"', b"{}", b"[1", b'{"a":NaN}', b'\xef\xbb\xbf{"a":1}', b'{"id":"\xff"}',
        rb'{"id":"\ud800"}', rb'{"id":"a\u0000b"}', b'{"id":"a\x00b"}', b"{" * 100_000, b"[" * 100_000,
        b'{"a":' + b"1" * 5_000 + b"}",
    ],
)  # fmt: skip
def test_what_is_no_event_is_a_422_problem_and_the_service_goes_on(api: Api, body: bytes) -> None:
    answer = send(api, body)
    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["errors"]
    assert last_position(api) == 0
    assert take(api, lead("L-1")).status_code == 201


@pytest.mark.parametrize(
    "extra", [r'"\ud800"', r'"a\u0000b"', r'{"a\u0000":1}', "1e400", "-1e-999999999999", "1e99999999999999999999"]
)
def test_a_value_that_no_reader_could_hold_is_refused_and_does_not_stop_the_figures(api: Api, extra: str) -> None:  # fmt: skip
    text = json.dumps(lead("L-1", extra="@")).replace('"@"', extra)
    answer = send(api, text)
    assert answer.status_code == 422
    bulk = send(api, f"{text}\n{json.dumps(lead('L-2'))}\n", NDJSON)
    assert (bulk.json()["accepted"], bulk.json()["invalid"]) == (1, 1)
    assert api.read("/v1/conversion")["total"]["entered"]["captured"] == 1


def test_numbers_of_any_size_that_readers_can_hold_are_taken_and_projected(api: Api) -> None:
    text = json.dumps(event("lead.qualified", lead_id="L", score="@"))
    for number in ("1e300", "-2.5e-300", "18446744073709551616", "9" * 300, "0.1000000000000000055511151231257827"):
        body = text.replace('"@"', number).replace('"L"', f'"L{number[:5]}"')
        assert send(api, body.replace('"id": "', f'"id": "{number[:9]}')).status_code == 201
    assert api.read("/v1/conversion")["total"]["entered"]["qualified"] == 5


@pytest.mark.parametrize(
    "headers",
    [
        {"Content-Type": "text/plain"}, {"Content-Type": ""}, {"Content-Type": "application/xml", "ce-specversion": "1.0"},
        {"Content-Type": "application/json", "Content-Encoding": "br"},
    ],
)  # fmt: skip
def test_what_is_not_json_is_a_415_that_says_what_to_send(api: Api, headers: dict[str, str]) -> None:
    answer = api.http.post("/v1/events", content=b"{}", headers=headers)
    assert (answer.status_code, answer.json()["title"]) == (415, "Unsupported Media Type")


def in_dollars() -> list[dict[str, Any]]:
    """Corrections of order O, invoice I and cost C."""
    dollars = money("5.00", "USD")
    return [
        event("order.amended", order_id="O", net_value=dollars),
        event("invoice.credited", credit_note_id="N", invoice_id="I", net_amount=dollars, posting_date="2026-03-02"),
        event("campaign.cost_reversed", cost_entry_id="C", amount=dollars),
    ]


def in_euros() -> list[dict[str, Any]]:
    return [order("O", "10.00"), invoice("I", "10.00"), cost("C", "c", "10.00")]


def statuses(api: Api, *events: dict[str, Any]) -> list[str]:
    return [item["status"] for item in api.http.post("/v1/events", json=list(events)).json()["items"]]


def test_a_correction_in_another_currency_is_refused_where_it_is_known(api: Api) -> None:
    corrected, wrong = in_euros(), in_dollars()
    assert statuses(api, *corrected, *wrong) == ["accepted"] * 3 + ["invalid"] * 3
    for one in wrong:
        answer = take(api, {**one, "id": f"{one['id']}-again"})
        assert (answer.status_code, "currency" in answer.json()["errors"][0]["field"]) == (422, True)
    assert last_position(api) == 3


def test_a_correction_that_came_first_is_kept_and_is_a_duplicate_or_conflict_afterwards(api: Api) -> None:
    corrected, wrong = in_euros(), in_dollars()
    assert statuses(api, *wrong, *corrected) == ["accepted"] * 6
    assert statuses(api, *wrong) == ["duplicate"] * 3
    assert take(api, {**wrong[0], "data": {"order_id": "O", "net_value": money("6.00", "USD")}}).status_code == 409
    flags = api.http.get("/v1/flags", params={"as_of": 6}).json()["rows"]
    assert len([one for one in flags if "USD" in one["reason"]]) == 3


@pytest.mark.parametrize("void_first", [True, False])
def test_a_voided_statement_binds_nobody_to_its_currency(api: Api, *, void_first: bool) -> None:
    placed = order("O", "10.00")
    void = event("event.voided", **{name: placed[name] for name in ("source", "id")})
    assert statuses(api, *((void, placed) if void_first else (placed, void)), in_dollars()[0]) == ["accepted"] * 3


def test_the_last_statement_of_what_is_corrected_tells_the_currency(api: Api) -> None:
    first = order("O", "10.00", "2026-03-01T10:00:00Z")
    restated = event("order.placed", "2026-03-02T10:00:00Z", order_id="O", net_value=money("12.00", "USD"))
    in_euro = event("order.amended", "2026-03-03T10:00:00Z", order_id="O", net_value=money("5.00", "EUR"))
    assert statuses(api, restated, first, in_dollars()[0], in_euro) == ["accepted"] * 3 + ["invalid"]


def test_the_cogs_of_a_credit_note_are_in_the_currency_of_its_invoices(api: Api) -> None:
    credit = event(
        "invoice.credited", credit_note_id="N", invoice_id="I", net_amount=money("5.00", "EUR"), posting_date="2026-03-02",
        cogs=money("2.00", "USD"),
    )  # fmt: skip
    posted = invoice("I", "10.00", cogs=money("4.00", "EUR"))
    assert statuses(api, posted, credit) == ["accepted", "invalid"]
    early = {**credit, "id": "early", "data": {**credit["data"], "invoice_id": "J", "credit_note_id": "M"}}
    assert statuses(api, early, invoice("J", "10.00", cogs=money("4.00", "EUR"))) == ["accepted"] * 2
    (flag,) = api.http.get("/v1/flags", params={"as_of": 3}).json()["rows"]
    assert flag["reason"] == "cogs of a credit note in USD of an invoice's in EUR, taken in proportion"


def test_what_twenty_threads_post_at_once_is_stored_once_and_positions_are_dense(api: Api) -> None:
    shared = lead("L-0")
    own = [lead(f"L-{number}") for number in range(1, 21)]
    headers = dict(api.http.headers)

    def post(one: dict[str, Any]) -> tuple[list[int], int]:
        with httpx.Client(base_url=api.http.base_url, headers=headers, timeout=60) as http:
            answers = [http.post("/v1/events", json=sent) for sent in (shared, one, shared)]
        return [answer.json()["position"] for answer in answers], [answer.status_code for answer in answers].count(201)

    with ThreadPoolExecutor(20) as threads:
        answers = list(threads.map(post, own))
    assert len({positions[0] for positions, _ in answers} | {positions[2] for positions, _ in answers}) == 1
    assert sum(created for _, created in answers) == 21
    assert sorted({position for positions, _ in answers for position in positions}) == list(range(1, 22))
    assert [one["position"] for one in api.http.get("/v1/events").json()] == list(range(1, 22))
