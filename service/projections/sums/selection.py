"""What a read asks for, and the SQL that finds it: windows, groups, filters, and where the sums of a moment come from.

Now, sums are the balances. As known at an earlier position they are the closing next to it (`closings`), or the balances
where these are nearer, and the postings between there and the position, added or taken off.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, NamedTuple

from service.domain.calendar import GRAINS, covering, grain_label
from service.domain.cubes import DEALS
from service.domain.details import WAITING
from service.domain.layout import Layout, Stored
from service.projections.sums.balance_sql import of_postings

TIME_GROUPS = {
    "day": "day",
    "week": "day",
    "month": "month",
    "quarter": "month",
    "year": "year",
}  # → the coarsest grain that serves it
# Dimensions of a campaign, found by what it was called and classed as then: joined on reading.
OF_CAMPAIGN = {"campaign_type": "k.attributes->>'campaign_type'", "parent": "coalesce(t.top, s.campaign)"}

OF_WHOLE_CAMPAIGNS = ("campaign", *OF_CAMPAIGN)  # what all of a campaign has alike

# To join a posting p with its segment: each by itself, for the planner takes the few rows that it expects as a reason to
# go through all segments for every one that there is.
OF_SEGMENT = """CROSS JOIN LATERAL (
    SELECT cube, campaign, labels FROM segments s
    WHERE s.ledger = $1 AND s.generation = $2 AND s.segment = p.segment LIMIT 1
) s"""

Key = tuple["str | None", ...]
Sums = dict[str, int]  # measure → amount; what is 0 is not there
Piece = tuple[str, date, date]  # grain, first day, end


def column_of(group: str) -> str:
    """Return the member of a row that names its group."""
    return "campaign_id" if group == "campaign" else group


class Span(NamedTuple):
    """Days [since, until); of one measure alone, and as known at a position, where these are given."""

    since: date
    until: date
    position: int | None = None
    measure: str | None = None

    @property
    def days(self) -> tuple[date | None, date | None]:
        """Its days as a window, which is open where nothing lies beyond."""
        return self.since if self.since > date.min else None, self.until if self.until < date.max else None


@dataclass(frozen=True)
class Query:
    """What a read asks for: [since, until) in days, grouped, on a date basis, of what has one of the values of each filter."""

    group_by: tuple[str, ...] = ("campaign",)
    since: date | None = None
    until: date | None = None
    basis: str = "event"
    only: tuple[tuple[str, tuple[str, ...]], ...] = ()  # (dimension, values); the value "" = what has none
    overdue: tuple[bool, int] | None = None  # of postings: whether their clocks are overdue at an instant, or not yet
    spans: tuple[Span, ...] = ()  # what it asks for instead of one window

    @property
    def windows(self) -> tuple[Span, ...]:
        """What it asks for: its spans, else its window."""
        return self.spans or (Span(self.since or date.min, self.until or date.max),)

    @property
    def undated(self) -> bool:
        """Whether it asks for what has no day, too, which is in every window: not where spans are of one measure each."""
        return not any(span.measure for span in self.spans)

    @property
    def names(self) -> list[str]:
        """The members that name a row's group."""
        return [column_of(one) for one in self.group_by]

    @property
    def dimensions(self) -> set[str]:
        """The dimensions that its groups and filters need."""
        return {*self.group_by, *(name for name, _ in self.only)} - TIME_GROUPS.keys()

    @property
    def one_campaign(self) -> bool:
        """Whether it is about one campaign."""
        return any(name == "campaign" and len(values) == 1 for name, values in self.only)

    def labels(self, key: Iterable[Any]) -> Key:
        """Return the key of a group as answers write it."""
        if TIME_GROUPS.keys().isdisjoint(self.group_by):
            return tuple(key)
        return tuple(
            (None if value == date.min else grain_label(value, group)) if group in TIME_GROUPS else value
            for group, value in zip(self.group_by, key, strict=True)
        )


