"""What operators do with achievements."""

from collections.abc import Sequence
from typing import Any, Final

from django.core.exceptions import ValidationError
from django.db import connection, transaction
from django.utils import timezone

from achievements.models import (
    ACHIEVEMENT_FIELDS,
    TYPED_FIELDS,
    Achievement,
    AchievementFilter,
    AchievementPrerequisite,
    AchievementStatus,
    Backdating,
)
from achievements.rules import AchievementType, find_cycle
from core.services import check_type_change, create_checked, shared_beginning, update_checked
from metrics.services import check_filters
from users.models import AttributeType
from users.services import Filters, filters_of, replace_filters

STATUS_CHANGES: Final = {
    AchievementStatus.INACTIVE: (AchievementStatus.ACTIVE,),
    AchievementStatus.ACTIVE: (AchievementStatus.LOCKED,),
    AchievementStatus.LOCKED: (AchievementStatus.ACTIVE,),
}
"""Which status can follow which: once users may have completed it, it can be locked but not hidden."""


@transaction.atomic
def create_achievement(
    *,
    user_filters: Filters = (),
    event_filters: Filters = (),
    prerequisites: Sequence[Achievement] = (),
    **fields: Any,
) -> Achievement:
    """Store an achievement with its filters and prerequisites: inactive, unless its status says otherwise.

    One that begins locked is had by nobody until it is activated. Raises ValidationError by field; nothing is stored
    then.
    """
    achievement = create_checked(Achievement, **fields)
    _check_parts(achievement, user_filters, event_filters, prerequisites)
    _replace_parts(achievement, user_filters, event_filters, prerequisites)
    if achievement.status == AchievementStatus.ACTIVE:
        _look_back(achievement)
    return achievement


@transaction.atomic
def update_achievement(
    *,
    achievement: Achievement,
    user_filters: Filters | None = None,
    event_filters: Filters | None = None,
    prerequisites: Sequence[Achievement] | None = None,
    **fields: Any,
) -> Achievement:
    """Change an achievement; filters and prerequisites that are given replace its own. Raises ValidationError."""
    old_status, new_type = achievement.status, fields.get("type", achievement.type)
    if new_type != achievement.type:
        is_inactive = achievement.status == AchievementStatus.INACTIVE
        check_type_change(achievement.type, new_type, is_inactive=is_inactive, what="achievement")
        fields = dict.fromkeys(set(TYPED_FIELDS) - set(ACHIEVEMENT_FIELDS[new_type])) | fields
        prerequisites = prerequisites or ()
    check_status_change(old_status, fields.get("status", old_status))
    check_key_change(achievement, fields.get("key", achievement.key))
    update_checked(achievement, **fields)
    _check_parts(achievement, user_filters, event_filters, prerequisites)
    _replace_parts(achievement, user_filters, event_filters, prerequisites)
    if achievement.status == AchievementStatus.ACTIVE and old_status != AchievementStatus.ACTIVE:
        _look_back(achievement)
    return achievement


def make_room(achievements: Sequence[Achievement]) -> None:
    """Give achievements keys that nobody wants, until they get new ones in this transaction, past the history."""
    for achievement in achievements:
        Achievement._base_manager.filter(id=achievement.id).update(key=str(achievement.id))


def activate_achievement(*, achievement: Achievement) -> None:
    """Let users complete it, and have those looked for who qualified already. Raises ValidationError."""
    update_achievement(achievement=achievement, status=AchievementStatus.ACTIVE)


def lock_achievement(*, achievement: Achievement) -> None:
    """Let nobody complete it any more; who has it keeps it. Raises ValidationError."""
    update_achievement(achievement=achievement, status=AchievementStatus.LOCKED)


