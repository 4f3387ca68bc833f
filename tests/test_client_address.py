import pytest
from django.test import RequestFactory
from hypothesis import given
from hypothesis import strategies as st

from tracking import client_address as client_address_module
from tracking.client_address import anonymize, client_address, mask, normalise
from tracking.identity.request_info import RequestInfo


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("192.0.2.7:443", "192.0.2.7"),
        (" 192.0.2.7 ", "192.0.2.7"),
        ("2001:DB8:0::7", "2001:db8::7"),
        ("[2001:db8::7]", "2001:db8::7"),
        ("[2001:db8::7]:443", "2001:db8::7"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("fe80::1%eth0", "fe80::1"),
        ("", None),
        (None, None),
        ("unix:", None),
        ("localhost", None),
        ("192.0.2", None),
        ("192.0.2.007", None),
        ("\0", None),
    ],
)
def test_addresses_have_one_spelling(text, expected):
    assert normalise(text) == expected


@given(st.text(max_size=50))
def test_rubbish_is_no_address(text):
    assert normalise(text) in {None, normalise(normalise(text))}


@given(st.ip_addresses())
def test_every_address_is_understood(parsed):
    canonical = normalise(str(parsed))
    assert canonical is not None
    assert normalise(canonical) == canonical
    assert mask(mask(canonical)) == mask(canonical)


PROXY, NEAR, CLIENT, EVIL = "10.0.0.1", "10.0.0.2", "203.0.113.9", "198.51.100.66"
OURS = ["10.0.0.0/8", "2001:db8:ffff::/48"]


def ask(remote, **headers):
    return client_address(RequestFactory().get("/", REMOTE_ADDR=remote, headers=headers))


@pytest.mark.parametrize(
    ("title", "remote", "header", "expected"),
    [
        ("direct", CLIENT, None, CLIENT),
        ("direct, with a header of its own", EVIL, CLIENT, EVIL),
        ("one proxy", PROXY, CLIENT, CLIENT),
        ("two proxies", PROXY, f"{CLIENT}, {NEAR}", CLIENT),
        ("left spoof behind one proxy", PROXY, f"{CLIENT}, {EVIL}", EVIL),
        ("left spoof behind two", PROXY, f"{CLIENT}, {EVIL}, {NEAR}", EVIL),
        ("a spoof that claims to be a proxy", PROXY, f"{CLIENT}, {PROXY}, {EVIL}", EVIL),
        ("a proxy without header", PROXY, None, PROXY),
        ("IPv6 with port", PROXY, "[2001:db8::7]:4711", "2001:db8::7"),
        ("IPv4 with port", PROXY, f"{CLIENT}:4711", CLIENT),
        ("mapped", PROXY, f"::ffff:{CLIENT}", CLIENT),
        ("mapped peer", f"::ffff:{PROXY}", CLIENT, CLIENT),
        ("IPv6 proxy", "2001:db8:ffff::1", CLIENT, CLIENT),
        ("rubbish hop", PROXY, f"{CLIENT}, rubbish", PROXY),
        ("rubbish behind the client", PROXY, f"rubbish, {CLIENT}", CLIENT),
        ("empty hop", PROXY, f"{CLIENT},", PROXY),
        ("only proxies", PROXY, NEAR, NEAR),
        ("unix socket", "", CLIENT, None),
    ],
)
def test_addresses_behind_trusted_proxies(settings, title, remote, header, expected):
    settings.TRACKING_TRUSTED_PROXIES = OURS
    headers = {} if header is None else {"X-Forwarded-For": header}
    assert ask(remote, **headers) == expected


@pytest.mark.parametrize(
    ("count", "remote", "header", "expected"),
    [
        (0, PROXY, CLIENT, PROXY),
        (1, PROXY, CLIENT, CLIENT),
        (1, PROXY, f"{CLIENT}, {EVIL}", EVIL),
        (2, PROXY, f"{CLIENT}, {NEAR}", CLIENT),
        (2, PROXY, f"{EVIL}, {CLIENT}, {NEAR}", CLIENT),
        (2, PROXY, CLIENT, CLIENT),
        (1, PROXY, None, PROXY),
        (1, "", CLIENT, CLIENT),
        (2, "", f"{CLIENT}, rubbish", None),
    ],
)
def test_addresses_behind_a_number_of_proxies(settings, count, remote, header, expected):
    settings.TRACKING_PROXY_COUNT = count
    headers = {} if header is None else {"X-Forwarded-For": header}
    assert ask(remote, **headers) == expected


