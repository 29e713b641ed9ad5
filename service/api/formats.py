"""In which format an answer is wanted: by the parameter `format`, else by the Accept header (RFC 9110).

form = formats.wanted(request, asked.format, formats.TABLES)      # a 406 problem where Accept fits none of them
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Annotated, Literal, NamedTuple

from fastapi import Request
from pydantic import Field

from service.api.problems import ProblemError


class Format(NamedTuple):
    """A format: its media types, the best one first, and whether it is packed already."""

    name: str
    media_types: tuple[str, ...]
    packed: bool = False

    @property
    def content_type(self) -> str:
        """The media type as answers state it."""
        best = self.media_types[0]
        return f"{best}; charset=utf-8; header=present" if best == "text/csv" else best


JSON = Format("json", ("application/json",))
CSV = Format("csv", ("text/csv", "application/csv"))
XLSX = Format("xlsx", ("application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",), packed=True)
PARQUET = Format(
    "parquet", ("application/vnd.apache.parquet", "application/x-parquet", "application/parquet"), packed=True
)
SVG = Format("svg", ("image/svg+xml",))
PNG = Format("png", ("image/png",), packed=True)
EVENTS = Format("json", ("application/cloudevents-batch+json", "application/json"))
TABLES = (JSON, CSV, XLSX, PARQUET)
REPORTS = (*TABLES, SVG, PNG)
OF_EVENTS = (EVENTS, CSV, XLSX, PARQUET)

TableFormat = Literal["json", "csv", "xlsx", "parquet"]
ReportFormat = Annotated[
    Literal["json", "csv", "xlsx", "parquet", "svg", "png"] | None,
    Field(
        description="as a file of this format, with all rows unless `limit` is given, or as a chart of one figure; else the "
        "Accept header decides"
    ),
]
FormatParameter = Annotated[
    TableFormat | None,
    Field(
        description="as a file of this format, with all rows unless `limit` is given; else the Accept header decides"
    ),
]
_QUALITY = re.compile(r"q\s*=\s*([01](?:\.\d{0,3})?)", re.IGNORECASE)


def wanted(request: Request, named: str | None, there_are: Iterable[Format]) -> Format:
    """Return the format that is wanted: the one named, else what Accept likes best, else the first."""
    formats = tuple(there_are)
    if named is not None:
        return next(one for one in formats if one.name == named)
    accept = ",".join(request.headers.getlist("accept"))
    if not accept.strip():
        return formats[0]
    ranges = _ranges(accept)
    liked = [(max(_quality(ranges, media_type) for media_type in one.media_types), one) for one in formats]
    best, form = max(liked, key=lambda one: one[0])  # of those liked alike the first
    if best > 0:
        return form
    known = ", ".join(one.media_types[0] for one in formats)
    raise ProblemError(406, f"there is nothing here that Accept would take; there are {known}")


def _ranges(accept: str) -> dict[str, float]:
    """Return the media ranges of an Accept header with how much each is liked."""
    found = {}
    for one in accept.lower().split(","):
        media_range, *parameters = (part.strip() for part in one.split(";"))
        quality = next((match[1] for part in parameters if (match := _QUALITY.fullmatch(part))), "1")
        found[media_range] = float(quality)
    return found


def _quality(ranges: dict[str, float], media_type: str) -> float:
    """Return how much a media type is liked: what names it best decides."""
    whole = media_type.partition("/")[0] + "/*"
    return next((ranges[one] for one in (media_type, whole, "*/*") if one in ranges), 0.0)
