"""Models and QuerySets that signal every change, bulk changes too.

Snapshots of such a table (:mod:`tracking.caching.snapshots`) never miss a change. Django itself
sends no signal for ``update()`` and ``bulk_create()``.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar

from django.db import models, router, transaction
from django.dispatch import Signal

#: Sent before each change of a table, once for many rows, within the transaction of the change.
#: Every writer takes the locks of the receivers first, so that no two writers deadlock.
#: Arguments: ``sender``, the model; ``using``, the alias of the database.
rows_changing = Signal()

#: Sent after the change, within the same transaction: a receiver that raises undoes the change.
#: Arguments: ``sender``, the model; ``using``, the alias of the database; ``new``, the
#: instances that were inserted, where a receiver needs them.
rows_changed = Signal()

M = TypeVar("M", bound=models.Model)


@contextmanager
def change_signals(
    model: type[models.Model], using: str, new: Sequence[models.Model] = ()
) -> Iterator[None]:
    """Run the block in a transaction, between ``rows_changing`` and ``rows_changed``.

    Args:
        model: the model whose table the block changes.
        using: the alias of the database.
        new: the instances that the block inserts.
    """
    sender = model._meta.concrete_model
    with transaction.atomic(using=using, savepoint=False):
        rows_changing.send(sender=sender, using=using)
        yield
        rows_changed.send(sender=sender, using=using, new=new)


class ChangeSignalQuerySet(models.QuerySet[M]):
    """A QuerySet that signals bulk changes too."""

    def update(self, **values: Any) -> int:
        """Update the rows as Django does. Without rows, no signal is sent."""
        if not self._has_rows():
            return models.QuerySet.update(self.none(), **values)
        with self._change_signals():
            return super().update(**values)

    update.alters_data = True  # type: ignore[attr-defined]

    def delete(self) -> tuple[int, dict[str, int]]:
        """Delete the rows as Django does. Without rows, no signal is sent."""
        if not self._has_rows():
            return models.QuerySet.delete(self.none())
        with self._change_signals():
            return super().delete()

    delete.alters_data = True  # type: ignore[attr-defined]
    delete.queryset_only = True  # type: ignore[attr-defined]

    def bulk_create(self, objs: Iterable[M], *args: Any, **kwargs: Any) -> list[M]:
        """Insert the rows as Django does."""
        instances = list(objs)
        if not instances:
            return super().bulk_create(instances, *args, **kwargs)
        with self._change_signals(self._new_instances(instances)):
            return super().bulk_create(instances, *args, **kwargs)

    def update_or_create(
        self,
        defaults: Mapping[str, Any] | None = None,
        create_defaults: Mapping[str, Any] | None = None,
        **kwargs: Any,
    ) -> tuple[M, bool]:
        """Update or insert a row as Django does."""
        # Django locks the row before it calls save(): the signal must come before that lock.
        with self._change_signals():
            return super().update_or_create(defaults, create_defaults, **kwargs)

    def _has_rows(self) -> bool:
        self._for_write = True
        return self.using(self.db).exists()

    def _new_instances(self, instances: Sequence[M]) -> Sequence[M]:
        """Return the instances that have no row yet, where a receiver needs them."""
        return ()

    def _change_signals(self, new: Sequence[M] = ()) -> Any:
        self._for_write = True
        return change_signals(self.model, self.db, new)


class ChangeSignalModel(models.Model):
    """A model that signals every change of its rows."""

    class Meta:
        abstract = True

    def save(self, *, using: str | None = None, **options: Any) -> None:
        """Save the row as Django does."""
        using = using or router.db_for_write(type(self), instance=self)
        with change_signals(type(self), using, [self] if self._state.adding else []):
            super().save(using=using, **options)

    def delete(
        self, using: str | None = None, keep_parents: bool = False
    ) -> tuple[int, dict[str, int]]:
        """Delete the row as Django does."""
        using = using or router.db_for_write(type(self), instance=self)
        with change_signals(type(self), using):
            return super().delete(using=using, keep_parents=keep_parents)


def signal_loaded_fixture(sender: type[models.Model], raw: bool, using: str, **_: Any) -> None:
    """Signal rows that ``loaddata`` writes: it bypasses ``save()``. A receiver of ``post_save``."""
    if raw:
        rows_changing.send(sender=sender, using=using)
        rows_changed.send(sender=sender, using=using, new=())
