"""The pages that import and export bans."""

import gzip
from html import unescape

import pytest
from django.contrib.admin.models import LogEntry
from django.core.files.uploadedfile import SimpleUploadedFile

from tests.support.admin_pages import BANS, text_of
from tracking import bans
from tracking.admin.bans import import_export_pages
from tracking.models import BannedIP, Visitor

pytestmark = pytest.mark.django_db


def visitor(address):
    return Visitor.objects.create(ip_address=address)


def test_an_import_is_shown_before_it_is_done(admin_client):
    bans.ban("192.0.2.7")
    visitor("192.0.2.8")
    text = "192.0.2.7\n192.0.2.8,scrapes\n<b>rubbish\n127.0.0.1\n"
    assert text_of(admin_client.get(f"{BANS}import/"))
    file = SimpleUploadedFile("list.csv", text.encode())
    html = admin_client.post(f"{BANS}import/", {"file": file}).content.decode()
    for expected in (
        "1 network will be banned.",
        "1 is already banned. It keeps its reason",
        "Affects 1 current visitor.",
        "1 line cannot be read",
        "&lt;b&gt;rubbish",
        "this would lock you out",
    ):
        assert expected in html
    assert BannedIP.objects.count() == 1
    hidden = unescape(html.split('name="text" value="')[1].split('"')[0])
    admin_client.post(f"{BANS}import/", {"text": hidden, "confirmed": "Ban"})
    assert set(BannedIP.objects.values_list("network", "reason")) == {
        ("192.0.2.7", ""),
        ("192.0.2.8", "scrapes"),
    }


@pytest.mark.parametrize(
    "content", [b"", b"\xff\xfe", b"x" * (import_export_pages.MAX_IMPORT + 1), b"  \n "]
)
def test_what_is_no_list_is_refused(admin_client, content):
    file = SimpleUploadedFile("list.csv", content)
    assert "errorlist" in text_of(admin_client.post(f"{BANS}import/", {"file": file}))


def test_hostile_lists_are_shown_as_what_they_are(admin_client):
    for data in (
        {"text": "192.0.2.7\0"},
        {"text": "x" * (import_export_pages.MAX_IMPORT + 1)},
        {"file": SimpleUploadedFile("list.csv", b"192.0.2.7\0\n'" + b'"' * 5_000)},
    ):
        text_of(admin_client.post(f"{BANS}import/", data))
    assert not BannedIP.objects.exists()


def test_an_import_does_not_reveal_single_addresses(staff):
    bans.ban("192.0.2.7")
    visitor("192.0.2.7")
    html = text_of(staff("add_bannedip").post(f"{BANS}import/", {"text": "192.0.2.7"}))
    assert "1 network will be banned." in html
    assert "already" not in html
    assert "Affects 0 current visitors." in html


def test_what_is_exported_can_be_imported(admin_client):
    bans.ban("192.0.2.7", "=1+1")
    response = admin_client.get(f"{BANS}export/")
    assert response["Content-Disposition"] == 'attachment; filename="bans.csv"'
    text = b"".join(response.streaming_content).decode()
    assert "'=1+1" in text
    BannedIP.objects.all().delete()
    admin_client.post(f"{BANS}import/", {"text": text, "confirmed": "Ban"})
    assert BannedIP.objects.get().reason == "=1+1"


def take_in(client, text, **values):
    return text_of(
        client.post(f"{BANS}import/", {"text": text, "confirmed": "Ban", **values}, follow=True)
    )


def test_an_import_is_one_line_of_the_log(admin_client):
    bans.ban("192.0.2.7")
    take_in(admin_client, "192.0.2.7\n192.0.2.8\nrubbish")
    [line] = LogEntry.objects.all()
    assert line.object_repr == "2 imported networks"
    assert line.get_change_message() == "Added."
    assert "2 imported networks" in text_of(admin_client.get("/admin/"))
    take_in(admin_client, "rubbish")
    assert LogEntry.objects.count() == 1


def test_the_preview_lists_what_will_be_banned(admin_client):
    bans.ban("192.0.2.7")
    text = "192.0.2.7\n203.0.113.5;Scrapes <b>;01.01.2090\n198.51.100.*\n"
    html = text_of(admin_client.post(f"{BANS}import/", {"text": text}))
    assert "2 new bans" in html
    table = html.split("2 new bans")[1].split("</table>")[0]
    assert "203.0.113.5" in table
    assert "Scrapes <b>" in table
    assert "2090" in table
    assert "198.51.100.0/24" in table
    assert "never" in table
    assert "192.0.2.7" not in table


def test_a_long_preview_says_that_it_is_cut(admin_client):
    text = "\n".join(f"192.0.2.{number}" for number in range(30))
    html = text_of(admin_client.post(f"{BANS}import/", {"text": text}))
    assert "The first 20 are shown." in html


def test_sixteen_networks_of_a_list_do_not_ban_everybody(admin_client):
    networks = [f"{number}.0.0.0/4" for number in range(0, 256, 16) if number != 112]
    data = {"text": "\n".join([*networks, "112.0.0.0/5", "120.0.0.0/6", "124.0.0.0/7"])}
    for values in (data, {**data, "confirmed": "Ban"}):
        html = text_of(admin_client.post(f"{BANS}import/", values))
        assert "of 0.0.0.0/0" in html
        assert 'name="confirmed"' not in html
        assert "will be banned." not in html
    assert not BannedIP.objects.exists()


@pytest.mark.parametrize("encoding", ["utf-16", "latin-1"])
def test_a_compressed_list_of_german_excel_is_shown(admin_client, encoding):
    text = "Netz;Grund;Ablauf\r\n203.0.113.5;Müßig;31.12.2090\r\n"
    file = SimpleUploadedFile("liste.csv.gz", gzip.compress(text.encode(encoding)))
    html = text_of(admin_client.post(f"{BANS}import/", {"file": file}))
    assert "Müßig" in html
    assert "2090" in html


def test_what_cannot_be_read_names_the_forms_that_can(admin_client):
    picture = SimpleUploadedFile("list.png", b"\x89PNG\r\n\x1a\n\0\0\xff")
    bomb = SimpleUploadedFile("list.gz", gzip.compress(bytes(10_000_000)))
    for data in ({"text": "rubbish"}, {"file": picture}, {"file": bomb}):
        assert "nginx" in text_of(admin_client.post(f"{BANS}import/", data))
