"""Fields of forms for days, moments and numbers: each reads one way of writing, and refuses what could mean two things.

Where somebody types `05/12/2026`, `1.000` or `7,5`, a form that guesses is wrong for half of the world. Which ways of
writing days and times are read, `config/formats` says.
"""

import re
from collections.abc import Mapping
from typing import Any, Final

from django import forms
from django.core.exceptions import ValidationError
from django.db import models

DAY: Final = "Write a day as YYYY-MM-DD, such as 2026-12-05."
TIME: Final = "Write a time as HH:MM, such as 17:30."
MOMENT: Final = "Write a day and a time as YYYY-MM-DD HH:MM, such as 2026-12-05 17:30."
WHOLE_NUMBER: Final = "Write a whole number in digits alone, such as 1000: without points, commas or spaces."
NUMBER: Final = "Write a number such as 1000 or 7.5: a point before the decimals, no commas or spaces."
_DAY_PATTERN: Final = "[0-9]{4}-[0-9]{2}-[0-9]{2}"
_TIME_PATTERN: Final = r"[0-9]{2}:[0-9]{2}(:[0-9]{2}(\.[0-9]{1,6})?)?"
_DIGITS_MAX: Final = 100


class _Written:
    """A day or a time whose parts have all of their digits: Python would read 2026-5-1, and other scripts' digits."""

    pattern: str

    def to_python(self, value: Any) -> Any:
        """Return what was written."""
        if isinstance(value, str) and value.strip() and not _is_written(value, self.pattern):
            raise ValidationError(self.error_messages["invalid"], code="invalid")  # type: ignore[attr-defined]
        return super().to_python(value)  # type: ignore[misc] # of the field that this is mixed into


class DayField(_Written, forms.DateField):
    """Asks for a day."""

    default_error_messages = {"invalid": DAY}
    pattern = _DAY_PATTERN


class TimeField(_Written, forms.TimeField):
    """Asks for a time of day."""

    default_error_messages = {"invalid": TIME}
    pattern = _TIME_PATTERN


class MomentField(_Written, forms.DateTimeField):
    """Asks for a day and a time."""

    default_error_messages = {"invalid": MOMENT}
    pattern = rf"{_DAY_PATTERN}[ T]{_TIME_PATTERN}"


class _Typed:
    """A number that is typed as text: of what is no number to a browser, its own field for numbers sends nothing."""

    def widget_attrs(self, widget: forms.Widget) -> dict[str, Any]:
        """Let anything be typed."""
        attrs: dict[str, Any] = super().widget_attrs(widget)  # type: ignore[misc] # of the field that this is mixed into
        if isinstance(widget, forms.NumberInput):
            widget.input_type = "text"
            for bound in ("min", "max", "step"):
                attrs.pop(bound, None)
        return attrs


class WholeNumberField(_Typed, forms.IntegerField):
    """Asks for a whole number."""

    default_error_messages = {"invalid": WHOLE_NUMBER}

    def to_python(self, value: Any) -> int | None:
        """Return the number. Python would read 1_000 as well, and Django 1.000, as 1."""
        if isinstance(value, str) and value.strip() and not _is_written(value, r"[+-]?[0-9]+"):
            raise ValidationError(self.error_messages["invalid"], code="invalid")
        return super().to_python(value)


class NumberField(_Typed, forms.DecimalField):
    """Asks for a number that may have decimals."""

    default_error_messages = {"invalid": NUMBER}

    def to_python(self, value: Any) -> Any:
        """Return the number. Refuse three decimals that end in 0: who writes 1.000 may well mean a thousand."""
        text = value.strip() if isinstance(value, str) else ""
        if text and not _is_written(text, r"[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)"):
            raise ValidationError(self.error_messages["invalid"], code="invalid")
        if re.fullmatch(r"[+-]?[1-9][0-9]{0,2}\.[0-9]{2}0", text):
            short, long = text.rstrip("0").rstrip("."), text.replace(".", "")
            raise ValidationError(
                f"{text} could mean {short} or {long}: write the one that you mean.", code="ambiguous"
            )
        return super().to_python(value)


def _is_written(text: str, pattern: str) -> bool:
    text = text.strip()
    return len(text) <= _DIGITS_MAX and re.fullmatch(pattern, text) is not None


FIELD_OF_COLUMN: Final[Mapping[Any, type[forms.Field]]] = {
    models.DateTimeField: forms.SplitDateTimeField,
    models.DateField: DayField,
    models.TimeField: TimeField,
    models.IntegerField: WholeNumberField,
    models.DecimalField: NumberField,
    models.FloatField: NumberField,
}


def field_class_of(column: Any) -> type[forms.Field] | None:
    """Return the class of the form's field for a column, None if Django's own is right."""
    return next((FIELD_OF_COLUMN[base] for base in type(column).__mro__ if base in FIELD_OF_COLUMN), None)
