"""SQL expressions of texts."""

import pytest

from tracking.models import Beacon
from tracking.rollups.sql_text import host

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("https://www.google.com/search?q=tea", "google.com"),
        ("https://WWW.Google.com", "google.com"),
        ("https://google.com/", "google.com"),
        ("https://a.example/?next=https://www.b.example/", "a.example"),
        ("https://wwwa.example/", "wwwa.example"),
        ("android-app://com.google.android.gm/", "com.google.android.gm"),
        ("about:blank", "about:blank"),
        ("", ""),
    ],
)
def test_a_site_is_one_host_with_www_and_without(url, expected):
    beacon = Beacon.objects.create(kind="open", referrer=url)
    found = Beacon.objects.annotate(found=host("referrer")).get(pk=beacon.pk)
    assert found.found == expected
