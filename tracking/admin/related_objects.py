"""What beacons are tied to, as far as whoever is looking may see it."""

from collections.abc import Iterable, Sequence
from typing import Any

from django.contrib import admin
from django.contrib.contenttypes.models import ContentType
from django.db.models import Model
from django.http import HttpRequest
from django.urls import NoReverseMatch, reverse
from django.utils.html import format_html
from django.utils.http import urlencode
from django.utils.translation import gettext

from tracking import client_address, generic_references
from tracking.admin.large_tables import UNKNOWN
from tracking.hits import ROLES, Reference
from tracking.models import Beacon


class Rows:
    """The rows that references name, as far as whoever is looking may see them.

    Seen is what has a page in this admin that would open: the model is registered, the
    permission is held, and the row is in the list that the model's own admin shows.
    """

    def __init__(
        self, references: Iterable[Reference], request: HttpRequest, site: admin.AdminSite
    ) -> None:
        self._request = request
        self._site = site
        self._found = generic_references.in_bulk(references, self._related)
        self._hidden = self._hidden_by_their_admins()

    def is_gone(self, reference: Reference) -> bool:
        """Return whether there is no such row any more."""
        return reference not in self._found

    def name(self, reference: Reference) -> str:
        """Return what the row is called, for who may see it; for others, its model and key."""
        instance = self._seen(reference)
        return " ".join(reference) if instance is None else str(instance)

    def url(self, reference: Reference) -> str | None:
        """Return the URL of the row's own page, if it may be seen."""
        instance = self._seen(reference)
        if instance is None:
            return None
        meta = instance._meta
        try:
            return reverse(
                f"{self._site.name}:{meta.app_label}_{meta.model_name}_change", args=[instance.pk]
            )
        except NoReverseMatch:
            return None

    def _seen(self, reference: Reference) -> Model | None:
        instance = self._found.get(reference)
        if instance is None or reference in self._hidden:
            return None
        model_admin = self._site._registry.get(type(instance))
        if model_admin is None or not model_admin.has_view_permission(self._request, instance):
            return None
        return instance

    def _related(self, model: type[Model]) -> Sequence[str]:
        """Return what the model's own list fetches along, because names may need it."""
        names = getattr(self._site._registry.get(model), "list_select_related", ())
        return names if isinstance(names, list | tuple) else ()

    def _hidden_by_their_admins(self) -> set[Reference]:
        """Return the rows that are not in the list of their own admin."""
        by_model: dict[type[Model], dict[Any, Reference]] = {}
        for reference, instance in self._found.items():
            by_model.setdefault(type(instance), {})[instance.pk] = reference
        hidden: set[Reference] = set()
        for model, references in by_model.items():
            model_admin = self._site._registry.get(model)
            if model_admin is None or not _narrows_its_list(model_admin):
                continue
            shown = model_admin.get_queryset(self._request).filter(pk__in=references)
            shown_keys = set(shown.values_list("pk", flat=True))
            hidden |= {references[pk] for pk in references if pk not in shown_keys}
        return hidden


def sees_all(model: type[Model] | None, request: HttpRequest, site: admin.AdminSite) -> bool:
    """Return whether all rows of a model may be seen, and with them what a search finds.

    Where its admin decides by a method of its own, that may be another for each row.
    """
    model_admin = None if model is None else site._registry.get(model)
    if model_admin is None or _narrows_its_list(model_admin) or _decides_itself(model_admin):
        return False
    return model_admin.has_view_permission(request)


def _narrows_its_list(model_admin: "admin.ModelAdmin[Any]") -> bool:
    return type(model_admin).get_queryset is not admin.ModelAdmin.get_queryset


def _decides_itself(model_admin: "admin.ModelAdmin[Any]") -> bool:
    return type(model_admin).has_view_permission is not admin.ModelAdmin.has_view_permission


class Tied:
    """What a row of the admin shows beyond its own columns: links to objects, an address.

    It depends on who is looking, which the methods for columns are not told; so it
    travels with the beacon.
    """

    def __init__(self, rows: Rows, request: HttpRequest) -> None:
        self._rows = rows
        self._request = request

    @classmethod
    def attach(cls, beacons: list[Beacon], request: HttpRequest, site: admin.AdminSite) -> None:
        """Fetch the objects of all ``beacons``, and leave the result with each."""
        references = (beacon.reference(role) for beacon in beacons for role in ROLES)
        tied = cls(Rows(filter(None, references), request, site), request)
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
        name = self._rows.name(reference)
        if self._rows.is_gone(reference):
            return format_html(
                '<span class="tracking-gone" title="{}">{}</span>',
                gettext("It has been deleted since."),
                name,
            )
        if url := self._rows.url(reference):
            return format_html('<a href="{}">{}</a>', url, name)
        return name

    def name(self, beacon: Beacon, role: str) -> str:
        """Return the name of an object as far as it may be seen, or ``""`` if there is none."""
        reference = beacon.reference(role)
        return "" if reference is None else self._rows.name(reference)

    def visitor(self, beacon: Beacon, site: admin.AdminSite) -> str:
        """Return the browser, linked to its page, for who may see visitors."""
        if beacon.visitor is None or not self._request.user.has_perm("tracking.view_visitor"):
            return UNKNOWN
        url = reverse(f"{site.name}:tracking_visitor_change", args=[beacon.visitor.pk])
        return format_html('<a href="{}">{}</a>', url, beacon.visitor)

    def address(self, beacon: Beacon) -> str:
        """Return the address of the client, masked for who may not see it whole."""
        if beacon.ip_address is None:
            return UNKNOWN
        if self._request.user.has_perm("tracking.view_full_address"):
            return beacon.ip_address
        return client_address.mask(beacon.ip_address)


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
