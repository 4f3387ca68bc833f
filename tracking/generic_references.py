"""Rows of the site that hits refer to: look them up, ask them for URLs, update them."""

import copy
import inspect
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from django.apps import apps
from django.core.exceptions import ObjectDoesNotExist, ValidationError
from django.db import DataError
from django.db.models import Model
from django.db.models.signals import post_save
from django.http import HttpRequest

from tracking.db.isolation import log_errors_with_savepoints, savepoints
from tracking.destinations import clean_destination
from tracking.hits import Reference
from tracking.log_limits import get_logger

logger = get_logger(__name__)


#: What gives the URL of a row: methods, or attributes. Wagtail's pages have the last two.
URL_ATTRIBUTES = ("get_beacon_url", "get_absolute_url", "get_url", "full_url")


class NotFound(LookupError):
    """There is no such row, or it has no URL."""


def get_object(model: type[Model] | None, value: Any, field: str = "pk") -> Model:
    """Return the row of ``model`` that has ``value`` in a unique field.

    The look-up uses the model's default manager, so that rows which the site hides (drafts,
    deleted rows) stay hidden.

    Args:
        model: the model class from the site's URLconf.
        value: the key, possibly from a client.
        field: the name of the unique field.

    Raises:
        NotFound: there is no such row, or no row can have such a key.
        django.db.DatabaseError: the database does not answer.
    """
    if not (isinstance(model, type) and issubclass(model, Model)):
        raise NotFound(f"{model!r} is not a model class.")
    try:
        with savepoints():
            return model._default_manager.get(**{field: value})
    # Another key type, an integer too large for the column, NUL in a text.
    except (ObjectDoesNotExist, ValidationError, ValueError, TypeError, OverflowError, DataError):
        raise NotFound(f"There is no {model._meta.label} with {field} {value!r}.") from None


def resolve(reference: Reference) -> Model:
    """Return the row that a reference names.

    Args:
        reference: the model and the primary key.

    Raises:
        NotFound: this site does not have the model or the row.
        django.db.DatabaseError: the database does not answer.
    """
    try:
        model = apps.get_model(reference.label)
    except (LookupError, ValueError):
        raise NotFound(f"This site has no model {reference.label}.") from None
    return get_object(model, reference.pk)


def get_destination(target: Model) -> str:
    """Return the URL of a row as the value of a ``Location`` header.

    It comes from the first of :data:`URL_ATTRIBUTES` that the row has.

    Args:
        target: the row.

    Raises:
        NotFound: the row has none of them, or it fails or gives nothing.
        tracking.destinations.BadDestination: no redirect may lead to that URL.
    """
    label = target._meta.label
    try:
        with savepoints():
            url = _url_attribute(target)
            if callable(url):
                url = url()
    except NotFound:
        raise
    except Exception as error:
        logger.exception("The URL of %s %s failed", label, target.pk)
        raise NotFound(f"{label} {target.pk} does not say where it leads.") from error
    if not url:
        raise NotFound(f"{label} {target.pk} leads nowhere.")
    return clean_destination(str(url))


def _url_attribute(target: Model) -> Any:
    for name in URL_ATTRIBUTES:
        if found := getattr(target, name, None):
            return found
    raise NotFound(f"{target._meta.label} has neither get_beacon_url() nor get_absolute_url().")


def update_entity(entity: Model, request: HttpRequest) -> None:
    """Call an entity's ``beacon_update(request)``, if it has one, and save what that changed.

    Only changed fields are written, and fields with ``auto_now``. Nothing is written if the
    method saves the entity itself.

    Args:
        entity: a row, or an instance that is not saved yet.
        request: the request that is recorded.
    """
    before = _values(entity)
    saved_itself = False
    if beacon_update := getattr(entity, "beacon_update", None):
        with _watching_saves_of(entity) as saves:
            beacon_update(request)
        saved_itself = bool(saves)
    if entity._state.adding:
        entity.save()
    elif entity.pk is not None and not saved_itself:
        after = _values(entity)
        if changed := [name for name, value in after.items() if value != before.get(name, _ABSENT)]:
            _save(entity, changed)


_ABSENT = object()


def _values(instance: Model) -> dict[str, Any]:
    """Return the values of an instance, with copies of those that are mutable.

    Deferred fields are left out: reading them would make a query.
    """
    values = instance.__dict__
    return {
        field.attname: copy.deepcopy(value) if isinstance(value, dict | list | set) else value
        for field in instance._meta.concrete_fields
        if not field.primary_key and (value := values.get(field.attname, _ABSENT)) is not _ABSENT
    }


def _save(entity: Model, changed: list[str]) -> None:
    parameters = inspect.signature(entity.save).parameters.values()
    if not any(p.name == "update_fields" or p.kind is p.VAR_KEYWORD for p in parameters):
        entity.save()  # the site's own method, without the argument
        return
    set_at_each_save = [
        field.attname for field in entity._meta.concrete_fields if getattr(field, "auto_now", False)
    ]
    entity.save(update_fields=[*changed, *set_at_each_save])


@contextmanager
def _watching_saves_of(instance: Model) -> Iterator[list[bool]]:
    """Yield a list that gets an entry each time ``instance`` is saved.

    The values of the instance do not show it: whether an expression such as ``F("opens") + 1``
    is still there after a save depends on Django and the database.
    """
    saves: list[bool] = []

    def add(*, instance: Model, **_: Any) -> None:
        if instance is watched:
            saves.append(True)

    watched = instance
    sender = type(instance)
    post_save.connect(add, sender=sender)
    try:
        yield saves
    finally:
        post_save.disconnect(add, sender=sender)


def in_bulk(
    references: Iterable[Reference], related: Callable[[type[Model]], Sequence[str]] | None = None
) -> dict[Reference, Model]:
    """Return the rows that references name, with one query per model.

    References to rows or models that no longer exist are left out.

    Args:
        references: the models and primary keys.
        related: returns the foreign keys of a model that ``select_related`` fetches.
    """
    keys: dict[str, set[str]] = defaultdict(set)
    for reference in references:
        keys[reference.label].add(reference.pk)
    found: dict[Reference, Model] = {}
    for label, pks in keys.items():
        try:
            model = apps.get_model(label)
        except (LookupError, ValueError):
            continue
        valid = [pk for pk in pks if _is_key(model, pk)]
        rows = model._base_manager.filter(pk__in=valid)
        if related and (names := related(model)):
            rows = rows.select_related(*names)
        with log_errors_with_savepoints(logger, "Look-up of %s", label):
            found |= {Reference(label, str(row.pk)): row for row in rows}
    return found


def _is_key(model: type[Model], pk: str) -> bool:
    """Return whether a row can have the key: no database takes integers of more than 64 bits."""
    try:
        value = model._meta.pk.get_prep_value(model._meta.pk.to_python(pk))
    except (ValidationError, ValueError, TypeError, OverflowError):
        return False
    return not isinstance(value, int) or value.bit_length() < 64  # noqa: PLR2004
