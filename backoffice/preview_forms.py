"""The form of the Preview tab: a draft of a points system's rules, and whom it is tried on. It lives in the address."""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final

from django import forms
from django.http import QueryDict

from boosts.models import MULTIPLIER_PLACES
from core.form_fields import NumberField, WholeNumberField
from metrics.rules import VALUE_LIMIT, MetricRule
from points.models import PointsTrigger, TriggerType
from points.rules import POINTS_LIMIT
from preview.drafts import (
    BOOST_CHOICES,
    BoostDraft,
    Draft,
    Parts,
    TriggerDraft,
    every_of,
    live_draft,
)
from preview.rules import DAYS_A_WEEK, Archetype, Doings

SENT: Final = "draft"
"""The parameter that tells a form that was sent from an address without one."""
STREAK_MAX: Final = 1000
ARCHETYPES: Final = {"casual": (2, Decimal("0.5")), "regular": (4, Decimal(1)), "power": (7, Decimal(3))}
"""By default on how many days a week each does something, and how much: in thresholds of the metric's triggers."""

_INPUT: Final = "border border-base-200 bg-white px-2 py-1.5 rounded-default dark:bg-base-900 dark:border-base-700"


def short(id_: object) -> str:
    """Return the part of a row's id that tells it from others of its kind: the random end."""
    return str(id_)[-12:]


def _number(label: str, least: int, most: int, *, required: bool = True) -> WholeNumberField:
    widget = forms.NumberInput(attrs={"class": f"{_INPUT} number", "aria-label": label})
    return WholeNumberField(min_value=least, max_value=most, required=required, label=label, widget=widget)


def _amount(label: str) -> NumberField:
    return _decimal(label, VALUE_LIMIT - 1, 9, required=False)


def _decimal(label: str, most: int, places: int, *, required: bool) -> NumberField:
    widget = forms.NumberInput(attrs={"class": f"{_INPUT} number", "aria-label": label})
    return NumberField(
        max_value=most, min_value=0, decimal_places=places, required=required, label=label, widget=widget
    )


def _tick(label: str) -> forms.BooleanField:
    return forms.BooleanField(required=False, label=label, widget=forms.CheckboxInput(attrs={"aria-label": label}))


def _choice(label: str, choices: Mapping[str, str]) -> forms.ChoiceField:
    widget = forms.Select(attrs={"class": _INPUT, "aria-label": label})
    return forms.ChoiceField(choices=list(choices.items()), label=label, required=False, widget=widget)


@dataclass(frozen=True, slots=True)
class Row:
    """A row of the form: what it is about, and its fields; None where a kind has no such number."""

    title: str
    note: str
    fields: list[forms.BoundField | None]
    is_live: bool = True


