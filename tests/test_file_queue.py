"""The queue of files, which Celery has on one machine without Redis."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from kombu import Connection

from config.file_queue import SCHEME
from tests.processes import WAIT_S_MAX

MESSAGES = 1_000


@pytest.fixture
def options(tmp_path: Path) -> dict[str, str]:
    """Folders of a queue of its own."""
    folders = {"data_folder_in": "queue", "data_folder_out": "queue", "control_folder": "control"}
    for folder in set(folders.values()):
        (tmp_path / folder).mkdir()
    return {name: str(tmp_path / folder) for name, folder in folders.items()}


def connect(options: dict[str, str]) -> Any:
    """Return a connection, as the worker and the clock each have one."""
    return Connection(f"{SCHEME}://localhost//", transport_options=options)


def test_whoever_reads_while_others_write_gets_each_message_whole_and_once(options: dict[str, str]) -> None:
    def write(writer: int) -> None:
        with connect(options) as connection, connection.SimpleQueue("work") as queue:
            for number in range(MESSAGES // 2):
                queue.put({"number": number, "writer": writer, "filler": "x" * 1_000})

    with ThreadPoolExecutor(2) as threads, connect(options) as connection, connection.SimpleQueue("work") as queue:
        writers = [threads.submit(write, writer) for writer in range(2)]
        seen = []
        for _ in range(MESSAGES):
            message = queue.get(timeout=WAIT_S_MAX)
            seen.append((message.payload["writer"], message.payload["number"]))
            message.ack()
        for writer in writers:
            writer.result()
    assert sorted(seen) == [(writer, number) for writer in range(2) for number in range(MESSAGES // 2)]
