"""Values that strangers put into headers and URLs, valid or not.

Each function takes the ``random.Random`` of the caller, so a seed gives the same values again.
"""

from collections.abc import Callable, Sequence
from random import Random
from typing import TypeVar
from urllib.parse import quote_from_bytes

T = TypeVar("T")

AGENTS = (
    b"Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:143.0) Gecko/20100101 Firefox/143.0",
    b"Mozilla/5.0 (iPhone; CPU iPhone OS 18_4 like Mac OS X) AppleWebKit/605.1.15 (KHTML)",
    b"Mozilla/5.0 (Linux; Android 14; SM-S921B) Chrome/141.0.0.0 Mobile Safari/537.36",
    b"Mozilla/5.0 (Windows NT 5.1; rv:11.0) Gecko Firefox/11.0 (via ggpht.com GoogleImageProxy)",
    b"Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)",
    b"curl/8.5.0",
)

#: Addresses that no test bans.
ADDRESSES = (
    *(b"192.0.2.1", b"198.51.100.23", b"2001:db8::7", b"::ffff:192.0.2.9", b"192.0.2.1:8080"),
    *(b"[2001:db8::7]:443", b"fe80::1%eth0", b"[fe80::1%25eth0]:80", b"2001:db8:1:2:3:4:5:6:9443"),
    *(b"unknown", b"_hidden", b"unix:", b"0.0.0.0", b"255.255.255.255", b"010.1.2.3", b"1.2.3"),
    *(b"256.1.1.1", b"::", b"1::2::3", b"[::1", b"::1]", b"0x7f.1", b"2130706433", b"127.1"),
)

_NUMBERS = (
    *(b"", b"0", b"1", b"-1", b"1e309", b"NaN", b"1_000", b"0x10", b"+1", b"01", b" 1", b"1,1"),
    *(b"9" * 30, b"9" * 400, b"-" + b"9" * 5_000, b"2147483648", b"9223372036854775808"),
    *("٣".encode(), "１".encode(), "½".encode()),
)

_WORDS = (
    b"${jndi:ldap://127.0.0.1/x}",
    b"' OR 1=1 --",
    b"%s%s%n%(a)s{0}{a.b}",
    b"<script>alert(1)</script>",
    b"=cmd|' /C calc'!A0",
    b"../../../../etc/passwd",
    b'"\\' * 40,
    b"\t" * 20,
    b"a" * 8_000,
    b"null",
    b"[" * 500,
)

_LETTERS = tuple(
    text.encode()
    for text in (
        "Größe Ünïcödé",
        "\u202egnp.exe\u202c \u200f\u200e\u061c\u2066\u2069",
        "\u200b\ufeff\u2028\u2029\u0085",
        "e\u0301" + "\u0301" * 300,
        "😀👨‍👩‍👧‍👦" * 50,
        "\U0010fffe\uffff\ue000",
        "İıſßK",
        "中文字符" * 200,
    )
)

#: Not UTF-8: cut off, overlong, surrogates, beyond Unicode; and Latin-1.
_BROKEN = (
    *(b"\xc3\x28", b"\xff\xfe", b"\xc0\xaf", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"\xe2\x82"),
    *(b"Gr\xf6\xdfe", b"\x80\x9f\xa0\xad", bytes(range(0x80, 0x100))),
)

#: No header may contain these (RFC 9110, section 5.5).
CONTROLS = (b"\x00", b"\x01", b"\x0b", b"\x1b[2J", b"\x7f", b"\r", b"\n", b"\r\r", b"\x85")


def pick(random: Random, values: Sequence[T]) -> T:
    """Return one of the values."""
    return values[int(random.random() * len(values))]


def text(random: Random) -> bytes:
    """Return bytes that a header may contain: no control characters except tabs."""
    kind = random.random()
    if kind < 0.2:
        return pick(random, _NUMBERS)
    if kind < 0.4:
        return pick(random, _WORDS)
    if kind < 0.55:
        return pick(random, _LETTERS)
    if kind < 0.7:
        return pick(random, _BROKEN)
    if kind < 0.8:
        return pick(random, ADDRESSES)
    if kind < 0.9:
        return noise(random, random.randrange(60))
    return text(random) + pick(random, (b"", b",", b";", b" ", b"=")) + text(random)


