"""The expected answers. All variants of a group give the same one."""

#: The transparent pixel. ``tests/benchmarks/test_servers.py`` compares it with that of the app.
GIF = (
    b"GIF89a\x01\x00\x01\x00\x80\x00\x00\x00\x00\x00\xff\xff\xff"
    b"!\xf9\x04\x01\x00\x00\x00\x00"
    b",\x00\x00\x00\x00\x01\x00\x01\x00\x00\x02\x02D\x01\x00;"
)

#: The pixel of django-ptrack has its two colours in the other order.
PTRACK = GIF[:13] + b"\xff\xff\xff\x00\x00\x00" + GIF[19:]

PAGE = b"<!doctype html><title>Tea</title><p>First flush Darjeeling has come in."
GREETING = b"<!doctype html><title>Tea</title><p>Welcome back."

#: The secret of the tokens in the requests.
SECRET = "a secret that the tokens of the benchmarks are made with"
