"""The app of the benchmark site."""

from django.apps import AppConfig


class SiteConfig(AppConfig):
    """Sets the label explicitly."""

    name = "benchmarks.servers.site"
    label = "site"
