"""The names of what an endpoint can ask for.

>>> type_of("open")
'beacon.open'
"""

from typing import TYPE_CHECKING

from django.utils.translation import gettext_lazy as _

from tracking.hits import Kind

if TYPE_CHECKING:
    from django.utils.functional import _StrPromise

#: A beacon got another verdict than the one that it was recorded with.
CORRECTED = "verdict.corrected"

#: The type of a message that only shows that an endpoint works.
TEST = "tracking.test"

#: The type of a message with recorded events.
BATCH = "tracking.batch"


def type_of(kind: str) -> str:
    """Return the name of the type of beacons.

    Args:
        kind: the kind of the beacons, one of :class:`tracking.hits.Kind` or the site's own.
    """
    return f"beacon.{kind}"


def choices() -> "list[tuple[str, str | _StrPromise]]":
    """Return the names and labels of all types that an endpoint can ask for."""
    kinds = [(type_of(kind.value), kind.label) for kind in Kind]
    return [*kinds, (CORRECTED, _("Corrected verdict"))]


def all_types() -> list[str]:
    """Return the names of all types that an endpoint can ask for."""
    return [name for name, _label in choices()]
