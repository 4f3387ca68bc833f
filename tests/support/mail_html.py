"""HTML that is broken in all the ways that mail is, and how a browser reads it."""

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


#: A function of JavaScript: the addresses of the links of a mail, and all else that it contains.
READ = """html => {
    const document = new DOMParser().parseFromString(html, "text/html");
    const isLink = element => /^(a|area|v:.*)$/i.test(element.localName);
    const links = [...document.querySelectorAll("[href]")].filter(isLink);
    const addresses = links.map(link => link.getAttribute("href"));
    links.forEach(link => link.removeAttribute("href"));
    // Only Outlook reads the links in them.
    const comments = document.createTreeWalker(document, NodeFilter.SHOW_COMMENT);
    while (comments.nextNode()) {
        comments.currentNode.data = comments.currentNode.data.replace(/^\\[if.*/s, "");
    }
    return [addresses, document.documentElement.outerHTML];
}"""


def as_followed(url: str) -> str:
    """Return a URL as a browser follows it."""
    return url.strip("".join(map(chr, range(0x21)))).translate({9: None, 10: None, 13: None})
