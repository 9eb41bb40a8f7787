"""Boosts: what multiplies awards for a while."""

from datetime import datetime
from decimal import Decimal
from typing import Any, Final

from django.core.exceptions import ValidationError
from django.db import models
from django.db.models import F, Q

from boosts.rules import BoostPhase, phase_of
from core.history import History
from core.models import NAME_LENGTH_MAX, Configuration, check_new_user_id
from points.models import PointsSystem, system_problems
from points.rules import Rounding
from users.models import EXTERNAL_ID_LENGTH_MAX, AttributeFilter

MULTIPLIER_PLACES: Final = 4
ROUNDINGS: Final = [
    (Rounding.DOWN.value, "Down"),
    (Rounding.NEAREST.value, "To the nearest, halves up"),
    (Rounding.UP.value, "Up"),
]


class BoostStatus(models.TextChoices):
    """What operators decided; where the boost is in its window follows from the clock (`phase`)."""

    ACTIVE = "active", "Active"
    INACTIVE = "inactive", "Inactive"
    ARCHIVED = "archived", "Archived"


class MultiplierField(models.DecimalField):  # type: ignore[type-arg] # Django's class takes no parameter at run time
    """A multiplier, of which one sentence says what it may be, however it is wrong."""

    def run_validators(self, value: Decimal) -> None:
        """Refuse what is out of range, multiplies nothing or has too many decimals."""
        if not 0 < value < 100 or value == 1 or value != round(value, MULTIPLIER_PLACES):
            raise ValidationError(
                f"must be more than 0, less than 100, not 1, and have at most {MULTIPLIER_PLACES} decimals."
            )


class Boost(Configuration):
    """A multiplier of awards for everyone, for users with some attributes, or for one user."""

    status_when_restored = BoostStatus.INACTIVE

    system = models.ForeignKey(
        PointsSystem, on_delete=models.PROTECT, related_name="boosts", verbose_name="points system"
    )
    name = models.CharField(max_length=NAME_LENGTH_MAX)
    status = models.CharField(max_length=16, choices=BoostStatus, default=BoostStatus.INACTIVE, editable=False)
    start = models.DateField(help_text="Its first day, by each user's own calendar.")
    end = models.DateField(
        null=True, blank=True, help_text="Its last day, by each user's own calendar; empty for no end."
    )
    multiplier = MultiplierField(
        max_digits=6,
        decimal_places=MULTIPLIER_PLACES,
        help_text="More than 0, less than 100, not 1. It multiplies awards, never deductions.",
    )
    rounding = models.CharField(
        max_length=8,
        choices=ROUNDINGS,
        default=Rounding.DOWN.value,
        help_text="Where boosts that apply together disagree: down wins over nearest, nearest over up.",
    )
    external_id = models.CharField(
        "only for user",
        max_length=EXTERNAL_ID_LENGTH_MAX,
        null=True,
        editable=False,
        db_collation="C",
        help_text="The product's id of the one user whom it is for; set by the API, maybe before the user is known.",
    )
    activated = models.DateTimeField(null=True, editable=False)
    finished = models.DateTimeField(
        null=True, editable=False, help_text="When it was stopped, or its end was marked: final."
    )
    start_marked = models.DateTimeField(null=True, editable=False, help_text="When its start was made known.")
    end_marked = models.DateTimeField(null=True, editable=False, help_text="When its end was made known.")

    history = History()

    class Meta(Configuration.Meta):
        indexes = (
            # Also finds those for more than one user (NULL), and those that were stopped since a time tick was due.
            models.Index(fields=("external_id",), condition=Q(status=BoostStatus.ACTIVE), name="boosts_boost_of_user"),
            # The few whose start or end is still to be marked.
            models.Index(fields=("start",), condition=Q(start_marked__isnull=True), name="boosts_boost_to_start"),
            models.Index(fields=("end",), condition=Q(end_marked__isnull=True), name="boosts_boost_to_end"),
            models.Index(fields=("finished",), condition=Q(end_marked__isnull=True), name="boosts_boost_stopped"),
        )
        constraints = (
            models.CheckConstraint(
                condition=Q(multiplier__gt=0, multiplier__lt=100) & ~Q(multiplier=1),
                name="boosts_boost_multiplier_in_range",
                violation_error_message="The multiplier must be more than 0, less than 100, and not 1.",
            ),
            models.CheckConstraint(
                condition=Q(end__isnull=True) | Q(end__gte=F("start")),
                name="boosts_boost_ends_after_start",
                violation_error_message="The end must not be before the start.",
            ),
            models.CheckConstraint(
                condition=~Q(status=BoostStatus.ACTIVE) | Q(activated__isnull=False),
                name="boosts_boost_active_since",
            ),
        )

    def __str__(self) -> str:
        return self.name

    def fields_when_restored(self) -> dict[str, Any]:
        """Keep a finished boost finished, and in the lists of those that are; another is to be activated again."""
        return super().fields_when_restored() | ({"status": BoostStatus.ACTIVE} if self.finished else {})

    def phase(self, at: datetime, tz: str | None = None) -> BoostPhase:
        """Where the boost is at `at` for all whom it is for; `tz` is the zone of the one user whom it may be for."""
        return self._decided(at) or self.phase_by_days(at, tz)

    def phase_of_user(self, at: datetime, tz: str | None) -> BoostPhase:
        """Where the boost is at `at` for a user in the zone `tz`, be it for this one alone or among others."""
        return self._decided(at) or phase_of(self.start, self.end, at=at, tz=tz, is_of_user=True)

    def _decided(self, at: datetime) -> BoostPhase | None:
        """Return where the boost is if that does not follow from its days."""
        if self.finished is not None and self.finished <= at:
            return BoostPhase.FINISHED
        return BoostPhase.INACTIVE if self.status != BoostStatus.ACTIVE else None

    def phase_by_days(self, at: datetime, tz: str | None = None) -> BoostPhase:
        """Where an activated boost that was not stopped is at `at`."""
        return phase_of(self.start, self.end, at=at, tz=tz, is_of_user=self.external_id is not None)

    def clean(self) -> None:
        """Refuse impossible values, naming the field."""
        problems = system_problems(self)
        if self.start and self.end and self.end < self.start:
            problems["end"] = "must not be before start."
        if problems:
            raise ValidationError(problems)
        check_new_user_id(self, self.external_id)


class BoostFilter(AttributeFilter):
    """A user attribute that must have this value for the boost to count."""

    needed_for = "boost"

    boost = models.ForeignKey(Boost, on_delete=models.CASCADE, related_name="filters")

    history = History(part_of="boost")

    class Meta(AttributeFilter.Meta):
        constraints = (
            models.UniqueConstraint(
                fields=("boost", "attribute"),
                name="boosts_boostfilter_attribute_unique",
                violation_error_message="Each attribute can be filtered by only once.",
            ),
        )
