"""SQL expressions of texts that mean the same on every database."""

from typing import Any

from django.db.models import Case, ExpressionWrapper, F, Func, Q, TextField, Value, When
from django.db.models.expressions import Combinable
from django.db.models.functions import Concat, Lower, StrIndex, Substr
from django.db.models.lookups import Exact


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


def host(field: str) -> Combinable:
    """Return the expression of a URL's host in small letters, with its port if it has one.

    It has no ``www.``, as most sites have both names.
    A text that is no URL, which strangers may send, is returned whole.

    Args:
        field: the name of the column.
    """
    url = F(field)
    rest: Combinable = Substr(url, StrIndex(url, Value("://")) + 3, output_field=TextField())
    for end in "/?#":
        rest = _until(rest, end)
    first = Lower(Substr(rest, 1, 4, output_field=TextField()))
    is_url = Q(**{f"{field}__contains": "://"})
    return Lower(
        Case(
            When(is_url & Q(Exact(first, Value("www."))), then=Substr(rest, 5)),
            When(is_url, then=rest),
            default=url,
            output_field=TextField(),
        )
    )


def _until(text: Combinable, end: str) -> Combinable:
    return Substr(text, 1, StrIndex(joined(text, end), Value(end)) - 1, output_field=TextField())
