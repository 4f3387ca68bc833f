"""The catalogue of each language is complete, and pages in it hold nothing in English."""

import ast
import gettext
import json
import os
import re
import shutil
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from functools import cache
from html.parser import HTMLParser
from pathlib import Path
from typing import NamedTuple

import django
import pytest
from babel.messages.pofile import read_po
from django.test import Client
from django.utils import timezone, translation

import tracking
from tests.site.models import Affiliate, Subscriber
from tests.support import services
from tracking import bans
from tracking.active_visitors import feed, places
from tracking.admin import columns
from tracking.admin.charts import units
from tracking.enrichment.verdict_reasons import translate_reason
from tracking.enrichment.verdict_rules import classify
from tracking.hits import Hit, Kind, PageHit, Reference
from tracking.models import BannedIP, Beacon, Source, Target, UntrackedUserAgent, Visit, Visitor
from tracking.recording import write
from tracking.reports import formatting, plain_text
from tracking.reports.campaigns import campaign
from tracking.reports.overview import overview
from tracking.reports.periods import Period
from tracking.rollups.days import today

PACKAGE = Path(tracking.__file__).parent
LANGUAGES = sorted(path.name for path in (PACKAGE / "locale").iterdir())
PLACEHOLDER = re.compile(r"%(?:\(\w+\))?[sdr%]")
TAG = re.compile(r"</?\w+>")


@pytest.fixture(autouse=True)
def as_before():
    """Leave no language behind: a request in one stays with the thread that answered it."""
    yield
    translation.deactivate()


every_language = pytest.mark.parametrize("language", LANGUAGES)


def folder(language, package=PACKAGE):
    return package / "locale" / language / "LC_MESSAGES"


@cache
def catalogue(language):
    with (folder(language) / "django.po").open("rb") as file:
        return read_po(file, locale=language)


def messages(found):
    return [message for message in found if message.id]


def forms(text):
    """Return the forms of a text: one, or one for each number."""
    return (text,) if isinstance(text, str) else tuple(text)


def keys(found):
    return {(message.context, forms(message.id)) for message in messages(found)}


def test_german_is_there():
    assert "de" in LANGUAGES
    assert len(messages(catalogue("de"))) > 500


@every_language
def test_the_catalogue_has_what_the_sources_have(language, tmp_path):
    if shutil.which("xgettext") is None:
        services.missing("gettext")
    copy = tmp_path / "tracking"
    shutil.copytree(PACKAGE, copy, ignore=shutil.ignore_patterns("__pycache__", "static"))
    subprocess.run(
        [sys.executable, "-m", "django", "makemessages", "-l", language, "--no-obsolete", "-v0"],
        cwd=copy,
        env={**os.environ, "DJANGO_SETTINGS_MODULE": ""},
        check=True,
    )
    with (folder(language, copy) / "django.po").open("rb") as file:
        in_sources = keys(read_po(file, locale=language))
    assert keys(catalogue(language)) == in_sources


#: What marks a text.
MARKS = {
    *("_", "gettext", "gettext_lazy", "gettext_noop", "ngettext", "ngettext_lazy"),
    *("pgettext", "pgettext_lazy", "npgettext", "npgettext_lazy"),
}


@pytest.mark.parametrize(
    "path", sorted(PACKAGE.rglob("*.py")), ids=lambda path: str(path.relative_to(PACKAGE))
)
def test_no_text_is_marked_where_it_is_not_found(path):
    """What collects the texts looks past f-strings, until some of its versions do not."""
    hidden = [
        ast.unparse(call)
        for string in ast.walk(ast.parse(path.read_text()))
        if isinstance(string, ast.JoinedStr)
        for call in ast.walk(string)
        if isinstance(call, ast.Call) and getattr(call.func, "id", "") in MARKS
    ]
    assert hidden == []


@every_language
def test_every_text_is_translated(language):
    found = catalogue(language)
    assert [message.id for message in found if message.id and message.fuzzy] == []
    assert list(found.obsolete) == []
    empty = [one.id for one in messages(found) if not all(forms(one.string))]
    assert empty == []
    wanted = {1: 1, 2: found.num_plurals}
    wrong = [m.id for m in messages(found) if len(forms(m.string)) != wanted[len(forms(m.id))]]
    assert wrong == []


