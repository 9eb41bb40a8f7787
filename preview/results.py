"""What a backtest found, and how it is added up user by user: pure."""

import heapq
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from msgspec import Struct

from levels.rules import Ladder, level_for
from preview.rules import Played

PERCENTILES: Final = (10, 25, 50, 75, 90, 99)
SHOWN_USERS: Final = 10
"""How many of those who gain, and of those who lose, are named."""


class UserDifference(Struct, frozen=True):
    """A user, and what moved for them by the live rules and by the draft."""

    id: str
    external_id: str
    live: int
    draft: int

    @property
    def difference(self) -> int:
        """What the draft gives them more."""
        return self.draft - self.live


class TriggerResult(Struct, frozen=True):
    """The points of one trigger, by its id; '' are adjustments."""

    trigger_id: str
    paid: int
    live: int
    draft: int


class LevelResult(Struct, frozen=True):
    """How many users end on a level, by its id; '' is below all."""

    level_id: str
    live: int
    draft: int


class Result(Struct, frozen=True):
    """What a backtest found in its users.

    `paid` is what the ledger has, `live` what the rules of today would have paid, `draft` what those that are tried
    would have. The percentiles are of what moved for each of the `active` users, those for whom anything did.
    """

    users: int
    active: int
    events: int
    paid: int
    live: int
    draft: int
    live_refused: int
    draft_refused: int
    triggers: list[TriggerResult]
    live_percentiles: list[int]
    draft_percentiles: list[int]
    levels: list[LevelResult]
    gain: list[UserDifference]
    lose: list[UserDifference]
    gainers: int
    losers: int
    seconds: float = 0.0


def percentile(ascending: Sequence[int], percent: int) -> int:
    """Return the value that `percent` of all do not exceed (nearest rank); 0 where there are none."""
    return ascending[max(0, -(-len(ascending) * percent // 100) - 1)] if ascending else 0


@dataclass(slots=True)
class Tally:
    """The sums of a backtest under way. `ladders` are those of the live rules and of the draft."""

    ladders: tuple[Ladder, Ladder]
    users: int = 0
    events: int = 0
    paid: Counter[str] = field(default_factory=Counter)
    played: tuple[Counter[str], Counter[str]] = field(default_factory=lambda: (Counter(), Counter()))
    refused: list[int] = field(default_factory=lambda: [0, 0])
    moved: tuple[list[int], list[int]] = field(default_factory=lambda: ([], []))
    levels: tuple[Counter[str], Counter[str]] = field(default_factory=lambda: (Counter(), Counter()))
    gainers: int = 0
    losers: int = 0
    _gain: list[tuple[int, str, UserDifference]] = field(default_factory=list)
    _lose: list[tuple[int, str, UserDifference]] = field(default_factory=list)

    def add(self, id_: str, external_id: str, live: Played, draft: Played) -> None:
        """Count one user."""
        self.users += 1
        for place, played in enumerate((live, draft)):
            self.played[place].update(played.by_trigger)
            self.refused[place] += played.refused
            self.levels[place][level_for(self.ladders[place], played.total) or ""] += 1
        if live.by_trigger or draft.by_trigger:
            self.moved[0].append(live.moved)
            self.moved[1].append(draft.moved)
        self._compare(UserDifference(id_, external_id, live.moved, draft.moved))

    def _compare(self, user: UserDifference) -> None:
        if user.difference > 0:
            self.gainers += 1
            _keep(self._gain, user.difference, user)
        elif user.difference < 0:
            self.losers += 1
            _keep(self._lose, -user.difference, user)

    def result(self, seconds: float) -> Result:
        """Return what was found."""
        live, draft = (sorted(each) for each in self.moved)
        trigger_ids = sorted({*self.paid, *self.played[0], *self.played[1]})
        level_ids = ["", *dict.fromkeys((*self.ladders[0].ids, *self.ladders[1].ids))]
        return Result(
            users=self.users,
            active=len(live),
            events=self.events,
            paid=self.paid.total(),
            live=sum(live),
            draft=sum(draft),
            live_refused=self.refused[0],
            draft_refused=self.refused[1],
            triggers=[
                TriggerResult(each, self.paid[each], self.played[0][each], self.played[1][each]) for each in trigger_ids
            ],
            live_percentiles=[percentile(live, each) for each in PERCENTILES],
            draft_percentiles=[percentile(draft, each) for each in PERCENTILES],
            levels=[LevelResult(each, self.levels[0][each], self.levels[1][each]) for each in level_ids],
            gain=_greatest(self._gain),
            lose=_greatest(self._lose),
            gainers=self.gainers,
            losers=self.losers,
            seconds=round(seconds, 1),
        )


def _keep(heap: list[tuple[int, str, UserDifference]], size: int, user: UserDifference) -> None:
    """Keep the user if they are among the greatest so far."""
    push = heapq.heappush if len(heap) < SHOWN_USERS else heapq.heappushpop
    push(heap, (size, user.id, user))


def _greatest(heap: list[tuple[int, str, UserDifference]]) -> list[UserDifference]:
    return [user for _, _, user in sorted(heap, reverse=True)]
