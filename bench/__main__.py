"""`python -m bench`: measure, print, and exit with 1 where a bar is missed or, with `--check`, a kept ratio has fallen.

All that is compared takes turns in one run, and only the ratio is judged: the speed of the machine itself drifts. The
large databases are filled by the first bench, which takes some minutes more, and kept.
"""

import argparse
import signal
import sys
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Final

from bench.batch import measure_batch
from bench.comparison import compare
from bench.data import USERS, bench_folder
from bench.databases import Server, find_server
from bench.deciding import measure_decide
from bench.errors import BenchError
from bench.events import measure_events
from bench.figures import Section
from bench.growth import measure_growth, measure_rules
from bench.progress import say
from bench.queueing import measure_queue
from bench.reads import measure_reads
from bench.report import KEPT, keep, kept_ratios, report, write_json
from bench.tick import measure_tick
from bench.webhooks import measure_webhooks


@dataclass(frozen=True, slots=True)
class Options:
    """What the command line asks for; `seconds` is how long each phase of load takes."""

    parts: tuple[str, ...]
    rounds: int
    seconds: float
    users: int
    tick_users: int
    data_users: int
    memory_events: int


Measure = Callable[[Options, Server, Path], Section]
PARTS: Final[Mapping[str, Measure]] = {
    "decide": lambda _, __, ___: measure_decide(),
    "events": lambda given, server, folder: measure_events(
        server,
        folder,
        users=given.users,
        rounds=given.rounds,
        seconds=given.seconds,
        memory_events=given.memory_events,
    ),
    "batch": lambda given, server, folder: measure_batch(server, folder, users=given.users, rounds=given.rounds),
    "tick": lambda given, server, folder: measure_tick(
        server, folder, users=given.tick_users, rounds=min(given.rounds, TICK_ROUNDS)
    ),
    "rules": lambda given, server, folder: measure_rules(server, folder, rounds=given.rounds, seconds=given.seconds),
    "growth": lambda given, server, folder: measure_growth(
        server, folder, users=given.data_users, rounds=given.rounds, seconds=given.seconds
    ),
    "reads": lambda given, server, folder: measure_reads(server, folder, given.data_users),
    "queue": lambda _, server, folder: measure_queue(server, folder),
    "webhooks": lambda _, server, folder: measure_webhooks(server, folder),
}
"""Each part of the bench, in the order in which they run."""
TICK_ROUNDS: Final = 3
DATA_USERS_MIN: Final = 100

WHOLE: Final = Options(tuple(PARTS), 5, 8, 100_000, 1_000_000, USERS, 100_000)
SHORT: Final = Options(("decide", "events", "batch", "tick", "rules"), 3, 3, 20_000, 50_000, USERS, 0)
"""What `make bench-check` runs: nothing that needs a large database."""


def main() -> int:
    """Run the bench; return the exit code."""
    # As Ctrl-C does, so that all that was started is stopped.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    given = _read_arguments()
    options = _options_of(given)
    folder = bench_folder()
    try:
        server = find_server(folder)
        sections = {name: _measure(name, options, server, folder) for name in PARTS if name in options.parts}
    except BenchError as error:
        print(f"The bench failed. {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    file = folder / ("check.json" if given.check else "results.json")
    write_json(sections, asdict(options), server.maintenance_url, file)
    print(f"\n{report(sections)}\n\nAs JSON: {file}")
    code = _judge(sections, by_kept=given.check)
    if given.keep:
        keep(sections, asdict(options), KEPT)
    return code


def _measure(name: str, options: Options, server: Server, folder: Path) -> Section:
    say(f"=== {name}")
    return PARTS[name](options, server, folder)


def _judge(sections: Mapping[str, Section], *, by_kept: bool) -> int:
    """Say how every bar, or every kept ratio, came off; return the exit code."""
    if not by_kept:
        bars = [bar for section in sections.values() for bar in section.bars()]
        print("\n" + "\n".join(bar.sentence for bar in bars))
        return 0 if all(bar.is_met for bar in bars) else 1
    ratios = [ratio for section in sections.values() for ratio in section.ratios()]
    comparisons = compare(ratios, kept_ratios(KEPT))
    if not comparisons:
        print(f"None of the ratios is kept in {KEPT}.", file=sys.stderr)
        return 1
    print("\n" + "\n".join(each.sentence for each in comparisons))
    return 1 if any(each.has_fallen for each in comparisons) else 0


def _read_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench", description="Measure Pointsmith; see docs/performance.md.")
    parser.add_argument("--check", action="store_true", help="a short run, judged by the ratios that were kept")
    parser.add_argument("--keep", action="store_true", help=f"keep this run's ratios in {KEPT.name}")
    parser.add_argument("--only", metavar="PART,...", help=f"some of {', '.join(PARTS)} (default all)")
    parser.add_argument("--seconds", type=float, help=f"how long each phase of load takes (default {WHOLE.seconds})")
    parser.add_argument("--rounds", type=int, help=f"how often all phases take turns (default {WHOLE.rounds})")
    parser.add_argument("--users", type=int, help=f"how many users events are of (default {WHOLE.users})")
    parser.add_argument("--tick-users", type=int, help=f"how many a time tick pays (default {WHOLE.tick_users})")
    parser.add_argument("--data-users", type=int, help=f"in the large database (default {WHOLE.data_users})")
    parser.add_argument(
        "--memory-events",
        type=int,
        help=f"after how many events the web's memory is looked at, at least (default {WHOLE.memory_events})",
    )
    given = parser.parse_args()
    figures = (given.rounds, given.users, given.tick_users)
    if any(figure is not None and figure < 1 for figure in figures):
        parser.error("--rounds, --users and --tick-users must be at least 1.")
    if given.data_users is not None and given.data_users < DATA_USERS_MIN:
        parser.error(f"--data-users must be at least {DATA_USERS_MIN}.")
    if given.seconds is not None and given.seconds < 1:
        parser.error("--seconds must be at least 1.")
    unknown = set((given.only or "").split(",")) - set(PARTS) - {""}
    if unknown:
        parser.error(f"--only must name some of {', '.join(PARTS)}, not {', '.join(sorted(unknown))}.")
    return given


def _options_of(given: argparse.Namespace) -> Options:
    names = ("seconds", "rounds", "users", "tick_users", "data_users", "memory_events")
    told = {name: value for name in names if (value := getattr(given, name)) is not None}
    options = replace(SHORT if given.check else WHOLE, **told)
    return replace(options, parts=tuple(given.only.split(","))) if given.only else options


if __name__ == "__main__":
    sys.exit(main())
