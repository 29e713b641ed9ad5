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
_HAPPENED = re.compile(
    r"(?P<kind>cost entry|credit note|[a-z]+) (?P<id>\S.*) was (?P<verb>.+?)(?: on (?P<day>\d{4}-\d\d-\d\d))?",
    re.DOTALL,
)
HAPPENED = N_("%(kind)s %(id)s was %(verb)s on %(day)s")
# What an event does with what it names, as the domain says it; and reasons that are told in a word or two.
DONE = (
    N_("accepted"), N_("amended"), N_("booked"), N_("campaign reassigned"), N_("captured"), N_("churned"), N_("completed"),
    N_("consent changed"), N_("contact linked"), N_("contact unlinked"), N_("credited"), N_("defined"), N_("disqualified"),
    N_("erased"), N_("expired"), N_("followed up"), N_("given its budget"), N_("handed over"), N_("merged"),
    N_("messages sent"), N_("model published"), N_("noted to have sent messages"), N_("opened"), N_("placed"), N_("posted"),
    N_("qualified"), N_("rate published"), N_("reassigned"), N_("received"), N_("recorded"), N_("registered"),
    N_("rejected"), N_("renewed"), N_("reopened"), N_("resolved"), N_("reversed"), N_("sent"), N_("set"), N_("stage changed"),
    N_("updated"), N_("value changed"), N_("cancelled"), N_("suppressed"), N_("voided"), N_("won"), N_("lost"), N_("restated"),
    N_("new customer"), N_("no longer a new customer"), N_("no longer won"), N_("no longer lost"), N_("no longer open"),
    N_("contact"), N_("activity"), N_("model"),
)  # fmt: skip
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
    texts = writer.language.texts
    told = {"kind": texts.gettext(found["kind"]), "id": found["id"], "verb": texts.gettext(found["verb"])}
    return texts.gettext(HAPPENED) % {**told, "day": writer.day(found["day"])}
