"""The source of a campaign that is named by a text.

campaign_source("spring-letter")     # the Source with this slug, made on first use
"""

from collections.abc import Callable
from functools import cache
from hashlib import blake2b
from typing import Any

from django.utils.text import slugify

from tracking.db.isolation import savepoints
from tracking.models import Source

FindSource = Callable[[str], Source | None]

#: The channel of sources made here, as in ``utm_medium``.
MEDIUM = "email"


def campaign_source(campaign: str) -> Source | None:
    """Return the source of a campaign, or ``None`` for an empty text.

    Args:
        campaign: the slug, or a name that becomes one.

    Raises:
        django.db.Error: the database does not answer.
    """
    if not campaign:
        return None
    name = campaign[: _length("name")]
    defaults = {"name": name, "medium": MEDIUM, "campaign": campaign[: _length("campaign")]}
    with savepoints():  # the transaction of the site goes on if this fails
        return Source.objects.get_or_create(slug=slug_of(campaign), defaults=defaults)[0]


def remembered_sources() -> FindSource:
    """Return a :func:`campaign_source` that looks once for each campaign, even if that fails.

    Without it, each message of a mailing would wait for a database that does not answer.
    """

    @cache
    def find(campaign: str) -> Source | Exception | None:
        try:
            return campaign_source(campaign)
        except Exception as error:  # noqa: BLE001 - it is raised below, for each message
            return error

    def find_source(campaign: str) -> Source | None:
        found = find(campaign)
        if isinstance(found, Exception):
            raise found.with_traceback(None)
        return found

    return find_source


def slug_of(campaign: str) -> str:
    """Return the slug of a campaign.

    >>> slug_of("Spring letter")
    'spring-letter'

    A text without Latin letters, or one that is too long, gets a part that tells it from others.

    Args:
        campaign: a text that is not empty.
    """
    slug = slugify(campaign)
    longest = _length("slug")
    if slug and len(slug) <= longest:
        return slug
    digest = blake2b(campaign.encode(errors="replace"), digest_size=5).hexdigest()
    return f"{slug[: longest - len(digest) - 1] or 'campaign'}-{digest}"


def _length(field: str) -> int:
    column: Any = Source._meta.get_field(field)
    return int(column.max_length)
