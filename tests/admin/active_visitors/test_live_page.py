"""The page of active visitors and its JSON."""

import json
import re
from datetime import UTC, datetime, timedelta
from html import unescape

import pytest
from django.contrib.admin import AdminSite
from django.contrib.auth import get_user_model
from django.urls import include, path, reverse

from tests.site.models import Affiliate, Subscriber
from tracking.active_visitors import places
from tracking.admin import BeaconAdmin
from tracking.admin.active_visitors import live_page
from tracking.hits import Hit, Kind, PageHit, Reference
from tracking.models import Beacon, Visitor
from tracking.recording import write

pytestmark = pytest.mark.django_db

PAGE = "/admin/tracking/visitor/active/"
NASTY = "</script><script>alert('x')</script><img src=x onerror=alert(1)>"
AGENT = "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0"
BERLIN = {"country": "DE", "city": "Berlin", "latitude": 52.52, "longitude": 13.405}


@pytest.fixture(autouse=True)
def nobody_remembered():
    places.count_by_place.clear()


def seen(minutes_ago=1, visitor="anna", **values):
    values = {"url": "/tea/", "ip_address": "203.0.113.77", "user_agent": AGENT, **values}
    moment = datetime.now(UTC) - timedelta(minutes=minutes_ago)
    return PageHit(visitor=visitor, time=moment, **values)


def now(client, **query):
    places.count_by_place.clear()
    response = client.get(f"{PAGE}now/", query)
    assert response.status_code == 200
    assert "no-store" in response["Cache-Control"]
    return response.json()


def opened(client, visitor):
    response = client.get(f"{PAGE}{visitor.pk}/")
    assert response.status_code == 200
    return response.json()


def facts(answer):
    return {fact["name"]: fact["text"] for fact in answer["facts"]}


def test_the_page_is_in_the_admin_and_has_its_first_answer(admin_client):
    assert reverse("admin:tracking_visitor_active") == PAGE
    write([seen()])
    html = admin_client.get(PAGE).content.decode()
    for text in ('id="header"', 'class="breadcrumbs"', 'id="nav-sidebar"', "Active visitors"):
        assert text in html
    data = re.search(r'<script id="tracking-answer" type="application/json">(.*?)</script>', html)
    assert [one["page"] for one in json.loads(data[1])["visitors"]] == ["/tea/"]
    for place in ("/admin/tracking/visitor/", "/admin/tracking/"):
        assert f'href="{PAGE}"' in admin_client.get(place).content.decode()


def test_there_is_no_script_and_no_style_in_the_page(admin_client):
    write([seen(url=NASTY)])
    html = admin_client.get(PAGE).content.decode()
    scripts = re.findall(r"<script(?P<attributes>[^>]*)>", html)
    assert all("src=" in one or 'type="application/json"' in one for one in scripts)
    html = re.sub(r'(?s)(<script id="tracking-\w+" type="application/json">).*?</script>', "", html)
    assert not re.search(r"<style|\sstyle=|\son[a-z]+=", html)
    assert not re.search(r'(?:src|href)="(?:https?:)?//', html)


def test_a_visitor_in_the_list(admin_client):
    user = get_user_model().objects.create_user("anna.miller")
    campaign = {"source": "newsletter", "medium": "email", "campaign": "spring"}
    write([seen(5, campaign=campaign, referrer="https://search.example/q"), seen(1, url="/cart/")])
    write([seen(1, user=str(user.pk))])
    Visitor.objects.update(**BERLIN)
    answer = now(admin_client)
    [visitor] = answer["visitors"]
    assert visitor["place"] == "Berlin, Germany"
    assert visitor["seen"] == "3 pages in 4 min"
    assert visitor["origin"] == "via newsletter / email / spring"
    assert visitor["user"] == "anna.miller"
    assert visitor["label"] == ""
    assert (answer["people"], answer["machines"], answer["more"]) == ("1", "", "")
    assert [place["text"] for place in answer["places"]] == ["Berlin, Germany: 1 visitor"]
    write([seen(0, "ben", referrer="https://search.example/q"), seen(0, "cem")])
    origins = {one["origin"] for one in now(admin_client)["visitors"]}
    assert origins >= {"from search.example", "direct"}


def test_machines_are_counted_apart_and_labelled(admin_client):
    write([seen(), seen(1, "bot", user_agent="Googlebot/2.1 (+http://www.google.com/bot.html)")])
    answer = now(admin_client)
    assert (answer["people"], answer["machines"]) == ("1", "plus 1 machine")
    assert {one["label"] for one in answer["visitors"]} == {"", "Bot"}


def test_a_place_has_a_list_of_its_own(admin_client):
    write([seen(), seen(1, "ben", url="/ben/")])
    Visitor.objects.filter(key="anna").update(**BERLIN)
    answer = now(admin_client, place="at:525,134,1")
    assert [one["page"] for one in answer["visitors"]] == ["/tea/"]
    assert answer["chosen"] == {"key": "at:525,134,1", "name": "Berlin, Germany"}
    assert len(answer["places"]) == 2
    # Nobody is there any more, or never was.
    assert now(admin_client, place="at:0,0,1")["chosen"]["name"] == "This place"
    assert not now(admin_client, place="at:0,0,1")["is_empty"]
    assert now(admin_client, place="\0")["visitors"] == []


