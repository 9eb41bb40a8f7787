"""What the admin of everything that has filters by attributes shares."""

from django import forms
from django.core.exceptions import ValidationError

from core.admin import kept_rows
from users.models import AttributeType
from users.services import Filters


class FilterFormSet(forms.BaseInlineFormSet):  # type: ignore[type-arg] # Django's forms take no parameter at run time
    """Filters by attributes, checked together as the Admin API checks them."""

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
            raise ValidationError(["Filters " + message for message in error.messages]) from error
