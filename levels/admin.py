"""Levels in the admin. Whose level an edit changes is counted before it is saved, and they are told if wanted."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any, Final, cast

from django import forms
from django.contrib import admin, messages
from django.db import transaction
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, QueryDict
from unfold.decorators import display
from unfold.forms import BaseDialogForm
from unfold.widgets import UnfoldBooleanSwitchWidget

from core.admin import (
    NOTHING_TO_RESTORE,
    BadgedAdmin,
    ConfigurationForm,
    LiveFilter,
    ask_first,
    dialog,
    each_or_message,
    row_action,
    with_badge,
)
from core.models import ConfigurationStatus
from core.services import restore
from core.versioned_admin import question
from levels.models import Level
from levels.notices import LevelChanges, count_changes, describe, editing_levels
from levels.rules import Ladder
from levels.store import ladder_from, read_levels
from points.admin import to_tab
from points.models import PointsSystem

NOTIFY: Final = "notify"
TELL: Final = "Tell these users"
TELLS: Final = "Sends points.level_changed for each user whose level this changes, in the background."
ARCHIVES: Final = "Its users fall to the level below at once. It can be restored."
RESTORES: Final = "Users who have its points, and no higher level, have it again at once."


def changes_without(levels: Iterable[Level]) -> LevelChanges:
    """Return how many users have another level once these levels are archived, or if they are, restored."""
    changes = [count_changes(system.id, *_ladders(system, rows)) for system, rows in _by_system(levels)]
    return LevelChanges(sum(each.users for each in changes), sum(each.without_awards for each in changes))


def _ladders(system: PointsSystem, rows: list[Level]) -> tuple[Ladder, Ladder]:
    """Return the ladders before and after the status of these levels is changed."""
    stored = read_levels(system)
    gone = {level.id for level in rows}
    come = [level for level in rows if level.status == ConfigurationStatus.ARCHIVED]
    taken = {level.points for level in stored}
    stay = [level for level in stored if level.id not in gone]
    return ladder_from(stored), ladder_from([*stay, *(level for level in come if level.points not in taken)])


def _by_system(levels: Iterable[Level]) -> Iterator[tuple[PointsSystem, list[Level]]]:
    found: dict[PointsSystem, list[Level]] = defaultdict(list)
    for level in levels:
        found[level.system].append(level)
    yield from found.items()


class LevelForm(ConfigurationForm):
    """Asks once more before an edit gives users another level.

    `confirmed` says which edit the operator has seen the effect of. The number of users is not part of it: they go on.
    """

    notify = forms.BooleanField(label=TELL, required=False, help_text=TELLS, widget=UnfoldBooleanSwitchWidget())
    confirmed = forms.CharField(required=False, widget=forms.HiddenInput())

    asides = ("notify", "confirmed")

    def _post_clean(self) -> None:
        super()._post_clean()
        if not self.errors:
            self._ask()

    def _ask(self) -> None:
        level = self.instance
        if level.status == ConfigurationStatus.ARCHIVED:
            return
        stored = read_levels(level.system)
        before = ladder_from(stored)
        after = ladder_from([*(each for each in stored if each.id != level.id), level])
        changes = count_changes(level.system_id, before, after)
        edit = " ".join(map(str, (*before.thresholds, "to", *after.thresholds)))
        if changes.users and self.cleaned_data.get("confirmed") != edit:
            data = cast(QueryDict, self.data).copy()
            data[self.add_prefix("confirmed")] = edit
            self.data = data
            self.add_error(None, question(self._in_words(changes)))

    def _in_words(self, changes: LevelChanges) -> str:
        end = f"«{TELL}» at the end of this page"
        told = f"{end} is on: they are told." if self.cleaned_data.get(NOTIFY) else f"To tell them, turn on {end}."
        return f"Nothing is saved yet. {describe(changes)} {told} Save again if that is right."


class ArchiveLevelForm(BaseDialogForm):
    """The dialog before a level is archived or restored."""

    form_before_template = "levels/changes.html"

    notify = forms.BooleanField(label=TELL, required=False, help_text=TELLS, widget=UnfoldBooleanSwitchWidget())

    def get_before_template_context(self, request: HttpRequest, object_id: Any = None) -> dict[str, Any]:
        """Count whose level changes."""
        return {"changes": describe(changes_without(Level.objects.filter(id=object_id).select_related("system")))}


@admin.register(Level)
class LevelAdmin(BadgedAdmin):
    """Names for how many points a user has."""

    empty_hint = "A level is a name for how many points a user has."
    list_display: Sequence[Any] = ("shown_name", "system", "shown_points", "key", "shown_status", "updated")
    list_filter = (LiveFilter, "system")
    list_select_related = ("system",)
    search_fields: Sequence[str] = ("name", "key")
    autocomplete_fields = ("system",)
    ordering: Sequence[str] = ("system__created", "points")
    form = LevelForm
    fieldsets = (
        (None, {"fields": ("system", "name", "key", "points", "description")}),
        BadgedAdmin.badge_fieldset,
        ("Users whose level changes", {"fields": ("notify", "confirmed")}),
    )
    actions_row = ("archive_one", "restore_one")
    actions_detail = actions_row
    list_before_template = "levels/notices_of_all.html"

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        """Ask nothing of who may only look."""
        may_save = self.has_change_permission(request, obj) if obj else self.has_add_permission(request)
        return self.fieldsets if may_save else self.fieldsets[:-1]

    def lock_row(self, row: Level) -> None:
        """Lock the points system before the level, as all edits do that tell users."""
        PointsSystem.objects.select_for_update(no_key=True).get(id=row.system_id)
        super().lock_row(row)

    def save_model(self, request: HttpRequest, obj: Level, form: Any, change: bool) -> None:
        """Save the level, and tell the users whose level that changes if it was asked for."""
        notify = bool(form.cleaned_data.get(NOTIFY))
        with editing_levels(obj.system, notify=notify) as edit:
            super().save_model(request, obj, form, change)
            _say(request, edit.changes(), notify=notify)

    @admin.action(description="Archive", permissions=["change"])
    def archive_selected(self, request: HttpRequest, queryset: QuerySet[Level]) -> HttpResponse | None:
        """Archive levels, once the operator has seen whose level that changes."""
        live = list(queryset.exclude(status=ConfigurationStatus.ARCHIVED).select_related("system"))
        page = self._ask(request, live, "Archive these levels?", "Archive")
        if page is None:
            self._archive(request, live)
        return page

    @admin.action(description="Restore", permissions=["change"])
    def restore_selected(self, request: HttpRequest, queryset: QuerySet[Level]) -> HttpResponse | None:
        """Bring levels back, once the operator has seen whose level that changes."""
        archived = list(queryset.filter(status=ConfigurationStatus.ARCHIVED).select_related("system"))
        page = self._ask(request, archived, "Restore these levels?", "Restore")
        if page is None:
            self._restore(request, archived)
        return page

    @row_action("Archive", "archive", dialog("Archive «{row}»?", ARCHIVES, "Archive", ArchiveLevelForm))
    def archive_one(self, request: HttpRequest, rows: QuerySet[Level]) -> None:
        """Archive one level."""
        self._archive(request, list(rows.exclude(status=ConfigurationStatus.ARCHIVED).select_related("system")))

    @row_action("Restore", "unarchive", dialog("Restore «{row}»?", RESTORES, "Restore", ArchiveLevelForm))
    def restore_one(self, request: HttpRequest, rows: QuerySet[Level]) -> None:
        """Bring one level back."""
        self._restore(request, list(rows.filter(status=ConfigurationStatus.ARCHIVED).select_related("system")))

    def _ask(self, request: HttpRequest, levels: list[Level], title: str, submit: str) -> HttpResponse | None:
        """Return the page that says whose level changes; None if nobody's does, or once it was confirmed."""
        changes = changes_without(levels)
        if not changes.users:
            return None
        asked = (
            title,
            describe(changes),
            submit,
            levels,
            lambda: [f"from {each.points:,} {each.system}" for each in levels],
        )
        # Whose level changes depends on all levels of a points system.
        also = Level.objects.filter(system__in={level.system for level in levels})
        return ask_first(request, self, *asked, also=also, choice=(NOTIFY, TELL, TELLS))

    def _archive(self, request: HttpRequest, levels: list[Level]) -> None:
        with _editing(request, levels):
            rows = Level.objects.filter(id__in=[level.id for level in levels])
            super().archive_selected(request, rows)

    def _restore(self, request: HttpRequest, levels: list[Level]) -> None:
        with _editing(request, levels):
            rows = Level.objects.filter(id__in=[level.id for level in levels])
            each_or_message(request, rows, restore, "restored", NOTHING_TO_RESTORE)

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        """Keep the key and the points system for ever: products ask for levels by them."""
        return ("system", "key", "shown_badge") if obj else ("shown_badge",)

    @display(description="Level", header=True, ordering="name")
    def shown_name(self, level: Level) -> list[Any]:
        """Show the badge, the name and the description."""
        return with_badge(level, level.name, level.description[:80])

    @display(description="From points", ordering="points")
    def shown_points(self, level: Level) -> str:
        """Show the total from which on users have it."""
        return f"{level.points:,}"

    def response_post_save_add(self, request: HttpRequest, obj: Level) -> HttpResponse:
        """Go back to the points system's levels."""
        return to_tab(obj.system_id, Level)

    def response_post_save_change(self, request: HttpRequest, obj: Level) -> HttpResponse:
        """Go back to the points system's levels."""
        return to_tab(obj.system_id, Level)


@contextmanager
def _editing(request: HttpRequest, levels: list[Level]) -> Iterator[None]:
    """Let these levels be archived or restored inside; say whose level that changed, and tell them if asked to."""
    notify = NOTIFY in request.POST
    with transaction.atomic(), ExitStack() as stack:
        systems = sorted((system for system, _ in _by_system(levels)), key=lambda system: system.id)
        edits = [stack.enter_context(editing_levels(system, notify=notify)) for system in systems]
        yield
        for edit in edits:
            _say(request, edit.changes(), notify=notify)


def _say(request: HttpRequest, changes: LevelChanges, *, notify: bool) -> None:
    if changes.users:
        told = " They are told in the background." if notify else ""
        messages.info(request, f"{describe(changes)}{told}")
