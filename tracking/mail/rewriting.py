"""Put tracked links and a pixel into the HTML of a mail; every other byte stays as it is.

    >>> rewrite(
    ...     '<a href="https://shop.example/?a=1&amp;b=2">Shop</a>',
    ...     lambda destination: "https://site.example/t/1",
    ...     pixel="https://site.example/t/2.gif",
    ... )
    '<a href="https://site.example/t/1">Shop</a><img src="https://site.example/t/2.gif" ...>'

The text is cut at the values to replace and joined again. A parser that writes the mail anew would
change what mail programs are picky about: quotes, conditional comments, white space.
"""

import re
from collections.abc import Callable, Collection, Iterable, Mapping
from html import unescape
from unicodedata import normalize
from urllib.parse import parse_qsl, unquote, urlencode

from django.utils.html import escape

from tracking.mail.html_links import Link, find_links


def rewrite(
    html: str,
    tracked: Callable[[str], str | None],
    *,
    pixel: str | None = None,
    unsubscribe_urls: Collection[str] = (),
) -> str:
    """Replace the destinations of links, and add a pixel.

    Args:
        html: a document or a part of one.
        tracked: takes the exact destination of a link that may be tracked, and returns the URL to
            put in its place, or ``None`` to leave the link as it is.
        pixel: URL of the pixel. It stands before the last ``</body>``, else at the end.
        unsubscribe_urls: destinations to leave as they are, from ``List-Unsubscribe``.
    """
    found = find_links(html)
    edits = []  # (start, end, text in its place)
    text_ends = [link.start for link in found.links[1:]] + [len(html)]  # at the latest
    for link, text_end in zip(found.links, text_ends, strict=False):
        if _may_be_tracked(link, html, text_end, unsubscribe_urls):
            url = tracked(link.destination)
            if url is not None:
                edits.append((link.start, link.end, str(escape(url))))
    if pixel is not None:
        edits.append((found.body_end, found.body_end, pixel_image(pixel)))
    return _apply(html, sorted(edits))


def _apply(html: str, edits: Iterable[tuple[int, int, str]]) -> str:
    pieces: list[str] = []
    position = 0
    for start, end, text in edits:
        pieces += (html[position:start], text)
        position = end
    pieces.append(html[position:])
    return "".join(pieces)


def pixel_image(url: str) -> str:
    """Return the image that loads a pixel.

    ``alt=""`` keeps it from screen readers; it has no ``display: none``, which some mail programs
    take as a reason not to load it.
    """
    return f'<img src="{escape(url)}" width="1" height="1" alt="" style="border:0">'


def rewrite_text(
    text: str,
    tracked: Callable[[str], str | None],
    *,
    unsubscribe_urls: Collection[str] = (),
) -> str:
    """Replace the URLs in plain text. What ends a sentence does not belong to a URL.

    Args:
        text: plain text.
        tracked: as for :func:`rewrite`.
        unsubscribe_urls: as for :func:`rewrite`.
    """
    edits = []
    for found in _URL.finditer(text):
        destination = found[0].rstrip(".,;:!?)]}*_'\"")
        if _is_trackable(destination, unsubscribe_urls):
            url = tracked(destination)
            if url is not None:
                edits.append((found.start(), found.start() + len(destination), url))
    return _apply(text, edits)


_URL = re.compile(r"\bhttps?://[^\s<>]++", re.IGNORECASE)


def _may_be_tracked(
    link: Link, html: str, text_end: int, unsubscribe_urls: Collection[str]
) -> bool:
    return (
        _is_trackable(link.destination, unsubscribe_urls)
        and "data-no-track" not in link.names
        and not _asks_to_unsubscribe(_text_of(link, html, text_end))
    )


def _is_trackable(destination: str, unsubscribe_urls: Collection[str]) -> bool:
    return (
        destination[:8].lower().startswith(("http://", "https://"))
        and not _LEFTOVER.search(destination)
        and destination not in unsubscribe_urls
        and not _asks_to_unsubscribe(unquote(destination))
    )


