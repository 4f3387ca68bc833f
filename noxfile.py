"""The tests on every supported Python and Django: ``nox``.

One of them: ``nox -s "tests(python='3.13', django='6.1')"``.

``TRACKING_TEST_DATABASE`` chooses the database, arguments after ``--`` go to pytest.
"""

import nox

nox.options.default_venv_backend = "venv"

PYPROJECT = nox.project.load_toml("pyproject.toml")

#: Django 6.1 needs Python 3.12.
MATRIX = [
    ("3.11", "5.2"),
    ("3.12", "5.2"),
    ("3.13", "5.2"),
    ("3.12", "6.1"),
    ("3.13", "6.1"),
]


@nox.session
@nox.parametrize("python,django", MATRIX)
def tests(session: nox.Session, django: str) -> None:
    """Run the tests."""
    session.install(
        "-e", ".[all]", f"django~={django}.0", *nox.project.dependency_groups(PYPROJECT, "test")
    )
    session.run(
        "python", "-m", "pytest", *(session.posargs or ["-n", "auto", "--dist", "loadgroup"])
    )
