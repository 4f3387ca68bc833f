"""Requests with what is expected of them: valid, hostile, forged, banned and malformed ones."""

from dataclasses import dataclass, replace
from random import Random
from typing import NamedTuple

from benchmarks.fuzz import inputs, malformed
from benchmarks.fuzz.headers import HEADERS, Headers
from benchmarks.fuzz.inputs import pick
from tracking import tokens
from tracking.hits import Reference
from tracking.identity import visitor_cookie
from tracking.identity.visitor_key import KEY_LENGTH

#: The banned network of the site, and the spellings of an address in it.
BANNED = "203.0.113.0/24"
BANNED_SPELLINGS = (b"203.0.113.7", b"203.0.113.7:80", b"::ffff:203.0.113.7", b"[::ffff:cb00:7107]")

DESTINATION = "https://shop.example/tea?number="
TARGET_URL = b"https://shop.example/"


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """A request, and what is expected of it.

    Attributes:
        kind: what it is, for tables.
        request: the bytes to send.
        method: its method; the answer to ``HEAD`` has no body.
        number: the number that its row has.
        counts: whether an answer of the application with 200 or 302 becomes a row; ``None`` if
            either is right.
        statuses: the statuses with which the application may answer; ``None`` for all below 500.
        location: where a redirect with status 302 has to lead.
        is_plain: whether every server has to pass it to the application.
        is_well_formed: whether it is HTTP, within the limits of servers, so that it has to be
            answered.
        keeps: whether the connection may be used again.
        aborts: whether the client closes the connection without waiting for the answer.
    """

    kind: str
    request: bytes
    number: int
    method: bytes = b"GET"
    counts: bool | None = False
    statuses: frozenset[int] | None = None
    location: bytes | None = None
    is_plain: bool = False
    is_well_formed: bool = True
    keeps: bool = True
    aborts: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class SiteFacts:
    """What requests to a site depend on.

    Attributes:
        proxy_header: the value of ``TRACKING_PROXY_HEADER``.
        drops_letters: whether the server empties headers that are not ASCII.
        target: the key of a target without end.
        source: the slug of a source.
        source_id: its key.
    """

    proxy_header: str
    drops_letters: bool
    target: int
    source: str
    source_id: int


#: Headers that decide whether a request counts; the last five only for pages.
_DECIDING = frozenset(("DNT", "Sec-GPC", "Sec-Purpose", "Purpose", "X-Purpose", "X-Moz", "Host"))
_DECIDING_PAGES = frozenset(("X-Requested-With", "Sec-Fetch-Mode", "Sec-Fetch-Dest", "Cookie"))

#: Bytes of target and headers that every server accepts; gunicorn's limit is the lowest.
_MAX_TARGET, _MAX_HEADERS = 3_950, 50_000

_METHODS = (
    *(b"HEAD", b"POST", b"PUT", b"DELETE", b"OPTIONS", b"PATCH", b"TRACE", b"PROPFIND", b"QUERY"),
    *(b"BREW", b"get", b"Get", b"G", b"GETGET", b"M-SEARCH", b"X" * 300, b"PRI"),
)

#: Methods that servers frame alike, so that the connection can be used again.
_USUAL_METHODS = frozenset({b"GET", b"HEAD", b"POST"})
_WITH_BODY = frozenset({b"GET", b"POST", b"PUT", b"PATCH"})

OK, FOUND, FORBIDDEN = frozenset({200}), frozenset({302}), frozenset({403})
#: The answers to a forged link and to a forged pixel; 400 if Django refuses the host.
NOT_FOUND_OR_PIXEL = frozenset({200, 400, 404})

_PROXY_HEADERS = frozenset((b"x-forwarded-for", b"forwarded", b"x-real-ip"))


class _Valid(NamedTuple):
    """What a valid request asks for, and how it is answered."""

    kind: str
    path: bytes
    statuses: frozenset[int]
    location: bytes | None = None


def _numbered(headers: Headers, number: int) -> Headers:
    """Return headers whose referrer has the number of a request, for URLs without a token."""
    others = [entry for entry in headers if entry[0] != b"Referer"]
    return [*others, (b"Referer", b"https://news.example/n/%d" % number)]


#: Pages that a token of their own opens.
_RECIPIENT_PAGES = (
    (tokens.PREFERENCES, b"/t/preferences/"),
    (tokens.UNSUBSCRIBE, b"/t/unsubscribe/"),
)

