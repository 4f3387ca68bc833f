"""HTML that is broken in all the ways that mail is."""

from typing import Any

from hypothesis import strategies as st

_PIECES = [
    "<a ", "<A\n", "<a", "<area ", "<p ", "<td>", "<img alt=", "</a>", "</p>", "</body>", "<body>",
    "</", "<!--", "-->", "--!>", "<!-->", "<!--->", "<![if !mso]>", "<![endif]>", "<!--[if mso]>",
    "<![endif]-->", "<!--[if !mso]><!-->", "<!--<![endif]-->", "<!doctype html>", "<?xml ",
    "<![CDATA[", "]]>", "<style>", "</style>", "<title>", "</title>", "<textarea>", "</textarea>",
    "<v:roundrect ", "href=", " href = ", " href ", "HREF=", " data-no-track", " title=",
    " class=x", "=", "/", ">", "/>", '"', "'", " ", "\n", "\t", "\f", "\xa0", "<", "&", "&amp;",
    "&copy", "&#47;", "&lt;", "text", "é", "https://a.example/", "http://b.example/?a=1&amp;b=2#c",
    '"https://c.example/?d=1&copy=2"', "'https://d.example/ e'", "mailto:me@a.example", "{{ url }}",
]  # fmt: skip


def soup() -> st.SearchStrategy[Any]:
    """Return a strategy of HTML texts, made of what a tokenizer may stumble over."""
    return st.lists(st.sampled_from(_PIECES), max_size=40).map("".join)
