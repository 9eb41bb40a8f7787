"""One event a request, over HTTP, in turns with the same event as eight statements of pgbench."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from typing import Final

import psutil

from bench.baseline import CLIENTS, Baseline, prepare_baseline, run_baseline
from bench.cpu import find_postmaster, read_cpu
from bench.databases import ENGINE_DATABASE, Server, count_new
from bench.errors import BenchError
from bench.figures import Bar, Ratio
from bench.game import prepare_game
from bench.load import event_requests, run_load
from bench.progress import say
from bench.web import Memory, Web, manage, serve, worker_memory_of

CLIENT_COUNTS: Final = (8, 32, 128, 1)
HOT_CLIENTS: Final = 32
HOT: Final = "hot"
"""The phase in which all clients send events of one user."""
WARM_UP_S: Final = 2
MEMORY_PHASE_S: Final = 10
MEMORY_PHASES_MAX: Final = 60

RATIOS_MIN: Final = {8: 0.45, 32: 0.80, 128: 1.10}
HOT_RATIO_MIN: Final = 0.80
P99_MS_MAX: Final = 100.0
P99_TIMES_BASELINE_MAX: Final = 3
WEB_MB_MAX: Final = 200.0
CLIENT_SHARE_MAX: Final = 0.10


@dataclass(frozen=True, slots=True)
class Phase:
    """Some seconds of load. The CPU of each event is in milliseconds, of PostgreSQL None where it runs elsewhere."""

    events: int
    rate: float
    p50_ms: float
    p99_ms: float
    web_cpu_ms: float
    postgres_cpu_ms: float | None
    client_cpu_ms: float


@dataclass(frozen=True, slots=True)
class EventRound:
    """One round: the baseline's transactions a second, twice, and the phases by the number of their clients, or HOT.

    `baseline_cpu_ms` is what PostgreSQL spends on one of the baseline's transactions, None where it runs elsewhere.
    """

    baselines: list[float]
    baseline_cpu_ms: float | None
    phases: dict[str, Phase]

    @property
    def baseline(self) -> float:
        """The mean of what the baseline did early and late in the round."""
        return sum(self.baselines) / len(self.baselines)

    def ratio(self, clients: int) -> float:
        """Return how many events went in for one transaction of the baseline."""
        return self.phases[str(clients)].rate / self.baseline

    @property
    def hot_ratio(self) -> float:
        """How many events of one user went in for one of many users."""
        return self.phases[HOT].rate / self.phases[str(HOT_CLIENTS)].rate


@dataclass(frozen=True, slots=True)
class EventRun:
    """What all rounds measured; `memory_after` is the number of events after which the web's workers held that much."""

    users: int
    rounds: list[EventRound]
    memory_before: list[Memory]
    memory: list[Memory]
    memory_after: int
    worker_memory: dict[str, float]

    def median(self, figure: Callable[[EventRound], float]) -> float:
        """Return the median of a figure over the rounds."""
        return median(figure(each) for each in self.rounds)

    def phase(self, name: str, figure: Callable[[Phase], float]) -> float:
        """Return the median of a phase's figure over the rounds."""
        return median(figure(each.phases[name]) for each in self.rounds)

    def ratios(self) -> list[Ratio]:
        """Return events to transactions of the baseline, and one user's events to many users'."""
        by_clients = [
            Ratio(f"events of {_count(clients)} / pg8", [each.ratio(clients) for each in self.rounds])
            for clients in sorted(CLIENT_COUNTS)
        ]
        hot = Ratio("one user / many users", [each.hot_ratio for each in self.rounds])
        return [*by_clients, hot]

    def bars(self) -> list[Bar]:
        """Return what has to be met."""
        p99_max = max(P99_MS_MAX, P99_TIMES_BASELINE_MAX * 1000 * CLIENTS / self.median(lambda each: each.baseline))
        return [
            *(
                Bar(f"events of {_count(clients)} / pg8", self.median(lambda each, c=clients: each.ratio(c)), least)  # type: ignore[misc]
                for clients, least in RATIOS_MIN.items()
            ),
            Bar("one user / many users", self.median(lambda each: each.hot_ratio), HOT_RATIO_MIN),
            Bar("p99 at 32 clients", self.phase("32", lambda each: each.p99_ms), p99_max, " ms", is_most=True),
            Bar(
                f"memory of a web process after {self.memory_after:,} events",
                max(each.resident for each in self.memory),
                WEB_MB_MAX,
                " MB",
                is_most=True,
            ),
            Bar("the clients' share of an event's CPU", self.client_share, CLIENT_SHARE_MAX, is_most=True),
        ]

    @property
    def client_share(self) -> float:
        """What the clients cost at 32 of them, of all CPU that an event costs."""
        return self.phase("32", lambda each: each.client_cpu_ms / (_cpu_ms(each) or 1))

    def lines(self) -> list[str]:
        """Return the figures for people to read."""
        names = ("1/s", "/ pg8", "p50 ms", "p99 ms", "web ms", "pg ms", "client ms")
        return [
            f"single events of {self.users:,} users, medians of {len(self.rounds)} rounds, CPU in ms an event; pg8 at "
            f"{CLIENTS} clients: {self.median(lambda each: each.baseline):,.0f} tps, "
            f"{self.median(lambda each: each.baseline_cpu_ms or 0):.2f} ms of PostgreSQL's CPU each",
            f"{'':<12}" + "".join(f"{name:>10}" for name in names),
            *(self._line(_count(clients), str(clients)) for clients in sorted(CLIENT_COUNTS)),
            self._line("one user", HOT),
            *self._memory_lines(),
        ]

    def _line(self, name: str, phase: str) -> str:
        of_baseline = self.median(lambda each: each.phases[phase].rate / each.baseline)
        figures = (
            f"{self.phase(phase, lambda each: each.rate):,.0f}",
            f"{of_baseline:.2f}",
            f"{self.phase(phase, lambda each: each.p50_ms):.1f}",
            f"{self.phase(phase, lambda each: each.p99_ms):.1f}",
            f"{self.phase(phase, lambda each: each.web_cpu_ms):.2f}",
            f"{self.phase(phase, lambda each: each.postgres_cpu_ms or 0):.2f}",
            f"{self.phase(phase, lambda each: each.client_cpu_ms):.3f}",
        )
        return f"{name:<12}" + "".join(f"{figure:>10}" for figure in figures)

    def _memory_lines(self) -> list[str]:
        web = ", ".join(
            f"{before.resident:.0f} → {after.resident:.0f} MB ({after.unique:.0f} its own)"
            for before, after in zip(self.memory_before, self.memory, strict=True)
        )
        workers = ", ".join(f"{name} {held:.0f} MB" for name, held in self.worker_memory.items())
        return [f"web processes, after the first events → after {self.memory_after:,}: {web}", f"workers: {workers}"]


