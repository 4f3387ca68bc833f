"""Code blocks of the documentation."""

from pathlib import Path
from typing import NamedTuple

from docutils import nodes
from docutils.core import publish_doctree

ROOT = Path(__file__).parent.parent.parent


class Block(NamedTuple):
    """One code block: its language, the file that it belongs to (or ""), and its text."""

    language: str
    name: str
    text: str


def blocks(path: Path) -> list[Block]:
    """Return the code blocks of a document, whose mark-up must be without errors."""
    tree = publish_doctree(
        path.read_text(), settings_overrides={"halt_level": 2, "report_level": 2}
    )
    return [
        Block(
            node["classes"][-1] if len(node["classes"]) > 1 else "",
            node["names"][0] if node["names"] else "",
            node.astext(),
        )
        for node in tree.findall(nodes.literal_block)
    ]
