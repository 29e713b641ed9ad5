"""The reader's language: English, German, Dutch or Swedish, as the browser asks for it or as was chosen.

Catalogues are `locale/de.po`, `locale/de.deeds.po` …, read as they are; what they lack stands in English.
"""

from __future__ import annotations

from functools import cache
from gettext import NullTranslations
from importlib.resources import files
from typing import IO, NamedTuple

from babel import Locale
from babel.messages.pofile import read_po
from starlette.requests import Request

LOCALES = {"en": "en_GB", "de": "de_DE", "nl": "nl_NL", "sv": "sv_SE"}
NAMES = {"en": "English", "de": "Deutsch", "nl": "Nederlands", "sv": "Svenska"}
COOKIE = "language"


class Catalogue(NullTranslations):
    """The texts of a language by those of English; those that depend on a number by the singular."""

    def __init__(self, language: str) -> None:
        super().__init__()
        self._texts: dict[str, str] = {}
        self._plurals: dict[str, tuple[str, ...]] = {}
        if language == "en":
            return
        for one in sorted((files("service.dashboard") / "locale").iterdir(), key=lambda one: one.name):
            if one.name.startswith(f"{language}."):
                with one.open("rb") as stream:
                    self._read(stream, language)

    def _read(self, stream: IO[bytes], language: str) -> None:
        for message in read_po(stream, locale=LOCALES[language]):
            if isinstance(message.id, tuple):
                self._plurals[message.id[0]] = tuple(message.string or ())
            elif isinstance(message.id, str) and message.id and message.string:
                self._texts[message.id] = str(message.string)

    def gettext(self, message: str) -> str:
        """Return a text in the language."""
        return self._texts.get(message, message)

    def ngettext(self, msgid1: str, msgid2: str, n: int) -> str:
        """Return a text for a number in the language: all of these have a singular and a plural."""
        forms = self._plurals.get(msgid1)
        number = int(n != 1)
        return forms[number] if forms and forms[number] else (msgid2 if number else msgid1)

    def knows(self, message: str) -> bool:
        """Tell whether there is a text of its own."""
        return message in self._texts


class Language(NamedTuple):
    """A language: its code, how numbers and days are written in it, and its texts."""

    code: str
    locale: Locale
    texts: Catalogue


@cache
def language(code: str) -> Language:
    """Return a language by its code."""
    return Language(code, Locale.parse(LOCALES[code]), Catalogue(code))


def of(request: Request) -> Language:
    """Return the language of a request: the one chosen, else the one that the browser likes best."""
    chosen = request.cookies.get(COOKIE)
    return language(chosen if chosen in LOCALES else preferred(request.headers.get("accept-language", "")))


def preferred(accepted: str) -> str:
    """Return the language that an Accept-Language header likes best of those that there are."""
    liked: list[tuple[float, str]] = []
    for one in accepted.split(","):
        tag, _, parameter = one.partition(";")
        code = tag.strip().partition("-")[0].lower()
        try:
            quality = float(parameter.strip().removeprefix("q=") or 1)
        except ValueError:
            quality = 0.0
        if code in LOCALES and quality > 0:
            liked.append((quality, code))
    return max(liked, key=lambda one: one[0])[1] if liked else "en"


def N_(text: str) -> str:  # noqa: N802  as gettext calls it
    """Mark a text to be translated where it is used."""
    return text