def test_a_long_list_is_cut_and_says_so(admin_client, monkeypatch):
    monkeypatch.setattr(live_page, "MAX_LISTED", 3)
    write([seen(1, f"visitor {n}") for n in range(5)])
    answer = now(admin_client)
    assert len(answer["visitors"]) == 3
    assert answer["more"] == "Showing the latest 3 of 5."


def test_neither_queries_nor_bytes_grow_with_the_visitors(
    admin_client, django_assert_num_queries, monkeypatch
):
    """Session and user; places, list, visits; users; and two savepoints."""
    user = get_user_model().objects.create_user("anna")
    long = "/" + "x" * 3_000
    monkeypatch.setattr(live_page, "MAX_LISTED", 20)
    for size in (20, 200):
        write(
            [
                seen(1, f"{size} {n}", url=long, referrer=long, user_agent=long, user=str(user.pk))
                for n in range(size)
            ]
        )
        for visitor in Visitor.objects.all():
            visitor.latitude, visitor.longitude = visitor.pk % 90, visitor.pk % 180
            visitor.save()
        monkeypatch.setattr(places, "MAX_PLACES", 20)
        now(admin_client)
        places.count_by_place.clear()
        with django_assert_num_queries(10):
            response = admin_client.get(f"{PAGE}now/")
        answer = response.json()
        assert len(answer["visitors"]) == 20
        assert len(answer["places"]) <= 20
        assert len(response.content) < 20 * 1_200 + 20 * 400


def test_without_permission_there_is_nothing(staff, client):
    write([seen(url="/secret/")])
    visitor = Visitor.objects.get()
    clerk = staff("view_visit", "view_beacon", "add_bannedip")
    for url in (PAGE, f"{PAGE}now/", f"{PAGE}{visitor.pk}/"):
        response = clerk.get(url)
        assert response.status_code == 403
        assert "/secret/" not in response.content.decode()
    assert PAGE not in clerk.get("/admin/tracking/").content.decode()
    client.logout()
    assert client.get(f"{PAGE}now/").status_code == 302


def test_what_must_not_be_seen_is_masked(staff):
    user = get_user_model().objects.create_user("anna.miller")
    write([seen(session_key="the-session-key", user=str(user.pk), visitor="the-visitor-key")])
    visitor = Visitor.objects.get()
    clerk = staff("view_visitor")
    answer = opened(clerk, visitor)
    assert facts(answer)["IP address"] == "203.0.113.0"
    assert answer["pages"] is answer["mails"] is None
    assert answer["bans"] == []
    for url in (PAGE, f"{PAGE}now/", f"{PAGE}{visitor.pk}/"):
        html = clerk.get(url).content.decode()
        for secret in ("203.0.113.77", "the-session-key", "the-visitor-key", "anna.miller"):
            assert secret not in html
    answer = opened(staff("add_bannedip"), visitor)
    assert "203.0.113.77" not in json.dumps(answer)
    address, network = answer["bans"]
    # How many come from one address would tell which one it is.
    assert "You need permission to view full IP addresses" in address["hits"]
    assert "1 current visitor" in network["hits"]


def test_a_visitor_opens(admin_client):
    subscriber = Subscriber.objects.create(email="anna@mail.example")
    affiliate = Affiliate.objects.create(name="Leaf Letter")
    write(
        [
            seen(9, campaign={"source": "newsletter"}, referrer="https://search.example/q"),
            seen(5, url="/two/"),
            Hit(
                kind=Kind.CLICK,
                visitor="anna",
                user_agent=AGENT,
                url="https://shop.example/tea",
                source=Reference.to(affiliate),
                entity=Reference.to(subscriber),
            ),
            seen(2, "ben", ip_address="203.0.113.78"),
        ]
    )
    anna = Visitor.objects.get(key="anna")
    answer = opened(admin_client, anna)
    assert [page["page"] for page in answer["pages"]] == ["/two/", "/tea/"]
    [mail] = answer["mails"]
    assert (mail["kind"], mail["source"]) == ("Click", str(affiliate))
    assert mail["entity"] == str(subscriber)
    assert admin_client.get(mail["url"]).status_code == 200
    assert facts(answer)["Came from"] == "https://search.example/q"
    assert facts(answer)["Campaign"] == "newsletter"
    assert facts(answer)["IP address"] == "203.0.113.77"
    assert [link["text"] for link in answer["links"]] == [
        "Visitor details",
        "Visit details",
    ]
    for link in answer["links"]:
        assert admin_client.get(link["url"]).status_code == 200
    address, network = answer["bans"]
    assert (address["text"], address["network"]) == ("Ban this address", "203.0.113.77")
    assert "1 current visitor" in address["hits"]
    assert (network["network"], network["objections"]) == ("203.0.113.0/24", [])
    assert "2 current visitors" in network["hits"]
    confirmation = unescape(admin_client.get(network["url"]).content.decode())
    assert "203.0.113.0/24" in confirmation
    assert "Will be banned" in confirmation


