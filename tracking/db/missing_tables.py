"""The mistake of a new site: ``manage.py migrate`` has not made the tables yet."""

import re

from django.db import Error

from tracking.log_limits import get_logger

logger = get_logger(__name__, burst=1)

#: https://www.postgresql.org/docs/current/errcodes-appendix.html, "undefined_table".
_POSTGRESQL_CODE = "42P01"
#: https://mariadb.com/kb/en/mariadb-error-code-reference/, "ER_NO_SUCH_TABLE".
_MARIADB_CODE = 1146

#: A table of the app as the databases name it: ``no such table: tracking_visit``, ``relation
#: "tracking_visit"``, ``Table 'database.tracking_visit'``. A database may be called tracking, too.
_OUR_TABLE = re.compile(r'[ ".]tracking_')


def is_known(error: BaseException | None) -> bool:
    """Return whether a table of this app is missing; if so, a line in the log says what to do.

    One line each minute replaces a traceback for each request.

    Args:
        error: what a query has raised.
    """
    if not _is_missing_table(error):
        return False
    logger.error("Nothing is recorded: run manage.py migrate tracking (%s)", error)
    return True


def _is_missing_table(error: BaseException | None) -> bool:
    if not isinstance(error, Error) or not _OUR_TABLE.search(str(error)):
        return False
    cause = error.__cause__
    return (
        "no such table" in str(error)  # SQLite has no code for it
        or _POSTGRESQL_CODE in {getattr(cause, "sqlstate", None), getattr(cause, "pgcode", None)}
        or error.args[:1] == (_MARIADB_CODE,)
    )
