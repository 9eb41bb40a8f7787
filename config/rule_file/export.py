"""The database as a file: in an order that does not depend on when and where things were made."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

from msgspec import structs

from boosts.rules import BoostPhase
from config.rule_file.badges import UPLOADED
from config.rule_file.schema import (
    VERSION,
    AchievementItem,
    BoostItem,
    Item,
    RuleFile,
    SystemRules,
    given_fields,
)
from config.rule_file.show import label
from config.rule_file.stored import Keyed, Stored, StoredRules
from config.rule_file.text import write_yaml
from points.models import PointsSystem

HEADER: Final = """\
# The rules of a Pointsmith server: written by `manage.py config export`, and meant to be edited and reviewed.
# `manage.py config plan FILE` says what this file would change on a server, `manage.py config apply FILE` does it.
# A field that is left out has its default; a section that is left out is not looked after by this file.

"""


def rules_of(stored: StoredRules, now: datetime) -> tuple[RuleFile, list[str]]:
    """Return everything that is live as a file, and a sentence for each thing that a file cannot have.

    That is what cannot work, because something that it names is archived. Boosts that are finished at `now` are past.
    """
    left_out = [
        f"achievements: «{handle}» names something that is archived." for handle, each in _broken(stored.achievements)
    ]
    points = {}
    for key, system in _sorted(stored.systems):
        points[key], broken = _system(system, stored, now)
        left_out += [f"points.{key}: «{each}» names something that is archived." for each in broken]
    rules = RuleFile(
        attributes={type_: _items(rows) for type_, rows in stored.attributes.items()},
        metrics=_items(stored.metrics),
        streaks=stored.streaks,
        achievements=_items(stored.achievements),
        points=points,
    )
    return rules, left_out


def to_text(file: RuleFile) -> str:
    """Return the file as text that reads back as the same file."""
    sections: dict[str, Any] = {"version": VERSION}
    if file.attributes:
        sections["attributes"] = {type_.value: _plain(items) for type_, items in file.attributes.items()}
    if file.metrics is not None:
        sections["metrics"] = _plain(file.metrics)
    if file.streaks is not None:
        sections["streaks"] = given_fields(file.streaks)
    if file.achievements is not None:
        sections["achievements"] = {
            handle: given_fields(_unnamed(handle, item)) for handle, item in file.achievements.items()
        }
    if file.points is not None:
        sections["points"] = {key: _plain_system(system) for key, system in file.points.items()}
    return HEADER + write_yaml(sections)


def uploaded_badges(file: RuleFile) -> set[str]:
    """Return the names of the badges that lie beside the file."""
    badges = {item.badge for item in (file.achievements or {}).values()}
    for system in (file.points or {}).values():
        badges |= {system.item.badge, *(level.badge for level in (system.levels or {}).values())}
    return {badge for badge in badges if badge.startswith(UPLOADED)}


def _sorted(rows: Keyed[Any, Any]) -> list[tuple[str, Stored[Any, Any]]]:
    return sorted(rows.live.items())


def _items(rows: Keyed[Any, Any]) -> dict[str, Any]:
    return {key: each.item for key, each in _sorted(rows) if not each.uses_archived}


def _broken(rows: Keyed[Any, Any]) -> list[tuple[str, Stored[Any, Any]]]:
    return [(key, each) for key, each in _sorted(rows) if each.uses_archived]


def _system(system: Stored[PointsSystem, Any], stored: StoredRules, now: datetime) -> tuple[SystemRules, list[str]]:
    parts = stored.parts_of(system.row)
    boosts = [each for each in parts.boosts if each.row.phase(now) != BoostPhase.FINISHED]
    listed: list[Stored[Any, Any]] = [*parts.triggers, *boosts]
    rules = SystemRules(
        item=system.item,
        levels=dict(sorted(_items(parts.levels).items(), key=lambda level: level[1].points)),
        triggers=[each.item for each in parts.triggers if not each.uses_archived],
        boosts=sorted((each.item for each in boosts if not each.uses_archived), key=_by_days),
    )
    return rules, [label(each.item) for each in listed if each.uses_archived]


def _by_days(boost: BoostItem) -> tuple[Any, ...]:
    return (boost.start, boost.name, str(boost.end), boost.multiplier, sorted(boost.user_attributes.items()))


def _plain(items: Mapping[str, Item]) -> dict[str, Any]:
    return {key: given_fields(item) for key, item in items.items()}


def _plain_system(system: SystemRules) -> dict[str, Any]:
    plain = given_fields(system.item)
    if system.levels is not None:
        plain["levels"] = _plain(system.levels)
    if system.triggers is not None:
        plain["triggers"] = [given_fields(item) for item in system.triggers]
    if system.boosts is not None:
        plain["boosts"] = [given_fields(item) for item in system.boosts]
    return plain


def _unnamed(handle: str, item: AchievementItem) -> AchievementItem:
    """Leave a name out that the handle says already."""
    return structs.replace(item, name="") if item.name == handle else item
