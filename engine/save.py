"""The pipeline's last step: one statement that stores all that was decided."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from core.json import encode_text
from engine.decide import UserState
from engine.outcomes import Accepted, Outcome
from metrics import store as metrics_store
from points import store as points_store
from users import store as users_store

Row = dict[str, Any]
States = Mapping[str, UserState]


def save_statement(before: States, after: States, outcomes: Sequence[Outcome]) -> tuple[str, list[str]]:
    """Return the SQL, and its parameters, that makes the database what `after` says.

    Its parts run on one snapshot and touch different tables, but for users: one is either changed or removed. Parts
    without rows are left out, so there are few different texts and each is soon a prepared statement.
    """
    accepted = [outcome for outcome in outcomes if isinstance(outcome, Accepted)]
    changed = [(before[id_], state) for id_, state in after.items() if state is not before[id_]]
    parts = (
        (users_store.SAVE, [new.user for old, new in changed if new.user is not old.user]),
        (users_store.REMOVE, [state.user.id for state in after.values() if not state.known]),
        (metrics_store.INSERT_EVENTS, list(_event_rows(accepted))),
        (metrics_store.SAVE_TOTALS, list(_total_rows(changed))),
        (points_store.INSERT_AWARDS, list(_award_rows(accepted))),
        (points_store.SAVE_BALANCES, list(_balance_rows(changed))),
    )
    used = [(sql, rows) for sql, rows in parts if rows]
    steps = ", ".join(f"step_{number} AS ({sql})" for number, (sql, _) in enumerate(used))
    return (f"WITH {steps} SELECT" if steps else "SELECT"), [encode_text(rows) for _, rows in used]


def _event_rows(accepted: Iterable[Accepted]) -> Iterator[Row]:
    for outcome in accepted:
        if (event := outcome.event) is not None:
            yield {
                "id": event.id,
                "user_id": outcome.user.id,
                "metric_id": event.metric.id,
                "value": event.source.value,
                "attributes": event.source.attributes,
                "idempotency_key": event.source.idempotency_key,
                "kind": "event",
                "at": event.at,
                "created": event.at,
            }


def _total_rows(changed: Iterable[tuple[UserState, UserState]]) -> Iterator[Row]:
    for old, new in changed:
        for metric_id, totals in new.totals.items():
            stored = old.totals.get(metric_id, {})
            for filter_, total in totals.items():
                if total is not stored.get(filter_):
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
                "system_id": record.award.trigger.system_id,
                "seq": record.award.seq,
                "trigger_id": record.award.trigger.id,
                "event_id": record.event_id,
                "cause": record.award.trigger.cause,
                "awarded": record.award.awarded,
                "total": record.award.total,
                "created": record.at,
            }


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
