"""What the tests of the one-machine stack share."""

import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

from services.local.ports import free_port
from services.local.supervisor import Process, Supervisor

Serve = Callable[..., httpx.Client]


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Serve]:
    """Run a stand-in for the outside world as the stack runs it; a second call restarts it on the same folder."""
    supervisors: list[Supervisor] = []
    clients: list[httpx.Client] = []

    def start(module: str, *arguments: str) -> httpx.Client:
        for each in supervisors:
            each.stop()
        port = free_port()
        argv = ["--port", str(port), "--folder", str(tmp_path), *arguments]
        supervisors.append(Supervisor(tmp_path))
        supervisors[-1].add(Process(module, argv, module, ready_url=f"http://127.0.0.1:{port}/livez"))
        supervisors[-1].start()
        clients.append(httpx.Client(base_url=f"http://127.0.0.1:{port}", trust_env=False))
        return clients[-1]

    yield start
    for client in clients:
        client.close()
    for each in supervisors:
        each.stop()


@pytest.fixture
def killed_after() -> Callable[[str], int]:
    """Run a script in a process of its own until it prints a process id, `kill -9` it, and return that id."""

    def run(script: str) -> int:
        lines = f"import time\nfrom pathlib import Path\n{textwrap.dedent(script)}\ntime.sleep(600)"
        with subprocess.Popen([sys.executable, "-c", lines], stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            pid = int(process.stdout.readline())
            process.kill()
        return pid

    return run
