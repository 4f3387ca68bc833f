"""``manage.py tracking_consent``."""

import csv
import io
import json

import pytest
from django.core.management import CommandError, call_command

from tests.site.models import Subscriber
from tracking import recipient_consent
from tracking.csv_cells import unguard

pytestmark = pytest.mark.django_db


def run(*arguments):
    out, err = io.StringIO(), io.StringIO()
    call_command("tracking_consent", *arguments, stdout=out, stderr=err)
    return out.getvalue(), err.getvalue()


@pytest.fixture
def anna():
    anna = Subscriber.objects.create(email="anna@a.example")
    recipient_consent.grant(anna, how='=HYPERLINK("http://x.example")', text="Grüße, v1")
    recipient_consent.deny("ben@b.example", clicks=False)
    recipient_consent.withdraw(anna)
    return anna


def test_an_export_has_all_changes_and_no_formula(anna):
    text, _ = run()
    rows = list(csv.DictReader(io.StringIO(text)))
    name = f"site.subscriber:{anna.pk}"
    said = [(row["recipient"].partition(":")[0], row["opens"], row["clicks"]) for row in rows]
    assert said == [
        ("site.subscriber", "granted", "granted"),
        ("address", "denied", "unknown"),
        ("site.subscriber", "denied", "denied"),
    ]
    assert rows[0]["recipient"] == name
    assert rows[0]["how"].startswith("'=")
    assert unguard(rows[0]["how"]) == '=HYPERLINK("http://x.example")'
    assert "ben@b.example" not in text


def test_json_and_files(anna, tmp_path):
    path = tmp_path / "consent.json"
    run("--format", "json", "--output", str(path))
    printed, _ = run("--format", "json")
    rows = json.loads(path.read_text())
    assert rows == json.loads(printed)
    assert [row["text"] for row in rows] == ["Grüße, v1", "", ""]
    with pytest.raises(CommandError):
        run("--output", str(tmp_path / "missing" / "x.csv"))


def test_an_empty_ledger():
    assert json.loads(run("--format", "json")[0]) == []
    assert len(run()[0].splitlines()) == 1


def test_one_recipient(anna):
    text, summary = run("--recipient", "Ben@B.example", "--format", "json")
    assert len(json.loads(text)) == 1
    assert "opens denied, clicks unknown" in summary
    text, summary = run("--recipient", f"Site.Subscriber:{anna.pk}", "--format", "json")
    assert [row["opens"] for row in json.loads(text)] == ["granted", "denied"]
    with pytest.raises(CommandError, match="no e-mail address"):
        run("--recipient", "anna")
