"""The demo: a study app with two months of plausible life, sent through the pipeline like any other events."""

import random
from bisect import bisect_left
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from decimal import Decimal
from typing import Any, Final

from django.db import transaction
from django.utils import timezone

from achievements.models import Achievement, AchievementStatus
from achievements.rules import AchievementType
from achievements.services import create_achievement
from boosts.models import Boost, BoostStatus
from boosts.services import create_boost
from config.demo_badges import draw_badge
from core.services import create_checked
from engine.clock import end_expired_streaks, mark_boosts
from engine.inputs import EventInput
from engine.pipeline import process
from engine.tick import pay_due_ticks
from levels.models import Level
from metrics.models import Metric
from points.models import PointsSystem, TimeUnit, TriggerStatus, TriggerType
from points.rules import Rounding
from points.services import create_system
from streaks.models import StreakMetric, StreakSettings
from users.models import Attribute, AttributeType
from users.rules import UserChanges

USERS: Final = 200
DAYS: Final = 60
BATCH: Final = 500
HOUR: Final = timedelta(hours=1)
REFILLS: Final = 72
"""How many of the hours before the end bring energy back: of all of them it would take a minute."""

LEVELS: Final = (
    ("Novice", "novice", 0, ("hexagon", "bronze", "one")),
    ("Apprentice", "apprentice", 250, ("hexagon", "silver", "two")),
    ("Adept", "adept", 750, ("hexagon", "teal", "three")),
    ("Expert", "expert", 1500, ("hexagon", "violet", "star")),
    ("Master", "master", 3500, ("hexagon", "gold", "crown")),
)
"""Name, key, points and badge."""

FIRST_NAMES: Final = (
    *("Alice", "Amara", "Anders", "Anika", "Bao", "Carmen", "Chidi", "Daria", "Diego", "Elif", "Emeka", "Farah"),
    *("Felix", "Freya", "Gita", "Hana", "Hugo", "Ines", "Ivo", "Jamal", "Jonas", "Kaito", "Lea", "Leila", "Liam"),
    *("Lucia", "Maja", "Malik", "Mateo", "Mei", "Mila", "Nadia", "Nils", "Noor", "Olga", "Omar", "Paolo", "Priya"),
)
LAST_NAMES: Final = (
    *("Adeyemi", "Berg", "Costa", "Dahl", "Engel", "Fischer", "García", "Haddad", "Ivanova", "Jensen", "Kaya", "Lopez"),
    *("Mori", "Novak", "Okafor"),
)
ZONES: Final = ("Europe/London", "Europe/Berlin", "America/New_York", "America/Sao_Paulo", "Asia/Tokyo", "Asia/Kolkata")
CATEGORIES: Final = ("vocabulary", "grammar", "listening")


@dataclass(frozen=True)
class Learner:
    """A user of the demo: how likely they study on a day, and how much then."""

    changes: UserChanges
    joined_day: int
    chance: float
    effort: int


@dataclass(frozen=True)
class Goals:
    """What the rules of the demo look at."""

    plan: Attribute
    category: Attribute
    flashcards: Metric
    lessons: Metric


@transaction.atomic
def create_rules(now: datetime | None = None) -> None:
    """Set the study app up as if that had happened before the first event, DAYS before `now` (None: this moment)."""
    goals = Goals(
        plan=create_checked(Attribute, name="Plan", key="plan", type=AttributeType.USER),
        category=create_checked(Attribute, name="Category", key="category", type=AttributeType.EVENT),
        flashcards=create_checked(Metric, name="Flashcards flipped", key="flashcards-flipped", units="cards"),
        lessons=create_checked(Metric, name="Lessons completed", key="lessons-completed", units="lessons"),
    )
    settings = create_checked(StreakSettings)
    create_checked(StreakMetric, settings=settings, metric=goals.flashcards, threshold=Decimal(10))
    create_checked(StreakMetric, settings=settings, metric=goals.lessons, threshold=Decimal(1))
    xp = _create_xp(goals, _create_achievements(goals))
    _create_energy(goals, now or timezone.now())
    for name, key, points, badge in LEVELS:
        create_checked(Level, system=xp, name=name, key=key, points=points, badge=draw_badge(*badge))
    _create_boosts(xp, goals, now or timezone.now())


