"""Achievements in the admin, with their activation: it says first how many users and points it will be."""

from typing import Any

from django.contrib import admin
from django.db import transaction
from django.db.models import Case, QuerySet, Value, When
from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from unfold.forms import BaseDialogForm

from achievements.admin import AchievementAdmin
from achievements.models import Achievement
from achievements.services import activate_achievement
from analytics.store import completion_counts
from backoffice.achievements import Estimate, backdating_estimate, backdating_estimates
from core.admin import ask_first, dialog, each_or_message, row_action
from points.models import PointsTrigger, TriggerStatus

LOOKS_BACK = (
    "Users see it and can complete it from now on. Who qualifies already gets it in the background, without webhooks "
    "about it."
)


def describe(estimate: Estimate | None) -> str:
    """Say what an activation will do, in one sentence."""
    if estimate is None:
        return "there are too many users to count in a few seconds; whoever qualified already gets it."
    if not estimate.users:
        return "no user qualifies yet."
    points = ", ".join(f"{count:+,} {name}" for name, count in estimate.points.items() if count)
    who = "1 user qualifies" if estimate.users == 1 else f"{estimate.users:,} users qualify"
    return f"{who} already. " + (f"Points in all: {points}, before boosts and maxima." if points else "No points.")


class ActivationForm(BaseDialogForm):
    """The dialog before an activation."""

    form_before_template = "backoffice/activation.html"

    def get_before_template_context(self, request: HttpRequest, object_id: Any = None) -> dict[str, Any]:
        """Count who qualifies."""
        achievement = Achievement.objects.filter(id=object_id).first()
        return {"estimate": achievement and describe(backdating_estimate(achievement, timezone.now()))}


@transaction.atomic
def _activate(*, row: Achievement) -> None:
    activate_achievement(achievement=Achievement.objects.select_for_update(no_key=True).get(id=row.id))


class ActivatedAchievementAdmin(AchievementAdmin):
    """What users complete once, with the button that lets them."""

    list_display = (*AchievementAdmin.list_display[:-1], "shown_completions", AchievementAdmin.list_display[-1])
    actions = ("activate_selected", *AchievementAdmin.actions)
    actions_row = ("activate_one", *AchievementAdmin.actions_row)
    actions_detail = actions_row

    def get_queryset(self, request: HttpRequest) -> QuerySet[Achievement]:
        """Bring along how many users completed each, from the kept counts: the rows may be millions."""
        counts = [When(id=id_, then=Value(count)) for id_, count in completion_counts().items()]
        return super().get_queryset(request).annotate(completed=Case(*counts, default=Value(0)))

    @admin.display(description="Completions", ordering="completed")
    def shown_completions(self, achievement: Any) -> str:
        """Show how many users completed it."""
        return f"{achievement.completed:,}"

    @admin.action(description="Activate", permissions=["change"])
    def activate_selected(self, request: HttpRequest, queryset: QuerySet[Achievement]) -> HttpResponse | None:
        """Activate what is inactive or locked, once the operator has seen what that will do."""
        waiting = queryset.filter(status__in=self.offered_in["activate_one"])
        rows = list(waiting)

        def estimates() -> list[str]:
            return [describe(estimate) for estimate in backdating_estimates(rows, timezone.now())]

        # How many users qualify goes on with every event. What they are paid does not.
        paying = list(PointsTrigger.objects.filter(achievement__in=rows, status=TriggerStatus.ACTIVE))
        asked = ("Activate these achievements?", LOOKS_BACK, "Activate", rows, estimates)
        page = ask_first(request, self, *asked, also=paying) if rows else None
        if page is None:
            self._activate(request, waiting.filter(id__in=[achievement.id for achievement in rows]))
        return page

    @row_action("Activate", "play_arrow", dialog("Activate «{row}»?", LOOKS_BACK, "Activate", ActivationForm))
    def activate_one(self, request: HttpRequest, rows: QuerySet[Achievement]) -> None:
        """Activate one achievement."""
        self._activate(request, rows.filter(status__in=self.offered_in["activate_one"]))

    def _activate(self, request: HttpRequest, waiting: QuerySet[Achievement]) -> None:
        each_or_message(
            request, waiting, _activate, "activated", "Nothing to activate: only what is inactive or locked can be."
        )
