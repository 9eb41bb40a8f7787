"""Settings of the tests: the server's own, but for what only keeps tests waiting."""

from config.settings import *  # noqa: F403
from config.settings import DATABASES, EMBEDDED

DATABASES["default"]["ENGINE"] = "tests.backend.embedded" if EMBEDDED else "tests.backend.given"
# A test's database does not outlive a power cut, so that no commit has to wait for the disk. Other processes that
# tests start have the settings of the server, and wait.
DATABASES["default"]["OPTIONS"] |= {"options": "-c synchronous_commit=off"}
# Tests log in far more often than people do, all from one address.
LOGIN_RATE_ADDRESS = LOGIN_RATE_NAME = None
