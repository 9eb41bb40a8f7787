"""Backtests: drafts of rules that were played over what users really did."""

from typing import Final

from django.db import models
from django.db.models import Q

from core.models import new_id
from points.models import PointsSystem

KEPT_MAX: Final = 20
"""How many backtests of a points system are kept."""


class BacktestStatus(models.TextChoices):
    """Where a backtest is."""

    WAITING = "waiting", "Waiting"
    RUNNING = "running", "Running"
    DONE = "done", "Done"
    CANCELLED = "cancelled", "Cancelled"
    FAILED = "failed", "Failed"


OPEN: Final = (BacktestStatus.WAITING, BacktestStatus.RUNNING)
"""Not ended yet."""


class Backtest(models.Model):
    """A draft of one system's rules, and what it would have paid from `start` until `created`.

    `share` is how many of 65,536 users take part. `beat` moves as long as a worker is at it. `result` is a
    `preview.results.Result`, or {"error": ...} where it failed.
    """

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    system = models.ForeignKey(PointsSystem, on_delete=models.PROTECT, related_name="+", verbose_name="points system")
    operator = models.CharField(max_length=150, editable=False, help_text="The login of who asked for it.")
    status = models.CharField(max_length=16, choices=BacktestStatus, default=BacktestStatus.WAITING, editable=False)
    draft = models.JSONField(editable=False)
    query = models.TextField(default="", editable=False, help_text="The address's query that shows the draft.")
    changes = models.JSONField(default=list, editable=False, help_text="How the draft differs from the live rules.")
    days = models.PositiveIntegerField(editable=False)
    start = models.DateTimeField(editable=False)
    users = models.PositiveBigIntegerField(default=0, editable=False)
    users_done = models.PositiveBigIntegerField(default=0, editable=False)
    events_done = models.PositiveBigIntegerField(default=0, editable=False)
    share = models.PositiveIntegerField(default=65_536, editable=False)
    result = models.JSONField(default=dict, editable=False)
    created = models.DateTimeField(editable=False)
    beat = models.DateTimeField(null=True, editable=False)
    finished = models.DateTimeField(null=True, editable=False)

    class Meta:
        ordering = ("-id",)
        default_permissions = ()
        indexes = (models.Index(fields=("id",), condition=Q(status__in=OPEN), name="preview_backtest_open"),)

    def __str__(self) -> str:
        return f"the last {self.days} days, {self.created:%Y-%m-%d %H:%M}"

    @property
    def percent(self) -> int:
        """How much of it is done."""
        return min(100, 100 * self.users_done // max(1, self.users))

    @property
    def is_open(self) -> bool:
        """Whether it has not ended."""
        return self.status in OPEN
