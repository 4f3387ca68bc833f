"""What an address and a user agent say about the sender of a hit: agent, place, verdict.

What each part finds is remembered there, by its distinct value; this is for whoever writes
rows, and no work of a request.
"""

from typing import Any

from tracking.enrichment import geoip, user_agents, verdict_rules

#: Characters of a user agent that are looked at. Browsers stay below; what is longer is an
#: attempt to fill the memory in which the conclusions are kept.
MAX_AGENT = 512


def conclude(address: str | None, user_agent: str, *, is_open: bool = False) -> dict[str, Any]:
    """Return the values of the columns of :class:`tracking.models.base.EnrichmentColumns`.

    Args:
        address: the client's, as it is recorded: a masked one is in the same place.
        user_agent: the ``User-Agent`` of the request.
        is_open: whether an image of a mail was loaded, for which other rules hold.
    """
    columns = of_agent(user_agent, is_open=is_open)
    if verdict_rules.tells_place_and_device(columns["verdict"]):
        columns |= of_address(address)
    return columns


def of_agent(user_agent: str, *, is_open: bool = False) -> dict[str, Any]:
    """Return the part of it that the user agent tells: agent and verdict.

    Args:
        user_agent: the ``User-Agent`` of the request.
        is_open: whether an image of a mail was loaded.
    """
    user_agent = user_agent[:MAX_AGENT]
    verdict = verdict_rules.judge(user_agent, is_open=is_open)
    columns: dict[str, Any] = {"verdict": verdict.label, "verdict_reason": verdict.reason}
    if verdict_rules.tells_place_and_device(verdict.label):
        agent = user_agents.identify(user_agent)
        columns |= {"browser": agent.browser, "os": agent.os, "device": agent.device}
    return columns


def of_address(address: str | None) -> dict[str, Any]:
    """Return the part of it that the address tells: the place, unless the verdict forbids it.

    Args:
        address: the client's, as it is recorded.

    Returns:
        Nothing, if the place is not known.
    """
    place = geoip.locate(address)
    if place is None:
        return {}
    return {
        "country": place.country,
        "region": place.region,
        "city": place.city,
        "latitude": place.latitude,
        "longitude": place.longitude,
    }
