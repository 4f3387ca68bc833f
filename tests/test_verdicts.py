import pytest
from django.test import RequestFactory

from tracking.verdicts import uncounted


def test_a_plain_get_counts():
    assert uncounted(RequestFactory().get("/")) is None


@pytest.mark.parametrize("method", ["HEAD", "POST", "OPTIONS", "BREW"])
def test_other_methods_do_not_count(method):
    assert uncounted(RequestFactory().generic(method, "/")) == f"method {method}"


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
    reason = uncounted(RequestFactory().get("/", headers={header: value}))
    assert reason is not None
    assert reason.lower().startswith(header.lower())


@pytest.mark.parametrize("value", ["", "navigate", "prefetched"])
def test_other_purposes_count(value):
    assert uncounted(RequestFactory().get("/", headers={"Sec-Purpose": value})) is None
