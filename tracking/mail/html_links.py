"""Find links in the HTML of a mail, by position, so that all other bytes can stay as they are.

    >>> found = find_links('<p>Hi <a href="https://shop.example/?a=1&amp;b=2">shop</a></p>')
    >>> [link.destination for link in found.links]
    ['https://shop.example/?a=1&b=2']

The tokenizer follows the HTML standard for where tags, attributes, comments and texts that are no
markup begin and end (https://html.spec.whatwg.org/multipage/parsing.html#tokenization), in one
pass whose time grows with the length of the mail only. It builds no tree.
"""

import re
from collections.abc import Iterator
from html import unescape
from html.entities import html5
from typing import NamedTuple


class Link(NamedTuple):
    """One ``href`` of a mail.

    Attributes:
        start: position of the attribute's value, without quotes.
        end: position after the value.
        destination: where the link leads, with entities decoded as browsers decode them, without
            line breaks and surrounding spaces.
        text_start: position after the tag, where the text of the link begins.
        names: names of the tag's attributes, in lower case.
    """

    start: int
    end: int
    destination: str
    text_start: int
    names: frozenset[str]


class FoundLinks(NamedTuple):
    """The links of a mail.

    Attributes:
        links: the links, in their order.
        body_end: position of the last ``</body>`` outside of comments. If there is none, the length
            of the mail, or where the tag, comment or text begins that the mail never ends.
    """

    links: list[Link]
    body_end: int


_SPACE = r" \t\n\f\r"
_VALUE = rf"""(?:"[^"]*+(?:"|\Z)|'[^']*+(?:'|\Z)|[^{_SPACE}>"'][^{_SPACE}>]*+)"""
_NAME = rf"[^{_SPACE}/>][^{_SPACE}/>=]*+"
_ATTRIBUTE = rf"[{_SPACE}/]*+{_NAME}(?:[{_SPACE}]*+=[{_SPACE}]*+{_VALUE}?+)?+"

#: What begins with "<": a comment, another declaration, or a tag with its attributes.
_MARKUP = re.compile(
    r"<(?:"
    r"!--(?P<comment>>|->|)"
    r"|[!?][^>]*+(?:>|\Z)"
    r"|/(?![a-zA-Z])[^>]*+(?:>|\Z)"
    rf"|(?P<slash>/?)(?P<tag>[a-zA-Z][^{_SPACE}/>]*+)(?P<attributes>(?:{_ATTRIBUTE})*+)"
    rf"[{_SPACE}/]*+(?P<closed>>?)"
    r")"
)
_ATTRIBUTES = re.compile(
    rf"[{_SPACE}/]*+(?P<name>{_NAME})(?:[{_SPACE}]*+=[{_SPACE}]*+(?P<value>{_VALUE})?+)?+"
)
_COMMENT_END = re.compile(r"--!?>")
_CONDITION = re.compile(rf"\[[{_SPACE}]*+if\b[^\]]*+\]>", re.IGNORECASE)

#: Elements whose text is no markup. ``noscript`` is markup, as mail runs no scripts.
_TEXT_ELEMENTS = frozenset({
    "iframe", "noembed", "noframes", "script", "style", "textarea", "title", "xmp",
})  # fmt: skip
_TEXT_ENDS = {
    name: re.compile(rf"</{name}(?=[{_SPACE}/>])", re.IGNORECASE) for name in _TEXT_ELEMENTS
} | {"plaintext": re.compile(r"(?!)")}  # has no end


_Tag = re.Match[str]


def find_links(html: str) -> FoundLinks:
    """Find the links of ``<a>``, ``<area>`` and of Outlook's shapes (``<v:roundrect>``).

    Links in conditional comments count, links in other comments do not.

    Args:
        html: a document or a part of one.
    """
    links: list[Link] = []
    body_end: int | None = None
    tokens = _Tokens(html)
    for tag, in_comment in tokens.tags():
        name = tag["tag"].lower()
        if tag["slash"]:
            if name == "body" and not in_comment:
                body_end = tag.start()
        elif (name in _LINK_TAGS or name.startswith("v:")) and (link := _link_of(tag)):
            links.append(link)
    return FoundLinks(links, tokens.end if body_end is None else body_end)


