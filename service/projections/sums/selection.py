"""What a read asks for, and the SQL that finds it: windows, groups, and where the sums of a moment come from.

Now, sums are the balances. As known at an earlier position they are the closing next to it (`closings`), or the balances
where these are nearer, and the postings between there and the position, added or taken off.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, NamedTuple

from service.domain.calendar import GRAINS, covering, grain_label
from service.projections.sums.balance_sql import of_postings
from service.projections.sums.balances import column

TIME_GROUPS = {
    "day": "day",
    "month": "month",
    "quarter": "month",
    "year": "year",
}  # → the coarsest grain that serves it
# Groups by a dimension: how a row names it, and where it is found (s = segment, k = campaign attributes).
DIMENSIONS = {
    "campaign": ("campaign_id", "s.campaign"),
    "campaign_type": ("campaign_type", "k.attributes->>'campaign_type'"),
    "parent": ("parent_id", "k.attributes->>'parent_id'"),
    "channel": ("channel", "coalesce(s.channel, nullif(k.attributes->>'channel', ''))"),
    "source": ("source", "s.source"),
    "medium": ("medium", "s.medium"),
    "owner": ("owner", "s.owner"),
}
GROUPS = (*DIMENSIONS, *TIME_GROUPS)
_OF_CAMPAIGN = {"campaign", "campaign_type", "parent"}  # groups that need no more than the campaign

# The segments of campaigns alone, for the index of postings that starts with them.
ALL_CAMPAIGNS = "ARRAY(SELECT DISTINCT campaign_segment FROM segments WHERE ledger = $1 AND generation = $2)"

# To join a posting p with its segment: each by itself, for the planner takes the few rows that it expects as a reason to
# go through all segments for every one that there is.
OF_SEGMENT = """CROSS JOIN LATERAL (
    SELECT campaign, channel, source, medium, owner FROM segments s
    WHERE s.ledger = $1 AND s.generation = $2 AND s.segment = p.segment LIMIT 1
) s"""

Key = tuple[str | None, ...]
Sums = dict[str, int]  # measure → amount; what is 0 is not there
Piece = tuple[str, date, date]  # grain, first day, end


@dataclass(frozen=True)
class Query:
    """What a read asks for: [since, until) in days, grouped, on a date basis, perhaps for one campaign."""

    group_by: tuple[str, ...] = ("campaign",)
    since: date | None = None
    until: date | None = None
    basis: str = "event"
    campaign: str | None = None  # "" = what is unattributed
    only: tuple[tuple[str, str], ...] = ()  # (dimension, value) pairs; the value "" = what has none

    @property
    def names(self) -> list[str]:
        """The members that name a row's group."""
        return [DIMENSIONS[one][0] if one in DIMENSIONS else one for one in self.group_by]

    @property
    def by_campaign(self) -> bool:
        """Whether its groups need no more than the campaign, whose balances are fewer."""
        return {*self.group_by, *(name for name, _ in self.only)} - TIME_GROUPS.keys() <= _OF_CAMPAIGN

    def labels(self, key: Iterable[Any]) -> Key:
        """Return the key of a group as answers write it."""
        if TIME_GROUPS.keys().isdisjoint(self.group_by):
            return tuple(key)
        return tuple(
            (None if value == date.min else grain_label(value, group)) if group in TIME_GROUPS else value
            for group, value in zip(self.group_by, key, strict=True)
        )


def amounts(measures: Sequence[str], texts: Iterable[str | None]) -> Sums:
    """Return sums that the database gave as text: that is exact, however large, and costs less than decimals."""
    return {name: int(text) for name, text in zip(measures, texts, strict=True) if text and text != "0"}


class Base(NamedTuple):
    """What the sums of a moment are made of: those stored for `position`, and the postings between it and the moment.

    `table` is balances, closings, or empty where nothing is stored that early.
    """

    table: str
    position: int


class Moment(NamedTuple):
    """Where a read looks: one generation of a ledger, as known at a position."""

    ledger: int
    generation: int
    position: int
    base: Base


