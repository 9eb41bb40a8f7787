"""The connection of a thread that goes on to wait, or to serve somebody else."""

from django.db import connection


def release_connection() -> None:
    """Give this thread's connection back where web processes share a few, and let go of one that broke.

    Not one in the middle of a transaction, as in a test that rolls everything back.
    """
    if connection.connection is not None and not connection.in_atomic_block:
        connection.close_if_unusable_or_obsolete()
