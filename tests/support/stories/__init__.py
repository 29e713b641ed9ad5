"""Lead-to-cash stories, one module per kind of sender: `STORY` says what is posted and which ROI comes out."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from pkgutil import iter_modules
from typing import Any, NamedTuple


class Message(NamedTuple):
    """One POST of the sender; the headers of `KIND.sign` are added to these."""

    body: bytes
    headers: Mapping[str, str] = {}
    query: str = ""  # without the question mark


class Story(NamedTuple):
    """What a system posts from the campaign's cost to the paid invoice, and what ROI has to say then."""

    kind: str
    messages: Sequence[Message]  # in the order of the story; tests shuffle and repeat them
    campaign_id: str
    roi: Mapping[
        str, Any
    ]  # members of the campaign's ROI row: actual_cost, booked_revenue, invoiced_revenue, credited, roi …
    # {api} stands for the URL of `api`, here and in the bodies
    mapping: Mapping[str, Any] = {}
    secrets: Sequence[str] = ("a-secret-of-the-story-0123456789",)
    path_secret: bool = False
    credentials: Mapping[str, str] = {}
    # The sender's own API, where records are read back: (method, path with query, headers, body) → (status, JSON)
    api: Callable[[str, str, Mapping[str, str], bytes], tuple[int, Any]] | None = None
    # what the ledger has besides this system (a sender without costs, for instance): CloudEvents, posted first
    events: Sequence[Mapping[str, Any]] = ()


def all_stories() -> list[Story]:
    """Return the stories that there are, by module name; a module may have several in `STORIES`."""
    modules = [import_module(f"{__name__}.{one.name}") for one in iter_modules(__path__)]
    return [story for module in modules for story in (getattr(module, "STORIES", None) or [module.STORY])]
