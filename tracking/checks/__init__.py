"""System checks: a numbered message with a hint for every wrong setting.

==============================  ===================================
:mod:`.setting_names`           misspelled settings
:mod:`.tokens`                  secrets, age limit, encoder
:mod:`.urls`                    base URL and URLconf
:mod:`.backends`                backend, lag, spool
:mod:`.client_address`          proxies, masked addresses
:mod:`.consent_and_cookies`     consent callable, visitor cookie, new visitors
:mod:`.exclusions`              requests that are not counted
:mod:`.retention`               how long rows are kept
:mod:`.reports`                 values that are counted one by one
:mod:`.mail`                    which messages are tracked, and what sends them
:mod:`.journey`                 goals, and how long a click leads to them
:mod:`.webhooks`                where webhooks may go
:mod:`.mail_consent`            which recipients are tracked
:mod:`.bans`                    response to banned clients
:mod:`.templates`               templates of the ban and map pages
:mod:`.geoip`                   GeoIP database
:mod:`.active_visitors`         map of active visitors
:mod:`.middleware`              order of the middleware
==============================  ===================================
"""

from tracking.checks import (
    active_visitors,
    backends,
    bans,
    client_address,
    consent_and_cookies,
    exclusions,
    geoip,
    journey,
    mail,
    mail_consent,
    middleware,
    reports,
    retention,
    setting_names,
    templates,
    tokens,
    urls,
    webhooks,
)

__all__ = [
    "active_visitors",
    "backends",
    "bans",
    "client_address",
    "consent_and_cookies",
    "exclusions",
    "geoip",
    "journey",
    "mail",
    "mail_consent",
    "middleware",
    "reports",
    "retention",
    "setting_names",
    "templates",
    "tokens",
    "urls",
    "webhooks",
]