@every_language
def test_translations_keep_placeholders_tags_and_the_spaces_around(language):
    def kept(text):
        ends = (text[: len(text) - len(text.lstrip())], text[len(text.rstrip()) :])
        return sorted(PLACEHOLDER.findall(text)), TAG.findall(text), ends

    wrong = [
        (said, translated)
        for message in messages(catalogue(language))
        for said in forms(message.id)[-1:]
        for translated in forms(message.string)
        if kept(said) != kept(translated)
    ]
    assert wrong == []


@every_language
def test_the_compiled_catalogue_is_that_of_the_text(language):
    with (folder(language) / "django.mo").open("rb") as file:
        compiled = gettext.GNUTranslations(file)
    found = {key: text for key, text in compiled._catalog.items() if key}
    expected = {}
    for message in messages(catalogue(language)):
        said = forms(message.id)
        key = f"{message.context}\x04{said[0]}" if message.context else said[0]
        strings = forms(message.string)
        expected |= {(key, i): text for i, text in enumerate(strings)} if said[1:] else {}
        expected |= {} if said[1:] else {key: strings[0]}
    assert found == expected


@every_language
def test_what_django_says_too_is_said_alike(language):
    """The catalogues of all apps are one: what differs would change pages that are not ours."""
    ours = {
        forms(one.id): forms(one.string) for one in messages(catalogue(language)) if not one.context
    }
    for path in Path(django.__file__).parent.rglob(f"locale/{language}/LC_MESSAGES/django.po"):
        with path.open("rb") as file:
            theirs = {
                forms(one.id): forms(one.string)
                for one in messages(read_po(file, locale=language))
                if not one.context and all(forms(one.string)) and not one.fuzzy
            }
        assert {key: text for key, text in theirs.items() if ours.get(key, text) != text} == {}


# What is written by the notation of a language.


@pytest.fixture
def german():
    with translation.override("de"):
        yield


def test_numbers_rates_and_lengths_in_german(german):
    assert formatting.count(1234567) == "1.234.567"
    assert formatting.rate(0.125) == "12,5\xa0%"
    assert formatting.change(150, 120).text == "+25\xa0%"
    assert formatting.change(150, 120).word == "gestiegen"
    assert formatting.duration(252) == "4 min 12 s"
    assert units.COUNTS.axis(1_500_000) == "1,5 Mio."
    assert units.RATES.axis(0.5) == "50\xa0%"
    assert columns.page_count(1234) == "1.234 Seiten"
    assert columns.page_count(1) == "1 Seite"
    assert feed.in_words(timedelta(minutes=2, seconds=1)) == "2 Minuten, 1 Sekunde"
    assert formatting.percent("12,5") == "12,5\xa0%"


@pytest.mark.parametrize(
    ("length", "said"),
    [
        (timedelta(days=3), "3 Tagen"),
        (timedelta(days=1), "1 Tag"),
        (timedelta(hours=2), "2 Stunden"),
        (timedelta(days=70), "2 Monaten"),
        (timedelta(days=800), "2 Jahren"),
    ],
)
def test_german_bends_what_follows_ago_and_in(german, length, said):
    now = timezone.now()
    assert (
        columns.time_ago(now - length - timedelta(minutes=1)).replace("\xa0", " ") == f"vor {said}"
    )
    left = columns.time_left(now + length + timedelta(minutes=1)).replace("\xa0", " ")
    assert left == f"in {said}"


@pytest.mark.parametrize(
    ("user_agent", "is_open"),
    [
        ("", False),
        ("Mozilla/5.0", True),
        ("Mozilla/5.0 (via ggpht.com GoogleImageProxy)", True),
        ("YahooMailProxy; https://help.yahoo.com", True),
        ("FastmailUA/1.0", True),
        ("SeznamEmailProxy/2.0", True),
        ("Googlebot/2.1 (+http://www.google.com/bot.html)", False),
    ],
)
def test_the_reasons_of_verdicts_are_translated(german, user_agent, is_open):
    reason = classify(user_agent, is_open=is_open).reason
    assert translate_reason(reason) != reason
    with translation.override("en"):
        assert translate_reason(reason) == reason