def test_networks_and_number_of_proxies_both_limit_trust(settings):
    settings.TRACKING_TRUSTED_PROXIES = OURS
    settings.TRACKING_PROXY_COUNT = 1
    assert ask(PROXY, **{"X-Forwarded-For": f"{CLIENT}, {NEAR}"}) == NEAR
    assert ask(EVIL, **{"X-Forwarded-For": CLIENT}) == EVIL


def test_a_unix_socket_can_be_trusted(settings):
    settings.TRACKING_TRUSTED_PROXIES = ["unix", *OURS]
    assert ask("", **{"X-Forwarded-For": CLIENT}) == CLIENT
    assert ask("unix:", **{"X-Forwarded-For": f"{CLIENT}, {NEAR}"}) == CLIENT


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        (f"for={CLIENT}", CLIENT),
        (f"For={CLIENT};proto=https;by={PROXY}", CLIENT),
        (f"proto=https; for={CLIENT}", CLIENT),
        ('for="[2001:db8:cafe::17]:4711"', "2001:db8:cafe::17"),
        (f"for={EVIL}, for={CLIENT}", CLIENT),
        (f'for={CLIENT};host="a,b;c"', CLIENT),
        (f"for={CLIENT}, for=_hidden", PROXY),
        ("for=unknown", PROXY),
        ("proto=https", PROXY),
        # What stands in quotes is no pair, and no element.
        (f'host="a;for={EVIL}";for={CLIENT}', CLIENT),
        (f'host="x;for={EVIL};y=";for={CLIENT}', CLIENT),
        (f'for={CLIENT};host="evil\\", for={EVIL};host=\\"x"', CLIENT),
        (f'for="{CLIENT[:-1]}\\{CLIENT[-1]}"', CLIENT),
        # A client that leaves a quote open swallows nothing of what the proxy adds.
        (f'for="{CLIENT}, for={EVIL}', EVIL),
        (f'for={CLIENT};host="\\", for="{EVIL}"', EVIL),
    ],
)
def test_the_standard_header_is_read_from_its_end(settings, header, expected):
    settings.TRACKING_TRUSTED_PROXIES = OURS
    settings.TRACKING_PROXY_HEADER = "Forwarded"
    assert ask(PROXY, Forwarded=header, **{"X-Forwarded-For": "192.0.2.99"}) == expected


@pytest.mark.parametrize("rubbish", ["\\", '"', "a,", '\\"', ";", ',"\\'])
def test_the_standard_header_is_read_once_from_its_end(settings, monkeypatch, rubbish):
    """It was read in quadratic time: 3.8 s of CPU for 40 headers of 8 kB."""
    read = []
    find = client_address_module._QUOTE_OR_SEPARATOR

    class Counting:
        def __init__(self, pattern):
            self.pattern = pattern

        def finditer(self, text):
            read.append(len(text))
            return self.pattern.finditer(text)

    monkeypatch.setattr(
        client_address_module,
        "_QUOTE_OR_SEPARATOR",
        {separator: Counting(pattern) for separator, pattern in find.items()},
    )
    settings.TRACKING_TRUSTED_PROXIES = OURS
    settings.TRACKING_PROXY_HEADER = "Forwarded"
    assert ask(PROXY, Forwarded=f"{rubbish * 50_000}, for={CLIENT}") == CLIENT
    assert read[0] == 8_192
    assert sum(read) < 8_192 + 50  # the header once, and one element of it


def test_only_the_elements_of_proxies_are_read(settings):
    settings.TRACKING_TRUSTED_PROXIES = OURS
    settings.TRACKING_PROXY_HEADER = "Forwarded"
    header = ", ".join([f"for={CLIENT}"] * 500)
    hops = client_address_module.hops(PROXY, header)
    assert [hop.text for hop in hops] == [PROXY, CLIENT]


