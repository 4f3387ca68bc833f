"""The app of the model."""

from django.apps import AppConfig


class SiteConfig(AppConfig):
    """Named, so that its label is not that of ``django.contrib.sites``."""

    name = "benchmarks.servers.site"
    label = "site"
