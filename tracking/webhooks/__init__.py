"""Webhooks: signed POSTs to other systems about what was recorded.

    endpoint = add_endpoint("https://example.com/hooks", types=["beacon.click"])
    endpoint.secret                # for the receiver

========================  =================================================================
:mod:`.event_types`       names of what an endpoint can ask for
:mod:`.endpoints`         the endpoints in memory
:mod:`.endpoint_urls`     which URLs an endpoint may have
:mod:`.payloads`          the JSON that they get
:mod:`.outbox`            messages are saved in the transaction of the hits
:mod:`.claims`            who delivers what
:mod:`.schedule`          when a message is tried again
:mod:`.signing`           the headers that sign a message
:mod:`.addresses`         to which addresses webhooks may go
:mod:`.http_post`         one POST
:mod:`.delivery`          deliver what waits
:mod:`.sender_thread`     the thread that delivers
:mod:`.status`            what waits, and what fails
========================  =================================================================
"""

from collections.abc import Iterable

from tracking.models import WebhookEndpoint
from tracking.webhooks import endpoint_urls, event_types

__all__ = ["add_endpoint"]


def add_endpoint(
    url: str,
    *,
    types: Iterable[str] | None = None,
    sources: Iterable[str] = (),
    personal_data: bool = False,
) -> WebhookEndpoint:
    """Add an endpoint, and return it. Its ``secret`` is for the receiver.

    Args:
        url: its address.
        types: the types of events that it gets; by default all.
        sources: slugs of sources, models, or objects such as ``"shop.affiliate:7"``; by default
            it gets the events of all.
        personal_data: whether it gets IP addresses, user agents and keys of visitors, too.

    Raises:
        ValueError: the URL is not allowed, or there is no such type.
    """
    chosen = event_types.all_types() if types is None else list(types)
    if unknown := set(chosen) - set(event_types.all_types()):
        raise ValueError(f"There is no type {min(unknown)!r}.")
    if problem := endpoint_urls.problem_of(url):
        raise ValueError(problem)
    return WebhookEndpoint.objects.create(
        url=url, types=chosen, sources="\n".join(sources), personal_data=personal_data
    )