def test_another_header_can_be_the_one(settings):
    settings.TRACKING_TRUSTED_PROXIES = OURS
    settings.TRACKING_PROXY_HEADER = "X-Real-IP"
    assert ask(PROXY, **{"X-Real-IP": CLIENT, "X-Forwarded-For": EVIL}) == CLIENT
    assert ask(EVIL, **{"X-Real-IP": CLIENT}) == EVIL


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        (f"{CLIENT}:46532", CLIENT),
        ("2001:db8::7:46532", "2001:db8::7"),
        ("2001:db8:1:2:3:4:5:6:443", "2001:db8:1:2:3:4:5:6"),
        ("[2001:db8::7]:443", "2001:db8::7"),
        ("rubbish", PROXY),
    ],
)
def test_the_header_of_cloudfront_has_a_port_without_brackets(settings, header, expected):
    settings.TRACKING_TRUSTED_PROXIES = OURS
    settings.TRACKING_PROXY_HEADER = "CloudFront-Viewer-Address"
    assert ask(PROXY, **{"CloudFront-Viewer-Address": header}) == expected


def test_no_header_is_trusted_by_default():
    assert (
        ask(EVIL, **{"X-Forwarded-For": CLIENT, "X-Real-IP": CLIENT, "Forwarded": CLIENT}) == EVIL
    )


@given(st.text(max_size=60), st.sampled_from(["Forwarded", "X-Forwarded-For"]))
def test_whatever_a_client_writes_the_proxy_has_the_last_word(written, header):
    from django.test import override_settings

    name = "for=" if header == "Forwarded" else ""
    with override_settings(TRACKING_TRUSTED_PROXIES=OURS, TRACKING_PROXY_HEADER=header):
        assert ask(PROXY, **{header: f"{written}, {name}{EVIL}"}) == EVIL


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("TRACKING_TRUSTED_PROXIES", "10.0.0.0/8"),
        ("TRACKING_TRUSTED_PROXIES", ["rubbish", None]),
        ("TRACKING_TRUSTED_PROXIES", None),
        ("TRACKING_PROXY_COUNT", "1"),
        ("TRACKING_PROXY_COUNT", -1),
    ],
)
def test_settings_that_make_no_sense_trust_nobody(settings, name, value):
    setattr(settings, name, value)
    assert ask(EVIL, **{"X-Forwarded-For": CLIENT}) == EVIL


def test_a_number_that_makes_no_sense_does_not_widen_what_is_trusted(settings):
    settings.TRACKING_TRUSTED_PROXIES = OURS
    settings.TRACKING_PROXY_COUNT = "1"
    assert ask(PROXY, **{"X-Forwarded-For": CLIENT}) == PROXY


def test_mapped_networks_are_networks(settings):
    settings.TRACKING_TRUSTED_PROXIES = ["::ffff:10.0.0.0/104"]
    assert ask(PROXY, **{"X-Forwarded-For": CLIENT}) == CLIENT


def test_a_unix_socket_has_no_address():
    request = RequestFactory().get("/")
    del request.META["REMOTE_ADDR"]
    assert client_address(request) is None


@pytest.mark.parametrize(
    ("bits", "expected"),
    [
        (False, ["192.0.2.77", "2001:db8:1:2::7"]),
        (True, ["192.0.2.0", "2001:db8:1::"]),
        ((16, 32), ["192.0.0.0", "2001:db8::"]),
        ("nonsense", ["192.0.2.0", "2001:db8:1::"]),
        ("24", ["192.0.2.0", "2001:db8:1::"]),
        ((24, 129), ["192.0.2.0", "2001:db8:1::"]),
    ],
)
def test_addresses_are_masked_before_they_are_recorded(settings, bits, expected):
    settings.TRACKING_ANONYMIZE_IP = bits
    requests = [
        RequestFactory().get("/", REMOTE_ADDR=remote)
        for remote in ("192.0.2.77", "2001:db8:1:2::7")
    ]
    assert [anonymize(client_address(request)) for request in requests] == expected
    assert [
        RequestInfo(request).make_raw_hit("open").ip_address for request in requests
    ] == expected


def test_masks():
    assert mask("192.0.2.7") == "192.0.2.0"
    assert mask("2001:db8:1:2:3::7") == "2001:db8:1::"
    with pytest.raises(ValueError, match="rubbish"):
        mask("rubbish")
