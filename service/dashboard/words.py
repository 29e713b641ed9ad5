"""What happened, in the reader's words: why an entry is there, and what an event did.

The domain says it in English sentences. Each kind of them is one text of the catalogues, with what it names put in.
"""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Any

from service.dashboard.language import N_
from service.dashboard.writing import Writer

_DAY = re.compile(r"\d{4}-\d\d-\d\d")
_HAPPENED = re.compile(r"(?P<kind>[a-z ]+?) (?P<id>\S.*) was (?P<verb>.+?)(?: on (?P<day>\d{4}-\d\d-\d\d))?", re.DOTALL)
# Reasons with something in them: the text of the catalogues, and how the domain's sentence is read.
_REASONS = (
    N_("re-attributed from %(a)s to %(b)s"), N_("link arrived: attributed to %(a)s"), N_("restated: moved from %(a)s to %(b)s"),
    N_("restated: %(a)s changed"), N_("converted at rate %(a)s of %(b)s"),
    N_("rate changed: now converted at rate %(a)s of %(b)s"),
    N_("rate changed: was rate %(a)s of %(b)s"), N_("voided: %(a)s counts as never sent"),
    N_("merged: %(a)s into %(b)s, from %(c)s to %(d)s"), N_("merged: %(a)s into %(b)s"), N_("no longer reached %(a)s"),
    N_("reached %(a)s"), N_("%(a)s: the duration ends elsewhere, or no longer"), N_("%(a)s: the duration ends"),
    N_("%(a)s: link arrived"),
)  # fmt: skip
_READ = [
    (text, re.compile(re.sub(r"%\\\((\w)\\\)s", r"(?P<\1>.+)", re.escape(text)), re.DOTALL)) for text in _REASONS
]  # fmt: skip
_RATE = re.compile(r"(?P<base>.*), converted at rate (?P<rate>\S+) of (?P<day>\d{4}-\d\d-\d\d)", re.DOTALL)


def decimal(value: Any) -> Decimal:
    """Return a number of an answer exactly."""
    return Decimal(str(value))


def why(writer: Writer, text: str) -> str:
    """Return the reason of an entry, which is told in English."""
    texts = writer.language.texts
    if converted := _RATE.fullmatch(text):
        told = {
            "reason": why(writer, converted["base"]),
            "rate": converted["rate"],
            "day": writer.day(converted["day"]),
        }
        return texts.gettext("%(reason)s, converted at rate %(rate)s of %(day)s") % told
    if texts.knows(text):
        return texts.gettext(text)
    for known, pattern in _READ:
        if found := pattern.fullmatch(text):
            return texts.gettext(known) % {name: _part(writer, part) for name, part in found.groupdict().items()}
    return texts.gettext(text)


def _part(writer: Writer, part: str) -> str:
    if _DAY.fullmatch(part):
        return writer.day(part)
    return writer.language.texts.gettext(part)


def happened(writer: Writer, text: str) -> str:
    """Return what an event did, which is told in English as "credit note CN-17 was posted on 2026-04-09"."""
    found = _HAPPENED.fullmatch(text)
    if found is None or found["day"] is None:
        return _DAY.sub(lambda day: writer.day(day[0]), text)
    known = f"{found['kind']} %(id)s was {found['verb']} on %(day)s"
    return writer.language.texts.gettext(known) % {"id": found["id"], "day": writer.day(found["day"])}
