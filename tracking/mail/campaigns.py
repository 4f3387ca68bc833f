"""The source of a campaign that is named by a text.

campaign_source("spring-letter")     # the Source with this slug, made on first use
"""

from hashlib import blake2b
from typing import Any

from django.utils.text import slugify

from tracking.models import Source

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
    return Source.objects.get_or_create(slug=slug_of(campaign), defaults=defaults)[0]


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
