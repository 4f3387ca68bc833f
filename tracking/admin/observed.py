"""Columns that beacons, visitors and visits have in common."""

from typing import Any

from django.contrib import admin
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _

from tracking.admin import displays
from tracking.models.observed import Observed


class ObservedColumns:
    """What is concluded from an address and a user agent, for ``list_display`` and ``fields``."""

    @admin.display(description=_("verdict"))
    def judged_in_full(self, row: Observed) -> SafeString:
        """The verdict and its reason."""
        return displays.verdict_in_full(row)

    @admin.display(description=_("place"))
    def place(self, row: Observed) -> str:
        """City and country."""
        return displays.place(row)

    @admin.display(description=_("device"))
    def agent(self, row: Observed) -> str:
        """Browser, operating system and device."""
        return displays.agent(row)

    @admin.display(description=_("device"))
    def agent_judged(self, row: Observed) -> str:
        """The same for lists, with the verdict unless it is the usual one."""
        return displays.stacked(displays.agent(row), displays.unusual_verdict(row))

    @admin.display(description=_("from where"))
    def whence(self, row: Observed) -> str:
        """Place and address, for lists."""
        return displays.stacked(displays.place(row), displays.quiet(self.address(row)))

    def address(self, row: Any) -> str:
        """Return the address, as far as it may be seen."""
        raise NotImplementedError
