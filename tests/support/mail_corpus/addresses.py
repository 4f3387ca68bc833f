"""Addresses of all sorts, what providers fill in, and links to unsubscribe in many languages."""

# ruff: noqa: E501

from tests.support.mail_corpus.mail import Mail

OK = "https://shop.example/ok"
_OK = f'<a href="{OK}">Ok</a>'

ADDRESSES = [
    Mail(
        "Entities in addresses",
        """<a href="https://a.example/?a=1&amp;b=2&#38;c=3&#x26;d=4&e=5">1</a>
<a href="https://a.example/?x=1&copy=2&reg=3&notit=4&para;=5&lt=6">2</a>
<a href="https://a.example/&eacute;&#233;&#xE9;">3</a>
<a href="https&#58;&sol;&#47;a.example&colon;8080/">4</a>
<a href="https://a.example/?q=&quot;x&quot;&apos;&nbsp;&amp;amp;">5</a>""",
        (
            (
                "https://a.example/?a=1&amp;b=2&#38;c=3&#x26;d=4&e=5",
                "https://a.example/?a=1&b=2&c=3&d=4&e=5",
            ),
            (
                "https://a.example/?x=1&copy=2&reg=3&notit=4&para;=5&lt=6",
                "https://a.example/?x=1&copy=2&reg=3&notit=4\u00b6=5&lt=6",
            ),
            ("https://a.example/&eacute;&#233;&#xE9;", "https://a.example/\u00e9\u00e9\u00e9"),
            ("https&#58;&sol;&#47;a.example&colon;8080/", "https://a.example:8080/"),
            (
                "https://a.example/?q=&quot;x&quot;&apos;&nbsp;&amp;amp;",
                'https://a.example/?q="x"\'\u00a0&amp;',
            ),
        ),
    ),
    Mail(
        "Spaces and line breaks in addresses",
        """<a href=" https://a.example/1 ">1</a><a href="
https://a.example/
  long?b=2">2</a><a href="\thttps://a.example/\r\n3\t">3</a><a href="https://a.example/a b/c">4</a>""",
        (
            (" https://a.example/1 ", "https://a.example/1"),
            ("\nhttps://a.example/\n  long?b=2", "https://a.example/  long?b=2"),
            ("\thttps://a.example/\r\n3\t", "https://a.example/3"),
            "https://a.example/a b/c",
        ),
    ),
    Mail(
        "Domains in other scripts",
        """<a href="https://b\u00fccher.example/\u00fc?\u00e4=\u00f6#\u00df">1</a>
<a href="http://xn--bcher-kva.example/">2</a><a href="https://\u4f8b\u3048.example/\u9053">3</a>
<a href="https://\u043f\u0440\u0438\u043c\u0435\u0440.example/">4</a>""",
        (
            "https://b\u00fccher.example/\u00fc?\u00e4=\u00f6#\u00df",
            "http://xn--bcher-kva.example/",
            "https://\u4f8b\u3048.example/\u9053",
            "https://\u043f\u0440\u0438\u043c\u0435\u0440.example/",
        ),
    ),
    Mail(
        "Percent signs, plus signs and other bytes",
        """<a href="https://a.example/%C3%BC%20%2F%2f?q=a+b%2Bc&amp;d=100%25">1</a>
<a href="https://a.example/%E4?%fc=%FF">2</a><a href="https://a.example/a;b=c,d/(e)*!~'$@:">3</a>
<a href="https://a.example/?a[]=1&amp;a[x]=2|3^4`">4</a><a href="https://a.example?">5</a>
<a href="https://a.example#">6</a><a href="https://a.example/?#/route?x=1&amp;y">7</a>""",
        (
            (
                "https://a.example/%C3%BC%20%2F%2f?q=a+b%2Bc&amp;d=100%25",
                "https://a.example/%C3%BC%20%2F%2f?q=a+b%2Bc&d=100%25",
            ),
            "https://a.example/%E4?%fc=%FF",
            "https://a.example/a;b=c,d/(e)*!~'$@:",
            ("https://a.example/?a[]=1&amp;a[x]=2|3^4`", "https://a.example/?a[]=1&a[x]=2|3^4`"),
            "https://a.example?",
            "https://a.example#",
            ("https://a.example/?#/route?x=1&amp;y", "https://a.example/?#/route?x=1&y"),
        ),
    ),
    Mail(
        "Ports, addresses of machines, capital letters",
        """<a href="HTTPS://A.Example:443/B">1</a><a href="hTTp://203.0.113.7:8080/">2</a>
<a href="https://[2001:db8::1]/x">3</a><a href="https://a.example./">4</a>
<a href="https://a.example/../b/./c//d">5</a>""",
        (
            "HTTPS://A.Example:443/B",
            "hTTp://203.0.113.7:8080/",
            "https://[2001:db8::1]/x",
            "https://a.example./",
            "https://a.example/../b/./c//d",
        ),
    ),
    Mail(
        "Addresses in addresses",
        """<a href="https://a.example/r?to=https%3A%2F%2Fb.example%2F%3Fx%3D1">1</a>
<a href="https://a.example/r?to=https://b.example/?x=1&amp;y=2">2</a>
<a href="https://web.archive.example/2020/https://b.example/">3</a>""",
        (
            "https://a.example/r?to=https%3A%2F%2Fb.example%2F%3Fx%3D1",
            (
                "https://a.example/r?to=https://b.example/?x=1&amp;y=2",
                "https://a.example/r?to=https://b.example/?x=1&y=2",
            ),
            "https://web.archive.example/2020/https://b.example/",
        ),
    ),
    Mail(
        "Twice the same link, and one too long for a token",
        f'{_OK}<a href="https://a.example/?q={"x" * 30_000}">long</a>{_OK}',
        (OK, OK),
    ),
    Mail(
        "The address is shown, too",
        """<a href="https://a.example/x?y=1&amp;z=2">https://a.example/x?y=1&amp;z=2</a>
<p>https://a.example/x?y=1</p>""",
        (("https://a.example/x?y=1&amp;z=2", "https://a.example/x?y=1&z=2"),),
    ),
    Mail(
        "Right to left",
        """<html dir="rtl" lang="ar"><body style="direction:rtl"><p>\u0645\u0631\u062d\u0628\u0627 \
\u200f<a href="https://a.example/\u0634\u0627\u064a">\u0634\u0627\u064a</a>\u200e</p>
<bdo dir="rtl"><a href="https://a.example/\u05ea\u05d4">\u05ea\u05d4</a></bdo></body></html>""",
        ("https://a.example/\u0634\u0627\u064a", "https://a.example/\u05ea\u05d4"),
        "</body></html>",
    ),
    Mail(
        "One-click unsubscribing in the header",
        f'<a href="https://a.example/u?id=1&amp;h=2">here</a><a href="https://a.example/u">x</a>{_OK}',
        ("https://a.example/u", OK),
        headers=(
            ("List-Unsubscribe", "<mailto:u@a.example>, <https://a.example/u?id=1&h=2>"),
            ("List-Unsubscribe-Post", "List-Unsubscribe=One-Click"),
        ),
    ),
]

