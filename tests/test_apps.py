"""What happens when Django starts."""

import subprocess
import sys

import pytest

from tests.site.pixels import SitePixel
from tracking import links, tracker


@pytest.mark.django_db
def test_pixels_modules_are_found_by_themselves(client):
    assert SitePixel in tracker._callbacks
    SitePixel.seen.clear()
    client.get(links.pixel_url(["a"], {"b": 1}))
    assert SitePixel.seen == [(("a",), {"b": 1})]


@pytest.mark.slow
def test_the_callbacks_can_be_imported_before_the_apps_are_ready():
    """As a ``pixels.py`` that is imported by settings or by another app's module does."""
    code = "from tracking import TrackingPixel, tracker; tracker.register(TrackingPixel)"
    subprocess.run([sys.executable, "-W", "error", "-c", code], check=True)


@pytest.mark.slow
def test_a_site_without_content_types_gets_one_sentence():
    code = (
        "from django.conf import settings\n"
        "settings.configure(INSTALLED_APPS=['tracking'])\n"
        "import django\n"
        "django.setup()"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    last = done.stderr.splitlines()[-1]
    assert 'The app "tracking" needs "django.contrib.contenttypes" in INSTALLED_APPS' in last