#: What a template or a mail provider fills in later: Django, Handlebars, Mailchimp, Mailgun,
#: SendGrid, Salesforce, Brevo, ActiveCampaign, Campaign Monitor, Mailjet, AWeber, Keap. Some tools
#: that inline styles percent-encode braces.
_LEFTOVER = re.compile(
    r"[{}]|\*\||\|\*|<%|%>|\$\(|%%|\[%|\[\[|=\[|##|%recipient[._]"
    r"|%(?![0-9a-f]{2})[a-z]\w*+%|~[a-z]\w*+\.\w++~|%7B%7B|%7B%25|\*%7C",
    re.IGNORECASE,
)

#: Links that must lead where they say even if all else fails, in many languages. Lower case.
_UNSUBSCRIBE = re.compile(
    r"""
    unsubscri | opt[\s_-]*out(?![a-z]) | list-?manage | manage-?_?preferences
    | abmeld | abbestell | austragen | newsletter-?ab\b
    | d[eé]s(?:inscri|abonn)
    | cancelar\W+(?:de\W+|(?:a|la|mi|sua|tu)\W+)?(?:baja|subscri|suscri|inscri) | cancelar-?suscri
    | anular\W+(?:la\W+)?suscri | desuscri | dar(?:[mst]e)?\W+de\W+baja | donar-[ms]e\W+de\W+baixa
    | descadastr
    | disiscri | annulla\W+(?:l\W*)?iscrizione | cancella\W*(?:l\W*)?iscrizione
    | afmeld | uitschrijv
    | avregistrer | avsluta\W+prenumeration | avmeld | framelding | meld\W+(?:deg\W+|meg\W+)?av\b
    | peruuta\W+(?:uutiskirje|tilaus) | lopeta\W+tilaus | loobu\b | atsisak | atteikt
    | wypisz | anuluj\W+subskryp | zrezygnuj | odhl[aá]s | odjav | leiratkoz | dezabon
    | отпис | відпис | διαγραφ | απεγγραφ | abonelikten | üyelikten
    | إلغاء\W*(?:ال)?اشتراك | ביטול\W*הרשמה | הסר[הת]?\b
    | 退订 | 退訂 | 取消订阅 | 取消訂閱 | 配信停止 | 配信解除 | 購読(?:を)?解除 | 登録解除 | 退会
    | 수신\W*거부 | 구독\W*(?:취소|해지) | hủy\W+đăng\W+ký | berhenti\W+berlangganan
    """,
    re.VERBOSE,
)
_TEXT_LENGTH = 2_000
_SEARCHED = 5_000  # normalize() takes 100 seconds for an address of 400,000 accents
_TEXT_END = re.compile(r"<(?:/a|a|area|/map|/v:(?!text)[a-z]+)(?=[ \t\n\f\r/>])", re.IGNORECASE)
_TAG = re.compile(r"<[^<>]*+>")


def _asks_to_unsubscribe(text: str) -> bool:
    """Return whether a text or an address has a word that lets readers unsubscribe."""
    text = normalize("NFC", text[:_SEARCHED]).lower().replace("\xad", "")
    return _UNSUBSCRIBE.search(text) is not None


def _text_of(link: Link, html: str, end: int) -> str:
    """Return the attributes after the address, and the beginning of the text before ``end``.

    An image may have no text but ``alt``.
    """
    end = min(end, link.text_start + _TEXT_LENGTH)
    found = _TEXT_END.search(html, link.text_start, end)
    text = html[link.end : found.start() if found else end]
    return unescape(f"{text} {_TAG.sub('', text)}")


def add_utm(url: str, parameters: Mapping[str, str]) -> str:
    """Return a URL with UTM parameters that it does not have yet.

    >>> add_utm("https://shop.example/a?b#top", {"utm_medium": "email"})
    'https://shop.example/a?b&utm_medium=email#top'

    All other characters of the URL stay as they are.

    Args:
        url: an absolute URL.
        parameters: names and values; empty values are left out.
    """
    if not parameters:
        return url
    address, hash_sign, fragment = url.partition("#")
    address, _, query = address.partition("?")
    present = {name.lower() for name, _value in parse_qsl(query, keep_blank_values=True)}
    added = urlencode(
        {name: text for name, text in parameters.items() if text and name.lower() not in present}
    )
    if not added:
        return url
    separator = "" if not query or query.endswith("&") else "&"
    return f"{address}?{query}{separator}{added}{hash_sign}{fragment}"
