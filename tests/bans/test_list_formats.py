"""The lines of ban lists, in the forms in which people have them."""

import csv
import io
from datetime import UTC, datetime, timedelta

import pytest
from django.utils import timezone
from hypothesis import example, given
from hypothesis import strategies as st

from tracking import bans
from tracking.bans import bulk_ban, import_export
from tracking.bans.bulk_ban import BanEntry
from tracking.bans.import_export import InvalidLine
from tracking.bans.list_formats import ListReader
from tracking.models import BannedIP

TABLE = pytest.mark.django_db

GERMAN_NEW_YEAR = datetime(2029, 12, 31, 23, tzinfo=UTC)  # in the time zone of the tests

FAIL2BAN = """\
Status for the jail: sshd
|- Filter
|  |- Currently failed:\t2
|  |- Total failed:\t40
|  `- File list:\t/var/log/auth.log
`- Actions
   |- Currently banned:\t2
   |- Total banned:\t3
   `- Banned IP list:\t192.0.2.7 2001:db8::7
"""

APACHE = """\
<RequireAll>
    Require all granted
    Require not ip 192.0.2.7 198.51.100
    # crawlers
</RequireAll>
<Limit GET POST>
Order Allow,Deny
Allow from all
Deny from 203.0.113.0/255.255.255.0
deny from 10.1.
</Limit>
"""

TOR = """\
ExitNode 0011BD2485AD45D984EC4159C88FC066E5E3300E
Published 2026-05-01 10:00:00
LastStatus 2026-05-01 11:00:00
ExitAddress 192.0.2.7 2026-05-01 11:10:00
"""

IPSET_LIST = """\
Name: blocklist
Type: hash:net
Revision: 7
Header: family inet hashsize 1024 maxelem 65536 timeout 600 comment
Size in memory: 704
References: 1
Number of entries: 2
Members:
192.0.2.0/24 timeout 0 comment "port scans"
198.51.100.3
"""


def read(text):
    """Return network and reason of each ban; all bans are permanent, and all lines valid."""
    found = list(import_export.parse_lines(text))
    assert all(isinstance(one, BanEntry) and one.expires_at is None for one in found), found
    return {one.network: one.reason for one in found}


def flaw(line, before=""):
    """Return what is wrong with a line."""
    *_, found = import_export.parse_lines(f"{before}\n{line}")
    assert isinstance(found, InvalidLine), found
    return found.why


DROP = """\
; Spamhaus DROP
192.0.2.0/24 ; SBL1; note
192.0.2.7\t# x
"""

DROP_JSON = """\
{"cidr":"192.0.2.0/24","sblid":"SBL1","rir":"ripencc"}
{"type":"metadata","timestamp":1700000000,"size":1}
"""

ABUSEIPDB_BLACKLIST = """\
"ipAddress","countryCode","abuseConfidenceScore","lastReportedAt"
"192.0.2.7","DE","100","2026-01-01T00:00:00+00:00"
"""

ABUSEIPDB_REPORTS = """\
IP,Categories,ReportDate,Comment
192.0.2.7,"18,22",2026-01-01T00:00:00+00:00,"SSH, again"
"""

