"""Adjusting a user's points in the admin: a form, what it would do, and taking an adjustment back."""

from hashlib import sha256
from typing import Any, Final, TypedDict
from uuid import UUID

from django import forms
from django.core.validators import MaxValueValidator, MinValueValidator
from unfold.widgets import UnfoldAdminIntegerFieldWidget, UnfoldAdminSelectWidget, UnfoldAdminTextInputWidget

from core.form_fields import WholeNumberField
from core.json import encode
from core.models import ConfigurationStatus, new_id
from engine.adjustments import Adjusted, preview_adjustment
from levels.store import level_at, read_levels
from points.models import REASON_LENGTH_MAX, PointsAward, PointsSystem
from points.rules import POINTS_LIMIT
from users.models import EndUser

EFFECT_CHANGED: Final = (
    "Nothing was moved: the effect is no longer the one that you were shown. This is what it would do now."
)
MAY_ADJUST: Final = "points.adjust_points"
"""The permission that adjusting and reversing need."""


class EffectChangedError(Exception):
    """Raised where an adjustment would do something else than the operator was shown."""


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
    points = WholeNumberField(
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


class Effect(TypedDict):
    """What an adjustment does: balances and levels before and after, and what cuts it short, '' for nothing.

    `mark` stands for all of it in a form that confirms it: another effect has another mark.
    """

    before: str
    after: str
    awarded: str
    level_before: str
    level_after: str
    cut: str
    mark: str


def preview_of(user: EndUser, system: PointsSystem, points: int) -> Effect:
    """Return what adjusting would do now. Raises Refusal where nothing would move."""
    return effect_of(preview_adjustment(user=user, system_key=system.key, points=points), system)


def effect_of(adjusted: Adjusted, system: PointsSystem) -> Effect:
    """Return what an adjustment does, in words."""
    levels = read_levels(system)
    totals = (adjusted.total_before, adjusted.total)
    names = [str(level_at(levels, total) or "none") if levels else "" for total in totals]
    words = (*(f"{total:,}" for total in totals), f"{adjusted.awarded:+,}", *names, cut_of(adjusted, system))
    before, after, awarded, level_before, level_after, cut = words
    return {
        "before": before,
        "after": after,
        "awarded": awarded,
        "level_before": level_before,
        "level_after": level_after,
        "cut": cut,
        "mark": sha256(encode([str(system.id), *words])).hexdigest(),
    }


def check_shown(adjusted: Adjusted, *, system: PointsSystem, mark: str) -> None:
    """Raise EffectChangedError if an adjustment does something else than the effect with this mark."""
    if effect_of(adjusted, system)["mark"] != mark:
        raise EffectChangedError


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
