"""SQL expressions of texts that mean the same on every database."""

from typing import Any, NamedTuple

from django.db import connections
from django.db.models import ExpressionWrapper, Func, TextField, Value
from django.db.models.expressions import Combinable
from django.db.models.functions import Concat


class WholeText(Func):
    """A text of any length by which rows are grouped.

    MariaDB and MySQL sort many rows to group them, by the first ``max_sort_length`` bytes of a
    text: 1,024 by default. There the text begins with its hash until it is read.
    """

    template = "%(expressions)s"
    output_field = TextField()

    def as_mysql(self, compiler: Any, connection: Any, **context: Any) -> Any:
        """Put the hash before the text."""
        text, values = self.as_sql(compiler, connection, **context)
        return f"CONCAT(MD5({text}), {text})", (*values, *values)

    def convert_value(self, value: Any, expression: Any, connection: Any) -> Any:
        """Return the text without its hash."""
        is_hashed = value is not None and connection.vendor == "mysql"
        return value[_MD5_LENGTH:] if is_hashed else value


#: Characters of an MD5 hash in hexadecimal digits.
_MD5_LENGTH = 32


class WholeTextSql(NamedTuple):
    """SQL about columns that were made by :class:`WholeText`.

    Attributes:
        vendor: the vendor of the database.
    """

    vendor: str

    @classmethod
    def of(cls, using: str) -> "WholeTextSql":
        """Return the SQL of a database.

        Args:
            using: the database alias.
        """
        return cls(connections[using].vendor)

    @property
    def empty(self) -> str:
        """The SQL of the empty text."""
        return "MD5('')" if self.vendor == "mysql" else "''"

    def literal(self, text: str) -> str:
        """Return the SQL of a text.

        Args:
            text: the text, not from a stranger and without quotes.
        """
        return f"CONCAT(MD5('{text}'), '{text}')" if self.vendor == "mysql" else f"'{text}'"

    def plain(self, column: str) -> str:
        """Return the SQL of the text."""
        return f"SUBSTR({column}, {_MD5_LENGTH + 1})" if self.vendor == "mysql" else column

    def sort_key(self, column: str) -> str:
        """Return the SQL that sorts texts by their letters, as Python does."""
        if self.vendor == "postgresql":
            return f'{column} COLLATE "C"'
        if self.vendor == "mysql":  # by the hash, too, where they begin with the same 1,024 bytes
            return f"CAST({self.plain(column)} AS BINARY), {column}"
        return column


def joined(*parts: str | Combinable) -> Combinable:
    """Return the expression of several texts in one.

    Args:
        parts: expressions of texts, or plain texts.
    """
    return Concat(
        *(
            Value(part, output_field=TextField())
            if isinstance(part, str)
            else ExpressionWrapper(part, output_field=TextField())
            for part in parts
        ),
        output_field=TextField(),
    )
