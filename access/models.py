"""API keys: of a product's backend, and of one user's application."""

from typing import Final

from django.core.validators import ProhibitNullCharactersValidator
from django.db import models
from django.db.models import Q

from core.history import History
from core.models import NAME_LENGTH_MAX, Configuration, ConfigurationStatus, check_new_user_id

USER_ID_LENGTH_MAX: Final = 255
REVOKED: Final = {ConfigurationStatus.ARCHIVED: "Revoked"}


class ApiKey(Configuration):
    """A key of a product's backend: it may call everything. Revoking it archives it.

    Only the hash is kept, made by `djangorestframework-api-key`'s hasher; `prefix` finds the row without it.
    """

    name = models.CharField(max_length=NAME_LENGTH_MAX, help_text="Who uses this key, for example «study app backend».")
    prefix = models.CharField(max_length=8, unique=True, editable=False)
    hashed_key = models.CharField(max_length=150, editable=False)

    history = History(excluded=("hashed_key",), verbs=REVOKED)

    class Meta(Configuration.Meta):
        verbose_name = "API key"

    def __str__(self) -> str:
        return f"{self.name} ({self.prefix}…)"


class ApplicationKey(Configuration):
    """A key for one user of the product: it may do that user's operations alone. Revoking it archives it.

    It is not part of the rule book, since there may be one for every user. The user is named by the product's id,
    without a reference: a key can be there before the user is known.
    """

    # The "C" collation lets searches for how it begins use the index.
    external_id = models.CharField(
        "user ID",
        max_length=USER_ID_LENGTH_MAX,
        db_collation="C",
        validators=[ProhibitNullCharactersValidator(message="must not contain the NUL character.")],
        help_text="The product's id of the one user whom the key is for. The user need not be known yet.",
    )
    prefix = models.CharField(max_length=12, db_collation="C", editable=False)
    hashed_key = models.CharField(max_length=150, editable=False)

    history = History(excluded=("hashed_key",), verbs=REVOKED)

    class Meta:
        verbose_name = "application key"
        constraints = (
            models.UniqueConstraint(fields=("prefix",), name="access_applicationkey_prefix_unique"),
            models.CheckConstraint(condition=~Q(external_id=""), name="access_applicationkey_external_id_not_empty"),
        )
        indexes = (
            models.Index(fields=("external_id", "id"), name="access_applicationkey_of_user"),
            # Lists show the newest first, of one status.
            models.Index(fields=("status", "id"), name="access_applicationkey_newest"),
        )

    def __str__(self) -> str:
        return f"{self.external_id} ({self.prefix}…)"

    def clean(self) -> None:
        """Refuse a new key for somebody who cannot be made known."""
        check_new_user_id(self, self.external_id)


class KeyUse(models.Model):
    """When a key of either kind was last used, to about a minute. Apart from the keys: noting it changes no rule."""

    key_id = models.UUIDField(primary_key=True, editable=False)
    last_used = models.DateTimeField()

    def __str__(self) -> str:
        return f"{self.key_id}: {self.last_used}"
