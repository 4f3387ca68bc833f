from django.contrib import admin

from tests.site.models import Affiliate, Subscriber


@admin.register(Affiliate)
class AffiliateAdmin(admin.ModelAdmin):
    search_fields = ("name",)


@admin.register(Subscriber)
class SubscriberAdmin(admin.ModelAdmin):
    search_fields = ("email",)