#: Shares of plain requests, hostile headers, forged tokens, banned clients, other URLs, hostile
#: targets, malformed and aborted requests, in percent.
SHARES = (36, 22, 14, 6, 9, 7, 5, 1)


class Cases:
    """Makes the requests of one connection, one after the other."""

    def __init__(self, facts: SiteFacts, random: Random) -> None:
        self._facts = facts
        self._random = random
        self._proxy_header = facts.proxy_header.encode()

    def make(self, number: int) -> Case:
        """Return a request.

        Args:
            number: identifies it and its row.
        """
        make = self._random.choices(
            (
                *(self._plain, self._with_hostile_headers, self._forged, self._banned),
                *(self._elsewhere, self._hostile_target, self._malformed, self._aborted),
            ),
            SHARES,
        )[0]
        return make(number)

    # Valid requests.

    def _plain(self, number: int) -> Case:
        """Return a request such as browsers and mail programs send."""
        return self._valid(number, self._usual_headers(), is_plain=True)

    def _with_hostile_headers(self, number: int) -> Case:
        """Return a request for something valid with headers that no browser sends."""
        headers = self._some_hostile_headers(always=True)
        return self._valid(number, headers, method=self._method(0.15), is_plain=False)

    def _valid(
        self, number: int, headers: Headers, *, is_plain: bool, method: bytes = b"GET"
    ) -> Case:
        kinds = (self._open, self._click, self._click_to_target, self._page, self._short)
        valid = pick(self._random, kinds)(number)
        names = {name.decode() for name, _ in headers}
        if valid.kind.startswith("short"):
            headers = _numbered(headers, number)
        counts: bool | None = method == b"GET"
        if method.upper() == b"GET" != method:
            counts = None  # Django makes methods upper case, servers refuse them or do not
        decide = _DECIDING | _DECIDING_PAGES if valid.kind == "page" else _DECIDING
        if counts and not is_plain and decide & names:
            counts = None
        return self._case(
            number,
            valid.path,
            headers,
            method=method,
            kind=valid.kind if is_plain else "hostile headers",
            counts=counts,
            # Django refuses a host that is none.
            statuses=None if method != b"GET" or "Host" in names else valid.statuses,
            location=valid.location,
            is_plain=is_plain,
        )

    def _open(self, number: int) -> _Valid:
        path = b"/t/%s.gif" % self._token(number, tokens.PIXEL)
        return _Valid("open", self._with_query(self._with_ending(path)), OK)

    def _click(self, number: int) -> _Valid:
        token = self._token(number, tokens.REDIRECT, url=f"{DESTINATION}{number}")
        leads_to = f"{DESTINATION}{number}".encode()
        path = self._with_ending(b"/t/" + token)
        return _Valid("click", self._with_query(path), FOUND, leads_to)

    def _click_to_target(self, number: int) -> _Valid:
        target = Reference("tracking.target", str(self._facts.target))
        token = self._token(number, tokens.REDIRECT, target=target)
        return _Valid("click", b"/t/" + token, FOUND, TARGET_URL)

    def _page(self, number: int) -> _Valid:
        kind = pick(self._random, (b"page", b"page", b"async-page", b"greeting", b"counting"))
        return _Valid("page", self._with_query(b"/%s/%d/x" % (kind, number)), OK)

    def _short(self, number: int) -> _Valid:
        target, source = self._facts.target, self._facts.source.encode()
        if self._random.random() < 0.2:
            return _Valid("short open", b"/seen/%d.gif" % self._facts.source_id, OK)
        if self._random.random() < 0.2:
            return _Valid("short click", b"/go/%d" % target, FOUND, TARGET_URL)
        paths = (
            b"/t/from/%s.gif" % source,
            b"/t/to/%d" % target,
            b"/t/to/%d/%s" % (target, source),
        )
        path = pick(self._random, paths)
        if path.endswith(b".gif"):
            return _Valid("short open", self._with_ending(path), OK)
        return _Valid("short click", self._with_ending(path), FOUND, TARGET_URL)

    def _with_ending(self, path: bytes) -> bytes:
        """Return a path, some with what mail programs add to the end."""
        added = (b"/", b".", b")", b"%20", b"/).", b"'")
        return path if self._random.random() < 0.8 else path + pick(self._random, added)

    def _with_query(self, path: bytes) -> bytes:
        return path if self._random.random() < 0.8 else path + b"?" + inputs.query(self._random)

    def _token(self, number: int, salt: str, **values: object) -> bytes:
        data = {"n": number, "campaign": "spring"}
        return tokens.dumps([], data, salt=salt, **values).encode()  # type: ignore[arg-type]

    # Requests that must not count.

    def _forged(self, number: int) -> Case:
        """Return a request with a token that is not authentic, or has another purpose."""
        headers = self._some_hostile_headers()
        pixel = self._token(number, tokens.PIXEL)
        link = self._token(number, tokens.REDIRECT, url=f"{DESTINATION}{number}")
        kind = self._random.random()
        if kind < 0.1:
            path = b"/t/" + pixel
        elif kind < 0.2:
            path = b"/t/%s.gif" % link
        else:
            token = inputs.forge(self._random, pick(self._random, (pixel, link)))
            path = b"/t/" + token + pick(self._random, (b".gif", b"", b"/", b".gif."))
        return self._case(number, path, headers, kind="forged", statuses=NOT_FOUND_OR_PIXEL)

    def _banned(self, number: int) -> Case:
        """Return a request from a banned address, which the client's own entries precede."""
        make = pick(self._random, (self._open, self._click, self._page, self._short))
        spelling = pick(self._random, BANNED_SPELLINGS)
        headers = [
            entry
            for entry in self._some_hostile_headers(always=True)
            if entry[0].lower().replace(b"_", b"-") not in _PROXY_HEADERS
        ]
        if self._proxy_header == b"Forwarded":
            before, last = inputs.forwarded_elements(self._random), b'for="%s"' % spelling
        else:
            before, last = inputs.forwarded(self._random), spelling
        if self._facts.drops_letters:
            before = bytes(byte for byte in before if byte < 0x80)
        headers.append((self._proxy_header, before[:1_500] + b", " + last))
        headers = _numbered(headers, number)
        return self._case(number, make(number).path, headers, kind="banned", statuses=FORBIDDEN)

    def _elsewhere(self, number: int) -> Case:
        """Return a request for the other URLs of the app and of the site."""
        random = self._random
        junk = inputs.percent(random, inputs.text(random))
        reader = Reference("tracking.source", str(self._facts.source_id))
        salt, page = pick(random, _RECIPIENT_PAGES)
        path = pick(
            random,
            (
                self._with_ending(page + self._token(number, salt, entity=reader)),
                self._with_ending(page + self._token(number, tokens.PIXEL)),
                page + junk,
                *(
                    b"/t/active",
                    b"/t/map/",
                    b"/t/health",
                    b"/t/",
                    b"/t",
                    b"/sign-out/",
                    b"/nowhere",
                ),
                *(b"/admin/tracking/visitor/", b"/admin/tracking/beacon/?q=" + junk, b"/admin/"),
                *(b"/admin/login/?next=" + junk, b"/admin/tracking/visitor/active/?place=" + junk),
                *(b"/t/to/" + junk, b"/t/to/1/" + junk, b"/t/from/" + junk + b".gif"),
                *(b"/go/" + junk, b"/seen/" + junk + b".gif", b"/t/to/" + b"9" * 300),
                *(b"/t/from/" + b"a" * 3_000 + b".gif", b"/t/.gif", b"/t/..gif", b"/t/%2e%2e/"),
            ),
        )
        method = self._method(0.3)
        body = inputs.text(random) if method in _WITH_BODY and random.random() < 0.3 else b""
        headers = _numbered(self._some_hostile_headers(), number)
        return self._case(
            number, path, headers, kind="elsewhere", method=method, body=body, counts=None
        )

    def _hostile_target(self, number: int) -> Case:
        """Return a request whose path or query is nothing that a browser sends."""
        random = self._random
        raw = inputs.text(random)
        escaped = inputs.percent(random, raw)
        valid = self._token(number, tokens.PIXEL)
        path = pick(
            random,
            (
                *(b"/t/" + escaped, b"/t/" + escaped + b".gif", b"/page/%d/" % number + escaped),
                *(b"/t/" + valid + b".gif?" + inputs.query(random), b"//t//" + escaped),
                *(b"/t/%00", b"/t/%00.gif", b"/t/%ff%fe", b"/t/%C0%AE%C0%AE/", b"/t/%", b"/t/%zz"),
                *(b"/t/" + b"A" * 8_192, b"/t/" + b"A" * 3_900 + b".gif", b"/t/?" + b"a" * 8_000),
                *(b"/" + b"../" * 300, b"/t/" + b"%2f" * 400, b"/t/a;b=c?d#e", b"/t/a#b.gif"),
                *(b"/page/%d/" % number + b"y" * 3_000, b"http://evil.example/t/x.gif", b"*"),
                *(b"/t/" + raw.replace(b" ", b"+"), b"/page/%d/" % number + raw.replace(b" ", b"")),
            ),
        )
        is_url = path[:1] == b"/" and all(0x20 < byte < 0x7F for byte in path) and b"#" not in path
        counts = None if path.startswith(b"/page/") or valid in path else False
        return self._case(
            number,
            path,
            self._usual_headers(),
            kind="hostile target",
            counts=counts,
            is_well_formed=is_url and len(path) < _MAX_TARGET,
        )

    # Others.

    def _malformed(self, number: int) -> Case:
        path = b"/t/%s.gif" % self._token(number, tokens.PIXEL)
        return Case(
            kind="malformed",
            request=malformed.make(self._random, path),
            number=number,
            counts=None,
            is_well_formed=False,
            keeps=False,
        )

    def _aborted(self, number: int) -> Case:
        return replace(
            self._plain(number), kind="aborted", counts=None, is_plain=False, aborts=True
        )

    # Headers.

    def _usual_headers(self) -> Headers:
        random = self._random
        headers = [
            (b"Host", b"127.0.0.1"),
            (b"User-Agent", pick(random, inputs.AGENTS)),
            (b"Accept", b"text/html,image/*;q=0.8,*/*;q=0.5"),
            (b"Accept-Language", pick(random, (b"de", b"en-US,en;q=0.5", b"fr"))),
            (self._proxy_header, b"192.0.2.%d" % (1 + random.randrange(250))),
        ]
        if self._proxy_header == b"Forwarded":
            headers[-1] = (headers[-1][0], b"for=" + headers[-1][1])
        if random.random() < 0.5:
            headers.append((b"Cookie", b"visitor=" + self._cookie()))
        if random.random() < 0.5:
            sites = (b"https://www.google.com/", b"https://news.example/a", b"http://127.0.0.1/")
            headers.append((b"Referer", pick(random, sites)))
        return headers

    def _cookie(self) -> bytes:
        key = f"{self._random.getrandbits(4 * KEY_LENGTH):0{KEY_LENGTH}x}"
        return visitor_cookie.sign(key).encode()

    def _method(self, unusual: float) -> bytes:
        return pick(self._random, _METHODS) if self._random.random() < unusual else b"GET"

    def _some_hostile_headers(self, *, always: bool = False) -> Headers:
        """Return the usual headers, and hostile ones in the place of some."""
        usual = self._usual_headers()
        if not always and self._random.random() < 0.6:
            return usual
        hostile: Headers = []
        for name in self._random.sample(list(HEADERS), 1 + self._random.randrange(5)):
            value = HEADERS[name](self._random)
            if name == "Cookie" and self._random.random() < 0.5:
                value = inputs.cookies(self._random, self._cookie())
            entry = (name.encode(), value.strip(b" \t")[:8_100])
            hostile.append(entry)
            if name != "Host" and self._random.random() < 0.1:
                hostile.append(entry)
        names = {name for name, _ in hostile}
        return [entry for entry in usual if entry[0] not in names] + hostile

    def _case(
        self,
        number: int,
        path: bytes,
        headers: Headers,
        *,
        kind: str,
        method: bytes = b"GET",
        body: bytes = b"",
        counts: bool | None = False,
        statuses: frozenset[int] | None = None,
        location: bytes | None = None,
        is_plain: bool = False,
        is_well_formed: bool = True,
    ) -> Case:
        if body:
            headers = [*headers, (b"Content-Length", b"%d" % len(body))]
        lines = [b"%s %s HTTP/1.1" % (method, path), *(b"%s: %s" % entry for entry in headers)]
        is_small = sum(map(len, lines)) < _MAX_HEADERS and len(path) < _MAX_TARGET
        return Case(
            kind=kind,
            request=b"\r\n".join((*lines, b"", b"")) + body,
            number=number,
            method=method,
            counts=counts,
            statuses=statuses,
            location=location,
            is_plain=is_plain and is_small,
            is_well_formed=is_well_formed and is_small,
            keeps=is_well_formed and is_small and method in _USUAL_METHODS,
        )
