"""The rules of the large database: the game of the other benches, and what makes the admin's pages worth looking at."""

from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any, Final

from django.db import models, transaction
from django.db.models import F

from achievements.models import Achievement, AchievementStatus
from achievements.rules import AchievementType
from achievements.services import create_achievement
from bench.game import CATEGORIES, METRIC_KEY, PLANS
from boosts.models import Boost, BoostStatus
from boosts.services import create_boost
from core.services import create_checked
from engine.backdate import look_back
from levels.models import Level
from metrics.models import Metric
from points.models import PointsSystem, PointsTrigger, TimeUnit, TriggerStatus, TriggerType
from points.services import create_system
from streaks.models import StreakSettings
from users.models import Attribute, AttributeType

AGE: Final = timedelta(days=366)
"""How long ago all of it was set up: before the first user came."""

LEVELS: Final = (
    *(("Novice", 0), ("Apprentice", 100), ("Adept", 250), ("Skilled", 500), ("Expert", 1_000)),
    *(("Veteran", 2_500), ("Master", 5_000), ("Legend", 10_000)),
)
BOOKWORM_CARDS: Final = 500
FIRE_DAYS: Final = 7


@transaction.atomic
def create_rules(now: datetime, launch: date) -> Boost:
    """Set the game up as if that had happened AGE before `now`; return the boost of two days that began on `launch`."""
    attributes = [
        create_checked(Attribute, name=key.capitalize(), key=key, type=type_)
        for key, type_ in (("plan", AttributeType.USER), ("country", AttributeType.USER), ("category", "event"))
    ]
    metrics = [
        create_checked(Metric, name="Lessons completed", key=METRIC_KEY, units="lessons"),
        create_checked(Metric, name="Flashcards flipped", key="flashcards", units="cards"),
    ]
    create_checked(StreakSettings)
    achievements = _create_achievements(metrics[1])
    xp = _create_xp(attributes, metrics, achievements)
    _create_gems(metrics[0], achievements[0])
    for name, points in LEVELS:
        create_checked(Level, system=xp, name=name, key=name.lower(), points=points)
    boost = _create_boosts(xp, attributes[0], launch, now)
    _age(now)
    look_back()  # There is nobody yet, so that later no worker looks at a million users.
    return boost


def _create_achievements(flashcards: Metric) -> list[Achievement]:
    active: dict[str, Any] = {"status": AchievementStatus.ACTIVE}
    bookworm = create_achievement(
        name="Bookworm",
        description=f"Flip {BOOKWORM_CARDS} flashcards.",
        type=AchievementType.METRIC.value,
        metric=flashcards,
        metric_value=Decimal(BOOKWORM_CARDS),
        **active,
    )
    on_fire = create_achievement(
        name="On fire",
        description=f"Study on {FIRE_DAYS} days in a row.",
        type=AchievementType.STREAK.value,
        streak_length=FIRE_DAYS,
        **active,
    )
    scholar = create_achievement(
        name="Scholar",
        description="Be a bookworm, and on fire.",
        type=AchievementType.COMPOSITE.value,
        prerequisites=[bookworm, on_fire],
        **active,
    )
    return [bookworm, on_fire, scholar]


def _create_xp(attributes: list[Attribute], metrics: list[Metric], achievements: list[Achievement]) -> PointsSystem:
    """Make XP; its triggers are in the order in which they fire within an event."""
    active = {"status": TriggerStatus.ACTIVE}
    per_metric = {"type": TriggerType.METRIC, **active}
    plan, _, category = attributes
    lessons, flashcards = metrics
    writing = {"event_filters": [(category, CATEGORIES[0])], "user_filters": [(plan, PLANS[0])]}
    return create_system(
        name="XP",
        key="xp",
        description="What a learner has done so far.",
        triggers=[
            {"type": TriggerType.USER_CREATION, "points": 50, **active},
            {"metric": flashcards, "metric_threshold": 25, "points": 10, **per_metric},
            {"metric": lessons, "metric_threshold": 1, "points": 20, **per_metric},
            {"metric": lessons, "metric_threshold": 10, "points": 100, **per_metric},
            {"metric": lessons, "metric_threshold": 1, "points": 10, **writing, **per_metric},
            {"type": TriggerType.STREAK, "streak_length": FIRE_DAYS, "points": 150, **active},
            {"type": TriggerType.ACHIEVEMENT, "achievement": achievements[1], "points": 250, **active},
            {"type": TriggerType.ACHIEVEMENT, "achievement": achievements[2], "points": 500, **active},
            {"type": TriggerType.TIME, "time_unit": TimeUnit.DAY, "time_interval": 1, "points": 1},
        ],
    )


def _create_gems(lessons: Metric, bookworm: Achievement) -> None:
    active = {"status": TriggerStatus.ACTIVE}
    create_system(
        name="Gems",
        key="gems",
        description="What the shop takes.",
        triggers=[
            {"type": TriggerType.METRIC, "metric": lessons, "metric_threshold": 10, "points": 1, **active},
            {"type": TriggerType.ACHIEVEMENT, "achievement": bookworm, "points": 25, **active},
        ],
    )


def _create_boosts(xp: PointsSystem, plan: Attribute, launch: date, now: datetime) -> Boost:
    """Have had one boost for everyone, and have one for half of the users from today on."""
    active: dict[str, Any] = {"system": xp, "status": BoostStatus.ACTIVE}
    end = launch + timedelta(days=1)
    past = create_boost(name="Double XP weekend", multiplier=Decimal(2), start=launch, end=end, **active)
    today = {"start": now.date(), "multiplier": Decimal("1.25"), "rounding": "nearest"}
    create_boost(name="Pro perk", user_filters=[(plan, PLANS[0])], **today, **active)
    over = now - (now.date() - end - timedelta(days=2))
    marks = {"activated": now - AGE, "start_marked": over - timedelta(days=3), "end_marked": over, "finished": over}
    Boost.objects.filter(id=past.id).update(**marks)
    return Boost.objects.get(id=past.id)


def _age(now: datetime) -> None:
    """Move the creation of what was set up back by AGE, its order kept."""
    aged: tuple[type[models.Model], ...] = (Attribute, Metric, PointsSystem, PointsTrigger, Achievement, Level)
    for model in aged:
        model._default_manager.update(created=F("created") - AGE, updated=F("updated") - AGE)
    Boost.objects.filter(finished__isnull=False).update(created=now - AGE)
