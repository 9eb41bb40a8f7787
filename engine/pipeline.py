"""The one pipeline: lock, load, decide, save. Every entrance that moves points ends in `process`."""

import logging
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import Final

from django.db import connection, transaction
from django.db.backends.utils import CursorWrapper
from django.utils import timezone

from access import store as access_store
from achievements import store as achievements_store
from achievements.rules import Completion
from boosts import store as boosts_store
from boosts.rules import BoostRule
from core.json import encode_text
from core.models import new_id_text
from engine.decide import UserState, decide
from engine.inputs import AdjustInput, BackdateInput, EventInput, IdentifyInput, Input, OpeningInput
from engine.outcomes import Accepted, Outcome
from engine.rule_book import REVISION, RuleBook, cached_rule_book, rule_book_at
from engine.rules import Rules
from engine.save import save_statement
from metrics import store as metrics_store
from metrics.rules import NO_FILTER, KeyedEvent, Total, former_key, matching_filters
from points import store as points_store
from points.rules import Balance
from streaks import store as streaks_store
from streaks.rules import Streak
from users import store as users_store
from users.rules import new_user

logger = logging.getLogger(__name__)

Clock = Callable[[], datetime]


@dataclass(frozen=True, slots=True)
class Processed:
    """What became of each input, in their order, and the rule book that it was decided by."""

    outcomes: list[Outcome]
    book: RuleBook


def process(inputs: Sequence[Input], *, clock: Clock = timezone.now, lock_ms_max: int | None = None) -> Processed:
    """Decide and store `inputs`, in their order for each user, all in one transaction.

    The number of SQL statements does not depend on the number of inputs. `clock` gives the time of those that do not
    say when they happened, read after the locks are held. The edges have checked the form: no NUL in any text.
    Raises OperationalError, caused by LockNotAvailable, where a lock is not free within `lock_ms_max`; without one
    the server's own limit holds.
    """
    with transaction.atomic(), connection.cursor() as cursor:
        new_users = _lock(cursor, inputs, clock(), lock_ms_max)
        book, before = _load(cursor, inputs, new_users)
        after, outcomes = _decide_all(book, before, inputs, clock())
        statement, parameters = save_statement(before, after, outcomes, book)
        cursor.execute(statement, parameters)
    _log_warnings(outcomes)
    return Processed(outcomes, book)


def _log_warnings(outcomes: Sequence[Outcome]) -> None:
    for outcome in outcomes:
        if isinstance(outcome, Accepted) and outcome.warnings:
            told = " ".join(warning.message for warning in outcome.warnings)
            logger.warning("Fields of the user %s stay as they were: %s", outcome.user.external_id, told)


def preview(inputs: Sequence[IdentifyInput | OpeningInput | AdjustInput], *, clock: Clock = timezone.now) -> Processed:
    """Decide on `inputs` as `process` would now, but lock nobody and store nothing.

    Users are decided on each for themselves, so this is exact as long as all that is meant for a user comes in one
    call. Not for events: the totals of users who are not known yet are not there.
    """
    with connection.cursor() as cursor:
        book, known = _load(cursor, inputs, frozenset())
    now = clock()
    unknown = {each: _unknown(each, now) for each in _external_ids(inputs) if each not in known}
    _, outcomes = _decide_all(book, known | unknown, inputs, now)
    return Processed(outcomes, book)


def _unknown(external_id: str, now: datetime) -> UserState:
    """Return the state of a user of whom nothing is stored, as the lock would make it."""
    return UserState(new_user(new_id_text(), external_id, now), known=False)


def _lock(cursor: CursorWrapper, inputs: Sequence[Input], now: datetime, ms_max: int | None) -> frozenset[str]:
    """Lock the users, adding those that are new, whose external ids are returned."""
    rows = [{"id": new_id_text(), "external_id": each, "created": now} for each in _external_ids(inputs)]
    cursor.execute(users_store.LOCK, [ms_max, encode_text(rows)])
    return frozenset(external_id for (external_id,) in cursor.fetchall())


# Each store's rows come back as one JSON array, so that all of them fit in one statement and decode in one step.
# `known` are the users (users.store.KNOWN). What takes parameters of its own is left out where there are none: few
# inputs have them, and an empty part costs PostgreSQL nearly as much as another.
_LOADS: Final = (
    users_store.LOAD,
    metrics_store.LOAD_TOTALS,
    points_store.LOAD_BALANCES,
    metrics_store.LOAD_EVENTS_BY_KEY,
    metrics_store.LOAD_OPENINGS,
    streaks_store.LOAD,
    achievements_store.LOAD_COMPLETIONS,
    boosts_store.LOAD_OF_USERS,
    access_store.LOAD_APPLICATION_KEYS,
)
_NO_ROWS: Final = "[]"


@cache
def _load_statement(left_out: frozenset[str]) -> str:
    columns = [
        f"'{_NO_ROWS}'" if query in left_out else f"(SELECT coalesce(json_agg(r), '[]')::text FROM ({query}) AS r)"
        for query in _LOADS
    ]
    return f"WITH known AS MATERIALIZED ({users_store.KNOWN}) SELECT ({REVISION}), {', '.join(columns)}"


def _load(
    cursor: CursorWrapper, inputs: Sequence[Input], new_users: frozenset[str]
) -> tuple[RuleBook, dict[str, UserState]]:
    """Return the newest rule book and the users' states by external id.

    In a statement of its own after the locks: one that waits for a lock still sees the rows from before the wait
    (READ COMMITTED). Where the book turns out to be old, the new one may look at other totals: all is read again.
    """
    book = cached_rule_book()
    while True:
        parameters = _load_parameters(book, inputs)
        left_out = frozenset(query for query, rows in parameters.items() if rows == _NO_ROWS)
        users = encode_text(_external_ids(inputs))
        cursor.execute(_load_statement(left_out), [users, *(rows for rows in parameters.values() if rows != _NO_ROWS)])
        revision, *rows = cursor.fetchone()
        if revision == book.revision:
            return book, _states(new_users, *rows)
        book = rule_book_at(revision)