def of_campaign(campaign: str) -> tuple[tuple[str, tuple[str, ...]], ...]:
    """Return the filter of one campaign; empty = what is unattributed."""
    return (("campaign", (campaign,)),)


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
    """Where a read looks: one generation of a ledger, as known at a position.

    `tops` are the topmost ancestors of campaigns, `aliases` what merged accounts go by.
    """

    ledger: int
    generation: int
    position: int
    base: Base
    layout: Layout
    tops: Mapping[str, str] = {}
    aliases: Mapping[str, str] = {}


class Selection:
    """Builds the parts that all reads of one cube share; every value is a parameter."""

    def __init__(
        self, moment: Moment, query: Query, measures: Sequence[str], *,
        coarsest: str = "year", pieces: Sequence[Piece] | None = None,
    ) -> None:  # fmt: skip
        """`coarsest` is the largest grain that will do; `pieces` are what to read instead of the query's window."""
        self.query = query
        self.moment = moment
        self.measures = measures
        self.columns = {measure: f"c{number}" for number, measure in enumerate(measures)}
        self.cube = next((cube for one in measures if (cube := moment.layout.cube_of(one))), DEALS.name)
        self.letter = self.stored.letter(_stored_dimensions(query.dimensions))
        self.values: list[Any] = list(moment[:3])
        grains = [TIME_GROUPS[one] for one in query.group_by if one in TIME_GROUPS]
        self.coarsest = min([*grains, coarsest], key=GRAINS.index)
        self.undated = pieces is None  # what has no day is never windowed
        if pieces is None:
            pieces = [one for span in query.windows for one in covering(*span.days, self.coarsest)]
        self.pieces = pieces

    @property
    def stored(self) -> Stored:
        """The cube that it reads, as it is stored."""
        return self.moment.layout.cubes[self.cube]

    @property
    def campaign_letter(self) -> str:
        """The letter of the sums by the postings' `campaign`: the first roll-up, where there is one."""
        return self.stored.letters[1 if self.stored.rollups else 0]

    @property
    def rolled_up(self) -> bool:
        """Whether no more than the first roll-up tells apart is needed."""
        return self.letter != self.stored.letters[0] or not self.stored.rollups

    @property
    def by_segment(self) -> bool:
        """Whether each group is one segment of the sums that are read; of everything together, postings know no segment."""
        groups = self.query.group_by
        return bool(groups) and groups == dict(self.stored.levels())[self.letter]

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
        """The expressions of the groups, named k0, k1, …; without groups there is one, of all together."""
        expressions = [] if self.query.group_by else ["0 AS k0"]
        for number, group in enumerate(self.query.group_by):
            period = f"date_trunc('{group}', start::timestamp)::date"
            expressions.append(f"{period if group in TIME_GROUPS else self.dimension(group)} AS k{number}")
        return ", ".join(expressions)

    def key_names(self) -> str:
        """The names of the groups."""
        return ", ".join(f"k{number}" for number in range(self.width))

    def key_numbers(self) -> str:
        """The places of the groups in the output."""
        return ", ".join(str(number + 1) for number in range(self.width))

    @property
    def width(self) -> int:
        """How many key columns there are."""
        return len(self.query.group_by) or 1

    def key(self, row: Sequence[Any]) -> Key:
        """Return the key of a row that begins with the groups, as answers write it."""
        return self.query.labels(row[: len(self.query.group_by)])

    def dimension(self, name: str) -> str:
        """The expression of a dimension: s = segment, k = campaign attributes, t = topmost ancestors."""
        if name == "campaign":
            return "s.campaign"
        if name in OF_CAMPAIGN:
            return OF_CAMPAIGN[name]
        by = self.stored.by
        label = f"s.labels[{by.index(name) + 1}]" if name in by else "NULL::text"  # as an older layout has it
        return f"coalesce({label}, nullif(k.attributes->>'channel', ''))" if name == "channel" else label

    def campaigns(self) -> str:
        """The attributes of campaigns as known then, and their topmost ancestors."""
        tops = self.moment.tops if "parent" in self.query.dimensions else {}
        return f"""
            WITH known AS (
                SELECT DISTINCT ON (campaign) campaign, attributes FROM campaigns
                WHERE ledger = $1 AND generation = $2 AND position <= $3 ORDER BY campaign, position DESC
            ), tops AS (
                SELECT * FROM unnest({self.parameter([*tops])}::text[], {self.parameter([*tops.values()])}::text[])
                AS tops (campaign, top)
            )"""

    def joined(self, rows: str) -> str:
        """Join rows with their segments and campaigns, perhaps of some of them only."""
        return f"""({rows}) b JOIN ({self._segments()}) ON s.segment = b.segment AND {self._only()}"""

    def _segments(self) -> str:
        """The segments, with what is known of their campaigns where that is needed."""
        known = "LEFT JOIN known k ON k.campaign = s.campaign"
        tops = "LEFT JOIN tops t ON t.campaign = s.campaign" if "parent" in self.query.dimensions else ""
        return f"segments s {known} {tops}"

    def segments(self, column: str) -> str:
        """The selection's segments, or those of their campaigns alone, as an array."""
        return f"ARRAY(SELECT DISTINCT s.{column} FROM {self._segments()} WHERE {self._only()})"

    def _only(self) -> str:
        """The conditions on segments: the cube's, with one of the values of each filter."""
        conditions = ["s.ledger = $1 AND s.generation = $2", f"s.cube = '{self.cube}'"]
        for name, values in self.query.only:
            expression = self.dimension(name)
            some = [f"{expression} IS NULL"] if "" in values else []
            aliases = self.moment.aliases if name == "account" else {}
            if stated := [aliases.get(value, value) for value in values if value]:
                some.append(f"{expression} = ANY({self.parameter(stated)})")
            conditions.append(f"({' OR '.join(some)})")
        return " AND ".join(conditions)

    def source(self) -> str:
        """The sums of the window, joined with their segments and campaigns where groups or filters need them."""
        return self.joined(self.rows()) if self.query.dimensions else f"({self.rows()}) b"

    def rows(self) -> str:
        """The sums of the window by segment, start and grain, a column per measure."""
        base, last = self.moment.base, self.moment.position
        stored = list(self.pieces)
        parts = []
        if base.table == "closings" and self.letter == self.stored.letters[0] and self.stored.rollups:
            # Closings have no days of all dimensions together.
            direct = [one for one in stored if one[0] == "day"]
            stored = [one for one in stored if one[0] != "day"]
            if direct or (self.undated and self.coarsest == "day"):
                parts.append(self._of_postings(direct, 0, last, undated=self.coarsest == "day"))
        undated = self.undated and not (parts and self.coarsest == "day")
        if base.table and (stored or undated):
            parts.append(self._stored(stored, undated=undated))
        if (base.position != last and (stored or undated)) or not parts:
            parts.append(self._of_postings(stored, base.position, last, undated=undated))
        return " UNION ALL ".join(parts)

    def places(self, letter: str, pieces: Iterable[Piece], *, undated: bool = True) -> str:
        """The condition that a balance or closing is in the pieces of a window, or has no day."""
        windows = [f"(grain = '{grain[0]}' AND {self.window('start', low, high)})" for grain, low, high in pieces]
        if undated:
            windows.append(f"(grain = '{self.coarsest[0]}' AND start = '-infinity')")
        return f"""ledger = $1 AND generation = $2 AND basis = '{self.query.basis[0]}' AND cube = '{letter}'
            AND ({" OR ".join(windows) or "false"})"""

    def _columns(self) -> str:
        """The stored columns of the measures; those that the layout does not know are empty."""
        layout = self.moment.layout
        return ", ".join(
            f"{layout.column(measure) if measure in layout else 'NULL::numeric'} AS {name}"
            for measure, name in self.columns.items()
        )

    def _stored(self, pieces: Iterable[Piece], *, undated: bool) -> str:
        places = f"balances WHERE {self.places(self.letter, pieces, undated=undated)}"
        if self.moment.base.table == "balances":
            return f"SELECT segment, start, grain, {self._columns()} FROM {places}"
        position = self.parameter(self.moment.base.position)
        return f"""
            SELECT places.segment, places.start, places.grain, {", ".join(self.columns.values())}
            FROM (SELECT basis, cube, grain, start, segment FROM {places}) places
            CROSS JOIN LATERAL (
                SELECT {self._columns()} FROM closings c WHERE c.ledger = $1 AND c.generation = $2
                AND c.basis = places.basis AND c.cube = places.cube AND c.grain = places.grain AND c.start = places.start
                AND c.segment = places.segment AND c.position <= {position} ORDER BY c.position DESC LIMIT 1
            ) closed"""

    def _of_postings(self, pieces: Iterable[Piece], base: int, last: int, *, undated: bool) -> str:
        """Sum the postings between a position and the moment: added where that is later, taken off where it is earlier."""
        low, high = sorted((base, last))
        sign = "-" if base > last else ""
        sums = ", ".join(of_postings([measure], name, sign) for measure, name in self.columns.items())
        day = self.day()
        windows = [self.window(day, first, end) for _, first, end in pieces]
        if undated:
            windows.append(f"{day} = '-infinity'")
        names = self.parameter([one.removesuffix(".total") for one in self.measures])
        # Over a long stretch the index by campaign, measure and day finds the few days; over a short one, the key does.
        named = "" if base else f"AND campaign = ANY({self._all_campaigns()})"
        segment = "segment" if self.letter == self.stored.letters[0] else "campaign"
        return f"""
            SELECT {segment} AS segment, {day} AS start, 'd'::"char" AS grain, {sums}
            FROM postings WHERE ledger = $1 AND generation = $2 AND position > {self.parameter(low)}
            AND position <= {self.parameter(high)} AND measure = ANY({names}) {named}
            AND ({" OR ".join(windows) or "false"}) GROUP BY 1, 2"""

    def _all_campaigns(self) -> str:
        """The segments of all campaigns alone, for the index of postings that starts with them."""
        return f"""ARRAY(SELECT DISTINCT campaign_segment FROM segments
            WHERE ledger = $1 AND generation = $2 AND cube = '{self.cube}')"""

    def day(self) -> str:
        """The column of postings that says on which day they count."""
        return "day" if self.query.basis == "event" else "cohort"

    def postings(self) -> str:
        """The postings of the window for the measures, up to the position."""
        day = self.day()
        measures = self.parameter([one.removesuffix(".total") for one in self.measures])
        return f"""
            SELECT measure, segment, campaign, value, bucket, entity, detail, {day} AS start, amount FROM postings
            WHERE ledger = $1 AND generation = $2 AND position <= $3 AND measure = ANY({measures})
            AND ({self.within()}) {self.overdue()}"""

    def within(self) -> str:
        """The condition that a posting is of the window, or of one of the spans, or has no day."""
        found = [f"{self.day()} = '-infinity'"] if self.query.undated else []
        for span in self.query.windows:
            known = "" if span.position is None else f" AND position <= {self.parameter(span.position)}"
            alone = "" if span.measure is None else f" AND measure = {self.parameter(span.measure)}"
            found.append(f"({self.window(self.day(), span.since, span.until)}{known}{alone})")
        return " OR ".join(found)

    def overdue(self) -> str:
        """The condition that clocks are overdue at an instant, or not yet, as their details say."""
        if self.query.overdue is None:
            return ""
        past, micros = map(self.parameter, self.query.overdue)
        late = f"split_part(detail, ' ', 2)::bigint < {micros}"
        return f"AND CASE measure WHEN '{WAITING}' THEN ({late}) = {past} ELSE true END"

    def window(self, name: str, low: date, high: date) -> str:
        """The condition that a column's day is in [low, high)."""
        return f"{name} >= {self.parameter(low)} AND {name} < {self.parameter(high)}"


def _stored_dimensions(names: Iterable[str]) -> set[str]:
    """Return the stored dimensions that others are found by: a campaign's own, and what stands in for a missing channel."""
    found = {"campaign" if name in OF_CAMPAIGN else name for name in names}
    return found | {"campaign"} if "channel" in found else found
