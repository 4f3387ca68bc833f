from django.contrib import admin

from shop.models import Affiliate, Offer, Product, Subscriber
from tracking.admin import TrackingAdminMixin


@admin.register(Affiliate)
class AffiliateAdmin(TrackingAdminMixin, admin.ModelAdmin):
    """A source: its page links to its report, its list shows opens and clicks."""

    list_display = ["name", "slug", "tracking_opens", "tracking_clicks"]
    search_fields = ["name"]


@admin.register(Product)
class ProductAdmin(admin.ModelAdmin):
    """The list of products."""

    list_display = ["name", "price"]
    search_fields = ["name"]


@admin.register(Offer)
class OfferAdmin(TrackingAdminMixin, admin.ModelAdmin):
    """A target: its list shows clicks."""

    tracking_role = "target"
    list_display = ["code", "product", "percent", "tracking_clicks"]
    list_select_related = ["product"]
    search_fields = ["code", "product__name"]


@admin.register(Subscriber)
class SubscriberAdmin(TrackingAdminMixin, admin.ModelAdmin):
    """An entity: its list shows opens and clicks."""

    tracking_role = "entity"
    list_display = ["email", "name", "affiliate", "last_seen", "tracking_opens", "tracking_clicks"]
    list_select_related = ["affiliate"]
    search_fields = ["email", "name"]
