"""CONTRIBUTING.rst names what exists, and the whole tree."""

import importlib
import re

import pytest
from docutils import nodes
from docutils.core import publish_doctree

from tests.support.documents import ROOT

TEXT = (ROOT / "CONTRIBUTING.rst").read_text()
TREE = publish_doctree(TEXT, settings_overrides={"halt_level": 2, "report_level": 2})


def section(title):
    """Return the section with this title."""
    return next(node for node in TREE.findall(nodes.section) if node[0].astext() == title)


def test_the_tree_lists_everything_at_the_top_of_the_package():
    block = next(section("The tree").findall(nodes.literal_block)).astext()
    listed = {line.split()[0]: line.split(maxsplit=1)[1] for line in block.splitlines()}
    folder = ROOT / "tracking"
    there = {
        f"{path.name}/" if path.is_dir() else path.name
        for path in folder.iterdir()
        if path.name not in {"__init__.py", "__pycache__", "py.typed"}
    }
    assert set(listed) == there
    assert list(listed) == sorted(listed)
    assert all(listed.values())


@pytest.mark.parametrize("name", sorted(set(re.findall(r"``(tracking(?:\.\w+)+)``", TEXT))))
def test_every_dotted_name_exists(name):
    parts = name.split(".")
    for length in range(len(parts), 0, -1):
        try:
            found = importlib.import_module(".".join(parts[:length]))
        except ModuleNotFoundError:
            continue
        for part in parts[length:]:
            found = getattr(found, part)
        return
    raise AssertionError(name)


@pytest.mark.parametrize("path", sorted(set(re.findall(r"``([\w./-]*/[\w./-]*)``", TEXT))))
def test_every_path_exists(path):
    assert (ROOT / path).exists()


def test_every_target_of_make_exists():
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert set(re.findall(r"(?:``|^    |PORT=\d+ )make ([a-z]+)\b", TEXT, re.MULTILINE)) <= targets


@pytest.mark.parametrize("title", ["The path of a pixel", "The path of a page view"])
def test_a_path_has_eight_lines(title):
    [path] = section(title).findall(nodes.enumerated_list)
    assert len(path) == 8


def test_the_variables_of_the_tests_are_read():
    names = set(re.findall(r"``(TRACKING_(?:TEST|REQUIRE)_\w+)``", TEXT))
    source = "".join(path.read_text() for path in (ROOT / "tests").rglob("*.py"))
    assert {name for name in names if f'"{name}"' not in source} == set()
    assert len(names) == 7


def test_the_hooks_call_the_tools_of_make_check():
    hooks = (ROOT / ".pre-commit-config.yaml").read_text()
    commands = re.findall(r"entry: \.venv/bin/(.+)", hooks)
    check = (ROOT / "Makefile").read_text().partition("\ncheck:")[2].partition("\n\n")[0]
    tools = {command.split(" --force")[0] for command in commands}
    assert len(tools) == 6
    for tool in tools:
        assert f"$(BIN)/{tool}" in check, tool
