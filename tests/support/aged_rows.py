"""Rows of some age."""

from django.utils import timezone

from tracking.models import Beacon, PageView, Visit, Visitor


def visitors(number, age):
    then = timezone.now() - age
    return Visitor.objects.bulk_create(
        [Visitor(session_start=then, last_update=then) for _ in range(number)]
    )


def visits(number, age, *, pages=0, page_age=None):
    then = timezone.now() - age
    made = Visit.objects.bulk_create(
        [
            Visit(visitor_id="0" * 32, started_at=then, ended_at=then, page_views=pages)
            for _ in range(number)
        ]
    )
    time = timezone.now() - (age if page_age is None else page_age)
    PageView.objects.bulk_create(
        [PageView(visit=visit, time=time, url="/") for visit in made for _ in range(pages)]
    )
    return made


def beacons(number, age):
    then = timezone.now() - age
    return Beacon.objects.bulk_create([Beacon(kind="open", time=then) for _ in range(number)])


def some_of_each(age):
    visitors(3, age)
    visits(3, age, pages=2)
    beacons(3, age)


def counts():
    return {
        "visitor": Visitor.objects.count(),
        "visit": Visit.objects.count(),
        "pageview": PageView.objects.count(),
        "beacon": Beacon.objects.count(),
    }
