"""For each kind of sender a lead-to-cash story goes in over HTTP – out of order, partly twice – and its ROI comes out."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from random import Random
from typing import Any

import asyncpg
import pytest

from tests.conftest import Api
from tests.support.hooks import Sender, connect
from tests.support.senders_api import serving
from tests.support.stories import Message, Story, all_stories

STORIES = all_stories()


@contextmanager
def told(story: Story, api: Api, messages: list[Message]) -> Iterator[tuple[dict[str, Any], Sender]]:
    """Post a story's messages and give the campaign's ROI, while the story's API answers."""
    with ExitStack() as stack:
        url = stack.enter_context(serving(story.api)) if story.api else ""
        mapping = json.loads(json.dumps(story.mapping).replace("{api}", url))
        sender = connect(
            api, story.kind, *story.secrets, mapping=mapping, path_secret=story.path_secret,
            credentials=dict(story.credentials),
        )  # fmt: skip
        if story.events:
            api.post(*map(dict, story.events))
        for one in messages:
            answer = sender.post(one.body.replace(b"{api}", url.encode()), one.headers, one.query)
            assert answer.status_code < 300, answer.text
        deliveries = sender.settled()
        assert len(deliveries) == len(messages)
        bad = [one for one in deliveries if one["state"] in ("failed", "rejected")]
        assert not bad, bad
        yield _reported(story, api), sender


def _reported(story: Story, api: Api) -> dict[str, Any]:
    """Return the campaign's ROI; records that are translated with others may follow a moment after their deliveries."""
    deadline = time.monotonic() + 20
    while True:
        position = api.http.get("/v1/ledger").json()["last_position"]
        answer = api.http.get(f"/v1/campaigns/{story.campaign_id}/roi", params={"min_position": position})
        roi: dict[str, Any] = answer.json()
        if time.monotonic() > deadline or (answer.is_success and matches(dict(story.roi), roi)):
            return roi
        time.sleep(0.05)


def matches(expected: Any, got: Any) -> bool:
    if isinstance(expected, dict):
        return all(matches(value, got.get(name)) for name, value in expected.items())
    return bool(expected == got)


def shuffled(story: Story, seed: int) -> list[Message]:
    random = Random(seed)  # noqa: S311  an order, no secret
    messages = [*story.messages, *random.sample(list(story.messages), max(1, len(story.messages) // 3))]
    random.shuffle(messages)
    return messages


@pytest.mark.parametrize("story", STORIES, ids=lambda one: one.kind)
@pytest.mark.parametrize("order", ["as it happened", "shuffled", "shuffled otherwise", "backwards"])
def test_a_story_gives_the_roi_that_it_says(story: Story, order: str, open_api: Callable[..., Api]) -> None:
    messages = {
        "as it happened": list(story.messages), "backwards": list(reversed(story.messages)),
        "shuffled": shuffled(story, 1), "shuffled otherwise": shuffled(story, 2),
    }[order]  # fmt: skip
    api = open_api(currency=_currency(story))
    with told(story, api, messages) as (roi, sender):
        got = {name: roi.get(name) for name in story.roi}
        assert matches(dict(story.roi), got), (
            got,
            dict(story.roi),
            sender.deliveries(),
            api.http.get("/v1/flags").json(),
        )


@pytest.mark.parametrize("story", STORIES, ids=lambda one: one.kind)
def test_what_is_kept_of_a_story_holds_no_secret(story: Story, open_api: Callable[..., Api], dsn: str) -> None:
    async def kept(ledger: int) -> list[bytes]:
        connection = await asyncpg.connect(dsn)
        rows = await connection.fetch("SELECT body, head FROM deliveries WHERE ledger = $1", ledger)
        await connection.close()
        return [bytes(one) for row in rows for one in row if one is not None]  # what is erased is gone

    api = open_api(currency=_currency(story))
    with told(story, api, list(story.messages)):
        found = b"".join(asyncio.run(kept(api.ledger.ledger)))
    assert found
    for secret in (*story.secrets, *story.credentials.values()):
        assert secret.encode() not in found


def _currency(story: Story) -> str:
    return str(story.roi.get("currency", "EUR"))


@pytest.mark.parametrize("story", STORIES, ids=lambda one: one.kind)
def test_translating_a_story_again_changes_nothing(story: Story, open_api: Callable[..., Api]) -> None:
    api = open_api(currency=_currency(story))
    with told(story, api, list(story.messages)) as (_, sender):
        before = api.http.get("/v1/ledger").json()["last_position"]
        assert sender.call("POST", "/retranslate").status_code == 202
        states = {one["state"] for one in sender.settled()}
        assert states <= {"duplicate", "ignored"}, sender.deliveries()
    assert api.http.get("/v1/ledger").json()["last_position"] == before
