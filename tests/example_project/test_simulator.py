"""The simulated visitors of the example shop."""

import csv
import signal
import socket
import subprocess
import sys
import time
from contextlib import closing
from datetime import UTC, datetime, timedelta

import maxminddb
import pytest

from tests.support.shop import EXAMPLE, Shop

pytestmark = pytest.mark.slow


VISITORS = 60

MANAGE = "import manage; manage.main()"
WITHOUT_WRITER = "import sys; sys.modules['mmdb_writer'] = None; "
#: A shell that starts the tests in the background has switched it off.
CTRL_C_WORKS = "from signal import *; signal(SIGINT, default_int_handler); "


def time_of(text):
    """Return a time as SQLite keeps it."""
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.fixture(scope="module")
def shop(tmp_path_factory):
    """A shop that somebody has just looked at, and where a day was simulated after that."""
    shop = Shop(tmp_path_factory.mktemp("day"))
    shop.manage("demo", "--no-server")
    with shop.served_by("manage.py", "runserver", "--noreload", f"127.0.0.1:{shop.port}"):
        shop.ask("GET", "/", {"User-Agent": "me"})
        shop.before = shop.rows("SELECT * FROM tracking_visitor")
        shop.output = shop.manage(
            "simulate_visitors", f"--visitors={VISITORS}", f"--port={shop.port}"
        )
        yield shop


def test_it_says_what_was_simulated(shop):
    assert shop.output.startswith(f"Simulated {VISITORS} visitors with ")
    assert "over the last 24 hours" in shop.output
    assert len(shop.output.splitlines()) == 1  # no progress in a file


def test_visitors_are_from_many_countries_and_have_many_browsers(shop):
    places = shop.rows("SELECT DISTINCT country, city FROM tracking_visitor WHERE country <> ''")
    assert len({country for country, _ in places}) >= 8
    assert len({city for _, city in places}) >= 8
    devices = shop.rows("SELECT DISTINCT device FROM tracking_visitor WHERE verdict = 'human'")
    assert {device for (device,) in devices} >= {"desktop", "mobile"}


def test_all_verdicts_occur(shop):
    of_mail = shop.rows("SELECT DISTINCT verdict FROM tracking_beacon WHERE kind <> 'sent'")
    of_pages = shop.rows("SELECT DISTINCT verdict FROM tracking_visitor")
    assert {verdict for (verdict,) in of_mail} == {"human", "proxy", "prefetch"}
    assert {verdict for (verdict,) in of_pages} == {"human", "bot"}


def test_visits_come_from_searches_campaigns_mail_and_affiliates(shop):
    visits = shop.rows("SELECT referrer, source, medium, campaign FROM tracking_visit")
    referrers = {referrer for referrer, *_ in visits}
    assert "https://www.google.com/" in referrers
    assert any("teas-of-spring" in referrer for referrer in referrers)
    campaigns = {tuple(campaign) for _, *campaign in visits if any(campaign)}
    assert {(medium, campaign) for _, medium, campaign in campaigns} == {
        ("social", "tea-season"),
        ("email", "spring-letter"),
    }
    assert shop.rows(
        """
        SELECT count(*) > 0 FROM tracking_beacon AS beacon
        JOIN tracking_visit AS visit ON visit.visitor_id = beacon.visitor_id
        WHERE beacon.kind = 'click' AND beacon.entity_id IS NOT NULL
            AND beacon.time = visit.started_at
        """
    ) == [(1,)]


def test_the_day_is_the_one_before_now(shop):
    now = datetime.now(UTC)
    rows = shop.rows(
        """
        SELECT time FROM tracking_beacon WHERE kind <> 'sent'
        UNION ALL SELECT page.time FROM tracking_pageview AS page
            JOIN tracking_visit AS visit ON visit.id = page.visit_id
            WHERE visit.ip_address <> '127.0.0.1'
        """
    )
    times = sorted(time_of(time) for (time,) in rows)
    assert now - timedelta(hours=25) < times[0] < now - timedelta(hours=12)
    assert times[-1] <= now
    assert len({time.hour for time in times}) >= 12


