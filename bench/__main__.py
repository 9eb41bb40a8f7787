"""`python -m bench`: measure, print, and exit with 1 where a bar is missed.

PostgreSQL alone (pgbench) and events over HTTP take turns in one run, and only their ratio is judged: the speed of the
machine itself drifts. A time tick takes turns in the same way with one INSERT ... SELECT of its awards. The large
databases of the tick and of the reads are filled by the first bench, which takes some minutes more, and kept.
"""

import argparse
import os
import signal
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from bench.baseline import Baseline, prepare_baseline, run_baseline
from bench.databases import ENGINE_DATABASE, count_rows, create_anew, find_server, server_version, settle
from bench.deciding import measure_decide_us
from bench.errors import BenchError
from bench.game import fill, set_up_game
from bench.load import LoadFigures, event_requests, run_load
from bench.queueing import measure_queue
from bench.reads import measure_reads
from bench.report import CLIENT_COUNTS, HttpFigures, Results, Round, in_short, missed_bars, table, write_json
from bench.tick import measure_tick
from bench.web import ROOT, Web, django_environment, manage, serve
from bench.webhooks import measure_webhooks

WARM_UP_S = 2


@dataclass(frozen=True, slots=True)
class Options:
    """What the command line asks for."""

    seconds: int
    rounds: int
    users: int
    tick_users: int
    read_users: int


@dataclass(frozen=True, slots=True)
class Subject:
    """The engine under load."""

    url: str
    web: Web
    requests: Iterator[bytes]


def main() -> int:
    """Run the bench; return the exit code."""
    # As Ctrl-C does, so that all that was started is stopped.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    options = _read_options()
    folder = Path(os.environ.get("VAR_DIR") or ROOT / "var") / "bench"
    folder.mkdir(parents=True, exist_ok=True)
    try:
        results = _measure(options, folder)
    except BenchError as error:
        print(f"The bench failed. {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    write_json(results, folder / "results.json")
    print(f"\n{table(results)}\n")
    missed = missed_bars(results)
    print("\n".join(f"MISSED: {sentence}" for sentence in missed) or "All bars are met.")
    return 1 if missed else 0


def _read_options() -> Options:
    parser = argparse.ArgumentParser(prog="python -m bench", description="Measure events over HTTP against pgbench.")
    parser.add_argument("--seconds", type=int, default=8, help="how long each phase takes (default 8)")
    parser.add_argument("--rounds", type=int, default=3, help="how often all phases take turns (default 3)")
    parser.add_argument("--users", type=int, default=100_000, help="how many users there are (default 100000)")
    parser.add_argument("--tick-users", type=int, default=1_000_000, help="how many a time tick pays (default 1000000)")
    parser.add_argument(
        "--read-users", type=int, default=1_000_000, help="of how many the reads are; 0: none (default 1000000)"
    )
    given = parser.parse_args()
    if min(given.seconds, given.rounds, given.users, given.tick_users) < 1:
        parser.error("all figures but --read-users must be at least 1.")
    return Options(given.seconds, given.rounds, given.users, given.tick_users, given.read_users)


def _measure(options: Options, folder: Path) -> Results:
    _say("decide")
    decide_us = measure_decide_us()
    server = find_server(folder)
    _say(f"time tick of {options.tick_users:,} users, filled in first where no bench before it did")
    tick = measure_tick(server, folder, options.tick_users)
    reads = None
    if options.read_users:
        _say(f"reads of {options.read_users:,} users, filled in first where no bench before it did")
        reads = measure_reads(server, folder, options.read_users)
    _say("batch events at a steady pace")
    queue = measure_queue(server, folder)
    _say("webhooks")
    webhooks = measure_webhooks(server, folder)
    _say(f"databases with {options.users:,} users")
    url = create_anew(server, ENGINE_DATABASE)
    environment = django_environment(url, folder)
    manage(environment, "migrate", "--verbosity", "0")
    api_key = manage(environment, "create_api_key", "bench", "--admin").split()[-1]
    baseline = prepare_baseline(server, options.users)
    with serve(environment, folder / "web.log") as web:
        set_up_game(web.port, api_key)
        fill(url, options.users)
        settle(url)
        subject = Subject(url, web, event_requests(web.port, api_key, options.users))
        events, awards = count_rows(url, "metrics_event"), count_rows(url, "points_pointsaward")
        rounds = _run_rounds(options, baseline, subject)
        workers = web.worker_memory()
        _say("verify")
        manage(environment, "verify")
        return Results(
            postgresql=server_version(url),
            users=options.users,
            rounds=rounds,
            events=count_rows(url, "metrics_event") - events,
            awards=count_rows(url, "points_pointsaward") - awards,
            decide_us=decide_us,
            workers=workers,
            tick=tick,
            reads=reads,
            queue=queue,
            webhooks=webhooks,
        )


def _run_rounds(options: Options, baseline: Baseline, subject: Subject) -> list[Round]:
    _say("warming up")
    run_baseline(baseline, WARM_UP_S)
    _run_counted(subject, max(CLIENT_COUNTS), WARM_UP_S)
    return [_run_round(number, options.seconds, baseline, subject) for number in range(1, options.rounds + 1)]


def _run_round(number: int, seconds: int, baseline: Baseline, subject: Subject) -> Round:
    tps = run_baseline(baseline, seconds)
    _say(f"round {number}: pgbench {tps:,.0f} tps")
    http: dict[int, HttpFigures] = {}
    for clients in CLIENT_COUNTS:
        http[clients] = in_short(_run_counted(subject, clients, seconds))
        _say(f"round {number}: HTTP with {clients} clients {http[clients].rate:,.0f} req/s")
    return Round(tps, http)


def _run_counted(subject: Subject, clients: int, seconds: float) -> LoadFigures:
    """Put the engine under load. Raises BenchError unless each answer left exactly one event."""
    before = count_rows(subject.url, "metrics_event")
    figures = run_load(subject.web.port, subject.requests, clients, seconds)
    stored = count_rows(subject.url, "metrics_event") - before
    if stored != figures.answers:
        raise BenchError(f"{figures.answers} events were answered 201, but {stored} are stored.")
    return figures


def _say(what: str) -> None:
    print(f"… {what}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
