"""Enrichment: agent, location and verdict of a hit, from its address and user agent.

It runs where rows are written, not in a request. Each part caches its results.
"""

from typing import Any

from tracking.db.column_values import MAX_TEXT
from tracking.enrichment import geoip, user_agents, verdict_rules


def enrich(
    address: str | None, user_agent: str, *, is_open: bool = False, is_page: bool = False
) -> dict[str, Any]:
    """Return the values of :class:`tracking.models.base.EnrichmentColumns`.

    Args:
        address: the client's address as it is recorded. A masked address has the same location.
        user_agent: the header ``User-Agent`` of the request.
        is_open: whether an image in a mail was loaded: other rules apply then.
        is_page: whether a page was visited: likewise.
    """
    columns = enrich_user_agent(user_agent, is_open=is_open, is_page=is_page)
    if verdict_rules.describes_reader(columns["verdict"]):
        columns |= enrich_address(address)
    return columns


def enrich_user_agent(
    user_agent: str, *, is_open: bool = False, is_page: bool = False
) -> dict[str, Any]:
    """Return the columns that depend on the user agent: browser, system, device and verdict.

    Args:
        user_agent: the header ``User-Agent`` of the request.
        is_open: whether an image in a mail was loaded.
        is_page: whether a page was visited.
    """
    user_agent = user_agent[:MAX_TEXT]
    verdict = verdict_rules.classify(user_agent, is_open=is_open, is_page=is_page)
    columns: dict[str, Any] = {"verdict": verdict.label, "verdict_reason": verdict.reason}
    if verdict_rules.describes_reader(verdict.label):
        agent = user_agents.identify(user_agent)
        columns |= {"browser": agent.browser, "os": agent.os, "device": agent.device}
    return columns


def enrich_address(address: str | None) -> dict[str, Any]:
    """Return the columns that depend on the address: the location, or ``{}`` if it is unknown.

    Args:
        address: the client's address as it is recorded.
    """
    location = geoip.locate(address)
    if location is None:
        return {}
    return {
        "country": location.country,
        "region": location.region,
        "city": location.city,
        "latitude": location.latitude,
        "longitude": location.longitude,
    }