LEFTOVERS = [
    Mail(f"Filled in by {provider}", f'<a href="{address}">x</a>{_OK}', (OK,))
    for provider, address in {
        "Mailchimp": "https://a.example/?e=*|EMAIL|*",
        "SendGrid": "https://a.example/<%asm_group_unsubscribe_raw_url%>",
        "Mailgun": "https://a.example/%recipient.id%",
        "Handlebars": "https://a.example/{{ user.id }}",
        "Salesforce": "https://a.example/?s=%%subscriberkey%%",
        "ActiveCampaign": "https://a.example/?e=%EMAIL%&amp;n=%FIRSTNAME%",
        "Campaign Monitor": "https://a.example/?e=[email]",
        "Mailjet": "https://a.example/[[var:id]]",
        "AWeber": "https://a.example/{!id}",
        "Keap": "https://a.example/?c=~Contact.Id~",
        "Responsys": "https://a.example/$(ID)",
        "Braze": "https://a.example/{{${user_id}}}",
        "Django": "https://a.example/{% url 'x' %}",
        "an encoded template": "https://a.example/%7B%7B%20id%20%7D%7D",
        "Sailthru": "https://a.example/{id}",
    }.items()
]

#: In the texts, no address says what it is for.
UNSUBSCRIBE = [
    Mail(f"Unsubscribe: {language}", f'<a href="https://a.example/x1">{text}</a>{_OK}', (OK,))
    for language, text in {
        "English": "UNSUBSCRIBE", "English, two words": "Opt out of these mails",
        "German": "Newsletter abbestellen", "German, too": "Hier <b>abmelden</b>",
        "French": "Se d&eacute;sabonner", "French, too": "Se d\u00e9sinscrire",
        "French, decomposed": "Se de\u0301sabonner",
        "Spanish": "Darme de baja", "Spanish, too": "Cancelar\nsuscripci&oacute;n",
        "Portuguese": "Cancelar a inscri\u00e7\u00e3o", "Italian": "Annulla l'iscrizione",
        "Dutch": "Afmelden", "Swedish": "Avregistrera mig", "Norwegian": "Meld deg av",
        "Danish": "Framelding", "Finnish": "Peruuta tilaus", "Polish": "Wypisz si\u0119",
        "Czech": "Odhl\u00e1sit odb\u011br", "Hungarian": "Leiratkoz\u00e1s",
        "Croatian": "Odjava", "Romanian": "Dezabonare",
        "Russian": "\u041e\u0442\u043f\u0438\u0441\u0430\u0442\u044c\u0441\u044f",
        "Ukrainian": "\u0412\u0456\u0434\u043f\u0438\u0441\u0430\u0442\u0438\u0441\u044f",
        "Greek": "\u0394\u03b9\u03b1\u03b3\u03c1\u03b1\u03c6\u03ae",
        "Turkish": "Abonelikten \u00e7\u0131k",
        "Arabic": "\u0625\u0644\u063a\u0627\u0621 \u0627\u0644\u0627\u0634\u062a\u0631\u0627\u0643",
        "Hebrew": "\u05d4\u05e1\u05e8\u05d4", "Japanese": "\u914d\u4fe1\u505c\u6b62",
        "Chinese": "\u9000\u8ba2", "Chinese, traditional": "\u53d6\u6d88\u8a02\u95b1",
        "Korean": "\uc218\uc2e0\uac70\ubd80", "an image": '<img src="x.png" alt="Unsubscribe">',
        "soft hyphens": "Abbe&shy;stellen", "split by tags": "<b>U</b>nsubscribe",
        "much markup": f'<span style="{"color:#000;" * 100}">Unsubscribe</span>',
    }.items()
]  # fmt: skip
