"""Columns that beacons, visitors and visits have in common."""

from typing import Any

from django.contrib import admin
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _

from tracking.admin import columns
from tracking.models.base import EnrichmentColumns


class ObservedColumns:
    """What is concluded from an address and a user agent, for ``list_display`` and ``fields``."""

    @admin.display(description=_("verdict"))
    def judged_in_full(self, row: EnrichmentColumns) -> SafeString:
        """The verdict and its reason."""
        return columns.verdict_in_full(row)

    @admin.display(description=_("place"))
    def place(self, row: EnrichmentColumns) -> str:
        """City and country."""
        return columns.place(row)

    @admin.display(description=_("device"))
    def agent(self, row: EnrichmentColumns) -> str:
        """Browser, operating system and device."""
        return columns.agent(row)

    @admin.display(description=_("device"))
    def agent_judged(self, row: EnrichmentColumns) -> str:
        """The same for lists, with the verdict unless it is the usual one."""
        return columns.stacked(columns.agent(row), columns.unusual_verdict(row))

    @admin.display(description=_("from where"))
    def whence(self, row: EnrichmentColumns) -> str:
        """Place and address, for lists."""
        return columns.stacked(columns.place(row), columns.quiet(self.address(row)))

    def address(self, row: Any) -> str:
        """Return the address, as far as it may be seen."""
        raise NotImplementedError
