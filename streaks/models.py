"""What makes a streak, and every user's streak with its history."""

from decimal import Decimal

from django.core.validators import MinValueValidator
from django.db import models
from django.db.models import Q

from core.history import History, Tracked
from core.models import new_id
from metrics.models import Metric
from streaks.rules import Frequency
from users.models import EndUser

FREQUENCIES = [(each.value, each.value.capitalize()) for each in Frequency]


class EvaluationMode(models.TextChoices):
    """Whether one of the metrics is enough, or all are needed. The contract's words."""

    OR = "OR", "Any of the metrics"
    AND = "AND", "All of the metrics"


class StreakSettings(Tracked):
    """One row: what makes a streak. Without metrics, any event with a positive value counts; without the row, daily."""

    id = models.SmallIntegerField(primary_key=True, default=1, editable=False)
    frequency = models.CharField(
        max_length=8,
        choices=FREQUENCIES,
        default=Frequency.DAILY.value,
        help_text="A change starts every streak anew at the user's next event.",
    )
    evaluation_mode = models.CharField(
        "a period counts with", max_length=4, choices=EvaluationMode, default=EvaluationMode.OR
    )
    updated = models.DateTimeField(auto_now=True)

    history = History()

    class Meta:
        verbose_name = "streak settings"
        verbose_name_plural = "streak settings"
        constraints = (models.CheckConstraint(condition=Q(id=1), name="streaks_streaksettings_one_row"),)

    def __str__(self) -> str:
        return f"{self.frequency.capitalize()} streaks"


class StreakMetric(Tracked):
    """A metric that counts for the streak, from an amount in a period on."""

    needs = ("metric",)

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    settings = models.ForeignKey(StreakSettings, on_delete=models.CASCADE, related_name="metrics")
    metric = models.ForeignKey(Metric, on_delete=models.PROTECT, related_name="streak_metrics")
    threshold = models.DecimalField(
        max_digits=24,
        decimal_places=9,
        default=Decimal(1),
        validators=[MinValueValidator(Decimal("0.000000001"), message="must be greater than 0.")],
        help_text="How much of it in one period is enough.",
    )

    history = History(part_of="settings", part_in_words=lambda each: f"{each.metric}: {each.threshold.normalize():f}")

    class Meta:
        ordering = ("id",)
        constraints = (
            models.UniqueConstraint(
                fields=("metric",),
                name="streaks_streakmetric_metric_unique",
                violation_error_message="Each metric can be named only once.",
            ),
            models.CheckConstraint(condition=Q(threshold__gt=0), name="streaks_streakmetric_threshold_positive"),
        )

    def __str__(self) -> str:
        return f"the streak settings ({self.metric})"


class Streak(models.Model):
    """A user's streak. `amounts` is what they did in the newest periods, by metric id and the period's first day."""

    user = models.OneToOneField(
        EndUser, on_delete=models.PROTECT, primary_key=True, related_name="+", db_constraint=False
    )
    frequency = models.CharField(max_length=8, choices=FREQUENCIES)
    length = models.PositiveIntegerField()
    started = models.DateField(null=True)
    period = models.DateField(null=True, help_text="The first day of the last period that counted.")
    extended = models.DateTimeField(null=True)
    amounts = models.JSONField(default=dict)

    class Meta:
        # What has expired is found by it; it changes once in a period.
        indexes = (
            models.Index(fields=("frequency", "period"), condition=Q(length__gte=1), name="streaks_streak_running"),
        )
        constraints = (
            models.CheckConstraint(
                condition=Q(length=0, started__isnull=True, period__isnull=True, extended__isnull=True)
                | Q(length__gte=1, started__isnull=False, period__isnull=False, extended__isnull=False),
                name="streaks_streak_none_or_whole",
            ),
        )

    def __str__(self) -> str:
        return f"{self.length} {self.frequency}"


class StreakPeriod(models.Model):
    """A period that counted, and how long the streak was with it. Never taken back."""

    pk = models.CompositePrimaryKey("user_id", "frequency", "period")
    user = models.ForeignKey(EndUser, on_delete=models.PROTECT, related_name="+", db_index=False, db_constraint=False)
    frequency = models.CharField(max_length=8, choices=FREQUENCIES)
    period = models.DateField(help_text="Its first day.")
    length = models.PositiveIntegerField()
    extended = models.DateTimeField()

    def __str__(self) -> str:
        return f"{self.length} on {self.period}"
