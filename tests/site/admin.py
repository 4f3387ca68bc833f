from django.contrib import admin

from tests.site.models import Affiliate, Subscriber, Voucher


@admin.register(Affiliate)
class AffiliateAdmin(admin.ModelAdmin):
    search_fields = ("name",)


@admin.register(Subscriber)
class SubscriberAdmin(admin.ModelAdmin):
    search_fields = ("email",)


@admin.register(Voucher)
class VoucherAdmin(admin.ModelAdmin):
    list_select_related = ["affiliate"]
