"""Settings of consent, of the visitor's cookie and of new visitors."""

import re
from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Error, register

from tracking.checks.numbers import positive_number_errors
from tracking.checks.tags import TAG
from tracking.conf import conf
from tracking.identity import browser_consent


@register(TAG)
def check_consent(**_: Any) -> list[CheckMessage]:
    """E011: the consent callable."""
    if not conf.consent:
        return []
    try:
        browser_consent.load()
    except Exception as error:  # noqa: BLE001 - the site's module may raise anything
        return [
            Error(
                f"TRACKING_CONSENT cannot be loaded: {error!r}",
                hint="Set a callable that takes a request, or its dotted path. It must not be a "
                "coroutine function. Until then no page is tracked: nobody has consented.",
                id="tracking.E011",
            )
        ]
    return []


@register(TAG)
def check_cookie_name(**_: Any) -> list[CheckMessage]:
    """E015: the name of the visitor's cookie."""
    taken = {settings.SESSION_COOKIE_NAME, settings.CSRF_COOKIE_NAME, settings.LANGUAGE_COOKIE_NAME}
    # The characters of a token, RFC 6265, section 4.1.1.
    if re.fullmatch(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+", conf.cookie_name) and (
        conf.cookie_name not in taken
    ):
        return []
    return [
        Error(
            f"TRACKING_COOKIE_NAME is {conf.cookie_name!r}, which is invalid or already in use.",
            hint="Set a name of letters and digits that no other cookie of the site has.",
            id="tracking.E015",
        )
    ]


@register(TAG)
def check_cookie_age(**_: Any) -> list[CheckMessage]:
    """E014: the age of the visitor's cookie."""
    return positive_number_errors(
        "TRACKING_COOKIE_AGE", conf.cookie_age, "seconds", id="tracking.E014"
    )


@register(TAG)
def check_new_visitors(**_: Any) -> list[CheckMessage]:
    """E022: the budget of new visitors."""
    limit = conf.new_visitors_per_network
    if limit is None or (type(limit) is int and limit > 0):
        return []
    return [
        Error(
            f"TRACKING_NEW_VISITORS_PER_NETWORK is {limit!r}.",
            hint="Set how many new visitors of one network are stored in a minute, or None for "
            "all. Until then all are stored.",
            id="tracking.E022",
        )
    ]
