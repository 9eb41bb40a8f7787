"""Adjusting a user's points in the admin: a form, what it would do, and taking an adjustment back."""

from typing import Any, Final, TypedDict
from uuid import UUID

from django import forms
from django.core.validators import MaxValueValidator, MinValueValidator
from unfold.widgets import UnfoldAdminIntegerFieldWidget, UnfoldAdminSelectWidget, UnfoldAdminTextInputWidget

from core.models import ConfigurationStatus, new_id
from engine.adjustments import Adjusted, preview_adjustment
from levels.store import level_at, read_levels
from points.models import REASON_LENGTH_MAX, PointsAward, PointsSystem
from points.rules import POINTS_LIMIT
from users.models import EndUser

MAY_ADJUST: Final = "points.adjust_points"
"""The permission that adjusting and reversing need."""


class _ReasonForm(forms.Form):
    """Asks why. `token` is the same however often the form is sent, so that it counts once."""

    reason = forms.CharField(
        max_length=REASON_LENGTH_MAX,
        widget=UnfoldAdminTextInputWidget(attrs={"autocomplete": "off"}),
        help_text="Stands in the user's ledger beside your login.",
    )
    token = forms.UUIDField(widget=forms.HiddenInput(), initial=new_id)


class AdjustForm(_ReasonForm):
    """Asks how many points of which system to give a user, or to take."""

    system = forms.ModelChoiceField(
        PointsSystem.objects.filter(status=ConfigurationStatus.ACTIVE),
        label="Points system",
        to_field_name="key",
        empty_label=None,
        widget=UnfoldAdminSelectWidget(),
    )
    points = forms.IntegerField(
        validators=[MinValueValidator(-POINTS_LIMIT), MaxValueValidator(POINTS_LIMIT)],
        widget=UnfoldAdminIntegerFieldWidget(attrs={"placeholder": "50 or -20"}),
        help_text="A whole number such as 50 to give, or -20 to take.",
    )
    field_order = ("system", "points", "reason")

    def clean_points(self) -> int:
        """Refuse 0."""
        points: int = self.cleaned_data["points"]
        if points == 0:
            raise forms.ValidationError("must not be 0: 50 gives points, -20 takes them.")
        return points


class ReverseForm(_ReasonForm):
    """Asks why an adjustment is taken back."""


class Preview(TypedDict):
    """What an adjustment would do: balances and levels before and after, and what cuts it short, '' for nothing."""

    before: str
    after: str
    awarded: str
    level_before: str
    level_after: str
    cut: str


def preview_of(user: EndUser, system: PointsSystem, points: int) -> Preview:
    """Return what adjusting would do now. Raises Refusal where nothing would move."""
    adjusted = preview_adjustment(user=user, system_key=system.key, points=points)
    before = adjusted.total - adjusted.awarded
    levels = read_levels(system)
    names = [str(level_at(levels, total) or "none") if levels else "" for total in (before, adjusted.total)]
    return {
        "before": f"{before:,}",
        "after": f"{adjusted.total:,}",
        "awarded": f"{adjusted.awarded:+,}",
        "level_before": names[0],
        "level_after": names[1],
        "cut": cut_of(adjusted, system),
    }


def cut_of(adjusted: Adjusted, system: PointsSystem) -> str:
    """Return in a sentence what cuts the adjustment short, '' where it moves all that was asked for."""
    if adjusted.awarded == adjusted.asked:
        return ""
    moved = f"Of {adjusted.asked:+,} only {adjusted.awarded:+,}"
    if adjusted.asked < 0:
        return f"{moved} can be taken: a balance is never below 0."
    maximum = POINTS_LIMIT if system.max_points is None else system.max_points
    return f"{moved} can be given: {system} has a maximum of {maximum:,}."


def said_of(adjusted: Adjusted, system: PointsSystem) -> str:
    """Return what to tell an operator of an adjustment that was made."""
    if adjusted.again:
        return f"This form was sent before: its {adjusted.awarded:+,} {system} moved then, and nothing moved now."
    return f"{adjusted.awarded:+,} {system}: the balance is {adjusted.total:,}. {cut_of(adjusted, system)}".strip()


def reversal_reason(award: PointsAward) -> str:
    """Return the reason that is proposed for reversing an adjustment."""
    return f"Reversal of line {award.seq:,}: {award.adjustment.reason}"[:REASON_LENGTH_MAX]


def given_values(form: forms.Form) -> list[tuple[str, Any]]:
    """Return what a valid form was sent with, to be sent once more with the confirmation."""
    return [(name, form.data.get(name, "")) for name in form.fields]


def token_of(form: forms.Form) -> UUID:
    """Return a valid form's token."""
    token: UUID = form.cleaned_data["token"]
    return token
