"""Levels: names for how many points a user has. A user's level is derived from the total, never stored."""

from django.core.exceptions import ValidationError
from django.core.validators import MaxLengthValidator, MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models import Q

from core.history import History
from core.models import KEY_LENGTH_MAX, NAME_LENGTH_MAX, Badged, ConfigurationStatus, new_id, validate_key
from points.models import PointsSystem, system_problems
from points.rules import POINTS_LIMIT
from users.models import EXTERNAL_ID_LENGTH_MAX


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


class LevelNotice(models.Model):
    """The telling of users whose level an edit of levels changed, and how far it has come, to go on after a crash.

    It is for the users behind `last_user` up to `until_user`, in the order of their ids. In a points system no user is
    in two that are open. `ladder` are the levels from before the edit as the wire shows them, the lowest first. Lines
    of the ledger with a rule's version below `version` were awarded before the edit. `later` has each edit after it:
    its `version`, and as `ladder` the levels from before it.
    """

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    system = models.ForeignKey(PointsSystem, on_delete=models.CASCADE, related_name="level_notices")
    ladder = models.JSONField()
    version = models.BigIntegerField()
    later = models.JSONField(default=list)
    last_user = models.CharField(max_length=EXTERNAL_ID_LENGTH_MAX, default="", db_collation="C")
    until_user = models.CharField(
        max_length=EXTERNAL_ID_LENGTH_MAX, null=True, db_collation="C", help_text="Empty: up to the last user."
    )
    users = models.BigIntegerField(default=0, help_text="How many users were looked at.")
    told = models.BigIntegerField(default=0, help_text="Of how many users a message was written.")
    created = models.DateTimeField()
    finished = models.DateTimeField(null=True)

    class Meta:
        ordering = ("created", "id")
        indexes = (
            models.Index(fields=("created",), condition=Q(finished__isnull=True), name="levels_levelnotice_unfinished"),
        )

    def __str__(self) -> str:
        return f"{self.system_id}: {self.told}"
