"""What products are told: endpoints that want messages, the outbox that holds them, and how each was delivered."""

from typing import Any, ClassVar, Final

from django.core.exceptions import ValidationError
from django.core.validators import MaxValueValidator
from django.db import models
from django.db.models import Q

from core.history import History
from core.models import NAME_LENGTH_MAX, Configuration, new_id
from users.models import EndUser
from webhooks.addresses import AddressError, check_url
from webhooks.secrets import reveal

URL_LENGTH_MAX: Final = 2000
COLLAPSE_MINUTES_MAX: Final = 24 * 60


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


TEST_TYPE: Final = "endpoint.test"
"""The type of the message that an operator sends to see whether an endpoint listens; nobody subscribes to it."""
OUTBOX_TYPES: Final = [*MessageType.choices, (TEST_TYPE, "Test")]


DISABLED_BY_OPERATOR: Final = "An operator disabled it."
"""The reason of an endpoint that needs no notice: any other is one that operators have to hear of."""


class EndpointStatus(models.TextChoices):
    """A disabled endpoint gets nothing; what waited for it goes out once it is enabled again."""

    ACTIVE = "active", "Active"
    DISABLED = "disabled", "Disabled"
    ARCHIVED = "archived", "Archived"


class Endpoint(Configuration):
    """Where messages of the chosen types go. Only types that some active endpoint wants are written at all.

    Without an address it is a feed, which the product reads by the Admin API. Secrets are encrypted with the app's key;
    while a secret is being rotated, the old one is kept and signs too.
    """

    status_when_restored: ClassVar[str] = EndpointStatus.DISABLED

    status = models.CharField(max_length=16, choices=EndpointStatus, default=EndpointStatus.ACTIVE, editable=False)
    name = models.CharField(max_length=NAME_LENGTH_MAX, blank=True, default="", help_text="For example «CRM».")
    url = models.CharField(
        "address",
        max_length=URL_LENGTH_MAX,
        blank=True,
        default="",
        help_text="Where messages are sent. Empty for a feed that your product reads by the Admin API.",
    )
    types = models.JSONField("messages", default=list, help_text="The types of messages that it wants.")
    collapse_minutes = models.PositiveSmallIntegerField(
        "collapse points changes",
        default=0,
        validators=[MaxValueValidator(COLLAPSE_MINUTES_MAX)],
        help_text="Tell of a user's points in a system at most once in so many minutes; 0 for each change at once.",
    )
    secret = models.TextField(default="", editable=False)
    old_secret = models.TextField(default="", editable=False)
    disabled_reason = models.TextField(default="", editable=False)
    starts_after = models.BigIntegerField(
        default=0, editable=False, help_text="The last position that was given before it was made: a feed begins there."
    )

    history = History(
        excluded=("secret", "old_secret"),
        in_words={"types": lambda types: ", ".join(dict(MessageType.choices).get(each, each) for each in types)},
        verbs={EndpointStatus.ACTIVE: "Enabled"},
    )

    def __str__(self) -> str:
        return self.name or self.url or "feed"

    def clean(self) -> None:
        """Refuse types that there are not, and addresses that messages may not be sent to."""
        problems: dict[str, Any] = {}
        unknown = [each for each in self.types if each not in MessageType.values]
        if unknown or not self.types:
            allowed = ", ".join(MessageType.values)
            problems["types"] = f"must be some of {allowed}" + (
                f", not {', '.join(map(str, unknown))}." if unknown else "."
            )
        if self.url:
            try:
                check_url(self.url)
            except AddressError as error:
                problems["url"] = str(error)
        if problems:
            raise ValidationError(problems)

    @property
    def signing_secrets(self) -> tuple[str, ...]:
        """The secrets that sign, as they were shown: first the newest."""
        return tuple(reveal(each) for each in (self.secret, self.old_secret) if each)


class EndpointHealth(models.Model):
    """Since when an endpoint fails, and until when it wants no messages. Not part of the endpoint: no rule changes.

    `paused_until` stays after the pause is over, for messages come back slowly.
    """

    endpoint = models.OneToOneField(Endpoint, on_delete=models.CASCADE, primary_key=True, related_name="health")
    failing_since = models.DateTimeField(null=True)
    paused_until = models.DateTimeField(
        null=True, help_text="Nothing is sent before: an answer's Retry-After asked so."
    )

    def __str__(self) -> str:
        return f"failing since {self.failing_since}" if self.failing_since else "well"


class UserSequence(models.Model):
    """The number of a user's last message. It moves under the user's lock, so it has the order of what happened."""

    user = models.OneToOneField(EndUser, on_delete=models.PROTECT, primary_key=True, related_name="+")
    last = models.BigIntegerField()

    def __str__(self) -> str:
        return str(self.last)


class OutboxMessage(models.Model):
    """A message, written in the transaction of what it reports; `number` is in time order for each user.

    `position` is its place among all, given after its commit by the one sequencer: a reader that has seen a position
    has seen all before it. `endpoint` is set where the message is for that one alone.
    """

    number = models.BigAutoField(primary_key=True)
    id = models.UUIDField(unique=True, default=new_id, editable=False)
    type = models.CharField(max_length=32, choices=OUTBOX_TYPES)
    user = models.ForeignKey(EndUser, on_delete=models.PROTECT, null=True, related_name="+", db_index=False)
    sequence = models.BigIntegerField(null=True, help_text="The user's messages are numbered 1, 2, 3...")
    endpoint = models.ForeignKey(Endpoint, on_delete=models.CASCADE, null=True, related_name="+", db_index=False)
    payload = models.JSONField()
    created = models.DateTimeField()
    position = models.BigIntegerField(null=True, unique=True)

    class Meta:
        indexes = (models.Index(fields=("number",), condition=Q(position__isnull=True), name="webhooks_outbox_fresh"),)

    def __str__(self) -> str:
        return f"{self.type} at {self.created:%Y-%m-%d %H:%M:%S}"


