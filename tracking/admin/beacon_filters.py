"""The filters of the list of beacons."""

from collections.abc import Iterator
from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _

from tracking.admin.related_objects import (
    RelatedObjects,
    content_type_for,
    reference_from_text,
    reference_to_text,
)
from tracking.hits import Reference
from tracking.models import Beacon


class RoleFilter(admin.SimpleListFilter):
    """Filters beacons by one object: ``?source=shop.affiliate:7``."""

    role: str

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        """Return the objects to offer, with their names."""
        references = list(dict.fromkeys(self.offered_references(model_admin.model)))
        objects = RelatedObjects(references, request, model_admin.admin_site)
        return [(reference_to_text(reference), objects.name(reference)) for reference in references]

    def offered_references(self, model: type[Beacon]) -> Iterator[Reference]:
        """Yield the objects to offer; the chosen one, so that the user can deselect it."""
        if chosen := reference_from_text(self.value() or ""):
            yield chosen

    def queryset(self, request: HttpRequest, queryset: QuerySet[Beacon]) -> QuerySet[Beacon]:
        """Return the beacons of the chosen object."""
        value = self.value()
        if value is None:
            return queryset
        reference = reference_from_text(value)
        content_type = reference and content_type_for(reference)
        if not (reference and content_type):
            return queryset.none()
        return queryset.filter(
            **{f"{self.role}_type": content_type, f"{self.role}_id": reference.pk}
        )


class SourceFilter(RoleFilter):
    """Filters by source. It offers the latest sources; all of them would take a full scan."""

    role = parameter_name = "source"
    title = _("source")

    #: It offers the sources of this many of the latest beacons.
    LATEST = 500

    def offered_references(self, model: type[Beacon]) -> Iterator[Reference]:
        """Yield the chosen source and the latest ones."""
        yield from super().offered_references(model)
        latest = model._default_manager.order_by("-time").only("source_type_id", "source_id")
        for beacon in latest[: self.LATEST]:
            if reference := beacon.reference(self.role):
                yield reference


class EntityFilter(RoleFilter):
    """Filters by entity. It offers none, since there are too many."""

    role = parameter_name = "entity"
    title = _("entity")


class TargetFilter(RoleFilter):
    """Filters by target. It offers none."""

    role = parameter_name = "target"
    title = _("target")
