"""Kept counters, fed from the queue of deltas, and what is rolled up from the ledger and the events by day.

The tables of the roll-up have no foreign keys: `analytics.rollup` alone writes them, from rows that are never deleted,
and can make them anew at any time.
"""

from typing import Final
from uuid import UUID

from django.db import models

from points.models import AwardCause

NO_SUBJECT: Final = UUID(int=0)
"""The subject of what is counted over everything: a primary key has no nulls."""
FIRST_ID: Final = UUID(int=0)
"""Before every user: where a walk begins."""
LAST_ID: Final = UUID(int=2**128 - 1)
"""Behind every user: how far a walk has come that is over."""


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


# --- How far the roll-up has come: nothing below is counted that a mark does not say ---------------------------------
class RollUpProgress(models.Model):
    """Where one of the roll-up's walks stands. It is a hint of whom to look at: what was counted, the marks say.

    `position` is the id of the last award, event or user that a walk came by. `completed` is when the walk over all
    users first came to its end: before that, the sums lack whom it has not come to.
    """

    walk = models.CharField(primary_key=True, max_length=16)
    position = models.UUIDField(default=FIRST_ID)
    completed = models.DateTimeField(null=True)

    def __str__(self) -> str:
        return f"{self.walk} at {self.position}"


class UserMark(models.Model):
    """A user who was counted, and on which of the 63 days up to `last_day` they were active: bit n is n days before."""

    user_id = models.UUIDField(primary_key=True)
    last_day = models.DateField(null=True)
    days = models.BigIntegerField(default=0)

    def __str__(self) -> str:
        return f"{self.user_id} up to {self.last_day}"


class EventMark(models.Model):
    """Until when a user's events of a metric are counted: each happened later than the one before it."""

    pk = models.CompositePrimaryKey("user_id", "metric_id")
    user_id = models.UUIDField()
    metric_id = models.UUIDField()
    at = models.DateTimeField()

    def __str__(self) -> str:
        return f"{self.user_id} until {self.at}"


class LedgerMark(models.Model):
    """Up to which line a user's ledger is counted, and what those lines add up to.

    `earned` and `spent` are the sums of what triggers awarded and of what they deducted, both positive; `early` is what
    they awarded within 14 days of when the user was first known. Adjustments are in none of them. `peak` is the highest
    balance.
    """

    pk = models.CompositePrimaryKey("user_id", "system_id")
    user_id = models.UUIDField()
    system_id = models.UUIDField()
    seq = models.BigIntegerField()
    earned = models.DecimalField(max_digits=38, decimal_places=0)
    spent = models.DecimalField(max_digits=38, decimal_places=0)
    early = models.DecimalField(max_digits=38, decimal_places=0)
    peak = models.BigIntegerField()

    def __str__(self) -> str:
        return f"{self.user_id} up to {self.seq}: {self.earned} earned, {self.spent} spent"


class LevelMark(models.Model):
    """Up to which user the users who reached a threshold are counted, in the order of ids; LAST_ID for all."""

    pk = models.CompositePrimaryKey("system_id", "threshold")
    system_id = models.UUIDField()
    threshold = models.BigIntegerField()
    upto = models.UUIDField(default=FIRST_ID)

    def __str__(self) -> str:
        return f"{self.system_id} from {self.threshold}: up to {self.upto}"


# --- What was counted, by day in UTC or by a place of `analytics.rules.place_of` -------------------------------------
class SystemDay(models.Model):
    """What a points system awarded and deducted on a day, by cause and trigger (NO_SUBJECT: an adjustment)."""

    pk = models.CompositePrimaryKey("system_id", "day", "cause", "trigger_id")
    system_id = models.UUIDField()
    day = models.DateField()
    cause = models.CharField(max_length=16, choices=AwardCause)
    trigger_id = models.UUIDField(default=NO_SUBJECT)
    awards = models.BigIntegerField()
    awarded = models.DecimalField(max_digits=38, decimal_places=0)
    deducted = models.DecimalField(max_digits=38, decimal_places=0)

    def __str__(self) -> str:
        return f"{self.day}: {self.awarded} awarded, {self.deducted} deducted"


class BoostDay(models.Model):
    """What awards came to on a day that a boost multiplied, and what they would have come to without that boost.

    All boosts of single users, of which there may be one for everybody, are counted as NO_SUBJECT.
    """

    pk = models.CompositePrimaryKey("system_id", "boost_id", "day")
    system_id = models.UUIDField()
    boost_id = models.UUIDField()
    day = models.DateField()
    awards = models.BigIntegerField()
    awarded = models.DecimalField(max_digits=38, decimal_places=0)
    without = models.DecimalField(max_digits=38, decimal_places=4)

    def __str__(self) -> str:
        return f"{self.day}: {self.awarded} instead of {self.without}"


class EventDay(models.Model):
    """How many events of a metric there were on a day, opening balances left out."""

    pk = models.CompositePrimaryKey("day", "metric_id")
    day = models.DateField()
    metric_id = models.UUIDField()
    events = models.BigIntegerField()

    def __str__(self) -> str:
        return f"{self.day}: {self.events}"


class ActiveDay(models.Model):
    """How many users had an event on a day, and for how many it was the first such day of its week, or of its month.

    So how many were active in a week or a month up to some day is a sum over its days.
    """

    day = models.DateField(primary_key=True)
    users = models.BigIntegerField()
    week_firsts = models.BigIntegerField()
    month_firsts = models.BigIntegerField()

    def __str__(self) -> str:
        return f"{self.day}: {self.users}"


class CohortWeek(models.Model):
    """How many users became known in the week that begins on `week`."""

    week = models.DateField(primary_key=True)
    users = models.BigIntegerField()

    def __str__(self) -> str:
        return f"{self.week}: {self.users}"


class EarnedTally(models.Model):
    """How many users earned how much in all, and what they earned together."""

    pk = models.CompositePrimaryKey("system_id", "place")
    system_id = models.UUIDField()
    place = models.BigIntegerField()
    users = models.BigIntegerField()
    points = models.DecimalField(max_digits=38, decimal_places=0)

    def __str__(self) -> str:
        return f"from {self.place}: {self.users}"


class TopEarner(models.Model):
    """A user among the 100 of a points system who earned most. That only ever grows, so only who earns comes in."""

    pk = models.CompositePrimaryKey("system_id", "user_id")
    system_id = models.UUIDField()
    user_id = models.UUIDField()
    earned = models.DecimalField(max_digits=38, decimal_places=0)

    def __str__(self) -> str:
        return f"{self.user_id}: {self.earned}"


class EarlyTally(models.Model):
    """How many of the users of a cohort earned how much in their first 14 days; who earned nothing is in none."""

    pk = models.CompositePrimaryKey("system_id", "week", "place")
    system_id = models.UUIDField()
    week = models.DateField()
    place = models.BigIntegerField()
    users = models.BigIntegerField()
    points = models.DecimalField(max_digits=38, decimal_places=0)

    def __str__(self) -> str:
        return f"{self.week} from {self.place}: {self.users}"


class LevelTally(models.Model):
    """How many users reached a threshold for the first time, by the minutes (`place`) since they became known."""

    pk = models.CompositePrimaryKey("system_id", "threshold", "place")
    system_id = models.UUIDField()
    threshold = models.BigIntegerField()
    place = models.BigIntegerField()
    users = models.BigIntegerField()

    def __str__(self) -> str:
        return f"{self.threshold} after {self.place}: {self.users}"
