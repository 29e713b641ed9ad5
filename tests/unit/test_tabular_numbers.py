"""Numbers and money of CSV cells: read exactly, in the form that the mapping names, or refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from service.intake.tabular import MappingError, load_mapping
from service.intake.tabular_numbers import formed, read_form
from tests.support.tables import COSTS, opened, read, rows


def amount(folder: Path, template: str, cell: str, currency: str = "EUR") -> str:
    """Return the amount that a cell becomes, or what is wrong with it."""
    mapping = COSTS.replace('"{Net|decimal}"', f'"{template}"').replace("currency: EUR", f"currency: {currency}")
    events, errors = read(opened(folder, mapping, rows(f'1,2026-03-01,Fair,"{cell}"')))
    return str(errors[0]) if errors else str(events[0]["data"]["amount"]["amount"])


@pytest.mark.parametrize(
    ("form", "cell", "number"),
    [
        ("1,234.50", "1,234.50", "1234.50"), ("1,234.50", "1234.5", "1234.5"), ("1,234.50", "12.500", "12.500"),
        ("1,234.50", "(30.00)", "-30.00"), ("1,234.50", "30.00-", "-30.00"), ("1,234.50", "-30.00", "-30.00"),
        ("1,234.50", "−30.00", "-30.00"), ("1,234.50", "+30.00", "30.00"), ("1,234.50", "12,345,678", "12345678"),
        ("1.234,50", "1.234,50", "1234.50"), ("1.234,50", "12.500", "12500"), ("1.234,50 €", "-5,00 €", "-5.00"),
        ("1'234.50", "1'000", "1000"), ("1'234.50", "1’000.05", "1000.05"), ("1 234,50", "1\u202f234,50", "1234.50"),
        ("$1,234.50", "$22,700.00", "22700.00"), ("$1,234.50", "($22,700.00)", "-22700.00"),
        ("$1,234.50K", "$341.09K", "341090"), ("$1,234.50K", "-$1.2m", "-1200000"), ("R$ 1.234,50", "R$ 100.000", "100000"),
        ("1234.50", "1234.5", "1234.5"),
    ],
)  # fmt: skip
def test_an_amount_is_read_in_the_form_of_the_example(form: str, cell: str, number: str) -> None:
    assert formed(cell, read_form(form)) == number


@pytest.mark.parametrize(
    ("form", "cell"),
    [
        ("1,234.50", "1.234,50"), ("1,234.50", "1,23"), ("1,234.50", "12,34,567"), ("1,234.50", "$5"), ("1,234.50", "5K"),
        ("1.234,50", "12.34"), ("1.234,50", "1,234.50"), ("$1,234.50", "€5"), ("1,234.50", "(-5)"), ("1,234.50", "(5"),
        ("1,234.50", "--5"), ("1,234.50", "5 6"), ("1,234.50", "1e3"), ("1,234.50", "nine"), ("1234", "12.5"),
    ],
)  # fmt: skip
def test_what_does_not_fit_the_form_is_refused(form: str, cell: str) -> None:
    with pytest.raises(ValueError, match="a number written as"):
        formed(cell, read_form(form))


@pytest.mark.parametrize(
    ("template", "cell", "currency", "expected"),
    [
        ("{Net|decimal}", "12.5", "EUR", "12.50"), ("{Net|decimal}", "100", "JPY", "100"),
        ("{Net|decimal}", "1.5", "KWD", "1.500"), ("{Net|comma|decimal}", "1.234,5", "EUR", "1234.50"),
        ("{Net|amount:1,234.50}", "1,234.5", "EUR", "1234.50"), ("{Net|amount:$1,234.50K}", "$341.09K", "USD", "341090.00"),
        ("{Net|minor}", "12345", "EUR", "123.45"), ("{Net|minor}", "12345", "JPY", "12345"),
        ("{Net|minor}", "12345", "KWD", "12.345"), ("{Net|micros}", "134200000", "EUR", "134.20"),
        ("{Net|micros|round}", "15336547", "EUR", "15.34"), ("{Net|round}", "0.125", "EUR", "0.12"),
        ("{Net|amount:1,234.50|abs}", "(30.00)", "EUR", "30.00"), ("{Net}", "12.5", "EUR", "12.5"),
    ],
)  # fmt: skip
def test_money_has_the_places_of_its_currency(
    tmp_path: Path, template: str, cell: str, currency: str, expected: str
) -> None:
    assert amount(tmp_path, template, cell, currency) == expected


@pytest.mark.parametrize(
    ("template", "cell", "currency"),
    [
        ("{Net|decimal}", "12.500", "EUR"), ("{Net|comma|decimal}", "3,100", "EUR"), ("{Net|decimal}", "100.000", "BRL"),
        ("{Net|decimal}", "12.5", "JPY"), ("{Net|amount:1,234.50}", "1.500", "EUR"), ("{Net}", "12.500", "EUR"),
        ("{Net|micros}", "15336547", "EUR"), ("{Net|abs}", "-1.000", "EUR"),
    ],
)  # fmt: skip
def test_money_with_more_places_than_its_currency_is_refused_zeros_too(
    tmp_path: Path, template: str, cell: str, currency: str
) -> None:
    said = amount(tmp_path, template, cell, currency)
    assert "costs.csv, line 2, Net: expected a number of at most" in said
    assert "amount:1.234,50" in said


@pytest.mark.parametrize("form", ["1,234,50", "1.234.50", "99", "1,2", "x", ""])
def test_a_form_is_an_example_of_1234_50(tmp_path: Path, form: str) -> None:
    (tmp_path / "mapping.yaml").write_text(COSTS.replace("|decimal", f"|amount:{form}"), encoding="utf-8")
    with pytest.raises(MappingError, match=r"expected the number 1234\.50 as the file writes it: .*, after `amount:`"):
        load_mapping(tmp_path / "mapping.yaml")
