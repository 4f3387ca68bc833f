"""Hits as a request leaves them, and what the writer makes of them."""

from datetime import UTC, date, datetime
from uuid import UUID

import pytest
from django.core.handlers.wsgi import WSGIHandler
from django.test import RequestFactory
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.support import edge_requests, strategies
from tests.support.edge_requests import Request, ask_wsgi
from tracking import links
from tracking.backends import get_backend
from tracking.hits import Hit, Kind, PageHit, Reference
from tracking.identity.request_info import RequestInfo
from tracking.pipeline import celery_messages
from tracking.pipeline.spool import BadRecord, decode_hit, encode_hit
from tracking.raw_hits import RawHit, RawPageHit

# One format for ever: what waits on a disk or in a broker is read by the next version.

CLICK = Hit(
    kind="click",
    id=UUID("019ad5c4-0000-7000-8000-000000000001"),
    time=datetime(2026, 11, 28, 12, 0, 0, 250_000, UTC),
    target=Reference("shop.tea", "7"),
    data={"campaign": "spring", "born": date(2001, 2, 3)},
    url="https://shop.example/",
    referrer="https://mail.example/",
    ip_address="192.0.2.7",
    user_agent="Mail/1",
    visitor="v",
)
PAGE = PageHit(
    visitor="k" * 22,
    url="/tea/",
    id=UUID("019ad5c4-0000-7000-8000-000000000002"),
    time=datetime(2026, 11, 28, 12, 0, 0, 500_000, UTC),
    referrer="https://search.example/",
    campaign={"source": "letter"},
    session_key="",
    user="7",
    ip_address="::1",
    user_agent="Firefox",
)

#: As the version before raw hits wrote them.
NAMED_CLICK = (
    b"\x8d\xa2is\xa6beacon\xa4kind\xa5click\xa2id\xd9$019ad5c4-0000-7000-8000-000000000001\xa4time"
    b"\xd7\xff;\x9a\xca\x00k\n\xc2@\xa6target\x92\xa8shop.tea\xa17\xa6source\xc0\xa6entity\xc0\xa4"
    b"data\x82\xa4born\xc7\x05\x01\xce\x00\x0b%\x97\xa8campaign\xa6spring\xa3url\xb5"
    b"https://shop.example/\xa8referrer\xb5https://mail.example/\xaaip_address\xa9192.0.2.7\xaa"
    b"user_agent\xa6Mail/1\xa7visitor\xa1v"
)
NAMED_PAGE = (
    b"\x8b\xa2is\xa9page_view\xa7visitor\xb6kkkkkkkkkkkkkkkkkkkkkk\xa3url\xa5/tea/\xa2id\xd9$"
    b"019ad5c4-0000-7000-8000-000000000002\xa4time\xd7\xffw5\x94\x00k\n\xc2@\xa8referrer\xb7"
    b"https://search.example/\xa8campaign\x81\xa6source\xa6letter\xabsession_key\xa0\xa4user\xa17"
    b"\xaaip_address\xa3::1\xaauser_agent\xa7Firefox"
)
NAMED_MESSAGE = (
    "eAGNkD1Lw0AYx+PgovgdHHRs0pSW2DrUSXRwE9dwTR7Th6RJuLu+jbqKiwiCk23T9EUc1bV1EURdRQQ/Qz9B9VKa0MHB//D"
    "A8fy5u99vvLd/ePT2Op1KcSbF8zaysATE8NzARtfsGg4adhvNz420midmzsim0iIpLRpb0YiO86gBxwp8/Gxfv0j2ytNOyA"
    "m1gF/0WdnzZQ6kpYXMq1IDRiG4HHlzFJiEk9Og5FH3eXnpXVrdvOobpOITtNyQ+RRdq1Olzn2Zc58VFGV2EzREwwGlT+EYK"
    "AWarCsEHTleD9HXiWlSYGyg5jNyWs7I2rDKgOrEEu+HB6KtqL0aMuQebdXGwsj62tfddyxEmhTPhJGBL/p6DaEedx/sPxN9"
    "tasIUOW/yjJzZfXc5UxZgvSYEAOhRjmBSuyczFWGDnAO9JYJTPRc3YbmTRBBtrQFAZ1CQV1A7+2icOc1fgF4AMky"
)
#: As this version writes them.
RAW_CLICK = (
    b"\x9d\x01\xa5click\x82\xa4born\xc7\x05\x01\xce\x00\x0b%\x97\xa8campaign\xa6spring\xb5"
    b"https://shop.example/\x92\xa8shop.tea\xa17\xc0\xc0\xb5https://mail.example/\xa9192.0.2.7\xa6"
    b"Mail/1\xa1v\xc4\x10\x01\x9a\xd5\xc4\x00\x00p\x00\x80\x00\x00\x00\x00\x00\x00\x01\xcb"
    b"A\xda\xc2\xb0\x90\x10\x00\x00"
)
RAW_PAGE = (
    b"\x9c\x02\xb6kkkkkkkkkkkkkkkkkkkkkk\xa5/tea/\xb7https://search.example/\xacshop.example\xb1"
    b"utm_source=letter\xa0\xa17\xa3::1\xa7Firefox\xc4\x10\x01\x9a\xd5\xc4\x00\x00p\x00\x80\x00\x00\x00"
    b"\x00\x00\x00\x02\xcbA\xda\xc2\xb0\x90 \x00\x00"
)


