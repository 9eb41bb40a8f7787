"""The baseline: the same event as eight or nine statements of plain SQL, driven by pgbench."""

import re
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import psycopg

from bench.databases import BASELINE_DATABASE, Server, count_rows, create_anew, settle
from bench.errors import BenchError

HERE: Final = Path(__file__).resolve().parent
CLIENTS: Final = 8


@dataclass(frozen=True, slots=True)
class Baseline:
    """The baseline's database, filled."""

    url: str
    pgbench: Path
    users: int


def prepare_baseline(server: Server, users: int) -> Baseline:
    """Create and fill the baseline's database."""
    url = create_anew(server, BASELINE_DATABASE)
    script = (HERE / "pg8_schema.sql").read_text().replace(":users", str(users))
    with psycopg.connect(url) as connection:
        connection.execute(script.encode())
    settle(url)
    return Baseline(url, server.pgbench, users)


def run_baseline(baseline: Baseline, seconds: float) -> float:
    """Return the transactions a second. Raises BenchError unless each left its row."""
    before = count_rows(baseline.url, "report")
    said = _run_pgbench(baseline, seconds)
    done = int(_figure(said, r"transactions actually processed: (\d+)"))
    stored = count_rows(baseline.url, "report") - before
    if stored != done or done == 0:
        raise BenchError(f"pgbench counts {done} transactions, but {stored} rows were stored.")
    return _figure(said, r"tps = ([\d.]+)")


def _run_pgbench(baseline: Baseline, seconds: float) -> str:
    options = ["-n", "-M", "prepared", "-c", str(CLIENTS), "-j", "2", "-T", str(max(1, round(seconds)))]
    script = ["-D", f"users={baseline.users}", "-f", str(HERE / "pg8.sql")]
    command = [str(baseline.pgbench), *options, *script, baseline.url]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise BenchError(f"pgbench failed:\n{done.stderr}")
    return done.stdout


def _figure(text: str, pattern: str) -> float:
    found = re.search(pattern, text)
    if found is None:
        raise BenchError(f"pgbench's report has no figure for «{pattern}»:\n{text}")
    return float(found[1])
