"""`exact-online` over HTTP: a subscription can be made, and the tokens that replace each other are kept and not shown."""

from __future__ import annotations

from tests.conftest import Api
from tests.support.hooks import connect
from tests.support.senders_api import serving
from tests.support.stories import exact_online as story


def test_the_empty_post_of_a_new_subscription_is_answered_and_not_kept(api: Api) -> None:
    sender = connect(api, "exact-online", story.SECRET)
    assert sender.post(b"").status_code == 200
    assert sender.post(b"{}").status_code == 401
    assert [one["state"] for one in sender.settled()] == ["rejected"]


def test_a_token_is_had_once_for_many_messages_and_its_successor_is_kept_and_not_shown(api: Api) -> None:
    asked, own = [], story.new_api()

    def answer(method: str, path: str, headers: dict[str, str], body: bytes) -> tuple[int, object]:
        asked.append(method)
        return own(method, path, headers, body)

    with serving(answer) as url:  # type: ignore[arg-type]  # a dict is a mapping
        sender = connect(
            api, "exact-online", story.SECRET, credentials=story.CLIENT, mapping={**story.STORY.mapping, "api_url": url}
        )
        for one in story.STORY.messages:
            assert sender.post(one.body).status_code == 202
            assert sender.settled()[-1]["state"] in ("accepted", "ignored", "duplicate")
    assert asked.count("POST") == 1
    assert len(asked) > 5
    shown = sender.call("GET").json()
    assert shown["credentials"] == ["access_token", "access_until", "client_id", "client_secret", "refresh_token"]
    assert not [one for one in ("refresh-1", "access-1", *story.CLIENT.values()) if one in str(shown)]
