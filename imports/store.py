"""The rows of a file in the database: many at once."""

from typing import Final
from uuid import UUID

from django.db import connection

STAGE: Final = "COPY imports_importrow (run_id, place, line, cells) FROM STDIN"

# What a user has more of than a chunk can hold becomes errors, as many as are kept. First which rows, which are few or
# none, and then each by its key: the planner does not know how many there are of a file that has just come.
REFUSE_EXCESS: Final = """
WITH excess AS MATERIALIZED (
    SELECT place, line FROM (
        SELECT place, line, row_number() OVER (PARTITION BY place ORDER BY line) AS number
        FROM imports_importrow WHERE run_id = %(run)s
    ) AS numbered
    WHERE number > %(most)s
), gone AS (
    DELETE FROM imports_importrow r USING excess e
    WHERE (r.run_id, r.place, r.line) = (%(run)s, e.place, e.line)
)
INSERT INTO imports_rowerror (run_id, line, "column", message)
SELECT %(run)s, line, %(column)s, %(message)s FROM excess ORDER BY line LIMIT %(errors)s
"""

# The next rows after a place and line, and then the rest of the last user's: no chunk has only some rows of a user.
NEXT_ROWS: Final = """
WITH next AS MATERIALIZED (
    SELECT place FROM imports_importrow
    WHERE run_id = %(run)s AND (place, line) > (%(place)s, %(line)s)
    ORDER BY place, line LIMIT %(count)s
)
SELECT place, line, cells::text FROM imports_importrow
WHERE run_id = %(run)s AND (place, line) > (%(place)s, %(line)s) AND place <= (SELECT max(place) FROM next)
ORDER BY place, line
"""


def forget_rows(run_id: UUID) -> None:
    """Delete the rows of a run that needs them no longer."""
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM imports_importrow WHERE run_id = %s", [run_id])
