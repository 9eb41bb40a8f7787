"""Users on the hot path: SQL for many at once, composed by the pipeline."""

from typing import Final

import msgspec

from core.models import ConfigurationStatus
from users.models import Attribute, AttributeType, EndUser
from users.rules import User

# ON CONFLICT DO UPDATE locks the row that is there already, also where its WHERE lets nothing be written: so one
# statement adds the new users and locks all, in the order of external_id, changing no field. The column it names is
# in no unique index, so that the lock is FOR NO KEY UPDATE and foreign keys elsewhere do not wait for it.
# The first parameter is how many milliseconds this transaction waits for any one lock, null for what the server
# says: set in the same statement, before the sorted rows come, since another one would be a round trip. With it goes
# that rows are found by indexes only, as they have to be once there are many, and that nothing is compiled: before
# PostgreSQL 18 a scan that is off but has no alternative counts as so dear that it would be, for half a second.
LOCK: Final = """
INSERT INTO users_enduser (id, external_id, attributes, subscribe_to_emails, control, created, updated)
SELECT n.id, n.external_id, '{}', true, false, n.created, n.created
FROM (
    SELECT set_config('lock_timeout', coalesce(%s::int::text, current_setting('lock_timeout')), true),
           set_config('enable_seqscan', 'off', true), set_config('jit', 'off', true)
) AS told
CROSS JOIN json_to_recordset(%s) AS n(id uuid, external_id text, created timestamptz)
ORDER BY n.external_id COLLATE "C"
ON CONFLICT (external_id) DO UPDATE SET updated = users_enduser.updated WHERE false
RETURNING external_id
"""

# The relation `known` of the statement that loads: the users by external id, looked up once for all that is theirs.
# What is theirs is looked up for each of them (LATERAL, and OFFSET against turning it into a join): a plan made while a
# table was empty would read all of it for each event, until it is analysed.
KNOWN: Final = """
SELECT u.id, u.external_id, u.name, u.email, u.tz, u.attributes, u.device_tokens, u.subscribe_to_emails,
       u.sign_up_date, u.control, u.created, u.updated
FROM json_array_elements_text(%s) AS n(external_id) JOIN users_enduser u ON u.external_id = n.external_id
"""

LOAD: Final = "SELECT * FROM known"

SAVE: Final = """
UPDATE users_enduser u
SET name = n.name, email = n.email, tz = n.tz, attributes = n.attributes, device_tokens = n.device_tokens,
    subscribe_to_emails = n.subscribe_to_emails, sign_up_date = n.sign_up_date, created = n.created, updated = n.updated
FROM json_to_recordset(%s) AS n(
    id uuid, name text, email text, tz text, attributes jsonb, device_tokens jsonb, subscribe_to_emails boolean,
    sign_up_date date, created timestamptz, updated timestamptz)
WHERE u.id = n.id
"""

REMOVE: Final = "DELETE FROM users_enduser u USING json_array_elements_text(%s) AS n(id) WHERE u.id = n.id::uuid"

# Emptying an attribute: which of some users carry a value under its key, and what takes it away under their locks,
# which are taken in the order of all writers.
CARRIES_KEY: Final = "SELECT id FROM users_enduser WHERE id = ANY(%(users)s) AND attributes ? %(key)s"

LOCK_BY_ID: Final = """
SELECT u.id FROM users_enduser u
CROSS JOIN (SELECT set_config('lock_timeout', %(wait_ms)s::int::text, true) OFFSET 0) AS told
WHERE u.id = ANY(%(users)s) ORDER BY u.external_id FOR NO KEY UPDATE OF u
"""

REMOVE_KEY: Final = """
UPDATE users_enduser SET attributes = attributes - %(key)s, updated = %(now)s
WHERE id = ANY(%(users)s) AND attributes ? %(key)s
"""

_decoder = msgspec.json.Decoder(list[User])


def decode_users(rows: str) -> list[User]:
    """Return the users of LOAD's rows, a JSON array."""
    return _decoder.decode(rows)


def load_attribute_keys() -> dict[str, frozenset[str]]:
    """Return the keys of the active attributes by their type, `user` and `event`."""
    active = Attribute.objects.filter(status=ConfigurationStatus.ACTIVE)
    keys = list(active.values_list("type", "key"))
    return {type_: frozenset(key for its_type, key in keys if its_type == type_) for type_ in AttributeType.values}


def load_archived_user_keys() -> frozenset[str]:
    """Return the keys of the users' attributes that are archived: what is stored under them can only be removed."""
    found = list(Attribute.objects.filter(type=AttributeType.USER).values_list("key", "status"))
    active = {key for key, status in found if status == ConfigurationStatus.ACTIVE}
    return frozenset(key for key, _ in found) - active


def read_user(external_id: str) -> EndUser | None:
    """Return the user whom the product knows by this id."""
    return None if "\x00" in external_id else EndUser.objects.filter(external_id=external_id).first()


def user_of(row: EndUser) -> User:
    """Return what the rules, and the wire, know of a user."""
    return User(
        id=str(row.id),
        external_id=row.external_id,
        name=row.name,
        email=row.email,
        tz=row.tz,
        attributes=row.attributes,
        device_tokens=None if row.device_tokens is None else tuple(row.device_tokens),
        subscribe_to_emails=row.subscribe_to_emails,
        sign_up_date=row.sign_up_date,
        control=row.control,
        created=row.created,
        updated=row.updated,
    )
