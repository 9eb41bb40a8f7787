"""What products are told: endpoints that want messages, and the outbox that holds them until they are sent."""

from django.core.exceptions import ValidationError
from django.db import models

from core.models import Configuration, new_id
from users.models import EndUser


class MessageType(models.TextChoices):
    """What a message is about."""

    POINTS_CHANGED = "points.changed", "Points changed"
    LEVEL_CHANGED = "points.level_changed", "Level changed"
    BOOST_STARTED = "points.boost_started", "Boost started"
    BOOST_FINISHED = "points.boost_finished", "Boost finished"
    ACHIEVEMENT_COMPLETED = "achievement.completed", "Achievement completed"
    STREAK_STARTED = "streak.started", "Streak started"
    STREAK_EXTENDED = "streak.extended", "Streak extended"
    STREAK_LOST = "streak.lost", "Streak lost"


class Endpoint(Configuration):
    """Where messages of the chosen types go. Only types that some active endpoint wants are written at all."""

    url = models.URLField(max_length=2000)
    types = models.JSONField(default=list, help_text="The types of messages that it wants.")

    def __str__(self) -> str:
        return self.url

    def clean(self) -> None:
        """Refuse types that there are not."""
        unknown = [each for each in self.types if each not in MessageType.values]
        if unknown:
            allowed = ", ".join(MessageType.values)
            raise ValidationError({"types": f"cannot have {', '.join(map(str, unknown))}; there are {allowed}."})


class OutboxMessage(models.Model):
    """A message, written in the transaction of what it reports. Ids are in time order for each user."""

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    type = models.CharField(max_length=32, choices=MessageType)
    user = models.ForeignKey(EndUser, on_delete=models.PROTECT, null=True, related_name="+", db_index=False)
    payload = models.JSONField()
    created = models.DateTimeField()

    def __str__(self) -> str:
        return f"{self.type} at {self.created:%Y-%m-%d %H:%M:%S}"
