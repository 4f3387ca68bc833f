"""Model fields: foreign keys that tolerate missing rows, and IP networks."""

from ipaddress import IPv4Network, IPv6Network
from typing import Any

from django.contrib.contenttypes.fields import GenericForeignKey
from django.contrib.contenttypes.models import ContentType, ContentTypeManager
from django.core.exceptions import ObjectDoesNotExist, ValidationError
from django.db import models, router
from django.db.models.fields.related_descriptors import ForwardManyToOneDescriptor
from django.utils.translation import gettext_lazy as _

from tracking.client_address import network_of


class _NullIfMissing(ForwardManyToOneDescriptor):  # type: ignore[type-arg]
    def get_object(self, instance: models.Model) -> Any:
        try:
            return super().get_object(instance)
        except ObjectDoesNotExist:
            return None


class SoftForeignKey(models.ForeignKey):  # type: ignore[type-arg]
    """A foreign key to a row that may not exist yet, or no longer.

    There is no constraint: the column keeps its value, and the attribute is ``None`` while the row
    is missing. So referenced rows can be saved later, deleted earlier, and deleted in chunks
    without checking this table.
    """

    forward_related_accessor_class = _NullIfMissing

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **{**kwargs, "db_constraint": False})

    def deconstruct(self) -> Any:
        """Return the field for migrations, without ``db_constraint``: it is always off."""
        name, path, args, kwargs = super().deconstruct()
        kwargs.pop("db_constraint", None)
        return name, path, args, kwargs


class _NullIfModelMissing:
    """The attribute of a generic foreign key: Django's descriptor, or ``None`` without a model.

    Django's descriptor is the field itself before Django 6.1, and a separate object since.
    """

    def __init__(self, field: GenericForeignKey, descriptor: Any) -> None:
        self._field = field
        self._descriptor = descriptor

    def __get__(self, instance: Any, cls: Any = None) -> Any:
        if instance is None:
            return self
        if self.is_cached(instance) or getattr(instance, self._type_column) is None:
            return self._descriptor.__get__(instance, cls)
        model = self._model_of(instance)
        if model is None:
            return None
        using = router.db_for_read(model, instance=instance)
        if using != instance._state.db:  # Django would ask the database of the instance
            key = getattr(instance, self._field.fk_field)
            found = model._base_manager.using(using).filter(pk=key).first()
            self._field.set_cached_value(instance, found)
        return self._descriptor.__get__(instance, cls)

    def __set__(self, instance: Any, value: Any) -> None:
        self._descriptor.__set__(instance, value)

    def is_cached(self, instance: models.Model) -> bool:
        """Return whether the row is cached."""
        return self._field.is_cached(instance)

    def get_prefetch_querysets(self, instances: Any, querysets: Any = None) -> Any:
        """Fetch the rows of many instances at once."""
        known = [instance for instance in instances if self._has_model(instance)]
        found, key, key_in, *rest = self._descriptor.get_prefetch_querysets(known, querysets)
        ids = {id(instance) for instance in known}
        return found, key, lambda one: key_in(one) if id(one) in ids else None, *rest

    def _has_model(self, instance: models.Model) -> bool:
        return getattr(instance, self._type_column) is None or bool(self._model_of(instance))

    def _model_of(self, instance: models.Model) -> type[models.Model] | None:
        """Return the model of the row, or ``None`` if the site no longer has it."""
        types = content_types_for(instance._state.db)
        try:
            return types.get_for_id(getattr(instance, self._type_column)).model_class()
        except ContentType.DoesNotExist:
            return None

    @property
    def _type_column(self) -> str:
        field: Any = self._field.model._meta.get_field(self._field.ct_field)
        name: str = field.attname
        return name


def content_types_for(using: str | None) -> ContentTypeManager:
    """Return the content types that rows of a database refer to.

    They are in the same database, unless a router keeps them in another one.

    Args:
        using: the alias of the database; ``None`` leaves it to the router.
    """
    if using is not None and not router.allow_migrate_model(using, ContentType):
        using = router.db_for_read(ContentType)
    return ContentType.objects.db_manager(using)


class SoftGenericForeignKey(GenericForeignKey):
    """A generic foreign key whose row or model may no longer exist.

    The attribute is ``None`` if the row or its content type is missing, or if the model was removed
    from the site.
    """

    def contribute_to_class(self, cls: type[models.Model], name: str, **kwargs: Any) -> None:  # type: ignore[override]
        """Add the attribute to the model."""
        super().contribute_to_class(cls, name, **kwargs)
        setattr(cls, name, _NullIfModelMissing(self, cls.__dict__[name]))

    def get_content_type(
        self,
        obj: models.Model | None = None,
        id: Any = None,  # noqa: A002 - Django's name
        using: str | None = None,
        model: type[models.Model] | None = None,
    ) -> ContentType:
        """Return a content type from the database that has them."""
        if using is None and obj is not None:
            using = obj._state.db
        types = content_types_for(using)
        if obj is None and id is not None:
            return types.get_for_id(id)
        row_or_model: Any = model if obj is None else obj
        return types.get_for_model(row_or_model, for_concrete_model=self.for_concrete_model)


def canonical_form(network: IPv4Network | IPv6Network) -> str:
    """Return the text of a network as it is stored: an address without ``/32`` or ``/128``.

    Args:
        network: a network, or an address as a network of one.
    """
    if network.prefixlen == network.max_prefixlen:
        return str(network.network_address)
    return str(network)


class NetworkField(models.CharField):  # type: ignore[type-arg]
    """An IPv4 or IPv6 address or a network in CIDR notation, in its canonical form."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **{**kwargs, "max_length": 43})

    def deconstruct(self) -> Any:
        """Return the field for migrations, without its fixed length."""
        name, path, args, kwargs = super().deconstruct()
        del kwargs["max_length"]
        return name, path, args, kwargs

    def to_python(self, value: Any) -> Any:
        """Return the canonical form of an address or network.

        Args:
            value: an address or a network; host bits are cleared.

        Raises:
            django.core.exceptions.ValidationError: the value is neither.
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
        return canonical_form(network)

    def pre_save(self, model_instance: models.Model, add: bool) -> Any:
        """Return the canonical form, and set it on the instance."""
        value = super().pre_save(model_instance, add)
        if not hasattr(value, "resolve_expression"):
            value = self.to_python(value)
            setattr(model_instance, self.attname, value)
        return value

    def get_prep_value(self, value: Any) -> Any:
        """Return the canonical form for queries."""
        return self.to_python(super().get_prep_value(value))
