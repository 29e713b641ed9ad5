"""Events as they come back from the log: whole, brief for the projections, and written as a CloudEvent."""

from __future__ import annotations

from datetime import datetime
from typing import NamedTuple

import msgspec

_json = msgspec.json.Encoder()


class Stored(NamedTuple):
    """An event read back from the log. `data` and `extensions` are JSON text."""

    position: int
    recorded_at: datetime
    micros: int
    version: int
    source: str
    id: str
    type: str
    time: str
    rest: str
    subject: str | None
    dataschema: str | None
    data: str
    extensions: str | None


class Brief(NamedTuple):
    """What the projections need of an event. `data` is JSON text."""

    position: int
    micros: int
    rest: str
    source: str
    id: str
    type: str
    version: int
    data: str


COLUMNS = ", ".join(Stored._fields)  # of the table events, in the order in which a row of them becomes a Stored
BRIEF_COLUMNS = ", ".join(Brief._fields)


def as_cloudevent(row: Stored) -> bytes:
    """Return a stored event as the JSON of a CloudEvent, with the server's position and recorded_at."""
    event: dict[str, object] = {
        "specversion": "1.0",
        "id": row.id,
        "source": row.source,
        "type": row.type,
        "time": row.time,
    }
    if row.subject is not None:
        event["subject"] = row.subject
    event["datacontenttype"] = "application/json"
    if row.dataschema is not None:
        event["dataschema"] = row.dataschema
    event["data"] = msgspec.Raw(row.data.encode())
    if row.extensions is not None:
        event.update(msgspec.json.decode(row.extensions))
    event["position"], event["recorded_at"] = row.position, row.recorded_at
    return _json.encode(event)
