"""Levels: names for how many points a user has. A user's level is derived from the total, never stored."""

from django.core.exceptions import ValidationError
from django.core.validators import MaxLengthValidator, MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models import Q

from core.history import History
from core.models import KEY_LENGTH_MAX, NAME_LENGTH_MAX, Badged, ConfigurationStatus, validate_key
from points.models import PointsSystem, system_problems
from points.rules import POINTS_LIMIT


class Level(Badged):
    """A level of a points system: the highest whose points a user's total has reached is the user's."""

    system = models.ForeignKey(
        PointsSystem, on_delete=models.PROTECT, related_name="levels", verbose_name="points system"
    )
    name = models.CharField(max_length=NAME_LENGTH_MAX)
    key = models.CharField(max_length=KEY_LENGTH_MAX, validators=[validate_key])
    description = models.TextField(blank=True, default="", validators=[MaxLengthValidator(2000)])
    points = models.BigIntegerField(
        validators=[MinValueValidator(0), MaxValueValidator(POINTS_LIMIT)],
        help_text="The total from which on a user has this level.",
    )

    history = History()

    class Meta(Badged.Meta):
        constraints = (
            models.UniqueConstraint(
                fields=("system", "key"),
                condition=~Q(status=ConfigurationStatus.ARCHIVED),
                name="levels_level_key_unique",
                violation_error_message="Key already in use by another level of this points system.",
            ),
            models.UniqueConstraint(
                fields=("system", "points"),
                condition=~Q(status=ConfigurationStatus.ARCHIVED),
                name="levels_level_points_unique",
                violation_error_message="Points already in use by another level of this points system.",
            ),
            models.CheckConstraint(condition=Q(points__range=(0, POINTS_LIMIT)), name="levels_level_points_in_range"),
        )

    def __str__(self) -> str:
        return self.name

    def clean(self) -> None:
        """Refuse an archived points system, and two badges."""
        super().clean()
        if problems := system_problems(self):
            raise ValidationError(problems)