@dataclass(frozen=True, slots=True)
class Subject:
    """The engine under load."""

    url: str
    web: Web
    postmaster: psutil.Process | None
    spread: Iterator[bytes]
    hot: Iterator[bytes]


def subject_of(web: Web, url: str, api_key: str, users: Sequence[int]) -> Subject:
    """Return what serves this database, with events of these users, of whom the first is the hot one."""
    spread, hot = (event_requests(web.port, api_key, numbers) for numbers in (users, users[:1]))
    return Subject(url, web, find_postmaster(url), spread, hot)


def measure_events(
    server: Server, folder: Path, *, users: int, rounds: int, seconds: float, memory_events: int
) -> EventRun:
    """Send events and run the baseline in turns. Raises BenchError unless each answer left exactly one event."""
    say(f"databases with {users:,} users")
    environment, api_key = prepare_game(server, folder, ENGINE_DATABASE, users)
    url, baseline, since = environment["DATABASE_URL"], prepare_baseline(server, users), datetime.now(UTC)
    with serve(environment, folder / "web.log") as web:
        subject = subject_of(web, url, api_key, range(1, users + 1))
        say("warming up")
        run_baseline(baseline, WARM_UP_S)
        run_phase(subject, max(CLIENT_COUNTS), WARM_UP_S)
        memory_before = web.worker_memory()
        measured = [_run_round(number, seconds, baseline, subject) for number in range(1, rounds + 1)]
        memory_after = _send_until(subject, since, memory_events)
        memory = web.worker_memory()
    workers = worker_memory_of(environment, folder / "work.log")
    say("verify")
    manage(environment, "verify")
    return EventRun(users, measured, memory_before, memory, memory_after, workers)


def _send_until(subject: Subject, since: datetime, events: int) -> int:
    """Send events until there are so many since then, or MEMORY_PHASES_MAX are over; return how many there are."""
    for _ in range(MEMORY_PHASES_MAX):
        if count_new(subject.url, "metrics_event", since) >= events:
            break
        run_phase(subject, HOT_CLIENTS, MEMORY_PHASE_S)
    return count_new(subject.url, "metrics_event", since)


def _run_round(number: int, seconds: float, baseline: Baseline, subject: Subject) -> EventRound:
    """Measure everything once, the baseline before and in the middle of it."""
    phases: dict[str, Phase] = {}
    began = read_cpu(None, subject.postmaster)
    baselines = [run_baseline(baseline, seconds)]
    spent_s = read_cpu(None, subject.postmaster).since(began).postgres
    for clients in CLIENT_COUNTS:
        phases[str(clients)] = run_phase(subject, clients, seconds)
        if clients == HOT_CLIENTS:
            phases[HOT] = run_phase(subject, clients, seconds, hot=True)
            baselines.append(run_baseline(baseline, seconds))
    cpu_ms = None if spent_s is None else spent_s * 1000 / (baselines[0] * seconds)
    measured = EventRound(baselines, cpu_ms, phases)
    rates = ", ".join(f"{name} {each.rate:,.0f}" for name, each in phases.items())
    say(f"round {number}: pgbench {measured.baseline:,.0f} tps; events a second by clients: {rates}")
    return measured


def run_phase(subject: Subject, clients: int, seconds: float, *, hot: bool = False) -> Phase:
    """Put the engine under load. Raises BenchError unless each answer left exactly one event."""
    since, began = datetime.now(UTC), read_cpu(subject.web, subject.postmaster)
    figures = run_load(subject.web.port, subject.hot if hot else subject.spread, clients, seconds)
    spent = read_cpu(subject.web, subject.postmaster).since(began)
    stored = count_new(subject.url, "metrics_event", since)
    if stored != figures.answers:
        raise BenchError(f"{figures.answers} events were answered 201, but {stored} are stored.")
    an_event_ms = 1000 / figures.answers
    return Phase(
        events=figures.answers,
        rate=figures.rate,
        p50_ms=figures.percentile_ms(50),
        p99_ms=figures.percentile_ms(99),
        web_cpu_ms=spent.web * an_event_ms,
        postgres_cpu_ms=None if spent.postgres is None else spent.postgres * an_event_ms,
        client_cpu_ms=figures.cpu_s * an_event_ms,
    )


def _count(clients: int) -> str:
    return "1 client" if clients == 1 else f"{clients} clients"


def _cpu_ms(phase: Phase) -> float:
    return phase.web_cpu_ms + (phase.postgres_cpu_ms or 0) + phase.client_cpu_ms
