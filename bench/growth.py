"""What an event costs in a large database beside a small one, and under many rules beside few: servers in turns."""

import random
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Final

import psycopg

from bench.data import data_key, keep_data
from bench.databases import FEW_DATABASE, MANY_DATABASE, Server
from bench.events import Phase, Subject, run_phase, subject_of
from bench.figures import Bar, Ratio
from bench.game import prepare_game
from bench.progress import say
from bench.web import django_environment, manage, run_code, serve

CLIENTS: Final = 8
SMALL_USERS: Final = 10_000
SIZE_COST_MAX: Final = 1.25
RULES_COST_MAX: Final = 1.20
HOT_SHARE_MIN: Final = 0.90
HOT_TABLES: Final = ("metrics_metrictotal", "points_pointsbalance", "metrics_metricday", "points_pointsday")
"""Tables of which an event updates rows again and again."""

# Ten triggers of the metric that is reported, in both databases; in one of them 490 of 49 other metrics, too.
_ADD_TRIGGERS: Final = """
from bench.growth_rules import add_triggers
add_triggers(of_metric={of_metric}, of_others={of_others})
"""
TRIGGERS_OF_METRIC: Final = 10
TRIGGERS_OF_OTHERS: Final = 490

_UPDATES: Final = """
SELECT relname, n_tup_upd, n_tup_hot_upd FROM pg_stat_user_tables WHERE relname = ANY(%s)
"""
Updates = dict[str, tuple[int, int]]


@dataclass(frozen=True, slots=True)
class Pair:
    """One round: load on the database that ought to be no dearer, and on that which it is compared with."""

    dear: Phase
    cheap: Phase

    @property
    def cost(self) -> float:
        """How many times as dear an event is, by the time that one takes."""
        return self.cheap.rate / self.dear.rate

    @property
    def cpu_cost(self) -> float:
        """How many times as dear an event is, by the CPU that web and PostgreSQL spend on it."""
        return _cpu_ms(self.dear) / _cpu_ms(self.cheap)


@dataclass(frozen=True, slots=True)
class GrowthRun:
    """An event in a large database beside a small one; `hot_share` is how many updates were HOT in the large one."""

    users: int
    rounds: list[Pair]
    hot_share: dict[str, float]

    def ratios(self) -> list[Ratio]:
        """Return how many times as dear an event is."""
        return [Ratio("event cost, large / small database", [each.cost for each in self.rounds], is_cost=True)]

    def bars(self) -> list[Bar]:
        """Return what has to be met."""
        cost = self.ratios()[0].median
        return [
            Bar(f"event cost with {self.users:,} users", cost, SIZE_COST_MAX, " times", is_most=True),
            *(Bar(f"HOT updates of {table}", share, HOT_SHARE_MIN) for table, share in self.hot_share.items()),
        ]

    def lines(self) -> list[str]:
        """Return the figures for people to read."""
        shares = ", ".join(f"{table} {share:.0%}" for table, share in self.hot_share.items())
        beside = f"beside {SMALL_USERS:,} users and as many times fewer events"
        return [
            _line(f"in a database of {self.users:,} users and ten times as many events, {beside}", self.rounds),
            f"HOT updates in the large database: {shares}",
        ]


@dataclass(frozen=True, slots=True)
class RulesRun:
    """An event under 500 active triggers beside ten."""

    rounds: list[Pair]

    def ratios(self) -> list[Ratio]:
        """Return how many times as dear an event is."""
        return [Ratio("event cost, 500 / 10 triggers", [each.cost for each in self.rounds], is_cost=True)]

    def bars(self) -> list[Bar]:
        """Return what has to be met."""
        return [Bar("event cost with 500 triggers", self.ratios()[0].median, RULES_COST_MAX, " times", is_most=True)]

    def lines(self) -> list[str]:
        """Return the figures for people to read."""
        return [_line("under 500 active triggers, 10 of them of the metric, beside those 10 alone", self.rounds)]


def _line(name: str, pairs: list[Pair]) -> str:
    dear, cheap = (median(getattr(each, of).rate for each in pairs) for of in ("dear", "cheap"))
    cost, cpu_cost = median(each.cost for each in pairs), median(each.cpu_cost for each in pairs)
    return (
        f"an event {name}: {cost:.2f} times as dear at {CLIENTS} clients ({dear:,.0f}/s and {cheap:,.0f}/s), "
        f"{cpu_cost:.2f} times by CPU"
    )


