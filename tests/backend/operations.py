"""How a test's database is emptied after a test that commits."""

from collections.abc import Iterable, Sequence
from functools import cached_property
from typing import Final

from django.core.management.color import Style
from django.db import transaction
from django.db.backends.postgresql.operations import DatabaseOperations

# What the migrations fill, and no test that commits changes.
KEPT: Final = frozenset({"django_content_type", "auth_permission", "auth_group", "auth_group_permissions"})
# Up to this size to read a whole table costs less than the new files of a TRUNCATE.
DELETED_BYTES_MAX: Final = 1_000_000

# - The locks are those of the TRUNCATE that Django would send: whoever still writes is waited for, and its rows go too.
# - A superuser needs no triggers, for nothing that a row could refer to stays. Others have them, which costs but time.
# - The rules have a new revision whoever deletes them, as after a TRUNCATE: what a process has kept of them is out of
#   date. The row that holds it is therefore never deleted.
EMPTY: Final = """
DO $$
DECLARE
    a_table regclass;
BEGIN
    LOCK TABLE {tables} IN ACCESS EXCLUSIVE MODE;
    IF current_setting('is_superuser')::boolean THEN
        SET LOCAL session_replication_role = replica;
    END IF;
    FOREACH a_table IN ARRAY ARRAY[{names}]::regclass[] LOOP
        IF pg_relation_size(a_table) > {bytes_max} THEN
            EXECUTE format('TRUNCATE %s CASCADE', a_table);
        ELSIF pg_relation_size(a_table) > 0 THEN
            EXECUTE format('DELETE FROM %s', a_table);
        END IF;
    END LOOP;
    INSERT INTO core_configurationrevision (id, revision)
    VALUES (1, nextval('core_configurationrevision_numbers'))
    ON CONFLICT (id) DO UPDATE SET revision = excluded.revision;
END $$
"""


class EmptyingOperations(DatabaseOperations):
    """Empties tables by DELETE, where Django would give all of them new files by TRUNCATE and wait for the disk."""

    def sql_flush(
        self, style: Style, tables: Sequence[str], *, reset_sequences: bool = False, allow_cascade: bool = False
    ) -> list[str]:
        """Return no statement, by which `flush` knows that it need not fill again what is `KEPT`."""
        if reset_sequences:
            raise NotImplementedError("Sequences go on counting; a test must not rely on their numbers.")
        return []

    def execute_sql_flush(self, sql_list: Iterable[str]) -> None:
        """Empty all tables but those that are `KEPT`."""
        with transaction.atomic(self.connection.alias), self.connection.cursor() as cursor:
            cursor.execute(self._emptying)

    @cached_property
    def _emptying(self) -> str:
        tables = set(self.connection.introspection.django_table_names()) - KEPT - {"core_configurationrevision"}
        names = [self.quote_name(table) for table in sorted(tables)]
        return EMPTY.format(
            tables=", ".join(names), names=", ".join(f"'{name}'" for name in names), bytes_max=DELETED_BYTES_MAX
        )
