"""Settings of the database that cannot be meant are refused at the start, by their name."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from django.conf import settings


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("DATABASE_POOLER", "odyssey", "DATABASE_POOLER must be pgbouncer, or empty"),
        ("REPLICA_LAG_MAX_S", "0", "REPLICA_LAG_MAX_S must be a number of more than 0"),
        ("REPLICA_URLS", "10.0.0.7:5432", "REPLICA_URLS: address 1 must be of the form postgres://"),
    ],
)
def test_a_setting_that_cannot_be_meant_is_refused(name: str, value: str, words: str, tmp_path: Path) -> None:
    environment = {
        "PATH": os.environ["PATH"],
        "VAR_DIR": str(tmp_path),
        "DATABASE_URL": "postgres://nobody@127.0.0.1:1/none",
        name: value,
    }
    done = subprocess.run(
        [sys.executable, "-c", "import config.settings"],
        cwd=settings.BASE_DIR,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode != 0
    assert f"ImproperlyConfigured: {words}" in done.stderr
