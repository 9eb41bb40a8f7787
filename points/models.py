"""Points systems, the triggers that award points in them, the ledger and the balances that it adds up to."""

from datetime import datetime
from typing import Any, Final

from django.core.exceptions import ValidationError
from django.core.validators import MaxLengthValidator, MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models import Q
from django.utils import timezone

from achievements.models import Achievement
from core.history import History
from core.models import (
    KEY_LENGTH_MAX,
    NAME_LENGTH_MAX,
    Badged,
    Configuration,
    ConfigurationStatus,
    new_id,
    validate_key,
)
from metrics.models import Event, Metric
from points.rules import ADJUSTMENT, POINTS_LIMIT
from streaks.rules import STREAK_LENGTH_MAX
from users.models import EXTERNAL_ID_LENGTH_MAX, AttributeFilter, EndUser


class PointsSystem(Badged):
    """A currency of its own: XP, gems, energy."""

    name = models.CharField(max_length=NAME_LENGTH_MAX)
    key = models.CharField(max_length=KEY_LENGTH_MAX, validators=[validate_key])
    description = models.TextField(blank=True, default="", validators=[MaxLengthValidator(2000)])
    max_points = models.BigIntegerField(
        null=True,
        blank=True,
        validators=[MinValueValidator(1), MaxValueValidator(POINTS_LIMIT)],
        help_text="The most points that a user can hold; empty for no limit.",
    )

    restored = models.DateTimeField(
        null=True, editable=False, help_text="When it was brought back from the archive: time triggers count from then."
    )

    history = History()

    class Meta(Badged.Meta):
        permissions = (("preview_points", "Can preview what rules would pay"),)
        constraints = (
            models.UniqueConstraint(
                fields=("key",),
                condition=~Q(status=ConfigurationStatus.ARCHIVED),
                name="points_pointssystem_key_unique",
                violation_error_message="Key already in use by another points system.",
            ),
            models.CheckConstraint(
                condition=Q(max_points__isnull=True) | Q(max_points__range=(1, POINTS_LIMIT)),
                name="points_pointssystem_max_points_in_range",
            ),
        )

    def __str__(self) -> str:
        return self.name

    def fields_when_restored(self) -> dict[str, Any]:
        """Start the count of its time triggers anew, as an activation does."""
        return {**super().fields_when_restored(), "restored": timezone.now()}


def system_problems(part: Any) -> dict[str, str]:
    """Return what is wrong with the points system that a new trigger, boost or level is added to, by the field."""
    system = getattr(part, "system", None) if part._state.adding else None
    if system is None or system.status != ConfigurationStatus.ARCHIVED:
        return {}
    return {"system": "is archived: restore it first, or choose another."}


class TriggerType(models.TextChoices):
    """What makes a trigger fire."""

    METRIC = "metric", "Metric"
    STREAK = "streak", "Streak"
    ACHIEVEMENT = "achievement", "Achievement"
    TIME = "time", "Time"
    USER_CREATION = "user_creation", "User creation"


class TimeUnit(models.TextChoices):
    """What a time trigger counts in; a day is 24 hours."""

    HOUR = "hour", "Hours"
    DAY = "day", "Days"


class TriggerStatus(models.TextChoices):
    """A trigger begins inactive, so that it can be looked at before it pays."""

    ACTIVE = "active", "Active"
    INACTIVE = "inactive", "Inactive"
    ARCHIVED = "archived", "Archived"


TRIGGER_FIELDS: Final[dict[str, tuple[str, ...]]] = {
    TriggerType.METRIC: ("metric", "metric_threshold"),
    TriggerType.STREAK: ("streak_length",),
    TriggerType.ACHIEVEMENT: ("achievement",),
    TriggerType.TIME: ("time_unit", "time_interval"),
    TriggerType.USER_CREATION: (),
}
"""The fields that a trigger of each type must have; those of other types must be empty."""

TYPED_FIELDS: Final = tuple(field for fields in TRIGGER_FIELDS.values() for field in fields)
"""The fields that belong to one type each."""

TIME_INTERVAL_MAX: Final = 10_000
REASON_LENGTH_MAX: Final = 500


