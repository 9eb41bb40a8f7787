"""Whether everything that a file names is there: in the file, or in the database and kept."""

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any

from config.rule_file.operations import Plan, Verb
from config.rule_file.parse import inside
from config.rule_file.schema import AttributeValues, Kind, RuleFile
from config.rule_file.stored import Keyed, StoredRules
from users.models import AttributeType


@dataclass(frozen=True)
class Known:
    """What can be named once the plan was carried out, by keys and handles."""

    metrics: Collection[str]
    achievements: Collection[str]
    attributes: Mapping[AttributeType, Collection[str]]


def known_after(file: RuleFile, stored: StoredRules, plan: Plan) -> Known:
    """Return what can be named once `plan` was carried out."""
    archived = {operation.row for operation in plan.operations if operation.verb == Verb.ARCHIVE}

    def names(wanted: Iterable[str] | None, rows: Keyed[Any, Any]) -> set[str]:
        return {*(wanted or ()), *(key for key, each in rows.live.items() if each.row not in archived)}

    kept = {handle for handle, row in plan.achievements.items() if row not in archived}
    return Known(
        metrics=names(file.metrics, stored.metrics),
        achievements={*(file.achievements or ()), *kept},
        attributes={type_: names(file.attributes.get(type_), stored.attributes[type_]) for type_ in AttributeType},
    )


def unknown_references(file: RuleFile, known: Known) -> Iterator[str]:
    """Yield a sentence for each name that nothing has."""
    for key in file.streaks.metrics if file.streaks else ():
        yield from _unknown("streaks.metrics", Kind.METRIC, key, known.metrics)
    for handle, achievement in (file.achievements or {}).items():
        place = inside("achievements", handle)
        yield from _unknown(f"{place}.metric", Kind.METRIC, achievement.metric, known.metrics)
        for each in achievement.prerequisites:
            yield from _unknown(f"{place}.prerequisites", Kind.ACHIEVEMENT, each, known.achievements)
        yield from _unknown_filters(place, known, achievement.user_attributes, achievement.event_attributes)
    for key, system in (file.points or {}).items():
        place = inside("points", key)
        for index, trigger in enumerate(system.triggers or ()):
            here = f"{place}.triggers[{index}]"
            yield from _unknown(f"{here}.metric", Kind.METRIC, trigger.metric, known.metrics)
            yield from _unknown(f"{here}.achievement", Kind.ACHIEVEMENT, trigger.achievement, known.achievements)
            yield from _unknown_filters(here, known, trigger.user_attributes, trigger.event_attributes)
        for index, boost in enumerate(system.boosts or ()):
            yield from _unknown_filters(f"{place}.boosts[{index}]", known, boost.user_attributes, {})


def _unknown_filters(place: str, known: Known, user: AttributeValues, event: AttributeValues) -> Iterator[str]:
    of_user, of_event = known.attributes[AttributeType.USER], known.attributes[AttributeType.EVENT]
    for key in user:
        yield from _unknown(f"{place}.user_attributes", Kind.USER_ATTRIBUTE, key, of_user)
    for key in event:
        yield from _unknown(f"{place}.event_attributes", Kind.EVENT_ATTRIBUTE, key, of_event)


def _unknown(place: str, kind: Kind, name: str | None, known: Collection[str]) -> Iterator[str]:
    if name is None or name in known:
        return
    close = get_close_matches(name, known, n=1)
    hint = f" Is «{close[0]}» meant?" if close else ""
    yield f"{place}: there is no {kind} «{name}».{hint}"
