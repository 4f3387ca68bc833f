"""What beacons are tied to, as far as whoever is looking may see it."""

from collections.abc import Iterable, Sequence

from django.contrib import admin
from django.contrib.contenttypes.models import ContentType
from django.db.models import Model
from django.http import HttpRequest
from django.urls import NoReverseMatch, reverse
from django.utils.html import format_html
from django.utils.http import urlencode
from django.utils.translation import gettext

from tracking import client, objects
from tracking.admin.large_tables import UNKNOWN
from tracking.hits import ROLES, Reference
from tracking.models import Beacon


class Tied:
    """What a row of the admin shows beyond its own columns: links to objects, an address.

    It depends on who is looking, which the methods for columns are not told; so it
    travels with the beacon.
    """

    def __init__(
        self, found: dict[Reference, Model], request: HttpRequest, site: admin.AdminSite
    ) -> None:
        self._found = found
        self._request = request
        self._site = site

    @classmethod
    def attach(cls, beacons: list[Beacon], request: HttpRequest, site: admin.AdminSite) -> None:
        """Fetch the objects of all ``beacons``, and leave the result with each."""
        references = (beacon.reference(role) for beacon in beacons for role in ROLES)
        tied = cls(in_bulk(site, filter(None, references)), request, site)
        for beacon in beacons:
            beacon.tied = tied  # type: ignore[attr-defined]

    @classmethod
    def to(cls, beacon: Beacon) -> "Tied":
        """Return what was left with ``beacon``."""
        return beacon.tied  # type: ignore[attr-defined, no-any-return]

    def object(self, beacon: Beacon, role: str) -> str:
        """Return the name of an object, linked to its page if there is one to be seen."""
        reference = beacon.reference(role)
        if reference is None:
            return UNKNOWN
        instance = self._found.get(reference)
        if instance is None:
            return format_html(
                '<span class="tracking-gone" title="{}">{}</span>',
                gettext("It has been deleted since."),
                " ".join(reference),
            )
        name = name_of(self._site, self._request, reference, instance)
        if url := self._url(instance):
            return format_html('<a href="{}">{}</a>', url, name)
        return name

    def address(self, beacon: Beacon) -> str:
        """Return the address of the client, masked for who may not see it whole."""
        if beacon.ip_address is None:
            return UNKNOWN
        if self._request.user.has_perm("tracking.view_full_address"):
            return beacon.ip_address
        return client.mask(beacon.ip_address)

    def _url(self, instance: Model) -> str | None:
        if not _may_see(self._site, self._request, instance):
            return None
        meta = instance._meta
        try:
            return reverse(
                f"{self._site.name}:{meta.app_label}_{meta.model_name}_change", args=[instance.pk]
            )
        except NoReverseMatch:
            return None


def in_bulk(site: admin.AdminSite, references: Iterable[Reference]) -> dict[Reference, Model]:
    """Return the rows of references, with what their own lists fetch along for their names."""

    def related(model: type[Model]) -> Sequence[str]:
        names = getattr(site._registry.get(model), "list_select_related", ())
        return names if isinstance(names, list | tuple) else ()

    return objects.in_bulk(references, related)


def name_of(
    site: admin.AdminSite, request: HttpRequest, reference: Reference, instance: Model | None
) -> str:
    """Return what an object is called, for who may see it; for others, its model and key."""
    if instance is not None and _may_see(site, request, instance):
        return str(instance)
    return " ".join(reference)


def _may_see(site: admin.AdminSite, request: HttpRequest, instance: Model) -> bool:
    model_admin = site._registry.get(type(instance))
    return model_admin is not None and model_admin.has_view_permission(request, instance)


# References in URLs.


def value_of(reference: Reference) -> str:
    """Return a reference as it stands in a URL."""
    return f"{reference.label}:{reference.pk}"


def reference_of(value: str) -> Reference | None:
    """Return the reference for a text from a URL, or ``None`` if it is none."""
    label, colon, pk = value.partition(":")
    return Reference(label, pk) if colon and "\0" not in value else None


def content_type_of(reference: Reference) -> ContentType | None:
    """Return the content type of a reference, or ``None`` if this site has none."""
    app_label, _dot, model = reference.label.partition(".")
    return ContentType.objects.filter(app_label=app_label, model=model).first()


def beacons_url(site: admin.AdminSite, role: str, instance: Model) -> str:
    """Return the URL of the list of beacons that are tied to ``instance``."""
    query = urlencode({role: value_of(Reference.to(instance))})
    return f"{reverse(f'{site.name}:tracking_beacon_changelist')}?{query}"
