"""The database engine `tests.backend.given`."""

from django.db.backends.postgresql import base

from tests.backend.operations import EmptyingOperations


class DatabaseWrapper(base.DatabaseWrapper):
    """A connection to the server that DATABASE_URL names."""

    ops_class = EmptyingOperations
