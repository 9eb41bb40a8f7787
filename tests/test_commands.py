"""The commands that bring a server up."""

import io
import os
import re
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import time_machine
from django.conf import settings
from django.core.management import CommandError, call_command
from django.utils import timezone

from achievements.models import Achievement, Completion
from boosts.models import Boost
from core.services import create_checked
from levels.models import Level
from metrics.models import Event
from points.models import PointsAward, PointsSystem
from streaks.models import Streak
from tests.conftest import Api, Game
from users.models import EndUser

ROOT = Path(settings.BASE_DIR)


@pytest.mark.django_db
def test_create_api_key_prints_the_key_alone_on_the_last_line() -> None:
    out = io.StringIO()
    call_command("create_api_key", "study app", "--admin", stdout=out, stderr=io.StringIO())
    key = out.getvalue().splitlines()[-1]
    assert Api(key).get("/v1/users/alice").status_code == 404


@pytest.mark.django_db
def test_create_api_key_makes_a_key_for_one_user(game: Game) -> None:
    out = io.StringIO()
    call_command("create_api_key", "alice", "--user", stdout=out, stderr=io.StringIO())
    app = Api(out.getvalue().splitlines()[-1])
    assert app.event("alice").status_code == 201
    assert app.event("bob").status_code == 403
    with pytest.raises(CommandError, match="at most 255 characters"):
        call_command("create_api_key", "x" * 256, "--user")
    for kinds in ((), ("--admin", "--user")):
        with pytest.raises(CommandError):
            call_command("create_api_key", "alice", *kinds)


# A Monday: the boosts of the days before and at the weekend have begun nowhere on Earth.
@time_machine.travel(datetime(2026, 3, 16, 12, tzinfo=UTC), tick=False)
@pytest.mark.django_db(transaction=True)
def test_seed_demo_fills_an_empty_server_once_and_all_of_it_adds_up(settings: Any, tmp_path: Path) -> None:
    settings.MEDIA_ROOT = tmp_path
    call_command("seed_demo", stdout=io.StringIO())
    events, users = Event.objects.count(), EndUser.objects.count()
    assert events > 3000
    assert users == 200
    assert PointsAward.objects.filter(system__key="energy", awarded__lt=0).exists()
    days = Event.objects.dates("at", "day")
    assert len(days) >= 60
    assert set(Completion.objects.values_list("achievement__name", flat=True)) == {"Bookworm", "On fire", "Scholar"}
    boosted = PointsAward.objects.exclude(boosts=[])
    assert {award.boosts[0]["name"] for award in boosted} == {"Launch weekend"}
    phases = {boost.name: boost.phase(timezone.now()) for boost in Boost.objects.all()}
    assert phases == {
        "Launch weekend": "finished",
        "Double XP weekend": "scheduled",
        "Grammar week": "scheduled",
        "Pro perk": "inactive",
    }
    assert Streak.objects.filter(length__gte=7).exists()
    assert len(list(tmp_path.rglob("*.png"))) == Level.objects.count() + Achievement.objects.count() + 2
    call_command("verify", stdout=io.StringIO())
    call_command("seed_demo", stdout=io.StringIO())
    assert (Event.objects.count(), EndUser.objects.count()) == (events, users)


@pytest.mark.django_db
def test_seed_demo_leaves_a_server_alone_that_has_a_points_system() -> None:
    create_checked(PointsSystem, name="Gems", key="gems")
    call_command("seed_demo", stdout=io.StringIO())
    assert not Event.objects.exists()


PRODUCTION = {
    "PRODUCTION": "true",
    "SECRET_KEY": "correct-horse-battery-staple-0123456789-ABCDEFGHIJKLMNOP",
    "PUBLIC_URL": "https://points.example.com",
}
REFUSED: dict[str, tuple[dict[str, str], str]] = {
    "no secret key": ({"SECRET_KEY": ""}, "SECRET_KEY"),
    "a short secret key": ({"SECRET_KEY": "short"}, "Make one by: python3 -c 'import secrets"),
    "a secret key of three different characters": ({"SECRET_KEY": "abc" * 20 + "aab"}, "only 3 different characters"),
    "a secret key that repeats": ({"SECRET_KEY": "correct-horse-battery" * 3}, "repeats a shorter text"),
    "the key of a tutorial": ({"SECRET_KEY": "django-insecure-" + "x" * 50}, "SECRET_KEY"),
    "no public address": ({"PUBLIC_URL": ""}, "PUBLIC_URL"),
    "an address without encryption": ({"PUBLIC_URL": "http://points.example.com"}, "PUBLIC_URL"),
    "debugging": ({"DEBUG": "true"}, "DEBUG"),
    "a rate that is none": ({"RATE_LIMIT_ADMIN_KEY": "fast"}, "RATE_LIMIT_ADMIN_KEY must be one rate such as"),
    "a rate of 0": ({"RATE_LIMIT_APPLICATION_KEY": "0/second"}, "RATE_LIMIT_APPLICATION_KEY must allow at least one"),
}


def check(environment: dict[str, str], tmp_path: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "manage.py", "check", "--deploy", "--fail-level", "WARNING"],
        cwd=ROOT,
        env={"PATH": os.environ["PATH"], "VAR_DIR": str(tmp_path)} | environment,
        capture_output=True,
        text=True,
        check=False,
    )


def test_production_settings_pass_django_s_own_check(tmp_path: Path) -> None:
    done = check(PRODUCTION, tmp_path)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("case", REFUSED)
def test_production_refuses(case: str, tmp_path: Path) -> None:
    change, named = REFUSED[case]
    refused = check(PRODUCTION | change, tmp_path)
    assert refused.returncode != 0
    assert named in refused.stderr


def test_the_example_environment_lists_every_setting_and_no_other() -> None:
    settings_file = (ROOT / "config" / "settings.py").read_text()
    read = set(re.findall(r"""env\.\w+\(\s*["']([A-Z_]+)["']""", settings_file))
    listed = set(re.findall(r"^#([A-Z_]+)=", (ROOT / ".env.example").read_text(), re.MULTILINE))
    assert listed == read
