"""What the admin of everything that has filters by attributes shares."""

from typing import Final

from django.core.exceptions import ValidationError

from core.admin import kept_rows
from core.inline_rows import RowsByReference
from core.services import messages_by_field
from users.models import AttributeType
from users.services import FIELD_OF_TYPE, Filters

SUBJECTS: Final = {
    FIELD_OF_TYPE[AttributeType.USER]: "Filters by the user's attributes",
    FIELD_OF_TYPE[AttributeType.EVENT]: "Filters by the event's attributes",
}
"""What the page calls what the services say something of."""


class FilterFormSet(RowsByReference):
    """Filters by attributes, checked together as the Admin API checks them."""

    reference = "attribute"

    def check(self, user_filters: Filters, event_filters: Filters) -> None:
        """Raise ValidationError where `self.instance` cannot have these."""
        raise NotImplementedError

    def clean(self) -> None:
        """Refuse filters that cannot be."""
        super().clean()
        if any(self.errors):
            return
        filters = [(row["attribute"], row["value"]) for row in kept_rows(self)]
        of_user = [(attribute, value) for attribute, value in filters if attribute.type == AttributeType.USER]
        try:
            self.check(of_user, [each for each in filters if each not in of_user])
        except ValidationError as error:
            found = messages_by_field(error).items()
            raise ValidationError(
                [f"{SUBJECTS.get(field, 'Filters')} {text}" for field, texts in found for text in texts]
            ) from error
