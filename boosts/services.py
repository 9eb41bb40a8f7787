"""What operators do with boosts."""

from datetime import datetime
from typing import Any, Final

from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import OuterRef, QuerySet, Subquery
from django.utils import timezone

from boosts.models import Boost, BoostFilter, BoostStatus
from boosts.rules import BoostPhase
from core.models import ConfigurationStatus
from core.services import create_checked, sentences_of, update_checked
from users.models import AttributeType, EndUser
from users.services import Filters, check_attributes, filters_of, replace_filters

FINISHED: Final = "is finished, and a finished boost cannot be changed."
OVER: Final = "must not be before today: a boost whose last day is over counts for nobody."
STOPS: Final = "must not be before today: that would finish the boost for ever, which «Finish now» in the admin is for."


@transaction.atomic
def create_boost(*, user_filters: Filters = (), **fields: Any) -> Boost:
    """Store a boost with its filters: inactive, unless its status says otherwise. Raises ValidationError by field."""
    if fields.get("status") == BoostStatus.ACTIVE:
        fields["activated"] = timezone.now()
    if user_filters and fields.get("external_id") is not None:
        raise ValidationError({"user_filters": "cannot be given for one user's boost."})
    check_attributes(AttributeType.USER, user_filters)
    boost = create_checked(Boost, **fields)
    replace_filters(BoostFilter, boost, AttributeType.USER, user_filters)
    return boost


@transaction.atomic
def create_live_boost(**fields: Any) -> Boost:
    """Store a boost that multiplies from now on, within its window. Raises ValidationError as an activation does."""
    boost = create_boost(status=BoostStatus.ACTIVE, **fields)
    _check_not_over(boost, timezone.now())
    return boost


@transaction.atomic
def update_boost(*, boost: Boost, user_filters: Filters | None = None, **fields: Any) -> Boost:
    """Change a boost that is not finished; filters that are given replace its own. Raises ValidationError by field."""
    now = timezone.now()
    check_changeable(boost, now)
    if user_filters and boost.external_id is not None:
        raise ValidationError({"user_filters": "cannot be given for one user's boost."})
    is_moved = fields.get("end", boost.end) != boost.end
    update_checked(boost, **fields)
    if is_moved:
        check_end(boost, now)
    if phase_now(boost, now) == BoostPhase.SCHEDULED:
        update_checked(boost, start_marked=None)  # It will begin again.
    if user_filters is not None:
        check_attributes(AttributeType.USER, user_filters)
        replace_filters(BoostFilter, boost, AttributeType.USER, user_filters)
    return boost


def check_changeable(boost: Boost, now: datetime) -> None:
    """Raise ValidationError where the boost is finished."""
    if phase_now(boost, now) == BoostPhase.FINISHED:
        raise ValidationError(f"«{boost}» {FINISHED}")


def check_end(boost: Boost, now: datetime) -> None:
    """Raise ValidationError where the end that a boost is given is over already, so that it would be final unasked."""
    if boost.phase_by_days(now, _zone_of(boost)) == BoostPhase.FINISHED:
        raise ValidationError({"end": STOPS if boost.status == BoostStatus.ACTIVE else OVER})


def phase_now(boost: Boost, now: datetime) -> BoostPhase:
    """Return where a boost is, one user's by that user's zone."""
    return boost.phase(now, _zone_of(boost))


def _zone_of(boost: Boost) -> str | None:
    """Return the zone of the one user whom the boost may be for."""
    if boost.external_id is None or hasattr(boost, "user_tz"):
        return getattr(boost, "user_tz", None)
    return EndUser.objects.filter(external_id=boost.external_id).values_list("tz", flat=True).first()


def with_zones(boosts: QuerySet[Boost]) -> QuerySet[Boost]:
    """Bring along the zone of the one user whom each boost may be for, so that `phase_now` needs no look at it."""
    zone = EndUser.objects.filter(external_id=OuterRef("external_id")).values("tz")
    return boosts.annotate(user_tz=Subquery(zone))


def _check_not_over(boost: Boost, now: datetime) -> None:
    """Raise ValidationError where an activated boost could never multiply: it would begin and end at once."""
    if phase_now(boost, now) == BoostPhase.FINISHED:
        raise ValidationError({"end": f"«{boost}» cannot be activated: its last day is over."})


def _check_audience(boost: Boost) -> None:
    """Raise ValidationError where an attribute that the boost looks at is archived by now."""
    try:
        check_attributes(AttributeType.USER, filters_of(boost)[0])
    except ValidationError as error:
        raise ValidationError(f"«{boost}» cannot be activated: {sentences_of(error)}") from error


@transaction.atomic
def activate_boosts(*, boosts: QuerySet[Boost]) -> int:
    """Make inactive boosts multiply from now on, within their windows; return how many.

    All or none are activated: raises ValidationError for one whose window is over or whose points system is archived.
    """
    now, count = timezone.now(), 0
    for boost in boosts.filter(status=BoostStatus.INACTIVE).select_related("system").select_for_update(of=("self",)):
        check_changeable(boost, now)
        _check_audience(boost)
        if boost.system.status == ConfigurationStatus.ARCHIVED:
            raise ValidationError(f"«{boost}» cannot be activated: its points system is archived.")
        update_checked(boost, status=BoostStatus.ACTIVE, activated=now)
        _check_not_over(boost, now)
        count += 1
    return count


def finish_boosts(*, boosts: QuerySet[Boost]) -> int:
    """Stop active boosts at once, for ever; return how many."""
    now = timezone.now()
    running = boosts.filter(status=BoostStatus.ACTIVE, finished__isnull=True)
    return running.update(finished=now, updated=now)
