from django.contrib import admin

from shop.models import Affiliate, Offer, Product, Subscriber


@admin.register(Affiliate)
class AffiliateAdmin(admin.ModelAdmin):
    list_display = ["name", "slug"]
    search_fields = ["name"]


@admin.register(Product)
class ProductAdmin(admin.ModelAdmin):
    list_display = ["name", "price"]
    search_fields = ["name"]


@admin.register(Offer)
class OfferAdmin(admin.ModelAdmin):
    list_display = ["code", "product", "percent"]
    list_select_related = ["product"]
    search_fields = ["code", "product__name"]


@admin.register(Subscriber)
class SubscriberAdmin(admin.ModelAdmin):
    list_display = ["email", "name", "affiliate", "last_seen"]
    list_select_related = ["affiliate"]
    search_fields = ["email", "name"]
