"""Making the database have what a file says: all of it in one transaction, or nothing."""

import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Final

from django.core.exceptions import NON_FIELD_ERRORS, ValidationError
from django.db import IntegrityError, OperationalError, connection, transaction
from django.utils import timezone

from achievements.models import Achievement, AchievementFilter, AchievementPrerequisite
from boosts.models import Boost, BoostFilter
from config.rule_file.badges import Badges
from config.rule_file.operations import Operation, Plan
from config.rule_file.plan import make_plan
from config.rule_file.references import known_after, unknown_references
from config.rule_file.rows import NotMadeError, Rows, rows_before
from config.rule_file.schema import Kind, RuleFile, RuleFileError
from config.rule_file.stored import StoredRules, read_stored
from config.rule_file.write import make_room, write
from core.services import messages_by_field
from levels.models import Level
from levels.notices import describe, editing_levels
from metrics.models import Metric
from points.models import PointsSystem, PointsTrigger, TriggerFilter
from streaks.models import StreakMetric, StreakSettings
from users.models import Attribute

PATIENCE_S: Final = 10
"""How long to wait for somebody else's change of configuration."""

LOCK_WAIT_MS_MAX: Final = 500
"""How long to wait for one lock, and then begin anew: shorter than the second after which PostgreSQL looks who blocks
each other in a circle, so that it is never the other one's change that fails."""

LOCK_NOT_AVAILABLE: Final = "55P03"

LOCKED: Final = (
    *(Attribute, Metric, StreakSettings, StreakMetric, Achievement, AchievementPrerequisite, AchievementFilter),
    *(PointsSystem, PointsTrigger, TriggerFilter, Level, Boost, BoostFilter),
)
"""The tables of what a file can have, in the order in which services write them."""

FIELD_NAMES: Final = {"user_filters": "user_attributes", "event_filters": "event_attributes", "badge_url": "badge"}
"""The fields that the file calls by another name than the services do."""


def apply(
    file: RuleFile,
    badges: Badges,
    *,
    prune: bool = False,
    notify_users: bool = False,
    is_trial: bool = False,
    patience_s: float = PATIENCE_S,
) -> Plan:
    """Do what has to be done, and return what that was; a trial does all of it, too, and then takes it back.

    With `notify_users`, the users whose level changes are told.

    Raises RuleFileError with a sentence for each thing that cannot be; nothing is stored then.
    """
    begun_s = time.monotonic()
    while True:
        try:
            return _try_to_apply(file, badges, prune=prune, notify_users=notify_users, is_trial=is_trial)
        except OperationalError as error:
            if getattr(error.__cause__, "sqlstate", "") != LOCK_NOT_AVAILABLE:
                raise
            if time.monotonic() > begun_s + patience_s:
                problem = "Somebody else is changing the configuration at this moment: try again."
                raise RuleFileError([problem]) from error


@transaction.atomic
def _try_to_apply(file: RuleFile, badges: Badges, *, prune: bool, notify_users: bool, is_trial: bool) -> Plan:
    _lock_configuration()
    plan = _carry_out(file, badges, prune=prune, notify_users=notify_users)
    if is_trial:
        transaction.set_rollback(True)
    else:
        badges.store()
    return plan


def _lock_configuration() -> None:
    """Let nobody else change the configuration until the end of the transaction; events go on meanwhile.

    So what is compared with the file is what is changed, and of two files at the same moment one waits.
    """
    tables = ", ".join(model._meta.db_table for model in LOCKED)
    with connection.cursor() as cursor:
        cursor.execute(f"SET LOCAL lock_timeout = {LOCK_WAIT_MS_MAX}")
        cursor.execute(f"LOCK TABLE {tables} IN SHARE ROW EXCLUSIVE MODE")


def _carry_out(file: RuleFile, badges: Badges, *, prune: bool, notify_users: bool) -> Plan:
    stored = read_stored()
    plan = make_plan(file, stored, prune=prune, now=timezone.now())
    problems = list(unknown_references(file, known_after(file, stored, plan)))
    if problems:
        raise RuleFileError(problems)
    with _counting_levels(plan, stored, notify_users=notify_users):
        make_room(plan.operations)
        rows = rows_before(stored, plan, badges)
        problems = [problem for operation in plan.operations for problem in _attempt(operation, rows)]
        if problems:
            raise RuleFileError(problems)
    return plan


@contextmanager
def _counting_levels(plan: Plan, stored: StoredRules, *, notify_users: bool) -> Iterator[None]:
    """Note in the plan how many users get another level by what is done inside, in each live points system."""
    edited = {operation.owner for operation in plan.operations if operation.kind == Kind.LEVEL}
    systems = [each.row for key, each in stored.systems.live.items() if key in edited]
    with ExitStack() as stack:
        edits = [stack.enter_context(editing_levels(system, notify=notify_users)) for system in systems]
        yield
        for edit in edits:
            changes = edit.changes()
            told = " They are told in the background." * (notify_users and changes.users > 0)
            plan.notes.append(f"points.{edit.system.key}.levels: {describe(changes)}{told}")


def _attempt(operation: Operation, rows: Rows) -> Iterator[str]:
    """Do one operation; yield what is wrong with it. The others are still looked at, to say all at once."""
    try:
        with transaction.atomic():
            write(operation, rows)
    except ValidationError as error:
        yield from _sentences(operation.place, error)
    except IntegrityError as error:
        yield f"{operation.place}: the database refuses it: {error.__cause__ or error}".strip()
    except NotMadeError:
        pass


def _sentences(place: str, error: ValidationError) -> Iterator[str]:
    """Yield a sentence for each message, with the place in the file that it is about."""
    for name, texts in messages_by_field(error).items():
        field = "" if name == NON_FIELD_ERRORS else f".{FIELD_NAMES.get(name, name)}"
        for text in texts:
            yield f"{place}{field}{' ' if field and text[0].islower() else ': '}{text}"
