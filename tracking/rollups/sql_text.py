"""SQL expressions of texts that mean the same on every database."""

from typing import Any

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
