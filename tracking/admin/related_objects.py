"""Objects that beacons and visitors refer to, within the permissions of the current user."""

from collections.abc import Iterable, Sequence
from typing import Any

from django.contrib import admin
from django.contrib.contenttypes.models import ContentType
from django.db.models import Model
from django.http import HttpRequest
from django.urls import reverse
from django.utils.http import urlencode

from tracking import generic_references
from tracking.admin.admin_page import admin_url
from tracking.hits import Reference


class RelatedObjects:
    """The objects behind some references, fetched with one query per model.

    The user may view an object if they could open its page in this admin: the model is
    registered, they have the permission, and the model's own admin lists the object.

    Args:
        references: which objects.
        request: the current request.
        site: the admin site, whose permissions apply.
    """

    def __init__(
        self, references: Iterable[Reference], request: HttpRequest, site: admin.AdminSite
    ) -> None:
        self._request = request
        self._site = site
        self._found = generic_references.in_bulk(references, self._select_related)
        self._hidden = self._excluded_by_model_admins()

    def is_deleted(self, reference: Reference) -> bool:
        """Return whether the object no longer exists."""
        return reference not in self._found

    def name(self, reference: Reference) -> str:
        """Return the object's name, or its model and key if the user may not view it."""
        instance = self._viewable(reference)
        return " ".join(reference) if instance is None else str(instance)

    def url(self, reference: Reference) -> str | None:
        """Return the URL of the object's admin page, if the user may open it."""
        instance = self._viewable(reference)
        if instance is None:
            return None
        meta = instance._meta
        name = f"{meta.app_label}_{meta.model_name}_change"
        return admin_url(self._site, name, instance.pk) or None

    def _viewable(self, reference: Reference) -> Model | None:
        instance = self._found.get(reference)
        if instance is None or reference in self._hidden:
            return None
        model_admin = self._site._registry.get(type(instance))
        if model_admin is None or not model_admin.has_view_permission(self._request, instance):
            return None
        return instance

    def _select_related(self, model: type[Model]) -> Sequence[str]:
        """Return the ``list_select_related`` of the model's admin; names may need it."""
        names = getattr(self._site._registry.get(model), "list_select_related", ())
        return names if isinstance(names, list | tuple) else ()

    def _excluded_by_model_admins(self) -> set[Reference]:
        """Return the objects that their own admin does not list for this user."""
        by_model: dict[type[Model], dict[Any, Reference]] = {}
        for reference, instance in self._found.items():
            by_model.setdefault(type(instance), {})[instance.pk] = reference
        hidden: set[Reference] = set()
        for model, references in by_model.items():
            model_admin = self._site._registry.get(model)
            if model_admin is None or not _overrides_get_queryset(model_admin):
                continue
            shown = model_admin.get_queryset(self._request).filter(pk__in=references)
            shown_keys = set(shown.values_list("pk", flat=True))
            hidden |= {references[pk] for pk in references if pk not in shown_keys}
        return hidden


def may_view_all(model: type[Model] | None, request: HttpRequest, site: admin.AdminSite) -> bool:
    """Return whether the user may view every row of a model, and so search all of them.

    ``False`` if the model's admin decides per row, or filters its list.
    """
    model_admin = None if model is None else site._registry.get(model)
    if (
        model_admin is None
        or _overrides_get_queryset(model_admin)
        or _overrides_has_view_permission(model_admin)
    ):
        return False
    return model_admin.has_view_permission(request)


def _overrides_get_queryset(model_admin: "admin.ModelAdmin[Any]") -> bool:
    return type(model_admin).get_queryset is not admin.ModelAdmin.get_queryset


def _overrides_has_view_permission(model_admin: "admin.ModelAdmin[Any]") -> bool:
    return type(model_admin).has_view_permission is not admin.ModelAdmin.has_view_permission


# References in URLs.


def reference_to_text(reference: Reference) -> str:
    """Return a reference as text for a URL: ``"shop.affiliate:7"``."""
    return f"{reference.label}:{reference.pk}"


def reference_from_text(value: str) -> Reference | None:
    """Parse the text of a reference; ``None`` if it is malformed."""
    label, colon, pk = value.partition(":")
    return Reference(label, pk) if colon and "\0" not in value else None


def content_type_for(reference: Reference) -> ContentType | None:
    """Return the content type of a reference, or ``None`` if there is none."""
    app_label, _dot, model = reference.label.partition(".")
    return ContentType.objects.filter(app_label=app_label, model=model).first()


def beacons_url(site: admin.AdminSite, role: str, instance: Model) -> str:
    """Return the URL of the beacons of an object.

    Args:
        site: the admin site.
        role: the role of the object: ``"source"``, ``"entity"`` or ``"target"``.
        instance: the object.

    Raises:
        django.urls.NoReverseMatch: the site does not list beacons.
    """
    query = urlencode({role: reference_to_text(Reference.to(instance))})
    return f"{reverse(f'{site.name}:tracking_beacon_changelist')}?{query}"
