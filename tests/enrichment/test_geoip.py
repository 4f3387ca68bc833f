import gc
import logging
import os
import sys
import threading
from pathlib import Path
from unittest import mock

import maxminddb
import pytest
from django.core.checks import run_checks
from django.utils import translation
from hypothesis import given
from hypothesis import strategies as st

from tests.support.geoip_databases import BERLIN, SYDNEY, build
from tracking.enrichment import country_names, geoip
from tracking.enrichment.country_names import country_name
from tracking.enrichment.geoip import database_problem, locate
from tracking.enrichment.geoip_records import Location, location_from

ADDRESS, OTHER = "192.0.2.7", "2001:db8::7"

IN_SYDNEY = Location("AU", "New South Wales", "Sydney", -33.8688, 151.2093)
IN_BERLIN = Location("DE", "State of Berlin", "Berlin", 52.52, 13.405)


@pytest.fixture(autouse=True)
def places(settings, tmp_path, monkeypatch):
    """The database of the test, looked at before every look-up."""
    monkeypatch.setattr(geoip, "CHECK_INTERVAL", 0)
    settings.TRACKING_USE_GEOIP = True
    settings.GEOIP_PATH = tmp_path / "places.mmdb"
    return settings.GEOIP_PATH


def told(caplog):
    return [
        record.getMessage()
        for record in caplog.records
        if record.name == "tracking.enrichment.geoip"
    ]


# --- Addresses


def test_addresses_are_located(places):
    build(places)
    assert locate(ADDRESS) == IN_SYDNEY
    assert locate(OTHER) == IN_BERLIN
    assert locate(f"::ffff:{ADDRESS}") == IN_SYDNEY
    assert database_problem() is None


@pytest.mark.parametrize(
    "address",
    [None, "", "rubbish", "192.0.2", "192.0.2.7:80", "[2001:db8::7]", "\0", "\ud800", 5, "0.0.0.0",
     "127.0.0.1", "10.0.0.1", "198.51.100.7", "::", "::1", "fe80::1%eth0", "2001:db9::7"],
)  # fmt: skip
def test_what_is_nowhere_is_none(places, address):
    build(places)
    assert locate(address) is None


def test_a_masked_address_is_where_its_network_begins(places):
    build(places)
    assert locate("192.0.2.0") == IN_SYDNEY


@given(st.text(max_size=60))
def test_no_text_breaks_a_look_up(text):
    assert locate(text) is None


@pytest.mark.parametrize("cache_type", [0, 1, 2, 4])
def test_every_cache_type_of_the_predecessor_reads_fast(settings, places, cache_type):
    """MODE_MEMORY silently selects the slow pure-Python reader."""
    settings.GEOIP_CACHE_TYPE = cache_type
    build(places)
    assert locate(ADDRESS) == IN_SYDNEY
    assert type(geoip._database()._reader) is type(maxminddb.open_database(places))


@pytest.mark.skipif(not hasattr(os, "memfd_create"), reason="only Linux copies files to memory")
@pytest.mark.parametrize(
    ("cache_type", "in_memory"), [(0, False), (1, True), (2, False), (4, False)]
)
def test_cache_type_1_loads_the_file_into_memory(settings, places, cache_type, in_memory):
    settings.GEOIP_CACHE_TYPE = cache_type
    build(places)
    assert locate(ADDRESS) == IN_SYDNEY
    mapped = Path("/proc/self/maps").read_text()
    assert ("memfd:tracking-geoip" in mapped) is in_memory
    assert (str(places) in mapped) is not in_memory


@pytest.mark.skipif(not hasattr(os, "memfd_create"), reason="only Linux copies files to memory")
def test_a_database_in_memory_survives_overwriting_and_is_replaced(settings, places):
    """A mapped file that is truncated would kill the process (SIGBUS)."""
    settings.GEOIP_CACHE_TYPE = 1
    build(places)
    assert locate(ADDRESS) == IN_SYDNEY
    places.write_bytes(b"")
    assert locate(ADDRESS) == IN_SYDNEY
    build(places, {"192.0.2.0/24": BERLIN})
    assert locate(ADDRESS) == IN_BERLIN


