"""Screens on which something is done are in each language."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import jinja2
import pytest
from babel.messages.extract import extract_from_file

from service.dashboard import language
from service.dashboard.screens import completeness, connect, import_, operations, start
from service.store.audit import ACTIONS

TEMPLATES = Path(language.__file__).parent / "templates"
NAMES = (
    "login",
    "sessions",
    "doing",
    "completeness",
    "quarantine",
    "operations",
    "differences",
    "start",
    "connect",
    "import",
)
SCREENS = (completeness, connect, import_, operations, start)
FIELDS = re.compile(r"[a-z_]+")  # what `deed.text` reads: names of fields, and words that other screens have


def said() -> Iterator[str]:
    """Yield every text of these screens in English."""
    environment = jinja2.Environment(extensions=["jinja2.ext.i18n"])  # noqa: S701  it only reads
    for name in NAMES:
        for _, _, text in environment.extract_translations(  # type: ignore[attr-defined]  # the extension gives it
            (TEMPLATES / f"{name}.html").read_text(encoding="utf-8")
        ):
            yield text[0] if isinstance(text, tuple) else text
    for screen in SCREENS:
        keywords = {"N_": None, "gettext": None, "ngettext": (1, 2), "text": None}
        for _, text, _, _ in extract_from_file("python", str(screen.__file__), keywords=keywords):
            yield text[0] if isinstance(text, tuple) else text
    yield from ACTIONS.values()


@pytest.mark.parametrize("code", [code for code in language.LOCALES if code != "en"])
def test_no_text_is_missing(code: str) -> None:
    texts = language.language(code).texts
    missing = {one for one in said() if texts.ngettext(one, one, 1) == one and not texts.knows(one)}
    assert {one for one in missing if not FIELDS.fullmatch(one)} == set()