def test_visits_and_visitors_are_as_long_as_their_pages_say(shop):
    visits = shop.rows(
        """
        SELECT visit.started_at, visit.ended_at, visit.page_views,
            min(page.time), max(page.time), count(*)
        FROM tracking_visit AS visit JOIN tracking_pageview AS page ON page.visit_id = visit.id
        GROUP BY visit.id
        """
    )
    assert len(visits) == shop.rows("SELECT count(*) FROM tracking_visit")[0][0]
    for *said, in_fact_from, in_fact_to, in_fact in visits:
        assert said == [in_fact_from, in_fact_to, in_fact]
    assert any(first != last for first, last, *_ in visits)
    visitors = shop.rows(
        """
        SELECT visitor.session_start, visitor.last_update, visitor.page_views,
            (SELECT max(started_at) FROM tracking_visit WHERE visitor_id = visitor.key),
            (SELECT max(ended_at) FROM tracking_visit WHERE visitor_id = visitor.key),
            (SELECT sum(page_views) FROM tracking_visit WHERE visitor_id = visitor.key)
        FROM tracking_visitor AS visitor
        """
    )
    for since, last, pages, *in_fact in visitors:
        assert [since, last, pages] == in_fact


def test_some_come_again_and_it_is_another_visit_hours_later(shop):
    again = shop.rows(
        """
        SELECT max(started_at), min(ended_at) FROM tracking_visit
        GROUP BY visitor_id HAVING count(*) = 2
        """
    )
    assert again
    for second, first in again:
        assert time_of(second) - time_of(first) > timedelta(minutes=30)


def test_who_was_there_before_stays_where_it_was(shop):
    assert shop.before
    assert set(shop.before) <= set(shop.rows("SELECT * FROM tracking_visitor"))


def test_a_day_needs_no_server_but_a_campaign(tmp_path):
    shop = Shop(tmp_path)
    shop.manage("migrate", "--verbosity=0")
    with pytest.raises(subprocess.CalledProcessError) as error:
        shop.manage("simulate_visitors", "--visitors=20")
    assert "There is no mail yet. Run send_campaign first." in error.value.stderr
    shop.manage("demo", "--no-server")
    assert shop.manage("simulate_visitors", "--visitors=20").startswith("Simulated 20 visitors")
    pages = shop.rows("SELECT count(*) FROM tracking_pageview")
    assert pages > [(20,)]
    # Live, two seconds are enough for the first to come.
    shop.manage("simulate_visitors", "--live", "--minutes=0.03")
    assert shop.rows("SELECT count(*) FROM tracking_pageview") > pages