def test_hits_of_the_previous_version_are_read():
    assert decode_hit(NAMED_CLICK) == CLICK
    assert decode_hit(NAMED_PAGE) == PAGE
    items = celery_messages.decode_message(NAMED_MESSAGE)
    assert [decode_hit(item.payload) for item in items] == [CLICK, PAGE]


def test_hits_of_requests_are_read():
    assert decode_hit(RAW_CLICK) == CLICK
    assert decode_hit(RAW_PAGE) == PAGE


@pytest.mark.parametrize(
    "payload",
    [
        RAW_CLICK[:-1],
        RAW_CLICK.replace(b"\xc4\x10\x01", b"\xc4\x0f"),  # a key of 15 bytes
        RAW_PAGE[:-8] + b"\x7f\xf0\0\0\0\0\0\0",  # an infinite time
        RAW_PAGE[:-8] + b"\x7f\xf8\0\0\0\0\0\0",  # no number
        RAW_PAGE[:-8] + b"\x7f\xe0\0\0\0\0\0\0",  # a time that no calendar knows
        RAW_CLICK.replace(b"\x9d\x01", b"\x9d\x07"),
    ],
)
def test_what_is_no_hit_of_a_request_is_a_bad_record(payload):
    with pytest.raises(BadRecord):
        decode_hit(payload)


# On disk and in memory.

moments = st.floats(0, 4e9)
keys = st.binary(min_size=16, max_size=16)
references = st.none() | st.builds(Reference, strategies.token_texts, strategies.token_texts)
texts = st.text(max_size=20)


@given(
    st.builds(
        RawHit,
        st.sampled_from([*Kind, "open", "click"]),
        st.dictionaries(strategies.token_texts, strategies.token_values, max_size=4),
        url=texts,
        target=references,
        source=references,
        entity=references,
        referrer=texts,
        ip_address=st.none() | st.just("192.0.2.7"),
        user_agent=texts,
        visitor=st.none() | texts,
        key=keys,
        time=moments,
    )
)
def test_a_hit_is_the_same_on_disk_and_in_memory(raw):
    assert decode_hit(encode_hit(raw)) == raw.to_hit()


