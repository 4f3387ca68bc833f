"""The site's own rows that hits are tied to: finding them, and asking them what they say."""

import copy
import inspect
import logging
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

logger = logging.getLogger(__name__)


class NotFound(LookupError):
    """There is no such row, or it leads nowhere."""


def get_object(model: type[Model] | None, value: Any, field: str = "pk") -> Model:
    """Return the row of ``model`` that has ``value`` in a unique field.

    It is looked for by the model's default manager, so that what the site hides
    (drafts, deleted rows) stays hidden here.

    Args:
        model: the model class, as the site's URLconf gives it.
        value: the key, possibly as a stranger has written it.
        field: the name of the unique field.

    Raises:
        NotFound: there is none, or no row could have such a key.
        django.db.DatabaseError: the database does not answer.
    """
    if not (isinstance(model, type) and issubclass(model, Model)):
        raise NotFound(f"{model!r} is no model class.")
    try:
        with savepoints():
            return model._default_manager.get(**{field: value})
    # Another key type, an integer too large for the column, NUL in a text.
    except (ObjectDoesNotExist, ValidationError, ValueError, TypeError, OverflowError, DataError):
        raise NotFound(f"There is no {model._meta.label} with {field} {value!r}.") from None


def resolve(reference: Reference) -> Model:
    """Return the row that a reference names.

    Raises:
        NotFound: this site has no such model, or the row is gone.
        django.db.DatabaseError: the database does not answer.
    """
    try:
        model = apps.get_model(reference.label)
    except (LookupError, ValueError):
        raise NotFound(f"This site has no model {reference.label}.") from None
    return get_object(model, reference.pk)


def get_destination(target: Model) -> str:
    """Return where links to ``target`` lead, as the value of a ``Location`` header.

    ``get_beacon_url()`` says so, else ``get_absolute_url()``.

    Raises:
        NotFound: the target has neither, or what it has answers nothing or fails.
        tracking.destinations.BadDestination: no redirect may lead there.
    """
    label = target._meta.label
    method = getattr(target, "get_beacon_url", None) or getattr(target, "get_absolute_url", None)
    if method is None:
        raise NotFound(f"{label} has neither get_beacon_url() nor get_absolute_url().")
    try:
        with savepoints():
            url = method()
    except Exception as error:
        logger.exception("%s of %s %s failed", method.__name__, label, target.pk)
        raise NotFound(f"{label} {target.pk} does not say where it leads.") from error
    if not url:
        raise NotFound(f"{label} {target.pk} leads nowhere.")
    return clean_destination(str(url))


def update_entity(entity: Model, request: HttpRequest) -> None:
    """Show the request to an entity's ``beacon_update``, if it has one, and save what that changed.

    Only the fields that it has changed are written (and those that are set at each save),
    and nothing if it saves by itself.

    Args:
        entity: a row, or a new instance that is not saved yet.
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
    """Return the values of an instance, with copies of those that can be changed in place.

    A field that is not loaded is left out: looking at it would be a query.
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
        entity.save()  # the site's own, which takes no such argument
        return
    set_at_each_save = [
        field.attname for field in entity._meta.concrete_fields if getattr(field, "auto_now", False)
    ]
    entity.save(update_fields=[*changed, *set_at_each_save])


@contextmanager
def _watching_saves_of(instance: Model) -> Iterator[list[bool]]:
    """Yield a list that gets an entry each time that ``instance`` is saved.

    Its values do not tell: an expression such as ``F("opens") + 1`` may or may not be on
    the instance after it was saved, depending on Django and the database.
    """
    saves: list[bool] = []

    def note(*, instance: Model, **_: Any) -> None:
        if instance is watched:
            saves.append(True)

    watched = instance
    sender = type(instance)
    post_save.connect(note, sender=sender)
    try:
        yield saves
    finally:
        post_save.disconnect(note, sender=sender)


def in_bulk(
    references: Iterable[Reference], related: Callable[[type[Model]], Sequence[str]] | None = None
) -> dict[Reference, Model]:
    """Return the rows that references name, with one query per model.

    What is gone is left out: a row, a model that the site has removed, a key of a type
    that the model no longer has.

    Args:
        references: what to look for.
        related: tells for a model which foreign keys are to be fetched along.

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
    """Return whether a row could have the key: no database takes integers of over 64 bits."""
    try:
        value = model._meta.pk.get_prep_value(model._meta.pk.to_python(pk))
    except (ValidationError, ValueError, TypeError, OverflowError):
        return False
    return not isinstance(value, int) or value.bit_length() < 64  # noqa: PLR2004