def noise(random: Random, length: int) -> bytes:
    """Return random bytes that a header may contain."""
    allowed = bytes(range(0x20, 0x7F)) + bytes(range(0x80, 0x100))
    return bytes(random.choices(allowed, k=length))


def agent(random: Random) -> bytes:
    """Return a user agent, real, altered or neither."""
    kind = random.random()
    if kind < 0.4:
        return text(random)
    real = pick(random, AGENTS)
    return real if kind < 0.6 else mutate(random, real) if kind < 0.9 else real * 60


def referrer(random: Random) -> bytes:
    """Return a referrer: a URL with something wrong, or no URL."""
    host = pick(
        random,
        (
            *(b"shop.example", b"www.google.com", b"[::1]", b"[::1", b"[fe80::1%25eth0]", b""),
            *(b"user:pass@a.example", b"a.example:99999999", b"a.example:", b"a" * 300 + b".com"),
            *(b"xn--nxasmq6b", "bücher.example".encode(), b"..", b"\xe4.example", b"127.0.0.1"),
            *(b"[v1.a]", "\u202ea.example".encode(), "ａ．example".encode(), b"a.example:\xc2\xb2"),
        ),
    )
    scheme = pick(random, (b"http", b"https", b"HTTP", b"android-app", b"javascript", b"data", b""))
    path = pick(random, (b"", b"/", b"/?q=tea", b"?" + b"a=1&" * 900, b"/" + text(random)))
    return pick(random, (scheme + b"://" + host + path, scheme + b":" + host, text(random)))


def forwarded(random: Random) -> bytes:
    """Return a list of addresses as proxies and clients write it."""
    entries = [pick(random, ADDRESSES) for _ in range(random.randrange(5))]
    if random.random() < 0.4:
        entries.append(text(random))
    if random.random() < 0.1:
        entries *= 200
    return pick(random, (b",", b", ", b" ,, ")).join(entries)[:8_000]


def forwarded_elements(random: Random) -> bytes:
    """Return a value of ``Forwarded`` (RFC 7239), with quotes that may be left open."""
    parts = []
    for _ in range(random.randrange(5)):
        name = pick(random, (b"for", b"For", b" for ", b"by", b"proto", b"host", b"for\\", b""))
        value = pick(random, ADDRESSES) if random.random() < 0.7 else text(random)
        quoted = b'"' + value + pick(random, (b'"', b'"', b"", b'\\"'))
        parts.append(name + b"=" + pick(random, (value, quoted)))
        parts.append(pick(random, (b";", b",", b"; ", b", ", b'"', b"\\" * 500)))
    return b"".join(parts)[:8_000]


def cookies(random: Random, own: bytes = b"") -> bytes:
    """Return a value of ``Cookie``.

    Args:
        random: the source of randomness.
        own: the value of a cookie of the app, which may become part of it, altered.
    """
    own = own if random.random() < 0.3 else mutate(random, own) if own else text(random)
    crumbs = [
        pick(
            random,
            (
                b"visitor=" + own,
                b"visitor=" + text(random),
                b'visitor="\\000\\377\\012"',
                b"visitor",
                b"=visitor",
                b"visitor=a; visitor=" + own,
                b"sessionid=" + pick(random, (b"a" * 32, b'"\\000"', b"a" * 8_000, text(random))),
                b"csrftoken=" + text(random),
                b"consent=" + pick(random, (b"yes", b"no", b"maybe", b'"', text(random))),
                b"$Version=1",
                b"messages=" + text(random),
                b"django_language=" + text(random),
                b"; " * 500,
                b";".join(b"c%d=%d" % (n, n) for n in range(500)),
                text(random),
            ),
        )
        for _ in range(1 + random.randrange(4))
    ]
    return pick(random, (b"; ", b";", b",")).join(crumbs)[:8_100]


def language(random: Random) -> bytes:
    """Return a value of ``Accept-Language``."""
    return pick(
        random,
        (
            *(b"de", b"de-DE,de;q=0.9,en;q=0.8", b"*", b"*;q=0", b"de;q=9999999", b"-", b"q=1"),
            *(b"de-" * 2_000, b",".join([b"de;q=0.1"] * 800), b"zh-hant-tw-x-" + b"a" * 200),
            text(random),
        ),
    )


