"""The campaign that led to a page: the UTM parameters of its query.

>>> campaign("utm_source=letter&utm_medium=email&page=2")
{'source': 'letter', 'medium': 'email'}
"""

import re
from urllib.parse import parse_qsl

_UTM = ("source", "medium", "campaign", "term", "content")
#: A parameter as senders write it: as an array (``utm_source[]``), or in a link that was escaped
#: for HTML twice (``&amp;utm_source``).
_UTM_KEY = re.compile(rf"(?:amp;)*utm_({'|'.join(_UTM)})(?:\[\w*\])?", re.ASCII)

#: Characters of a query that are read: more than any campaign has.
_MAX_QUERY = 4_000
#: Characters kept of each UTM parameter.
MAX_PARAMETER = 200


def campaign_query(query: str) -> str:
    """Return what :func:`campaign` reads of a query: ``""`` if that is nothing.

    Args:
        query: the query of a URL, without the question mark, of any length.
    """
    if "utm_" not in query:
        return ""
    return query if len(query) <= _MAX_QUERY else query[:_MAX_QUERY].rpartition("&")[0]


def campaign(query: str) -> dict[str, str]:
    """Return the UTM parameters of a query, by their names without ``utm_``.

    Args:
        query: what :func:`campaign_query` returned.
    """
    if not query:
        return {}
    # Not request.GET, which raises on a thousand parameters.
    found: dict[str, str] = {}
    for key, value in parse_qsl(query, errors="replace"):
        match = _UTM_KEY.fullmatch(key)
        if match and (trimmed := " ".join(value.split())):
            found[match[1]] = trimmed[:MAX_PARAMETER]
    return {name: found[name] for name in _UTM if name in found}