def _create_achievements(goals: Goals) -> dict[Achievement, int]:
    """Set four achievements up, one of them inactive, to be tried; return what XP pays for them."""
    active: dict[str, Any] = {"status": AchievementStatus.ACTIVE}
    bookworm = create_achievement(
        name="Bookworm",
        description="Flip 500 flashcards.",
        type=AchievementType.METRIC.value,
        metric=goals.flashcards,
        metric_value=Decimal(500),
        badge=draw_badge("circle", "blue", "book"),
        **active,
    )
    on_fire = create_achievement(
        name="On fire",
        description="Study on 7 days in a row.",
        type=AchievementType.STREAK.value,
        streak_length=7,
        badge=draw_badge("circle", "orange", "flame"),
        **active,
    )
    scholar = create_achievement(
        name="Scholar",
        description="Be a bookworm, and on fire.",
        type=AchievementType.COMPOSITE.value,
        prerequisites=[bookworm, on_fire],
        badge=draw_badge("seal", "gold", "star"),
        **active,
    )
    good_listener = create_achievement(
        name="Good listener",
        description="Complete 10 listening lessons.",
        type=AchievementType.METRIC.value,
        metric=goals.lessons,
        metric_value=Decimal(10),
        event_filters=[(goals.category, "listening")],
        badge=draw_badge("circle", "green", "check"),
    )
    return {on_fire: 250, scholar: 500, good_listener: 100}


def _create_xp(goals: Goals, achievements: dict[Achievement, int]) -> PointsSystem:
    active = {"status": TriggerStatus.ACTIVE}
    per_metric = {"type": TriggerType.METRIC, **active}
    listening = {"event_filters": [(goals.category, "listening")], "user_filters": [(goals.plan, "pro")]}
    return create_system(
        name="XP",
        key="xp",
        description="Experience: what a learner has done so far. It only ever grows.",
        badge=draw_badge("seal", "violet", "star"),
        triggers=[
            {"type": TriggerType.USER_CREATION, "points": 50, **active},
            {"metric": goals.flashcards, "metric_threshold": 10, "points": 5, **per_metric},
            {"metric": goals.lessons, "metric_threshold": 1, "points": 20, **per_metric},
            {"metric": goals.lessons, "metric_threshold": 10, "points": 100, **per_metric},
            {"metric": goals.lessons, "metric_threshold": 1, "points": 10, **listening, **per_metric},
            {"type": TriggerType.STREAK, "streak_length": 7, "points": 150, **active},
            *(
                {"type": TriggerType.ACHIEVEMENT, "achievement": achievement, "points": points, **active}
                for achievement, points in achievements.items()
            ),
            {"metric": goals.flashcards, "metric_threshold": 500, "points": 250, "type": TriggerType.METRIC},
        ],
    )


def _create_energy(goals: Goals, now: datetime) -> None:
    """Make energy a currency that every hour brings back, on the hour, for some days by now."""
    active = {"status": TriggerStatus.ACTIVE}
    per_metric = {"type": TriggerType.METRIC, **active}
    hourly = {"type": TriggerType.TIME, "time_unit": TimeUnit.HOUR, "time_interval": 1}
    energy = create_system(
        name="Energy",
        key="energy",
        description="What a lesson costs. Flashcards bring it back, and so does every hour.",
        max_points=30,
        badge=draw_badge("circle", "green", "bolt"),
        triggers=[
            {"type": TriggerType.USER_CREATION, "points": 30, **active},
            {"metric": goals.flashcards, "metric_threshold": 5, "points": 1, **per_metric},
            {"metric": goals.lessons, "metric_threshold": 1, "points": -3, **per_metric},
            {"points": 1, **hourly, **active},
        ],
    )
    energy.triggers.filter(type=TriggerType.TIME).update(time_started=_first_refill(now) - HOUR)


def _create_boosts(xp: PointsSystem, goals: Goals, now: datetime) -> None:
    """Schedule a boost for the weekend ahead, and have had one some weeks ago."""
    today = now.astimezone(UTC).date()
    ahead = today + timedelta(days=2 + (5 - today.weekday() - 2) % 7)
    double: dict[str, Any] = {"system": xp, "multiplier": Decimal(2), "status": BoostStatus.ACTIVE}
    create_boost(name="Double XP weekend", start=ahead, end=ahead + timedelta(days=1), **double)
    back = ahead - timedelta(days=28)
    past = create_boost(name="Launch weekend", start=back, end=back + timedelta(days=1), **double)
    Boost.objects.filter(id=past.id).update(activated=now - timedelta(days=DAYS + 1))
    week = {"name": "Grammar week", "start": ahead - timedelta(days=2), "end": ahead + timedelta(days=4)}
    create_boost(**double | week | {"multiplier": Decimal("1.5"), "user_filters": [(goals.plan, "pro")]})
    create_boost(
        name="Pro perk",
        system=xp,
        multiplier=Decimal("1.25"),
        rounding=Rounding.NEAREST.value,
        start=today,
        user_filters=[(goals.plan, "pro")],
    )