def host(random: Random) -> bytes:
    """Return a value of ``Host``; HTTP allows an empty one."""
    return pick(
        random,
        (
            *(
                b"127.0.0.1",
                b"shop.example:99999",
                b"[::1]:80",
                b"[fe80::1%25eth0]",
                b"",
                b"a" * 400,
            ),
            *("bücher.example".encode(), b"a.example,b.example", b"a.example/../b", b"evil@host"),
            *(b".", b"a..b", b"a.example:", b"a.example:http", b"[", b"]:80", text(random)),
        ),
    )


def query(random: Random) -> bytes:
    """Return a query string without the question mark; it contains no space."""
    return pick(
        random,
        (
            b"",
            b"utm_source=" + percent(random, text(random)),
            b"utm_source[]=%00&utm_medium=%ff%fe&amp;utm_term=" + percent(random, text(random)),
            b"&".join(b"p%d=%d" % (n, n) for n in range(400)),
            b"utm_campaign=" + b"A" * 3_000,
            b"&=;?%zz%&%%%%=&utm_=&utm_source",
            b"a[" * 300 + b"=1",
            b"next=//evil.example/&url=https://evil.example/",
            percent(random, text(random)),
        ),
    )


def percent(random: Random, raw: bytes) -> bytes:
    """Return bytes for a URL in ASCII: percent-encoded, some of them twice or wrongly."""
    encoded = quote_from_bytes(raw[:900], safe="!$'()*,:@").encode()
    kind = random.random()
    if kind < 0.7:
        return encoded
    if kind < 0.8:
        return encoded.replace(b"%", b"%25")
    if kind < 0.9:
        return encoded + pick(random, (b"%", b"%z", b"%0", b"%%20", b"%u0041", b"%00", b"%0d%0a"))
    return b"".join(b"%%%02x" % byte for byte in raw[:300])


_ALPHABET = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"


def forge(random: Random, token: bytes) -> bytes:
    """Return a token that differs from an authentic one: no site has made it.

    It consists of letters that no mail program adds to the end of a URL, and that need no
    percent-encoding.
    """
    ways: tuple[Callable[[], bytes], ...] = (
        lambda: _flip_bit(random, token),
        lambda: token[: random.randrange(1, len(token))],
        lambda: token + pick(random, (b"A", b"=", b"==", b"AAAA", token)),
        lambda: token[random.randrange(1, len(token)) :],
        lambda: token[0:1] + bytes(random.choices(_ALPHABET, k=len(token) - 1)),
        lambda: bytes(random.choices(_ALPHABET, k=1 + random.randrange(3_000))),
        token.swapcase,
        lambda: token[::-1],
        lambda: _swap(random, token),
        lambda: token + b"%3D",
        lambda: token[:9] + b"%0A" + token[9:],
        lambda: token[:9] + b"%20" + token[9:],
        lambda: token + b"%00",
        lambda: token[:5] + b"%D0%90" + token[6:],  # a Cyrillic letter that looks like an A
        lambda: token[:-1] + _alike(token[-1:]),
    )
    for _ in range(20):
        if (forged := pick(random, ways)()) != token:
            return forged
    return token + b"A"


def _flip_bit(random: Random, token: bytes) -> bytes:
    """Flip a bit of what the token encodes, in base64url."""
    place = random.randrange(len(token))
    other = _ALPHABET[_ALPHABET.index(token[place]) ^ 1 << random.randrange(6)]
    return token[:place] + bytes([other]) + token[place + 1 :]


def _alike(letter: bytes) -> bytes:
    """Return a letter that a lenient decoder takes for the same at the end of base64."""
    return bytes([_ALPHABET[_ALPHABET.index(letter) ^ 1]])


def _swap(random: Random, token: bytes) -> bytes:
    one, other = sorted(random.sample(range(len(token)), 2))
    parts = (token[:one], token[other : other + 1], token[one + 1 : other], token[one : one + 1])
    return b"".join((*parts, token[other + 1 :]))


def mutate(random: Random, value: bytes) -> bytes:
    """Return bytes for a header that differ from others in a few places."""
    changed = bytearray(value)
    for _ in range(1 + random.randrange(3)):
        if not changed:
            break
        place = random.randrange(len(changed))
        kind = random.randrange(4)
        if kind == 0:
            changed[place : place + 1] = noise(random, 1)
        elif kind == 1:
            del changed[place]
        elif kind == 2:
            changed[place:place] = pick(random, _LETTERS)[:40]
        else:
            del changed[place:]
    return bytes(changed)