def check_status_change(old: str, new: str) -> None:
    """Raise ValidationError where an achievement of one status cannot get the other."""
    if new == old:
        return
    allowed = STATUS_CHANGES.get(AchievementStatus(old), ())
    if new not in allowed:
        words = " or ".join(allowed) or "restored first"
        raise ValidationError({"status": f"can only become {words}: the achievement is {old}."})


def check_key_change(achievement: Achievement, key: str | None) -> None:
    """Raise ValidationError where the achievement cannot have this key: products complete it by the one it has."""
    if (key or None) != achievement.key and achievement.status != AchievementStatus.INACTIVE:
        raise ValidationError({"key": "can be changed only while the achievement is inactive."})


def check_prerequisites(achievement: Achievement, prerequisites: Sequence[Achievement]) -> None:
    """Raise ValidationError where these cannot be the achievement's prerequisites. Needs a transaction."""
    if achievement.type != AchievementType.COMPOSITE:
        if prerequisites:
            raise ValidationError({"prerequisites": "are possible only for an achievement of other achievements."})
        return
    if not prerequisites:
        raise ValidationError({"prerequisites": "must name at least one achievement."})
    if len(set(prerequisites)) < len(prerequisites):
        raise ValidationError({"prerequisites": "can have each achievement only once."})
    for each in prerequisites:
        if each.status == AchievementStatus.ARCHIVED:
            raise ValidationError({"prerequisites": f"cannot have «{each}», which is archived: restore it first."})
    # Two changes at the same moment, neither of which sees the other, could close a circle: one waits for the other.
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(hashtext('achievement prerequisites'))")
    edges: dict[str, list[str]] = {}
    rows = AchievementPrerequisite.objects.exclude(achievement=achievement)
    for owner, other in rows.values_list("achievement_id", "prerequisite_id"):
        edges.setdefault(str(owner), []).append(str(other))
    edges[str(achievement.id)] = [str(each.id) for each in prerequisites]
    if cycle := find_cycle(str(achievement.id), edges):
        names = {str(row.id): row.name for row in Achievement.objects.filter(id__in=cycle)}
        path = " needs ".join(f"«{names.get(each, achievement.name)}»" for each in cycle)
        raise ValidationError({"prerequisites": f"would go round in a circle: {path}."})


def prerequisites_of(achievement: Achievement) -> list[Achievement]:
    """Return the achievements that a composite needs."""
    return [row.prerequisite for row in achievement.prerequisites.select_related("prerequisite")]


def _check_parts(
    achievement: Achievement,
    user_filters: Filters | None,
    event_filters: Filters | None,
    prerequisites: Sequence[Achievement] | None,
) -> None:
    """Check what is given (None: not), together with what stays."""
    user, event = filters_of(achievement)
    check_filters(
        user_filters=user if user_filters is None else user_filters,
        event_filters=event if event_filters is None else event_filters,
        of_metric=achievement.type == AchievementType.METRIC,
        what="achievement",
    )
    check_prerequisites(achievement, prerequisites_of(achievement) if prerequisites is None else prerequisites)


def _replace_parts(
    achievement: Achievement,
    user_filters: Filters | None,
    event_filters: Filters | None,
    prerequisites: Sequence[Achievement] | None,
) -> None:
    """Replace what is given (None: not)."""
    if user_filters is not None:
        replace_filters(AchievementFilter, achievement, AttributeType.USER, user_filters)
    if event_filters is not None:
        replace_filters(AchievementFilter, achievement, AttributeType.EVENT, event_filters)
    if prerequisites is not None:
        rows = list(achievement.prerequisites.all())
        kept = shared_beginning([row.prerequisite_id for row in rows], [each.id for each in prerequisites])
        for row in rows[kept:]:
            row.delete()
        for each in prerequisites[kept:]:
            create_checked(AchievementPrerequisite, achievement=achievement, prerequisite=each)


def _look_back(achievement: Achievement) -> None:
    """Have a task give the achievement, quietly, to who qualified already."""
    Backdating.objects.create(achievement=achievement, created=timezone.now())