IPSET_SAVE = """\
create blocklist hash:net family inet hashsize 1024 maxelem 65536 timeout 600
add blocklist 192.0.2.0/24 timeout 0 packets 0 bytes 0 comment "port scans"
ipset add -exist blocklist 198.51.100.3
COMMIT
"""


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("192.0.2.1-192.0.2.2", {"192.0.2.1": "", "192.0.2.2": ""}),
        ("192.0.2.0 - 192.0.2.255, a network", {"192.0.2.0/24": "a network"}),
        ("2001:db8::-2001:db8::1", {"2001:db8::/127": ""}),
        (
            "192.0.2.*\n198.51.*.*\n10.*",
            {"192.0.2.0/24": "", "198.51.0.0/16": "", "10.0.0.0/8": ""},
        ),
        (DROP, {"192.0.2.0/24": "", "192.0.2.7": ""}),
        (DROP_JSON, {"192.0.2.0/24": "SBL1"}),
        ("#\n# firehol_level1\n192.0.2.0/24\n192.0.2.7\n", {"192.0.2.0/24": "", "192.0.2.7": ""}),
        ("203.0.113.7\t8\n198.51.100.0\t3", {"203.0.113.7": "", "198.51.100.0": ""}),
        ("192.0.2.7;Scrapes;\n192.0.2.8;a, b #7", {"192.0.2.7": "Scrapes", "192.0.2.8": "a, b #7"}),
        ("sep=;\n192.0.2.7 ; Scrapes", {"192.0.2.7": "Scrapes"}),
        ("Grund;IP-Adresse;Land\nSpam ; 192.0.2.7;DE\n", {"192.0.2.7": "Spam"}),
        ("reason\tnetwork\nno # comment\t192.0.2.7\n", {"192.0.2.7": "no # comment"}),
        (ABUSEIPDB_BLACKLIST, {"192.0.2.7": ""}),
        (ABUSEIPDB_REPORTS, {"192.0.2.7": "SSH, again"}),
        ("deny 192.0.2.7;\n\tdeny 192.0.2.0/24; # scans", {"192.0.2.7": "", "192.0.2.0/24": ""}),
        (
            APACHE,
            dict.fromkeys(
                ("192.0.2.7", "198.51.100.0/24", "203.0.113.0/24", "10.1.0.0/16"),
                "",
            ),
        ),
        (FAIL2BAN, {"192.0.2.7": "sshd", "2001:db8::7": "sshd"}),
        (TOR, {"192.0.2.7": ""}),
        (IPSET_SAVE, {"192.0.2.0/24": "port scans", "198.51.100.3": ""}),
        (IPSET_LIST, {"192.0.2.0/24": "port scans", "198.51.100.3": ""}),
        ("192.0.2.7,x,never", {"192.0.2.7": "x"}),
    ],
)
def test_lists_are_read_in_the_forms_that_people_have(text, expected):
    assert read(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "192.0.2.7;Scrapes;2030-01-01",
        "192.0.2.7 ; Scrapes ; 01.01.2030",
        "192.0.2.7\tScrapes\t1.1.2030 00:00",
        "network;reason;expires_at\n192.0.2.7;Scrapes;2030-01-01",
        "Netz;Grund;Gültig bis\n192.0.2.7;Scrapes;01.01.2030 00:00:00",
        "expires,comment,ip\n2029-12-31T23:00:00Z,Scrapes,192.0.2.7",
        '{"ip": "192.0.2.7", "reason": "Scrapes", "until": "2030-01-01", "duration": null}',
    ],
)
def test_an_expiry_is_read_in_every_form(text):
    [found] = import_export.parse_lines(text)
    assert found[1:] == ("192.0.2.7", "Scrapes", GERMAN_NEW_YEAR)


CROWDSEC = """\
id,source,ip,reason,action,country,as,events_count,expiration,simulated,alert_id
7,crowdsec,Ip:192.0.2.7,crowdsecurity/ssh-bf,ban,DE,AS1,6,3h59m57.5s,false,9
"""

CROWDSEC_JSON = (
    '{"duration": "4h", "scenario": "x", "scope": "Ip", "type": "ban", "value": "192.0.2.7"}'
)


@pytest.mark.usefixtures("still_clock")
@pytest.mark.parametrize(
    ("text", "reason", "seconds"),
    [
        (CROWDSEC, "crowdsecurity/ssh-bf", 14_397.5),
        ("duration,scope,value\n24h,ip,192.0.2.7", "", 86_400),
        (CROWDSEC_JSON, "x", 14_400),
        ('add blocklist 192.0.2.7 timeout 593 comment "x"', "x", 593),
        ("192.0.2.7,x,-1h", "x", -3_600),
    ],
)
def test_a_duration_starts_now(text, reason, seconds):
    [found] = import_export.parse_lines(text)
    assert (found.network, found.reason) == ("192.0.2.7", reason)
    assert found.expires_at == timezone.now() + timedelta(seconds=seconds)


def test_fail2ban_names_the_end_of_a_ban():
    text = (
        "192.0.2.7 \t2030-01-01 00:00:00 + 600 = 2030-01-01 00:10:00\n"
        "192.0.2.8 \t2030-01-01 00:00:00 + -1 = 9999-12-31 23:59:59\n"
    )
    first, second = import_export.parse_lines(text)
    assert first.expires_at == GERMAN_NEW_YEAR + timedelta(minutes=10)
    assert (second.network, second.expires_at) == ("192.0.2.8", None)


@pytest.mark.parametrize(
    ("before", "line"),
    [
        ("", "192.0.2.7;Scrapes;soon"),
        ("", "192.0.2.7;Scrapes;01/02/2030"),
        ("", "192.0.2.7;Scrapes;31.02.2030"),
        ("", "192.0.2.7 ; Scrapes ; 31.02.2030"),
        ("", "192.0.2.7,Scrapes,8"),
        ("", "192.0.2.7,2030-01-01"),
        ("", "192.0.2.7\t2030-01-01"),
        ("", "192.0.2.7 ; until 01.01.2030"),
        ("", "192.0.2.7 # 2030-01-01"),
        ("", "192.0.2.7,x," + "9" * 400 + "w"),
        ("", "add blocklist 192.0.2.7 timeout soon"),
        ("", "add blocklist 192.0.2.7 timeout 999999999999"),
        ("", '{"ip": "192.0.2.7", "expires_at": 1893456000}'),
        ("ip,gesperrt", "192.0.2.7,01.01.2030"),
        ("ip,Ablaufdatum", "192.0.2.7,bald"),
        ("duration,value", "24,192.0.2.7"),
    ],
)
def test_an_expiry_that_is_not_understood_is_never_a_permanent_ban(before, line):
    assert flaw(line, before)


