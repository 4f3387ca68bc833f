"""The admin pages of untracked user agents."""

from django.contrib import admin

from tracking.admin.large_tables import LargeTableAdmin
from tracking.models import UntrackedUserAgent


@admin.register(UntrackedUserAgent)
class UntrackedUserAgentAdmin(LargeTableAdmin):
    """Keywords: browsers whose user agent contains one are not tracked."""

    list_display = ("keyword",)
    search_fields = ("keyword",)
    ordering = ("keyword",)
