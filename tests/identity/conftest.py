"""Fixtures of all of identity's tests."""

from tests.support.database import database_server, database_url

__all__ = ["database_server", "database_url"]
