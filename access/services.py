"""What operators do with keys."""

from django.db.models import QuerySet
from django.utils import timezone

from access.keys import application_generator, generator
from access.models import ApiKey, ApplicationKey
from core.models import ConfigurationStatus
from core.services import create_checked


def create_api_key(*, name: str) -> tuple[ApiKey, str]:
    """Store a new key and return it with its text, which cannot be had again."""
    text, prefix, hashed_key = generator.generate()
    return ApiKey.objects.create(name=name, prefix=prefix, hashed_key=hashed_key), text


def create_application_key(*, external_id: str) -> tuple[ApplicationKey, str]:
    """Store a new key for one user and return it with its text, which cannot be had again. Raises ValidationError."""
    text, prefix, hashed_key = application_generator.generate()
    return create_checked(ApplicationKey, external_id=external_id, prefix=prefix, hashed_key=hashed_key), text


def revoke_keys(*, keys: QuerySet[ApiKey] | QuerySet[ApplicationKey]) -> int:
    """Stop these keys with the next request, for good; return how many were still active."""
    active = keys.filter(status=ConfigurationStatus.ACTIVE)
    return active.update(status=ConfigurationStatus.ARCHIVED, updated=timezone.now())