@pytest.mark.parametrize("cache_type", [0, 1, 2, 4, 3, -1, "1", None, True])
def test_a_cache_type_that_is_not_documented_is_an_error(settings, cache_type):
    settings.GEOIP_CACHE_TYPE = cache_type
    found = [message.id for message in run_checks() if message.id == "tracking.E021"]
    assert bool(found) is (cache_type not in [0, 1, 2, 4] or cache_type is True)


def test_ipv6_is_nowhere_in_a_database_of_ipv4(places, caplog):
    build(places, {"192.0.2.0/24": SYDNEY}, version=4)
    assert locate(ADDRESS) == IN_SYDNEY
    assert locate(OTHER) is None
    assert told(caplog) == []


# --- Layouts


@pytest.mark.parametrize(
    ("kind", "record", "expected"),
    [
        ("GeoLite2-City", SYDNEY, IN_SYDNEY),
        ("GeoLite2-Country", {"country": {"iso_code": "AU"}}, Location("AU")),
        ("GeoLite2-Country", {"registered_country": {"iso_code": "AU"}}, Location("AU")),
        ("GeoLite2-Country", {"country": {}, "registered_country": {"iso_code": "AU"}}, None),
        (
            "DBIP-City-Lite",
            {
                "country_code": "AU",
                "city": "Sydney",
                "state1": "New South Wales",
                "state2": "",
                "latitude": -33.8688,
                "longitude": 151.2093,
            },
            IN_SYDNEY,
        ),
        ("any", {"country_code": "au", "region": "R", "lat": 1, "lng": 2},
         Location("AU", "R", "", 1.0, 2.0)),
        ("any", {"country": "AU", "state": "S", "lat": "1.5", "lon": "-2"},
         Location("AU", "S", "", 1.5, -2.0)),
        ("any", {"country": "AU", "state1": "", "subdivision1": "S"}, Location("AU", "S")),
        ("any", {"city": "Sydney"}, Location(city="Sydney")),
        ("GeoLite2-ASN", {"autonomous_system_number": 64496}, None),
    ],
)  # fmt: skip
def test_layouts(places, kind, record, expected):
    """geoip2's Reader.city() raises TypeError on databases whose type it does not know."""
    build(places, {"192.0.2.0/24": record}, kind)
    assert locate(ADDRESS) == expected


ODD = [
    None, "text", 5, [], {},
    {"country": []}, {"country": {"iso_code": 5}}, {"country": {"iso_code": "AUS"}},
    {"country": {"iso_code": "ÄÖ"}}, {"country_code": "-"}, {"country_code": ["AU"]},
    {"city": 5}, {"city": {"names": "Sydney"}}, {"city": {"names": {"en": 5}}},
    {"city": "\0\n "}, {"subdivisions": []}, {"subdivisions": [5]}, {"subdivisions": {"a": 1}},
    {"location": "here"}, {"location": {"latitude": 1.0}}, {"latitude": True, "longitude": 1.0},
    {"latitude": float("nan"), "longitude": 1.0}, {"latitude": 1.0, "longitude": float("inf")},
    {"latitude": 90.1, "longitude": 1.0}, {"latitude": 1.0, "longitude": -180.1},
    {"latitude": "north", "longitude": "east"}, {"latitude": 10**400, "longitude": 1.0},
    {"latitude": [1], "longitude": {"a": 1}},
]  # fmt: skip


@pytest.mark.parametrize("record", ODD, ids=str)
def test_what_makes_no_sense_is_left_out(record):
    assert location_from(record) is None


def test_the_rest_of_an_odd_record_is_kept():
    record = {**SYDNEY, "city": 5, "location": {"latitude": float("nan"), "longitude": 1.0}}
    assert location_from(record) == Location("AU", "New South Wales")


