from django.apps import AppConfig


class ShopConfig(AppConfig):
    """The app of the shop."""

    name = "shop"
    verbose_name = "Tea shop"
