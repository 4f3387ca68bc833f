"""The squashed migration makes the tables that the five before it made, and old databases move over."""

import json
import os
import re
import shlex
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from tests import settings as test_settings

HERE = Path(__file__).parent
ROOT = HERE.parent.parent

pytestmark = pytest.mark.slow

#: The migrations of a database made before they were squashed.
OLD = ("0001_initial", "0002_visitors", "0003_lean_beacons", "0004_receipts", "0005_daily_counts")

#: What the old migrations left behind on MariaDB, which keeps the index of a constraint that is
#: dropped. The models have none of them, and no query used them.
LEFT_BEHIND = {
    "tracking_beacon_entity_type_id_ced801c8",
    "tracking_beacon_source_type_id_c9ea6a6f",
    "tracking_beacon_target_type_id_74649328",
}

MANAGE = """
import sys
from django.core.management import execute_from_command_line
from tests import settings
settings.DATABASES["default"] = {"ENGINE": "django.db.backends.sqlite3", "NAME": sys.argv[1]}
execute_from_command_line(["manage.py", *sys.argv[2:]])
"""


def python(*arguments, **environment):
    done = subprocess.run(
        [sys.executable, *arguments],
        cwd=ROOT,
        env={**os.environ, "DJANGO_SETTINGS_MODULE": "tests.settings", **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def documented():
    """Return the commands that the documents give for an old database."""
    page = (ROOT / "docs" / "moving-here.rst").read_text()
    return [shlex.split(line)[2:] for line in re.findall(r"python manage\.py .*", page)]


def test_a_new_database_has_the_columns_and_indexes_of_the_old_migrations():
    name = f"squash_{os.environ.get('PYTEST_XDIST_WORKER', '')}_{os.getpid()}"
    found = json.loads(
        python("-m", "tests.support.schema", "0001_initial", TRACKING_TEST_NAME=name)
    )
    engine = test_settings.DATABASES["default"]["ENGINE"].rpartition(".")[2]
    before = json.loads((HERE / "schema_before_squash.json").read_text())
    before = before[{"sqlite3": "sqlite"}.get(engine, engine)]
    before["indexes"] = [index for index in before["indexes"] if index[1] not in LEFT_BEHIND]
    assert found == before


@pytest.fixture
def old_database(tmp_path):
    """A database of the last day before the squash, with a row in each of some tables."""
    path = tmp_path / "old.sqlite3"
    manage(path, "migrate", "--verbosity=0", "auth")
    manage(path, "migrate", "--verbosity=0", "contenttypes")
    with sqlite3.connect(path) as database:
        database.executescript((HERE / "database_before_squash.sql").read_text())
        database.executemany(
            "INSERT INTO django_migrations (app, name, applied) VALUES ('tracking', ?, '2026-11-01')",
            [(name,) for name in OLD],
        )
        database.execute(
            "INSERT INTO tracking_bannedip (network, reason, created_at)"
            " VALUES ('192.0.2.7', 'Scrapes', '2026-11-01')"
        )
        database.execute(
            "INSERT INTO tracking_agreed VALUES ('bans', 'a token', '2026-11-01 00:00:00')"
        )
    database.close()
    return path


def manage(path, *arguments):
    return python("-c", MANAGE, str(path), *arguments)


def test_an_old_database_moves_over_by_the_documented_commands(old_database):
    commands = documented()
    assert any("--prune" in command for command in commands)
    for command in commands:
        manage(old_database, *command)
    assert "[ ]" not in manage(old_database, "showmigrations", "tracking")
    code = (
        "from tracking.bans import is_banned; from tracking.caching import snapshots; "
        "from tracking.hits import Hit; from tracking.models import Beacon; "
        "from tracking.recording import write; snapshots.refresh(); write([Hit(kind='open')]); "
        "print(is_banned('192.0.2.7'), Beacon.objects.count())"
    )
    assert manage(old_database, "shell", "--no-imports", "-v0", "-c", code).split() == ["True", "1"]
    with sqlite3.connect(old_database) as database:
        names = database.execute("SELECT name FROM django_migrations WHERE app = 'tracking'")
        assert not {name for (name,) in names} & set(OLD[1:])
    database.close()


def test_moving_over_twice_changes_nothing(old_database):
    for command in documented() * 2:
        manage(old_database, *command)
    assert "[ ]" not in manage(old_database, "showmigrations", "tracking")
