"""Modules are forked from a process that is warm; in all else they are as if they were started."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import psutil
import pytest

from services.local import fork_server
from services.local.fork_server import Forked, ForkServer
from services.local.ports import HOST, free_port
from services.local.supervisor import Process, ProcessError, Supervisor
from tests.local.waiting import until

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="elsewhere modules are started as programs")

SHOWS = """
import os, signal, sys
print(__name__, sys.argv, os.environ.get("PORT"), os.environ.get("HOME"), flush=True)
print(os.getsid(0) == os.getpid(), signal.getsignal(signal.SIGCHLD) == signal.SIG_DFL, flush=True)
print(repr(sys.stdin.read()), flush=True)
print(len(os.listdir("/proc/self/fd")), flush=True)
print("to the other output", file=sys.stderr)
sys.exit(int(sys.argv[1]))
"""
WAITS = """
import time
print("waiting", flush=True)
time.sleep(600)
"""
RAISES = """
raise ValueError("no such thing")
"""
RUN_ONE = """
import sys, time
from pathlib import Path
from services.local.supervisor import Process, Supervisor
supervisor = Supervisor(Path(sys.argv[1]))
supervisor.add(Process("server", [sys.argv[2], "--bind", "127.0.0.1"], "http.server", ready_port=int(sys.argv[2])))
supervisor.start()
print(supervisor.pid("server"), flush=True)
time.sleep(600)
"""


def runs(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def web_server() -> Process:
    port = free_port()
    return Process("web", [str(port), "--bind", HOST], "http.server", ready_port=port)


@pytest.fixture
def start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Forked]]:
    """Run these lines as a module, forked."""
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    server, started = ForkServer(tmp_path / "fork-server.log"), []

    def run(lines: str, *arguments: str, env: Mapping[str, str] | None = None) -> Forked:
        name = f"module_{len(list(tmp_path.glob('*.py')))}"
        (tmp_path / f"{name}.py").write_text(lines)
        started.append(server.start(name, arguments, env or os.environ))
        return started[-1]

    yield run
    server.stop()
    for each in started:
        each.stdout.close()


def test_a_fork_is_as_python_m_would_have_started_it(start: Callable[..., Forked]) -> None:
    forked = start(SHOWS, "7", env={"PORT": "80"})
    lines = forked.stdout.read().decode().splitlines()
    assert lines[0] == "__main__ ['/" + lines[0].partition("'/")[2]
    assert lines[0].endswith("module_0.py', '7'] 80 None")
    assert lines[1:3] == ["True True", "''"]
    assert int(lines[3]) <= 4, "files of the server that it knows nothing of are open"  # three, and the folder itself
    assert lines[4] == "to the other output"
    assert forked.wait(5) == 7


def test_what_a_fork_raises_is_in_its_own_output(start: Callable[..., Forked]) -> None:
    forked = start(RAISES)
    assert "ValueError: no such thing" in forked.stdout.read().decode()
    assert forked.wait(5) == 1


def test_a_fork_ends_by_the_signal_it_is_sent_and_later_ones_reach_nobody(start: Callable[..., Forked]) -> None:
    forked = start(WAITS)
    assert forked.stdout.readline() == b"waiting\n"
    assert forked.poll() is None
    forked.terminate()
    assert (forked.wait(5), forked.poll()) == (-signal.SIGTERM, -signal.SIGTERM)
    other = start(WAITS)
    assert other.stdout.readline() == b"waiting\n"
    forked.pid = other.pid  # as if its number were another's now
    forked.kill()
    with pytest.raises(TimeoutError):
        other.wait(0.3)
    other.terminate()
    assert other.wait(5) == -signal.SIGTERM


def test_the_server_signals_nobody_but_its_forks(tmp_path: Path) -> None:
    server = ForkServer(tmp_path / "fork-server.log")
    stranger = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    forked = server.start("http.server", [str(free_port()), "--bind", HOST], os.environ)
    server.signal(stranger.pid, signal.SIGKILL)
    server.signal(forked.pid, signal.SIGKILL)  # in their order: when this one is dead, the other would be
    assert forked.wait(5) == -signal.SIGKILL
    assert stranger.poll() is None
    stranger.kill()
    stranger.wait()
    server.stop()
    forked.stdout.close()


def test_what_the_server_cannot_load_is_told_by_who_needs_it(start: Callable[..., Forked], tmp_path: Path) -> None:
    (tmp_path / "jinja2.py").write_text("raise RuntimeError('a broken library')")
    forked = start("import jinja2")
    assert "RuntimeError: a broken library" in forked.stdout.read().decode()
    assert forked.wait(5) == 1


def test_a_fork_that_the_kernel_refuses_is_told_to_who_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuses() -> int:
        raise BlockingIOError("too many processes")

    monkeypatch.setattr(os, "fork", refuses)
    here, there = socket.socketpair()
    with here, there:
        assert fork_server._fork(there, 7) is None
        assert json.loads(here.recv(1000)) == {"number": 7, "failed": "too many processes"}


def test_what_cannot_be_asked_for_is_an_error_and_disturbs_no_other(start: Callable[..., Forked]) -> None:
    running = start(WAITS)
    with pytest.raises(ConnectionError, match=r"fork-server\.log"):
        start(WAITS, env={"LONG": "x" * fork_server.LONGEST_MESSAGE})
    assert running.poll() is None


def test_a_server_that_is_not_wanted_any_more_ends_at_once_while_it_loads_too(tmp_path: Path) -> None:
    server = ForkServer(tmp_path / "fork-server.log")
    server.warm()
    began = time.monotonic()
    server.stop()
    assert time.monotonic() - began < 0.5
    again = server.start("http.server", ["--help"], os.environ)
    with again.stdout:
        assert b"usage" in again.stdout.read()
    server.stop()
    server.stop()


def test_a_server_that_cannot_start_is_named_by_who_needs_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "jinja2.py").write_text("raise SystemExit('no interpreter to speak of')")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    supervisor = Supervisor(tmp_path)
    supervisor.add(web_server())
    with pytest.raises(ProcessError, match=r"ended 5 times(.|\n)*fork-server\.log"):
        supervisor.start()
    assert "no interpreter to speak of" in supervisor.log_file("fork-server").read_text()


def test_a_killed_fork_server_takes_its_forks_along_and_all_come_back(tmp_path: Path) -> None:
    supervisor = Supervisor(tmp_path)
    supervisor.add(web_server())
    supervisor.start()
    try:
        first = supervisor.pid("web")
        assert first is not None
        server = psutil.Process(first).parent()
        assert server is not None
        assert server.cmdline()[-1] == fork_server.NAME
        server.kill()
        until(lambda: not runs(first))
        supervisor.wait_ready(["web"])
        assert supervisor.pid("web") not in {first, None}
    finally:
        supervisor.stop()


@pytest.mark.parametrize("end", [signal.SIGTERM, signal.SIGKILL])
def test_no_fork_runs_on_when_the_supervisor_is_gone(tmp_path: Path, end: signal.Signals) -> None:
    argv = [sys.executable, "-c", RUN_ONE, str(tmp_path), str(free_port())]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) as supervisor:
        assert supervisor.stdout is not None
        child = int(supervisor.stdout.readline())
        server = psutil.Process(child).ppid()
        supervisor.send_signal(end)
    until(lambda: not runs(child) and not runs(server))
