"""Sealing: what an event says of people beyond what figures need is stored encrypted, inside the event.

    stored data = what is open + {"sealed": {"fields": names, "part": base64(nonce ‖ AES-256-GCM(what is hidden))}}

The key is that of the person whom the event names; of several people, one that is made of all of their keys, since what is said
of them cannot be told apart: once any of them is erased, it is unreadable. Ledger, source, id and people are authenticated with
it, so that a sealed part reads in its own event only. The hash chain covers what is stored.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import os
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any, Protocol

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from service.domain import personal
from service.domain.catalogue import GONE
from service.domain.personal import Parts
from service.store.rows import Row, Whole, content_of, encode_json, same_json

NONCE = 12  # bytes
Keys = Mapping[str, bytes | None]  # by person; None: erased


class Sealable(Protocol):
    """What has the identity of an event."""

    @property
    def source(self) -> str:
        """Its source."""

    @property
    def id(self) -> str:
        """Its id."""


_TITLED = msgspec.json.Decoder(tuple[list[str], str])
_decode = msgspec.json.Decoder(float_hook=Decimal).decode


def locked(key: AESGCM, plain: bytes, about: bytes) -> bytes:
    """Encrypt; `about` is authenticated with it."""
    nonce = os.urandom(NONCE)
    return nonce + key.encrypt(nonce, plain, about)


def unlocked(key: AESGCM, sealed: bytes, about: bytes) -> bytes:
    """Decrypt; ValueError if it was sealed with another key, or for something else."""
    try:
        return key.decrypt(sealed[:NONCE], sealed[NONCE:], about)
    except (InvalidTag, ValueError):
        raise ValueError("this was sealed with another key, or for something else") from None


def divided(row: Row) -> tuple[list[str], Parts, Parts] | None:
    """Return whom a row names, what of it stays open and what is hidden; None where there is nothing to hide."""
    data = _decode(row.data)
    people = personal.persons(row.type, data)
    if not people:
        return None
    shown, hidden = personal.divide(row.type, Parts(data, row.subject, _decode(row.extensions or b"{}")))
    return (people, shown, hidden) if hidden.data or hidden.subject or hidden.extensions else None


def sealed(row: Row, ledger: int, found: tuple[list[str], Parts, Parts], keys: Keys) -> Row:
    """Return a row as it is stored: what is hidden of it encrypted, or gone where somebody whom it names is erased."""
    people, shown, hidden = found
    key = key_of(people, keys)
    titles = {
        name: key and title(key, ledger, people, hidden.data[name])
        for name in personal.TITLES.get(row.type, ()) if type(hidden.data.get(name)) is str
    }  # fmt: skip
    mark: dict[str, Any] = {"fields": personal.told(hidden.data)}
    if key is not None:
        plain = encode_json((hidden.data, hidden.subject, hidden.extensions))
        mark["part"] = base64.b64encode(locked(AESGCM(key), plain, _about(ledger, row, people))).decode()
    data = encode_json({**shown.data, **titles, personal.SEALED: mark})
    content = content_of(
        row.micros, row.version, row.source, row.id, row.type, row.time, row.rest, shown.subject, row.dataschema, data, None
    )  # fmt: skip
    return Row(
        row.micros, row.version, row.source, row.id, row.type, row.time, row.rest, shown.subject, row.dataschema, data,
        None, row.entity, content, seals=True, whole=Whole(row.data, row.subject, key),
    )  # fmt: skip


def same(row: Row, ledger: int, subject: str | None, data: bytes) -> bool:
    """Tell whether a row says what is stored under its identity, of which subject and data are given.

    Of what was sealed the whole is compared, or, where somebody is erased, what is still open.
    """
    if row.whole is None:
        return row.subject == subject and same_json(row.data, data)
    kept = _decode(data)
    mark = kept.pop(personal.SEALED, None)
    if not is_mark(mark):  # an earlier release has stored it open
        return row.whole.subject == subject and same_json(row.whole.data, data)
    mine = _decode(row.data)
    people = personal.persons(row.type, mine)
    del mine[personal.SEALED]
    shown = Parts(kept, subject, {})
    if row.whole.key is not None and (hidden := hidden_in(row, ledger, people, mark, row.whole.key)) is not None:
        stored = personal.joined(shown, hidden)
        return row.whole.subject == stored.subject and same_json(row.whole.data, encode_json(stored.data))
    # What lists show looks otherwise each time that it is sealed; of what an export says is erased, nothing can be compared.
    unlike = {
        *personal.TITLES.get(row.type, ()),
        *(name for name, one in _decode(row.whole.data).items() if one == GONE),
    }
    mine, kept = ({name: one for name, one in open_.items() if name not in unlike} for open_ in (mine, kept))
    return row.subject == subject and same_json(encode_json(mine), encode_json(kept))


_TITLE = "sealed:"  # begins a title that is sealed


def title(key: bytes, ledger: int, people: Sequence[str], text: str) -> str:
    """Return a title that lists show, sealed: whatever copies it copies what is sealed."""
    part = locked(AESGCM(key), text.encode(), encode_json((ledger, people)))
    return _TITLE + base64.b64encode(encode_json((people, base64.b64encode(part).decode()))).decode()


def titled(text: str | None) -> list[str] | None:
    """Return whom a sealed title is about; None for one that is not sealed."""
    try:
        people, _ = _title(text) if text and text.startswith(_TITLE) else (None, b"")
    except ValueError:
        return None  # somebody called it so
    return people


def untitled(text: str, ledger: int, keys: Keys) -> str | None:
    """Return a title as it came; None where it is erased."""
    people, part = _title(text)
    key = key_of(people, keys)
    try:
        return None if key is None else unlocked(AESGCM(key), part, encode_json((ledger, people))).decode()
    except ValueError:
        return None


def _title(text: str) -> tuple[list[str], bytes]:
    """Return whom a title is about and its sealed part; ValueError if that is none."""
    try:
        people, part = _TITLED.decode(base64.b64decode(text.removeprefix(_TITLE), validate=True))
        return people, base64.b64decode(part, validate=True)
    except (binascii.Error, msgspec.MsgspecError) as error:
        raise ValueError(str(error)) from error


def is_mark(mark: Any) -> bool:
    """Tell whether a member of stored data is what tells of a sealed part; else its sender has called a field so."""
    return type(mark) is dict and type(mark.get("fields")) is list and mark.keys() <= {"fields", "part"}


def key_of(people: Sequence[str], keys: Keys) -> bytes | None:
    """Return the key of what is said of people; None where somebody has none (any more)."""
    several = [keys.get(one) for one in people]
    found = [one for one in several if one is not None]
    if len(found) < len(several):
        return None
    return found[0] if len(found) == 1 else hashlib.sha256(b"".join(found)).digest()


def hidden_in(row: Sealable, ledger: int, people: Sequence[str], mark: Mapping[str, Any], key: bytes) -> Parts | None:
    """Return what a mark hides, if the key opens it."""
    try:
        plain = unlocked(AESGCM(key), base64.b64decode(mark.get("part", "")), _about(ledger, row, people))
    except (ValueError, TypeError, binascii.Error):
        return None
    return Parts(*_decode(plain))


def _about(ledger: int, row: Sealable, people: Sequence[str]) -> bytes:
    return encode_json((ledger, row.source, row.id, people))
