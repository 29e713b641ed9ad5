"""Numbers as people and spreadsheets write them, read exactly and only in the form that the mapping names.

"1.234" is a thousand to some and one and a bit to others, so nothing is guessed: a form is an example, the number 1234.50 as
the file would write it ("1.234,50", "$1,234.50", "1'234.50", "1,234.50K"). A minus sign may stand before or behind, or be
brackets; that means the same everywhere.
"""

from __future__ import annotations

import re
from decimal import ROUND_HALF_EVEN, Decimal
from functools import lru_cache
from typing import NamedTuple

_PLAIN = re.compile(r"[-+]?\d{1,15}(\.\d{1,20})?", re.ASCII)
_FORM = re.compile(r"(\D*?)1([.,' ]?)234(?:([.,])\d+)?(K?)(\D*)", re.ASCII)
_COMMA = re.compile(r"-?(\d{1,3}(\.\d{3})+|\d+)(,\d+)?", re.ASCII)
_PERCENT = re.compile(r"([-+]?\d{1,6})(?:[.,](\d{1,10}))? ?%?", re.ASCII)
_LIKE = str.maketrans({"\u00a0": " ", "\u202f": " ", "\u2009": " ", "’": "'", "−": "-"})  # what only looks otherwise
_TIMES = {"": 0, "K": 3, "M": 6, "B": 9}
EXAMPLES = "1,234.50 · 1.234,50 · 1'234.50 · 1 234,50 · $1,234.50 · 1,234.50K"


class UnfitError(ValueError):
    """A cell that is not a number as expected, with a hint at what the mapping may have to say."""

    def __init__(self, expected: str, hint: str = "") -> None:
        super().__init__(expected)
        self.hint = hint


class Form(NamedTuple):
    """How numbers are written, and the pattern that fits them."""

    text: str
    thousands: str
    point: str
    pattern: re.Pattern[str]


@lru_cache(maxsize=256)
def read_form(text: str) -> Form:
    """Return the form of which `text` is an example; ValueError if it is none."""
    found = _FORM.fullmatch(text.translate(_LIKE))
    if found is None or (found[2] and found[2] == found[3]):
        raise ValueError(f"the number 1234.50 as the file writes it: {EXAMPLES}")
    before, thousands, point, short, after = (part or "" for part in found.groups())
    marks = [re.escape(mark) for mark in (before.strip(" (-+"), after.strip(" )-+")) if mark]
    mark = f"(?:{'|'.join(marks)})?" if marks else ""
    groups = rf"\d{{1,3}}(?:{re.escape(thousands)}\d{{3}})+|" if thousands else ""
    places = rf"(?:{re.escape(point)}\d{{1,20}})?" if point else ""
    suffix = "([KMB]?)" if short else "()"
    pattern = rf"([(+-]?) ?{mark} ?([+-]?) ?((?:{groups}\d{{1,15}}){places}) ?{suffix} ?{mark} ?([)+-]?)"
    return Form(text, thousands, point, re.compile(pattern, re.ASCII | re.IGNORECASE))


def formed(value: str, form: Form) -> str:
    """Return the plain number of a cell written in a form, with the decimal places that it has; ValueError if it is not."""
    found = form.pattern.fullmatch(value.translate(_LIKE))
    before, sign, digits, suffix, after = found.groups() if found else ("", "", "", "", "")
    brackets = (before == "(", after == ")")
    signs = [one for one in (before, sign, after) if one in ("+", "-")]
    if found is None or brackets[0] != brackets[1] or len(signs) + all(brackets) > 1:
        raise ValueError(f"a number written as {form.text}")
    plain = digits.replace(form.thousands, "") if form.thousands else digits
    number = Decimal(plain.replace(form.point, ".") if form.point else plain).scaleb(_TIMES[suffix.upper()])
    return f"{-number if all(brackets) or signs == ['-'] else number:f}"


def exact(value: str) -> Decimal:
    """Return a plain number such as 1234.50; ValueError if the text is none."""
    if _PLAIN.fullmatch(value):
        return Decimal(value)
    raise UnfitError("a number such as 1234.50", "another form has to be named: amount:1.234,50")


def with_comma(value: str) -> str:
    """Return the plain number of 1.234,50."""
    if _COMMA.fullmatch(value):
        return value.replace(".", "").replace(",", ".")
    raise ValueError("a number with a decimal comma such as 1.234,50")


def of_percent(value: str) -> Decimal:
    """Return the share that "60 %" is: 0.6."""
    if found := _PERCENT.fullmatch(value.translate(_LIKE)):
        return Decimal(f"{found[1]}.{found[2] or 0}") / 100
    raise ValueError("a percentage such as 60, 60 % or 12.5 %")


def whole(value: str) -> Decimal:
    """Return a whole number."""
    number = exact(value)
    if number != int(number):
        raise ValueError("a whole number")
    return number


def shifted(value: str, digits: int) -> str:
    """Return a whole number of minor units or of micros as the plain number of major units, without trailing zeros."""
    text = f"{whole(value).scaleb(-digits):f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def rounded(value: str, places: int) -> str:
    """Return a number rounded half-even, which only happens where a mapping says so."""
    return f"{exact(value).quantize(Decimal(1).scaleb(-places), ROUND_HALF_EVEN):f}"


def fixed(value: str, places: int) -> str:
    """Return a number with exactly so many decimal places; ValueError where it has more, zeros too.

    Money is never rounded on the way in, and 12.500 may well be twelve thousand five hundred.
    """
    number = exact(value)
    if len(value.partition(".")[2]) > places:
        raise UnfitError(
            f"a number of at most {places} decimal places",
            "zeros count; where the point separates thousands, name the form: amount:1.234,50; the filter round rounds",
        )
    return f"{number:.{places}f}"
