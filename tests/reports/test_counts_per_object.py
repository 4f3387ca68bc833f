"""Opens and clicks of many objects at once equal those of their reports."""

from datetime import UTC, date, datetime

import pytest

from tests.site.models import Affiliate, Product
from tests.support import brute_force
from tracking import generic_references
from tracking.hits import Hit, Kind, Reference
from tracking.models import DailyCount
from tracking.recording import write
from tracking.reports import campaign
from tracking.reports.counts_per_object import ObjectCounts, counts_per_object
from tracking.rollups.build import roll_up

pytestmark = pytest.mark.django_db(transaction=True)

FIRST, LAST = date(2026, 3, 26), date(2026, 4, 1)


def of_report(source):
    report = campaign(source)
    return ObjectCounts(
        report.opened.total,
        report.opened.unique,
        report.clicked.total,
        report.clicked.unique,
    )


def of_list(sources):
    """Return what a list tells, in the order of its objects, model by model."""
    found = {}
    for model in {type(source) for source in sources}:
        some = [source for source in sources if type(source) is model]
        found |= {(model, key): counts for key, counts in counts_per_object("source", some).items()}
    return [found[type(source), str(source.pk)] for source in sources]


@pytest.mark.long
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_counts_are_those_of_reports_before_and_after_days_are_counted(seed):
    references = brute_force.mailings()
    mailings = [generic_references.resolve(reference) for reference in references]
    hits = brute_force.traffic(
        FIRST,
        LAST,
        seed=seed,
        number=250,
        sources=[Reference.to(one) for one in mailings],
        entities=brute_force.readers(5),
    )
    late, early = hits[1::5], [hit for number, hit in enumerate(hits) if number % 5 != 1]
    write(early)
    assert of_list(mailings) == [of_report(source) for source in mailings]
    roll_up()
    assert DailyCount.objects.exists()
    assert of_list(mailings) == [of_report(source) for source in mailings]
    write(late)
    assert of_list(mailings) == [of_report(source) for source in mailings]
    assert sum(counts.opens for counts in of_list(mailings)) > 10


def test_who_comes_again_on_a_day_that_is_open_is_no_new_recipient():
    [affiliate] = [Affiliate.objects.create(name="Leaf Letter")]
    reader, other = (Reference("site.subscriber", key) for key in "12")
    source = Reference.to(affiliate)

    def opened(time, entity):
        return Hit(kind=Kind.OPEN, source=source, entity=entity, time=time)

    write([opened(datetime(2026, 3, 26, 12, tzinfo=UTC), reader)])
    roll_up()
    now = datetime.now(UTC)
    write([opened(now, reader), opened(now, other)])
    assert of_list([affiliate]) == [ObjectCounts(opens=3, opened=2)] == [of_report(affiliate)]


def test_targets_have_counts_too():
    product = Product.objects.create(sku="tea")
    quiet = Product.objects.create(sku="mint")
    target = Reference.to(product)
    write([Hit(kind=Kind.CLICK, target=target, entity=target) for _ in range(3)])
    found = counts_per_object("target", [product, quiet])
    assert found == {"tea": ObjectCounts(opened=1, clicks=3, clicked=1), "mint": ObjectCounts()}
    assert counts_per_object("target", []) == {}


def test_an_empty_site_has_nothing_to_count():
    assert counts_per_object("source", [Affiliate.objects.create()]).popitem()[1] == ObjectCounts()


def test_as_many_queries_however_many_objects(django_assert_num_queries):
    affiliates = [Affiliate.objects.create(name=f"a{n}") for n in range(30)]
    write([Hit(kind=Kind.OPEN, source=Reference.to(affiliate)) for affiliate in affiliates])
    counts_per_object("source", affiliates[:1])
    # The first day there is, of counts and of three tables; the days that are counted; the counts;
    # the days that are not, in one query.
    for some in (affiliates[:2], affiliates):
        with django_assert_num_queries(7):
            counts_per_object("source", some)
