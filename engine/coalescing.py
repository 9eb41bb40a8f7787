"""Coalescing: the inputs that wait in one web process at the same moment share one transaction and one commit.

An input that comes alone goes at once. One that fails does no harm to those beside it: they are processed once more,
each alone, and so is it. Nor does one whose user somebody else holds locked: it is set aside until the lock is free.
"""

import asyncio
import threading
import time
from collections import Counter, deque
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from queue import Empty, SimpleQueue
from threading import Lock
from typing import Final

from django.db import InterfaceError, OperationalError, connection
from psycopg.errors import LockNotAvailable

from core.connections import release_connection
from engine.inputs import Input
from engine.pipeline import Processed, process

TOGETHER_MAX: Final = 128
GATHER_S_MAX: Final = 0.005
GATHER_SHARE_MAX: Final = 0.3
"""How long those who wait are held up for those who were there a moment ago; also as a share of their turn."""
LOCK_MS_MAX: Final = 100
"""How long those who came together wait for the lock of one user: more than another process's turn takes."""
ASIDE_S_MAX: Final = 10.0
"""How long an input waits for its user's lock in all."""
STOP_S_MAX: Final = 8.0


class OverloadedError(Exception):
    """More inputs wait than can be answered soon."""


def _taken_lock() -> Lock:
    lock = Lock()
    lock.acquire()
    return lock


Wakes = asyncio.Future[None]


@dataclass(slots=True, eq=False)
class _Waiting:
    """An input, and who waits for what becomes of it: a thread for a lock, a task for a future of its event loop."""

    given: Input
    wakes: "Lock | Wakes"  # quoted: Python 3.11's Lock is a function
    processed: Processed | None = None
    error: BaseException | None = None
    since_s: float = field(default_factory=time.monotonic)
    is_held: bool = False

    def result(self) -> Processed:
        """Return what became of the input, or raise why nothing did."""
        if self.error is not None:
            raise self.error
        if self.processed is None:
            raise RuntimeError("An input was settled without a result.")
        return self.processed


def _wake(settled: Sequence[_Waiting]) -> None:
    """Tell all who wait for these, those of an event loop in one call: each call would wake its thread."""
    futures: list[Wakes] = []
    for waiting in settled:
        if isinstance(waiting.wakes, asyncio.Future):
            futures.append(waiting.wakes)
        else:
            waiting.wakes.release()
    for loop in {future.get_loop() for future in futures}:
        # A loop that was closed has nobody left who waits.
        with suppress(RuntimeError):
            loop.call_soon_threadsafe(_resolve, [future for future in futures if future.get_loop() is loop])


def _resolve(futures: Sequence[Wakes]) -> None:
    for future in futures:
        # Not those whose caller has gone.
        if not future.done():
            future.set_result(None)


class Coalescer:
    """Processes inputs of many threads, those that wait at the same moment together.

    `waiting_max` is how many may wait for their turn, apart from those whose turn it is.
    """

    def __init__(self, *, waiting_max: int) -> None:
        self._waiting_max = waiting_max
        self._queue: SimpleQueue[_Waiting | None] = SimpleQueue()
        self._aside = _Aside()
        self._thread = threading.Thread(target=self._work, name="coalescer", daemon=True)
        self._thread.start()

    def process(self, given: Input) -> Processed:
        """Process one input, and return what `engine.pipeline.process` would for it alone, or raise what it would.

        Raises OverloadedError, and does nothing, where too many wait already.
        """
        # A thread that waits holds no connection: those who wait could have them all, and nobody be left to work.
        release_connection()
        lock = _taken_lock()
        waiting = self._put(given, lock)
        lock.acquire()
        return waiting.result()

    async def process_soon(self, given: Input) -> Processed:
        """Do the same for a task of an event loop. One that is cancelled takes nothing back."""
        future = asyncio.get_running_loop().create_future()
        waiting = self._put(given, future)
        await future
        return waiting.result()

    def _put(self, given: Input, wakes: "Lock | Wakes") -> _Waiting:
        if self._queue.qsize() + len(self._aside) >= self._waiting_max:
            raise OverloadedError
        waiting = _Waiting(given, wakes)
        self._queue.put(waiting)
        return waiting

    def stop(self) -> None:
        """Process what waits, then end the threads."""
        self._queue.put(None)
        self._thread.join(STOP_S_MAX)
        self._aside.stop()

    def _work(self) -> None:
        callers, took_s = 1, 0.0
        while (first := self._queue.get()) is not None:
            group = self._gather(first, callers, min(GATHER_S_MAX, GATHER_SHARE_MAX * took_s))
            began_s = time.perf_counter()
            self._process(group)
            took_s = time.perf_counter() - began_s
            callers = len(group) + self._queue.qsize()
        connection.close()

    def _gather(self, first: _Waiting, expected: int, patience_s: float) -> list[_Waiting]:
        """Return those that wait; where fewer do than there were callers, give the others a moment to come back.

        Callers who were answered together soon ask again: without this they would come in two halves, each of which
        waits while the other is processed. An input that comes alone after another is not held up.
        """
        group, until_s = [first], time.perf_counter() + patience_s
        while len(group) < TOGETHER_MAX:
            left_s = max(0.0, until_s - time.perf_counter()) if len(group) < expected else 0.0
            try:
                waiting = self._queue.get(timeout=left_s) if left_s else self._queue.get_nowait()
            except Empty:
                break
            if waiting is None:
                # For the next turn, which is then the last.
                self._queue.put(None)
                break
            group.append(waiting)
        return group

    def _process(self, group: list[_Waiting]) -> None:
        together = [waiting for waiting in group if not self._aside.take_held(waiting)]
        if not together:
            return
        try:
            processed = process([waiting.given for waiting in together], lock_ms_max=LOCK_MS_MAX)
        except Exception as error:
            self._recover(together, error)
        else:
            for waiting, outcome in zip(together, processed.outcomes, strict=True):
                waiting.processed = Processed([outcome], processed.book)
            _wake(together)

    def _recover(self, together: list[_Waiting], error: Exception) -> None:
        """Give each another chance where it is sure that nothing was stored; else say what happened to all."""
        if _is_connection_lost(error) or (len(together) == 1 and not is_held(error)):
            for waiting in together:
                waiting.error = error
            _wake(together)
        else:
            self._aside.take(together)


