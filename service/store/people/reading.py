"""Reading what was sealed: stored events as they came, and what is erased of them said in its place."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal

import msgspec

from service.domain import personal
from service.domain.personal import Parts
from service.store import sealing
from service.store.log.stored_events import Stored
from service.store.rows import encode_json
from service.store.sealing import Keys

_decode = msgspec.json.Decoder(float_hook=Decimal).decode
_NAMING = ("contact_id", "lead_id", "\\")  # a name may be written with escapes
_MERGES = frozenset((*personal.MERGES, personal.ERASED))


def named(rows: Iterable[Stored]) -> set[str]:
    """Return whom stored events name."""
    return {one for row in rows if _may_name(row) for one in personal.persons(row.type, _decode(row.data))}


def opened(row: Stored, ledger: int, keys: Keys) -> Stored:
    """Return a stored event as it came; what is erased of it says so in its place."""
    if not _may_name(row):
        return row
    data = _decode(row.data)
    people = personal.persons(row.type, data)
    if not people:
        return row
    if not sealing.is_mark(data.get(personal.SEALED)):
        if all(keys.get(one, b"") is not None for one in people):
            return row
        # An earlier release has stored it open.
        shown, more = personal.divide(row.type, Parts(data, row.subject, _decode(row.extensions or "{}")))
        if not (more.data or more.subject or more.extensions):
            return row
        return _written(row, personal.gone(shown, personal.told(more.data)))
    mark = data.pop(personal.SEALED)
    shown, key = Parts(data, row.subject, {}), sealing.key_of(people, keys)
    hidden = None if key is None else sealing.hidden_in(row, ledger, people, mark, key)
    return _written(row, personal.gone(shown, mark["fields"]) if hidden is None else personal.joined(shown, hidden))


def _may_name(row: Stored) -> bool:
    """Tell whether an event may name people; in a tenth of the time that it takes to look."""
    return row.type in _MERGES or any(name in row.data for name in _NAMING)


def _written(row: Stored, parts: Parts) -> Stored:
    extensions = encode_json(parts.extensions).decode() if parts.extensions else None
    return row._replace(data=encode_json(parts.data).decode(), subject=parts.subject, extensions=extensions)
