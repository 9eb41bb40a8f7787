"""The official Node SDK does the main job. Needs node and npm (make test-node)."""

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any, Final

import pytest
from django.conf import settings
from pytest_django.live_server_helper import LiveServer

from access.services import create_api_key, create_application_key
from achievements.services import create_achievement
from levels.services import create_level
from tests.conftest import make_game

pytestmark = [pytest.mark.node, pytest.mark.django_db(transaction=True)]

SCRIPTS: Final = Path(__file__).parent / "node"


@pytest.fixture(scope="session")
def modules() -> Path:
    """Install the SDK, once for each of its versions, and return where to."""
    folder = Path(settings.VAR_DIR) / "node-sdk"
    folder.mkdir(parents=True, exist_ok=True)
    for file in SCRIPTS.iterdir():
        shutil.copy(file, folder)
    command = ["npm", "install", "--no-audit", "--no-fund", "--no-package-lock", "--silent"]
    subprocess.run(command, cwd=folder, check=True, timeout=300)
    return folder


def run(modules: Path, *arguments: str) -> Any:
    """Return what the script printed."""
    command = ["node", "main_job.cjs", *arguments]
    done = subprocess.run(command, cwd=modules, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_the_node_sdk_does_the_main_job(modules: Path, live_server: LiveServer) -> None:
    game = make_game()
    game.trigger(points=10)
    create_level(system=game.xp, key="bronze", name="Bronze", points=20)
    create_achievement(name="Took the tour", type="api", key="toured", status="active")
    _, api_key = create_api_key(name="node")
    _, nora_key = create_application_key(external_id="nora")

    said = run(modules, live_server.url, api_key, nora_key)

    assert said["identified"]["name"] == "Nora"
    assert (said["event"]["total"], said["event"]["points"]["xp"]["total"]) == (2.5, 20)
    assert said["event"]["points"]["xp"]["level"]["key"] == "bronze"
    assert (said["replayed"]["idempotentReplayed"], said["replayed"]["total"]) == (True, 2.5)
    assert said["completion"]["achievement"]["key"] == "toured"
    assert (said["user"]["tz"], said["user"]["attributes"]) == ("Europe/London", {"plan": "pro"})
    assert (said["metric"]["current"], said["points"]["total"]) == (2.5, 20)
    assert [each["awarded"] for each in said["points"]["awards"]] == [20]
    assert [each["key"] for each in said["achievements"]] == ["toured"]
    assert [each["length"] for each in said["streak"]["streakHistory"]] == [0, 0, 1]
    assert [each["streakLength"] for each in said["streaks"]] == [1, 0]
    assert sum(each["users"] for each in said["summary"]) == 1
    assert len(said["system"]["triggers"]) == 1
    assert [each["change"] for each in said["history"]] == [0, 0, 0]
    assert (said["own"]["id"], said["refused"]) == ("nora", 403)
    assert said["unknownMetric"] == {"error": "Metric not found: steps."}
    assert (said["unknownUser"], said["unknownKey"]) == (404, 401)
