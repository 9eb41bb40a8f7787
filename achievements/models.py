"""Achievements, who completed them, and the looking back of an activation."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Final

from django.core.exceptions import ValidationError
from django.core.validators import MaxLengthValidator, MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models import Q

from achievements.rules import AchievementType
from core.history import History, Tracked
from core.models import (
    KEY_LENGTH_MAX,
    NAME_LENGTH_MAX,
    Badged,
    ConfigurationStatus,
    new_id,
    validate_key,
)
from metrics.models import Event, Metric
from streaks.rules import STREAK_LENGTH_MAX
from users.models import AttributeFilter, EndUser
from users.rules import matches

TYPES: Final = [
    (AchievementType.METRIC.value, "Metric"),
    (AchievementType.STREAK.value, "Streak"),
    (AchievementType.API.value, "API"),
    (AchievementType.COMPOSITE.value, "Other achievements"),
]


class AchievementStatus(models.TextChoices):
    """Inactive: nobody sees or completes it. Locked: who has it keeps it, nobody else completes it."""

    ACTIVE = "active", "Active"
    INACTIVE = "inactive", "Inactive"
    LOCKED = "locked", "Locked"
    ARCHIVED = "archived", "Archived"


ACHIEVEMENT_FIELDS: Final[dict[str, tuple[str, ...]]] = {
    AchievementType.METRIC: ("metric", "metric_value"),
    AchievementType.STREAK: ("streak_length",),
    AchievementType.API: ("key",),
    AchievementType.COMPOSITE: (),
}
"""The fields that an achievement of each type must have; those of other types must be empty."""

TYPED_FIELDS: Final = tuple(field for fields in ACHIEVEMENT_FIELDS.values() for field in fields)
"""The fields that belong to one type each."""


def _fields_of_type() -> Q:
    """Return the condition that an achievement has the fields of its type, and no others."""
    condition = Q()
    for type_, fields in ACHIEVEMENT_FIELDS.items():
        condition |= Q(type=type_.value, **{f"{field}__isnull": field not in fields for field in TYPED_FIELDS})  # type: ignore[attr-defined] # the keys are enum members
    return condition


class Achievement(Badged):
    """Something that a user completes once."""

    needs = ("metric",)
    status_when_restored = AchievementStatus.INACTIVE

    name = models.CharField(max_length=NAME_LENGTH_MAX)
    description = models.TextField(blank=True, default="", validators=[MaxLengthValidator(2000)])
    type = models.CharField("completed by", max_length=16, choices=TYPES, default=AchievementType.METRIC.value)
    status = models.CharField(
        max_length=16, choices=AchievementStatus, default=AchievementStatus.INACTIVE, editable=False
    )
    key = models.CharField(
        max_length=KEY_LENGTH_MAX,
        null=True,
        blank=True,
        validators=[validate_key],
        help_text="What the product completes it by.",
    )
    metric = models.ForeignKey(Metric, on_delete=models.PROTECT, null=True, blank=True, related_name="achievements")
    metric_value = models.DecimalField(
        max_digits=24,
        decimal_places=9,
        null=True,
        blank=True,
        validators=[MinValueValidator(Decimal("0.000000001"), message="must be greater than 0.")],
        help_text="Completed when the user's total reaches this.",
    )
    streak_length = models.PositiveIntegerField(
        null=True,
        blank=True,
        validators=[MinValueValidator(1), MaxValueValidator(STREAK_LENGTH_MAX)],
        help_text="Completed when the user's streak reaches this length.",
    )

    history = History()

    class Meta(Badged.Meta):
        constraints = (
            models.UniqueConstraint(
                fields=("key",),
                condition=~Q(status=ConfigurationStatus.ARCHIVED),
                name="achievements_achievement_key_unique",
                violation_error_message="Key already in use by another achievement.",
            ),
            models.CheckConstraint(condition=_fields_of_type(), name="achievements_achievement_fields_of_type"),
        )

    def __str__(self) -> str:
        return self.name

    def is_open_to(self, attributes: Mapping[str, str]) -> bool:
        """Tell whether a user with these attributes passes the filters, which were loaded with it."""
        of_user = [(each.attribute.key, each.value) for each in self.filters.all() if not each.is_of_event]
        return matches(of_user, attributes)

    @property
    def occasion(self) -> str:
        """When it is completed, in words."""
        words = {
            AchievementType.METRIC: f"{self.metric}: {(self.metric_value or Decimal(0)).normalize():,f}",
            AchievementType.STREAK: f"A streak of {self.streak_length or 0:,}",
            AchievementType.API: "The product says so",
            AchievementType.COMPOSITE: "Other achievements",
        }
        return words[AchievementType(self.type)]

    def clean(self) -> None:
        """Refuse impossible combinations, naming the field."""
        super().clean()
        self.key = self.key or None
        problems = self._problems()
        if problems:
            raise ValidationError(problems)

    def _problems(self) -> dict[str, Any]:
        needed = ACHIEVEMENT_FIELDS.get(self.type, ())
        label = dict(TYPES).get(self.type, self.type)
        problems: dict[str, Any] = {}
        for field in TYPED_FIELDS:
            present = self.serializable_value(field) is not None
            if present and field not in needed:
                problems[field] = f"must be empty for an achievement of type {label}."
            elif not present and field in needed:
                problems[field] = f"is required for an achievement of type {label}."
        if self.metric is not None and self.metric.status == ConfigurationStatus.ARCHIVED:
            problems["metric"] = "is archived: restore it first, or choose another."
        return problems


class AchievementPrerequisite(Tracked):
    """An achievement that must be completed before the composite is."""

    needs = ("prerequisite",)
    needed_for = "achievement"

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    achievement = models.ForeignKey(Achievement, on_delete=models.CASCADE, related_name="prerequisites")
    prerequisite = models.ForeignKey(Achievement, on_delete=models.PROTECT, related_name="prerequisite_of")

    history = History(part_of="achievement")

    class Meta:
        ordering = ("id",)
        constraints = (
            models.UniqueConstraint(
                fields=("achievement", "prerequisite"),
                name="achievements_prerequisite_unique",
                violation_error_message="Each achievement can be named only once.",
            ),
            models.CheckConstraint(
                condition=~Q(achievement=models.F("prerequisite")), name="achievements_prerequisite_other"
            ),
        )

    def __str__(self) -> str:
        return str(self.prerequisite)


class AchievementFilter(AttributeFilter):
    """An attribute that must have this value for the achievement to be completed: the user's, or the event's."""

    needed_for = "achievement"

    achievement = models.ForeignKey(Achievement, on_delete=models.CASCADE, related_name="filters")

    history = History(part_of="achievement")

    class Meta(AttributeFilter.Meta):
        constraints = (
            models.UniqueConstraint(
                fields=("achievement", "attribute"),
                name="achievements_achievementfilter_attribute_unique",
                violation_error_message="Each attribute can be filtered by only once.",
            ),
        )


class Completion(models.Model):
    """That a user completed an achievement: once, for ever. `event` is what did it; `quiet` if an activation did."""

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    user = models.ForeignKey(EndUser, on_delete=models.PROTECT, related_name="+", db_index=False)
    achievement = models.ForeignKey(
        Achievement, on_delete=models.PROTECT, related_name="completions", db_index=False, db_constraint=False
    )
    event = models.ForeignKey(
        Event, on_delete=models.PROTECT, null=True, related_name="+", db_index=False, db_constraint=False
    )
    quiet = models.BooleanField(default=False)
    at = models.DateTimeField()

    class Meta:
        constraints = (models.UniqueConstraint(fields=("user", "achievement"), name="achievements_completion_once"),)

    def __str__(self) -> str:
        return f"{self.achievement_id} at {self.at:%Y-%m-%d %H:%M}"


class Backdating(models.Model):
    """The looking back for who qualified already, after an activation or a change of what an active one asks for.

    It is how far it has come, to go on there after a crash.
    """

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    achievement = models.ForeignKey(Achievement, on_delete=models.CASCADE, related_name="backdatings")
    terms = models.CharField(
        max_length=64, default="", help_text="A digest of what the achievement asked for when it began; empty before."
    )
    last_user = models.UUIDField(null=True, help_text="The last user who was looked at; ids are in time order.")
    completed = models.BigIntegerField(default=0, help_text="How many users got it.")
    created = models.DateTimeField()
    finished = models.DateTimeField(null=True)

    class Meta:
        ordering = ("created", "id")

    def __str__(self) -> str:
        return f"{self.achievement_id}: {self.completed}"
