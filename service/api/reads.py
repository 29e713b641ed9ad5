"""The read models: ROI, conversion, velocity, campaigns, and the lists behind them, with ETag, `as_of` and `min_position`."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from datetime import UTC, date, datetime, timedelta
from typing import Annotated, Any, Literal, NamedTuple

import msgspec
from fastapi import APIRouter, Depends, Path, Query, Request
from starlette.convertors import StringConvertor, register_url_convertor
from starlette.responses import Response

from service.api import schemas
from service.api.auth import Needs
from service.api.problems import ProblemError, refuse_unknown
from service.bootstrap import Service
from service.domain.calendar import parse_day, parse_instant
from service.domain.postings import FLAG, PENDING_LINKS
from service.projections import reading, reports
from service.store import log
from service.store.ledgers import Ledger

router = APIRouter(tags=["read models"])
Reader = Annotated[Ledger, Depends(Needs("read"))]
_MOST_GROUPS = 3
_REMEMBERED = 512
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_pair = msgspec.json.Decoder(tuple[str, str])


class _ReportName(StringConvertor):
    """Tells the reports of a campaign from the rest of an id with slashes."""

    regex = "roi|conversion|velocity"


register_url_convertor("report", _ReportName())


class _Asked(NamedTuple):
    """The parameters that every report has."""

    query: reading.Query
    as_of: int | datetime | None
    min_position: int


_FLAT = ("from", "to", "date_basis", "as_of", "min_position")
_GROUPED = ("group_by", "campaign_id", *_FLAT)
From = Annotated[str | None, Query(alias="from", description="first day, YYYY-MM-DD", examples=["2026-01-01"])]
To = Annotated[str | None, Query(description="the day after the last one, YYYY-MM-DD", examples=["2026-04-01"])]
Basis = Annotated[
    Literal["event", "cohort"], Query(description="each amount on its own date, or on the capture day of its lead")
]
AsOf = Annotated[
    str | None,
    Query(description="what was known then: a position or an RFC 3339 time", examples=["1200", "2026-03-31T23:59:59Z"]),
]
MinPosition = Annotated[int, Query(ge=0, le=2**62, description="wait until this position is projected, else 503")]
GroupBy = Annotated[
    str,
    Query(
        description=f"up to {_MOST_GROUPS} of {', '.join(reading.GROUPS)}, with commas",
        examples=["campaign", "channel,month"],
    ),
]


def _invalid(field: str, expected: str, got: str) -> ProblemError:
    errors = [{"field": field, "expected": expected, "got": got[:80]}]
    return ProblemError(422, f"{field}: expected {expected}, got {got[:80]}", kind="invalid-request", errors=errors)


def _day(field: str, text: str | None) -> date | None:
    if text is None:
        return None
    try:
        return date.fromordinal(parse_day(text))
    except ValueError:
        raise _invalid(field, "a date as YYYY-MM-DD", text) from None


def _moment(text: str | None) -> int | datetime | None:
    if text is None:
        return None
    if text.isascii() and text.isdigit() and len(text) < 19:  # noqa: PLR2004  fits a position
        return int(text)
    try:
        micros = parse_instant(text.replace(" ", "+")).micros  # an unescaped + arrives as a blank
        return _EPOCH + timedelta(microseconds=micros)
    except (ValueError, OverflowError):
        raise _invalid("as_of", "a position, or an RFC 3339 time with offset", text) from None


def _groups(text: str) -> tuple[str, ...]:
    groups = tuple(one.strip() for one in text.split(","))
    unknown = [one for one in groups if one not in reading.GROUPS]
    if unknown or len(groups) > _MOST_GROUPS or len(set(groups)) < len(groups):
        raise _invalid("group_by", f"up to {_MOST_GROUPS} different ones of {', '.join(reading.GROUPS)}", text)
    return groups


def _asked(
    groups: str, since: str | None, until: str | None, basis: str, as_of: str | None, min_position: int,
    campaign: str | None = None,
) -> _Asked:  # fmt: skip
    low, high = _day("from", since), _day("to", until)
    if low and high and low > high:
        raise _invalid("to", f"a day not before from ({low})", str(high))
    return _Asked(reading.Query(_groups(groups), low, high, basis, campaign), _moment(as_of), min_position)


class Answers:
    """Finished answers by position and query: a repeated read costs a look-up, and can never be out of date."""

    def __init__(self) -> None:
        self._kept: OrderedDict[tuple[Any, ...], bytes] = OrderedDict()

    def get(self, key: tuple[Any, ...]) -> bytes | None:
        """Return a finished answer."""
        return self._kept.get(key)

    def keep(self, key: tuple[Any, ...], body: bytes) -> None:
        """Keep a finished answer, dropping the oldest."""
        self._kept[key] = body
        if len(self._kept) > _REMEMBERED:
            self._kept.popitem(last=False)


async def _wait(service: Service, ledger: Ledger, position: int) -> reading.Serving:
    """Return the serving generation, once that has reached what the caller needs; else a 503 problem."""
    patience, pause = service.settings.min_position_timeout, 0.005
    while True:
        served = await reading.serving(service.pool, ledger)
        if served.checkpoint >= position:
            return served
        if patience <= 0:
            raise ProblemError(
                503, f"position {position} is not projected yet, only {served.checkpoint}: try again in a moment",
                kind="not-projected-yet", headers={"Retry-After": "1"}, position=served.checkpoint,
            )  # fmt: skip
        await asyncio.sleep(pause)
        patience, pause = patience - pause, min(pause * 2, 0.1)


async def _report(request: Request, ledger: Ledger, name: str, asked: _Asked, *, flat: bool = False) -> Response:
    service: Service = request.app.state.service
    answers: Answers = request.app.state.answers
    needed = asked.min_position
    if isinstance(asked.as_of, int):  # what was known at a position is known once it has been projected
        needed = max(needed, min(asked.as_of, (await log.head(service.pool, ledger.ledger))[0]))
    served = await _wait(service, ledger, needed)
    checkpoint = served.checkpoint
    at: int | datetime = checkpoint if asked.as_of is None else asked.as_of
    key = (
        ledger.ledger,
        served.edition,
        min(at, checkpoint) if isinstance(at, int) else at,
        checkpoint,
        name,
        asked.query,
        flat,
    )
    if isinstance(at, int) and (body := answers.get(key)) is not None:
        return _tagged(request, served.edition, min(at, checkpoint), body)
    async with reading.snapshot(service.pool, ledger, asked.as_of) as view:
        tag = _etag(view.edition, view.as_of.position)
        if _matches(request, tag):
            return Response(status_code=304, headers=_headers(tag))
        answer = await reports.REPORTS[name](view, asked.query)
        answer |= await _frame(view, asked.query)
        if flat:
            answer = await _flat(view, answer, asked.query.campaign or "")
    body = msgspec.json.encode(answer)
    if view.current and view.as_of.position == checkpoint and view.edition == served.edition:
        answers.keep(key, body)
    return _tagged(request, view.edition, view.as_of.position, body)


async def _frame(view: reading.Snapshot, query: reading.Query) -> dict[str, Any]:
    """Return what every answer says of itself."""
    return {
        "currency": view.ledger.currency,
        "date_basis": query.basis,
        "as_of": {"position": view.as_of.position, "recorded_at": view.as_of.recorded_at},
        "version": view.version,
        "unconverted": await view.unconverted(query),
        "pending_links": await view.pending_links(),
    }


async def _flat(view: reading.Snapshot, answer: dict[str, Any], campaign: str) -> dict[str, Any]:
    """Turn a report of one campaign into one flat object; a campaign that nothing names is a 404 problem."""
    rows, total = answer.pop("rows"), answer.pop("total")
    if not rows and campaign not in await view.campaigns():
        raise ProblemError(404, f"there is no campaign {campaign!r}")
    return {"campaign_id": campaign, **total, **answer}


def _etag(edition: str, position: int) -> str:
    return f'W/"{edition}-{position}"'


def _headers(tag: str) -> dict[str, str]:
    return {"ETag": tag, "Cache-Control": "private, no-cache", "Vary": "Authorization"}


def _matches(request: Request, tag: str) -> bool:
    wanted = request.headers.get("if-none-match", "")
    known = [one.strip().removeprefix("W/") for one in wanted.split(",")]  # RFC 9110: a weak comparison
    return wanted.strip() == "*" or tag.removeprefix("W/") in known


def _tagged(request: Request, edition: str, position: int, body: bytes) -> Response:
    tag = _etag(edition, position)
    if _matches(request, tag):
        return Response(status_code=304, headers=_headers(tag))
    return Response(body, headers=_headers(tag), media_type="application/json")


async def _read(
    request: Request, ledger: Ledger, name: str, groups: str, since: str | None, until: str | None, basis: str,
    as_of: str | None, min_position: int, campaign: str | None,
) -> Response:  # fmt: skip
    refuse_unknown(request, _GROUPED)
    return await _report(request, ledger, name, _asked(groups, since, until, basis, as_of, min_position, campaign))


@router.get("/v1/roi", summary="ROI", response_model=schemas.RoiAnswer, responses=schemas.PROBLEMS)
async def get_roi(
    request: Request, ledger: Reader, group_by: GroupBy = "campaign", from_: From = None, to: To = None,
    date_basis: Basis = "event", as_of: AsOf = None, min_position: MinPosition = 0, campaign_id: str | None = None,
) -> Response:  # fmt: skip
    """Costs, revenues, margins and returns per group; attributed + unattributed = total, to the cent."""
    return await _read(request, ledger, "roi", group_by, from_, to, date_basis, as_of, min_position, campaign_id)


@router.get("/v1/conversion", summary="Conversion", response_model=schemas.ConversionAnswer, responses=schemas.PROBLEMS)
async def get_conversion(
    request: Request, ledger: Reader, group_by: GroupBy = "campaign", from_: From = None, to: To = None,
    date_basis: Basis = "event", as_of: AsOf = None, min_position: MinPosition = 0, campaign_id: str | None = None,
) -> Response:  # fmt: skip
    """How many entered each step, the cohort funnel of the leads captured in the period, and outcomes."""
    return await _read(request, ledger, "conversion", group_by, from_, to, date_basis, as_of, min_position, campaign_id)


@router.get("/v1/velocity", summary="Velocity", response_model=schemas.VelocityAnswer, responses=schemas.PROBLEMS)
async def get_velocity(
    request: Request, ledger: Reader, group_by: GroupBy = "campaign", from_: From = None, to: To = None,
    date_basis: Basis = "event", as_of: AsOf = None, min_position: MinPosition = 0, campaign_id: str | None = None,
) -> Response:  # fmt: skip
    """How long the steps take, in days: mean, median and 90th percentile; negative durations are counted apart."""
    return await _read(request, ledger, "velocity", group_by, from_, to, date_basis, as_of, min_position, campaign_id)


@router.get("/v1/campaigns", summary="Campaigns", response_model=schemas.Campaigns, responses=schemas.PROBLEMS)
async def get_campaigns(
    request: Request, ledger: Reader, after: Annotated[str, Query(description="ids after this one")] = "",
    limit: Annotated[int, Query(ge=1, le=1000)] = 100, as_of: AsOf = None, min_position: MinPosition = 0,
) -> Response:  # fmt: skip
    """List campaigns, registered or only named, by id; `Link: rel=next` leads on while there are more."""
    refuse_unknown(request, ("after", "limit", "as_of", "min_position"))
    service: Service = request.app.state.service
    await _wait(service, ledger, min_position)
    async with reading.snapshot(service.pool, ledger, _moment(as_of)) as view:
        known = [(one, attributes) for one, attributes in (await view.campaigns()).items() if one > after]
    rows = [{"campaign_id": one, **attributes} for one, attributes in known[:limit]]
    answer = {"rows": rows, "as_of": {"position": view.as_of.position, "recorded_at": view.as_of.recorded_at}}
    response = _tagged(request, view.edition, view.as_of.position, msgspec.json.encode(answer))
    if len(known) > limit:
        following = request.url.include_query_params(after=rows[-1]["campaign_id"])
        response.headers["Link"] = f'<{following.path}?{following.query}>; rel="next"'
    return response


@router.get(
    "/v1/campaigns/{campaign_id:path}/{report:report}", summary="One campaign's report", response_class=Response,
    responses={200: {"model": schemas.FlatAnswer}, **schemas.PROBLEMS},
)  # fmt: skip
async def get_campaign_report(
    request: Request, ledger: Reader, campaign_id: Annotated[str, Path(description="the campaign")],
    report: Annotated[Literal["roi", "conversion", "velocity"], Path()], from_: From = None, to: To = None,
    date_basis: Basis = "event", as_of: AsOf = None, min_position: MinPosition = 0,
) -> Response:  # fmt: skip
    """One campaign's ROI, conversion or velocity as one flat object."""
    if not request.scope.get("raw_path", request.url.path.encode()).endswith(f"/{report}".encode()):
        return await get_campaign(request, ledger, f"{campaign_id}/{report}", as_of, min_position)  # a slash of its id
    refuse_unknown(request, _FLAT)
    asked = _asked("campaign", from_, to, date_basis, as_of, min_position, campaign_id)
    return await _report(request, ledger, report, asked, flat=True)