def test_reasons_that_are_not_ours_stay(german):
    assert translate_reason("") == ""
    assert translate_reason("Open") == "Open"
    assert translate_reason("calls itself %(x)s %s") == "nennt sich %(x)s %s"


# Pages.

BROWSER = "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0"
GMAIL = "Mozilla/5.0 (Windows NT 5.1; rv:11.0) Gecko Firefox/11.0 (via ggpht.com GoogleImageProxy)"
BOT = "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)"

ADMIN = "/admin/tracking/"
REPORT = "/admin/tracking/beacon/report/"


@pytest.fixture
def pages(settings, admin_user, db):
    """A client that reads German, on a site with something on every page."""
    settings.MIDDLEWARE = [
        *settings.MIDDLEWARE,
        "django.middleware.locale.LocaleMiddleware",
    ]
    places.count_by_place.clear()
    client = Client(headers={"accept-language": "de"})
    client.force_login(admin_user)
    return client


@pytest.fixture
def observed(db):
    """Two mailings, read by people, a proxy and a bot, and visits of today and yesterday."""
    now = datetime.now(UTC)
    letter = Affiliate.objects.create(name="Xq-Letter")
    source = Source.objects.create(name="Xq-Source", slug="xq", medium="xqmail")
    Target.objects.create(name="Xq-Target", url="https://shop.example/xq")
    readers = [Subscriber.objects.create(email=f"xq{number}@mail.example") for number in range(5)]

    def hit(kind, number, user_agent=BROWSER, ago=3, tied=letter, **values):
        entity = None if number is None else Reference.to(readers[number])
        time = now - timedelta(hours=ago)
        values |= {"kind": kind, "source": Reference.to(tied), "entity": entity, "time": time}
        return Hit(user_agent=user_agent, ip_address="203.0.113.77", **values)

    def seen(visitor, url, ago, **values):
        values = {"user_agent": BROWSER, "ip_address": "203.0.113.78", **values}
        return PageHit(visitor=visitor, url=url, time=now - timedelta(minutes=ago), **values)

    write(
        [
            *(hit(Kind.SENT, number, "", ago=50) for number in range(5)),
            hit(Kind.OPEN, 0, ago=49),
            hit(Kind.CLICK, 0, url="https://shop.example/xq", visitor="xq-here"),
            hit(Kind.OPEN, 1, GMAIL),
            hit(Kind.OPEN, 2, "Mozilla/5.0"),
            hit(Kind.CLICK, 3, BOT, url="https://shop.example/xq"),
            hit(Kind.EVENT, 0),
            hit(Kind.OPEN, None, "", tied=source),
            seen("xq-here", "/xq/", 4, campaign={"source": "xqs", "medium": "xqm"}),
            seen("xq-here", "/xq2/", 2),
            seen("xq-from", "/xq/", 3, referrer="https://xq.example/"),
            seen("xq-bot", "/xq/", 1, user_agent=BOT),
            seen("xq-away", "/xq/", 60 * 24, user_agent=""),
        ]
    )
    Visitor.objects.filter(key="xq-here").update(
        city="Xqville", country="DE", latitude=50.0, longitude=9.0
    )
    Visit.objects.update(country="DE")
    bans.ban("192.0.2.0/24", "xqreason", timezone.now() + timedelta(days=3, hours=1))
    bans.ban("192.0.3.7", "", timezone.now() - timedelta(days=3))
    bans.ban("2001:db8::/32")
    UntrackedUserAgent.objects.create(keyword="xqword")
    return letter


class _Texts(HTMLParser):
    """Collects what a page says, and leaves out code and scripts."""

    QUIET = {"style", "pre", "code", "script"}
    SAYING = {"title", "aria-label", "placeholder", "alt"}

    def __init__(self):
        super().__init__()
        self.found, self.scripts = [], []
        self._open = []

    def handle_starttag(self, tag, attrs):
        values = dict(attrs)
        self.found += [values[name] or "" for name in self.SAYING & set(values)]
        if tag == "input" and values.get("type") in {"submit", "button"}:
            self.found.append(values.get("value") or "")
        if tag == "script" and values.get("type") == "application/json":
            tag = "json"
        if tag in self.QUIET or tag == "json":
            self._open.append(tag)

    def handle_endtag(self, tag):
        if self._open and tag in self.QUIET:
            self._open.pop()

    def handle_data(self, data):
        if not self._open:
            self.found.append(data)
        elif self._open[-1] == "json":
            self.scripts.append(json.loads(data))