class _Aside:
    """Processes, each alone, inputs that could not be processed with others, in a thread of its own.

    First those not tried yet, then again and again those whose user is held by somebody else.
    """

    def __init__(self) -> None:
        self._untried: deque[_Waiting] = deque()
        self._held: deque[_Waiting] = deque()
        self._held_of: Counter[str] = Counter()
        self._changed = threading.Condition()  # holds a lock that its holder may take again
        self._stopping = False
        self._thread = threading.Thread(target=self._work, name="coalescer-aside", daemon=True)
        self._thread.start()

    def __len__(self) -> int:
        return len(self._untried) + len(self._held)

    def take(self, group: list[_Waiting]) -> None:
        """Process each of the group alone."""
        with self._changed:
            self._untried.extend(group)
            self._changed.notify()

    def take_held(self, waiting: _Waiting) -> bool:
        """Take one whose user is known to be held, so that it does not hold others up; return whether it is one."""
        with self._changed:
            if waiting.given.user.external_id not in self._held_of:
                return False
            self._hold(waiting)
            self._changed.notify()
            return True

    def stop(self) -> None:
        """Process what waits, then end the thread."""
        with self._changed:
            self._stopping = True
            self._changed.notify()
        self._thread.join(STOP_S_MAX)

    def _work(self) -> None:
        while (waiting := self._next()) is not None:
            self._process(waiting)
        connection.close()

    def _next(self) -> _Waiting | None:
        with self._changed:
            while not self._untried and not self._held:
                if self._stopping:
                    return None
                self._changed.wait()
            return self._untried.popleft() if self._untried else self._held.popleft()

    def _process(self, waiting: _Waiting) -> None:
        try:
            processed = process([waiting.given], lock_ms_max=LOCK_MS_MAX)
        except Exception as error:
            _is_connection_lost(error)
            if is_held(error) and time.monotonic() - waiting.since_s < ASIDE_S_MAX:
                self._hold(waiting)
            else:
                waiting.error = error
                self._let_go(waiting)
        else:
            waiting.processed = processed
            self._let_go(waiting)

    def _hold(self, waiting: _Waiting) -> None:
        with self._changed:
            self._held.append(waiting)
            self._held_of[waiting.given.user.external_id] += not waiting.is_held
            waiting.is_held = True

    def _let_go(self, waiting: _Waiting) -> None:
        with self._changed:
            self._held_of[waiting.given.user.external_id] -= waiting.is_held
            self._held_of += Counter()
        _wake([waiting])


def is_held(error: Exception) -> bool:
    """Tell whether it was somebody else's lock that kept an input from being processed."""
    return isinstance(error.__cause__, LockNotAvailable)


def _is_connection_lost(error: Exception) -> bool:
    """Tell whether the connection broke, so that nobody knows what was stored; let go of one that cannot be used."""
    if not isinstance(error, OperationalError | InterfaceError):
        return False
    lost = connection.connection is None or connection.connection.closed
    release_connection()
    return bool(lost)


_coalescer: Coalescer | None = None


def start(*, waiting_max: int) -> Coalescer:
    """Let `process_one` share transactions in this process from now on."""
    global _coalescer
    _coalescer = Coalescer(waiting_max=waiting_max)
    return _coalescer


def process_one(given: Input) -> Processed:
    """Process one input of an API's call. Raises OverloadedError where too many wait already.

    Where nothing was started, as in commands and background workers, it has a transaction of its own.
    """
    return process([given]) if _coalescer is None else _coalescer.process(given)
