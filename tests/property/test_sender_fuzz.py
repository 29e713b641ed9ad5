"""Every kind of sender on structure-aware mutations of its samples and stories: no crash, nothing lost, order never matters."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from service.intake import healing
from service.intake.reading import as_stated, as_statement
from service.intake.reconcile import reconcile
from service.intake.senders import KINDS
from service.intake.senders.contract import (
    Draft,
    Ignored,
    Kind,
    MalformedError,
    RejectedError,
    Request,
    Source,
    Statement,
    Unreadable,
    Waiting,
    Wanted,
    in_order,
)
from tests.support.stories import Story, all_stories

SAMPLES = Path("docs/senders/samples")
NOW = datetime(2026, 6, 1, tzinfo=UTC)
URL = "https://ledger.example.com/v1/hooks/src_x"
STRANGE: list[Any] = [
    None, "", " ", "x", "x" * 400, "\u0000", "é☃\U0001f600", 0, -1, 1, 10**30, -0.5, 1e300, 0.1 + 0.2, True, False, [], {},
    [[]], [None], {"": ""}, "0", "-1", "1e5", "1e999", "NaN", "Infinity", "1,234.50", "2026-02-30", "9999-12-31T23:59:59Z",
    "0001-01-01T00:00:00Z", "2026-03-01", "/Date(253402300800000)/", "/Date(x)/", "XYZ", "eur", "JPY", "KWD", "__proto__",
]  # fmt: skip


class Seed(NamedTuple):
    """What mutations start from: the messages of a story or a sample, and how the source is set."""

    kind: str
    mapping: Mapping[str, Any]
    messages: Sequence[tuple[bytes, Mapping[str, str], str]]


def mapped(story: Story) -> Any:
    """Return a story's mapping with a URL where its API would be: nothing is asked here."""
    return json.loads(json.dumps(story.mapping).replace("{api}", "https://api.example.com"))


def seeds() -> list[Seed]:
    stories = [
        Seed(one.kind, mapped(one), [(message.body, message.headers, message.query) for message in one.messages])
        for one in all_stories()
    ]
    mappings = {one.kind: one.mapping for one in stories}
    samples = [
        Seed(
            folder.name,
            mappings.get(folder.name, {}),
            [(path.read_bytes(), {}, "") for path in sorted(folder.iterdir())],
        )
        for folder in sorted(SAMPLES.iterdir())
        if folder.name in KINDS
    ]
    return stories + samples


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Return the paths to all values inside a JSON value."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path, *(place for name, one in items for place in places(one, (*path, name)))]


def mutated(value: Any, path: tuple[Any, ...], draw: Any) -> Any:
    """Return the value with something done at a path: replaced, removed, repeated, or written as text."""
    if not path:
        return draw(st.sampled_from(STRANGE))
    name, *rest = path
    copy: Any = dict(value) if isinstance(value, dict) else list(value)
    if rest:
        copy[name] = mutated(copy[name], tuple(rest), draw)
        return copy
    match draw(st.sampled_from(["strange", "strange", "remove", "twice", "as text"])):
        case "strange":
            copy[name] = draw(st.sampled_from(STRANGE))
        case "remove":
            del copy[name]
        case "twice" if isinstance(copy, list):
            copy.insert(name, copy[name])
        case "twice":
            copy[name] = [copy[name], copy[name]]
        case _:
            copy[name] = str(copy[name])
    return copy


@st.composite
def messages(draw: Any, seed: Seed) -> list[tuple[bytes, Mapping[str, str], str]]:
    """Draw a seed's messages with one or several mutations in one of them."""
    several = list(seed.messages)
    at = draw(st.integers(0, len(several) - 1))
    body, headers, query = several[at]
    try:
        value = json.loads(body)
    except ValueError:
        several[at] = (draw(_cut(body)), headers, query)
        return several
    for _ in range(draw(st.integers(1, 3))):
        value = mutated(value, draw(st.sampled_from(places(value))), draw)
    several[at] = (json.dumps(value).encode(), headers, query)
    return several


