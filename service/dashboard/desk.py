"""What a screen works with: one moment of a ledger's books, what was asked, and the words and numbers to say it in.

answer = await desk.report("roi", "campaign", include={"break_even_on"})   # rows and total, as the API answers them
desk.entries("roi", "actual_cost", campaign_id="fair")                     # the URL of what makes a figure up
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from functools import cached_property
from typing import Any

from starlette.requests import Request

from service.api import parameters
from service.bootstrap import Service
from service.dashboard import figures, periods
from service.dashboard.forms import csrf_of
from service.dashboard.language import Language
from service.dashboard.periods import Window
from service.dashboard.state import RETURNS, State
from service.dashboard.writing import Writer
from service.domain.calendar import LAST_DAY
from service.domain.report import Report
from service.projections.reports import answers, comparison
from service.projections.reports.answers import Answer, Page
from service.projections.reports.dues import Now
from service.projections.reports.reading import Snapshot
from service.projections.sums.selection import Query, column_of
from service.store.ledgers import Access

_ACTIVE = ("actual_cost", "booked_revenue", "invoiced_revenue_gross", "funnel.captured", "opportunities.opened")


@dataclass
class Desk:
    """One request's. `years` are those in which anything happened."""

    access: Access
    state: State
    view: Snapshot
    now: parameters.Now
    language: Language
    writer: Writer
    looked: int | None = None  # the position that the reader has seen last
    request: Request | None = None
    years: tuple[int, ...] = ()
    returns: str = "margin"  # which return is set against cost
    _campaigns: dict[str, dict[str, Any]] | None = None

    def __post_init__(self) -> None:
        self.gettext, self.ngettext = self.language.texts.gettext, self.language.texts.ngettext

    @property
    def service(self) -> Service:
        """The service, for what is not in the books: keys, sources, sessions. Only for screens that are made anew each time."""
        assert self.request is not None  # noqa: S101  whoever answers a request gives it
        found: Service = self.request.app.state.service
        return found

    @property
    def csrf(self) -> str:
        """What forms have to send along; "" for whoever is not signed in. Only for screens that are made anew each time."""
        return csrf_of(self.request) if self.request is not None else ""

    def may(self, scope: str) -> bool:
        """Tell whether the reader is signed in, so that forms can be sent, and has a scope."""
        return bool(self.csrf) and self.access.may(scope)

    @property
    def sees_entries(self) -> bool:
        """Whether the reader may see single entries and events, and not figures only."""
        return self.access.may("read")

    @cached_property
    def local(self) -> Now:
        """The time by which figures are told, as the ledger has it."""
        return self.now.of(self.view.ledger)

    @property
    def today(self) -> date:
        """The ledger's local day."""
        return self.local.today

    @cached_property
    def window(self) -> Window:
        """The period that is looked at."""
        one = self.state.one
        return periods.window(one("period"), self.today, self.years, one("from"), one("to"))

    @cached_property
    def other(self) -> Window | None:
        """The period that it is compared with; None where it is not compared."""
        asked, (_, since, until) = self.state.one("compare", "year"), self.window
        if asked == "none" or since is None or until is None:
            return None
        try:
            if asked in ("year", "previous"):
                pair = (comparison.year_before if asked == "year" else comparison.previous)(since, until)
                return Window(asked, *pair)
        except ValueError as error:
            raise parameters.invalid("from", str(error), str(since)) from None
        first, comma, end = asked.partition(",")
        low, high = parameters.read_day("compare", first), parameters.read_day("compare", end, LAST_DAY + 1)
        if not comma or low is None or high is None or low > high:
            raise parameters.invalid("compare", "year, previous, none, or a window as YYYY-MM-DD,YYYY-MM-DD", asked)
        return Window(asked, low, high)

    def choose_return(self, roi: dict[str, Any]) -> None:
        """Take the return that was asked for; else the margin, where all of it is known, else what was invoiced."""
        default = "invoiced" if roi["gross_margin"] is None else "margin"
        self.returns = self.state.among("return", RETURNS, default)

    @property
    def fixed(self) -> dict[str, str]:
        """The parameters that hold what is shown to this position and this time, whatever comes meanwhile."""
        return {"as_of": str(self.view.as_of.position), "now": self.now.at.isoformat().replace("+00:00", "Z")}

    async def read_years(self) -> None:
        """Find out in which years anything happened."""
        rows = await self.view.sums(Query(("year",)), _ACTIVE)
        self.years = tuple(sorted(int(year) for (year,) in rows if year))

    def query(self, report: Report, *groups: str, window: Window | None = None, basis: str | None = None) -> Query:
        """Return the query of a report with the filters of the page; raises a problem for one that it does not have."""
        known = {column_of(name): name for name in parameters.dimensions_of(report)}
        for name, values in self.state.filters.items():
            if name not in known:
                raise parameters.invalid(
                    name, f"no such filter: {report.name} has {', '.join(known)}", ", ".join(values)
                )
        only = tuple((known[name], values) for name, values in self.state.filters.items())
        window = window or self.window
        wanted = basis or self.state.basis
        basis = wanted if wanted in report.bases else report.bases[0]
        return Query(groups, window.since, window.until, basis, only)

    def within(self, window: Window) -> Window:
        """Return the part of a window that is in the period."""
        since, until = self.window.since or date.min, self.window.until or date.max
        return Window(periods.OWN, max(window.since or since, since), min(window.until or until, until))

    def lacks(self, report: Report) -> list[str]:
        """Return the filters in force that a report does not have."""
        known = {column_of(name) for name in parameters.dimensions_of(report)}
        return [name for name in self.state.filters if name not in known]

    def sort(self, report: Report, default: str) -> str:
        """Return the figure that rows come by, `-` before it = falling: the one asked for, else this one."""
        asked = self.state.one("sort", default)
        if asked.removeprefix("-") not in report.figures:
            expected = f"one of {', '.join(report.figures)}, perhaps with - before it"
            raise parameters.invalid("sort", expected, asked)
        return asked

    async def report(
        self, name: str | Report, *groups: str, include: Iterable[str] = (), page: Page = Page(),
        window: Window | None = None, basis: str | None = None,
    ) -> Answer:  # fmt: skip
        """Answer a report as the API does, for the page's period, basis and filters unless others are given."""
        report = figures.report(name)
        query = self.query(report, *groups, window=window, basis=basis)
        found = await answers.read(self.view, report, query, self.local, frozenset(include), page)
        if found is None:
            raise parameters.invalid("after", "what the page before has", str(page.after))
        return found

    async def total(self, name: str | Report, window: Window | None = None, basis: str | None = None) -> dict[str, Any]:
        """Return the total of a report."""
        return (await self.report(name, window=window, basis=basis)).total

    async def campaigns(self) -> dict[str, dict[str, Any]]:
        """Return what is known of campaigns, by id."""
        if self._campaigns is None:
            self._campaigns = await self.view.campaigns()
        return self._campaigns

    async def names(self) -> dict[str, str]:
        """Return how campaigns are called, by id."""
        await self.campaigns()
        return self.known_names

    @cached_property
    def known_names(self) -> dict[str, str]:
        """How campaigns are called, by id, once they are read."""
        return {one: known.get("name") or one for one, known in (self._campaigns or {}).items()}

    def campaign(self, identity: str | None) -> str:
        """Return how a campaign is called, once they are read; or what stands for none."""
        return self.gettext("Unattributed") if identity is None else self.known_names.get(identity, identity)

    def entries(self, report: str, measure: str, window: Window | None = None, **filters: str | None) -> str | None:
        """Return the URL of what makes up a figure, of the rows that have these; None where the reader may not see it."""
        if not self.sees_entries:
            return None
        changes: dict[str, Any] = {name: value or "" for name, value in filters.items()}
        if window is not None:
            changes |= {
                "period": "custom", "from": window.since and window.since.isoformat(),
                "to": window.until and window.until.isoformat(),
            }  # fmt: skip
        return self.state.url(
            "entries", report=report, measure=measure, sort=None, group_by=None, compare=None, **changes
        )

    def money(self, amount: str | None, currency: str | None = None, *, cents: bool = False) -> str:
        """Write an amount."""
        return "–" if amount is None else self.writer.money(amount, currency, cents=cents)
