"""Playing backtests: user by user, the live rules and the draft over the same past. Nothing is written but progress."""

import logging
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

import msgspec
from django.utils import timezone

from engine.decide import UserState
from engine.inputs import AdjustInput, CompletedInput, EventInput, IdentifyInput, OpeningInput
from metrics.rules import Total
from points.rules import Adjustment, Balance
from preview.drafts import (
    decode_draft,
    live_draft,
    metrics_that_matter,
    read_parts,
    trials_of_past,
)
from preview.models import Backtest, BacktestStatus
from preview.results import Tally
from preview.rules import DRAFT, LIVE, Move, Played, Tick, Trial, dues, nothing_yet, replay
from preview.store import ALL, Chunk, CompletionRow, EventRow, Window, count_events, count_users, read_chunk, read_ticks
from streaks.rules import Streak
from users.rules import User, UserChanges

logger = logging.getLogger(__name__)

CHUNK: Final = 500
EVENTS_MAX: Final = 600_000
"""Of more events than this, about a minute's work, a sample of the users is played."""
USERS_MAX: Final = 200_000
TICKS_PER_EVENT: Final = 4
"""How many payments of time triggers cost as much as an event, at least."""
SILENT: Final = timedelta(minutes=2)
"""After so long without a sign of its worker a backtest has failed."""

_LAST: Final = "~"
"""What stands in the place of an id for what comes after everything that has one."""

Clock = Callable[[], datetime]


class CancelledError(Exception):
    """Somebody cancelled the backtest."""


@dataclass(frozen=True, slots=True)
class _Stage:
    """What one backtest plays: both rules, together or apart, the metrics' ids, and when time triggers are due.

    `ticks` are by the side and the id of the trigger.
    """

    window: Window
    trials: list[Trial]
    ticks: dict[tuple[str, str], list[datetime]]
    metric_ids: list[str]


def work_on_backtests(clock: Clock = timezone.now) -> int:
    """Play the oldest backtest that waits, unless another is being played; return how many were.

    Those whose worker died are given up. One that fails for a reason nobody foresaw says so.
    """
    _give_up_silent(clock())
    backtest = _claim(clock())
    if backtest is None:
        return 0
    try:
        _play(backtest, clock)
    except CancelledError:
        logger.info("The backtest %s was cancelled.", backtest.id)
    except Exception:
        logger.exception("The backtest %s failed.", backtest.id)
        _end(backtest, clock(), BacktestStatus.FAILED, {"error": "It failed; the worker's log says why."})
    return 1


def _give_up_silent(now: datetime) -> None:
    silent = Backtest.objects.filter(status=BacktestStatus.RUNNING, beat__lt=now - SILENT)
    error = {"error": "Its worker stopped in the middle of it. Start it again."}
    silent.update(status=BacktestStatus.FAILED, finished=now, result=error)


def _claim(now: datetime) -> Backtest | None:
    """Take the oldest that waits. One at a time, so that ticks and imports always have a worker left."""
    if Backtest.objects.filter(status=BacktestStatus.RUNNING).exists():
        return None
    waiting = Backtest.objects.filter(status=BacktestStatus.WAITING).order_by("id").first()
    if waiting is None:
        return None
    claimed = Backtest.objects.filter(id=waiting.id, status=BacktestStatus.WAITING)
    return waiting if claimed.update(status=BacktestStatus.RUNNING, beat=now) else None


def _end(backtest: Backtest, now: datetime, status: BacktestStatus, result: object) -> None:
    running = Backtest.objects.filter(id=backtest.id, status=BacktestStatus.RUNNING)
    running.update(status=status, finished=now, beat=now, result=result)


def _play(backtest: Backtest, clock: Clock) -> None:
    began_s = time.monotonic()
    stage = _stage_of(backtest)
    ladders = {side: ladder for trial in stage.trials for side, ladder in trial.rules.ladders.items()}
    tally = Tally((ladders[LIVE], ladders[DRAFT]))
    users = count_users(stage.window)
    Backtest.objects.filter(id=backtest.id).update(users=users, share=stage.window.share)
    for chunk in _chunks(stage):
        _tally_chunk(stage, chunk, tally)
        _report(backtest, tally, clock())
    _end(backtest, clock(), BacktestStatus.DONE, msgspec.to_builtins(tally.result(time.monotonic() - began_s)))


def _report(backtest: Backtest, tally: Tally, now: datetime) -> None:
    """Say how far it is. Raises CancelledError where nobody wants to know any more."""
    running = Backtest.objects.filter(id=backtest.id, status=BacktestStatus.RUNNING)
    if not running.update(users_done=tally.users, events_done=tally.events, beat=now):
        raise CancelledError


def _stage_of(backtest: Backtest) -> _Stage:
    parts = read_parts(backtest.system)
    trials = trials_of_past(parts, live_draft(parts), decode_draft(backtest.draft))
    metric_ids = [metric.id for metric in metrics_that_matter(trials)]
    window = Window(backtest.system, backtest.start, backtest.created)
    ticks = _ticks(window, trials)
    payments = sum(len(instants) for instants in ticks.values())
    share = share_of(count_events(window, metric_ids), count_users(window), payments)
    return _Stage(replace(window, share=share), trials, ticks, metric_ids)


