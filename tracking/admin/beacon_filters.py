"""The filters of the list of beacons."""

from collections.abc import Iterator
from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _

from tracking.admin.related_objects import Rows, content_type_of, reference_of, value_of
from tracking.hits import Reference
from tracking.models import Beacon


class RoleFilter(admin.SimpleListFilter):
    """Beacons of one object, as ``?source=shop.affiliate:7``; the pages of objects link here."""

    role: str

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        references = list(dict.fromkeys(self.offered(model_admin.model)))
        rows = Rows(references, request, model_admin.admin_site)
        return [(value_of(reference), rows.name(reference)) for reference in references]

    def offered(self, model: type[Beacon]) -> Iterator[Reference]:
        """Yield the objects of the sidebar: the chosen one, by which the choice can be undone."""
        if chosen := reference_of(self.value() or ""):
            yield chosen

    def queryset(self, request: HttpRequest, queryset: QuerySet[Beacon]) -> QuerySet[Beacon]:
        value = self.value()
        if value is None:
            return queryset
        reference = reference_of(value)
        content_type = reference and content_type_of(reference)
        if not (reference and content_type):
            return queryset.none()
        return queryset.filter(
            **{f"{self.role}_type": content_type, f"{self.role}_id": reference.pk}
        )


class SourceFilter(RoleFilter):
    """Where the reader came from.

    To offer every source would mean to read the whole table: these are the latest.
    """

    role = parameter_name = "source"
    title = _("source")

    LATEST = 500  # beacons that are looked at

    def offered(self, model: type[Beacon]) -> Iterator[Reference]:
        yield from super().offered(model)
        latest = model._default_manager.order_by("-time").only("source_type_id", "source_id")
        for beacon in latest[: self.LATEST]:
            if reference := beacon.reference(self.role):
                yield reference


class EntityFilter(RoleFilter):
    """Who it was. There are too many to offer any."""

    role = parameter_name = "entity"
    title = _("entity")


class TargetFilter(RoleFilter):
    """What was shown or linked to."""

    role = parameter_name = "target"
    title = _("target")