@pytest.fixture
def demo(tmp_path):
    """Return a function that starts ``make demo``; all of them are ended."""
    shop = Shop(tmp_path)
    running = []

    def start():
        process = subprocess.Popen(
            [sys.executable, "-c", CTRL_C_WORKS + MANAGE, "demo", "--visitors=20"],
            cwd=EXAMPLE,
            env=shop.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        running.append(process)
        shop._wait(process, seconds=120)  # it writes a history first
        return process

    start.shop = shop
    yield start
    for process in running:
        process.kill()
        process.wait()
        process.stdout.close()


def test_the_demo_has_a_history_is_alive_and_ends_with_ctrl_c(demo):
    process, shop = demo(), demo.shop
    the_past_is_plausible(shop)
    day = shop.rows("SELECT count(*) FROM tracking_visit")
    deadline = time.monotonic() + 10
    while shop.rows("SELECT count(*) FROM tracking_visit") < [(day[0][0] + 3,)]:
        assert time.monotonic() < deadline, "nobody comes"
        time.sleep(0.1)
    first = end(process)
    assert "Writing two months of history" in first
    assert "Simulating a day with 20 visitors" in first
    assert f"Live      {shop.url}/live/" in first
    # The console shows no simulated requests.
    assert "Campaign" not in first
    assert first.count('"GET ') <= 1

    again = end(demo())
    assert "Simulating" not in again
    assert "Writing" not in again


def the_past_is_plausible(shop):
    now = datetime.now(UTC)
    days = dict(shop.rows("SELECT date(started_at), count(*) FROM tracking_visit GROUP BY 1"))
    assert len(days) >= 61
    full = sorted(days)[1:-2]
    assert all(30 <= days[day] <= 150 for day in full)
    assert len({days[day] for day in full}) > 10  # no flat line
    assert shop.rows("SELECT max(started_at) FROM tracking_visit")[0][0] <= str(now)
    # Nothing happens to a message before it is sent.
    assert shop.rows(
        """
        SELECT count(*) FROM tracking_beacon AS beacon JOIN tracking_beacon AS sent
            ON sent.kind = 'sent' AND sent.source_type_id = beacon.source_type_id
                AND sent.source_id = beacon.source_id AND sent.entity_id = beacon.entity_id
        WHERE beacon.time < sent.time
        """
    ) == [(0,)]
    mailings = shop.rows(
        """
        SELECT source_id, count(DISTINCT CASE WHEN kind = 'sent' THEN entity_id END),
            count(DISTINCT CASE WHEN kind = 'open' AND verdict IN ('human', 'proxy')
                THEN entity_id END),
            count(DISTINCT CASE WHEN kind = 'click' AND verdict = 'human' THEN entity_id END),
            sum(kind = 'bounced'), sum(kind = 'event')
        FROM tracking_beacon JOIN django_content_type AS type
            ON type.id = source_type_id AND type.model = 'source'
        GROUP BY source_id
        """
    )
    assert [sent for _, sent, *_ in mailings] == [150, 150, 300, 300, 300]
    for _, sent, opened, clicked, bounced, bought in mailings:
        assert 0.15 * sent < opened < 0.6 * sent
        assert 0 < clicked < opened
        assert bounced < 0.1 * sent
        assert 0 < bought <= clicked
    gateways = shop.rows(
        "SELECT count(*) FROM tracking_beacon WHERE kind = 'click' AND verdict <> 'human'"
    )
    assert gateways > [(50,)]


def test_a_port_in_use_is_told_before_anything_is_made(demo):
    shop = demo.shop
    with closing(socket.socket()) as other:
        other.bind(("127.0.0.1", shop.port))
        other.listen()
        run = subprocess.run(
            [sys.executable, "manage.py", "demo"],
            cwd=EXAMPLE,
            env=shop.environment,
            capture_output=True,
            text=True,
            check=False,
        )
    assert run.returncode == 1
    assert run.stderr == (
        f"CommandError: Port {shop.port} is in use. "
        f"Choose another one: PORT={shop.port + 1} make demo\n"
    )
    assert not shop.database.exists()


def end(process):
    """Press Ctrl+C, and return what the process has said."""
    process.send_signal(signal.SIGINT)
    output, _ = process.communicate(timeout=5)
    assert process.returncode == 0
    assert "Traceback" not in output
    return output


# --- Places ------------------------------------------------------------------------------


def places():
    with (EXAMPLE / "shop" / "data" / "places.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) > 10
    return rows


def test_every_network_of_the_file_is_in_the_database(shop):
    with maxminddb.open_database(shop.environment["EXAMPLE_PLACES"]) as database:
        for place in places():
            record, length = database.get_with_prefix_len(place["network"].partition("/")[0])
            assert record["country"]["iso_code"] == place["country"]
            assert record["city"]["names"]["en"] == place["city"]
            assert record["location"]["latitude"] == pytest.approx(float(place["latitude"]))
            assert record["location"]["longitude"] == pytest.approx(float(place["longitude"]))
            assert length >= int(place["network"].partition("/")[2])


def test_the_networks_are_those_of_documents(shop):
    of_documents = ("192.0.2.", "198.51.100.", "203.0.113.", "2001:db8:")
    assert all(place["network"].startswith(of_documents) for place in places())
    assert len({place["city"] for place in places()}) >= 25


def test_the_demo_goes_on_without_mmdb_writer(tmp_path):
    shop = Shop(tmp_path)
    run = subprocess.run(
        [sys.executable, "-c", WITHOUT_WRITER + MANAGE, "demo", "--no-server"],
        cwd=EXAMPLE,
        env=shop.environment,
        capture_output=True,
        text=True,
        check=True,
    )
    assert "mmdb-writer is not installed: the demo shows no places." in run.stderr
    assert "300 messages" in run.stdout
