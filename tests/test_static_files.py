"""Templates, style sheets and scripts agree with each other, and with any theme of the admin."""

import re
from pathlib import Path

import pytest
from django.contrib.staticfiles import finders

import tracking

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = Path(tracking.__file__).parent
SHOP = ROOT / "example_project" / "shop"

TEMPLATES = sorted(
    path
    for folder in (PACKAGE / "templates", SHOP / "templates")
    for path in folder.rglob("*")
    if path.is_file()
)
SHEETS = sorted((PACKAGE / "static" / "tracking").glob("*.css"))
SCRIPTS = sorted((PACKAGE / "static" / "tracking").glob("*.js"))
MODULES = sorted(PACKAGE.rglob("*.py"))

#: A class of ours. One that ends in "-" is completed when the page is made.
CLASS = re.compile(r"\btracking-[a-z0-9-]+")

#: Classes put together from "tracking-" and a word: cells by what they hold, lines of a chart.
PUT_TOGETHER = {
    f"tracking-{word}"
    for word in ("number", "text", "time", "state", "area", "before", "line", "unfinished")
}


def name(path):
    return path.relative_to(ROOT).as_posix()


def without_comments(sheet):
    return re.sub(r"/\*.*?\*/", "", sheet.read_text(), flags=re.DOTALL)


def classes_of(sheet):
    return set(re.findall(r"\.(tracking-[a-z0-9-]+)", without_comments(sheet)))


def attributes(text):
    """Return what stands in class attributes, of HTML or of scripts that make it."""
    patterns = (
        r'class="((?:[^"{]|\{\{.*?\}\}|\{%.*?%\}|\{\w*\})*)"',
        r'className = "([^"]*)"',
        r'className: "([^"]*)"',
        r'classList\.\w+\("([^"]*)"',
        r'element\("\w+", "([^"]*)"',
        r'link\(to, \w+, "([^"]*)"',
    )
    return [found for pattern in patterns for found in re.findall(pattern, text)]


def used_classes():
    """Return the classes that pages have, and the beginnings of those that are put together."""
    whole, begun = set(PUT_TOGETHER), set()
    for path in (*TEMPLATES, *SCRIPTS, *MODULES):
        text = path.read_text()
        names = attributes(text)
        if "charts" in path.parts:  # some stand in a text of their own
            names += re.findall(r'"(tracking-[a-z0-9- ]+)"', text)
        for found in CLASS.findall(" ".join(names)):
            (begun if found.endswith("-") else whole).add(found)
    return whole, begun


def test_everything_is_looked_at():
    assert len(TEMPLATES) > 30
    assert {path.name for path in SHEETS} > {"tracking.css", "reports.css", "active_visitors.css"}
    assert len(SCRIPTS) == 3


@pytest.mark.parametrize("template", TEMPLATES, ids=name)
def test_no_line_of_a_template_is_long(template):
    lines = enumerate(template.read_text().splitlines(), start=1)
    assert [number for number, line in lines if len(line) > 120] == []


@pytest.mark.parametrize("template", TEMPLATES, ids=name)
def test_files_that_a_template_names_exist(template):
    names = re.findall(r"""\{% static ["']([^"']+)["']""", template.read_text())
    ours = [file for file in names if not file.startswith("js_lib_leaflet/")]  # an extra
    assert [
        file for file in ours if not (finders.find(file) or (SHOP / "static" / file).exists())
    ] == []


@pytest.mark.parametrize("template", TEMPLATES, ids=name)
def test_templates_that_a_template_names_exist(template):
    names = re.findall(r'"((?:admin/)?tracking/[\w/]+\.html)"', template.read_text())
    assert [file for file in names if not (PACKAGE / "templates" / file).exists()] == []


@pytest.mark.parametrize("sheet", SHEETS, ids=name)
def test_what_a_theme_may_lack_has_a_fallback(sheet):
    """Themes of the admin need not define Django's variables: without, a map would be black."""
    bare = re.findall(r"var\(\s*(--[\w-]+)\s*\)", without_comments(sheet))
    assert [variable for variable in bare if not variable.startswith("--tracking-")] == []


def test_variables_of_ours_are_defined_once_and_used():
    text = "\n".join(without_comments(sheet) for sheet in SHEETS)
    defined = re.findall(r"^\s*(--tracking-[\w-]+):", text, re.MULTILINE)
    assert sorted(defined) == sorted(set(defined))
    assert set(re.findall(r"var\(\s*(--tracking-[\w-]+)", text)) == set(defined)


def test_colours_are_tokens():
    """Each colour is written once, in the tokens. The shade behind a dialog is an exception."""
    for sheet in SHEETS:
        rest = re.sub(
            r"^:root \{.*?^\}", "", without_comments(sheet), flags=re.DOTALL | re.MULTILINE
        )
        rest = re.sub(r"::backdrop \{.*?\}", "", rest, flags=re.DOTALL)
        assert re.findall(r"#[0-9a-f]{3,8}\b|\brgb\(|\bhsl\(", rest) == [], sheet.name


def test_there_are_three_sizes_of_type():
    sizes = {
        size
        for sheet in SHEETS
        for size in re.findall(r"font-size:\s*([^;]+);", without_comments(sheet))
    }
    assert sizes == {
        "inherit",
        "var(--tracking-small)",
        "var(--tracking-text)",
        "var(--tracking-large)",
    }


@pytest.mark.parametrize("sheet", SHEETS, ids=name)
def test_space_is_on_a_grid_of_four_pixels(sheet):
    lengths = re.findall(
        r"^\s*(?:margin|padding|gap|height|width|min-\w+|line-height)[\w-]*:([^;]+);",
        without_comments(sheet),
        re.MULTILINE,
    )
    pixels = [int(px) for value in lengths for px in re.findall(r"\b(\d+)px", value)]
    # A pixel is that of a border, or what nobody sees; 30 is a control of 32 within its border.
    assert [px for px in pixels if px % 4 and px not in {1, 30}] == []


def test_every_class_with_a_rule_is_used():
    whole, begun = used_classes()
    ruled = {found for sheet in SHEETS for found in classes_of(sheet)}
    assert {
        found
        for found in ruled - whole
        if not any(found.startswith(beginning) for beginning in begun)
    } == set()


def test_every_class_that_is_used_has_a_rule():
    whole, _begun = used_classes()
    ruled = {found for sheet in SHEETS for found in classes_of(sheet)}
    assert whole - ruled == set()


def test_a_class_belongs_to_one_sheet():
    """What several pages need stands in the sheet that they share, and others build on it."""
    owners = {}
    for sheet in SHEETS:
        for found in re.findall(
            r"^\.(tracking-[a-z0-9-]+) \{", without_comments(sheet), re.MULTILINE
        ):
            owners.setdefault(found, set()).add(sheet.name)
    assert {found: names for found, names in owners.items() if len(names) > 1} == {}


@pytest.mark.parametrize("path", [*TEMPLATES, *SCRIPTS], ids=name)
def test_nothing_is_styled_or_run_inline(path):
    """A strict Content-Security-Policy forbids it. Mail is no page, and has nothing else."""
    if "mail" in path.parts:
        pytest.skip("mail")
    text = path.read_text()
    assert re.findall(r"<style|\sstyle=|\son\w+=\"|setAttribute\(\"style\"|javascript:", text) == []
    assert re.findall(r"<script(?![^>]* src=)", text) == []
