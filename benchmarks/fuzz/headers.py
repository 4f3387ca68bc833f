"""The headers that the app, Django or servers read, and what strangers write into them."""

from collections.abc import Callable
from random import Random

from benchmarks.fuzz import inputs
from benchmarks.fuzz.inputs import pick

Headers = list[tuple[bytes, bytes]]

Value = Callable[[Random], bytes]

#: Headers that the app, Django or the servers read, and their values.
HEADERS: dict[str, Value] = {
    "User-Agent": inputs.agent,
    "Referer": inputs.referrer,
    "Cookie": inputs.cookies,
    "X-Forwarded-For": inputs.forwarded,
    "Forwarded": inputs.forwarded_elements,
    "X-Real-IP": inputs.forwarded,
    "CF-Connecting-IP": inputs.forwarded,
    "CF-Connecting-IPv6": inputs.forwarded,
    "CF-IPCountry": inputs.text,
    "True-Client-IP": inputs.forwarded,
    "CloudFront-Viewer-Address": inputs.forwarded,
    "Accept-Language": inputs.language,
    "Host": inputs.host,
    "DNT": inputs.text,
    "Sec-GPC": inputs.text,
    "Sec-Purpose": lambda random: pick(random, (b"prefetch;prerender", inputs.text(random))),
    "Purpose": inputs.text,
    "X-Purpose": lambda random: pick(random, (b"preview", inputs.text(random))),
    "X-Moz": inputs.text,
    "X-Requested-With": lambda random: pick(random, (b"XMLHttpRequest", inputs.text(random))),
    "Sec-Fetch-Mode": lambda random: pick(random, (b"cors", b"navigate", inputs.text(random))),
    "Sec-Fetch-Dest": lambda random: pick(random, (b"iframe", b"image", inputs.text(random))),
    "Accept": inputs.text,
    "Accept-Encoding": inputs.text,
    "Range": lambda random: b"bytes=" + inputs.text(random),
    "If-Range": inputs.text,
    "If-None-Match": lambda random: pick(random, (b"*", b'W/"', inputs.text(random))),
    "If-Modified-Since": lambda random: pick(
        random,
        (b"Thu, 99 Foo 0000 25:61:61 GMT", b"Thu, 01 Jan 99999 00:00:00", inputs.text(random)),
    ),
    "Authorization": inputs.text,
    "Content-Type": lambda random: pick(
        random, (b"text/html; charset=" + inputs.text(random), b"multipart/form-data; boundary=")
    ),
    "X-Forwarded-Host": inputs.host,
    "X-Forwarded-Proto": inputs.text,
    "X-Forwarded-Port": inputs.text,
    "X-HTTP-Method-Override": inputs.text,
    "X_Forwarded_For": inputs.forwarded,
    "X-Script-Name": inputs.text,
    "Origin": inputs.referrer,
    "Via": inputs.text,
    "X-" + "a" * 200: inputs.text,
}
