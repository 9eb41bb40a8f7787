"""The game as a slow and obvious model: plain loops over all that ever happened, fractions, nothing of the engine's.

Whatever the engine answers must be what this answers. Where the two differ, the sentence in docs/rules.md decides.
"""

from copy import deepcopy
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from fractions import Fraction
from math import ceil, floor
from zoneinfo import ZoneInfo

LARGEST_BALANCE = 9_007_199_254_740_991


@dataclass
class Trigger:
    """A trigger of any kind: `metric`, `streak`, `achievement` or `user_creation`."""

    id: str
    system: str
    kind: str
    points: int
    metric: str = ""
    every: int = 1
    goal: str = ""
    of_user: dict[str, str] = field(default_factory=dict)
    of_event: dict[str, str] = field(default_factory=dict)
    blocks: bool = False
    active: bool = True


@dataclass
class Goal:
    """An achievement of any kind: `metric`, `streak`, `api` or `achievement` (of other goals)."""

    id: str
    kind: str
    metric: str = ""
    value: Fraction = Fraction(0)
    streak: int = 0
    needs: tuple[str, ...] = ()
    of_user: dict[str, str] = field(default_factory=dict)
    of_event: dict[str, str] = field(default_factory=dict)
    status: str = "inactive"


@dataclass
class Boost:
    """A boost; one for a single user names them in `only_for`."""

    id: str
    system: str
    start: date
    end: date | None
    multiplier: Fraction
    rounding: str
    of_user: dict[str, str] = field(default_factory=dict)
    only_for: str | None = None
    activated: datetime | None = None
    finished: datetime | None = None


@dataclass
class Level:
    """A level, and the points from which on users have it."""

    id: str
    system: str
    points: int


@dataclass
class Happening:
    """An event that was accepted. `period` is the one it counts in, None where nothing is counted by amounts."""

    metric: str
    value: Fraction
    tags: dict[str, str]
    key: str | None
    period: date | None = None


@dataclass(frozen=True)
class Line:
    """A line of a ledger."""

    system: str
    cause: str
    trigger: str
    awarded: int
    total: int
    boosts: tuple[str, ...]


@dataclass
class Player:
    """All that is known of a user. `counted` are the periods of the streak that runs, `last` the newest of them."""

    name: str
    zone: str | None = None
    attributes: dict[str, str] = field(default_factory=dict)
    events: list[Happening] = field(default_factory=list)
    ledger: list[Line] = field(default_factory=list)
    goals: set[str] = field(default_factory=set)
    frequency: str = "daily"
    counted: list[date] = field(default_factory=list)
    last: date | None = None
    started: date | None = None
    forgotten: int = 0
    history: dict[tuple[str, date], int] = field(default_factory=dict)

    def total(self, system: str) -> int:
        """What the user holds."""
        return sum(line.awarded for line in self.ledger if line.system == system)

    def has_any(self, system: str) -> bool:
        """Whether the user was ever awarded anything in the system."""
        return any(line.system == system for line in self.ledger)


@dataclass
class Answer:
    """What became of an input: `accepted`, `replayed`, `repeated` (a completion) or `rejected`."""

    verdict: str
    lines: list[Line] = field(default_factory=list)
    goals: set[str] = field(default_factory=set)
    levels: dict[str, tuple[str | None, str | None]] = field(default_factory=dict)
    extended: bool = False
    length: int = 0


class Refused(Exception):  # noqa: N818 - an answer, not a fault
    """The input is refused, and nothing of it stays."""


