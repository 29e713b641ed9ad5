"""A number that is written in a form is read back to the digit, whatever the form, and never as another number."""

from __future__ import annotations

from decimal import Decimal

from hypothesis import given, settings
from hypothesis import strategies as st

from service.intake.tabular_numbers import formed, read_form

FORMS = {  # example: thousands, point, before, after
    "1,234.50": (",", ".", "", ""), "1.234,50": (".", ",", "", ""), "1'234.50": ("'", ".", "", ""),
    "1 234,50": ("\u00a0", ",", "", ""), "$1,234.50": (",", ".", "$", ""), "1.234,50 €": (".", ",", "", " €"),
    "R$ 1.234,50": (".", ",", "R$ ", ""), "1234,50": ("", ",", "", ""), "1,234.50K": (",", ".", "", ""),
}  # fmt: skip
SIGNS = {"-{}": -1, "{}-": -1, "({})": -1, "−{}": -1, "{}": 1, "+{}": 1}


def written(digits: int, places: int, form: str) -> str:
    thousands, point, before, after = FORMS[form]
    whole, _, fraction = f"{Decimal(digits).scaleb(-places):f}".partition(".")
    grouped = f"{int(whole):,}".replace(",", thousands)
    return f"{before}{grouped}{point + fraction if fraction else ''}{after}"


@settings(deadline=None)
@given(
    digits=st.integers(0, 10**14), places=st.integers(0, 4), form=st.sampled_from(sorted(FORMS)),
    sign=st.sampled_from(sorted(SIGNS)),
)  # fmt: skip
def test_what_is_written_in_a_form_is_read_back(digits: int, places: int, form: str, sign: str) -> None:
    cell = sign.format(written(digits, places, form))
    assert Decimal(formed(cell, read_form(form))) == SIGNS[sign] * Decimal(digits).scaleb(-places)


@settings(deadline=None)
@given(
    digits=st.integers(0, 10**9), places=st.integers(0, 3), form=st.sampled_from(sorted(FORMS)),
    other=st.sampled_from(sorted(FORMS)),
)  # fmt: skip
def test_what_is_read_in_another_form_fits_that_form_or_is_refused(
    digits: int, places: int, form: str, other: str
) -> None:
    cell = written(digits, places, form)
    try:
        number = Decimal(formed(cell, read_form(other)))
    except ValueError:
        return
    thousands, point, *_ = FORMS[other]
    plain = "".join(one for one in cell if one.isdigit() or one == point)
    assert number == Decimal(plain.replace(point, "."))
    assert not thousands or all(len(group) == 3 for group in _groups(cell, thousands, point)[1:])


def _groups(cell: str, thousands: str, point: str) -> list[str]:
    whole = "".join(one for one in cell.partition(point)[0] if one.isdigit() or one == thousands)
    return whole.split(thousands)
