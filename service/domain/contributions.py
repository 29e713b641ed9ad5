"""What entities contribute to all read models: the engine's only entry to the rules, which are pure.

Each module of `reports` that has POSTS adds its rules and measures; there is no list of them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from service.domain import layout, reports
from service.domain.components.billing import CreditNote, Payment
from service.domain.components.entities import Entity
from service.domain.cubes import Posts, total_of
from service.domain.modules import found
from service.domain.postings import Book
from service.domain.report import Report
from service.domain.units import COUNT, DAYS, MONEY, NUMBER, SECONDS

# Part of every ETag; a changed definition of any figure gets a new one. A release that takes a measure away still has to be
# able to add up its postings: an older generation may have some that are in no balance yet when they are compared.
READ_MODEL_VERSION = "3"

POSTS: list[Posts] = found(reports, "POSTS")
LAYOUT = layout.laid_out(POSTS)
REPORTS: dict[str, Report] = {report.name: report for report in found(reports, "REPORT")}
# What reports are by. Others are kept for the sums alone, like the channels that somebody can be addressed by, all in one.
DIMENSIONS = frozenset(name for report in REPORTS.values() for name in report.dimensions)
UNITS: dict[str, str] = {  # of what is posted to a measure, and of what the lengths of a duration add up to
    **{name: COUNT for posts in POSTS for name in (*posts.counts, *posts.durations)},
    **{name: MONEY for posts in POSTS for name in posts.money},
    **{name: SECONDS for posts in POSTS for name in posts.seconds},
    **{total_of(name): DAYS for posts in POSTS for name in posts.durations},
    **{name: NUMBER for posts in POSTS for name in posts.numbers},
}
DURATIONS = tuple(name for posts in POSTS for name in posts.durations)

# What each kind of entity contributes. An order, an invoice and a cost entry go on with their changes, credit notes and
# reversals, which contribute for themselves.
_RULES = [*(posts.rules for posts in POSTS), *(posts.afterwards for posts in POSTS)]
RULES_OF: dict[str, tuple[Callable[[Any, Book], None], ...]] = {
    kind: tuple(rules[kind] for rules in _RULES if kind in rules) for one in _RULES for kind in one
}


def contribute(entity: Entity, book: Book) -> None:
    """Have an entity contribute to a book, and those changes of it that may contribute something else now."""
    if isinstance(entity, CreditNote | Payment) and entity.invoice is not None:
        return  # its invoice posts it
    book.open(entity)
    for rule in RULES_OF.get(entity.kind, ()):
        rule(entity, book)
