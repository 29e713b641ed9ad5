"""What a screen is: a question, and how its figures are put together."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from service.dashboard.desk import Desk
from service.dashboard.forms import Act

Build = Callable[[Desk], Awaitable[dict[str, Any]]]
WITHOUT_RETURN = ("period", "basis", "as_of", "filters")
EVERY_CONTROL = ("period", "compare", "basis", "return", "as_of", "filters")


@dataclass(frozen=True)
class Screen:
    """One screen. `menu` is what it is called in the menu, where it stands at `order`; without it, it is led to from others.

    `build` returns what its template needs. `controls` are those of the filter bar that it has a use for; `groups`, what its rows
    may be by, the first one unless another is asked for. `scope` is what a key needs to see it. `acts` are what its forms can
    have done; it `uploads` files by them. What is `fresh` shows more than the books do, and is made anew each time.
    """

    path: str
    question: str
    template: str
    build: Build
    menu: str = ""
    order: int = 0
    scope: str = "figures"
    controls: tuple[str, ...] = EVERY_CONTROL
    groups: tuple[str, ...] = ()
    above: str = ""  # the screen that a crumb leads back to
    acts: Mapping[str, Act] = field(default_factory=dict)
    uploads: bool = False
    fresh: bool = False
