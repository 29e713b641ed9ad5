"""How reads are asked: the parameters that they share, and how those are read.

Parameters are models; those of a report follow from its declaration (`of_report`, `of_entries`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, date, datetime, timedelta
from typing import Annotated, Any, Literal, NamedTuple

import msgspec
from fastapi import Depends, Path, Query
from pydantic import BaseModel, ConfigDict, Field, create_model

from service.api.auth import Needs
from service.api.formats import FormatParameter, ReportFormat
from service.api.problems import ProblemError
from service.domain.calendar import LAST_DAY, expected_day, parse_day, parse_instant
from service.domain.report import Report
from service.domain.reports import attribution
from service.projections.reports import dues, reading
from service.projections.sums import selection
from service.store.ledgers import Ledger

Reader = Annotated[Ledger, Depends(Needs("read"))]
FigureReader = Annotated[Ledger, Depends(Needs("figures"))]
_MOST_GROUPS = 3
_MOST_ROWS = 10_000
ATTRIBUTION = (
    "the model that deals money: a built-in one, the id of a published one, or `official`; absent = source_campaign"
)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_key = msgspec.json.Decoder(list[str | None])

AsOf = Annotated[
    str | None,
    Query(description="what was known then: a position or an RFC 3339 time", examples=["1200", "2026-03-31T23:59:59Z"]),
]
MinPosition = Annotated[int, Query(ge=0, le=2**62, description="wait until this position is projected, else 503")]
After = Annotated[str, Query(description="as the `Link` of the page before has it")]
Limit = Annotated[int, Query(ge=1, le=1000)]
PAGE = 100
LimitUnlessFile = Annotated[
    int | None,
    Query(ge=1, le=1000, description=f"of a page; absent = {PAGE}, or all there are where a format is asked for"),
]
CampaignPath = Annotated[
    str,
    Path(
        description="the campaign's id, percent-encoded; many clients drop one of dots alone, for which there is `campaign_id`"
    ),
]
_DATE: dict[str, Any] = {"format": "date"}


NowParameter = Annotated[
    str | None,
    Field(
        description="what depends on today is worked out as then, an RFC 3339 time", examples=["2026-03-31T12:00:00Z"]
    ),
]


_COMPARE: Any = (
    str,
    Field(
        "",
        description="beside it: `previous` window, the same days a `year` before, or [first day, end), as YYYY-MM-DD,YYYY-MM-DD",
        examples=["previous", "2025-10-01,2026-01-01"],
    ),
)


class Window(BaseModel):
    """A window of days, on a date basis."""

    model_config = ConfigDict(extra="forbid", populate_by_name=True)
    from_: str | None = Field(
        None, alias="from", description="first day, YYYY-MM-DD", examples=["2026-01-01"], json_schema_extra=_DATE
    )
    to: str | None = Field(
        None, description="the day after the last one, YYYY-MM-DD", examples=["2026-04-01"], json_schema_extra=_DATE
    )
    date_basis: Literal["event", "cohort"] = Field(
        "event", description="each amount on its own date, or on the capture day of its lead"
    )
    min_position: MinPosition = 0


class Known(Window):
    """A window, as it was known at a moment."""

    as_of: AsOf = None


class Compared(Known):
    """A report as of now, perhaps beside another side."""

    now: NowParameter = None
    against_as_of: str | None = Field(
        None, description="beside it what was known then: a position or an RFC 3339 time", examples=["1200"]
    )
    format: ReportFormat = None
    figure: str = Field("", description="of a chart: the figure that it shows", examples=["roas"])


class Rows(Compared):
    """Rows of a report: sorted, page by page."""

    sort: str = Field("", description="a figure, `-` before it = falling; else by key", examples=["-roi.booked"])
    limit: int | None = Field(None, ge=1, le=_MOST_ROWS, description="rows of a page; absent = all rows at once")
    after: After = ""


class Campaign(Known):
    """One campaign's figures."""

    attribution: str = Field("", description=ATTRIBUTION, examples=["linear"])
    now: NowParameter = None
    format: FormatParameter = None