def test_names_are_cut_and_in_one_line():
    assert location_from({"city": "a\0b\nc"}) == Location(city="abc")
    assert location_from({"city": "x" * 1000}) == Location(city="x" * 100)


records = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.binary(),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                [
                    "country",
                    "registered_country",
                    "iso_code",
                    "names",
                    "en",
                    "city",
                    "location",
                    "subdivisions",
                    "latitude",
                    "longitude",
                    "lat",
                    "country_code",
                    "state1",
                ]
            ),
            inner,
        )
    ),
)


@given(records)
def test_no_record_breaks_a_look_up(record):
    found = location_from(record)
    if found is not None:
        assert found.country == "" or len(found.country) == 2
        assert found.latitude is None or -90 <= found.latitude <= 90
        assert (found.latitude is None) == (found.longitude is None)


# --- The file


def test_nothing_is_looked_up_unless_the_site_wants_it(settings, places):
    build(places)
    settings.TRACKING_USE_GEOIP = False
    assert locate(ADDRESS) is None
    assert database_problem() is None


CITY, COUNTRY, ASN = "GeoLite2-City", "GeoLite2-Country", "GeoLite2-ASN"


@pytest.mark.parametrize(
    ("files", "chosen"),
    [
        ([("a", CITY, 1), ("b", COUNTRY, 2), ("c", ASN, 3), ("d", "Own", 4)], 1),
        ([("City-ASN", ASN, 3), ("b", COUNTRY, 2), ("c", "Own", 4)], 2),
        ([("a", CITY, 1), ("b", "GeoIP2-Enterprise", 2), ("c", CITY, 3)], 2),
        ([("a", "DBIP-Location-ISP (compat=Enterprise)", 1), ("b", "DBIP-City-Lite", 2)], 1),
        ([("a", "ipinfo generic_country_free.mmdb", 1), ("b", "GeoIP2-ISP", 2)], 1),
        ([("a", "Own", 1), ("b", "GeoIP2-Anonymous-IP", 2)], 1),
        ([("a", CITY, 1), ("b", CITY, 5)], 5),
        ([("a", CITY, 5), ("b.txt", CITY, 9)], 5),
        ([("z.MMDB", "Own", 3), ("a", "Own", 1)], 3),
        ([("a", ASN, 1), ("broken", None, 2)], 1),
    ],
)
def test_a_folder_has_the_best_file_and_of_several_the_latest(settings, tmp_path, files, chosen):
    """A name says little: of City and ASN in one folder, ASN was read if its name had "city"."""
    settings.GEOIP_PATH = tmp_path
    for name, kind, time in files:
        path = tmp_path / (name if "." in name else f"{name}.mmdb")
        if kind is None:
            path.write_bytes(b"half a copy of a database")
        else:
            build(path, {"192.0.2.0/24": {"city": f"{time}"}}, kind)
        os.utime(path, (time, time))
    (tmp_path / "folder-City.mmdb").mkdir()
    assert locate(ADDRESS) == Location(city=f"{chosen}")


def test_a_replaced_file_is_read(places):
    build(places)
    assert locate(ADDRESS) == IN_SYDNEY
    build(places, {"192.0.2.0/24": BERLIN})
    assert locate(ADDRESS) == IN_BERLIN


def test_a_better_file_in_a_folder_is_read(settings, tmp_path):
    settings.GEOIP_PATH = tmp_path
    build(tmp_path / "GeoLite2-Country.mmdb", {"192.0.2.0/24": {"country_code": "AU"}}, COUNTRY)
    assert locate(ADDRESS) == Location("AU")
    build(tmp_path / "GeoLite2-City.mmdb")
    assert locate(ADDRESS) == IN_SYDNEY


