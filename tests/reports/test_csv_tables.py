"""Tables as CSV."""

import csv
import io
from datetime import date

import pytest

from tests.site.models import Affiliate
from tests.support import brute_force
from tests.support.brute_force import NOW, custom_period
from tracking.hits import Hit, Kind, Reference
from tracking.recording import write
from tracking.reports import campaign, campaign_table, lines, listing, overview_table, recipients
from tracking.reports.top_lists import LISTS


@pytest.mark.django_db
class TestTables:
    @pytest.mark.long
    def test_csv_of_each_table(self):
        (source,) = brute_force.mailings(1)
        tied = {"sources": [source], "entities": brute_force.readers()}
        write(brute_force.traffic(date(2026, 3, 27), date(2026, 4, 1), number=200, **tied))
        period = custom_period("2026-03-27", "2026-04-01")
        report = campaign(source)
        for name, number in {
            "recipients": recipients(source).total,
            "links": len(report.links.rows),
            "countries": len(report.countries.rows),
            "clients": len(report.clients.rows),
            "quarters": 96,
            "days": len(report.days.opens),
        }.items():
            assert len(read(campaign_table(name, source))) == number + 1, name
        for name in LISTS:
            assert len(read(overview_table(name, period))) == listing(name, period).total + 1
        assert len(read(overview_table("series", period))) == 7
        with pytest.raises(KeyError):
            overview_table("secrets", period)
        with pytest.raises(KeyError):
            campaign_table("secrets", source)

    def test_formulas_of_strangers_stay_text(self):
        source = Affiliate.objects.create(name="=cmd|' /C calc'!A0")
        url = '=HYPERLINK("https://evil.example")'
        write(
            [
                Hit(
                    kind=Kind.CLICK,
                    source=Reference.to(source),
                    url=url,
                    user_agent=brute_force.AGENTS[0],
                    time=NOW,
                )
            ]
        )
        assert read(campaign_table("links", source))[1][:2] == ["'" + url, "'" + url]
        period = custom_period("2026-04-02", "2026-04-02")
        assert read(overview_table("mailings", period))[1][1] == "'=cmd|' /C calc'!A0"


def read(table):
    text = "".join(lines(table))
    assert text.startswith("\ufeff")
    return list(csv.reader(io.StringIO(text[1:], newline="")))