class PreviewForm(forms.Form):
    """All fields by what they are about. Without data it has what is live, and examples of doings."""

    def __init__(self, parts: Parts, query: QueryDict) -> None:
        self.parts = parts
        self.live = live_draft(parts)
        fields, values = self._all_fields()
        super().__init__(query if SENT in query else values)
        self.fields.update(fields)

    def _all_fields(self) -> tuple[dict[str, forms.Field], dict[str, Any]]:
        fields: dict[str, forms.Field] = {"max": _number("Maximum", 1, POINTS_LIMIT, required=False)}
        values: dict[str, Any] = {"max": self.live.max_points, "streak": 7}
        for part in (self._trigger_fields, self._boost_fields, self._level_fields, self._doings, self._archetypes):
            for name, field, value in part():
                fields[name] = field
                values.setdefault(name, value)
        return fields, {name: value for name, value in values.items() if value is not None and value is not False}

    def _trigger_fields(self) -> list[tuple[str, forms.Field, Any]]:
        fields: list[tuple[str, forms.Field, Any]] = []
        for trigger in self.parts.triggers:
            id_, live = short(trigger.id), self.live.triggers[str(trigger.id)]
            fields.append((f"on-{id_}", _tick(f"{trigger} counts"), live.is_active))
            fields.append((f"points-{id_}", _number(f"Points of {trigger}", -POINTS_LIMIT, POINTS_LIMIT), live.points))
            if live.every is not None:
                most = POINTS_LIMIT if trigger.type == TriggerType.METRIC else 100_000
                fields.append((f"every-{id_}", _number(f"{trigger} fires every", 1, most), live.every))
        return fields

    def _boost_fields(self) -> list[tuple[str, forms.Field, Any]]:
        fields: list[tuple[str, forms.Field, Any]] = []
        for boost in self.parts.boosts:
            id_, live = short(boost.id), self.live.boosts[str(boost.id)]
            fields.append((f"boost-{id_}", _choice(f"{boost} takes part", BOOST_CHOICES), live.takes_part))
            multiplier = _decimal(f"Multiplier of {boost}", 99, MULTIPLIER_PLACES, required=True)
            fields.append((f"times-{id_}", multiplier, f"{live.multiplier.normalize():f}"))
        return fields

    def _level_fields(self) -> list[tuple[str, forms.Field, Any]]:
        return [
            (f"level-{short(level.id)}", _number(f"{level} begins at", 0, POINTS_LIMIT, required=False), level.points)
            for level in self.parts.levels
        ]

    def _doings(self) -> list[tuple[str, forms.Field, Any]]:
        fields: list[tuple[str, forms.Field, Any]] = [
            (f"amount-{short(metric.id)}", _amount(f"{metric.name}, amount"), f"{self._typical(metric):f}")
            for metric in self.parts.used_metrics
        ]
        fields.append(("streak", _number("Streak, periods", 0, STREAK_MAX, required=False), 7))
        fields += [
            (f"done-{short(each.id)}", _tick(f"{each} is completed"), False) for each in self.parts.used_achievements
        ]
        for prefix, of_event in (("user", False), ("event", True)):
            for key, its_values in self.parts.filter_values(of_event=of_event).items():
                choices = {"": "anything else", **{value: value for value in its_values}}
                label = f"{'Event' if of_event else 'User'} attribute {key}"
                fields.append((f"{prefix}-{key}", _choice(label, choices), ""))
        return fields

    def _archetypes(self) -> list[tuple[str, forms.Field, Any]]:
        fields: list[tuple[str, forms.Field, Any]] = []
        for name, (days, times) in ARCHETYPES.items():
            fields.append((f"{name}-days", _number(f"{name}, days a week", 0, DAYS_A_WEEK), days))
            for metric in self.parts.used_metrics:
                field = _amount(f"{metric.name}, on such a day")
                field.widget.attrs["aria-label"] = f"{name}, {field.label}"
                amount = max(Decimal(1), (self._typical(metric) * times).to_integral_value())
                fields.append((f"{name}-{short(metric.id)}", field, f"{amount:f}"))
        return fields

    def _typical(self, metric: MetricRule) -> Decimal:
        """Return the least threshold of the metric's triggers: what is done of it in a sitting, more or less."""
        thresholds = [each.metric_threshold or 1 for each in self.parts.triggers if str(each.metric_id) == metric.id]
        return Decimal(min(thresholds, default=1))

    def clean(self) -> dict[str, Any]:
        """Refuse two levels with one threshold, multipliers of 0, points of 0."""
        data = super().clean() or {}
        seen: dict[int, str] = {}
        for level in self.parts.levels:
            name = f"level-{short(level.id)}"
            if (points := data.get(name)) is None:
                continue
            if points in seen:
                self.add_error(name, f"must not be that of {seen[points]} as well.")
            seen[points] = str(level)
        for name, value in list(data.items()):
            if value == 0 and name.startswith(("points-", "times-")):
                self.add_error(name, "must not be 0.")
        return data

    # --- What it says, once it is valid ---
    def draft(self) -> Draft:
        """Return the draft."""
        data = self.cleaned_data
        return Draft(
            triggers={
                str(each.id): TriggerDraft(
                    data[f"on-{short(each.id)}"],
                    data[f"points-{short(each.id)}"],
                    data.get(f"every-{short(each.id)}", every_of(each)),
                )
                for each in self.parts.triggers
            },
            boosts={
                str(each.id): BoostDraft(
                    data[f"boost-{short(each.id)}"] or self.live.boosts[str(each.id)].takes_part,
                    data[f"times-{short(each.id)}"],
                )
                for each in self.parts.boosts
            },
            levels={str(each.id): data[f"level-{short(each.id)}"] for each in self.parts.levels},
            max_points=data["max"],
        )

    def doings(self) -> Doings:
        """Return what the calculator's user does."""
        data = self.cleaned_data
        return Doings(
            amounts=self._amounts("amount"),
            streak=data["streak"] or 0,
            achievements=frozenset(
                str(each.id) for each in self.parts.used_achievements if data[f"done-{short(each.id)}"]
            ),
            user_attributes=self._attributes("user", of_event=False),
            event_attributes=self._attributes("event", of_event=True),
        )

    def archetypes(self) -> list[Archetype]:
        """Return the kinds of users of the projection."""
        return [Archetype(name, self.cleaned_data[f"{name}-days"], self._amounts(name)) for name in ARCHETYPES]

    def _amounts(self, prefix: str) -> dict[str, Decimal]:
        return {
            metric.key: self.cleaned_data[f"{prefix}-{short(metric.id)}"] or Decimal(0)
            for metric in self.parts.used_metrics
        }

    def _attributes(self, prefix: str, *, of_event: bool) -> dict[str, str]:
        keys = self.parts.filter_values(of_event=of_event)
        return {key: value for key in keys if (value := self.cleaned_data[f"{prefix}-{key}"])}

    # --- How it is shown ---
    def trigger_rows(self) -> list[Row]:
        """Return the triggers with whether each counts, its points and its threshold."""
        return [self._trigger_row(trigger) for trigger in self.parts.triggers]

    def _trigger_row(self, trigger: PointsTrigger) -> Row:
        id_ = short(trigger.id)
        filters = ", ".join(f"{each.attribute.key} = {each.value}" for each in trigger.filters.all())
        every = self[f"every-{id_}"] if f"every-{id_}" in self.fields else None
        is_live = self.live.triggers[str(trigger.id)].is_active
        return Row(str(trigger), filters, [self[f"on-{id_}"], self[f"points-{id_}"], every], is_live=is_live)

    def boost_rows(self) -> list[Row]:
        """Return the boosts with how each takes part, and its multiplier."""
        return [
            Row(
                str(boost),
                f"{boost.start} to {boost.end or 'no end'}",
                [self[f"boost-{short(boost.id)}"], self[f"times-{short(boost.id)}"]],
                is_live=self.live.boosts[str(boost.id)].takes_part != "off",
            )
            for boost in self.parts.boosts
        ]

    def level_rows(self) -> list[Row]:
        """Return the levels with their thresholds."""
        return [Row(str(level), "", [self[f"level-{short(level.id)}"]]) for level in self.parts.levels]

    def doing_fields(self) -> list[forms.BoundField]:
        """Return the calculator's fields but for the achievements."""
        return [self[name] for name in self.fields if name.startswith(("amount-", "streak", "user-", "event-"))]

    def achievement_fields(self) -> list[tuple[str, forms.BoundField]]:
        """Return the achievements that can be completed by hand, by name."""
        return [(str(each), self[f"done-{short(each.id)}"]) for each in self.parts.used_achievements]

    def archetype_rows(self) -> list[tuple[str, list[forms.BoundField]]]:
        """Return each archetype's fields: days a week, then its amounts."""
        return [
            (name, [self[f"{name}-days"], *(self[f"{name}-{short(metric.id)}"] for metric in self.parts.used_metrics)])
            for name in ARCHETYPES
        ]

    def problems(self) -> list[str]:
        """Return what is wrong in words, each with the field that it is about."""
        return [
            f"{self.fields[name].label if name in self.fields else 'The draft'}: {' '.join(map(str, errors))}"
            for name, errors in self.errors.items()
        ]

    def query(self) -> str:
        """Return the query of the address that shows this."""
        query = QueryDict(mutable=True)
        for name in self.fields:
            value = self.data.get(name)
            if value not in (None, ""):
                query[name] = str(value) if value is not True else "on"
        query[SENT] = "1"
        return query.urlencode()
