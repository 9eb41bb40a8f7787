"""The queue of deltas on the hot path."""

from typing import Final

INSERT_DELTAS: Final = """
INSERT INTO core_delta (kind, subject, before, after, users)
SELECT n.kind, n.subject, n.before, n.after, 1
FROM json_to_recordset(%s) AS n(kind text, subject uuid, before bigint, after bigint)
"""