def test_the_file_is_looked_at_once_a_second(places, monkeypatch):
    monkeypatch.setattr(geoip, "CHECK_INTERVAL", 1.0)
    now = 1000.0
    monkeypatch.setattr(geoip.clock, "monotonic", lambda: now)
    build(places)
    assert locate(ADDRESS) == IN_SYDNEY
    build(places, {"192.0.2.0/24": BERLIN})
    now += 0.9
    assert locate(ADDRESS) == IN_SYDNEY
    now += 0.2
    assert locate(ADDRESS) == IN_BERLIN


def test_half_a_copy_keeps_the_old_database_and_is_logged_once(places, caplog):
    whole = build(places).read_bytes()
    assert locate(ADDRESS) == IN_SYDNEY
    draft = places.with_suffix(".draft")
    draft.write_bytes(whole[: len(whole) // 2])
    draft.replace(places)
    for _ in range(3):
        assert locate(ADDRESS) == IN_SYDNEY
    assert "is not a readable database" in database_problem()
    (message,) = told(caplog)
    assert str(places) in message
    build(places, {"192.0.2.0/24": BERLIN})
    assert locate(ADDRESS) == IN_BERLIN
    assert len(told(caplog)) == 1


def test_a_file_that_comes_and_goes(places, caplog):
    for count in (1, 2):
        assert [locate(ADDRESS), locate(ADDRESS)] == [None, None]
        assert len(told(caplog)) == count
        assert f"{places} cannot be read: No such file" in told(caplog)[-1]
        build(places)
        assert locate(ADDRESS) == IN_SYDNEY
        places.unlink()


@pytest.mark.parametrize("content", [b"", b"rubbish", b"\xab\xcd\xefMaxMind.com", b"\0" * 5000])
def test_rubbish_is_no_database(places, caplog, content):
    places.write_bytes(content)
    assert locate(ADDRESS) is None
    assert locate(ADDRESS) is None
    assert len(told(caplog)) == 1
    assert database_problem().startswith(f"{places} is not a readable database")


def test_a_damaged_record_is_nowhere_and_logged_once(places, caplog, monkeypatch):
    class Damaged:
        def get(self, address):
            raise maxminddb.InvalidDatabaseError("bad pointer")

    build(places)
    monkeypatch.setattr(geoip, "_open", lambda path, **_: Damaged())
    assert [locate(ADDRESS), locate(ADDRESS)] == [None, None]
    (message,) = told(caplog)
    assert message.endswith("places.mmdb is damaged: bad pointer")


@given(st.integers(0, 10_000), st.integers(0, 255))
def test_no_damage_breaks_a_look_up(tmp_path_factory, position, value):
    """With the reader in Python: that in C may end the process over one wrong byte."""
    from django.test import override_settings

    def slowly(path, **_):
        try:
            return maxminddb.open_database(path, maxminddb.MODE_MEMORY)
        except Exception as error:
            raise geoip._UnusableError(str(error)) from error

    folder = tmp_path_factory.mktemp("damage")
    content = bytearray(build(folder / "x.mmdb").read_bytes())
    content[position % len(content)] = value
    (folder / "x.mmdb").write_bytes(content)
    logging.disable(logging.WARNING)
    try:
        with override_settings(GEOIP_PATH=folder), mock.patch.object(geoip, "_open", slowly):
            for address in (ADDRESS, OTHER):
                assert isinstance(locate(address), Location | None)
    finally:
        logging.disable(logging.NOTSET)


@pytest.mark.long
def test_look_ups_go_on_while_the_file_is_replaced(places):
    build(places)
    assert locate(ADDRESS) == IN_SYDNEY
    seen, over = [], threading.Event()

    def look():
        while not over.is_set():
            seen.append(locate(ADDRESS))

    threads = [threading.Thread(target=look) for _ in range(4)]
    for thread in threads:
        thread.start()
    for record in [BERLIN, SYDNEY] * 10:
        build(places, {"192.0.2.0/24": record})
    over.set()
    for thread in threads:
        thread.join()
    assert set(seen) <= {IN_SYDNEY, IN_BERLIN}
    gc.collect()  # a reader that was dropped warns of nothing


def test_the_pure_python_reader_will_do(places, monkeypatch):
    monkeypatch.setattr(maxminddb, "_extension", None)
    build(places)
    assert locate(ADDRESS) == IN_SYDNEY
    build(places, {"192.0.2.0/24": BERLIN})
    assert locate(ADDRESS) == IN_BERLIN
    assert database_problem() is None
    gc.collect()


# --- What is wrong


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("", "GEOIP_PATH is empty."),
        (None, "GEOIP_PATH is empty."),
        ("/nowhere/at/all", "/nowhere/at/all cannot be read: No such file or directory."),
        ("a\0b", "'a\\x00b' is not a valid path."),
        ("/dev/null", "/dev/null is neither a file nor a folder."),
    ],
)
def test_wrong_paths(settings, caplog, path, message):
    settings.GEOIP_PATH = path
    assert database_problem() == message
    assert locate(ADDRESS) is None
    assert locate(ADDRESS) is None
    assert told(caplog) == [f"Addresses cannot be located: {message}"]


