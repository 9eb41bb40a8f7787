"""Boosts on the hot path, and reading them."""

from collections import defaultdict
from collections.abc import Iterable
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Final

import msgspec
from django.db.models import Case, DateField, F, OuterRef, Q, QuerySet, Subquery, Value, When
from django.db.models.functions import Coalesce

from boosts.models import Boost, BoostStatus
from boosts.rules import FIRST_ZONE, LAST_ZONE, BoostPhase, BoostRule
from core.models import ConfigurationStatus
from points.models import PointsSystem
from points.rules import AppliedBoost, Rounding
from users.models import EndUser
from users.rules import local_date, local_dates

AFTER_ALL_OTHERS: Final = 2**31
"""The order of boosts of one user: after those that are for more."""

LOAD_OF_USERS: Final = """
SELECT b.external_id, b.id, b.name, b.start, b."end", b.multiplier, b.rounding, b.system_id, b.activated, b.finished
FROM known k CROSS JOIN LATERAL (
    SELECT * FROM boosts_boost WHERE external_id = k.external_id AND status = 'active' AND finished IS NULL OFFSET 0
) AS b
"""

# The next boosts that have begun or are over, of active points systems. For everyone a day begins first at UTC+14
# (`first`) and ends last at UTC-12 (`last`), for one user in their own zone. No zone's day is later than `first`: so
# the indexes find the few candidates. Whoever has one of them in hand is not waited for.
_DUE: Final = """
WITH due AS (
    SELECT b.id FROM boosts_boost b
    JOIN points_pointssystem s ON s.id = b.system_id AND s.status = 'active'
    LEFT JOIN users_enduser u ON u.external_id = b.external_id
    LEFT JOIN json_to_recordset(%(days)s) AS d(tz text, day date) ON d.tz = u.tz
    WHERE b.status = 'active' AND {condition}
    LIMIT %(count)s
    FOR UPDATE OF b SKIP LOCKED
)
"""

# One that was stopped before its first day never began.
MARK_STARTED: Final = (
    _DUE.format(
        condition="""b.start_marked IS NULL AND b.start <= %(first)s::date
      AND b.start <= CASE WHEN b.external_id IS NULL THEN %(first)s::date ELSE coalesce(d.day, %(utc)s::date) END
      AND (b.finished IS NULL OR b.start <= (b.finished AT TIME ZONE 'UTC' + interval '14 hours')::date)"""
    )
    + """
UPDATE boosts_boost b SET start_marked = %(now)s FROM due WHERE due.id = b.id
RETURNING b.id, true
"""
)

MARK_ENDED: Final = (
    _DUE.format(
        condition="""b.end_marked IS NULL AND (b.finished <= %(now)s OR b."end" < %(first)s::date
      AND b."end" < CASE WHEN b.external_id IS NULL THEN %(last)s::date ELSE coalesce(d.day, %(utc)s::date) END)"""
    )
    + """
UPDATE boosts_boost b SET end_marked = %(now)s, finished = coalesce(b.finished, %(now)s) FROM due WHERE due.id = b.id
RETURNING b.id, b.start_marked IS NOT NULL
"""
)
"""Both return the ids of the boosts that they marked, and whether it ever began."""


class BoostRow(msgspec.Struct, frozen=True):
    """One user's boost as loaded."""

    external_id: str
    id: str
    name: str
    start: date
    end: date | None
    multiplier: Decimal
    rounding: Rounding
    system_id: str
    activated: datetime
    finished: datetime | None


_decoder = msgspec.json.Decoder(list[BoostRow])


def decode_boosts(rows: str) -> list[tuple[str, BoostRule]]:
    """Return the external id and the boost of each of LOAD_OF_USERS's rows, a JSON array."""
    return [
        (
            row.external_id,
            BoostRule(
                AppliedBoost(row.id, row.name, row.start, row.end, row.multiplier, row.rounding),
                system_id=row.system_id,
                order=AFTER_ALL_OTHERS,
                activated=row.activated,
                finished=row.finished,
            ),
        )
        for row in _decoder.decode(rows)
    ]


