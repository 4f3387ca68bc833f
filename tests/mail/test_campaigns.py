import pytest
from hypothesis import given
from hypothesis import strategies as st

from tracking.mail.campaigns import campaign_source, slug_of
from tracking.models import Source


@pytest.mark.django_db
@pytest.mark.parametrize("text", ["spring-letter", "x" * 3_000, "春の手紙", "50 %!", "ü" * 300])
def test_the_same_text_gives_the_same_source(text):
    source = campaign_source(text)
    assert campaign_source(text) == source
    source.refresh_from_db()
    source.full_clean()
    assert Source.objects.count() == 1


@pytest.mark.django_db
def test_a_source_of_the_site_is_found_by_its_slug():
    source = Source.objects.create(name="Our letter", slug="spring", medium="newsletter")
    assert campaign_source("spring") == source
    assert campaign_source("Spring") == source
    assert campaign_source("") is None


@given(st.text(min_size=1))
def test_slugs_fit(text):
    slug = slug_of(text)
    assert slug
    assert len(slug) <= 100
    assert slug_of(slug) == slug


def test_texts_that_are_cut_differ():
    assert slug_of("x" * 100 + "a") != slug_of("x" * 100 + "b")
    assert slug_of("春") != slug_of("秋")
