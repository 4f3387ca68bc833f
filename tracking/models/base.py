"""What several tables have in common."""

from typing import Any

from django.contrib.contenttypes.fields import GenericForeignKey
from django.contrib.contenttypes.models import ContentType
from django.core.exceptions import ObjectDoesNotExist
from django.db import models
from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.db.backends.ddl_references import Statement
from django.db.models.fields.related_descriptors import ForwardManyToOneDescriptor
from django.utils.translation import gettext_lazy as _

from tracking.enrichment.verdict_rules import Label


class Observed(models.Model):
    """What is concluded from an address and a user agent, when a hit becomes a row."""

    browser = models.CharField(_("browser"), max_length=100, blank=True)
    os = models.CharField(_("operating system"), max_length=100, blank=True)
    device = models.CharField(_("device"), max_length=20, blank=True)

    #: ISO 3166-1, two letters.
    country = models.CharField(_("country"), max_length=2, blank=True)
    region = models.CharField(_("region"), max_length=100, blank=True)
    city = models.CharField(_("city"), max_length=100, blank=True)
    latitude = models.FloatField(_("latitude"), null=True, blank=True)
    longitude = models.FloatField(_("longitude"), null=True, blank=True)

    verdict = models.CharField(_("verdict"), max_length=20, choices=Label, default=Label.HUMAN)
    verdict_reason = models.CharField(_("reason of the verdict"), max_length=200, blank=True)

    class Meta:
        abstract = True


class _MayBeGone(ForwardManyToOneDescriptor):  # type: ignore[type-arg]
    def get_object(self, instance: models.Model) -> Any:
        try:
            return super().get_object(instance)
        except ObjectDoesNotExist:
            return None


class SoftForeignKey(models.ForeignKey):  # type: ignore[type-arg]
    """A foreign key to a row that may not exist yet, or no longer.

    The column keeps its value, and the attribute is ``None`` as long as there is no such
    row. What it points to can come later, leave earlier, and live in a table that is
    emptied in chunks, without a look at this one.
    """

    forward_related_accessor_class = _MayBeGone

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **{**kwargs, "db_constraint": False})

    def deconstruct(self) -> Any:
        """Return the field for migrations, which know of its nature."""
        name, path, args, kwargs = super().deconstruct()
        kwargs.pop("db_constraint", None)
        return name, path, args, kwargs


class _MayLeadNowhere:
    """The attribute of a generic foreign key: what Django has there, if there is such a model.

    Before Django 6.1 that is the field itself, and since then an object of its own.
    """

    def __init__(self, field: GenericForeignKey, django_s: Any) -> None:
        self._field = field
        self._django_s = django_s

    def __get__(self, instance: Any, cls: Any = None) -> Any:
        if instance is None:
            return self
        if self.is_cached(instance) or self._has_model(instance):
            return self._django_s.__get__(instance, cls)
        return None

    def __set__(self, instance: Any, value: Any) -> None:
        self._django_s.__set__(instance, value)

    def is_cached(self, instance: models.Model) -> bool:
        """Return whether the row is known already."""
        return self._field.is_cached(instance)

    def get_prefetch_querysets(self, instances: Any, querysets: Any = None) -> Any:
        """Fetch the rows for many instances at once."""
        known = [instance for instance in instances if self._has_model(instance)]
        found, key, key_in, *rest = self._django_s.get_prefetch_querysets(known, querysets)
        ids = {id(instance) for instance in known}
        return found, key, lambda one: key_in(one) if id(one) in ids else None, *rest

    def _has_model(self, instance: models.Model) -> bool:
        field: Any = self._field.model._meta.get_field(self._field.ct_field)
        content_type = getattr(instance, field.attname)
        if content_type is None:
            return True
        types = ContentType.objects.db_manager(instance._state.db)
        try:
            return types.get_for_id(content_type).model_class() is not None
        except ContentType.DoesNotExist:
            return False


class SoftGenericForeignKey(GenericForeignKey):
    """A generic foreign key to a row of any model, neither of which may exist any longer.

    The database does not look whether the content type is there; the attribute is ``None`` if
    it is not, or if its model has left the site.
    """

    def contribute_to_class(self, cls: type[models.Model], name: str, **kwargs: Any) -> None:  # type: ignore[override]
        """Put the attribute on the model."""
        super().contribute_to_class(cls, name, **kwargs)
        setattr(cls, name, _MayLeadNowhere(self, cls.__dict__[name]))


class PresentIndex(models.Index):
    """An index over those rows only that have a value in its first column.

    A row that has none then costs nothing. Where the database has no such indexes it is one
    over all rows; Django's ``condition`` would warn there at each ``migrate``, of what is
    harmless.
    """

    def create_sql(
        self,
        model: type[models.Model],
        schema_editor: BaseDatabaseSchemaEditor,
        using: str = "",
        **kwargs: Any,
    ) -> Statement:
        """Return the statement that makes it."""
        if not schema_editor.connection.features.supports_partial_indexes:
            return super().create_sql(model, schema_editor, using, **kwargs)
        present = models.Q(**{f"{self.fields[0]}__isnull": False})
        index = models.Index(fields=self.fields, name=self.name, condition=present)
        return index.create_sql(model, schema_editor, using, **kwargs)
