"""What counts as a page view."""

import pytest
from django.http import HttpResponse
from django.test import RequestFactory
from django.urls import resolve

from tracking import exclusions


def page(path="/tea/", status=200, content_type="text/html; charset=utf-8", view=None, **meta):
    """Return the reason not to count a request and its response."""
    method = meta.pop("method", "GET")
    request = RequestFactory().generic(method, path, **meta)
    if view:
        request.resolver_match = resolve(view)
    return exclusions.uncounted(request, HttpResponse(status=status, content_type=content_type))


def test_a_page_counts():
    assert page() is None
    assert page(status=201) is None
    assert page(content_type="application/xhtml+xml") is None


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_no_page_whatever_is_excluded(settings, status):
    settings.TRACKING_EXCLUDE = []
    assert page(status=status) == f"status {status}"


@pytest.mark.parametrize("method", ["HEAD", "POST", "PUT", "OPTIONS", "BREW"])
def test_other_methods_are_no_page_view(method):
    assert page(method=method) == f"method {method}"


def test_prefetching_is_no_page_view():
    assert page(HTTP_SEC_PURPOSE="prefetch;prerender") == "Sec-Purpose: prefetch;prerender"


def test_what_is_in_the_browser_already_is_seen_again():
    accepts = {"HTTP_ACCEPT": "text/html,application/xhtml+xml,*/*;q=0.8"}
    assert page(status=304, content_type="", **accepts) is None
    assert page(status=304, content_type="", HTTP_ACCEPT="image/avif") == "non_html"


@pytest.mark.parametrize(
    ("rule", "request_"),
    [
        ("admin", {"view": "/admin/login/"}),
        ("static", {"path": "/static/manual.html"}),
        ("xhr", {"HTTP_X_REQUESTED_WITH": "XMLHttpRequest"}),
        ("xhr", {"HTTP_SEC_FETCH_MODE": "cors"}),
        ("frames", {"HTTP_SEC_FETCH_MODE": "navigate", "HTTP_SEC_FETCH_DEST": "iframe"}),
        ("errors", {"status": 404}),
        ("errors", {"status": 500}),
        ("non_html", {"content_type": "application/json"}),
        ("non_html", {"content_type": "image/gif"}),
    ],
)
def test_each_rule_can_be_left_out(settings, rule, request_):
    assert page(**request_) == rule
    settings.TRACKING_EXCLUDE = [name for name in exclusions.RULES if name != rule]
    assert page(**request_) is None


def test_all_rules_hold_by_default():
    from tracking.conf import DEFAULT_EXCLUDE

    assert tuple(exclusions.RULES) == DEFAULT_EXCLUDE


def test_a_download_is_no_page_even_if_it_is_html():
    response = HttpResponse(headers={"Content-Disposition": 'attachment; filename="x.html"'})
    assert exclusions.uncounted(RequestFactory().get("/"), response) == "non_html"


def test_the_media_folder_is_no_page(settings):
    settings.MEDIA_URL = "/uploads/"
    assert page("/uploads/manual.html") == "static"


def test_a_site_that_serves_files_from_its_root_has_pages_all_the_same(settings):
    settings.STATIC_URL = "/"
    settings.MEDIA_URL = ""
    assert page("/tea/") is None


def test_untracked_prefixes(settings):
    settings.NO_TRACKING_PREFIXES = ["/family/", ""]
    assert page("/family/album") == "prefix /family/"
    assert page("/families") is None
    settings.NO_TRACKING_PREFIXES = "/family/"  # a common slip, which means the obvious
    assert page("/family/album") == "prefix /family/"
    assert page("/other") is None


def test_our_own_urls_are_no_pages(settings):
    settings.TRACKING_EXCLUDE = []
    assert page(view="/t/active") == "a URL of tracking"
