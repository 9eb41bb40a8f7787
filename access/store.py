"""The keys as the rule book reads them."""

from access.keys import KeyRule
from access.models import ApiKey
from core.models import ConfigurationStatus


def load_keys() -> dict[str, KeyRule]:
    """Return every active key by its prefix."""
    keys = ApiKey.objects.filter(status=ConfigurationStatus.ACTIVE)
    return {key.prefix: KeyRule(id=str(key.id), hashed_key=key.hashed_key) for key in keys}
