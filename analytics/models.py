"""Kept counters, fed from the queue of deltas."""

from typing import Final
from uuid import UUID

from django.db import models

NO_SUBJECT: Final = UUID(int=0)
"""The subject of what is counted over everything: a primary key has no nulls."""


class CounterKind(models.TextChoices):
    """What is counted; the first two are named as their deltas are."""

    USER = "user", "All users"
    COMPLETION = "completion", "The users who completed an achievement"
    POINTS = "points", "The users with points in a range of totals"
    LEVEL = "level", "The users on a level"


class Counter(models.Model):
    """How many users there are of a kind. Together with the deltas that still wait it is the truth, at every moment.

    `subject` is the points system or the achievement. `place` is where a range of totals begins: for points one of
    `analytics.rules.RANGE_STARTS`, for a level its threshold. Every level above 0 has a row, also without users: the
    rows are themselves the record of which thresholds were counted. Users with a total of 0 are in neither; they are
    all users but those counted.
    """

    pk = models.CompositePrimaryKey("kind", "subject", "place")
    kind = models.CharField(max_length=16, choices=CounterKind)
    subject = models.UUIDField(default=NO_SUBJECT)
    place = models.BigIntegerField(default=0)
    users = models.BigIntegerField()

    def __str__(self) -> str:
        return f"{self.kind} {self.subject} from {self.place}: {self.users}"
