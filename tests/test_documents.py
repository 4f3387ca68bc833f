"""The documentation: its code runs, its links work, nothing is missing."""

import doctest
import importlib
import pkgutil
import re
import subprocess
import sys

import pytest
from babel.messages.pofile import read_po
from django.core.checks import run_checks
from django.template import Context, Template
from django.test import override_settings
from django.test.utils import isolate_apps

import tracking
from tests.site.models import Affiliate, Offer, Product, Subscriber
from tests.support import documents
from tracking import conf

PAGES = sorted((documents.ROOT / "docs").glob("*.rst"))

#: What the README takes for granted: a project with one app and one model.
NEWSLETTER_MODELS = """
from django.db import models

class Subscriber(models.Model):
    email = models.EmailField()
    name = models.CharField(max_length=100)
"""

#: What a reader of the mail does, between sending and looking.
DRIVER = """
import doctest, os, re
from pathlib import Path
os.environ["DJANGO_SETTINGS_MODULE"] = "mysite.settings"
import django
django.setup()
from django.test.utils import setup_test_environment
setup_test_environment()
from django.core import mail
from django.test import Client
from newsletter.models import Subscriber
from tracking.models import Beacon

subscriber = Subscriber.objects.create(email="anna@mail.example", name="Anna")
exec(Path("send.py").read_text())
[message] = mail.outbox
html = message.alternatives[0][0]
for url in re.findall(r'(?:href|src)="https://www.example.com(/t/[^"]+)"', html):
    response = Client(headers={"host": "testserver"}).get(url)
    print(response.status_code, response.get("Location"))
exec(Path("look.py").read_text())
doctest.run_docstring_examples(Path("look.pycon").read_text(), globals())
"""


@pytest.mark.slow
def test_the_readme_works_for_a_newcomer(tmp_path):
    def run(*command):
        result = subprocess.run(
            [sys.executable, "-W", "error", *command],
            cwd=tmp_path,
            check=False,
            capture_output=True,
            text=True,
            env={"PATH": "", "PYTHONPATH": str(documents.ROOT)},
        )
        assert result.returncode == 0, result.stderr
        assert "Traceback" not in result.stderr
        return result.stdout

    run("-m", "django", "startproject", "mysite", ".")
    run("manage.py", "startapp", "newsletter")
    (tmp_path / "newsletter/models.py").write_text(NEWSLETTER_MODELS)
    (tmp_path / "newsletter/templates").mkdir()
    places = {
        "settings.py": "mysite/settings.py",
        "settings.py, below MIDDLEWARE": "mysite/settings.py",
        "urls.py": "mysite/urls.py",
    }
    for block in documents.blocks(documents.ROOT / "README.rst"):
        if block.language == "pycon":
            (tmp_path / "look.pycon").write_text(block.text)
        elif block.name:
            with (tmp_path / places.get(block.name, block.name)).open("a") as file:
                file.write("\n" + block.text + "\n")
    with (tmp_path / "mysite/settings.py").open("a") as file:
        file.write('\nINSTALLED_APPS += ["newsletter"]\n')
    run("manage.py", "makemigrations", "newsletter")
    run("manage.py", "migrate")
    assert "no issues" in run("manage.py", "check", "--fail-level", "WARNING")
    (tmp_path / "driver.py").write_text(DRIVER)
    assert run("driver.py").splitlines() == [
        "Opened or clicked: spring",
        "302 https://shop.example/tea",
        "Opened or clicked: spring",
        "200 None",
        "anna@mail.example: 1 opens, 1 clicks",
    ]


@pytest.mark.django_db
@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_the_code_of_every_page_runs(page, callbacks, restore_receivers):
    instances = {
        "affiliate": Affiliate.objects.create(name="Leaf Letter"),
        "subscriber": Subscriber.objects.create(email="anna@mail.example"),
        "product": Product.objects.create(sku="tea"),
        "offer": Offer.objects.create(url="https://shop.example/offer"),
    }
    # Models of the documents are made in the app of the tests, and forgotten afterwards.
    namespace = {
        "__name__": "tests.site.models",
        "Affiliate": Affiliate,
        "Offer": Offer,
        "Product": Product,
        "Subscriber": Subscriber,
        **instances,
    }
    for block in documents.blocks(page):
        if block.language == "html+django":
            html = Template("{% load tracking_tags %}" + block.text).render(Context(instances))
            assert ("/t/" in html) == ("{% tracking_" in block.text)
        elif block.name == "settings.py":
            values: dict = {}
            exec(block.text, values)
            names = {name: value for name, value in values.items() if name.isupper()}
            with override_settings(**names):
                assert not [m for m in run_checks() if str(m.id).startswith("tracking")]
        elif block.language == "python":
            with isolate_apps("tests.site"):
                exec(block.text, namespace)


def test_every_setting_and_every_check_is_documented():
    text = (documents.ROOT / "docs/settings.rst").read_text()
    assert set(re.findall(r"^``([A-Z_]+)`` \(", text, re.MULTILINE)) == conf.NAMES
    # A backend checks itself.
    rooms = (documents.ROOT / "tracking").glob("[cb]*/**/*.py")
    source = "".join(room.read_text() for room in rooms)
    in_source = set(re.findall(r'id="(tracking\.[EW]\d+)"', source))
    assert set(re.findall(r"^``(tracking\.[EW]\d+)``", text, re.MULTILINE)) == in_source
    assert len(in_source) > 5


@pytest.mark.parametrize(
    "page", [documents.ROOT / "README.rst", *PAGES], ids=lambda page: page.stem
)
def test_links_between_documents_lead_somewhere(page):
    links = re.findall(r"<([\w/.-]+\.rst)>|^\.\. _.+: (\S+\.rst)$", page.read_text(), re.MULTILINE)
    for link in (a or b for a, b in links):
        assert (page.parent / link).exists(), link


@pytest.mark.parametrize(
    "page", [documents.ROOT / "README.rst", *PAGES], ids=lambda page: page.stem
)
def test_labels_are_those_of_the_admin(page):
    """Words in italics with a capital are labels: *Show all*."""
    catalogue = documents.ROOT / "tracking/locale/de/LC_MESSAGES/django.po"
    with catalogue.open("rb") as file:
        texts = {str(message.id).lower().rstrip(".") for message in read_po(file)}
        texts |= {"csv", "cpu"}  # the same in every language
    labels = re.findall(r"(?<![*\w])\*([A-Z][^*\n]+)\*(?!\*)", page.read_text())
    assert [label for label in labels if label.lower() not in texts] == []


def test_every_page_is_listed():
    for index in ("README.rst", "docs/index.rst"):
        text = (documents.ROOT / index).read_text()
        missing = [page.name for page in PAGES if page.stem != "index" and page.name not in text]
        assert not missing, f"{missing} are not in {index}"


MODULES = [
    name
    for _, name, _ in pkgutil.walk_packages(tracking.__path__, "tracking.")
    if ".migrations" not in name
]


@pytest.mark.parametrize("name", ["tracking", *MODULES])
def test_every_public_thing_has_a_docstring_and_its_examples_are_true(name):
    module = importlib.import_module(name)
    assert module.__doc__, f"{name} does not say what it is for"
    for public, member in vars(module).items():
        if public.startswith("_") or getattr(member, "__module__", None) != name:
            continue
        assert member.__doc__, f"{name}.{public} has no docstring"
    failed, _ = doctest.testmod(module, optionflags=doctest.ELLIPSIS)
    assert failed == 0