@given(
    st.builds(
        RawPageHit,
        texts,
        texts,
        texts | st.sampled_from(["https://a.example/?q=1", "https://shop.example/", "about:blank"]),
        texts | st.just("shop.example"),
        texts | st.sampled_from(["utm_source=a", "utm_term=%ff&utm_source[]=b"]),
        st.none() | texts,
        st.none() | texts,
        st.none() | st.just("192.0.2.7"),
        texts,
        keys,
        moments,
    )
)
def test_a_page_is_the_same_on_disk_and_in_memory(raw):
    assert decode_hit(encode_hit(raw)) == raw.to_hit()


def test_a_text_that_cannot_be_encoded_is_replaced():
    raw = RawPageHit("k", "/", "https://a.example/", "shop.example", user_agent="a\udcff")
    hit = decode_hit(encode_hit(raw))
    assert (hit.user_agent, hit.referrer, hit.id) == ("a?", "https://a.example/", raw.uuid)


def test_whatever_a_client_sends_it_fills_a_few_kilobytes():
    long = "x" * 8_000
    request = RequestFactory().get(
        f"/{long}?utm_source={long}&utm_medium={long}",
        headers={"User-Agent": long, "Referer": f"https://a.example/{long}", "Host": long},
    )
    request.COOKIES["visitor"] = long
    RequestInfo.track_visitor(request)
    info = RequestInfo.of(request)
    assert len(encode_hit(info.make_raw_page_hit())) < 6_500
    assert len(encode_hit(info.make_raw_hit(Kind.OPEN))) < 1_300


# From the request to the hit.

MIDDLEWARE = [
    "tracking.middleware.BannedIPMiddleware",
    "tracking.middleware.VisitorTrackingMiddleware",
]
BACKENDS = (
    "tracking.backends.memory.MemoryBackend",
    "tests.support.buffered.ReadableBackend",
)


@pytest.fixture
def ask(settings, tmp_path):
    """Return what each backend gets for a request, and how it is answered."""
    settings.MIDDLEWARE = MIDDLEWARE
    settings.TRACKING_SPOOL = str(tmp_path)
    handler = WSGIHandler()

    def ask(request):
        outcomes = []
        for backend in BACKENDS:
            settings.TRACKING_BACKEND = backend
            get_backend()
            outcomes.append(ask_wsgi(handler, request))
        return outcomes

    return ask


@pytest.mark.django_db
def test_every_backend_gets_the_same_hit(ask):
    recorded = 0
    for name, request in edge_requests.requests().items():
        in_memory, on_disk = ask(request)
        assert in_memory == on_disk, name
        recorded += len(on_disk.hits)
    assert recorded > 20


headers = st.dictionaries(
    st.sampled_from(
        [
            *("User-Agent", "Referer", "Cookie", "Sec-Purpose", "Sec-GPC", "DNT", "Host"),
            *("X-Forwarded-For", "Accept-Language", "Sec-Fetch-Mode", "X-Requested-With"),
        ]
    ),
    st.text(st.characters(min_codepoint=0, max_codepoint=255), max_size=30)
    | st.sampled_from(["1", "navigate", "https://a.example/?q=1", "http://127.0.0.1/tea/"]),
)


@pytest.mark.django_db
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    path=st.sampled_from(["/page/1", "/greeting/", "/missing", "pixel", "link", "/log-out/"]),
    method=st.sampled_from(["GET", "GET", "GET", "HEAD", "POST"]),
    query=st.text(max_size=20).map("utm_source={}".format) | st.just(""),
    headers=headers,
    address=st.sampled_from(["", "192.0.2.1", "2001:db8::1", "::ffff:192.0.2.1", "unix"]),
    data=st.dictionaries(strategies.token_texts, strategies.token_values, max_size=2),
)
def test_every_backend_gets_the_same_hit_whatever_strangers_send(
    ask, path, method, query, headers, address, data
):
    if path == "pixel":
        path = links.pixel_url([1], data)
    elif path == "link":
        path = links.link_url("https://shop.example/", kwargs=data)
    in_memory, on_disk = ask(Request(path, method, headers, address, query))
    assert in_memory == on_disk