class Entries(Known):
    """A page of what makes up a figure."""

    measure: str = Field(description="a figure by its name in the report", examples=["invoiced_revenue"])
    after: After = ""
    limit: LimitUnlessFile = None
    now: NowParameter = None
    format: FormatParameter = None


def groups_of(report: Report) -> tuple[str, ...]:
    """Return what a report may be grouped by, or what its rows are by."""
    return (*dimensions_of(report), *selection.TIME_GROUPS) if report.keys is None else report.keys


def dimensions_of(report: Report) -> tuple[str, ...]:
    """Return the dimensions that a report may be grouped and filtered by: its cube's, and those of their campaigns."""
    if report.keys:
        return report.keys
    by = report.dimensions
    return (*by[:1], *selection.OF_CAMPAIGN, *by[1:]) if "campaign" in by else by


def of_report(report: Report) -> type[Compared]:
    """Return the parameters of a report."""
    more: dict[str, Any] = {}
    if report.keys is None:
        examples: list[Any] = [report.group_by, f"{report.cube.by[-1]},month"]
        told = f"up to {_MOST_GROUPS} of {', '.join(groups_of(report))}, with commas"
        more["group_by"] = (str, Field(report.group_by, description=told, examples=examples))
    if report.compares:
        more["compare"] = _COMPARE
    more |= {**_filters(report), **_basis(report), **_dealt_by(report)}
    if report.on_request:
        figures: Any = Literal[tuple(sorted(report.on_request))]  # of the declaration
        more["include"] = (list[figures], Field([], description="figures that rows have only if asked for"))
    base = Compared if report.keys == () else Rows
    return create_model(f"{report.name.title()}Parameters", __base__=base, **more)


def of_entries(report: Report) -> type[Entries]:
    """Return the parameters of the entries of a report's figures."""
    names = [*report.figures, *dict.fromkeys(name.rpartition(".")[0] for name in report.figures if "." in name)]
    measure = Field(
        description="a figure by its name in the report", examples=names[:1], json_schema_extra={"enum": [*names]}
    )
    more: dict[str, Any] = {**_filters(report), "measure": (str, measure), **_basis(report), **_dealt_by(report)}
    return create_model(f"{report.name.title()}EntriesParameters", __base__=Entries, **more)


def _basis(report: Report) -> dict[str, Any]:
    """A report of what does not come out of leads has the event basis only."""
    if len(report.bases) > 1:
        return {}
    (basis,) = report.bases
    told = "each on its own day" if basis == "event" else "all on the capture day of the lead that it came out of"
    only: Any = Literal[report.bases]
    return {"date_basis": (only, Field(basis, description=told))}


_MODEL = (
    "a built-in model or the id of a published one; repeated = these; absent = all. Besides, on the cohort basis and by "
    "campaigns alone: shapley, markov"
)


def _dealt_by(report: Report) -> dict[str, Any]:
    """A report that tells of models is asked for some of them; others may have their money dealt by one."""
    if report.keyed:
        return {"model": (list[str], Field([], description=_MODEL, examples=[["linear"]]))}
    told = Field("", description=ATTRIBUTION, examples=["linear"])
    return {"attribution": (str, told)} if report.name in attribution.ATTRIBUTED else {}


def _filters(report: Report) -> dict[str, Any]:
    told = "only what has this value; empty = what has none; repeated = any of them"
    names = map(selection.column_of, dimensions_of(report))
    return {name: (list[str], Field([], description=told)) for name in names}


def invalid(field: str, expected: str, got: str) -> ProblemError:
    """Return the problem of a parameter that cannot be read."""
    errors = [{"field": field, "expected": expected, "got": got[:80]}]
    return ProblemError(422, f"{field}: expected {expected}, got {got[:80]}", kind="invalid-request", errors=errors)


