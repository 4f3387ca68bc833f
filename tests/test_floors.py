"""Imports go to the same floor or below, never up."""

import ast
from pathlib import Path

import pytest

import tracking

PACKAGE = Path(tracking.__file__).parent

FLOORS = {
    "conf": 0,
    "packing": 0,
    "destinations": 0,
    "isolation": 0,
    "tokens": 0,
    "client": 0,
    "verdicts": 0,
    "agents": 0,
    "geo": 0,
    "pages": 0,
    "identity": 0,
    "consent": 0,
    "conclusions": 0,
    "hits": 0,
    "registry": 0,
    "models": 1,
    "columns": 1,
    "objects": 1,
    "signals": 1,
    "spool": 2,
    "recording": 2,
    "delivery": 2,
    "batches": 2,
    "confirming": 2,
    "draining": 2,
    "backends": 2,
    "announcements": 2,
    "snapshots": 2,
    "salts": 2,
    "ban_list": 2,
    "ban_files": 2,
    "bans": 2,
    "filters": 2,
    "remembering": 2,
    "presence": 2,
    "partitions": 2,
    "audience": 2,
    "retention": 2,
    "rollups": 2,
    "tasks": 2,
    "answers": 0,
    "observing": 3,
    "links": 3,
    "views": 3,
    "edge": 3,
    "middleware": 3,
    "visiting": 3,
    "live": 3,
    "health": 3,
    "metrics": 3,
    "urls": 3,
    "templatetags": 3,
    "charts": 4,
    "reports": 4,
    "admin": 4,
    "management": 4,
    "apps": 5,
    "checks": 5,
}

#: What the package itself offers, so that ``from tracking import TrackingPixel`` works.
FRONT_DOOR = "__init__"


def room_of(path: Path) -> str:
    relative = path.relative_to(PACKAGE)
    return relative.parts[0].removesuffix(".py")


def imported_rooms(tree: ast.AST) -> set[str]:
    """Return the rooms that a module imports, at its top or inside of functions."""
    rooms = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0, "relative imports hide which floor they lead to"
            if node.module == "tracking":
                rooms |= {alias.name for alias in node.names}
            elif node.module and node.module.startswith("tracking."):
                rooms.add(node.module.split(".")[1])
        elif isinstance(node, ast.Import):
            rooms |= {
                alias.name.split(".")[1]
                for alias in node.names
                if alias.name.startswith("tracking.")
            }
    return rooms


MODULES = sorted(
    path for path in PACKAGE.rglob("*.py") if room_of(path) not in {"migrations", FRONT_DOOR}
)


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_never_climb_a_floor(path):
    room = room_of(path)
    assert room in FLOORS, f"{room} stands on no floor yet"
    for imported in imported_rooms(ast.parse(path.read_text())):
        assert FLOORS[imported] <= FLOORS[room], f"{room} climbs up to {imported}"


def test_the_front_door_opens_to_the_ground_floor_only():
    tree = ast.parse((PACKAGE / "__init__.py").read_text())
    assert {FLOORS[room] for room in imported_rooms(tree)} == {0}


def test_the_check_sees_a_climb():
    tree = ast.parse("def f():\n    from tracking.views import pixel\n    import tracking.admin.x")
    assert imported_rooms(tree) == {"views", "admin"}
