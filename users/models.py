"""The product's users, and the attributes that they and their events may carry."""

from typing import Any, ClassVar

from django.db import models
from django.db.models import Q
from django.db.models.functions import Collate, Upper

from core.history import History, Tracked
from core.models import KEY_LENGTH_MAX, NAME_LENGTH_MAX, Configuration, ConfigurationStatus, new_id, validate_key

EXTERNAL_ID_LENGTH_MAX = 255


class EndUser(models.Model):
    """A user of the product. Written by the pipeline alone, under this row's lock."""

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    # The "C" collation is the order in which rows are locked, and lets a prefix search use the index.
    external_id = models.CharField(
        "ID", max_length=EXTERNAL_ID_LENGTH_MAX, db_collation="C", help_text="The product's id of the user."
    )
    name = models.CharField(max_length=NAME_LENGTH_MAX, null=True, blank=True)
    email = models.CharField(max_length=254, null=True, blank=True)
    tz = models.CharField("time zone", max_length=64, null=True, blank=True)
    attributes = models.JSONField(default=dict, blank=True)
    device_tokens = models.JSONField(null=True, blank=True)
    subscribe_to_emails = models.BooleanField(default=True)
    sign_up_date = models.DateField(null=True, blank=True)
    control = models.BooleanField("control group", default=False)
    created = models.DateTimeField()
    updated = models.DateTimeField()

    class Meta:
        verbose_name = "user"
        # Operators search by the beginning of these, whatever the case. No column that an event changes is in any, so
        # updates stay HOT. "C" lets an index serve LIKE, and the order of what is found.
        indexes = (
            models.Index(Collate(Upper("external_id"), "C"), name="users_enduser_search_id"),
            models.Index(
                Collate(Upper("email"), "C"), name="users_enduser_search_email", condition=Q(email__isnull=False)
            ),
            models.Index(
                Collate(Upper("name"), "C"), name="users_enduser_search_name", condition=Q(name__isnull=False)
            ),
        )
        constraints = (
            # Not unique=True, which would add a second index for pattern searches: "C" serves them from this one.
            models.UniqueConstraint(fields=("external_id",), name="users_enduser_external_id_unique"),
            models.CheckConstraint(condition=~Q(external_id=""), name="users_enduser_external_id_not_empty"),
        )

    def __str__(self) -> str:
        return self.external_id


class AttributeType(models.TextChoices):
    """Whose attribute it is."""

    USER = "user", "User"
    EVENT = "event", "Event"


class AttributeStatus(models.TextChoices):
    """An attribute with the key of an archived one is emptied first: what is stored under a key belongs to the key."""

    ACTIVE = "active", "Active"
    EMPTYING = "emptying", "Being emptied"
    ARCHIVED = "archived", "Archived"


class Attribute(Configuration):
    """A key that users or events may carry a value under; one that was not set up first is refused."""

    status = models.CharField(max_length=16, choices=AttributeStatus, default=AttributeStatus.ACTIVE, editable=False)
    name = models.CharField(max_length=NAME_LENGTH_MAX)
    key = models.CharField(max_length=KEY_LENGTH_MAX, validators=[validate_key])
    type = models.CharField(max_length=8, choices=AttributeType)

    history = History()

    class Meta(Configuration.Meta):
        constraints = (
            models.UniqueConstraint(
                fields=("type", "key"),
                condition=~Q(status=ConfigurationStatus.ARCHIVED),
                name="users_attribute_key_unique",
                violation_error_message="Key already in use by another attribute of this type.",
            ),
        )

    def __str__(self) -> str:
        return f"{self.name} ({self.get_type_display().lower()})"

    def fields_when_restored(self) -> dict[str, Any]:
        """Go on with emptying one that was archived before it was empty."""
        is_empty = not AttributeEmptying.objects.filter(attribute=self, finished__isnull=True).exists()
        return {"status": AttributeStatus.ACTIVE if is_empty else AttributeStatus.EMPTYING}


class AttributeEmptying(models.Model):
    """The removal of what is stored under an attribute's key, before the attribute is active.

    It is how far it has come, to go on there after a crash.
    """

    attribute = models.OneToOneField(Attribute, on_delete=models.CASCADE, primary_key=True, related_name="emptying")
    last_user = models.UUIDField(null=True, help_text="The last user who was looked at; ids are in time order.")
    looked_at = models.BigIntegerField(default=0, help_text="How many users were looked at.")
    emptied = models.BigIntegerField(default=0, help_text="Of how many users something was removed.")
    created = models.DateTimeField()
    finished = models.DateTimeField(null=True)

    class Meta:
        ordering = ("created", "attribute")

    def __str__(self) -> str:
        return f"{self.attribute_id}: {self.emptied} of {self.looked_at}"


class AttributeFilter(Tracked):
    """An attribute that must have this value: the user's, or the event's. Abstract: a part of what it filters for."""

    needs = ("attribute",)
    needed_for: ClassVar[str]

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    attribute = models.ForeignKey(Attribute, on_delete=models.PROTECT, related_name="%(class)ss")
    value = models.CharField(max_length=255)

    class Meta:
        abstract = True
        ordering = ("attribute__key",)

    def __str__(self) -> str:
        return f"{self.attribute.key} = {self.value}"

    @property
    def is_of_event(self) -> bool:
        """Whether it looks at the event's attributes, not the user's."""
        return self.attribute.type == AttributeType.EVENT
