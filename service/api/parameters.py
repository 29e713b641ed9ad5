"""How reads are asked and answered: the parameters that all share, waiting for a position, ETags and pages."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, date, datetime, timedelta
from typing import Annotated, Any, Literal, NamedTuple

import msgspec
from fastapi import Depends, Path, Query, Request
from starlette.convertors import StringConvertor, register_url_convertor
from starlette.responses import Response

from service.api.auth import Needs
from service.api.problems import ProblemError
from service.api.response_cache import Answers, Standing, matches
from service.api.urls import link, next_url
from service.bootstrap import Service
from service.domain.calendar import LAST_DAY, expected_day, parse_day, parse_instant
from service.projections.reports import reading
from service.projections.sums import selection
from service.projections.sums.threads import apart
from service.store import log
from service.store.ledgers import Access, Ledger

Reader = Annotated[Ledger, Depends(Needs("read"))]
FigureReader = Annotated[Ledger, Depends(Needs("figures"))]
_MOST_GROUPS = 3
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Asked(NamedTuple):
    """The parameters that every report has."""

    query: selection.Query
    as_of: int | datetime | None
    min_position: int


_DATE: dict[str, Any] = {"format": "date"}
From = Annotated[
    str | None,
    Query(alias="from", description="first day, YYYY-MM-DD", examples=["2026-01-01"], json_schema_extra=_DATE),
]
To = Annotated[
    str | None,
    Query(description="the day after the last one, YYYY-MM-DD", examples=["2026-04-01"], json_schema_extra=_DATE),
]
Basis = Annotated[
    Literal["event", "cohort"], Query(description="each amount on its own date, or on the capture day of its lead")
]
AsOf = Annotated[
    str | None,
    Query(description="what was known then: a position or an RFC 3339 time", examples=["1200", "2026-03-31T23:59:59Z"]),
]
MinPosition = Annotated[int, Query(ge=0, le=2**62, description="wait until this position is projected, else 503")]
After = Annotated[str, Query(description="as the `Link` of the page before has it")]
Limit = Annotated[int, Query(ge=1, le=1000)]
CampaignId = Annotated[
    str | None, Query(description="one campaign; empty = what is unattributed", examples=["fair-2026"])
]
CampaignPath = Annotated[
    str,
    Path(
        description="the campaign's id, percent-encoded; many clients drop one of dots alone, for which there is `campaign_id`"
    ),
]
GroupBy = Annotated[
    str,
    Query(
        description=f"up to {_MOST_GROUPS} of {', '.join(selection.GROUPS)}, with commas",
        examples=["campaign", "channel,month"],
    ),
]


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


def read_moment(text: str | None, field: str = "as_of") -> int | datetime | None:
    """Read a moment of knowing: a position or a time."""
    if text is None:
        return None
    if text.isascii() and text.isdigit() and len(text) < 19:  # noqa: PLR2004  fits a position
        return int(text)
    try:
        micros = parse_instant(text.replace(" ", "+")).micros  # an unescaped + arrives as a blank
        return _EPOCH + timedelta(microseconds=micros)
    except (ValueError, OverflowError):
        raise invalid(field, "a position, or an RFC 3339 time with offset", text) from None


def read_groups(text: str) -> tuple[str, ...]:
    """Read the groups of `group_by`."""
    groups = tuple(one.strip() for one in text.split(","))
    unknown = [one for one in groups if one not in selection.GROUPS]
    if unknown or len(groups) > _MOST_GROUPS or len(set(groups)) < len(groups):
        raise invalid("group_by", f"up to {_MOST_GROUPS} different ones of {', '.join(selection.GROUPS)}", text)
    return groups


def read_asked(
    groups: str, since: str | None, until: str | None, basis: str, as_of: str | None, min_position: int,
    campaign: str | None = None,
) -> Asked:  # fmt: skip
    """Read the parameters of a report."""
    low, high = read_day("from", since), read_day("to", until, LAST_DAY + 1)  # which is not part of the window
    if low and high and low > high:
        raise invalid("to", f"a day not before from ({low})", str(high))
    return Asked(selection.Query(read_groups(groups), low, high, basis, campaign), read_moment(as_of), min_position)


@asynccontextmanager
async def views(
    request: Request, ledger: Ledger, min_position: int, *moments: int | datetime | None
) -> AsyncIterator[list[reading.Snapshot]]:  # fmt: skip
    """Open views of moments of knowing, once a position is projected and those asked about are, as far as recorded."""
    service: Service = request.app.state.service
    standing: Standing = request.app.state.standing
    asked = max((one for one in moments if isinstance(one, int)), default=0)
    if max(asked, min_position) > 0 and (at := (await standing.of(ledger)).checkpoint) < max(asked, min_position):
        if asked > at:  # what was known at a position is known once it has been projected
            min_position = max(min_position, min(asked, (await log.head(service.pool, ledger.ledger))[0]))
        async with request.state.turn.set_down():
            await _wait(service, standing, ledger, min_position)
    async with reading.snapshots(service.pool, ledger, *moments) as opened:
        yield opened


async def _wait(service: Service, standing: Standing, ledger: Ledger, position: int) -> None:
    """Wait until the serving generation has reached what the caller needs; else a 503 problem."""
    patience, pause = service.settings.min_position_timeout, 0.005
    while (served := await standing.of(ledger)).checkpoint < position:
        if patience <= 0:
            raise ProblemError(
                503, f"position {position} is not projected yet, only {served.checkpoint}: try again in a moment",
                kind="not-projected-yet", headers={"Retry-After": "1"}, position=served.checkpoint,
            )  # fmt: skip
        await asyncio.sleep(pause)
        patience, pause = patience - pause, min(pause * 2, 0.1)


def frame(view: reading.Snapshot) -> dict[str, Any]:
    """Return what every answer says of itself: the moment of knowing, and the version of the definitions."""
    moment = {"position": view.as_of.position, "recorded_at": view.as_of.recorded_at}
    return {"as_of": moment, "read_model_version": view.version}


def sees_entries(request: Request) -> bool:
    """Tell whether the key of a request may see single entries and entities, and not figures only."""
    access: Access = request.state.access
    return access.may("read")


class Page(NamedTuple):
    """A page of several: the `after` of the following one, if there is one, and what all of them are known as of.

    All pages are as of the moment of the first one, so that they fit together whatever comes meanwhile.
    """

    following: str | None
    known: dict[str, int] | None = None  # by parameter, where that is not `as_of`


async def answer(
    request: Request, view: reading.Snapshot, body: dict[str, Any], scope: str | None = "read", *, page: Page | None = None
) -> Response:  # fmt: skip
    """Answer a read, or 304 to whom it tells nothing new. What has pages says where the `next` one is.

    `scope` is what a key needs to have this very answer; None: it has parts left out, and is not kept for others.

    The weak ETag is the tag of the read models and the position.
    """
    tag = f'W/"{view.read_model_tag}-{view.as_of.position}"'
    headers = {"ETag": tag, "Cache-Control": "private, no-cache", "Vary": "Authorization, Accept-Encoding"}
    if page is not None:
        known = page.known or {"as_of": view.as_of.position}
        url = next_url(request, None if page.following is None else {**known, "after": page.following})
        body, headers = {**body, "next": url}, headers | link(url)
    rows = body.get("rows", ())
    content = await apart(len(rows), msgspec.json.encode, {**body, **frame(view)})
    found, unchanged = Response(content, headers=headers, media_type="application/json"), Response(None, 304, headers)
    if scope:
        answers: Answers = request.app.state.answers
        answers.keep(request, view, scope, tag, found, unchanged)
    return unchanged if matches(request.headers, tag) else found


class _ReportName(StringConvertor):
    """Tells the reports of a campaign from the rest of an id with slashes."""

    regex = "roi|conversion|velocity"


register_url_convertor("report", _ReportName())