def load_boosts() -> list[BoostRule]:
    """Return the activated boosts that are for more than one user and are not finished."""
    running = Boost.objects.filter(
        finished__isnull=True,
        status=BoostStatus.ACTIVE,
        external_id__isnull=True,
        system__status=ConfigurationStatus.ACTIVE,
    )
    return boost_rules(running.prefetch_related("filters__attribute"))


def boost_rules(boosts: Iterable[Boost]) -> list[BoostRule]:
    """Return what the rules need of activated boosts, which come in the order of creation."""
    return [
        BoostRule(
            AppliedBoost(str(boost.id), boost.name, boost.start, boost.end, boost.multiplier, Rounding(boost.rounding)),
            system_id=str(boost.system_id),
            order=order,
            activated=boost.activated or boost.created,
            finished=boost.finished,
            user_filter=tuple((each.attribute.key, each.value) for each in boost.filters.all()),
        )
        for order, boost in enumerate(boosts)
    ]


def read_boosts(system: PointsSystem) -> QuerySet[Boost]:
    """Return the system's boosts for more than one user, neither inactive nor archived, in the order of creation."""
    return Boost.objects.filter(system=system, status=BoostStatus.ACTIVE, external_id__isnull=True)


def read_boosts_of(system: PointsSystem, user: EndUser) -> list[Boost]:
    """Return the system's activated boosts that are for this user, alone or among others, in the order of creation."""
    candidates = Boost.objects.filter(system=system, status=BoostStatus.ACTIVE).filter(
        Q(external_id__isnull=True) | Q(external_id=user.external_id)
    )
    return [
        boost
        for boost in candidates.prefetch_related("filters__attribute")
        if all(user.attributes.get(each.attribute.key) == each.value for each in boost.filters.all())
    ]


def read_phases(ids: Iterable[str], at: datetime, tz: str | None) -> dict[str, str]:
    """Return where the boosts with these ids are for a user in `tz`, if they are neither inactive nor archived."""
    phases = {str(boost.id): boost.phase_of_user(at, tz) for boost in Boost.objects.filter(id__in=set(ids))}
    live = (BoostPhase.SCHEDULED, BoostPhase.ACTIVE)
    return {id_: phase.value for id_, phase in phases.items() if phase in live}


def in_phase(boosts: QuerySet[Boost], phase: BoostPhase, at: datetime) -> QuerySet[Boost]:
    """Return those of `boosts` that are in this phase at `at`, as `Boost.phase` says of each."""
    utc = at.astimezone(UTC)
    first, last = (utc + FIRST_ZONE).date(), (utc - LAST_ZONE).date()
    of_user = Q(external_id__isnull=False)
    # What is so in every zone needs no look at the one user whom a boost may be for: there may be millions.
    is_ahead = Q(start__gt=first) | of_user & Q(start__gt=last) & Q(start__gt=F("local_day"))
    is_over = Q(end__isnull=False) & (Q(end__lt=last) | of_user & Q(end__lt=first) & Q(end__lt=F("local_day")))
    is_active, is_stopped = Q(status=BoostStatus.ACTIVE), Q(finished__isnull=False) & Q(finished__lte=at)
    conditions = {
        BoostPhase.INACTIVE: ~is_stopped & ~is_active,
        BoostPhase.SCHEDULED: ~is_stopped & is_active & is_ahead,
        BoostPhase.ACTIVE: ~is_stopped & is_active & ~is_ahead & ~is_over,
        BoostPhase.FINISHED: is_stopped | is_active & is_over,
    }
    return boosts.alias(local_day=_local_day(at)).filter(conditions[phase])


def _local_day(at: datetime) -> Coalesce:
    """Return the date of `at` where the one user is whom a boost is for; in UTC where nobody knows the zone."""
    utc_day = local_date(at, None)
    zones: dict[date, list[str]] = defaultdict(list)
    for tz, day in local_dates(at).items():
        zones[day].append(tz)
    others = [When(tz__in=names, then=Value(day)) for day, names in zones.items() if day != utc_day]
    users = EndUser.objects.filter(external_id=OuterRef("external_id"))
    day_of_user = users.values(day=Case(*others, default=Value(utc_day), output_field=DateField()))
    return Coalesce(Subquery(day_of_user), Value(utc_day), output_field=DateField())
