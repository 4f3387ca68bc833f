"""A small mailing, as reports on campaigns show it."""

from datetime import timedelta

from django.contrib.admin.utils import quote
from django.utils import timezone

from tests.site.models import Affiliate
from tracking.hits import Hit, Kind, Reference
from tracking.recording import write

BROWSER = "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0"
GMAIL = "Mozilla/5.0 (Windows NT 5.1; rv:11.0) Gecko Firefox/11.0 (via ggpht.com GoogleImageProxy)"
APPLE = "Mozilla/5.0"


def hit(kind, source, entity=None, user_agent=BROWSER, ago=60, **values) -> Hit:
    """Return a hit of some minutes ago."""
    values.setdefault("time", timezone.now() - timedelta(minutes=ago))
    return Hit(
        kind=kind,
        source=Reference.to(source),
        entity=entity and Reference.to(entity),
        user_agent=user_agent,
        **values,
    )


def send(affiliate, readers) -> Affiliate:
    """Send to five: one clicked, one opened, one by a proxy, one by a machine, one nothing."""
    anna, ben, cleo, dora, _emil = readers
    tea = "https://shop.example/tea"
    write(
        [
            *(hit(Kind.SENT, affiliate, reader, "", ago=120) for reader in readers),
            hit(Kind.OPEN, affiliate, anna, ip_address="203.0.113.77"),
            hit(Kind.OPEN, affiliate, anna, ago=50),
            hit(Kind.CLICK, affiliate, anna, ago=49, url=tea),
            hit(Kind.CLICK, affiliate, anna, ago=48, url=tea),
            hit(Kind.OPEN, affiliate, ben),
            hit(Kind.OPEN, affiliate, cleo, GMAIL),
            hit(Kind.OPEN, affiliate, dora, APPLE),
        ]
    )
    return affiliate


def report_url(instance, rest="") -> str:
    """Return the URL of the report on an object, or of a page under it."""
    reference = Reference.to(instance)
    return f"/admin/tracking/beacon/report/{reference.label}/{quote(reference.pk)}/{rest}"