def _within(value):
    """Yield the texts of what a script is given."""
    if isinstance(value, dict):
        for inner in value.values():
            yield from _within(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _within(inner)
    elif isinstance(value, str):
        yield value


def said(response):
    """Return what an answer says to people."""
    assert response.status_code == 200
    if response["Content-Type"].startswith("application/json"):
        found = list(_within(response.json()))
    else:
        page = _Texts()
        page.feed(response.content.decode())
        page.close()
        found = [*page.found, *_within(page.scripts)]
    plain = (re.sub(r"\s+", " ", text).strip() for text in found)
    return {text for text in plain if re.search(r"[^\W\d_]{2}", text)}


class _Known(NamedTuple):
    """How a text of the catalogue looks once it is filled in, and how much of it is its own."""

    pattern: re.Pattern[str]
    weight: int


def _known(text):
    literal = re.split(r"%(?:\(\w+\))?[sdr]", text.strip().replace("%%", "%"))
    pattern = re.compile(".+".join(map(re.escape, literal)), re.IGNORECASE | re.DOTALL)
    return _Known(pattern, len("".join(filter(str.isalpha, "".join(literal)))))


@cache
def _catalogued():
    """Return what is English and not German, and what is German; nothing without a word."""
    pairs = [
        (english, german)
        for message in messages(catalogue("de"))
        for english, german in zip(forms(message.id), forms(message.string), strict=True)
    ]
    ours = [_known(english) for english, german in pairs if english != german]
    theirs = [_known(german) for _english, german in pairs]
    return tuple([one for one in some if one.weight] for some in (ours, theirs))


def _weight(text, known):
    """Return how much of a text is explained by what is known."""
    return max((one.weight for one in known if one.pattern.fullmatch(text)), default=0)


def english(texts):
    """Return which texts are of the catalogue, and not translated."""
    ours, theirs = _catalogued()
    some = sorted(set(texts) - {"Search"})  # Django forgets to translate it
    return [text for text in some if _weight(text, ours) > _weight(text, theirs)]


#: What is alike in both languages, and not in our catalogue: names, addresses and keys of rows;
#: the site of the tests, which has no translation; months that are called so.
ALIKE = re.compile(
    r"xq|/|@|Firefox|Mozilla|[0-9a-f]{8}-[0-9a-f]{4}-|::|^at:\d|^(in|Id)$"
    r"|^(Affiliates|Site|Subscribers|Vouchers)$|^CSV$|^Googlebot|^\w+ \d{4}$",
    re.IGNORECASE,
)


def alike(pages, *addresses):
    """Return what pages say in both languages with the same words, and no name explains."""
    _ours, german = _catalogued()
    in_german = set().union(*(said(pages.get(address)) for address in addresses))
    in_english = set().union(
        *(said(pages.get(at, headers={"accept-language": "en"})) for at in addresses)
    )
    # What Django forgets to translate, by its version, is on a list of its own, too.
    in_django = said(pages.get("/admin/auth/user/"))
    plain = {
        text.strip("\N{SINGLE RIGHT-POINTING ANGLE QUOTATION MARK}: ")
        for text in in_german & in_english - in_django
    }
    return sorted(text for text in plain if not ALIKE.search(text) and not _weight(text, german))


LISTS = ("beacon", "source", "target", "visitor", "visit", "bannedip", "untrackeduseragent")


def addresses_of(letter):
    reference = Reference.to(letter)
    report = f"{REPORT}{reference.label}/{reference.pk}/"
    visitor = Visitor.objects.get(key="xq-here").pk
    return [
        ADMIN,
        f"{ADMIN}beacon/overview/",
        f"{ADMIN}beacon/overview/?period=7",
        f"{ADMIN}beacon/overview/?period=today&series=bounce_rate&country=DE",
        f"{ADMIN}beacon/overview/?first=2026-99-01&last=x&period=custom&country=xqlong",
        *(
            f"{ADMIN}beacon/overview/{name}/"
            for name in ("pages", "referrers", "sources", "countries", "devices", "mailings")
        ),
        report,
        f"{report}?state=clicked",
        f"{report}recipients/",
        f"{ADMIN}visitor/active/",
        f"{ADMIN}visitor/active/now/",
        f"{ADMIN}visitor/active/{visitor}/",
        *(f"{ADMIN}{model}/" for model in LISTS),
        *(f"{ADMIN}{model}/add/" for model in ("source", "target", "bannedip")),
        f"{ADMIN}visitor/{visitor}/change/",
        f"{ADMIN}visit/{Visit.objects.order_by('pk').first().pk}/change/",
        f"{ADMIN}beacon/{Beacon.objects.get(verdict='proxy').pk}/change/",
        f"{ADMIN}bannedip/{BannedIP.objects.order_by('pk').first().pk}/change/",
        f"{ADMIN}bannedip/import/",
    ]


@pytest.mark.long
def test_pages_hold_nothing_in_english(pages, observed):
    for address in addresses_of(observed):
        found = said(pages.get(address))
        assert english(found) == [], address
        assert len(found) > 5, address


@pytest.mark.long
def test_what_is_not_translated_is_a_name(pages, observed):
    assert alike(pages, *addresses_of(observed)) == []


def test_empty_pages_hold_nothing_in_english(pages):
    letter = Affiliate.objects.create(name="Xq-Letter")
    empty = [
        f"{ADMIN}beacon/overview/",
        f"{REPORT}{Reference.to(letter).label}/{letter.pk}/",
        f"{ADMIN}visitor/active/",
    ]
    for address in empty:
        assert english(said(pages.get(address))) == [], address
    assert alike(pages, *empty) == []


def test_asking_before_a_ban_is_in_german(pages, observed):
    list_of = "203.0.113.78,xqreason\n192.0.2.0/24\n0.0.0.0/0\nxqrubbish\nxq,a,b,c,d\n"
    preview = said(pages.post(f"{ADMIN}bannedip/import/", {"text": list_of}))
    assert english(preview) == []
    assert "1 Netz wird gesperrt." in preview
    [address] = Visitor.objects.filter(key="xq-here").values_list("pk", flat=True)
    links = pages.get(f"{ADMIN}visitor/active/{address}/").json()["bans"]
    asked = said(pages.get(links[0]["url"]))
    assert english(asked) == []
    assert "Werden gesperrt" in asked
    data = {"network": "203.0.113.0/24", "reason": "", "expires_at_0": "", "expires_at_1": ""}
    question = said(pages.post(f"{ADMIN}bannedip/add/", data))
    assert english(question) == []
    assert any(text.startswith("Betrifft derzeit ") for text in question)
    answered = pages.post(f"{ADMIN}bannedip/import/", {"text": list_of, "confirmed": "1"})
    assert answered.status_code == 302
    assert english(said(pages.get(f"{ADMIN}bannedip/"))) == []


def test_who_is_kept_out_reads_german(settings, client, db):
    settings.MIDDLEWARE = [
        "django.middleware.locale.LocaleMiddleware",
        "tracking.middleware.BannedIPMiddleware",
    ]
    assert "Kein Zugang" in _kept_out(client, "de")
    assert "No access" in _kept_out(client, "en")


def _kept_out(client, language):
    bans.ban("127.0.0.1")
    answer = client.get("/page/xq", headers={"accept-language": language})
    assert answer.status_code == 403
    return answer.content.decode()


def test_a_file_has_heads_in_german(pages, observed):
    reference = Reference.to(observed)
    files = [
        f"{REPORT}{reference.label}/{reference.pk}/{name}.csv" for name in ("links", "recipients")
    ]
    files += [f"{ADMIN}beacon/overview/{name}.csv" for name in ("pages", "links", "mailings")]
    for address in files:
        answer = b"".join(pages.get(address).streaming_content).decode("utf-8-sig")
        heads = answer.splitlines()[0].split(",")
        assert english(heads) == [], address


def test_the_report_in_a_terminal_is_in_german(observed, german):
    for text in (
        plain_text.overview_text(overview(Period.custom(today() - timedelta(days=6), today()))),
        plain_text.campaign_text(campaign(observed)),
    ):
        cells = {cell.strip() for line in text.splitlines() for cell in line.split("  ")}
        assert english(cells - {""}) == []
        assert re.search(r"\d,\d\xa0%", text)
