"""What a URL asks for. The URL is all the state there is: whoever opens it sees the same.

state = read(request)                       # what was given
state.url("campaigns", basis="cohort")      # the same with something else; None takes it out
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cache
from typing import NamedTuple
from urllib.parse import quote, urlencode

from starlette.requests import Request

from service.api import parameters
from service.domain.contributions import REPORTS
from service.projections.sums.selection import column_of

RETURNS = ("margin", "invoiced", "booked")
BASES = ("event", "cohort")
COMPARED = ("year", "previous", "none")
ANY = "*"  # chosen in a filter, it is none
_OF_A_PAGE = ("after", "at")  # what holds for one page of something only
Values = tuple[str, ...]


class State(NamedTuple):
    """What was given: parameters by name, each with its values in their order, and what the page is of."""

    ledger: str
    screen: str
    given: Mapping[str, Values]

    def one(self, name: str, default: str = "") -> str:
        """Return the value of a parameter."""
        values = self.given.get(name, ())
        return values[-1] if values else default

    def among(self, name: str, known: Iterable[str], default: str) -> str:
        """Return the value of a parameter that has to be one of some."""
        value, known = self.one(name) or default, tuple(known)
        if value not in known:
            raise parameters.invalid(name, f"one of {', '.join(known)}", value)
        return value

    @property
    def basis(self) -> str:
        """The date basis."""
        return self.among("date_basis", BASES, "event")

    @property
    def filters(self) -> dict[str, Values]:
        """The filters, by the members that rows have."""
        return {name: values for name, values in self.given.items() if name in filters()}

    def url(self, screen: str | None = None, /, **changes: str | Iterable[str] | None) -> str:
        """Return the URL of the same, or of another screen, with changes. What leads on within a page begins anew."""
        kept = {name: values for name, values in self.given.items() if name not in _OF_A_PAGE}
        for changed, value in changes.items():
            name = changed.removesuffix("_")  # from_, return_: which are no names in Python
            kept.pop(name, None)
            if value is not None:
                kept[name] = (value,) if isinstance(value, str) else tuple(value)
        return self.path(screen or self.screen) + _query(kept)

    def path(self, screen: str) -> str:
        """Return the path of a screen."""
        return f"/ledgers/{quote(self.ledger, safe='')}/{screen}"

    def hidden(self, *shown: str) -> list[tuple[str, str]]:
        """Return what a form has to carry along beside the fields that it shows."""
        left_out = {*shown, *_OF_A_PAGE}
        return [(name, value) for name, values in self.given.items() if name not in left_out for value in values]


def _query(values: Mapping[str, Values]) -> str:
    pairs = [(name, value) for name, several in values.items() for value in several]
    return "?" + urlencode(pairs) if pairs else ""


def read(request: Request, screen: str) -> State:
    """Return what a request asks for. An empty value says nothing, but of a filter, where it means what has none."""
    given: dict[str, list[str]] = {}
    for name, value in request.query_params.multi_items():
        if "\0" in name + value:
            raise parameters.invalid(name.replace("\0", ""), "text without U+0000", "it")
        if value != ANY if name in filters() else value:
            given.setdefault(name, []).append(value)
    return State(request.path_params["ledger"], screen, {name: tuple(values) for name, values in given.items()})


@cache
def filters() -> frozenset[str]:
    """Return the names of all filters of all reports."""
    several = (report for report in REPORTS.values() if not report.keys)  # whose filters are words of the page, too
    return frozenset(column_of(name) for report in several for name in parameters.dimensions_of(report))