def measure_growth(server: Server, folder: Path, *, users: int, rounds: int, seconds: float) -> GrowthRun:
    """Send events to a large and a small database in turns. Raises BenchError unless each was stored once."""
    say(f"a database of {users:,} users, filled in first where no bench before it did, and a small one")
    counts = (users, min(users, SMALL_USERS))
    urls = [keep_data(server, folder, count) for count in counts]
    keys = [data_key(folder, count) for count in counts]
    before = _updates(urls[0])
    pairs = _measure_pairs(folder, urls, keys, [_some_users(count) for count in counts], rounds, seconds)
    return GrowthRun(users, pairs, _hot_share(before, _updates(urls[0])))


def _some_users(users: int) -> list[int]:
    """Return as many users as the small database has, all but the most active one, at random.

    So a user's first event of a day, which adds rows that the next one finds, is as frequent in both databases.
    """
    return random.sample(range(2, users + 1), min(users, SMALL_USERS) - 1)


def measure_rules(server: Server, folder: Path, *, rounds: int, seconds: float) -> RulesRun:
    """Send events to databases with many and with few triggers in turns. Raises BenchError as `measure_growth`."""
    prepared = [
        _prepare_rules(server, folder, database, of_others)
        for database, of_others in ((MANY_DATABASE, TRIGGERS_OF_OTHERS), (FEW_DATABASE, 0))
    ]
    urls, keys = [environment["DATABASE_URL"] for environment, _ in prepared], [key for _, key in prepared]
    pairs = _measure_pairs(folder, urls, keys, [range(1, SMALL_USERS + 1)] * 2, rounds, seconds)
    for environment, _ in prepared:
        manage(environment, "verify")
    return RulesRun(pairs)


def _prepare_rules(server: Server, folder: Path, database: str, of_others: int) -> tuple[Mapping[str, str], str]:
    environment, api_key = prepare_game(server, folder, database, SMALL_USERS)
    run_code(environment, _ADD_TRIGGERS.format(of_metric=TRIGGERS_OF_METRIC, of_others=of_others))
    return environment, api_key


def _measure_pairs(
    folder: Path, urls: list[str], keys: list[str], numbers: Sequence[Sequence[int]], rounds: int, seconds: float
) -> list[Pair]:
    with ExitStack() as stack:
        subjects = []
        for number, (url, key, users) in enumerate(zip(urls, keys, numbers, strict=True)):
            web = stack.enter_context(serve(django_environment(url, folder), folder / f"growth-{number}.log"))
            subjects.append(subject_of(web, url, key, users))
            run_phase(subjects[-1], CLIENTS, max(1, seconds / 2))
        return [_run_pair(number, subjects, seconds) for number in range(rounds)]


def _run_pair(number: int, subjects: list[Subject], seconds: float) -> Pair:
    """Put both under load; who begins changes from round to round, so that a drift meets both alike."""
    order: Callable[[list[int]], list[int]] = list if number % 2 else lambda each: list(reversed(each))
    phases = {place: run_phase(subjects[place], CLIENTS, seconds) for place in order([0, 1])}
    pair = Pair(dear=phases[0], cheap=phases[1])
    say(f"round {number + 1}: {pair.dear.rate:,.0f} and {pair.cheap.rate:,.0f} events a second, {pair.cost:.2f} times")
    return pair


def _updates(url: str) -> Updates:
    """Return how many updates each of HOT_TABLES has had, and how many of them were HOT."""
    with psycopg.connect(url) as connection:
        rows = connection.execute(_UPDATES, [list(HOT_TABLES)]).fetchall()
    return {table: (updates, hot) for table, updates, hot in rows}


def _hot_share(before: Updates, after: Updates) -> dict[str, float]:
    """Return which share of the updates between two readings were HOT: no index was touched by them."""
    deltas = {table: (after[table][0] - before[table][0], after[table][1] - before[table][1]) for table in HOT_TABLES}
    return {table: hot / updates for table, (updates, hot) in deltas.items() if updates}


def _cpu_ms(phase: Phase) -> float:
    return phase.web_cpu_ms + (phase.postgres_cpu_ms or 0)