class Selection:
    """Builds the parts that all reads share; every value is a parameter."""

    def __init__(
        self, moment: Moment, query: Query, measures: Sequence[str], *,
        coarsest: str = "year", pieces: Sequence[Piece] | None = None,
    ) -> None:  # fmt: skip
        """`coarsest` is the largest grain that will do; `pieces` are what to read instead of the query's window."""
        self.query = query
        self.moment = moment
        self.measures = measures
        self.cube = "c" if query.by_campaign else "s"
        self.values: list[Any] = list(moment[:3])
        grains = [TIME_GROUPS[one] for one in query.group_by if one in TIME_GROUPS]
        self.coarsest = min([*grains, coarsest], key=GRAINS.index)
        self.undated = pieces is None  # what has no day is never windowed
        self.pieces = covering(query.since, query.until, self.coarsest) if pieces is None else pieces

    def beside(self, query: Query, measures: Sequence[str]) -> Selection:
        """Another selection of the same moment, for the same statement."""
        other = Selection(self.moment, query, measures)
        other.values = self.values
        return other

    def parameter(self, value: Any) -> str:
        """Take a value in; return how the statement names it."""
        self.values.append(value)
        return f"${len(self.values)}"

    def keys(self) -> str:
        """The expressions of the groups, named k0, k1, …"""
        expressions = []
        for number, group in enumerate(self.query.group_by):
            if group in DIMENSIONS:
                expressions.append(f"{DIMENSIONS[group][1]} AS k{number}")
            else:
                expressions.append(f"date_trunc('{group}', start::timestamp)::date AS k{number}")
        return ", ".join(expressions)

    def key_names(self) -> str:
        """The names of the groups."""
        return ", ".join(f"k{number}" for number in range(len(self.query.group_by)))

    def key_numbers(self) -> str:
        """The places of the groups in the output."""
        return ", ".join(str(number + 1) for number in range(len(self.query.group_by)))

    def campaigns(self) -> str:
        """The attributes of campaigns as known then."""
        return """
            WITH known AS (
                SELECT DISTINCT ON (campaign) campaign, attributes FROM campaigns
                WHERE ledger = $1 AND generation = $2 AND position <= $3 ORDER BY campaign, position DESC
            )"""

    def joined(self, rows: str) -> str:
        """Join rows with their segments and campaigns, perhaps of some of them only."""
        return f"""({rows}) b JOIN (segments s LEFT JOIN known k ON k.campaign = s.campaign)
            ON s.ledger = $1 AND s.generation = $2 AND s.segment = b.segment{"".join(self._only())}"""

    def segments(self, column: str) -> str:
        """The selection's segments, or those of their campaigns alone, as an array."""
        return f"""ARRAY(
            SELECT DISTINCT s.{column} FROM segments s LEFT JOIN known k ON k.campaign = s.campaign
            WHERE s.ledger = $1 AND s.generation = $2{"".join(self._only())})"""

    def _only(self) -> Iterable[str]:
        """The conditions on dimensions."""
        campaign = [] if self.query.campaign is None else [("campaign", self.query.campaign)]
        for name, value in (*campaign, *self.query.only):
            yield f" AND {DIMENSIONS[name][1]} {f'= {self.parameter(value)}' if value else 'IS NULL'}"

    def source(self, more: Sequence[str] = ()) -> str:
        """The sums of the window, joined with their segments and campaigns."""
        return self.joined(self.rows(more))

    def rows(self, more: Sequence[str] = ()) -> str:
        """The sums of the window by segment, start and grain, a column per measure; `more` are other stored columns."""
        base, last = self.moment.base, self.moment.position
        stored = list(self.pieces)
        parts = []
        if base.table == "closings" and self.cube == "s":  # closings have no days of segments
            direct = [one for one in stored if one[0] == "day"]
            stored = [one for one in stored if one[0] != "day"]
            if direct or (self.undated and self.coarsest == "day"):
                parts.append(self._of_postings(direct, 0, last, more, undated=self.coarsest == "day"))
        undated = self.undated and not (parts and self.coarsest == "day")
        if base.table and (stored or undated):
            parts.append(self._stored(stored, more, undated=undated))
        if (base.position != last and (stored or undated)) or not parts:
            parts.append(self._of_postings(stored, base.position, last, more, undated=undated))
        return " UNION ALL ".join(parts)

    def places(self, cube: str, pieces: Iterable[Piece], *, undated: bool = True) -> str:
        """The condition that a balance or closing is in the pieces of a window, or has no day."""
        windows = [f"(grain = '{grain[0]}' AND {self.window('start', low, high)})" for grain, low, high in pieces]
        if undated:
            windows.append(f"(grain = '{self.coarsest[0]}' AND start = '-infinity')")
        return f"""ledger = $1 AND generation = $2 AND basis = '{self.query.basis[0]}' AND cube = '{cube}'
            AND ({" OR ".join(windows) or "false"})"""

    def _stored(self, pieces: Iterable[Piece], more: Sequence[str], *, undated: bool) -> str:
        columns = ", ".join([*map(column, self.measures), *more])
        places = f"balances WHERE {self.places(self.cube, pieces, undated=undated)}"
        if self.moment.base.table == "balances":
            return f"SELECT segment, start, grain, {columns} FROM {places}"
        position = self.parameter(self.moment.base.position)
        return f"""
            SELECT places.segment, places.start, places.grain, {columns}
            FROM (SELECT basis, cube, grain, start, segment FROM {places}) places
            CROSS JOIN LATERAL (
                SELECT {columns} FROM closings c WHERE c.ledger = $1 AND c.generation = $2 AND c.basis = places.basis
                AND c.cube = places.cube AND c.grain = places.grain AND c.start = places.start
                AND c.segment = places.segment AND c.position <= {position} ORDER BY c.position DESC LIMIT 1
            ) closed"""

    def _of_postings(
        self, pieces: Iterable[Piece], base: int, last: int, more: Sequence[str], *, undated: bool
    ) -> str:  # fmt: skip
        """Sum the postings between a position and the moment: added where that is later, taken off where it is earlier."""
        low, high = sorted((base, last))
        sums = ", ".join(of_postings(measure, "-" if base > last else "") for measure in self.measures)
        day = self.day()
        windows = [self.window(day, first, end) for _, first, end in pieces]
        if undated:
            windows.append(f"{day} = '-infinity'")
        names = self.parameter([one.removesuffix(".total") for one in self.measures])
        # Over a long stretch the index by campaign, measure and day finds the few days; over a short one, the key does.
        named = "" if base else f"AND campaign = ANY({ALL_CAMPAIGNS})"
        segment = "segment" if self.cube == "s" else "campaign"
        nothing = [f"NULL::numeric AS {one}" for one in more]
        return f"""
            SELECT {segment} AS segment, {day} AS start, 'd'::"char" AS grain, {", ".join([sums, *nothing])}
            FROM postings WHERE ledger = $1 AND generation = $2 AND position > {self.parameter(low)}
            AND position <= {self.parameter(high)} AND measure = ANY({names}) {named}
            AND ({" OR ".join(windows) or "false"}) GROUP BY 1, 2"""

    def day(self) -> str:
        """The column of postings that says on which day they count."""
        return "day" if self.query.basis == "event" else "cohort"

    def postings(self) -> str:
        """The postings of the window for the measures, up to the position."""
        day = self.day()
        window = self.window(day, self.query.since or date.min, self.query.until or date.max)
        measures = self.parameter([one.removesuffix(".total") for one in self.measures])
        return f"""
            SELECT measure, segment, campaign, value, bucket, entity, detail, {day} AS start, amount FROM postings
            WHERE ledger = $1 AND generation = $2 AND position <= $3 AND measure = ANY({measures})
            AND ({window} OR day = '-infinity')"""

    def window(self, name: str, low: date, high: date) -> str:
        """The condition that a column's day is in [low, high)."""
        return f"{name} >= {self.parameter(low)} AND {name} < {self.parameter(high)}"
