"""The supervisor: what dies comes back, and nothing of ours is left running, however we end."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from services.local import processes
from services.local.ports import free_port
from services.local.supervisor import FolderInUseError, Process, ProcessError, Supervisor, lock_folder
from tests.local.waiting import until

SERVER = """
import http.server, os, sys
print("serving as", os.getpid(), flush=True)
http.server.HTTPServer(("127.0.0.1", int(sys.argv[1])), http.server.SimpleHTTPRequestHandler).serve_forever()
"""
DEAF = """
import signal, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
print("deaf", flush=True)
time.sleep(600)
"""
RUN_ONE = """
import signal, sys, time
from pathlib import Path
from services.local.supervisor import Process, Supervisor, lock_folder
signal.signal(signal.SIGINT, signal.default_int_handler)  # a background job's child inherits that it is ignored
folder = Path(sys.argv[1])
lock = lock_folder(folder)
supervisor = Supervisor(folder)
supervisor.add(Process("sleeper", [sys.executable, "-c", "import time; time.sleep(600)"]))
supervisor.start()
while supervisor.pid("sleeper") is None:
    time.sleep(0.01)
print(supervisor.pid("sleeper"), flush=True)
time.sleep(600)
"""


def web_server(name: str) -> Process:
    port = free_port()
    return Process(name, [sys.executable, "-c", SERVER, str(port)], ready_url=f"http://127.0.0.1:{port}/")


def script(name: str, text: str) -> Process:
    return Process(name, [sys.executable, "-c", text])


def run_elsewhere(folder: Path) -> tuple[subprocess.Popen[str], int]:
    """A supervisor in another process, and the id of its child."""
    supervisor = subprocess.Popen([sys.executable, "-c", RUN_ONE, folder], stdout=subprocess.PIPE, text=True)
    assert supervisor.stdout is not None
    return supervisor, int(supervisor.stdout.readline())


@pytest.fixture
def supervisor(tmp_path: Path) -> Iterator[Supervisor]:
    supervisor = Supervisor(tmp_path)
    yield supervisor
    supervisor.stop()


def test_a_process_that_is_killed_runs_again_and_its_log_and_the_terminal_say_so(
    supervisor: Supervisor, capsys: pytest.CaptureFixture[str]
) -> None:
    supervisor.add(web_server("web"))
    supervisor.start()
    first = supervisor.pid("web")
    supervisor.kill("web")
    supervisor.wait_ready(["web"])
    assert supervisor.pid("web") not in {first, None}
    log = supervisor.log_file("web").read_text()
    assert f"serving as {first}" in log
    assert f"serving as {supervisor.pid('web')}" in log
    assert "ended with exit code -9" in log
    told = capsys.readouterr()
    assert [each.split() for each in (told.out + told.err).splitlines()] == [
        ["web", "[supervisor]", "ended", "with", "exit", "code", "-9;", "it", "is", "started", "again"]
    ]


def test_several_start_side_by_side(supervisor: Supervisor) -> None:
    for name in ("one", "two", "three"):
        supervisor.add(web_server(name))
    told: list[str] = []
    supervisor.start(told.append)
    assert sorted(told) == ["one is ready", "three is ready", "two is ready"]


def test_a_process_whose_restart_is_paused_stays_dead_until_resumed(supervisor: Supervisor) -> None:
    supervisor.add(web_server("web"))
    supervisor.start()
    supervisor.pause_restart("web")
    supervisor.kill("web")
    with pytest.raises(ProcessError):
        supervisor.wait_ready(["web"], seconds=1)
    supervisor.resume_restart("web")
    supervisor.wait_ready(["web"])


def test_one_that_dies_again_and_again_before_it_is_ready_is_given_up_with_its_last_words(tmp_path: Path) -> None:
    supervisor = Supervisor(tmp_path)
    dies = Process("dies", [sys.executable, "-c", "raise SystemExit('no such database')"], ready_port=free_port())
    supervisor.add(dies)
    with pytest.raises(ProcessError, match=r"ended 5 times before it was ready(.|\n)*no such database"):
        supervisor.start()


def test_stop_ends_all_and_kills_one_that_is_deaf(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("services.local.supervisor.STOP_SECONDS", 0.5)
    supervisor = Supervisor(tmp_path)
    supervisor.add(web_server("web"))
    supervisor.add(script("deaf", DEAF))
    supervisor.start()
    until(lambda: "deaf" in supervisor.log_file("deaf").read_text())
    pids = [supervisor.pid("web"), supervisor.pid("deaf")]
    supervisor.stop()
    assert [pid for pid in pids if pid is None or psutil.pid_exists(pid)] == []


@pytest.mark.parametrize("end", [signal.SIGTERM, signal.SIGINT, signal.SIGKILL])
@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere the next start stops what was left")
def test_nothing_runs_on_when_the_supervisor_is_gone(tmp_path: Path, end: signal.Signals) -> None:
    supervisor, child = run_elsewhere(tmp_path)
    supervisor.send_signal(end)
    supervisor.communicate()
    until(lambda: not psutil.pid_exists(child) or psutil.Process(child).status() == psutil.STATUS_ZOMBIE)


def test_a_second_run_on_the_same_folder_is_refused_and_told_by_whom(tmp_path: Path) -> None:
    supervisor, _ = run_elsewhere(tmp_path)
    with pytest.raises(FolderInUseError) as refused:
        lock_folder(tmp_path)
    assert refused.value.pid == supervisor.pid
    supervisor.kill()
    supervisor.communicate()
    lock_folder(tmp_path).release()


def test_what_a_crashed_run_left_is_stopped_by_the_next(tmp_path: Path) -> None:
    argv = [sys.executable, "-c", "import time; time.sleep(600)"]
    left = subprocess.Popen(argv)
    processes.record(tmp_path / "pids", "left", left.pid, argv)
    lock_folder(tmp_path).release()
    assert not psutil.pid_exists(left.pid)
    left.wait()
    assert list((tmp_path / "pids").iterdir()) == []


def test_a_process_that_only_has_the_number_of_a_leftover_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "pids").mkdir()
    note = {"pid": os.getpid(), "started": 0.0, "argv": ["java"]}
    (tmp_path / "pids/kafka.json").write_text(json.dumps(note))
    lock_folder(tmp_path).release()
    assert list((tmp_path / "pids").iterdir()) == []
