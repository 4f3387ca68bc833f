"""Rows written without the ORM are, byte by byte, those that it would have written."""

from tests.places import database_of_places  # noqa: F401
