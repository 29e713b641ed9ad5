"""Every kind that reads records back, on structure-aware mutations of its API's answers: no crash, order never matters."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from itertools import count
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from service.intake.reading import as_stated, as_statement
from service.intake.senders import KINDS
from service.intake.senders.contract import (
    Ignored,
    MalformedError,
    Renewal,
    Request,
    Source,
    Statement,
    UnavailableError,
    Wanted,
)
from tests.property.test_sender_fuzz import NOW, URL, Seed, mutated, places, translated
from tests.support.stories import Story, all_stories

ASKED = [one for one in all_stories() if one.api is not None]
_numbers = count(1)
_EXPECTED = (MalformedError, UnavailableError, httpx.HTTPError)


def source_of(story: Story) -> Source:
    """Return a story's source, which keeps renewed credentials in memory."""
    kept: dict[str, str] = dict(story.credentials)

    async def renew(renewed: Renewal) -> Mapping[str, str]:
        kept.update(await renewed(dict(kept)))
        return dict(kept)

    number = next(_numbers)  # tokens are remembered per source, and given per host
    mapping = json.loads(json.dumps(story.mapping).replace("{api}", f"https://api{number}.example.com"))
    mapping = KINDS[story.kind].check_mapping(mapping)
    return Source(
        f"src_fuzz{number}", story.kind, "fuzz", tuple(story.secrets), mapping, URL, credentials=kept, renew=renew
    )


def wanted_of(story: Story, source: Source) -> list[Wanted]:
    """Return what the story's messages want read back."""
    found: list[Wanted] = []
    for one in story.messages:
        body = one.body.replace(b"{api}", b"https://api.example.com")
        request = Request("POST", URL, {name.lower(): value for name, value in one.headers.items()}, {}, body, NOW)
        found += [part for part in KINDS[story.kind].read(request, source) if isinstance(part, Wanted)]
    return found


async def read_back(
    story: Story, source: Source, several: list[Wanted], spoil: Mapping[int, Any]
) -> list[Statement]:  # fmt: skip
    """Fetch each; the answers at the numbers in `spoil` are changed by its functions. Tokens are given as they are."""
    answers = 0

    def answer(request: httpx.Request) -> httpx.Response:
        nonlocal answers
        headers = {name.lower(): value for name, value in request.headers.items()}
        assert story.api is not None
        status, value = story.api(request.method, request.url.raw_path.decode(), headers, request.content)
        if "token" not in request.url.path and not isinstance(value, bytes):
            value = spoil.get(answers, lambda same: same)(value)
            answers += 1
        return httpx.Response(status, content=value if isinstance(value, bytes) else json.dumps(value).encode())

    fetch, found = KINDS[story.kind].fetch, list[Statement]()
    assert fetch is not None
    async with httpx.AsyncClient(transport=httpx.MockTransport(answer)) as client:
        for wanted in several:
            try:
                got = await fetch(wanted, source, client)
                parts = got if isinstance(got, list) else [got]
                assert all(isinstance(one, Statement | Ignored) for one in parts)
                found += [as_statement(as_stated(one, 1)) for one in parts if isinstance(one, Statement)]
            except _EXPECTED:
                continue
    return found


@pytest.mark.parametrize("story", ASKED, ids=lambda one: one.kind)
def test_mutated_answers_never_crash_a_kind_and_their_order_never_matters(story: Story) -> None:
    source = source_of(story)
    several = wanted_of(story, source)
    assert several
    seed = Seed(story.kind, source.mapping, [])

    @settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
    @given(st.data())
    def run(data: st.DataObject) -> None:
        def spoilt(value: Any) -> Any:
            for _ in range(data.draw(st.integers(1, 3))):
                value = mutated(value, data.draw(st.sampled_from(places(value))), data.draw)
            return value

        spoil = dict.fromkeys(data.draw(st.sets(st.integers(0, 2 * len(several)), max_size=3)), spoilt)
        found = asyncio.run(read_back(story, source, several, spoil))
        first = translated(seed, source, found)
        assert translated(seed, source, data.draw(st.permutations(found))) == first
        assert translated(seed, source, [*found, *found]) == first

    run()


@pytest.mark.parametrize("story", ASKED, ids=lambda one: one.kind)
def test_answers_as_they_are_give_statements(story: Story) -> None:
    source = source_of(story)
    assert asyncio.run(read_back(story, source, wanted_of(story, source), {}))
