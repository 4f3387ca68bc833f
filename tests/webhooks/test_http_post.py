"""One POST to servers that misbehave."""

import datetime
import ipaddress
import socket
import ssl
import threading
import time
import tracemalloc
from contextlib import contextmanager

import pytest

from tracking.models.webhooks import Failure
from tracking.webhooks import http_post
from tracking.webhooks.http_post import MAX_EXCERPT, post

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("allow_this_host")]


def send(url, timeout=5.0, body=b'{"data":[]}'):
    headers = {"webhook-id": "m", "webhook-timestamp": "1", "webhook-signature": "v1,x"}
    return post(url, body, headers, timeout)


def test_accepted(receiver):
    answer = send(receiver.url("ok"))
    assert (answer.failure, answer.status) == (None, 204)


@pytest.mark.parametrize(
    ("path", "failure", "status"),
    [
        ("error", Failure.STATUS, 500),
        ("gone", Failure.GONE, 410),
        ("redirect", Failure.REDIRECT, 307),
        ("close", Failure.CONNECTION, None),
        ("garbage", Failure.CONNECTION, None),
        ("headers", Failure.CONNECTION, None),
    ],
)
def test_failures(receiver, path, failure, status):
    answer = send(receiver.url(path))
    assert (answer.failure, answer.status) == (failure, status)


def test_a_redirect_is_not_followed(receiver):
    before = len(receiver.received())
    send(receiver.url("redirect"))
    assert [one["path"] for one in receiver.received()[before:]] == ["/redirect"]


def test_what_it_asks_for_is_returned(receiver):
    assert send(receiver.url("busy")).retry_after == "3600"


def test_an_answer_is_one_line_without_control_characters(receiver):
    answer = send(receiver.url("error"))
    assert answer.excerpt.startswith("no  [31m<b>thanks</b>")
    assert answer.excerpt.isprintable()


@pytest.mark.parametrize("path", ["hang", "drip", "interim"])
def test_everything_together_has_a_time_limit(receiver, path):
    began = time.monotonic()
    answer = send(receiver.url(path), timeout=0.5)
    assert answer.failure == Failure.TIMEOUT
    assert time.monotonic() - began < 3


def test_of_a_huge_answer_the_beginning_is_read(receiver):
    tracemalloc.start()
    answer = send(receiver.url("huge"))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert answer.failure == Failure.STATUS
    assert len(answer.excerpt) <= MAX_EXCERPT
    assert peak < 1_000_000


def test_a_server_that_reads_nothing_has_the_same_limit():
    with socket.create_server(("127.0.0.1", 0)) as server:
        url = f"http://127.0.0.1:{server.getsockname()[1]}/"
        answer = send(url, timeout=0.5, body=b"x" * 30_000_000)
    assert answer.failure == Failure.TIMEOUT


def test_no_server():
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    assert send(f"http://127.0.0.1:{port}/").failure == Failure.CONNECTION


def test_an_unknown_host():
    answer = send("http://nobody.invalid/")
    assert answer.failure == Failure.CONNECTION
    assert answer.excerpt


def test_a_url_that_is_not_allowed(settings):
    settings.TRACKING_WEBHOOK_HTTP = False
    assert send("http://example.com/").failure == Failure.URL


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "2130706433", "0x7f.1", "[::1]"])
def test_however_a_private_address_is_written(receiver, settings, host):
    settings.TRACKING_WEBHOOK_NETWORKS = []
    before = len(receiver.received())
    answer = send(f"http://{host}:{receiver.port}/ok")
    assert answer.failure in {Failure.ADDRESS, Failure.CONNECTION}
    assert len(receiver.received()) == before


def test_a_name_is_looked_up_once(receiver, settings, monkeypatch):
    """A name that first has a public address and then a private one leads nowhere else."""
    settings.TRACKING_WEBHOOK_NETWORKS = []
    answers = [["192.0.2.1", "127.0.0.1"], ["127.0.0.1"]]
    asked = []

    def look_up(host, port, **_):
        asked.append(host)
        return [
            (socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port))
            for address in answers[len(asked) - 1]
        ]

    monkeypatch.setattr(http_post, "is_allowed", lambda address: address == "192.0.2.1")
    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    before = len(receiver.received())
    answer = send(f"http://rebinding.example:{receiver.port}/ok", timeout=1)
    assert answer.failure in {Failure.TIMEOUT, Failure.CONNECTION}
    assert asked == ["rebinding.example"]
    assert len(receiver.received()) == before


def test_the_next_address_is_tried(receiver, monkeypatch):
    closed = ("127.0.0.2", receiver.port)  # nobody listens there
    found = [
        (socket.AF_INET, socket.SOCK_STREAM, 6, "", address)
        for address in (closed, ("127.0.0.1", receiver.port))
    ]
    monkeypatch.setattr(http_post, "is_allowed", lambda _address: True)
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_args, **_options: found)
    assert send(f"http://two.example:{receiver.port}/ok").status == 204


# Encryption.


@pytest.fixture
def certificate(tmp_path):
    """The file of a certificate of 127.0.0.1, signed by itself, with its key."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "receiver")])
    address = x509.IPAddress(ipaddress.ip_address("127.0.0.1"))
    now = datetime.datetime.now(datetime.UTC)
    signed = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([address]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    file = tmp_path / "certificate.pem"
    plain = serialization.NoEncryption()
    pem = serialization.Encoding.PEM
    form = serialization.PrivateFormat.PKCS8
    file.write_bytes(signed.public_bytes(pem) + key.private_bytes(pem, form, plain))
    return file


@contextmanager
def encrypted_server(certificate):
    """A server that answers one request."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate)

    def serve(server):
        connection, _ = server.accept()
        try:
            with context.wrap_socket(connection, server_side=True) as encrypted:
                encrypted.recv(65_536)
                encrypted.sendall(b"HTTP/1.1 204 No Content\r\n\r\n")
        except OSError:
            connection.close()

    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=serve, args=[server])
        thread.start()
        yield server.getsockname()[1]
        thread.join()


def test_a_certificate_that_nobody_vouches_for(certificate):
    with encrypted_server(certificate) as port:
        answer = send(f"https://127.0.0.1:{port}/")
    assert answer.failure == Failure.CERTIFICATE


def test_a_certificate_that_is_trusted(certificate, monkeypatch):
    trusted = ssl.create_default_context(cafile=str(certificate))
    monkeypatch.setattr(http_post, "_tls", lambda: trusted)
    with encrypted_server(certificate) as port:
        assert send(f"https://127.0.0.1:{port}/").status == 204


def test_a_certificate_of_another_host(certificate, monkeypatch):
    trusted = ssl.create_default_context(cafile=str(certificate))
    monkeypatch.setattr(http_post, "_tls", lambda: trusted)
    with encrypted_server(certificate) as port:
        assert send(f"https://localhost:{port}/").failure == Failure.CERTIFICATE
