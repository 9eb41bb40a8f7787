"""What operators do with API keys."""

from django.db.models import QuerySet
from django.utils import timezone

from access.keys import generator
from access.models import ApiKey
from core.models import ConfigurationStatus


def create_api_key(*, name: str) -> tuple[ApiKey, str]:
    """Store a new key and return it with its text, which cannot be had again."""
    text, prefix, hashed_key = generator.generate()
    return ApiKey.objects.create(name=name, prefix=prefix, hashed_key=hashed_key), text


def revoke_api_keys(*, keys: QuerySet[ApiKey]) -> int:
    """Stop these keys with the next request, for good; return how many were still active."""
    active = keys.filter(status=ConfigurationStatus.ACTIVE)
    return active.update(status=ConfigurationStatus.ARCHIVED, updated=timezone.now())
