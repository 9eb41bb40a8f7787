"""The README's example works as printed."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
from pytest_django.live_server_helper import LiveServer

from access.services import create_api_key
from config.demo import create_rules
from metrics.models import Event

README = Path(__file__).parent.parent / "README.md"


@pytest.mark.django_db(transaction=True)
def test_the_example_for_the_python_sdk_awards_points(live_server: LiveServer) -> None:
    create_rules()
    _, key = create_api_key(name="README")
    example = re.search(r"```python\n(.*?)```", README.read_text(), re.DOTALL)
    assert example
    code = example[1].replace("http://127.0.0.1:8000", live_server.url)
    run = subprocess.run(
        [sys.executable, "-c", code], env={"POINTSMITH_KEY": key}, capture_output=True, text=True, check=False
    )
    assert run.returncode == 0, run.stderr
    assert "20 for Lessons completed - the learner now has 70" in run.stdout
    assert Event.objects.count() == 1