@router.get(
    "/v1/campaigns/{campaign_id:path}",
    summary="One campaign",
    response_model=schemas.Campaign,
    responses=schemas.PROBLEMS,
)
async def get_campaign(
    request: Request, ledger: Reader, campaign_id: Annotated[str, Path(description="the campaign")], as_of: AsOf = None,
    min_position: MinPosition = 0,
) -> Response:  # fmt: skip
    """One campaign's attributes, the last statement of each."""
    refuse_unknown(request, ("as_of", "min_position"))
    service: Service = request.app.state.service
    await _wait(service, ledger, min_position)
    async with reading.snapshot(service.pool, ledger, _moment(as_of)) as view:
        known = await view.campaigns()
    if campaign_id not in known:
        raise ProblemError(404, f"there is no campaign {campaign_id!r}")
    body = {
        "campaign_id": campaign_id,
        **known[campaign_id],
        "as_of": {"position": view.as_of.position, "recorded_at": view.as_of.recorded_at},
    }
    return _tagged(request, view.edition, view.as_of.position, msgspec.json.encode(body))


async def _listed(
    request: Request, ledger: Ledger, measure: str, after: str, limit: int, as_of: str | None
) -> Response:
    refuse_unknown(request, ("after", "limit", "as_of"))
    service: Service = request.app.state.service
    try:
        pair: tuple[str, str] = _pair.decode(after) if after else ("", "")
    except msgspec.DecodeError:
        raise _invalid("after", "what the `Link` of the page before has", after) from None
    async with reading.snapshot(service.pool, ledger, _moment(as_of)) as view:
        found = await view.listed(measure, pair, limit)
    names = ("from", "to") if measure == PENDING_LINKS else ("entity", "reason")
    rows = [dict(zip((*names, "campaign_id", "since_position"), one, strict=True)) for one in found]
    answer = {"rows": rows, "as_of": {"position": view.as_of.position, "recorded_at": view.as_of.recorded_at}}
    response = _tagged(request, view.edition, view.as_of.position, msgspec.json.encode(answer))
    if len(found) == limit:
        following = request.url.include_query_params(after=msgspec.json.encode(found[-1][:2]).decode())
        response.headers["Link"] = f'<{following.path}?{following.query}>; rel="next"'
    return response


After = Annotated[str, Query(description="as the `Link` of the page before has it")]
Limit = Annotated[int, Query(ge=1, le=1000)]


@router.get("/v1/pending-links", summary="Pending links", response_model=schemas.Links, responses=schemas.PROBLEMS)
async def get_pending_links(
    request: Request, ledger: Reader, after: After = "", limit: Limit = 100, as_of: AsOf = None
) -> Response:
    """What waits for something that has not arrived: (from, to) pairs, and since which event."""
    return await _listed(request, ledger, PENDING_LINKS, after, limit, as_of)


@router.get("/v1/flags", summary="Flags", response_model=schemas.Flags, responses=schemas.PROBLEMS)
async def get_flags(
    request: Request, ledger: Reader, after: After = "", limit: Limit = 100, as_of: AsOf = None
) -> Response:
    """What a person should look at: capped reversals, corrections set aside for their currency."""
    return await _listed(request, ledger, FLAG, after, limit, as_of)
