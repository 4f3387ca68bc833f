"""Indexes that leave out rows without a value."""

from typing import Any

from django.db import models
from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.db.backends.ddl_references import Statement


class NotNullIndex(models.Index):
    """An index of the rows whose first column is not ``NULL``.

    Other rows cost nothing. On a database without partial indexes it contains all rows. Django's
    ``condition`` would print a warning there at each ``migrate``.
    """

    def create_sql(
        self,
        model: type[models.Model],
        schema_editor: BaseDatabaseSchemaEditor,
        using: str = "",
        **kwargs: Any,
    ) -> Statement:
        """Return the statement that creates the index."""
        if not schema_editor.connection.features.supports_partial_indexes:
            return super().create_sql(model, schema_editor, using, **kwargs)
        present = models.Q(**{f"{self.fields[0]}__isnull": False})
        index = models.Index(fields=self.fields, name=self.name, condition=present)
        return index.create_sql(model, schema_editor, using, **kwargs)