_LINK_TAGS = frozenset({"a", "area"})


class _Tokens:
    """The tags of a mail.

    Attributes:
        end: where the tag, comment or text begins that the mail never ends; else its length.
    """

    def __init__(self, html: str) -> None:
        self.end = len(html)
        self._html = html

    def tags(self) -> Iterator[tuple[_Tag, bool]]:
        """Yield each tag, and whether it is in a conditional comment."""
        position = 0
        while match := _MARKUP.search(self._html, position):
            if match["comment"] == "":
                content_end, position = _comment_end(self._html, match.end())
                yield from ((tag, True) for tag in _tags_of_comment(match, content_end))
                is_whole = content_end < position
            elif match["tag"] and match["closed"]:
                yield match, False
                position, is_whole = _text_end(match, len(self._html))
            else:
                position = match.end()
                is_whole = not match["tag"] and match[0][-1] == ">"
            if not is_whole:
                self.end = match.start()
                return


def _tags_of_comment(comment: re.Match[str], end: int) -> Iterator[_Tag]:
    """Yield the tags of a conditional comment. Comments do not nest."""
    condition = _CONDITION.match(comment.string, comment.end(), end)
    if condition is None:
        return
    position = condition.end()
    while match := _MARKUP.search(comment.string, position, end):
        position = match.end()
        if match["tag"]:
            if not match["closed"]:
                return
            yield match
            position, _is_whole = _text_end(match, end)


def _text_end(tag: _Tag, end: int) -> tuple[int, bool]:
    """Return where markup goes on after a tag, and whether it does."""
    text_end = None if tag["slash"] else _TEXT_ENDS.get(tag["tag"].lower())
    if text_end is None:
        return tag.end(), True
    found = text_end.search(tag.string, tag.end(), end)
    return (found.start(), True) if found else (end, False)


def _comment_end(html: str, start: int) -> tuple[int, int]:
    """Return where the content of a comment ends, and where the comment does."""
    found = _COMMENT_END.search(html, start)
    return found.span() if found else (len(html), len(html))


def _link_of(tag: _Tag) -> Link | None:
    """Return the link of a tag, from its first ``href``, which is the one that counts."""
    span: tuple[int, int] | None = None
    names = set()
    for attribute in _ATTRIBUTES.finditer(tag.string, *tag.span("attributes")):
        name = attribute["name"].lower()
        if name == "href" and name not in names and attribute["value"]:
            span = _without_quotes(attribute)
        names.add(name)
    if span is None:
        return None
    destination = _address(decode_attribute(tag.string[slice(*span)]))
    return Link(*span, destination, tag.end(), frozenset(names))


def _without_quotes(attribute: re.Match[str]) -> tuple[int, int]:
    start, end = attribute.span("value")
    return (start + 1, end - 1) if attribute["value"][0] in "\"'" else (start, end)


_CONTROLS = "".join(map(chr, range(0x21)))
_LINE_BREAKS = str.maketrans("", "", "\t\n\r")


def _address(value: str) -> str:
    """Return a URL as browsers read it (https://url.spec.whatwg.org/#concept-basic-url-parser)."""
    return value.strip(_CONTROLS).translate(_LINE_BREAKS)


_REFERENCE = re.compile(
    r"&(?:#[xX][0-9a-fA-F]+;?|#[0-9]+;?|[a-zA-Z][a-zA-Z0-9]*+;|[a-zA-Z][a-zA-Z0-9]*+(?!=))"
)


def decode_attribute(value: str) -> str:
    """Decode the character references in an attribute's value.

    In attributes, unlike in texts, ``&copy=1`` and ``&copyright`` are no references: see
    https://html.spec.whatwg.org/multipage/parsing.html#named-character-reference-state.
    ``html.unescape`` would turn them into a copyright sign.

    Args:
        value: the text between the quotes.
    """
    return _REFERENCE.sub(_character, value) if "&" in value else value


def _character(match: re.Match[str]) -> str:
    reference = match[0]
    if reference[1] == "#":
        return unescape(reference)
    return html5.get(reference[1:], reference)
