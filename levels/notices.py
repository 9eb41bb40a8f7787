"""Edits of levels: whose level they change, counted, and the notices that tell these users.

Each user is told of the edits since they were told last, as one change, from the level before the first of them to the
level that they have when they are told. So each user is in at most one open notice of a points system: an edit that
users are to be told of makes notices for those who are in none, and leaves the others to the notices that they are in,
which compare with the levels as they are by then.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone

from core.history import history_of, note
from levels.models import Level, LevelNotice
from levels.render import render_level
from levels.rules import Ladder, edited_ranges
from levels.store import count_users_between, count_users_without_awards, ladder_from, read_levels
from points.models import PointsSystem

TOLD: Final = "Levels were edited; users whose level changed are told"
EDITED: Final = "Levels were edited while users are told of an earlier edit"

Range = tuple[str, str | None]
"""Users behind the first id, up to the second one; None for no end."""


@dataclass(frozen=True, slots=True)
class LevelChanges:
    """How many users an edit gives another level. Those `without_awards` are among them: their first award tells."""

    users: int = 0
    without_awards: int = 0


class LevelEdit:
    """An edit of a points system's levels: what they were before."""

    def __init__(self, system: PointsSystem) -> None:
        self.system = system
        self.levels = read_levels(system)

    @property
    def ladders(self) -> tuple[Ladder, Ladder]:
        """Return the ladders before the edit and now."""
        return ladder_from(self.levels), ladder_from(read_levels(self.system))

    def changes(self) -> LevelChanges:
        """Return how many users the edit so far gives another level."""
        return count_changes(self.system.id, *self.ladders)


def count_changes(system_id: UUID, before: Ladder, after: Ladder) -> LevelChanges:
    """Return how many users have another level by the ladder after than by the one before: by their totals now."""
    ranges = edited_ranges(before, after)
    without = count_users_without_awards(system_id) if ranges and ranges[0][0] == 0 else 0
    return LevelChanges(count_users_between(system_id, ranges) + without, without)


def describe(changes: LevelChanges) -> str:
    """Say whose level an edit changes, in one sentence or two."""
    if not changes.users:
        return "No user's level changes."
    who = "1 user gets" if changes.users == 1 else f"{changes.users:,} users get"
    without = changes.without_awards
    if not without:
        return f"{who} another level."
    have = "1 of them has" if without == 1 else f"{without:,} of them have"
    return f"{who} another level. {have} no award yet and will be told by the first."


@contextmanager
def editing_levels(system: PointsSystem, *, notify: bool = False) -> Iterator[LevelEdit]:
    """Let the levels of a points system be edited inside, in one transaction; `notify` tells whose level changes."""
    with transaction.atomic():
        # Edits wait for each other here, and for the chunk of a notice that is being worked on.
        PointsSystem.objects.select_for_update(no_key=True).get(id=system.id)
        under_way = list(_open(system.id).select_for_update())
        edit = LevelEdit(system)
        yield edit
        before, after = edit.ladders
        if edited_ranges(before, after) and (notify or under_way):
            _record(system, edit.levels, under_way, notify=notify)


def open_notices(system_id: UUID) -> list[LevelNotice]:
    """Return the notices of a points system that are under way."""
    return list(_open(system_id))


def _open(system_id: UUID) -> QuerySet[LevelNotice]:
    return LevelNotice.objects.filter(system_id=system_id, finished__isnull=True)


def _record(system: PointsSystem, levels: Sequence[Level], under_way: Sequence[LevelNotice], *, notify: bool) -> None:
    """Let the open notices know of the edit, and with `notify` make notices for all users who are in none of them.

    The note in the history of the points system makes all versions of its rules greater from this edit on, which
    tells the awards after it from those before it.
    """
    note(system, TOLD if notify else EDITED)
    newest: Any = history_of(PointsSystem)._default_manager.filter(id=system.id).latest()
    version, ladder = newest.history_id, [render_level(level) for level in levels]
    for notice in under_way:
        notice.later = [*notice.later, {"version": version, "ladder": ladder}]
        notice.save(update_fields=["later"])
    for last_user, until_user in gaps([(each.last_user, each.until_user) for each in under_way]) if notify else ():
        LevelNotice.objects.create(
            system=system,
            ladder=ladder,
            version=version,
            last_user=last_user,
            until_user=until_user,
            created=timezone.now(),
        )


def gaps(taken: Sequence[Range]) -> list[Range]:
    """Return the ranges of users that are in none of those taken, which do not overlap."""
    free: list[Range] = []
    start: str | None = ""
    for last_user, until_user in sorted(taken):
        if start is not None and start < last_user:
            free.append((start, last_user))
        start = until_user
    return free if start is None else [*free, (start, None)]
