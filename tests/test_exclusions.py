"""Requests that are not counted."""

import pytest
from django.core.exceptions import ValidationError
from django.core.management import call_command
from django.http import HttpResponse
from django.test import RequestFactory
from django.urls import resolve

from tracking import exclusions
from tracking.caching import snapshots
from tracking.exclusions import Keywords, exclude_request, is_untracked, opts_out
from tracking.models import UntrackedUserAgent

# Requests.


def test_a_plain_get_counts():
    assert exclude_request(RequestFactory().get("/")) is None


@pytest.mark.parametrize("method", ["HEAD", "POST", "OPTIONS", "BREW"])
def test_other_methods_do_not_count(method):
    assert exclude_request(RequestFactory().generic(method, "/")) == f"method {method}"


@pytest.mark.parametrize(
    ("header", "value"),
    [
        ("Sec-Purpose", "prefetch"),
        ("Sec-Purpose", "prefetch;anonymous-client-ip"),
        ("Sec-Purpose", "prefetch;prerender"),
        ("Purpose", "prefetch"),
        ("X-Purpose", "preview"),
        ("X-Moz", "prefetch"),
        ("x-moz", " Prefetch "),
    ],
)
def test_prefetch_and_preview_do_not_count(header, value):
    reason = exclude_request(RequestFactory().get("/", headers={header: value}))
    assert reason is not None
    assert reason.lower().startswith(header.lower())


@pytest.mark.parametrize("value", ["", "navigate", "prefetched"])
def test_other_purposes_count(value):
    assert exclude_request(RequestFactory().get("/", headers={"Sec-Purpose": value})) is None


# Readers who opt out.


@pytest.mark.parametrize(
    ("meta", "expected"),
    [
        ({}, False),
        ({"HTTP_DNT": "1"}, True),
        ({"HTTP_SEC_GPC": "1"}, True),
        ({"HTTP_DNT": "0", "HTTP_SEC_GPC": "1"}, True),
        ({"HTTP_DNT": "0"}, False),
        ({"HTTP_SEC_GPC": "\xff"}, False),
    ],
)
def test_a_header_opts_out(settings, meta, expected):
    assert opts_out(RequestFactory().get("/", **meta)) is expected
    settings.TRACKING_RESPECT_OPT_OUT = False
    assert opts_out(RequestFactory().get("/", **meta)) is False


# Untracked user agents.


def untracked(user_agent):
    if snapshots.is_due():
        snapshots.refresh()
    return is_untracked(user_agent)


@pytest.mark.django_db
def test_a_keyword_is_found_in_capitals_or_not():
    UntrackedUserAgent.objects.create(keyword="OurMonitor")
    assert untracked("Mozilla/5.0 (compatible; OURMONITOR/2.1)")
    assert untracked("ourmonitor")
    assert not untracked("Mozilla/5.0 Firefox/128.0")
    assert not untracked("")


@pytest.mark.django_db
def test_every_kind_of_change_is_in_force_at_once(tmp_path):
    rows = UntrackedUserAgent.objects
    row = rows.create(keyword="alpha")
    assert untracked("Alpha")
    row.keyword = "beta"
    row.save()
    assert (untracked("Alpha"), untracked("Beta")) == (False, True)
    rows.update(keyword="gamma")
    assert (untracked("Beta"), untracked("Gamma")) == (False, True)
    row.refresh_from_db()
    row.keyword = "delta"
    rows.bulk_update([row], ["keyword"])
    assert untracked("Delta")
    rows.all().delete()
    assert not untracked("Delta")
    rows.bulk_create([UntrackedUserAgent(keyword="epsilon")])
    assert untracked("Epsilon")
    rows.get().delete()
    assert not untracked("Epsilon")
    fixture = tmp_path / "words.json"
    fixture.write_text(
        '[{"model": "tracking.untrackeduseragent", "pk": 1, "fields": {"keyword": "zeta"}}]'
    )
    call_command("loaddata", str(fixture), verbosity=0)
    assert untracked("Zeta")


def test_blank_keywords_match_nothing():
    assert not Keywords(["", "  "])["Mozilla/5.0"]


def test_what_is_remembered_is_bounded(monkeypatch):
    monkeypatch.setattr(Keywords, "MAX_AGENTS", 10)
    keywords = Keywords(["bot"])
    for number in range(100):
        assert keywords[f"bot {number}"]
        assert not keywords[f"browser {number}"]
    assert len(keywords) <= 10
    long = "bot" * 1_000
    assert keywords[long]
    assert long not in keywords


@pytest.mark.parametrize("keyword", ["", " ", "\t "])
def test_a_keyword_of_spaces_is_refused(keyword):
    with pytest.raises(ValidationError):
        UntrackedUserAgent(keyword=keyword).full_clean(validate_unique=False)


def test_spaces_around_a_keyword_are_taken_off():
    word = UntrackedUserAgent(keyword=" monitor ")
    word.full_clean(validate_unique=False)
    assert word.keyword == "monitor"


def test_the_snapshot_is_the_one_that_was_published():
    assert exclusions.untracked_agents.name == "filters"


# Pages.


def page(path="/tea/", status=200, content_type="text/html; charset=utf-8", view=None, **meta):
    """Return the reason not to count a request and its response."""
    method = meta.pop("method", "GET")
    request = RequestFactory().generic(method, path, **meta)
    if view:
        request.resolver_match = resolve(view)
    return exclusions.exclude_page(request, HttpResponse(status=status, content_type=content_type))


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
    assert exclusions.exclude_page(RequestFactory().get("/"), response) == "non_html"


def test_the_media_folder_is_no_page(settings):
    settings.MEDIA_URL = "/uploads/"
    assert page("/uploads/manual.html") == "static"


def test_a_site_that_serves_files_from_its_root_has_pages_nevertheless(settings):
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
