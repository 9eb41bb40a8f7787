"""What every table of configuration shares, and the revision that tells a process that its rule book is old."""

import uuid
from collections.abc import Collection
from typing import Any, ClassVar, Final

import uuid_utils
from django.core.exceptions import ValidationError
from django.core.validators import RegexValidator, URLValidator
from django.db import models

from core.history import Tracked
from core.images import BadgeField
from core.texts import has_control_characters, user_id_problem

NAME_LENGTH_MAX: Final = 255
KEY_LENGTH_MAX: Final = 255

validate_key = RegexValidator(r"\A[a-zA-Z0-9_-]+\Z", "must have only letters, digits, hyphens and underscores.")


def check_new_user_id(row: models.Model, external_id: str | None) -> None:
    """Raise ValidationError where `row` is new and for a user by whose id none can be made known."""
    problem = user_id_problem(external_id) if external_id is not None and row._state.adding else None
    if problem:
        raise ValidationError({"external_id": problem})


def new_id() -> uuid.UUID:
    """Return a UUIDv7 (RFC 9562): ids made in Python, in time order, need no RETURNING and keep indexes compact."""
    return uuid.UUID(int=uuid_utils.uuid7().int)


def new_id_text() -> str:
    """Return a UUIDv7 as the hot path carries it."""
    return str(uuid_utils.uuid7())


class ConfigurationStatus(models.TextChoices):
    """Archiving is how configuration is deleted: what was awarded by it stays explained."""

    ACTIVE = "active", "Active"
    ARCHIVED = "archived", "Archived"


class Configuration(Tracked):
    """A row that operators set up: part of the rule book, archived instead of deleted.

    `needs` names the references without which the row could not work: what they point to cannot be archived as long
    as the row is active. A part of another row says whose part it is with `needed_for`.
    """

    needs: ClassVar[tuple[str, ...]] = ()
    status_when_restored: ClassVar[str] = ConfigurationStatus.ACTIVE

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    status = models.CharField(
        max_length=16, choices=ConfigurationStatus, default=ConfigurationStatus.ACTIVE, editable=False
    )
    created = models.DateTimeField(auto_now_add=True)
    updated = models.DateTimeField(auto_now=True)

    class Meta:
        abstract = True
        ordering = ("created", "id")

    def clean_fields(self, exclude: Collection[str] | None = None) -> None:
        """Refuse what Django lets by in texts of one line: control characters, and blanks alone if one is required."""
        super().clean_fields(exclude)
        checked = [each for each in self._meta.concrete_fields if each.name not in (exclude or ())]
        lines = [each for each in checked if isinstance(each, models.CharField)]
        problems = {
            each.name: "must not be blank." for each in lines if not each.blank and _is_blank(self, each.attname)
        }
        problems |= {
            each.name: "must not have control characters such as line breaks."
            for each in lines
            if has_control_characters(getattr(self, each.attname) or "")
        }
        if problems:
            raise ValidationError(problems)

    def fields_when_restored(self) -> dict[str, Any]:
        """Return what changes with the status when the row is brought back from the archive."""
        return {"status": self.status_when_restored}


class Badged(Configuration):
    """Configuration with an image: uploaded, or hosted elsewhere."""

    badge = BadgeField(blank=True, help_text="PNG, JPEG, WebP or GIF, up to 5 MB and 4096 pixels a side.")
    badge_url = models.CharField(
        "badge address",
        max_length=2000,
        blank=True,
        default="",
        validators=[URLValidator(("http", "https"), message="must be an http:// or https:// address.")],
        help_text="Where the badge is hosted elsewhere.",
    )

    class Meta(Configuration.Meta):
        abstract = True

    def clean(self) -> None:
        """Refuse two badges."""
        if self.badge and self.badge_url:
            raise ValidationError({"badge_url": "cannot be given together with an uploaded badge: remove one."})


def _is_blank(row: models.Model, name: str) -> bool:
    value = getattr(row, name)
    return isinstance(value, str) and not value.strip()


class ConfigurationRevision(models.Model):
    """One row, whose number grows in the transaction of every change of configuration.

    Triggers of the database do that (see `core.migration_operations`), so that no road to a change can forget it.
    """

    id = models.SmallIntegerField(primary_key=True, default=1)
    revision = models.BigIntegerField()

    class Meta:
        # Not of one table, since changes are of all.
        permissions = (("view_changes", "Can view all changes of configuration"),)
        constraints = (models.CheckConstraint(condition=models.Q(id=1), name="core_configurationrevision_one_row"),)

    def __str__(self) -> str:
        return f"revision {self.revision}"


class DeltaKind(models.TextChoices):
    """What a delta counts."""

    USER = "user", "A user who is new"
    BALANCE = "balance", "A balance that moved"
    COMPLETION = "completion", "An achievement that was completed"


class Delta(models.Model):
    """A change for whoever keeps counts: a queue, written with the change and folded away in the background.

    Counts fed from here never make two events wait for one row. `subject` is the points system or the achievement;
    `before` (null: nothing yet) and `after` are totals; `users` is how many moved so.
    """

    kind = models.CharField(max_length=16, choices=DeltaKind)
    subject = models.UUIDField(null=True)
    before = models.BigIntegerField(null=True)
    after = models.BigIntegerField(null=True)
    users = models.IntegerField(default=1)

    def __str__(self) -> str:
        return f"{self.kind}: {self.before} to {self.after}"


class Submission(models.Model):
    """A form that was sent and made a row: sent again, it leads to that row and makes nothing.

    `digest` stands for what was sent, `user_id` for the account that sent it. `secret` is what the answer showed once,
    encrypted; it is kept for some minutes, because a browser shows the last of several answers.
    """

    token = models.UUIDField(primary_key=True)
    digest = models.CharField(max_length=64)
    user_id = models.IntegerField(null=True)
    model = models.CharField(max_length=100)
    object_id = models.CharField(max_length=64)
    secret = models.TextField(default="")
    created = models.DateTimeField(db_index=True)

    def __str__(self) -> str:
        return f"{self.model} {self.object_id}"
