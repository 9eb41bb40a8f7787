"""The queue of events that were accepted in batches and are processed in the background."""

from django.db import models
from django.db.models import Q

from core.models import KEY_LENGTH_MAX
from users.models import EXTERNAL_ID_LENGTH_MAX


class QueueShard(models.Model):
    """A share of the users: whoever holds the row's lock processes their events, so each user's keep their order.

    The row comes with the first event of such a user.
    """

    shard = models.SmallIntegerField(primary_key=True)

    def __str__(self) -> str:
        return f"shard {self.shard}"


class QueuedEventStatus(models.TextChoices):
    """What became of an accepted event; one that was processed leaves the queue."""

    WAITING = "waiting", "Waiting"
    REJECTED = "rejected", "Rejected"
    FAILED = "failed", "Failed"


class QueuedEvent(models.Model):
    """An event that was accepted and waits, was rejected by a rule, or failed and was set aside.

    Ids are in the order of arrival. `event` is the input as text, so that its numbers stay exact.
    """

    id = models.BigAutoField(primary_key=True)
    shard = models.SmallIntegerField()
    external_id = models.CharField("user", max_length=EXTERNAL_ID_LENGTH_MAX)
    metric_key = models.CharField("metric", max_length=KEY_LENGTH_MAX)
    event = models.TextField()
    accepted = models.DateTimeField()
    status = models.CharField(max_length=8, choices=QueuedEventStatus, default=QueuedEventStatus.WAITING)
    reason = models.TextField(default="", blank=True, help_text="Why it was rejected, or how it failed.")
    settled = models.DateTimeField(null=True, help_text="When it was rejected or set aside.")

    class Meta:
        permissions = (("retry_queuedevent", "Can retry events that failed"),)
        # Only what waits is looked for by shard, only what was settled by status.
        indexes = (
            models.Index(
                fields=("shard", "id"), condition=Q(status=QueuedEventStatus.WAITING), name="engine_queue_waiting"
            ),
            models.Index(
                fields=("status", "id"), condition=~Q(status=QueuedEventStatus.WAITING), name="engine_queue_settled"
            ),
        )

    def __str__(self) -> str:
        return f"{self.metric_key} of {self.external_id}"
