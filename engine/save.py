"""The pipeline's last step: one statement that stores all that was decided."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import date
from decimal import Decimal
from typing import Any, Final

from achievements import store as achievements_store
from core.json import encode_text
from core.models import DeltaKind
from core.store import INSERT_DELTAS
from engine.decide import UserState
from engine.messages import messages_of
from engine.outcomes import Accepted, Outcome
from engine.rule_book import RuleBook
from metrics import store as metrics_store
from metrics.rules import EXACT
from points import store as points_store
from streaks import store as streaks_store
from users import store as users_store
from users.rules import local_date
from webhooks import store as webhooks_store

Row = dict[str, Any]
_NAMES: Final = {webhooks_store.MOVE_SEQUENCES: webhooks_store.SEQUENCE_PART}
"""The parts of the statement that another part reads."""
States = Mapping[str, UserState]


def save_statement(before: States, after: States, outcomes: Sequence[Outcome], book: RuleBook) -> tuple[str, list[str]]:
    """Return the SQL, and its parameters, that makes the database what `after` says.

    Its parts run on one snapshot and touch different tables, but for users: one is either changed or removed. Parts
    without rows are left out, so there are few different texts and each is soon a prepared statement.
    """
    accepted = [outcome for outcome in outcomes if isinstance(outcome, Accepted)]
    messages = [row for outcome in accepted for row in messages_of(outcome, book)]
    changed = [(before[id_], state) for id_, state in after.items() if state is not before[id_]]
    parts = (
        (users_store.SAVE, [new.user for old, new in changed if new.user is not old.user]),
        (users_store.REMOVE, [state.user.id for state in after.values() if not state.known]),
        (metrics_store.INSERT_EVENTS, list(_event_rows(accepted))),
        (metrics_store.SAVE_TOTALS, list(_total_rows(changed))),
        (points_store.INSERT_AWARDS, list(_award_rows(accepted))),
        (points_store.INSERT_ADJUSTMENTS, list(_adjustment_rows(accepted))),
        (points_store.SAVE_BALANCES, list(_balance_rows(changed))),
        (metrics_store.ADD_DAYS, _metric_days(accepted)),
        (points_store.ADD_DAYS, _points_days(accepted)),
        (streaks_store.SAVE, [_streak_row(new) for old, new in changed if new.streak is not old.streak]),
        (streaks_store.SAVE_PERIODS, _period_rows(accepted)),
        (achievements_store.INSERT_COMPLETIONS, list(_completion_rows(accepted))),
        (INSERT_DELTAS, list(_delta_rows(changed))),
        (webhooks_store.MOVE_SEQUENCES, webhooks_store.sequence_rows(messages)),
        (webhooks_store.INSERT_MESSAGES, webhooks_store.message_rows(messages)),
    )
    used = [(sql, rows) for sql, rows in parts if rows]
    steps = ", ".join(f"{_NAMES.get(sql) or f'step_{number}'} AS ({sql})" for number, (sql, _) in enumerate(used))
    return (f"WITH {steps} SELECT" if steps else "SELECT"), [encode_text(rows) for _, rows in used]


def _event_rows(accepted: Iterable[Accepted]) -> Iterator[Row]:
    for outcome in accepted:
        if (event := outcome.event) is not None:
            yield {
                "id": event.id,
                "user_id": outcome.user.id,
                "metric_id": event.metric.id,
                "value": event.value,
                "attributes": event.attributes,
                "idempotency_key": event.idempotency_key,
                "fingerprint": event.fingerprint,
                "kind": event.kind,
                "at": event.at,
                "created": event.at,
            }


def _total_rows(changed: Iterable[tuple[UserState, UserState]]) -> Iterator[Row]:
    for old, new in changed:
        for metric_id, totals in new.totals.items():
            stored = old.totals.get(metric_id, {})
            for filter_, total in totals.items():
                if total is not stored.get(filter_) or (metric_id, filter_) in old.computed:
                    yield {
                        "user_id": new.user.id,
                        "metric_id": metric_id,
                        "filter": filter_,
                        "total": total.total,
                        "peak": total.peak,
                        "at": total.at,
                    }


def _award_rows(accepted: Iterable[Accepted]) -> Iterator[Row]:
    for outcome in accepted:
        for record in outcome.awards:
            yield {
                "id": record.id,
                "user_id": outcome.user.id,
                "system_id": record.award.system_id,
                "seq": record.award.seq,
                "trigger_id": record.award.trigger_id,
                "rule_version": record.award.version,
                "event_id": record.event_id,
                "cause": record.award.cause,
                "awarded": record.award.awarded,
                "total": record.award.total,
                "boosts": record.award.boosts,
                "created": record.at,
            }


def _adjustment_rows(accepted: Iterable[Accepted]) -> Iterator[Row]:
    for outcome in accepted:
        for record in outcome.awards:
            if (adjustment := record.award.adjustment) is not None:
                yield {"award_id": record.id, "reason": adjustment.reason, "operator": adjustment.operator}


def _balance_rows(changed: Iterable[tuple[UserState, UserState]]) -> Iterator[Row]:
    for old, new in changed:
        for system_id, balance in new.balances.items():
            if balance is not old.balances.get(system_id):
                yield {
                    "user_id": new.user.id,
                    "system_id": system_id,
                    "total": balance.total,
                    "seq": balance.seq,
                }


def _metric_days(accepted: Iterable[Accepted]) -> list[Row]:
    changes: dict[tuple[str, str, date], Decimal] = defaultdict(Decimal)
    for outcome in accepted:
        if (event := outcome.event) is not None:
            day = local_date(event.at, outcome.user.tz)
            key = (outcome.user.id, event.metric.id, day)
            changes[key] = EXACT.add(changes[key], event.value)
    return [
        {"user_id": user_id, "metric_id": metric_id, "day": day, "change": change}
        for (user_id, metric_id, day), change in changes.items()
    ]


def _points_days(accepted: Iterable[Accepted]) -> list[Row]:
    changes: dict[tuple[str, str, date], int] = defaultdict(int)
    for outcome in accepted:
        for record in outcome.awards:
            day = local_date(record.at, outcome.user.tz)
            changes[outcome.user.id, record.award.system_id, day] += record.award.awarded
    return [
        {"user_id": user_id, "system_id": system_id, "day": day, "change": change}
        for (user_id, system_id, day), change in changes.items()
    ]


def _streak_row(state: UserState) -> Row:
    streak = state.streak
    return {
        "user_id": state.user.id,
        "frequency": streak.frequency,
        "length": streak.length,
        "started": streak.started,
        "period": streak.period,
        "extended": streak.extended,
        "amounts": streak.amounts,
    }


def _period_rows(accepted: Iterable[Accepted]) -> list[Row]:
    """Return a row for each period that was counted, the last word on each."""
    rows: dict[tuple[str, str, date | None], Row] = {}
    for outcome in accepted:
        if outcome.extended:
            streak = outcome.streak
            rows[outcome.user.id, streak.frequency, streak.period] = {
                "user_id": outcome.user.id,
                "frequency": streak.frequency,
                "period": streak.period,
                "length": streak.length,
                "extended": streak.extended,
            }
    return list(rows.values())


def _completion_rows(accepted: Iterable[Accepted]) -> Iterator[Row]:
    for outcome in accepted:
        for completion in outcome.completions:
            yield {
                "id": completion.id,
                "user_id": outcome.user.id,
                "achievement_id": completion.achievement_id,
                "event_id": outcome.event.id if outcome.event else None,
                "quiet": outcome.quiet,
                "at": completion.at,
            }


def _delta_rows(changed: Iterable[tuple[UserState, UserState]]) -> Iterator[Row]:
    for old, new in changed:
        if not old.known:
            yield {"kind": DeltaKind.USER}
        for system_id, balance in new.balances.items():
            stored = old.balances.get(system_id)
            if balance is not stored:
                before = stored.total if stored else None
                yield {"kind": DeltaKind.BALANCE, "subject": system_id, "before": before, "after": balance.total}
        for achievement_id in new.completions.keys() - old.completions.keys():
            yield {"kind": DeltaKind.COMPLETION, "subject": achievement_id}
