"""The reasons of verdicts, for readers: rows store them in English.

>>> rule_of("calls itself Googlebot")
'calls itself %s'
"""

import re
from functools import cache, lru_cache

from django.utils.translation import gettext

from tracking.enrichment import message_rules
from tracking.enrichment.user_agents import CACHE_SIZE
from tracking.enrichment.verdict_rules import BY_PROVIDER, MACHINE_BY_PROVIDER, RULES


def translate_reason(reason: str) -> str:
    """Return the reason of a verdict in the active language.

    Args:
        reason: the English reason of a row. A reason that no rule gives is returned unchanged.
    """
    rule = rule_of(reason)
    if rule is None:
        return gettext(reason) if reason in {BY_PROVIDER, MACHINE_BY_PROVIDER} else reason
    found = _patterns()[rule].fullmatch(reason)
    values = found.groupdict() if found else {}
    if "s" in values:
        return gettext(rule) % values["s"]
    return gettext(rule) % values if values else gettext(rule)


def translate_rule(rule: str) -> str:
    """Return the reason of a rule in the active language, with "…" in place of its values.

    Args:
        rule: what :func:`rule_of` returns, or any other text, which is returned unchanged.
    """
    return _ANY_PLACEHOLDER.sub("…", gettext(rule)) if rule in _patterns() else rule


@lru_cache(maxsize=CACHE_SIZE)
def rule_of(reason: str) -> str | None:
    """Return the reason as the rule that gives it has it, or ``None`` if no rule gives it.

    Args:
        reason: the English reason of a row.
    """
    return next((rule for rule, pattern in _patterns().items() if pattern.fullmatch(reason)), None)


def is_of_message(reason: str) -> bool:
    """Return whether a rule about all hits of a message gives a reason."""
    return rule_of(reason) in message_rules.REASONS


@cache
def _patterns() -> dict[str, re.Pattern[str]]:
    """Return for each reason of a rule the pattern of the reasons of rows, with its values."""
    reasons = (*(rule.reason for rule in RULES), *message_rules.REASONS)
    return {
        reason: re.compile(_PLACEHOLDER.sub(_group, re.escape(reason)), re.DOTALL)
        for reason in reasons
    }


#: ``%s`` or ``%(name)s``, as ``re.escape`` writes it.
_PLACEHOLDER = re.compile(r"%(?:\\\((\w+)\\\))?s")


_ANY_PLACEHOLDER = re.compile(r"%(?:\(\w+\))?s")


def _group(found: re.Match[str]) -> str:
    return rf"(?P<{found[1]}>\d+)" if found[1] else "(?P<s>.*)"
