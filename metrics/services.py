"""What operators do with filters by the events' attributes."""

from django.core.exceptions import ValidationError

from metrics.rules import FILTER_LENGTH_MAX, canonical_filter
from users.models import AttributeType
from users.services import Filters, check_attributes


def check_filters(*, user_filters: Filters, event_filters: Filters, of_metric: bool, what: str) -> None:
    """Raise ValidationError, by field, where `what` cannot have these filters; only one `of_metric` sees events."""
    check_attributes(AttributeType.USER, user_filters)
    check_attributes(AttributeType.EVENT, event_filters)
    if event_filters and not of_metric:
        raise ValidationError({"event_filters": f"are possible only for a metric {what}."})
    if len(canonical_filter({attribute.key: value for attribute, value in event_filters})) > FILTER_LENGTH_MAX:
        raise ValidationError({"event_filters": f"can have {FILTER_LENGTH_MAX} characters in all."})
