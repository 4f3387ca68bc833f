import pytest
from django.core.exceptions import ValidationError
from django.core.management import call_command

from tracking import untracked_agents
from tracking.caching import snapshots
from tracking.models import UntrackedUserAgent
from tracking.untracked_agents import Keywords, is_untracked


def untracked(user_agent):
    if snapshots.is_due():
        snapshots.refresh()
    return is_untracked(user_agent)


@pytest.mark.django_db
def test_a_keyword_is_found_in_capitals_or_not():
    UntrackedUserAgent.objects.create(keyword="OurMonitor")
    assert untracked("Mozilla/5.0 (compatible; OURMONITOR/2.1)")
    assert untracked("ourmonitor")
    assert not untracked("Mozilla/5.0 Firefox/128.0")
    assert not untracked("")


@pytest.mark.django_db
def test_every_kind_of_change_is_in_force_at_once(tmp_path):
    rows = UntrackedUserAgent.objects
    row = rows.create(keyword="alpha")
    assert untracked("Alpha")
    row.keyword = "beta"
    row.save()
    assert (untracked("Alpha"), untracked("Beta")) == (False, True)
    rows.update(keyword="gamma")
    assert (untracked("Beta"), untracked("Gamma")) == (False, True)
    row.refresh_from_db()
    row.keyword = "delta"
    rows.bulk_update([row], ["keyword"])
    assert untracked("Delta")
    rows.all().delete()
    assert not untracked("Delta")
    rows.bulk_create([UntrackedUserAgent(keyword="epsilon")])
    assert untracked("Epsilon")
    rows.get().delete()
    assert not untracked("Epsilon")
    fixture = tmp_path / "words.json"
    fixture.write_text(
        '[{"model": "tracking.untrackeduseragent", "pk": 1, "fields": {"keyword": "zeta"}}]'
    )
    call_command("loaddata", str(fixture), verbosity=0)
    assert untracked("Zeta")


def test_blank_keywords_match_nothing():
    assert not Keywords(["", "  "])["Mozilla/5.0"]


def test_what_is_remembered_is_bounded(monkeypatch):
    monkeypatch.setattr(Keywords, "MAX_AGENTS", 10)
    keywords = Keywords(["bot"])
    for number in range(100):
        assert keywords[f"bot {number}"]
        assert not keywords[f"browser {number}"]
    assert len(keywords) <= 10
    long = "bot" * 1_000
    assert keywords[long]
    assert long not in keywords


@pytest.mark.parametrize("keyword", ["", " ", "\t "])
def test_a_keyword_of_spaces_is_refused(keyword):
    with pytest.raises(ValidationError):
        UntrackedUserAgent(keyword=keyword).full_clean(validate_unique=False)


def test_spaces_around_a_keyword_are_taken_off():
    word = UntrackedUserAgent(keyword=" monitor ")
    word.full_clean(validate_unique=False)
    assert word.keyword == "monitor"


def test_the_snapshot_is_the_one_that_is_told_of():
    assert untracked_agents.snapshot.name == "filters"
