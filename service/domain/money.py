"""Money: integer minor units and exact fractions, never a binary float (SPEC section 3).

An amount travels as a decimal string ("1234.50") and is kept as an integer number of its currency's minor units
(123450 cents). Digits per currency are those of ISO 4217. Amounts and rates have limits, so that whatever they come to is
bounded, too: 15 digits before the point hold the largest order in the weakest currency, and no two currencies are as far
apart as a rate may say.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from decimal import Context, Decimal
from fractions import Fraction
from functools import lru_cache
from math import floor
from typing import NamedTuple

_DECIMAL = re.compile(r"(-?)(\d{1,15})(?:\.(\d+))?", re.ASCII)
# Below 10^9, and something other than 0 within nine decimal places; one Chilean UF is some 50 million Iranian rials.
RATE_PATTERN = r"(?=[0-9]*[1-9]|0+\.0{0,8}[1-9])[0-9]{1,9}(\.[0-9]{1,18})?"
EXPECTED_RATE = (
    'a positive decimal string such as "1.0842", from 0.000000001 to below 1000000000, at most 18 decimal places'
)
_RATE = re.compile(RATE_PATTERN)

# ISO 4217, active codes by their number of minor digits.
_CODES = {
    0: "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF",
    2: (
        "AED AFN ALL AMD ANG AOA ARS AUD AWG AZN BAM BBD BDT BGN BMD BND BOB BOV BRL BSD BTN BWP BYN BZD CAD CDF CHE CHF"
        " CHW CNY COP COU CRC CUP CVE CZK DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL GHS GIP GMD GTQ GYD HKD HNL HTG HUF"
        " IDR ILS INR IRR JMD KES KGS KHR KPW KYD KZT LAK LBP LKR LRD LSL MAD MDL MGA MKD MMK MNT MOP MRU MUR MVR MWK MXN"
        " MXV MYR MZN NAD NGN NIO NOK NPR NZD PAB PEN PGK PHP PKR PLN QAR RON RSD RUB SAR SBD SCR SDG SEK SGD SHP SLE SOS"
        " SRD SSP STN SVC SYP SZL THB TJS TMT TOP TRY TTD TWD TZS UAH USD USN UYU UZS VED VES WST XCD XCG YER ZAR ZMW ZWG"
    ),
    3: "BHD IQD JOD KWD LYD OMR TND",
    4: "CLF UYW",
}
MINOR_DIGITS: dict[str, int] = {code: digits for digits, codes in _CODES.items() for code in codes.split()}


class Money(NamedTuple):
    """An exact amount: `minor` units of `currency`."""

    minor: int
    currency: str


def whole_digits(currency: str) -> int:
    """Return how many digits an amount may have before the point: 15, and 18 with the minor digits."""
    return min(15, 18 - MINOR_DIGITS[currency])


def parse_amount(text: str, currency: str) -> int:
    """Return the minor units of a decimal string; ValueError says what is wrong with it."""
    match = _DECIMAL.fullmatch(text)
    if match is None:
        raise ValueError('a decimal string such as "1234.50", at most 15 digits before the point')
    sign, whole, fraction = match.groups(default="")
    digits = MINOR_DIGITS[currency]
    if len(whole) > whole_digits(currency):
        raise ValueError(f"at most {whole_digits(currency)} digits before the point")
    if len(fraction) > digits:
        raise ValueError(f"at most {digits} decimal places, the minor digits of {currency}")
    minor = int(whole + fraction.ljust(digits, "0"))
    return -minor if sign else minor


def money_of(stated: Mapping[str, str]) -> Money:
    """Return validated money as minor units."""
    return Money(parse_amount(stated["amount"], stated["currency"]), stated["currency"])


def parse_rate(text: str) -> Fraction:
    """Return an exchange rate given as a decimal string; ValueError unless it is a positive decimal within the limits."""
    if _RATE.fullmatch(text) is None:
        raise ValueError(EXPECTED_RATE)
    return Fraction(text)


def dealt(amount: int, weights: Sequence[int]) -> list[int]:
    """Deal minor units by weight, by the largest remainder: shares add up to the whole, and the first of several wins a tie.

    A negative amount is dealt by its absolute value. The weights are not negative and not all 0.
    """
    whole, sign = sum(weights), -1 if amount < 0 else 1
    parts = [divmod(abs(amount) * weight, whole) for weight in weights]
    over = abs(amount) - sum(floor for floor, _ in parts)
    largest = {*sorted(range(len(parts)), key=lambda place: -parts[place][1])[:over]}
    return [sign * (floor + (place in largest)) for place, (floor, _) in enumerate(parts)]


def dealt_parts(whole: int, parts: Sequence[Fraction]) -> list[int]:
    """Deal minor units into exact parts, by the largest remainder; the first of several wins a tie.

    Less than nothing is dealt as if it were more. Parts that do not quite add up to the whole, as those of rounded shares, have
    the rest dealt as remainders are.
    """
    if whole < 0:
        return [-units for units in dealt_parts(-whole, [-part for part in parts])]
    floors = [floor(part) for part in parts]
    each, over = divmod(whole - sum(floors), len(parts))
    largest = {*sorted(range(len(parts)), key=lambda place: floors[place] - parts[place])[:over]}
    return [units + each + (place in largest) for place, units in enumerate(floors)]


def format_minor(minor: int, currency: str) -> str:
    """Write minor units as a decimal string with exactly the currency's digits."""
    digits = MINOR_DIGITS[currency]
    sign, text = ("-" if minor < 0 else ""), str(abs(minor)).rjust(digits + 1, "0")
    return f"{sign}{text[:-digits]}.{text[-digits:]}" if digits else sign + text


def minor_of(written: str) -> int:
    """Return the minor units of what `format_minor` has written, however many."""
    return int(written.replace(".", "", 1))


@lru_cache(maxsize=8192)
def format_rate(rate: Fraction) -> str:
    """Write an exchange rate as a decimal: with every digit where it ends within 18, else rounded to 12 significant ones."""
    exact = Decimal(rate.numerator * 10**18 // rate.denominator).scaleb(-18)
    if Fraction(exact) != rate:
        exact = Context(prec=12).divide(Decimal(rate.numerator), Decimal(rate.denominator))
    text = f"{exact:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def convert(minor: Fraction | int, currency: str, rate: Fraction, into: str) -> int:
    """Convert minor units of `currency` at `rate` (units of `into` per unit of `currency`), half-even to minor units."""
    shift = MINOR_DIGITS[into] - MINOR_DIGITS[currency]
    scale = Fraction(10**shift) if shift >= 0 else Fraction(1, 10**-shift)
    return round(minor * rate * scale)
