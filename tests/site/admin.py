from django.contrib import admin

from tests.site.models import Affiliate, Subscriber, Voucher
from tracking.admin import TrackingAdminMixin


@admin.register(Affiliate)
class AffiliateAdmin(TrackingAdminMixin, admin.ModelAdmin):
    list_display = ("name", "tracking_opens", "tracking_clicks")
    search_fields = ("name",)


@admin.register(Subscriber)
class SubscriberAdmin(admin.ModelAdmin):
    search_fields = ("email",)


@admin.register(Voucher)
class VoucherAdmin(admin.ModelAdmin):
    list_select_related = ["affiliate"]
