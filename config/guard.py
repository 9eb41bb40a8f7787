"""The guard of `serve`, `work` and `run_demo`: a small process that ends what they started once they are gone.

Whoever is killed by `kill -9` can end nothing any more. The guard holds the reading end of a pipe whose writing end
only that process has: the kernel closes it, however the process ends, and then the guard kills the groups that it was
told of, children of children included. A process tells its own number before it becomes the program that it runs, so
none can be missed. Needs nothing but the standard library, and no kernel but a POSIX one.

Run as `python -I -S guard.py NAME`, with the pipe as standard input.
"""

import os
import signal
import sys
from contextlib import suppress

DISMISSED = b"dismissed"
"""What the process writes at last where it ended everything itself."""

IGNORED = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
"""Sent to all processes of a service or terminal at once. The guard goes last, when its pipe is closed."""


def guard(name: str) -> None:
    """Wait for the end of the process at the other end of the pipe, then end what it started."""
    for each in IGNORED:
        signal.signal(each, signal.SIG_IGN)
    *groups, last = sys.stdin.buffer.read().split(b"\n")
    if last == DISMISSED:
        return
    sys.stderr.write(f"{name} is gone, so what it started is ended: {len(groups)} groups of processes.\n")
    for group in groups:
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(int(group), signal.SIGKILL)


if __name__ == "__main__":
    guard(sys.argv[1])
