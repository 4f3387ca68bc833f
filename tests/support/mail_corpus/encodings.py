"""Mails in charsets and transfer encodings other than UTF-8, and huge ones."""

# ruff: noqa: E501

from email.charset import BASE64, QP, Charset

from tests.support.mail_corpus.mail import Mail


def _charset(name: str, body_encoding: int) -> Charset:
    charset = Charset(name)
    charset.body_encoding = body_encoding
    return charset


LINK = "https://a.example/?q=1"
#: Addresses that fold at each place of a line of quoted-printable.
FOLDED = [f"https://a.example/{'x' * length}?a=1&b=2={length}" for length in range(40, 80)]

ENCODINGS = [
    Mail("Latin-1", f'<p>Gr\u00fc\u00dfe \u00bb<a href="{LINK}">T\u00e9</a>\u00ab</p></body>', (LINK,), "</body>",
         encoding="iso-8859-1"),
    Mail("Windows-1252", f'<p>\u201eTee\u201c \u2013 5 \u20ac <a href="{LINK}">x</a></p>', (LINK,),
         encoding="windows-1252"),
    Mail("ISO-2022-JP", f'<p>\u304a\u8336 <a href="{LINK}">\u30ab\u30bf\u30ab\u30ca</a> \u6f22\u5b57</p>', (LINK,),
         encoding="iso-2022-jp"),
    Mail("Shift JIS", f'<p>\u8868\u793a\u30bd <a href="{LINK}">\u80fd</a></p>', (LINK,), encoding="shift_jis"),
    Mail("GB 2312", f'<p>\u8336 <a href="{LINK}">\u8336</a></p>', (LINK,), encoding="gb2312"),
    Mail("KOI8-R", f'<p>\u0427\u0430\u0439 <a href="{LINK}">\u0447\u0430\u0439</a></p>', (LINK,), encoding="koi8-r"),
    Mail("US-ASCII", f'<p>Tea <a href="{LINK}">tea</a></p>', (LINK,), encoding="us-ascii"),
    Mail("Quoted-printable, folded at 76",
         "<p>=3D = =\n</p>" + "\n".join(
             f'<a href="{url.replace("&", "&amp;")}">{number}</a>' for number, url in enumerate(FOLDED)),
         tuple((url.replace("&", "&amp;"), url) for url in FOLDED),
         encoding=_charset("utf-8", QP)),
    Mail("Base64", f'<p>Gr\u00fc\u00dfe <a href="{LINK}">x</a>{" " * 200}</p>', (LINK,),
         encoding=_charset("utf-8", BASE64)),
    Mail("One long line", f'<p>{"Tee " * 3_000}<a href="{LINK}">x</a></p>', (LINK,)),
    Mail("Lines that begin with a dot", f'<p>\n.\n..\n.<a href="{LINK}">x</a>\n.\n</p>\nFrom x\n', (LINK,)),
]  # fmt: skip

HUGE = [
    Mail("Huge: 3 MB of text",
         f'<a href="{LINK}">1</a>' + "<p>" + "Tee &amp; Kaffee. " * 200_000 + f'</p><a href="{LINK}">2</a>',
         (LINK, LINK)),
    Mail("Huge: 5,000 links",
         "".join(f'<td><a href="https://a.example/{number}?a=1&amp;b=2">x</a></td>\n' for number in range(5_000)),
         tuple((f"https://a.example/{number}?a=1&amp;b=2", f"https://a.example/{number}?a=1&b=2")
               for number in range(5_000))),
    Mail("Huge: tables in tables", "<table><tr><td>" * 3_000 + f'<a href="{LINK}">x</a>', (LINK,)),
    Mail("Huge: less-than signs", "<" * 300_000 + f'<a href="{LINK}">x</a>', (LINK,)),
    Mail("Huge: a style sheet", f"<style>{'a{color:red}' * 50_000}</style><a href={LINK}>x</a>", (LINK,)),
    Mail("Huge: comments", "<!-- x -->" * 10_000 + "<!--[if mso]>x<![endif]-->" * 2_000
         + f'<a href="{LINK}">x</a>', (LINK,)),
    Mail("Huge: shapes without end",
         "<v:rect href=https://a.example/>" * 5_000, ("https://a.example/",) * 5_000),
    Mail("Huge: an address of accents",
         '<a href="https://a.example/e' + "\u0301\u0327" * 100_000 + f'">x</a><a href="{LINK}">x</a>',
         (LINK,)),
    Mail("Huge: one tag of many attributes", "<p " + "a=b " * 100_000 + f'><a href="{LINK}">x</a>', (LINK,)),
]  # fmt: skip