def _fields_of_type() -> Q:
    """Return the condition that a trigger has the fields of its type, and no others."""
    condition = Q()
    for type_, fields in TRIGGER_FIELDS.items():
        condition |= Q(type=type_, **{f"{field}__isnull": field not in fields for field in TYPED_FIELDS})
    return condition & (Q(metric_threshold__isnull=True) | Q(metric_threshold__gte=1))


class PointsTrigger(Configuration):
    """A rule that gives points, or takes them."""

    needs = ("metric", "achievement")
    status_when_restored = TriggerStatus.INACTIVE

    system = models.ForeignKey(
        PointsSystem, on_delete=models.PROTECT, related_name="triggers", verbose_name="points system"
    )
    type = models.CharField(max_length=16, choices=TriggerType, default=TriggerType.METRIC)
    points = models.BigIntegerField(
        validators=[MinValueValidator(-POINTS_LIMIT), MaxValueValidator(POINTS_LIMIT)],
        help_text="Negative points are taken away.",
    )
    status = models.CharField(max_length=16, choices=TriggerStatus, default=TriggerStatus.INACTIVE, editable=False)
    metric = models.ForeignKey(Metric, on_delete=models.PROTECT, null=True, blank=True, related_name="triggers")
    metric_threshold = models.BigIntegerField(
        null=True,
        blank=True,
        validators=[MinValueValidator(1), MaxValueValidator(POINTS_LIMIT)],
        help_text="Fires each time that the user's highest total so far passes another multiple of this.",
    )
    streak_length = models.PositiveIntegerField(
        null=True,
        blank=True,
        validators=[MinValueValidator(1), MaxValueValidator(STREAK_LENGTH_MAX)],
        help_text="Fires each time that the user's streak reaches another multiple of this.",
    )
    achievement = models.ForeignKey(
        Achievement, on_delete=models.PROTECT, null=True, blank=True, related_name="triggers"
    )
    time_unit = models.CharField(max_length=4, choices=TimeUnit, null=True, blank=True)
    time_interval = models.PositiveIntegerField(
        null=True,
        blank=True,
        validators=[MinValueValidator(1), MaxValueValidator(TIME_INTERVAL_MAX)],
        help_text="Pays every so many hours or days, counted from the moment of activation.",
    )
    time_started = models.DateTimeField(
        null=True, editable=False, help_text="From when the interval counts: the activation, or its last change."
    )
    block_if_out_of_points = models.BooleanField(
        default=False, help_text="Refuse the event where the user has fewer points than this trigger would take."
    )

    history = History()

    class Meta(Configuration.Meta):
        constraints = (
            models.CheckConstraint(
                condition=~Q(points=0) & Q(points__range=(-POINTS_LIMIT, POINTS_LIMIT)),
                name="points_pointstrigger_points_in_range",
                violation_error_message="Points must not be 0.",
            ),
            models.CheckConstraint(
                condition=_fields_of_type(),
                name="points_pointstrigger_fields_of_type",
            ),
            models.CheckConstraint(
                condition=Q(block_if_out_of_points=False) | Q(type=TriggerType.METRIC, points__lt=0),
                name="points_pointstrigger_block_takes_points",
            ),
        )

    def __str__(self) -> str:
        return f"{self.points:+,} · {self.occasion}"

    @property
    def counts_from(self) -> datetime | None:
        """From when a time trigger counts its interval: as COUNTS_FROM in `points.store`. None where it does not."""
        if self.time_started is None or self.system.restored is None:
            return self.time_started
        return max(self.time_started, self.system.restored)

    @property
    def occasion(self) -> str:
        """When it fires, in words."""
        words = {
            TriggerType.METRIC: f"{self.metric}: every {self.metric_threshold or 0:,}",
            TriggerType.STREAK: f"Streak: every {self.streak_length or 0:,}",
            TriggerType.ACHIEVEMENT: f"Achievement: {self.achievement}",
            TriggerType.TIME: f"Every {self.time_unit}"
            if self.time_interval == 1
            else f"Every {self.time_interval or 0:,} {self.time_unit}s",
            TriggerType.USER_CREATION: "New user",
        }
        return words[TriggerType(self.type)]

    def clean(self) -> None:
        """Refuse impossible combinations, naming the field."""
        problems = self._problems()
        if problems:
            raise ValidationError(problems)

    def _problems(self) -> dict[str, Any]:
        label = TriggerType(self.type).label.lower() if self.type in TriggerType.values else self.type
        kind = f"{'an' if label.startswith('a') else 'a'} {label} trigger"
        needed = TRIGGER_FIELDS.get(self.type, ())
        problems: dict[str, Any] = {}
        for field in TYPED_FIELDS:
            present = self.serializable_value(field) is not None
            if present and field not in needed:
                problems[field] = f"must be empty for {kind}."
            elif not present and field in needed:
                problems[field] = f"is required for {kind}."
        if self.points == 0:
            problems["points"] = "must not be 0."
        if self.block_if_out_of_points and (self.type != TriggerType.METRIC or (self.points or 0) >= 0):
            problems["block_if_out_of_points"] = "is possible only for a metric trigger with negative points."
        return problems | self._archived_problems() | system_problems(self)

    def _archived_problems(self) -> dict[str, Any]:
        used = {"metric": self.metric, "achievement": self.achievement}
        return {
            field: "is archived: restore it first, or choose another."
            for field, row in used.items()
            if row is not None and row.status == ConfigurationStatus.ARCHIVED
        }