@pytest.mark.parametrize(
    ("before", "line"),
    [
        ("", "allow 192.0.2.7;"),
        ("", "Allow from 192.0.2.7"),
        ("", "Require ip 192.0.2.7"),
        ("", "add blocklist 192.0.2.7 nomatch"),
        ("", "192.0.2.0/24 timeout 0 nomatch"),
        ("ip,action", "192.0.2.7,captcha"),
        ("ip,simulated", "192.0.2.7,true"),
    ],
)
def test_an_exception_is_never_a_ban(before, line):
    assert flaw(line, before)


@pytest.mark.parametrize(
    "line",
    [
        "192.0.2.9-192.0.2.1",
        "192.0.2.1-2001:db8::1",
        "192.0.2.1-9",
        "192.0.*.1",
        "*",
        "deny all;",
        "Deny from example.com",
        "Require all denied",
        "add blocklist 192.0.2.7,tcp:80",
        "ExitAddress",
        "{",
        '{"a": ' + "[" * 900,
        '{"rir": "ripencc"}',
        '{"ip": ["192.0.2.7"]}',
        '{"ip": "192.0.2.7", "reason": "\\ud800"}',
        '{"ip": "192.0.2.7", "reason": "\\u0000"}',
        "127.0.0.1 localhost",
        "-A INPUT -s 192.0.2.7/32 -j DROP",
        "   `- Banned IP list:   192.0.2.7 rubbish",
    ],
)
def test_what_is_not_understood_is_refused(line):
    assert flaw(line)


def test_a_line_has_no_more_columns_than_the_header():
    assert flaw("192.0.2.7,a,b", "ip,reason")
    assert read("ip,reason,country\n192.0.2.7,a\n192.0.2.8,a,DE,,") == {
        "192.0.2.7": "a",
        "192.0.2.8": "a",
    }


_PIECES = st.sampled_from(
    [
        *("network", "ip", "reason", "expires_at", "until", "192.0.2.7", "2001:db8::/32", "-", "*"),
        *(",", ";", "\t", " ", '"', "#", "{", "}", '{"ip": "192.0.2.7"', "timeout 5", "comment "),
        *("deny ", "Deny from ", "add x ", "2030-01-01", "01.01.2030", "3h", "9" * 30, "sep=;"),
        *("`- Banned IP list:", "\0", "\x1c", "\\ud800", "ExitAddress ", " + ", " = "),
    ]
)


@given(st.lists(st.lists(_PIECES | st.text(max_size=5), max_size=9).map("".join), max_size=6))
@example(["192.0.2.7" + " " * 50_000 + "x"])
@example(["192.0.2.7 " + "timeout 5 " * 5_000 + "x"])
@example(['"' * 50_000])
@example(["|" * 50_000 + "x"])
def test_the_reader_raises_nothing_but_its_error(lines):
    reader = ListReader()
    for line in lines:
        try:
            found = reader.read(line)
        except ValueError:
            found = []
        for ban in found:
            BannedIP(None, ban.network, ban.reason, expires_at=ban.expires_at).clean_fields()


_REASONS = st.text(
    st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=60
).map(lambda text: " ".join(text.splitlines()).strip())
_EXPIRIES = st.none() | st.datetimes(
    datetime(2027, 1, 1), datetime(9998, 1, 1), timezones=st.just(UTC)
).map(lambda moment: moment.replace(microsecond=0))


@TABLE
@given(st.lists(st.tuples(_REASONS, _EXPIRIES), min_size=1, max_size=8))
@example([("2030-01-01", None), ("8", None), ("ip", None), ("# x; y", None), ("a\tb", None)])
def test_what_export_writes_import_reads(rows):
    BannedIP.objects.all().delete()
    wanted = {
        f"192.0.2.{number}": (reason, expires_at)
        for number, (reason, expires_at) in enumerate(rows)
    }
    BannedIP.objects.bulk_create(
        BannedIP(network=network, reason=reason, expires_at=expires_at)
        for network, (reason, expires_at) in wanted.items()
    )
    text = "".join(import_export.export_bans(BannedIP.objects.all()))
    found = {one.network: tuple(one[2:]) for one in import_export.parse_lines(text)}
    assert found == wanted


@TABLE
def test_an_export_that_german_excel_has_saved_is_read():
    end = datetime(2030, 1, 1, tzinfo=UTC)
    bans.ban("192.0.2.7", "=1+1; ä", end)
    rows = list(csv.reader(import_export.export_bans(BannedIP.objects.all())))
    saved = io.StringIO()
    csv.writer(saved, delimiter=";").writerows(rows)
    result = bulk_ban.ban_all(import_export.parse_lines(saved.getvalue()))
    assert result.updated == ["192.0.2.7"]
    ban = BannedIP.objects.get()
    assert (ban.reason, ban.expires_at) == ("=1+1; ä", end)
