"""Names of countries in the language of the reader."""

from collections.abc import Mapping
from functools import lru_cache

from django.utils.translation import get_language


def country_name(code: str, language: str | None = None) -> str:
    """Return the name of a country, or its code if the name is unknown.

    Args:
        code: the country code (ISO 3166-1 alpha-2).
        language: a language code of Django, such as ``"pt-br"``; by default the active language.
    """
    upper = code.upper()
    if not is_country_code(upper):
        return code
    return _territories(language or get_language() or "en").get(upper, code)


@lru_cache(maxsize=100)
def _territories(language: str) -> Mapping[str, str]:
    """Return the names of countries by code; none if babel is not installed."""
    try:
        from babel import Locale, UnknownLocaleError  # noqa: PLC0415 - an extra
    except ImportError:
        return {}
    # A site may define a language such as "de-formal", which babel does not have.
    for name in (language, language.partition("-")[0], "en"):
        try:
            return dict(Locale.parse(name, sep="-").territories)
        except (UnknownLocaleError, ValueError):
            continue
    return {}


def is_country_code(code: str) -> bool:
    """Return whether a text has the form of a country code (ISO 3166-1 alpha-2)."""
    return len(code) == 2 and code.isascii() and code.isalpha()  # noqa: PLR2004
