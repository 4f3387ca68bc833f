"""The command tracking_drain."""

import pytest
from django.core.management import CommandError, call_command
from django.db import OperationalError

from tests.support.buffered import QUICK, FakeTable
from tracking.backends import get_backend
from tracking.hits import Hit, Kind
from tracking.models import Beacon
from tracking.pipeline.spool import (
    Rejected,
    SiteIdentity,
    Spool,
    encode_hit,
    folder_status,
    save_rejected,
)

#: The command looks at clicks whose verdict may change, too.
pytestmark = pytest.mark.django_db


def hits(number, **values):
    return [Hit(kind=Kind.OPEN, data={"n": n}, **values) for n in range(number)]


@pytest.fixture
def table(monkeypatch):
    return FakeTable.instead_of_the_database(monkeypatch)


@pytest.fixture
def backend(settings, tmp_path):
    settings.TRACKING_SPOOL = str(tmp_path / "spool")
    settings.TRACKING_BACKEND = QUICK
    backend = get_backend()
    yield backend
    backend.close()


@pytest.mark.django_db(transaction=True)
def test_draining_by_hand(backend, capsys):
    left = Spool(backend.spool.folder)
    left.append(hits(1_234))
    left.close()
    call_command("tracking_drain")
    assert Beacon.objects.count() == 1_234
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert lines[:2] == [["files", "1"], ["hits", "written", "1,234"]]


def test_draining_says_that_the_database_is_away(backend, table):
    left = Spool(backend.spool.folder)
    left.append(hits(3))
    left.close()
    table.error = OperationalError("gone")
    with pytest.raises(CommandError, match=r"stay in the spool.*gone"):
        call_command("tracking_drain", verbosity=0)
    assert folder_status(backend.spool.folder).waiting == 3
    save_rejected(backend.spool.folder, [Rejected(encode_hit(hits(1)[0]), "x")])
    with pytest.raises(CommandError, match="gone"):
        call_command("tracking_replay", verbosity=0)
    assert folder_status(backend.spool.folder).rejected == 1


def test_hits_of_another_site_are_written_only_when_asked_for(backend, table, capsys):
    other = SiteIdentity.of("postgresql", {"NAME": "blog"}, ["x"])
    left = Spool(backend.spool.folder, site=other)
    left.append(hits(3))
    left.close()
    call_command("tracking_drain")
    assert capsys.readouterr().out.split()[:2] == ["files", "0"]
    call_command("tracking_drain", "--any-site")
    assert table.numbers == [0, 1, 2]


def test_a_file_without_hits_is_named_by_the_replay(backend, table, capsys):
    backend.spool.folder.mkdir()
    (backend.spool.folder / "a.hits").write_text("something else altogether")
    call_command("tracking_replay")
    assert "Files that cannot be read: 1" in capsys.readouterr().err