class DeliveryStatus(models.TextChoices):
    """Of the messages of one user to one endpoint only the first is ready; the others wait for it."""

    WAITING = "waiting", "Waiting"
    READY = "ready", "Ready"
    DELIVERED = "delivered", "Delivered"
    FAILED = "failed", "Failed"


PENDING: Final = (DeliveryStatus.READY, DeliveryStatus.WAITING)
SETTLED: Final = (DeliveryStatus.DELIVERED, DeliveryStatus.FAILED)


class Delivery(models.Model):
    """A message on its way to an endpoint. Ids are in the order in which a user's go out.

    `type` is the message's, copied by a trigger of the database, so that the log is found by it however long it is.
    """

    id = models.BigAutoField(primary_key=True)
    endpoint = models.ForeignKey(Endpoint, on_delete=models.PROTECT, related_name="deliveries", db_index=False)
    message = models.ForeignKey(OutboxMessage, on_delete=models.PROTECT, related_name="deliveries")
    type = models.CharField(max_length=32, choices=OUTBOX_TYPES, editable=False)
    user = models.ForeignKey(EndUser, on_delete=models.PROTECT, null=True, related_name="+", db_index=False)
    status = models.CharField(max_length=9, choices=DeliveryStatus)
    attempts = models.SmallIntegerField(default=0)
    next_attempt_at = models.DateTimeField(
        null=True, help_text="When it is tried next; while it is being sent, when another worker may take it over."
    )
    created = models.DateTimeField()
    settled = models.DateTimeField(null=True, help_text="When it was delivered, or given up.")

    ahead: "Delivery | None" = None
    """The message that it waits for, where somebody who shows many has looked it up."""

    class Meta:
        verbose_name_plural = "deliveries"
        permissions = (("replay_delivery", "Can have messages delivered once more"),)
        indexes = (
            models.Index(
                fields=("endpoint", "next_attempt_at", "id"),
                condition=Q(status=DeliveryStatus.READY),
                name="webhooks_delivery_ready",
            ),
            models.Index(
                fields=("endpoint", "user", "id"),
                condition=Q(status__in=PENDING),
                name="webhooks_delivery_lane",
            ),
            models.Index(fields=("endpoint", "status", "id"), name="webhooks_delivery_log"),
            models.Index(fields=("endpoint", "id"), name="webhooks_delivery_endpoint"),
            models.Index(fields=("type", "id"), name="webhooks_delivery_type"),
            models.Index(fields=("endpoint", "type", "id"), name="webhooks_delivery_of_type"),
            models.Index(fields=("id",), condition=Q(status=DeliveryStatus.FAILED), name="webhooks_delivery_failed"),
            models.Index(fields=("user", "id"), name="webhooks_delivery_of_user"),
        )
        constraints = (
            models.CheckConstraint(
                condition=Q(status=DeliveryStatus.READY) ^ Q(next_attempt_at__isnull=True),
                name="webhooks_delivery_ready_has_a_time",
            ),
        )

    def __str__(self) -> str:
        return f"{self.message} to {self.endpoint}"


class DeliveryAttempt(models.Model):
    """One try to deliver, and what came of it; `status_code` is null where no answer came."""

    id = models.BigAutoField(primary_key=True)
    delivery = models.ForeignKey(Delivery, on_delete=models.CASCADE, related_name="tries")
    number = models.SmallIntegerField()
    at = models.DateTimeField()
    duration_ms = models.IntegerField()
    status_code = models.SmallIntegerField(null=True)
    answer = models.TextField(default="", help_text="The beginning of the answer's body.")
    error = models.TextField(default="")
    pause_s = models.IntegerField(null=True, help_text="For how long it asked that nothing is sent, by Retry-After.")

    def __str__(self) -> str:
        return f"try {self.number}: {self.status_code or self.error}"


class CollapsedChange(models.Model):
    """What a user's points moved by since a window opened, for an endpoint that is told once, when it closes."""

    pk = models.CompositePrimaryKey("endpoint_id", "user_id", "system_id")
    endpoint = models.ForeignKey(Endpoint, on_delete=models.CASCADE, related_name="+", db_index=False)
    user = models.ForeignKey(EndUser, on_delete=models.PROTECT, related_name="+", db_index=False)
    system_id = models.UUIDField()
    due = models.DateTimeField(db_index=True)
    payload = models.JSONField()

    def __str__(self) -> str:
        return f"until {self.due:%Y-%m-%d %H:%M:%S}"


class Sequencer(models.Model):
    """One row: the last position that was given."""

    id = models.SmallIntegerField(primary_key=True, default=1)
    position = models.BigIntegerField(default=0)

    class Meta:
        constraints = (models.CheckConstraint(condition=Q(id=1), name="webhooks_sequencer_one_row"),)

    def __str__(self) -> str:
        return str(self.position)
