"""The code blocks of the documents, for the tests that run them."""

from pathlib import Path
from typing import NamedTuple

from docutils import nodes
from docutils.core import publish_doctree

ROOT = Path(__file__).parent.parent.parent


class Block(NamedTuple):
    """One code block: what it is written in, the file it is for (or ""), and its text."""

    language: str
    name: str
    text: str


def blocks(path: Path) -> list[Block]:
    """Return the code blocks of a document; its mark-up must be without fault."""
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
