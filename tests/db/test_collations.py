"""Texts that differ are different, in all columns of every database."""

import pytest
from django.apps import apps
from django.db import IntegrityError, connection, transaction
from django.db.models import CharField, TextField

from tests.site.models import Product
from tests.support.texts import TEXTS
from tracking.db.collations import exact_collation
from tracking.models import Beacon, Source, Visitor

pytestmark = pytest.mark.django_db


@pytest.mark.skipif(connection.vendor != "mysql", reason="others compare letter by letter anyway")
def test_all_texts_have_an_exact_collation():
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT table_name, column_name FROM information_schema.columns"
            " WHERE table_schema = DATABASE() AND collation_name = %s",
            [exact_collation(connection)],
        )
        exact = set(cursor.fetchall())
    texts = {
        (model._meta.db_table, field.column)
        for model in apps.get_app_config("tracking").get_models()
        for field in model._meta.concrete_fields
        if isinstance(field.target_field if field.is_relation else field, CharField | TextField)
    }
    # A new table needs it from its migration, as in 0003_exact_texts; a new column inherits it.
    assert texts - exact == set()
    assert {("tracking_visit", "visitor_id"), ("tracking_beacon", "visitor_id")} <= exact


@pytest.mark.parametrize("text", TEXTS)
def test_a_text_is_found_by_itself_only(text):
    Beacon.objects.bulk_create(Beacon(kind="click", url=one) for one in TEXTS)
    assert [beacon.url for beacon in Beacon.objects.filter(url=text)] == [text]
    assert Beacon.objects.filter(url__in=[text]).count() == 1
    assert Beacon.objects.filter(url__startswith=text[:-1]).exclude(url=text).count() <= 1


def test_unique_texts_may_differ_in_a_letter_or_a_space():
    for text in (*TEXTS, "tea "):
        Source.objects.create(name=text, slug=text)
        with pytest.raises(IntegrityError), transaction.atomic():
            Source.objects.create(name=text, slug=text)
    assert Source.objects.get(slug="Tea").name == "Tea"


def test_our_texts_and_keys_of_the_site_are_compared():
    Product.objects.create(sku="Tea")
    for key in ("Tea", "tea"):
        Beacon.objects.create(kind="open", entity_id=key)
    found = Beacon.objects.filter(entity_id__in=Product.objects.values("sku"))
    assert [beacon.entity_id for beacon in found] == ["Tea"]


def test_lookups_that_ignore_case_still_do():
    for text in TEXTS:
        Source.objects.create(name=text, slug=text)
    found = lambda **lookup: set(  # noqa: E731
        Source.objects.filter(**lookup).values_list("name", flat=True)
    )
    assert found(name__iexact="TEA") == found(name__istartswith="TE") == {"Tea", "tea"}
    assert found(name__icontains="EA") == found(name__iendswith="EA") == {"Tea", "tea"}
    assert found(name__iregex="^TE.$") == found(slug__iexact="TEA") == {"Tea", "tea"}
    assert found(name__icontains="S.EXAMPLE/abc") == set(TEXTS[-2:])
    assert found(name__icontains="🍵") == {"/🍵"}
    # In a text of related rows, too.
    Visitor.objects.create(key="Anna", user_agent="Firefox")
    Beacon.objects.create(kind="open", visitor_id="Anna")
    assert Beacon.objects.filter(visitor__user_agent__icontains="FIRE").exists()
    assert not Beacon.objects.filter(visitor__key="anna").exists()
