from __future__ import annotations

from fractions import Fraction

import pytest

from service.domain import money


@pytest.mark.parametrize(
    ("text", "currency", "minor"),
    [
        ("1234.50", "EUR", 123450),
        ("1234.5", "EUR", 123450),
        ("7", "JPY", 7),
        ("0.001", "KWD", 1),
        ("-3.20", "EUR", -320),
    ],
)
def test_an_amount_is_minor_units_of_its_currency(text: str, currency: str, minor: int) -> None:
    assert money.parse_amount(text, currency) == minor


@pytest.mark.parametrize(
    ("text", "currency"),
    [("1.234", "EUR"), ("1.0", "JPY"), ("1e3", "EUR"), ("", "EUR"), (".5", "EUR"), ("5.", "EUR"), ("+5", "EUR"),
     ("٣", "EUR"), ("1,5", "EUR"), ("NaN", "EUR"), ("1" * 16, "EUR")],
)  # fmt: skip
def test_what_is_no_decimal_of_the_currency_is_refused(text: str, currency: str) -> None:
    with pytest.raises(ValueError, match="decimal"):
        money.parse_amount(text, currency)


@pytest.mark.parametrize(
    ("minor", "currency", "text"),
    [
        (5, "EUR", "0.05"),
        (-5, "EUR", "-0.05"),
        (0, "EUR", "0.00"),
        (7, "JPY", "7"),
        (1234, "KWD", "1.234"),
        (-(10**30), "EUR", f"-1{'0' * 28}.00"),
    ],
)
def test_minor_units_are_written_with_the_digits_of_the_currency(minor: int, currency: str, text: str) -> None:
    assert money.format_minor(minor, currency) == text
    assert money.minor_of(text) == minor


def test_conversion_rounds_half_to_even() -> None:
    assert money.convert(1, "EUR", Fraction(1, 2), "EUR") == 0
    assert money.convert(3, "EUR", Fraction(1, 2), "EUR") == 2
    assert money.convert(100, "JPY", Fraction("0.0061"), "EUR") == 61
    assert money.convert(100, "EUR", Fraction("160.5"), "JPY") == 160


def test_a_rate_is_a_positive_decimal() -> None:
    assert money.parse_rate("1.0842") == Fraction("1.0842")
    for text in ("0", "0.0", "-1", "1e2", "1/2", "", "1\n", "٣"):
        with pytest.raises(ValueError, match="positive decimal"):
            money.parse_rate(text)


@pytest.mark.parametrize("text", ["0.000000001", "999999999.999999999999999999", "000000001", "50000000", "0.00000002"])
def test_a_rate_may_be_as_far_from_one_as_two_currencies_are(text: str) -> None:
    assert money.parse_rate(text) == Fraction(text)


@pytest.mark.parametrize(
    "text", ["0.000000000999999999", "1000000000", "1" * 15, "0.000000000000000001", "1." + "0" * 19]
)
def test_a_rate_beyond_that_is_refused_with_what_it_may_be(text: str) -> None:
    with pytest.raises(ValueError, match=r"from 0\.000000001 to below 1000000000"):
        money.parse_rate(text)
