"""The database engine `core.embedded_backend`; its settings come from `EmbeddedPostgres.connection_settings()`."""

from functools import cache
from pathlib import Path
from typing import Any

from django.db.backends.postgresql import base

from core.embedded_postgres import EmbeddedPostgres


@cache
def embedded_postgres(var_dir: str) -> EmbeddedPostgres:
    return EmbeddedPostgres(Path(var_dir))


class DatabaseWrapper(base.DatabaseWrapper):
    """A connection to the embedded server."""

    def get_new_connection(self, conn_params: dict[str, Any]) -> Any:
        server = embedded_postgres(self.settings_dict["EMBEDDED_VAR_DIR"])
        server.ensure_running()
        try:
            return super().get_new_connection(conn_params)
        except self.Database.OperationalError:
            # That nobody stops the server while we hold it does not keep it from being killed.
            if not server.revive():
                raise
            return super().get_new_connection(conn_params)