def read_day(field: str, text: str | None, last: int = LAST_DAY) -> date | None:
    """Read a date."""
    if text is None:
        return None
    try:
        return date.fromordinal(parse_day(text, last))
    except ValueError:
        raise invalid(field, expected_day(last), text) from None


def read_time(text: str, field: str, expected: str) -> datetime:
    """Read an RFC 3339 time; an unescaped + arrives as a blank."""
    try:
        return _EPOCH + timedelta(microseconds=parse_instant(text.replace(" ", "+")).micros)
    except (ValueError, OverflowError):
        raise invalid(field, expected, text) from None


def read_moment(text: str | None, field: str = "as_of") -> int | datetime | None:
    """Read a moment of knowing: a position or a time."""
    if text is None:
        return None
    if text.isascii() and text.isdigit() and len(text) < 19:  # noqa: PLR2004  fits a position
        return int(text)
    return read_time(text, field, "a position, or an RFC 3339 time with offset")


def read_groups(text: str, known: Iterable[str]) -> tuple[str, ...]:
    """Read the groups of `group_by`."""
    groups, known = tuple(one.strip() for one in text.split(",")), list(known)
    unknown = [one for one in groups if one not in known]
    if unknown or len(groups) > _MOST_GROUPS or len(set(groups)) < len(groups):
        raise invalid("group_by", f"up to {_MOST_GROUPS} different ones of {', '.join(known)}", text)
    return groups


def read_query(
    asked: Window, groups: tuple[str, ...], only: Mapping[str, Iterable[str]] | None = None
) -> selection.Query:
    """Read a window with groups and filters, which are by their dimensions; one without values filters nothing."""
    low, high = read_day("from", asked.from_), read_day("to", asked.to, LAST_DAY + 1)  # which is not part of the window
    if low and high and low > high:
        raise invalid("to", f"a day not before from ({low})", str(high))
    filters = tuple((name, tuple(values)) for name, values in (only or {}).items() if values)
    return selection.Query(groups, low, high, asked.date_basis, filters)


def filters_of(report: Report, asked: BaseModel) -> dict[str, list[str]]:
    """Return the filters that were asked for, by dimension."""
    names = {name: selection.column_of(name) for name in dimensions_of(report)}
    return {name: found for name, column in names.items() if isinstance(found := getattr(asked, column), list)}


def read_key(after: str, query: selection.Query) -> selection.Key | None:
    """Read which row a page comes after: the place of its last one, its key and perhaps how it is told from others."""
    if not after:
        return None
    try:
        found = tuple(_key.decode(after))
    except msgspec.DecodeError:
        found = ()
    if not len(query.group_by) <= len(found) <= len(query.group_by) + 1:
        raise invalid("after", "what the `next` of the page before has", after)
    return found


class Now(NamedTuple):
    """The time that today is told by, and where it is from: what was asked (`now`), the moment of knowing, or the clock."""

    at: datetime
    origin: Literal["now", "as_of", "clock"]

    def of(self, ledger: Ledger) -> dues.Now:
        """Return it as a ledger has it."""
        return dues.now_at(self.at, ledger.timezone)

    def told(self) -> dict[str, Any]:
        """Return it as answers have it."""
        return {"at": self.at, "from": self.origin}


def read_now(text: str | None, moment: int | datetime | None, view: reading.Snapshot) -> Now:
    """Return the time that today is told by: what was asked, else the moment of knowing, else the clock, to the minute."""
    if text is not None:
        return Now(read_time(text, "now", "an RFC 3339 time with offset"), "now")
    if isinstance(moment, datetime):
        return Now(moment, "as_of")
    if moment is not None and view.as_of.recorded_at is not None:
        return Now(view.as_of.recorded_at, "as_of")
    return Now(minute(), "clock")


def minute() -> datetime:
    """Return the clock's time to the minute: answers that depend on it are kept as long."""
    return datetime.now(UTC).replace(second=0, microsecond=0)