@dataclass
class World:
    """All configuration, each list in the order of creation, and all users."""

    metrics: list[str]
    user_attributes: list[str]
    event_attributes: list[str]
    maximum: dict[str, int | None]
    triggers: list[Trigger] = field(default_factory=list)
    goals: list[Goal] = field(default_factory=list)
    boosts: list[Boost] = field(default_factory=list)
    levels: list[Level] = field(default_factory=list)
    frequency: str = "daily"
    all_needed: bool = False
    needed: dict[str, Fraction] = field(default_factory=dict)
    players: dict[str, Player] = field(default_factory=dict)

    # --- What can happen ---------------------------------------------------------------------------------------------
    def event(
        self,
        name: str,
        at: datetime,
        metric: str,
        value: Fraction,
        *,
        tags: dict[str, str],
        key: str | None = None,
        changes: dict[str, str | None] | None = None,
        zone: str | None = "",
    ) -> Answer:
        """Report an event; a `zone` of '' was not given."""
        if metric not in self.metrics:
            return Answer("rejected")
        known = self.players.get(name)
        for each in known.events if known and key is not None else []:
            if (each.metric, each.key) == (metric, key):
                same = (each.value, each.tags) == (value, tags)
                return Answer("replayed", length=self.length_now(name, at)) if same else Answer("rejected")
        try:
            return self._event(name, at, Happening(metric, value, tags, key), changes or {}, zone)
        except Refused:
            return Answer("rejected")

    def identify(
        self, name: str, at: datetime, changes: dict[str, str | None], zone: str | None, *, must_exist: bool
    ) -> Answer:
        """Make a user known, or change them."""
        if must_exist and name not in self.players:
            return Answer("rejected")
        try:
            player = self._player(name, at, changes, zone)
        except Refused:
            return Answer("rejected")
        return self._pay(player, at, self._creation(player))

    def complete(self, name: str, goal_id: str, at: datetime) -> Answer:
        """Complete an achievement of kind `api`, as the product says."""
        goal = self._goal(goal_id)
        if goal.status == "inactive":
            return Answer("rejected")
        if name in self.players and goal_id in self.players[name].goals:
            return Answer("repeated")
        player = self._player(name, at, {}, "")
        if goal.status == "locked" or not has_all(player.attributes, goal.of_user):
            return Answer("rejected")
        return self._complete(player, goal, at)

    def look_back(self, name: str, goal_id: str, at: datetime) -> Answer:
        """Give a goal to a user who qualified before it was activated."""
        goal = self._goal(goal_id)
        player = self._player(name, at, {}, "")
        if goal_id in player.goals or not self._is_reached(player, goal, None):
            return Answer("rejected")
        return self._complete(player, goal, at)

    def runs_out(self, name: str, at: datetime) -> bool:
        """End the user's streak if it is over at a moment; tell whether it was."""
        had = self.players[name].last is not None
        self._run_out(self.players[name], at)
        return had and self.players[name].last is None

    def mark_boosts(self, at: datetime) -> None:
        """Finish the boosts that are over: everywhere on Earth, or where the one user is whom they are for."""
        for each in self.boosts:
            if each.activated is None or each.finished is not None or each.end is None:
                continue
            player = self.players.get(each.only_for or "")
            last_day = day_of(at, player.zone if player else None) if each.only_for else day_of(at, "Etc/GMT+12")
            if last_day > each.end:
                each.finished = at

    def length_now(self, name: str, at: datetime) -> int:
        """How long the user's streak is at a moment."""
        player = deepcopy(self.players[name])
        self._run_out(player, at)
        return len(player.counted)

    def level(self, system: str, total: int) -> str | None:
        """The highest level whose points are at most the total."""
        best: Level | None = None
        for each in self.levels:
            if each.system == system and each.points <= total and (best is None or each.points > best.points):
                best = each
        return best.id if best else None

    # --- The steps of an event ---------------------------------------------------------------------------------------
    def _event(
        self, name: str, at: datetime, happening: Happening, changes: dict[str, str | None], zone: str | None
    ) -> Answer:
        player = self._player(name, at, changes, zone)
        if any(key not in self.event_attributes for key in happening.tags):
            raise Refused
        before = list(player.events)
        player.events.append(happening)
        extended = self._count(player, happening, at)
        goals = self._reach(player, happening.tags)
        firings = [
            *self._creation(player),
            *self._crossed(player, happening, before),
            *(self._streak(player) if extended else []),
            *self._of_goals(player, goals),
        ]
        player.goals |= goals
        answer = self._pay(player, at, firings)
        answer.goals, answer.extended, answer.length = goals, extended, len(player.counted)
        return answer

    def _player(self, name: str, at: datetime, changes: dict[str, str | None], zone: str | None) -> Player:
        """Return a copy of the user with the changes made, so that a refusal later leaves no trace."""
        if any(key not in self.user_attributes for key in changes):
            raise Refused
        player = deepcopy(self.players[name]) if name in self.players else Player(name)
        self._run_out(player, at)
        for key, value in changes.items():
            player.attributes.pop(key, None)
            if value is not None:
                player.attributes[key] = value
        if zone != "":
            player.zone = zone
            self._move(player, at)
        return player

    def _complete(self, player: Player, goal: Goal, at: datetime) -> Answer:
        player.goals.add(goal.id)
        goals = {goal.id} | self._reach(player, None, only="achievement")
        player.goals |= goals
        answer = self._pay(player, at, [*self._creation(player), *self._of_goals(player, goals)])
        answer.goals = goals
        return answer

    # --- Streaks -----------------------------------------------------------------------------------------------------
    def _run_out(self, player: Player, at: datetime) -> None:
        """End the streak where more than a whole period was missed."""
        if player.last is None:
            return
        today = period_of(day_of(at, player.zone), player.frequency)
        if today > period_after(player.last, player.frequency):
            player.counted, player.last, player.started = [], None, None

    def _move(self, player: Player, at: datetime) -> None:
        """Keep a streak that would be over only because the new zone's calendar is ahead: it can still be extended."""
        if player.last is None:
            return
        today = period_of(day_of(at, player.zone), player.frequency)
        if today > period_after(player.last, player.frequency):
            player.last = period_before(today, player.frequency)

    def _count(self, player: Player, happening: Happening, at: datetime) -> bool:
        """Count the event; tell whether the streak grew."""
        if player.frequency != self.frequency:
            player.frequency, player.counted, player.last, player.started = self.frequency, [], None, None
            player.forgotten = len(player.events) - 1
        today = day_of(at, player.zone)
        period = period_of(today, self.frequency)
        if player.last is not None and player.last > period:
            period = player.last
        if self.needed:
            happening.period = period
        if period == player.last or not self._is_enough(player, happening, period):
            return False
        if player.last is None:
            player.started = today
        player.counted.append(period)
        player.last = period
        player.history[self.frequency, period] = len(player.counted)
        return True

    def _is_enough(self, player: Player, happening: Happening, period: date) -> bool:
        if not self.needed:
            return happening.value > 0
        reached = 0
        for metric, amount in self.needed.items():
            done = Fraction(0)
            for each in player.events[player.forgotten :]:
                if each.metric == metric and each.period == period:
                    done += each.value
            if done >= amount:
                reached += 1
        return reached == len(self.needed) if self.all_needed else reached > 0

    # --- Achievements ------------------------------------------------------------------------------------------------
    def _goal(self, goal_id: str) -> Goal:
        return next(goal for goal in self.goals if goal.id == goal_id)

    def _reach(self, player: Player, tags: dict[str, str] | None, only: str = "") -> set[str]:
        """Return the goals that are reached now, looked at again and again until nothing more happens."""
        found: set[str] = set()
        changed = True
        while changed:
            changed = False
            for goal in self.goals:
                if goal.id in player.goals or goal.id in found or (only and goal.kind != only):
                    continue
                if self._is_reached(player, goal, tags, found):
                    found.add(goal.id)
                    changed = True
        return found

    def _is_reached(
        self, player: Player, goal: Goal, tags: dict[str, str] | None, found: set[str] | None = None
    ) -> bool:
        if goal.status != "active" or not has_all(player.attributes, goal.of_user):
            return False
        if goal.kind == "metric":
            if tags is not None and not has_all(tags, goal.of_event):
                return False
            return sum_of(player.events, goal.metric, goal.of_event) >= goal.value
        if goal.kind == "streak":
            return len(player.counted) >= goal.streak
        return goal.kind == "achievement" and all(each in player.goals | (found or set()) for each in goal.needs)

    # --- Triggers ----------------------------------------------------------------------------------------------------
    def _of_kind(self, player: Player, kind: str) -> list[Trigger]:
        return [
            each
            for each in self.triggers
            if each.active and each.kind == kind and has_all(player.attributes, each.of_user)
        ]

    def _creation(self, player: Player) -> list[tuple[Trigger, int]]:
        if player.name in self.players:
            return []
        return [(each, 1) for each in self._of_kind(player, "user_creation")]

    def _crossed(self, player: Player, happening: Happening, before: list[Happening]) -> list[tuple[Trigger, int]]:
        fired = []
        for trigger in self._of_kind(player, "metric"):
            if trigger.metric != happening.metric or not has_all(happening.tags, trigger.of_event):
                continue
            old = peak_of(before, trigger.metric, trigger.of_event)
            new = peak_of(player.events, trigger.metric, trigger.of_event)
            times = floor(new / trigger.every) - floor(old / trigger.every)
            if times:
                fired.append((trigger, times))
        return fired

    def _streak(self, player: Player) -> list[tuple[Trigger, int]]:
        return [(each, 1) for each in self._of_kind(player, "streak") if len(player.counted) % each.every == 0]

    def _of_goals(self, player: Player, goals: set[str]) -> list[tuple[Trigger, int]]:
        return [(each, 1) for each in self._of_kind(player, "achievement") if each.goal in goals]

    # --- Points ------------------------------------------------------------------------------------------------------
    def _pay(self, player: Player, at: datetime, firings: list[tuple[Trigger, int]]) -> Answer:
        """Pay, and make the player the one who is known. Raises Refused where points run out that must not."""
        answer = Answer("accepted")
        before = {system: player.total(system) if player.has_any(system) else None for system in self.maximum}
        for trigger, times in firings:
            if line := self._line(player, trigger, times, at):
                player.ledger.append(line)
                answer.lines.append(line)
        for system, old in before.items():
            if player.has_any(system):
                was = None if old is None else self.level(system, old)
                now = self.level(system, player.total(system))
                if was != now:
                    answer.levels[system] = (was, now)
        self.players[player.name] = player
        return answer

    def _line(self, player: Player, trigger: Trigger, times: int, at: datetime) -> Line | None:
        balance, amount = player.total(trigger.system), trigger.points * times
        if trigger.blocks and balance + amount < 0:
            raise Refused
        boosts = [each for each in self._boosts(player, trigger.system, at) if amount > 0]
        amount = rounded(amount, boosts)
        if amount > 0:
            maximum = self.maximum[trigger.system] or LARGEST_BALANCE
            amount = min(amount, max(0, maximum - balance))
        if balance + amount < 0:
            amount = -balance
        if amount == 0:
            return None
        ids = tuple(each.id for each in boosts)
        return Line(trigger.system, trigger.kind, trigger.id, amount, balance + amount, ids)

    def _boosts(self, player: Player, system: str, at: datetime) -> list[Boost]:
        today = day_of(at, player.zone)
        return [
            each
            for each in self.boosts
            if each.system == system
            and each.activated is not None
            and each.activated <= at
            and (each.finished is None or at < each.finished)
            and each.start <= today
            and (each.end is None or today <= each.end)
            and (each.only_for is None or each.only_for == player.name)
            and has_all(player.attributes, each.of_user)
        ]