class TriggerFilter(AttributeFilter):
    """An attribute that must have this value for the trigger to fire: the user's, or the event's."""

    needed_for = "trigger"

    trigger = models.ForeignKey(PointsTrigger, on_delete=models.CASCADE, related_name="filters")

    history = History(part_of="trigger")

    class Meta(AttributeFilter.Meta):
        constraints = (
            models.UniqueConstraint(
                fields=("trigger", "attribute"),
                name="points_triggerfilter_attribute_unique",
                violation_error_message="Each attribute can be filtered by only once.",
            ),
        )


class AwardCause(models.TextChoices):
    """Why points moved."""

    METRIC = "metric", "Metric"
    STREAK = "streak", "Streak"
    ACHIEVEMENT = "achievement", "Achievement"
    TIME = "time", "Time"
    USER_CREATION = "user_creation", "User creation"
    ADJUSTMENT = ADJUSTMENT, "Adjustment"


class PointsAward(models.Model):
    """One line of the ledger, never changed. `seq` is its place: 1, 2, 3... for each user and system.

    Users, systems, triggers and events are never deleted, and every id here was read under the user's lock, from the
    rule book, or written in the same statement: the database keeps no foreign keys, whose checks would make all events
    share locks on the same few rows. `manage.py verify` looks for dangling ones.
    """

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    user = models.ForeignKey(EndUser, on_delete=models.PROTECT, related_name="+", db_index=False, db_constraint=False)
    system = models.ForeignKey(
        PointsSystem, on_delete=models.PROTECT, related_name="+", db_index=False, db_constraint=False
    )
    seq = models.BigIntegerField()
    trigger = models.ForeignKey(
        PointsTrigger, on_delete=models.PROTECT, null=True, related_name="+", db_index=False, db_constraint=False
    )
    event = models.ForeignKey(
        Event, on_delete=models.PROTECT, null=True, related_name="+", db_index=False, db_constraint=False
    )
    cause = models.CharField(max_length=16, choices=AwardCause)
    awarded = models.BigIntegerField()
    total = models.BigIntegerField(help_text="The balance after this award.")
    boosts = models.JSONField(default=list)
    created = models.DateTimeField()
    rule_version = models.BigIntegerField(
        null=True, help_text="Of which version its rule was (points.versions); empty for lines from before versions."
    )

    class Meta:
        permissions = (("adjust_points", "Can adjust users' points"),)
        constraints = (
            models.UniqueConstraint(fields=("user", "system", "seq"), name="points_pointsaward_seq_unique"),
            models.CheckConstraint(condition=~Q(awarded=0), name="points_pointsaward_moves_points"),
        )

    def __str__(self) -> str:
        return f"{self.awarded:+d}, then {self.total}"


