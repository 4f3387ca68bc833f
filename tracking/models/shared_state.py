"""Small values that all processes of a site share."""

from typing import Any

from django.db import models

#: The prefix of the names of rows that hold a salt.
SALT_PREFIX = "salt "


class _SharedValueField(models.CharField):  # type: ignore[type-arg]
    """The value of a shared row. A salt is never serialized, so no dump contains it."""

    def value_to_string(self, obj: Any) -> str:
        """Return what Django's serializers write for an instance: ``""`` for a salt."""
        return "" if obj.name.startswith(SALT_PREFIX) else super().value_to_string(obj)

    def deconstruct(self) -> Any:
        """Return the field for migrations: a plain ``CharField``."""
        name, _path, args, kwargs = super().deconstruct()
        return name, "django.db.models.CharField", args, kwargs


class SharedValue(models.Model):
    """A value that every process of the site reads, such as the version of the ban list.

    A handful of rows, read whole by one short query. Not shown in the admin.
    """

    name = models.CharField(max_length=50, primary_key=True)
    value = _SharedValueField(max_length=64, blank=True)
    changed_at = models.DateTimeField()

    class Meta:
        db_table = "tracking_agreed"  # the name of earlier versions

    def __str__(self) -> str:
        return self.name