def test_banning_oneself_is_objected_to(admin_client):
    write([seen(ip_address="127.0.0.1")])
    offered = opened(admin_client, Visitor.objects.get())["bans"]
    assert len(offered) == 2
    for ban in offered:
        assert "this would lock you out" in " ".join(ban["objections"])
        assert ban["url"] is None


def test_what_is_banned_already_says_so(admin_client):
    from tracking import bans

    write([seen()])
    bans.ban("203.0.113.77")
    address, network = opened(admin_client, Visitor.objects.get())["bans"]
    assert address["objections"] == ["Already banned."]
    assert address["url"]
    assert network["objections"] == []


@pytest.mark.parametrize("pk", ["0", "999999", "9" * 30])
def test_a_visitor_that_is_gone(admin_client, pk):
    assert admin_client.get(f"{PAGE}{pk}/").status_code == 404


def test_what_strangers_send_stays_data(admin_client):
    hostile = {"url": NASTY, "referrer": NASTY, "user_agent": NASTY, "campaign": {"source": NASTY}}
    write([seen(**hostile)])
    Visitor.objects.update(city=NASTY[:100], country="DE", latitude=1, longitude=1)
    html = admin_client.get(PAGE).content.decode()
    assert "<img" not in html
    assert "<script>alert" not in html
    for url in (f"{PAGE}now/", f"{PAGE}{Visitor.objects.get().pk}/"):
        response = admin_client.get(url)
        assert response["Content-Type"] == "application/json"
        assert response["X-Content-Type-Options"] == "nosniff"


def test_a_missing_map_library_is_reported(admin_client, settings):
    html = admin_client.get(PAGE).content.decode()
    assert "pip install django-beacons[map]" in html
    assert "leaflet" not in html.replace("js_lib_leaflet", "")
    settings.INSTALLED_APPS = [*settings.INSTALLED_APPS, "js_lib_leaflet"]
    html = admin_client.get(PAGE).content.decode()
    assert "pip install" not in html
    assert "js_lib_leaflet/leaflet.js" in html
    assert 'data-tiles=""' in html


def test_tiles_are_a_setting(admin_client, settings):
    settings.INSTALLED_APPS = [*settings.INSTALLED_APPS, "js_lib_leaflet"]
    settings.TRACKING_MAP_TILES = "https://tiles.example/{z}/{x}/{y}.png"
    settings.TRACKING_MAP_ATTRIBUTION = "<b>Makers</b>, https://maps.example/"
    html = admin_client.get(PAGE).content.decode()
    assert 'data-tiles="https://tiles.example/{z}/{x}/{y}.png"' in html
    assert "&lt;b&gt;Makers" in html
    assert 'href="https://maps.example/"' in html


def test_an_empty_page_says_what_is_missing(admin_client, settings):
    answer = now(admin_client)
    assert answer["is_empty"]
    html = unescape(admin_client.get(PAGE).content.decode())
    assert "Nobody is on the site" in html
    assert 'MIDDLEWARE += ["tracking.middleware.VisitorTrackingMiddleware"]' in html
    assert "TRACKING_USE_GEOIP = True" in html


def test_the_template_is_a_setting_of_the_predecessor(admin_client, settings):
    """django-user-tracking: DEFAULT_TRACKING_TEMPLATE, else tracking/visitor_map.html."""
    assert "tracking/visitor_map.html" in [t.name for t in admin_client.get(PAGE).templates]
    loader = ("django.template.loaders.locmem.Loader", {"own.html": "Own: {{ answer.people }}"})
    own = {**settings.TEMPLATES[0], "APP_DIRS": False}
    own["OPTIONS"] = {**own["OPTIONS"], "loaders": [loader]}
    settings.TEMPLATES = [own]
    settings.DEFAULT_TRACKING_TEMPLATE = "own.html"
    assert admin_client.get(PAGE).content == b"Own: 0"


def test_the_url_of_the_predecessor_leads_to_the_map(admin_client, settings):
    """django-user-tracking: /tracking/map/, under the prefix that the site has chosen."""
    response = admin_client.get(reverse("tracking:map"))
    assert (response.status_code, response["Location"]) == (302, PAGE)
    settings.ROOT_URLCONF = (path("t/", include("tracking.urls")),)
    assert admin_client.get("/t/map/").status_code == 404


def test_the_url_of_the_predecessor_does_not_tell_strangers_where_the_admin_is(client, staff):
    assert client.get("/t/map/").status_code == 404
    assert staff("view_beacon").get("/t/map/").status_code == 404


def test_a_site_that_shows_no_visitors_in_its_admin_is_not_broken(admin_client, settings):
    site = AdminSite()
    site.register(Beacon, BeaconAdmin)
    settings.ROOT_URLCONF = (path("admin/", site.urls), path("t/", include("tracking.urls")))
    response = admin_client.get("/admin/tracking/")
    assert response.status_code == 200
    assert "Active visitors" not in response.content.decode()