def has_all(attributes: dict[str, str], wanted: dict[str, str]) -> bool:
    """Whether all that is wanted is there."""
    return all(key in attributes and attributes[key] == value for key, value in wanted.items())


def sum_of(events: list[Happening], metric: str, tags: dict[str, str]) -> Fraction:
    """The sum over the events of a metric that have these tags."""
    return sum((each.value for each in events if each.metric == metric and has_all(each.tags, tags)), Fraction(0))


def peak_of(events: list[Happening], metric: str, tags: dict[str, str]) -> Fraction:
    """The highest that the sum ever was, from 0."""
    return max(sum_of(events[:count], metric, tags) for count in range(len(events) + 1))


def rounded(amount: int, boosts: list[Boost]) -> int:
    """The amount times every multiplier, rounded once, as the strictest of the boosts says."""
    if not boosts:
        return amount
    exact = Fraction(amount)
    for each in boosts:
        exact *= each.multiplier
    roundings = {each.rounding for each in boosts}
    if "down" in roundings:
        return floor(exact)
    if "nearest" in roundings:
        return floor(exact + Fraction(1, 2))
    return ceil(exact)


def day_of(at: datetime, zone: str | None) -> date:
    """The day on the user's calendar."""
    return at.astimezone(ZoneInfo(zone) if zone else UTC).date()


def period_of(day: date, frequency: str) -> date:
    """The first day of the period that a day is in."""
    if frequency == "weekly":
        year, week, _ = day.isocalendar()
        return date.fromisocalendar(year, week, 1)
    if frequency == "monthly":
        return date(day.year, day.month, 1)
    return day


def period_after(start: date, frequency: str) -> date:
    """The first day of the next period: walk until it comes."""
    day = start
    while period_of(day, frequency) == start:
        day += timedelta(days=1)
    return day


def period_before(start: date, frequency: str) -> date:
    """The first day of the period before."""
    return period_of(start - timedelta(days=1), frequency)
