"""Imported files: how far each has come, its rows as long as they are needed, and what was wrong with them."""

from django.db import models
from django.db.models import Q

from core.models import new_id
from users.models import EXTERNAL_ID_LENGTH_MAX

FILE_NAME_LENGTH_MAX = 255

PLACE_LENGTH_MAX = EXTERNAL_ID_LENGTH_MAX

ERRORS_MAX = 10_000
"""So many errors end a check: what is wrong with the file is clear by then."""


class ImportKind(models.TextChoices):
    """What is in the file."""

    USERS = "users", "Users"
    OPENINGS = "openings", "Opening balances"
    ADJUSTMENTS = "adjustments", "Points adjustments"


class ImportStatus(models.TextChoices):
    """Where an import is. Only one that was checked without errors can be confirmed."""

    CHECKING = "checking", "Checking"
    REFUSED = "refused", "Has errors"
    CHECKED = "checked", "Ready to confirm"
    IMPORTING = "importing", "Importing"
    DONE = "done", "Done"
    CANCELLED = "cancelled", "Cancelled"
    FAILED = "failed", "Stopped"


WORKED_ON = (ImportStatus.CHECKING, ImportStatus.IMPORTING)
"""What a worker goes on with."""


class ImportRun(models.Model):
    """One uploaded file: a worker checks its rows, an operator confirms, a worker imports them.

    `last_place` and `last_line` are how far the pass under way has come in the order of users, and move in the
    transaction of each chunk: that is what makes a row count exactly once. `tally` is what the pass found or did.
    """

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    kind = models.CharField("contents", max_length=16, choices=ImportKind, default=ImportKind.USERS)
    status = models.CharField(max_length=16, choices=ImportStatus, default=ImportStatus.CHECKING, editable=False)
    file_name = models.CharField("file", max_length=FILE_NAME_LENGTH_MAX, editable=False)
    digest = models.CharField(
        max_length=64, editable=False, help_text="Of what the file says; of its bytes in the first runs."
    )
    again = models.BooleanField(
        "import again",
        default=False,
        help_text="Also where a file that says the same was imported before: its points move a second time.",
    )
    operator = models.CharField(max_length=150, editable=False, help_text="The login of who uploaded it.")
    columns = models.JSONField(default=list, editable=False)
    rows = models.PositiveIntegerField(default=0, editable=False)
    rows_done = models.PositiveIntegerField(default=0, editable=False)
    errors = models.PositiveIntegerField(default=0, editable=False)
    tally = models.JSONField(default=dict, editable=False)
    last_place = models.CharField(max_length=PLACE_LENGTH_MAX, default="", db_collation="C", editable=False)
    last_line = models.PositiveIntegerField(default=0, editable=False)
    created = models.DateTimeField(editable=False)
    confirmed = models.DateTimeField(null=True, editable=False)
    finished = models.DateTimeField(null=True, editable=False)

    class Meta:
        verbose_name = "import"
        ordering = ("-id",)
        constraints = (
            models.UniqueConstraint(
                fields=("digest",),
                condition=Q(kind=ImportKind.ADJUSTMENTS, again=False, confirmed__isnull=False),
                name="imports_importrun_adjusts_once",
                violation_error_message=(
                    "A file that says the same was imported already. To move its points a second time, upload it again "
                    "and tick «Import again»."
                ),
            ),
        )
        indexes = (models.Index(fields=("id",), condition=Q(status__in=WORKED_ON), name="imports_importrun_worked_on"),)

    def __str__(self) -> str:
        return self.file_name

    @property
    def percent(self) -> int:
        """How much of the pass under way is done."""
        return 100 * self.rows_done // max(1, self.rows)


class ImportRow(models.Model):
    """A row of a file that is still needed. Its place in the order of work is the id of the user whom it is about.

    So a chunk can have all rows of its users, and what is decided on them needs no other chunk.
    """

    pk = models.CompositePrimaryKey("run_id", "place", "line")
    run = models.ForeignKey(ImportRun, on_delete=models.CASCADE, related_name="+", db_index=False)
    place = models.CharField(max_length=PLACE_LENGTH_MAX, db_collation="C")
    line = models.PositiveIntegerField()
    cells = models.JSONField()

    def __str__(self) -> str:
        return f"line {self.line}"


class RowError(models.Model):
    """Why a row cannot be, or was not, imported: the first thing that is wrong with it."""

    pk = models.CompositePrimaryKey("run_id", "line")
    run = models.ForeignKey(ImportRun, on_delete=models.CASCADE, related_name="+", db_index=False)
    line = models.PositiveIntegerField()
    column = models.TextField(help_text="Empty where it is the whole row.")
    message = models.TextField()

    class Meta:
        ordering = ("run_id", "line")

    def __str__(self) -> str:
        return f"line {self.line}: {self.message}"