def has_rules() -> bool:
    """Tell whether anybody, the demo or an operator, has set up a points system already."""
    return PointsSystem.objects.exists()


def play(now: datetime, advance: Callable[[int], None]) -> int:
    """Send the demo's events of the days before `now`; `advance` is told after each set how many. Return how many.

    What the clock would have done in between happens when it would have: energy comes back every hour, and the boost
    that was over by then multiplied awards in its days, and is marked as finished at the end.
    """
    events = sorted(demo_events(now), key=lambda event: event.at or now)
    begun = 0
    for moment in (*(_first_refill(now) + number * HOUR for number in range(REFILLS)), now):
        ended = bisect_left(events, moment, key=lambda event: event.at or now)
        for start in range(begun, ended, BATCH):
            batch = events[start : min(start + BATCH, ended)]
            process(batch)
            advance(len(batch))
        begun = ended
        _refill(moment)
    end_expired_streaks(now)
    _end_boosts(now)
    return len(events)


def _first_refill(now: datetime) -> datetime:
    """Return the full hour that is the first of REFILLS, of which the last is just over."""
    return now.astimezone(UTC).replace(minute=0, second=0, microsecond=0) - (REFILLS - 1) * HOUR


def _refill(at: datetime) -> None:
    """Pay the time trigger if it is due."""
    pay_due_ticks(at, clock=lambda: at)


def _end_boosts(now: datetime) -> None:
    """Do what the clock would have done, when it would have."""
    mark_boosts(now)
    for boost in Boost.objects.filter(finished__isnull=False, end__isnull=False):
        over_everywhere = datetime.combine(boost.end or now, time(12), UTC) + timedelta(days=1)
        Boost.objects.filter(id=boost.id).update(finished=over_everywhere)


def demo_events(now: datetime) -> Iterator[EventInput]:
    """Yield the events of all learners in the order of time, the same at every call but for the dates."""
    dice = random.Random(20)  # noqa: S311 - a demo needs the same luck each time, not secrecy
    learners = [_learner(dice, number) for number in range(USERS)]
    midnight = datetime.combine(now.astimezone(UTC).date(), time(), UTC)
    for day in range(DAYS + 1):
        start = midnight - timedelta(days=DAYS - day)
        weekend = start.weekday() >= 5
        events = [
            event
            for learner in learners
            if learner.joined_day == day
            or (learner.joined_day < day and dice.random() < learner.chance * (0.6 + weekend))
            for event in _day_of(dice, learner, start)
        ]
        yield from sorted((each for each in events if each.at and each.at < now), key=lambda event: str(event.at))


def _learner(dice: random.Random, number: int) -> Learner:
    first, last = dice.choice(FIRST_NAMES), dice.choice(LAST_NAMES)
    changes = UserChanges(
        external_id=f"learner-{number + 1}",
        name=f"{first} {last}",
        email=f"{first}.{last}{number + 1}@example.com".lower(),
        tz=dice.choice(ZONES),
        attributes={"plan": "pro" if dice.random() < 0.25 else "free"},
    )
    # A few study nearly every day and much, most now and then: as in life.
    keenness = dice.paretovariate(1.4)
    return Learner(changes, int(dice.triangular(0, DAYS, 0)), min(1.5, 0.12 * keenness), 1 + int(min(6, keenness)))


def _day_of(dice: random.Random, learner: Learner, start: datetime) -> Iterator[EventInput]:
    at = start + timedelta(minutes=dice.randrange(6 * 60, 22 * 60))
    for _ in range(dice.randint(1, learner.effort)):
        at += timedelta(minutes=dice.randrange(2, 15), seconds=dice.randrange(60))
        is_lesson = dice.random() < 0.35
        yield EventInput(
            user=learner.changes,
            metric_key="lessons-completed" if is_lesson else "flashcards-flipped",
            value=Decimal(1 if is_lesson else dice.randint(4, 40)),
            attributes={"category": dice.choice(CATEGORIES)},
            at=at,
        )
