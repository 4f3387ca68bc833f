"""User agents that are not counted, by words of the site's own (``UntrackedUserAgent``).

if snapshots.is_due():
    snapshots.refresh()
is_untracked(request.headers.get("User-Agent", ""))
"""

from collections.abc import Iterable
from typing import Any

from django.dispatch import receiver

from tracking.caching import snapshots
from tracking.models import UntrackedUserAgent
from tracking.models.change_signals import rows_changing


class Keywords(dict[str, bool]):
    """For each user agent whether a keyword is in it; found out once, and remembered."""

    #: User agents that are remembered; then it begins anew.
    MAX_AGENTS = 10_000
    #: Characters of one that is: nobody fills the memory with headers of 8 kB.
    MAX_LENGTH = 512

    def __init__(self, words: Iterable[str] = ()) -> None:
        """Take the keywords. Blank ones would be in every user agent, and are left out."""
        super().__init__()
        lowered = (word.strip().lower() for word in words)
        self.words = tuple(dict.fromkeys(word for word in lowered if word))

    def __missing__(self, user_agent: str) -> bool:
        lowered = user_agent.lower()
        found = any(word in lowered for word in self.words)
        if len(user_agent) <= self.MAX_LENGTH:
            if len(self) >= self.MAX_AGENTS:
                self.clear()
            self[user_agent] = found
        return found


def is_untracked(user_agent: str) -> bool:
    """Return whether the site does not want this user agent counted.

    It looks at the snapshot only; whether that is up to date is the caller's business.
    """
    return snapshot.current[user_agent]


def _load(using: str) -> Keywords:
    rows = UntrackedUserAgent.objects.using(using)
    return Keywords(rows.values_list("keyword", flat=True))


#: The keywords, as all processes of the site know them.
snapshot = snapshots.Snapshot("filters", _load, Keywords())


@receiver(rows_changing, sender=UntrackedUserAgent)
def _changing(using: str, **_: Any) -> None:
    snapshots.changed(snapshot.name, using)