class PointsAdjustment(models.Model):
    """Why an operator gave points, or took them: one for each award of that cause, written with it."""

    award = models.OneToOneField(PointsAward, on_delete=models.PROTECT, primary_key=True, related_name="adjustment")
    reason = models.CharField(max_length=REASON_LENGTH_MAX)
    operator = models.CharField(max_length=150, help_text="The login of who did it.")

    def __str__(self) -> str:
        return f"{self.reason} ({self.operator})"


class AdjustmentRequest(models.Model):
    """What an operator asked for in the admin, beside the adjustment that came of it.

    A form has a token, and its second sending finds the first: nothing moves twice. An adjustment is reversed at most
    once, by another one. Imports have no requests.
    """

    token = models.UUIDField(primary_key=True, editable=False)
    adjustment = models.OneToOneField(PointsAdjustment, on_delete=models.PROTECT, related_name="request")
    points = models.BigIntegerField(help_text="What was asked for: more than moved where that was clamped.")
    reverses = models.OneToOneField(PointsAdjustment, on_delete=models.PROTECT, null=True, related_name="reversal")

    class Meta:
        constraints = (
            models.CheckConstraint(
                condition=~Q(points=0) & Q(points__range=(-POINTS_LIMIT, POINTS_LIMIT)),
                name="points_adjustmentrequest_points_in_range",
            ),
            models.CheckConstraint(
                condition=Q(reverses__isnull=True) | ~Q(adjustment=models.F("reverses")),
                name="points_adjustmentrequest_reverses_another",
            ),
        )

    def __str__(self) -> str:
        return f"{self.points:+d}"


class PointsBalance(models.Model):
    """What a user holds in a system: always the fold of the ledger. No index but the key, so that updates stay HOT."""

    pk = models.CompositePrimaryKey("user_id", "system_id")
    user = models.ForeignKey(EndUser, on_delete=models.PROTECT, related_name="+", db_index=False, db_constraint=False)
    system = models.ForeignKey(
        PointsSystem, on_delete=models.PROTECT, related_name="+", db_index=False, db_constraint=False
    )
    total = models.BigIntegerField()
    seq = models.BigIntegerField(help_text="The ledger's last line that it includes.")

    class Meta:
        constraints = (
            models.CheckConstraint(
                condition=Q(total__range=(0, POINTS_LIMIT)), name="points_pointsbalance_total_in_range"
            ),
            models.CheckConstraint(condition=Q(seq__gte=1), name="points_pointsbalance_seq_counts"),
        )

    def __str__(self) -> str:
        return f"{self.total}"


class PointsDay(models.Model):
    """What a user's balance moved by on one day of their own calendar: the ledger, rolled up as it is written."""

    pk = models.CompositePrimaryKey("user_id", "system_id", "day")
    user = models.ForeignKey(EndUser, on_delete=models.PROTECT, related_name="+", db_index=False, db_constraint=False)
    system = models.ForeignKey(
        PointsSystem, on_delete=models.PROTECT, related_name="+", db_index=False, db_constraint=False
    )
    day = models.DateField(help_text="The user's local date when the points moved.")
    change = models.BigIntegerField()

    def __str__(self) -> str:
        return f"{self.change:+d} on {self.day}"


class TimeTick(models.Model):
    """One payment of a time trigger to all users: how far it has come. The row is what makes it pay exactly once."""

    trigger = models.ForeignKey(PointsTrigger, on_delete=models.PROTECT, related_name="ticks", db_index=False)
    due = models.DateTimeField()
    last_user = models.CharField(
        max_length=EXTERNAL_ID_LENGTH_MAX, default="", db_collation="C", help_text="The last user who was paid."
    )
    users = models.BigIntegerField(default=0, help_text="How many users were looked at and matched.")
    finished = models.DateTimeField(null=True)

    class Meta:
        constraints = (models.UniqueConstraint(fields=("trigger", "due"), name="points_timetick_due_unique"),)
        indexes = (
            models.Index(fields=("due",), condition=Q(finished__isnull=True), name="points_timetick_unfinished"),
        )

    def __str__(self) -> str:
        return f"{self.trigger_id} at {self.due:%Y-%m-%d %H:%M}"
