"""Strategies of what a report may be asked: up to three groups, a window, a date basis and filters."""

from __future__ import annotations

from datetime import date
from typing import Any

from hypothesis import strategies as st

from service.api.parameters import dimensions_of, groups_of
from service.domain.report import Report
from service.projections.sums.selection import Query
from tests.reference import strategies as made
from tests.support.memory import of_one_facet

# By dimension, values that events have; the empty one is had by what has none.
VALUES: dict[str, tuple[str, ...]] = {
    "campaign": made.CAMPAIGNS, "campaign_type": ("webinar", "fair"), "parent": (*made.CAMPAIGNS, "c9"),
    "channel": made.CHANNELS, "source": ("google", "bing", "fair"), "medium": ("cpc", "mail"), "lead_magnet": ("guide", "trial"),
    "criterion": ("budget", "need"), "state": ("true", "false", "unstated"), "level": ("mql", "sql"), "score": ("0-9", "70-79"),
    "measure": ("leads", "booked_revenue"), "period": ("2024", "2024-Q1", "2024-02"), "stage": ("new", "offer"),
    "reason": ("spam", "no budget"), "owner": (*made.OWNERS, "rep3"), "team": ("north", "south"), "region": ("emea", "apac"),
    "account": made.ACCOUNTS, "lost_reason": ("price", "time"),
}  # fmt: skip


def windows() -> st.SearchStrategy[tuple[date | None, date | None]]:
    """Windows, open ones and empty ones, too."""
    since = st.none() | st.dates(date(2023, 12, 1), date(2024, 12, 31))
    until = st.none() | st.dates(date(2024, 1, 1), date(2025, 2, 1))
    return st.tuples(since, until).map(lambda days: (days[0], max(days)) if None not in days else days)  # type: ignore[type-var]


def filters(report: Report) -> st.SearchStrategy[tuple[tuple[str, tuple[str, ...]], ...]]:
    """Up to two filters, each of one value or several; more often none."""
    one = st.sampled_from(dimensions_of(report)).flatmap(_filter)
    several = st.lists(one, min_size=1, max_size=2, unique_by=lambda found: found[0]).map(tuple)
    return st.just(()) | several


def _filter(name: str) -> st.SearchStrategy[tuple[str, tuple[str, ...]]]:
    values: Any = st.lists(st.sampled_from(("", *VALUES.get(name, ("other",)))), min_size=1, max_size=3, unique=True)
    return st.tuples(st.just(name), values.map(tuple))


def queries(report: Report) -> st.SearchStrategy[Query]:
    """Whatever may be asked of a report."""
    groups: st.SearchStrategy[tuple[str, ...]] = st.just(report.keys or ())
    if report.keys is None:
        groups = st.lists(st.sampled_from(groups_of(report)), min_size=1, max_size=3, unique=True).map(tuple)
    basis = st.sampled_from(report.bases)
    return st.builds(
        lambda group_by, window, on, only: Query(group_by, window[0], window[1], on, only),
        groups, windows(), basis, filters(report),
    ).filter(lambda query: of_one_facet(report, query))  # fmt: skip
