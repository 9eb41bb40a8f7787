"""The development server's secret key: random, made once, kept in `var/`."""

import os
from pathlib import Path

from django.core.management.utils import get_random_secret_key


def development_secret_key(var_dir: Path) -> str:
    """Return the key kept in `var_dir`, making it at the first call. Two processes that start at once agree on one."""
    file = var_dir / "secret_key"
    if not file.exists():
        draft = var_dir / f"secret_key.{os.getpid()}"
        draft.touch(mode=0o600)
        draft.write_text(get_random_secret_key())
        # A hard link fails where the other process was first, and its whole file is there already.
        try:
            file.hardlink_to(draft)
        except FileExistsError:
            pass
        finally:
            draft.unlink()
    return file.read_text()
