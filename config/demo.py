"""The demo: a study app with two months of plausible life, sent through the pipeline like any other events."""

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from decimal import Decimal
from typing import Final

from django.db import transaction

from core.services import create_checked
from engine.inputs import EventInput
from engine.pipeline import process
from metrics.models import Metric
from points.models import PointsSystem, TriggerStatus, TriggerType
from points.services import create_system
from users.models import Attribute, AttributeType
from users.rules import UserChanges

USERS: Final = 200
DAYS: Final = 60
BATCH: Final = 500

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


@transaction.atomic
def create_rules() -> None:
    """Set the study app up: two metrics, two points systems, seven triggers."""
    plan = create_checked(Attribute, name="Plan", key="plan", type=AttributeType.USER)
    category = create_checked(Attribute, name="Category", key="category", type=AttributeType.EVENT)
    flashcards = create_checked(Metric, name="Flashcards flipped", key="flashcards-flipped", units="cards")
    lessons = create_checked(Metric, name="Lessons completed", key="lessons-completed", units="lessons")
    active = {"status": TriggerStatus.ACTIVE}
    per_metric = {"type": TriggerType.METRIC, **active}
    create_system(
        name="XP",
        key="xp",
        description="Experience: what a learner has done so far. It only ever grows.",
        triggers=[
            {"type": TriggerType.USER_CREATION, "points": 50, **active},
            {"metric": flashcards, "metric_threshold": 10, "points": 5, **per_metric},
            {"metric": lessons, "metric_threshold": 1, "points": 20, **per_metric},
            {"metric": lessons, "metric_threshold": 10, "points": 100, **per_metric},
            {
                "metric": lessons,
                "metric_threshold": 1,
                "points": 10,
                "event_filters": [(category, "listening")],
                "user_filters": [(plan, "pro")],
                **per_metric,
            },
            {"metric": flashcards, "metric_threshold": 500, "points": 250, "type": TriggerType.METRIC},
        ],
    )
    create_system(
        name="Energy",
        key="energy",
        description="What a lesson costs. Flashcards bring it back.",
        max_points=30,
        triggers=[
            {"type": TriggerType.USER_CREATION, "points": 30, **active},
            {"metric": flashcards, "metric_threshold": 5, "points": 1, **per_metric},
            {"metric": lessons, "metric_threshold": 1, "points": -3, **per_metric},
        ],
    )


def has_rules() -> bool:
    """Tell whether anybody, the demo or an operator, has set up a points system already."""
    return PointsSystem.objects.exists()


def play(now: datetime, advance: Callable[[int], None]) -> int:
    """Send the demo's events of the days before `now`; `advance` is told after each set how many. Return how many."""
    events = list(demo_events(now))
    for start in range(0, len(events), BATCH):
        batch = events[start : start + BATCH]
        process(batch)
        advance(len(batch))
    return len(events)


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
    return Learner(changes, int(dice.triangular(0, DAYS, 0)), min(0.9, 0.12 * keenness), 1 + int(min(6, keenness)))


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
