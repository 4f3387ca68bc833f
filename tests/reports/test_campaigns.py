"""The report on a campaign equals what a loop over its rows counts."""

import json
from datetime import UTC, date, datetime, timedelta

import pytest
from django.test import override_settings

from tests.site.models import Affiliate
from tests.support import brute_force
from tests.support.brute_force import NOW
from tracking.hits import Hit, Kind, Reference
from tracking.recording import write
from tracking.reports import BadQuery, State, campaign, recipients


@pytest.mark.django_db
class TestCampaign:
    @pytest.mark.long
    @pytest.mark.parametrize("zone", ["Europe/Berlin", "America/New_York"])
    @pytest.mark.parametrize("seed", range(3))
    def test_every_count_is_that_of_a_loop(self, zone, seed):
        with override_settings(TIME_ZONE=zone):
            tied = {"sources": brute_force.mailings(), "entities": brute_force.readers(6)}
            write(
                brute_force.traffic(
                    date(2026, 3, 27), date(2026, 4, 1), number=250, seed=seed, zone=zone, **tied
                )
            )
            for source in tied["sources"]:
                report = campaign(source, NOW)
                assert brute_force.reported(report) == brute_force.campaign(source, zone)
                days = [point.value for point in report.days.opens if point.value is not None]
                assert sum(days) == report.opened.total > 0

    def test_a_row_of_any_model_can_be_asked_for(self):
        source = Affiliate.objects.create(name="<b>Anna</b>")
        assert campaign(source, NOW) == campaign(Reference.to(source), NOW)
        report = campaign(source, NOW)
        assert (report.name, report.sent, report.began_at) == ("<b>Anna</b>", None, None)
        assert report.click_to_open is report.open_rate is report.goal is None
        assert json.loads(json.dumps(report.as_dict()))["links"]["rows"] == []

    def test_the_first_day_is_shown_by_quarters_of_an_hour(self):
        (source,) = brute_force.mailings(1)
        sent = datetime(2026, 3, 28, 23, 10, tzinfo=UTC)  # clocks change an hour later
        times = [0, 4, 5, 19, 20, 24 * 60 - 11, 24 * 60 - 9, 24 * 60 + 60]
        write(
            [
                Hit(kind=Kind.SENT, source=source, time=sent),
                *(
                    Hit(
                        kind=Kind.OPEN,
                        source=source,
                        time=sent + timedelta(minutes=minutes),
                        user_agent=brute_force.AGENTS[0],
                    )
                    for minutes in times
                ),
            ]
        )
        report = campaign(source, NOW)
        quarters = [point.value for point in report.quarters.opens]
        assert len(quarters) == 96
        assert {n: value for n, value in enumerate(quarters) if value} == {0: 2, 1: 2, 2: 1, 95: 1}
        assert report.sent_at == report.began_at == sent

    def test_recipients_have_the_state_that_says_most(self):
        (source,) = brute_force.mailings(1)
        people = brute_force.readers(6)
        time = datetime(2026, 3, 20, 12, tzinfo=UTC)
        human, proxy, apple = brute_force.AGENTS[0], brute_force.AGENTS[2], brute_force.AGENTS[3]
        did = [
            [(Kind.OPEN, human), (Kind.CLICK, human), (Kind.OPEN, apple)],
            [(Kind.OPEN, proxy), (Kind.OPEN, human)],
            [(Kind.OPEN, apple), (Kind.OPEN, proxy)],
            [(Kind.OPEN, apple)],
            [],
            [],
        ]
        write([Hit(kind=Kind.SENT, source=source, entity=each, time=time) for each in people[:5]])
        minutes = iter(range(1, 100))
        for each, actions in zip(people, did, strict=True):
            write(
                [
                    Hit(
                        kind=kind,
                        source=source,
                        entity=each,
                        user_agent=agent,
                        time=time + timedelta(minutes=next(minutes)),
                    )
                    for kind, agent in actions
                ]
            )
        found = recipients(source)
        assert found.total == 5
        assert [(row.entity, row.state) for row in found.rows] == [
            (people[3], State.MACHINE),
            (people[2], State.PROXIED),
            (people[1], State.CONFIRMED),
            (people[0], State.CONFIRMED),
            (people[4], State.NOTHING),
        ]
        first = found.rows[3]
        assert (first.opens, first.clicks, first.sent_at) == (1, 1, time)
        assert (first.first_at, first.last_at) == (
            time + timedelta(minutes=1), time + timedelta(minutes=3)
        )  # fmt: skip
        (nobody,) = recipients(source, state="nothing").rows
        assert (nobody.entity, nobody.first_at) == (people[4], None)
        (searched,) = recipients(source, search="READER2@").rows
        assert searched.entity == people[2]
        assert recipients(source, search="nobody").total == 0
        parts = [recipients(source, limit=2, offset=offset).rows for offset in (0, 2, 4)]
        assert [row for part in parts for row in part] == list(found.rows)
        with pytest.raises(BadQuery):
            recipients(source, state="asleep")
        report = campaign(source, NOW)
        assert report.sent == 5
        assert report.opened.as_dict() | {"total": 0} == {
            "unique": 3,
            "at_least": 2,
            "at_most": 4,
            "confirmed": 2,
            "proxied": 1,
            "without_image": 0,
            "machine": 1,
            "total": 0,
            "confirmed_total": 2,
            "proxied_total": 2,
            "machine_total": 3,
        }
        assert (report.open_rate, report.click_to_open) == (3 / 5, 1 / 3)
        assert (report.open_rate_at_least, report.open_rate_at_most) == (2 / 5, 4 / 5)
