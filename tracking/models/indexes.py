"""Indexes that leave out rows without a value."""

from typing import Any

from django.db import models
from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.db.backends.ddl_references import Statement


class NotNullIndex(models.Index):
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
