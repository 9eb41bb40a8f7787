"""What is measured, every event that measured it, and the totals."""

from decimal import Decimal

from django.core.exceptions import ValidationError
from django.db import models
from django.db.models import F, Q

from core.history import History
from core.models import KEY_LENGTH_MAX, NAME_LENGTH_MAX, Configuration, ConfigurationStatus, new_id, validate_key
from metrics.currencies import CURRENCY_CODES
from metrics.rules import FILTER_LENGTH_MAX, OPENING, REPORTED
from users.models import EndUser


class UnitType(models.TextChoices):
    """What a metric counts in."""

    NUMBER = "number", "Number"
    CURRENCY = "currency", "Currency"


class Metric(Configuration):
    """Something that users do, counted: lessons completed, words written, money spent."""

    name = models.CharField(max_length=NAME_LENGTH_MAX)
    key = models.CharField(max_length=KEY_LENGTH_MAX, validators=[validate_key])
    unit_type = models.CharField(max_length=8, choices=UnitType, default=UnitType.NUMBER)
    units = models.CharField(
        max_length=64,
        blank=True,
        default="",
        help_text="A label such as «words»; for a currency its ISO 4217 code such as USD.",
    )

    history = History()

    class Meta(Configuration.Meta):
        constraints = (
            models.UniqueConstraint(
                fields=("key",),
                condition=~Q(status=ConfigurationStatus.ARCHIVED),
                name="metrics_metric_key_unique",
                violation_error_message="Key already in use by another metric.",
            ),
        )

    def __str__(self) -> str:
        return self.name

    def clean(self) -> None:
        """Refuse a currency that ISO 4217 does not know."""
        if self.unit_type == UnitType.CURRENCY and self.units not in CURRENCY_CODES:
            raise ValidationError(
                {"units": "must be an ISO 4217 currency code such as USD where the type is currency."}
            )


class EventKind(models.TextChoices):
    """Where an event comes from: reported by the product, or an opening balance that was imported."""

    EVENT = REPORTED, "Event"
    OPENING = OPENING, "Opening balance"


class Event(models.Model):
    """One report of the product, kept for ever. `at` strictly grows for each user and metric.

    Metrics are archived, never deleted, and every event's metric was read from the rule book: the database keeps no
    foreign key to them, whose check would make all events of all users share a lock on one row. Nor to users, who are
    locked when anything of theirs is written, and never deleted: the checks took a third of what PostgreSQL did for an
    event. `manage.py verify` looks for events, and whatever else is of a user, of nobody.
    """

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    user = models.ForeignKey(EndUser, on_delete=models.PROTECT, related_name="+", db_index=False, db_constraint=False)
    metric = models.ForeignKey(Metric, on_delete=models.PROTECT, related_name="+", db_index=False, db_constraint=False)
    value = models.DecimalField(max_digits=24, decimal_places=9)
    attributes = models.JSONField(default=dict, blank=True)
    idempotency_key = models.CharField(max_length=255, null=True, blank=True)
    # Of all attributes that were sent with the key: the stored ones can lose those that are removed later.
    fingerprint = models.BigIntegerField(null=True, blank=True, editable=False)
    kind = models.CharField(max_length=8, choices=EventKind, default=EventKind.EVENT)
    at = models.DateTimeField()
    created = models.DateTimeField()

    class Meta:
        indexes = (models.Index(fields=("user", "metric", "at"), name="metrics_event_user_metric_at"),)
        constraints = (
            models.UniqueConstraint(
                fields=("user", "metric", "idempotency_key"),
                condition=Q(idempotency_key__isnull=False),
                name="metrics_event_idempotency_key_unique",
            ),
            models.UniqueConstraint(
                fields=("user", "metric"), condition=Q(kind=OPENING), name="metrics_event_opening_unique"
            ),
        )

    def __str__(self) -> str:
        return f"{self.value.normalize():f} at {self.at:%Y-%m-%d %H:%M}"


class MetricTotal(models.Model):
    """A user's lifetime sum over the events of a metric that match `filter`, and the highest it ever was, from 0.

    Derived from the events. A missing row means unknown: the pipeline then computes it, under the user's lock. A row
    that exists is kept true by every later event, whether or not a trigger still uses its filter.
    """

    pk = models.CompositePrimaryKey("user_id", "metric_id", "filter")
    user = models.ForeignKey(EndUser, on_delete=models.PROTECT, related_name="+", db_index=False, db_constraint=False)
    metric = models.ForeignKey(Metric, on_delete=models.PROTECT, related_name="+", db_index=False, db_constraint=False)
    filter = models.CharField(max_length=FILTER_LENGTH_MAX, default="", db_collation="C")
    total = models.DecimalField(max_digits=38, decimal_places=9, default=Decimal(0))
    peak = models.DecimalField(max_digits=38, decimal_places=9, default=Decimal(0))
    at = models.DateTimeField(null=True, help_text="When the newest of its events happened, if there are any.")

    class Meta:
        constraints = (
            models.CheckConstraint(
                condition=Q(peak__gte=0) & Q(peak__gte=F("total")), name="metrics_metrictotal_peak_is_highest"
            ),
        )

    def __str__(self) -> str:
        return f"{self.total.normalize():f}"


class MetricDay(models.Model):
    """What a user's total moved by on one day of their own calendar: the events, rolled up as they are stored."""

    pk = models.CompositePrimaryKey("user_id", "metric_id", "day")
    user = models.ForeignKey(EndUser, on_delete=models.PROTECT, related_name="+", db_index=False, db_constraint=False)
    metric = models.ForeignKey(Metric, on_delete=models.PROTECT, related_name="+", db_index=False, db_constraint=False)
    day = models.DateField(help_text="The user's local date when the events happened.")
    change = models.DecimalField(max_digits=38, decimal_places=9)

    def __str__(self) -> str:
        return f"{self.change.normalize():f} on {self.day}"