def share_of(events: int, users: int, payments: int) -> int:
    """Return the share of the users, of ALL, that is played in about a minute; each gets so many timed `payments`."""
    work = events + users * payments // TICKS_PER_EVENT
    part = min(EVENTS_MAX / max(1, work), USERS_MAX / max(1, users), 1.0)
    return max(1, round(ALL * part))


def _ticks(window: Window, trials: Sequence[Trial]) -> dict[tuple[str, str], list[datetime]]:
    """Return when each time trigger pays: as it did; as it would have from the start where it never did.

    A draft that changes an interval counts it from the start as well.
    """
    triggers = [each for trial in trials for each in trial.time_triggers]
    live = {each.rule.id: each.interval for each in triggers if each.rule.system_id == LIVE}
    paid = read_ticks(window, live)
    return {
        (each.rule.system_id, each.rule.id): paid.get(each.rule.id, [])
        if live.get(each.rule.id) == each.interval
        else dues(each.interval, window.start, window.start, window.until)
        for each in triggers
    }


def _chunks(stage: _Stage) -> Iterator[Chunk]:
    filters = {
        (metric_id, each)
        for metric_id in stage.metric_ids
        for trial in stage.trials
        for each in trial.rules.filters_of(metric_id)
    }
    paying_streaks = [trial.rules.streak for trial in stage.trials if trial.rules.streak_triggers]
    after = None
    while True:
        chunk = read_chunk(
            stage.window,
            after,
            CHUNK,
            metric_ids=stage.metric_ids,
            filters=sorted(filters),
            streak=paying_streaks[0] if paying_streaks else None,
        )
        if not chunk.users:
            return
        yield chunk
        after = chunk.users[-1].id


def _tally_chunk(stage: _Stage, chunk: Chunk, tally: Tally) -> None:
    for user in chunk.users:
        played: dict[str, Played] = {}
        for trial in stage.trials:
            played |= replay(trial, _state(stage, trial, chunk, user), _moves(stage, trial, chunk, user))
        tally.add(user.id, user.external_id, played[LIVE], played[DRAFT])
        tally.events += len(chunk.events.get(user.id, ()))
        for row in chunk.paid.get(user.id, ()):
            tally.paid[row.trigger_id] += row.awarded


def _state(stage: _Stage, trial: Trial, chunk: Chunk, user: User) -> UserState:
    """Return where a user stood at the start; what they are, such as attributes and zone, as it is today."""
    totals: dict[str, dict[str, Total]] = nothing_yet(trial.rules)
    for metric_id, by_filter in chunk.totals.get(user.id, {}).items():
        totals[metric_id].update((each, total) for each, total in by_filter.items() if each in totals[metric_id])
    balance = Balance(chunk.balances.get(user.id, 0))
    return UserState(
        user,
        known=user.created < stage.window.start,
        totals=totals,
        balances=dict.fromkeys(trial.system_ids, balance),
        streak=chunk.streaks.get(user.id, Streak(frequency=trial.rules.streak.frequency)),
    )


def _moves(stage: _Stage, trial: Trial, chunk: Chunk, user: User) -> list[tuple[Move, datetime]]:
    """Return what came of the user in the window, in the order in which it did: of one instant, ticks come last.

    What came in one instant has ids in its order; what an event completed stands right behind it.
    """
    changes = UserChanges(user.external_id)
    moves: list[tuple[datetime, str, int, Move]] = [
        (row.at, row.id, 0, _input_of(changes, row)) for row in chunk.events.get(user.id, ())
    ]
    if user.created >= stage.window.start:
        moves.append((user.created, "", 0, IdentifyInput(changes)))
    for row in chunk.paid.get(user.id, ()):
        if row.is_adjustment:
            adjustment = Adjustment(row.awarded, "", "")
            moves += [(row.created, row.id, 0, AdjustInput(changes, side, adjustment)) for side in trial.system_ids]
    for (at, cause_id), ids in _completed_together(chunk.completions.get(user.id, ())).items():
        moves.append((at, cause_id, 1, CompletedInput(changes, ids)))
    for trigger in trial.time_triggers:
        instants = stage.ticks[trigger.rule.system_id, trigger.rule.id]
        moves += [(due, _LAST, trigger.rule.order, Tick(trigger.rule, due)) for due in instants]
    moves.sort(key=lambda move: move[:3])
    return [(move, at) for at, _, _, move in moves]


def _completed_together(rows: Iterable[CompletionRow]) -> dict[tuple[datetime, str], tuple[str, ...]]:
    """Return which achievements were completed at once, by when and by what: their triggers pay in one order."""
    together: dict[tuple[datetime, str], tuple[str, ...]] = {}
    for row in rows:
        key = (row.at, row.cause_id)
        together[key] = (*together.get(key, ()), row.achievement_id)
    return together


def _input_of(changes: UserChanges, row: EventRow) -> EventInput | OpeningInput:
    if row.is_opening:
        return OpeningInput(changes, row.metric_id, row.value)
    return EventInput(changes, row.metric_id, row.value, row.attributes)
