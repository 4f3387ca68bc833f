"""Model fields: foreign keys that tolerate missing rows, and IP networks."""

from typing import Any

from django.contrib.contenttypes.fields import GenericForeignKey
from django.contrib.contenttypes.models import ContentType
from django.core.exceptions import ObjectDoesNotExist, ValidationError
from django.db import models
from django.db.models.fields.related_descriptors import ForwardManyToOneDescriptor
from django.utils.translation import gettext_lazy as _

from tracking.client_address import network_of


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


class NetworkField(models.CharField):  # type: ignore[type-arg]
    """One address or a network in CIDR notation, IPv4 or IPv6, in its canonical spelling."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **{**kwargs, "max_length": 43})

    def deconstruct(self) -> Any:
        """Return the field for migrations; its length is its own."""
        name, path, args, kwargs = super().deconstruct()
        del kwargs["max_length"]
        return name, path, args, kwargs

    def to_python(self, value: Any) -> Any:
        """Return the canonical spelling: of a network its first address, of an address no ``/32``.

        Raises:
            django.core.exceptions.ValidationError: it is neither.
        """
        if value is None or value == "":
            return value
        text = str(value).strip()
        network = network_of(text)
        if network is None:
            raise ValidationError(
                _("%(value)s is neither an IP address nor a network such as 192.0.2.0/24."),
                params={"value": text},
                code="invalid",
            )
        if network.prefixlen == network.max_prefixlen:
            return str(network.network_address)
        return str(network)

    def pre_save(self, model_instance: models.Model, add: bool) -> Any:
        """Return what is stored, and leave it with the instance."""
        value = super().pre_save(model_instance, add)
        if not hasattr(value, "resolve_expression"):
            value = self.to_python(value)
            setattr(model_instance, self.attname, value)
        return value

    def get_prep_value(self, value: Any) -> Any:
        """Return what is stored and looked up, however the network was spelled."""
        return self.to_python(super().get_prep_value(value))