def _load_parameters(book: RuleBook, inputs: Sequence[Input]) -> dict[str, str]:
    """Return the parameter of each query of _LOADS that has one, in their order: JSON arrays.

    API keys that the book does not know are looked for among the application keys.
    """
    totals, keys = set(), set()
    for given in inputs:
        user = given.user.external_id
        totals |= {(user, metric_id, each) for metric_id, each in _needed_totals(book.rules, given)}
        if (
            isinstance(given, EventInput)
            and given.idempotency_key
            and (metric := book.rules.metrics.get(given.metric_key))
        ):
            keys.add((user, metric.id, given.idempotency_key))
            if former := former_key(given.idempotency_key):
                keys.add((user, metric.id, former))
    api_keys = {given.api_key_id for given in inputs if given.api_key_id is not None} - book.rules.key_ids
    return {
        metrics_store.LOAD_TOTALS: encode_text(
            [{"external_id": user, "metric_id": id_, "filter": each} for user, id_, each in totals]
        ),
        metrics_store.LOAD_EVENTS_BY_KEY: encode_text(
            [{"external_id": user, "metric_id": id_, "idempotency_key": key} for user, id_, key in keys]
        ),
        metrics_store.LOAD_OPENINGS: encode_text(
            [given.user.external_id for given in inputs if isinstance(given, OpeningInput)]
        ),
        access_store.LOAD_APPLICATION_KEYS: encode_text(list(api_keys)),
    }


def _needed_totals(rules: Rules, given: Input) -> Iterator[tuple[str, str]]:
    """Yield the metric id and the filter of each total that deciding on the input looks at."""
    if isinstance(given, EventInput) and (metric := rules.metrics.get(given.metric_key)):
        yield from ((metric.id, each) for each in matching_filters(rules.filters_of(metric.id), given.attributes))
        yield from rules.watched_totals
    if isinstance(given, OpeningInput) and (metric := rules.metrics.get(given.metric_key)):
        yield metric.id, NO_FILTER
    if isinstance(given, BackdateInput) and (rule := rules.achievements.get(given.achievement_id)) and rule.metric_id:
        yield from ((rule.metric_id, each) for each in {NO_FILTER, rule.event_filter})


def _states(
    new_users: frozenset[str],
    users: str,
    totals: str,
    balances: str,
    events: str,
    openings: str,
    streaks: str,
    completions: str,
    boosts: str,
    api_keys: str,
) -> dict[str, UserState]:
    totals_of: dict[str, dict[str, dict[str, Total]]] = defaultdict(lambda: defaultdict(dict))
    computed: dict[str, set[tuple[str, str]]] = defaultdict(set)
    for total in metrics_store.decode_totals(totals):
        totals_of[total.external_id][total.metric_id][total.filter] = Total(total.total, total.peak, total.at)
        if not total.stored:
            computed[total.external_id].add((total.metric_id, total.filter))
    balances_of: dict[str, dict[str, Balance]] = defaultdict(dict)
    for balance in points_store.decode_balances(balances):
        balances_of[balance.external_id][balance.system_id] = Balance(balance.total, balance.seq)
    events_of: dict[str, dict[tuple[str, str], KeyedEvent]] = defaultdict(dict)
    for event in metrics_store.decode_events(events):
        keyed = KeyedEvent(event.id, event.value, event.attributes, event.fingerprint)
        events_of[event.external_id][event.metric_id, event.idempotency_key] = keyed
    openings_of: dict[str, frozenset[str]] = defaultdict(frozenset)
    for opening in metrics_store.decode_openings(openings):
        openings_of[opening.external_id] |= {opening.metric_id}
    completions_of: dict[str, dict[str, Completion]] = defaultdict(dict)
    for row in achievements_store.decode_completions(completions):
        completions_of[row.external_id][row.achievement_id] = Completion(row.id, row.achievement_id, row.at)
    boosts_of: dict[str, tuple[BoostRule, ...]] = defaultdict(tuple)
    for external_id, boost in boosts_store.decode_boosts(boosts):
        boosts_of[external_id] += (boost,)
    streak_of = streaks_store.decode_streaks(streaks)
    keys_of = access_store.decode_application_keys(api_keys)
    return {
        id_: UserState(
            user=user,
            known=id_ not in new_users,
            totals=totals_of[id_],
            balances=balances_of[id_],
            events=events_of[id_],
            openings=openings_of[id_],
            streak=streak_of.get(id_, Streak()),
            completions=completions_of[id_],
            boosts=boosts_of[id_],
            key_ids=keys_of.get(id_, frozenset()),
            computed=frozenset(computed[id_]),
        )
        for user in users_store.decode_users(users)
        for id_ in (user.external_id,)
    }


def _decide_all(
    book: RuleBook, before: dict[str, UserState], inputs: Sequence[Input], now: datetime
) -> tuple[dict[str, UserState], list[Outcome]]:
    states, outcomes = dict(before), []
    for given in inputs:
        user = given.user.external_id
        states[user], outcome = decide(book.rules, states[user], given, given.at or now, new_id_text)
        outcomes.append(outcome)
    return states, outcomes


def _external_ids(inputs: Sequence[Input]) -> list[str]:
    return list(dict.fromkeys(given.user.external_id for given in inputs))
