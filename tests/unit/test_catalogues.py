"""Every text of the page is there in every language, with the same things put in."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from babel.messages.extract import extract_from_dir
from babel.messages.pofile import read_po

import service.dashboard
from service.dashboard import answering, language

FOLDER = Path(service.dashboard.__file__).parent
_PUT_IN = re.compile(r"%\(\w+\)s|%%")


@cache
def texts() -> set[Any]:
    """Return all texts of the page, in English; those that depend on a number are (singular, plural)."""
    methods = [("**.py", "python"), ("templates/**.html", "jinja2.ext:babel_extract")]
    keywords = {"gettext": None, "ngettext": (1, 2), "N_": None, "_": None}
    options = {"templates/**.html": {"newstyle_gettext": "true"}}
    return {found[2] for found in extract_from_dir(FOLDER, methods, options, keywords)}


@pytest.mark.parametrize("code", [one for one in language.LOCALES if one != "en"])
def test_no_text_is_missing_in_a_language_and_none_is_there_for_nothing(code: str) -> None:
    with (FOLDER / "locale" / f"{code}.po").open("rb") as stream:
        known = {one.id: one.string for one in read_po(stream, locale=code) if one.id}
    plain = {one: text for one, text in known.items() if isinstance(one, str)}
    assert texts() - {tuple(one) if isinstance(one, list) else one for one in known} == set()
    assert {tuple(one) if isinstance(one, list) else one for one in known} - texts() == set()
    for one, text in plain.items():
        assert sorted(_PUT_IN.findall(one)) == sorted(_PUT_IN.findall(str(text))), one
    assert all(text for text in known.values())


def test_each_language_has_templates_of_its_own() -> None:
    problem = {"title": "Not Found", "detail": "nothing"}
    pages = {
        code: answering.render("problem.html", language.language(code), problem=problem, here="/")
        for code in language.LOCALES
    }
    for code, link in (("en", "To the first screen"), ("de", "Zur ersten Ansicht"), ("sv", "Till första sidan")):
        assert link in pages[code].decode()
        assert f'<html lang="{code}">' in pages[code].decode()


@pytest.mark.parametrize(
    ("accepted", "liked"),
    [("", "en"), ("fr", "en"), ("de-AT, en;q=0.5", "de"), ("en;q=0.3, nl-BE;q=0.8", "nl"), ("sv;q=x, *", "en")],
)
def test_the_language_that_a_browser_likes_best_is_taken(accepted: str, liked: str) -> None:
    assert language.preferred(accepted) == liked