@pytest.mark.parametrize(
    ("kind", "has_places"),
    [("GeoLite2-City", True), ("GeoIP2-Enterprise", True), ("DBIP-Country-Lite", True),
     ("DBIP-Location-ISP (compat=Enterprise)", True), ("ipinfo country_asn.mmdb", True),
     ("Own", True), ("GeoLite2-ASN", False), ("GeoIP2-ISP", False),
     ("GeoIP2-Connection-Type", False)],
)  # fmt: skip
def test_a_database_without_places_is_a_problem(settings, tmp_path, kind, has_places):
    """With GeoLite2-ASN, nothing was located and nothing said so."""
    settings.TRACKING_USE_GEOIP = True
    settings.GEOIP_PATH = path = build(tmp_path / "x.mmdb", kind=kind)
    problem = f"{path} holds no places: it is a database of type {kind}."
    assert database_problem() == (None if has_places else problem)


def test_a_folder_without_database(settings, tmp_path):
    settings.GEOIP_PATH = tmp_path
    assert database_problem() == f"There is no .mmdb file in the folder {tmp_path}."
    assert locate(ADDRESS) is None


def test_without_the_package_nothing_is_located(places, monkeypatch, caplog):
    build(places)
    monkeypatch.setitem(sys.modules, "maxminddb", None)
    assert [locate(ADDRESS), locate(ADDRESS)] == [None, None]
    assert "maxminddb is not installed" in database_problem()
    assert len(told(caplog)) == 1


# --- Names of countries


def test_countries_have_a_name_in_every_language():
    assert country_name("DE", "de") == "Deutschland"
    assert country_name("de", "fr") == "Allemagne"
    assert country_name("DE", "pt-br") == "Alemanha"
    assert country_name("TW", "zh-hant") == "台灣"
    with translation.override("de"):
        assert country_name("AU") == "Australien"
    with translation.override(None):
        assert country_name("AU") == "Australia"


@pytest.mark.parametrize("code", ["", "QQ", "001", "419", "<b>", "Ä"])
def test_an_unknown_country_is_its_code(code):
    assert country_name(code, "en") == code


@pytest.mark.parametrize("language", ["xx", "rubbish", "de-formal", "io", "-", "../../etc"])
def test_an_odd_language_breaks_nothing(language):
    assert country_name("AU", language) in {"Australia", "Australien", "AU"}


@given(st.text(max_size=10), st.text(min_size=1, max_size=10))
def test_no_code_and_no_language_breaks_a_name(code, language):
    assert isinstance(country_name(code, language), str)


def test_without_babel_a_country_is_its_code(monkeypatch):
    monkeypatch.setitem(sys.modules, "babel", None)
    country_names._territories.cache_clear()
    try:
        assert country_name("AU", "en") == "AU"
    finally:
        country_names._territories.cache_clear()
