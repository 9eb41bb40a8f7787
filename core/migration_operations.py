"""Migration operations that more than one app uses."""

from typing import Any

from django.db.migrations import RunPython, RunSQL

CREATE_BUMP = """
CREATE SEQUENCE core_configurationrevision_numbers;
CREATE FUNCTION core_bump_configuration_revision() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    -- The row's lock orders concurrent changes; the sequence never repeats a number, not even after a TRUNCATE.
    INSERT INTO core_configurationrevision (id, revision) VALUES (1, nextval('core_configurationrevision_numbers'))
    ON CONFLICT (id) DO UPDATE SET revision = nextval('core_configurationrevision_numbers');
    RETURN NULL;
END $$;
"""
DROP_BUMP = """
DROP FUNCTION core_bump_configuration_revision();
DROP SEQUENCE core_configurationrevision_numbers;
"""


def create_bump_function() -> RunSQL:
    """Create the function that gives the configuration its next revision."""
    return RunSQL(CREATE_BUMP, DROP_BUMP)


def bump_revision_on_change(table: str) -> RunSQL:
    """Give the configuration a new revision in the transaction of every statement that changes `table`."""
    name = f"{table}_bump_configuration_revision"
    return RunSQL(
        f"CREATE TRIGGER {name} AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON {table} "
        "FOR EACH STATEMENT EXECUTE FUNCTION core_bump_configuration_revision()",
        f"DROP TRIGGER {name} ON {table}",
    )


def bump_revision_on_change_where(table: str, condition: str) -> list[RunSQL]:
    """As `bump_revision_on_change`, but only for changes of rows for which `condition` holds; it says `row` for one.

    For tables that also have rows of single users, which are not part of the rule book.
    """
    rows_of = {"INSERT": ("NEW",), "UPDATE": ("OLD", "NEW"), "DELETE": ("OLD",)}
    operations = []
    for event, rows in rows_of.items():
        name = f"{table}_bump_on_{event.lower()}"
        when = " OR ".join(condition.replace("row.", f"{row}.") for row in rows)
        operations.append(
            RunSQL(
                f"CREATE TRIGGER {name} AFTER {event} ON {table} "
                f"FOR EACH ROW WHEN ({when}) EXECUTE FUNCTION core_bump_configuration_revision()",
                f"DROP TRIGGER {name} ON {table}",
            )
        )
    return operations


def leave_room_for_updates(table: str) -> RunSQL:
    """Fill the table's pages to 70 %, so that rows which change often find room beside themselves (HOT updates)."""
    return RunSQL(f"ALTER TABLE {table} SET (fillfactor = 70)", f"ALTER TABLE {table} RESET (fillfactor)")


def begin_history(app: str, *models: str) -> RunPython:
    """Record the rows that are there already, as they are: what is first changed in them has an old value then."""

    def copy(apps: Any, editor: Any) -> None:
        for name in models:
            model, records = apps.get_model(app, name), apps.get_model(app, f"Historical{name}")
            recorded = {each.column for each in records._meta.concrete_fields}
            columns = ", ".join(f'"{each.column}"' for each in model._meta.concrete_fields if each.column in recorded)
            editor.execute(
                f"INSERT INTO {records._meta.db_table} ({columns}, history_id, history_date, history_type, actor, act) "
                f"SELECT {columns}, nextval('core_change_numbers'), now(), '+', 'Before the history began', "
                f"gen_random_uuid() FROM {model._meta.db_table}"
            )

    return RunPython(copy, RunPython.noop)