@st.composite
def _cut(draw: Any, body: bytes) -> bytes:
    """Mutate what is no JSON (XML): drop, repeat or replace a piece."""
    start = draw(st.integers(0, max(0, len(body) - 1)))
    end = draw(st.integers(start, min(len(body), start + 60)))
    piece = draw(st.sampled_from([b"", body[start:end] * 2, b"&x;", b"<a>", b"999999999999999999999", b"\xff", b"-"]))
    return bytes(body[:start] + piece + body[end:])


def statements_of(
    seed: Seed, source: Source, several: Sequence[tuple[bytes, Mapping[str, str], str]]
) -> list[Statement]:
    """Read messages as the service does; what the kind makes of each is checked."""
    kind, found = KINDS[seed.kind], []
    for body, headers, query in several:
        url = f"{URL}?{query}" if query else URL
        source = source._replace(public_url=url)
        lower = {**kind.sign(body, source, NOW), **{name.lower(): value for name, value in headers.items()}}
        parameters = dict(pair.partition("=")[::2] for pair in query.split("&") if pair)
        request = Request("POST", url, lower, parameters, body, NOW)
        with suppress(RejectedError):  # where the proof is in the body, hardly any mutation would come any further
            kind.verify(request, source, NOW)
        try:
            parts = kind.read(request, source)
        except MalformedError:
            continue
        assert parts, "a message that gives nothing says why"
        for part in parts:
            assert isinstance(part, Statement | Ignored | Unreadable | Wanted)
            if isinstance(part, Statement):
                try:
                    found.append(as_statement(as_stated(part, 1)))
                except MalformedError:
                    continue
    return found


def translated(seed: Seed, source: Source, statements: Sequence[Statement]) -> dict[str, Any]:
    """Translate each record as the service does."""
    by_record = defaultdict(list)
    for one in statements:
        by_record[one.record].append(one)
    results: dict[str, Any] = {}
    for record, several in sorted(by_record.items()):
        kind, stated = KINDS[seed.kind], in_order(several)
        try:
            parts, faults = healing.translated(partial(given_by, kind, record, source), stated)
        except MalformedError as error:
            results[record] = str(error)
            continue
        assert all(isinstance(part, Draft | Waiting) for part in parts)
        assert {one.key for one in faults} <= {one.key for one in stated}
        assert parts or faults or kind.unsaid(record, stated, source)
        reconcile(source.name, record, [], [part for part in parts if isinstance(part, Draft)], "2026-06-01T00:00:00Z")
        results[record] = parts, faults
    return results


def given_by(kind: Kind, record: str, source: Source, statements: Sequence[Statement]) -> list[Draft | Waiting]:
    return kind.translate(record, statements, source)


@pytest.mark.parametrize("seed", seeds(), ids=lambda one: f"{one.kind}-{len(one.messages)}")
def test_mutated_messages_never_crash_a_kind_and_their_order_never_matters(seed: Seed) -> None:
    kind = KINDS[seed.kind]
    secrets = ("whsec_YS1zZWNyZXQtZm9yLXRlc3RzLTAxMjM0NTY3ODk=",)
    source = Source("src_x", seed.kind, "fuzz", secrets, kind.check_mapping(seed.mapping), URL)

    @settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
    @given(st.data())
    def run(data: st.DataObject) -> None:
        found = statements_of(seed, source, data.draw(messages(seed)))
        first = translated(seed, source, found)
        assert translated(seed, source, data.draw(st.permutations(found))) == first
        assert translated(seed, source, [*found, *found]) == first

    run()


@pytest.mark.parametrize("seed", seeds(), ids=lambda one: f"{one.kind}-{len(one.messages)}")
def test_what_is_no_message_at_all_is_refused_and_nothing_else(seed: Seed) -> None:
    kind = KINDS[seed.kind]
    source = Source("src_x", seed.kind, "fuzz", ("secret-0123456789",), kind.check_mapping(seed.mapping), URL)
    for body in (
        b"",
        b" ",
        b"null",
        b"[]",
        b"{}",
        b"0",
        b'"x"',
        b"\xff\xfe",
        b"[" * 500,
        b'{"a":' * 500,
        b"<a",
        b"<a/>",
    ):
        request = Request("POST", URL, {}, {}, body, NOW)
        try:
            parts = kind.read(request, source)
        except MalformedError:
            continue
        assert not [one for one in parts if isinstance(one, Statement)], body
