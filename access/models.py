"""API keys."""

from django.db import models

from core.models import NAME_LENGTH_MAX, Configuration


class ApiKey(Configuration):
    """A key of a product's backend: it may call everything. Revoking it archives it.

    Only the hash is kept, made by `djangorestframework-api-key`'s hasher; `prefix` finds the row without it.
    """

    name = models.CharField(max_length=NAME_LENGTH_MAX, help_text="Who uses this key, for example «study app backend».")
    prefix = models.CharField(max_length=8, unique=True, editable=False)
    hashed_key = models.CharField(max_length=150, editable=False)

    class Meta(Configuration.Meta):
        verbose_name = "API key"

    def __str__(self) -> str:
        return f"{self.name} ({self.prefix}…)"
