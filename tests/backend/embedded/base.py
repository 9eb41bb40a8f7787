"""The database engine `tests.backend.embedded`."""

from core.embedded_backend import base
from tests.backend.operations import EmptyingOperations


class DatabaseWrapper(base.DatabaseWrapper):
    """A connection to the embedded server."""

    ops_class = EmptyingOperations
