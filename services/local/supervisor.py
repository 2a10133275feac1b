"""Runs the services as processes of their own: starts them together, restarts one that dies, shows their logs."""

from __future__ import annotations

import fcntl
import os
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from http import HTTPStatus
from pathlib import Path

from rich.console import Console
from rich.text import Text

from services.local import processes
from services.local.fork_server import Forked, ForkServer
from services.local.ports import HOST

FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 0.2, 5.0
"""Before a restart; doubled each time, from the first again after a run that was `STEADY_SECONDS` long."""
STEADY_SECONDS = 10.0
DEATHS_BEFORE_READY = 5
STOP_SECONDS = 20.0
READY_SECONDS = 60.0
POLL_SECONDS = 0.05
LINES_TOLD = 15
COLOURS = ("cyan", "magenta", "yellow", "green", "blue", "bright_red", "bright_cyan", "bright_magenta", "bright_yellow")

Progress = Callable[[str], None]
Running = subprocess.Popen[bytes] | Forked


class FolderInUseError(Exception):
    """Another run works on the same data folder."""

    def __init__(self, folder: Path, pid: int | None) -> None:
        super().__init__(f"{folder} is in use by process {pid or 'unknown'}; stop it or choose another folder")
        self.folder = folder
        self.pid = pid


class ProcessError(Exception):
    """A process that never became ready; the message ends with the last lines that it wrote."""

    def __init__(self, name: str, what: str, lines: Iterable[str]) -> None:
        super().__init__("\n".join([f"{name} {what}. The last lines that it wrote:", *lines]))
        self.name = name


class FolderLock:
    """Keeps a data folder for one run at a time.

    The lock is the kernel's and ends with the process, so the file that a crashed run left behind locks nothing.
    """

    def __init__(self, folder: Path) -> None:
        """Take the lock; FolderInUseError if another run has it."""
        self._path = folder / "lock"
        self._file = self._path.open("a+", encoding="utf-8")
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self._file.close()
            raise FolderInUseError(folder, self._holder()) from None
        self._file.truncate(0)
        self._file.write(str(os.getpid()))
        self._file.flush()

    def release(self) -> None:
        """Let others have the folder."""
        self._file.close()

    def _holder(self) -> int | None:
        text = self._path.read_text(encoding="utf-8").strip()
        return int(text) if text.isdecimal() else None


def lock_folder(folder: Path) -> FolderLock:
    """Keep this data folder for us, and stop the processes that a run which crashed left behind there."""
    folder.mkdir(parents=True, exist_ok=True)
    lock = FolderLock(folder)
    recover(folder)
    return lock


def recover(folder: Path) -> list[str]:
    """Stop the supervised processes that an earlier run on this folder left behind; returns their names."""
    return processes.stop_leftovers(folder / "pids")


@dataclass(frozen=True)
class Process:
    """A process to run, and how to see that it is ready: a URL that answers 200, or a port that listens.

    It is a program, the first of `argv`, or a `module` of ours, for which `argv` has the arguments.
    """

    name: str
    argv: Sequence[str] = ()
    module: str | None = None
    env: Mapping[str, str] = field(default_factory=dict)
    """Added to our own environment."""
    ready_url: str | None = None
    ready_port: int | None = None

    @property
    def command(self) -> list[str]:
        """The whole command line."""
        return [*([sys.executable, "-m", self.module] if self.module else ()), *self.argv]

    def is_ready(self) -> bool:
        """Whether it is ready now; one that has neither URL nor port is ready when it runs."""
        if self.ready_url is not None:
            return _answers(self.ready_url)
        return self.ready_port is None or _listens(self.ready_port)


class _Child:
    """One process: a thread that starts it again and again, and one that reads what it writes."""

    def __init__(self, process: Process, folder: Path, forks: ForkServer, show: Callable[..., None]) -> None:
        self.process = process
        self._forks = forks
        self.was_ready = False
        self.gave_up = False
        self.restarts = threading.Event()
        self.restarts.set()
        self.last_lines: deque[str] = deque(maxlen=LINES_TOLD)
        self._running: Running | None = None
        self._folder = folder
        self._show = show
        self._stopping = threading.Event()
        self._lock = threading.Lock()
        self._thread = threading.Thread(target=self._keep_running, name=f"keep-{process.name}", daemon=True)

    @property
    def pid(self) -> int | None:
        """Its process, if it runs."""
        running = self._running
        return running.pid if running and running.poll() is None else None

    def start(self) -> None:
        self._thread.start()

    def ask_to_stop(self) -> None:
        """SIGTERM, and no restart any more."""
        with self._lock:
            self._stopping.set()
            self.restarts.set()
            if self._running:
                self._running.terminate()

    def wait_stopped(self, deadline: float) -> None:
        """Until it has ended; killed at the deadline (monotonic seconds)."""
        self._thread.join(max(0.0, deadline - time.monotonic()))
        self.kill()
        self._thread.join()

    def kill(self) -> None:
        """`kill -9`, and until it is dead."""
        if self._running:
            self._running.kill()
            self._running.wait()

    def check_ready(self) -> bool:
        """Whether it is ready now."""
        ready = self.pid is not None and self.process.is_ready()
        self.was_ready |= ready
        return ready

    def _keep_running(self) -> None:
        pause, deaths = FIRST_PAUSE_SECONDS, 0
        while not self._stopping.is_set():
            began = time.monotonic()
            code = self._run_once()
            deaths += 1
            if self._stopping.is_set():
                return
            gave_up = not self.was_ready and deaths == DEATHS_BEFORE_READY
            what = "was not started" if code is None else f"ended with exit code {code}"
            self._tell(f"{what}{'' if gave_up else '; it is started again'}")
            if gave_up:
                self.gave_up = True
                return
            if time.monotonic() - began > STEADY_SECONDS:
                pause = FIRST_PAUSE_SECONDS
            self._stopping.wait(pause)
            self.restarts.wait()
            pause = min(2 * pause, LONGEST_PAUSE_SECONDS)

    def _run_once(self) -> int | None:
        """From start to end of the process; returns its exit code, None where it was not started."""
        try:
            running = self._launch()
        except OSError as error:
            self.last_lines.append(str(error))
            self._tell(str(error))
            return None
        if running is None:
            return None
        reader = threading.Thread(target=self._read, args=(running,), name=f"log-{self.process.name}", daemon=True)
        reader.start()
        code = running.wait()
        reader.join(1)  # a process of its own may hold the pipe open
        processes.forget(self._pids_folder, self.process.name)
        return code

    def _launch(self) -> Running | None:
        with self._lock:  # against ask_to_stop
            if self._stopping.is_set():
                return None
            self._running, command = self._started()
            processes.record(self._pids_folder, self.process.name, self._running.pid, command)
            return self._running

    def _started(self) -> tuple[Running, Sequence[str]]:
        """Start it; with the command line under which the system shows it."""
        process, env = self.process, {**os.environ, **self.process.env}
        if process.module and sys.platform == "linux":  # elsewhere a fork is not safe, nor ended with us
            return self._forks.start(process.module, process.argv, env), self._forks.argv
        return processes.spawn(process.command, output=subprocess.PIPE, env=env), process.command

    def _read(self, running: Running) -> None:
        """Line by line into the log file, the console and what an error tells."""
        if running.stdout is None:
            return
        with running.stdout, self._log_file().open("ab", buffering=0) as log:
            for line in running.stdout:
                log.write(line)
                text = line.decode(errors="replace").rstrip()
                self.last_lines.append(text)
                self._show(self.process.name, text, ours=False)

    def _tell(self, what: str) -> None:
        """A line of our own in its log."""
        with self._log_file().open("a", encoding="utf-8") as log:
            log.write(f"[supervisor] {what}\n")
        self._show(self.process.name, f"[supervisor] {what}", ours=True)

    @property
    def _pids_folder(self) -> Path:
        return self._folder / "pids"

    def _log_file(self) -> Path:
        return self._folder / "logs" / f"{self.process.name}.log"


class Supervisor:
    """The processes of one data folder; their logs are in FOLDER/logs, and on the console as well if verbose."""

    def __init__(self, folder: Path, *, verbose: bool = False, console: Console | None = None) -> None:
        self._folder = folder
        self._verbose = verbose
        self._console = console or Console(stderr=True)
        self._forks = ForkServer(folder / "logs/fork-server.log")
        self._children: dict[str, _Child] = {}
        self._colours: dict[str, str] = {}

    def add(self, process: Process) -> None:
        """Have this process run once started; those added last are stopped first."""
        self._colours[process.name] = COLOURS[len(self._children) % len(COLOURS)]
        self._children[process.name] = _Child(process, self._folder, self._forks, self._show)

    def warm(self) -> None:
        """Load what our modules need, while something else is waited for."""
        (self._folder / "logs").mkdir(parents=True, exist_ok=True)
        if sys.platform == "linux":
            self._forks.warm()

    def start(self, progress: Progress = lambda _: None) -> None:
        """Start all and return when each is ready; one that never is raises ProcessError and all are stopped."""
        (self._folder / "logs").mkdir(parents=True, exist_ok=True)
        for child in self._children.values():
            child.start()
        try:
            self.wait_ready(progress=progress)
        except ProcessError:
            self.stop()
            raise

    def wait_ready(
        self, names: Iterable[str] | None = None, *, seconds: float = READY_SECONDS, progress: Progress = lambda _: None
    ) -> None:
        """Until these processes (all without names) are ready, for example after a restart."""
        deadline = time.monotonic() + seconds
        waiting = list(self._children if names is None else names)
        while waiting:
            for name in [name for name in waiting if self._children[name].check_ready()]:
                waiting.remove(name)
                progress(f"{name} is ready")
            for name in waiting:
                self._check(self._children[name], deadline)
            time.sleep(POLL_SECONDS if waiting else 0)

    def pid(self, name: str) -> int | None:
        """The id of a process, if it runs."""
        return self._children[name].pid

    def log_file(self, name: str) -> Path:
        """Where what a process writes is kept."""
        return self._folder / "logs" / f"{name}.log"

    def kill(self, name: str) -> None:
        """`kill -9`; it is restarted, unless that is paused."""
        self._children[name].kill()

    def pause_restart(self, name: str) -> None:
        """Leave this process dead when it dies."""
        self._children[name].restarts.clear()

    def resume_restart(self, name: str) -> None:
        """Restart it again when it dies, and now if it is dead."""
        self._children[name].restarts.set()

    def stop(self) -> None:
        """SIGTERM to all, the last one first; who still runs after STOP_SECONDS is killed."""
        children = list(reversed(self._children.values()))
        for child in children:
            child.ask_to_stop()
        deadline = time.monotonic() + STOP_SECONDS
        for child in children:
            child.wait_stopped(deadline)
        self._forks.stop()

    def _check(self, child: _Child, deadline: float) -> None:
        """Raise if this process will not become ready any more."""
        if child.gave_up:
            what = f"ended {DEATHS_BEFORE_READY} times before it was ready"
            raise ProcessError(child.process.name, what, child.last_lines)
        if time.monotonic() > deadline:
            raise ProcessError(child.process.name, "is not ready in time", child.last_lines)

    def _show(self, name: str, line: str, *, ours: bool) -> None:
        """A line of a process where all is to be seen; one of ours, that one ended and is started again, always."""
        if self._verbose or ours:
            width = max(map(len, self._children)) + 1
            self._console.print(Text(name.ljust(width), style=self._colours[name]) + Text.from_ansi(line))


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=1) as answer:  # noqa: S310 - a URL of our own
            return bool(answer.status == HTTPStatus.OK)
    except OSError:
        return False


def _listens(port: int) -> bool:
    try:
        with socket.create_connection((HOST, port), timeout=1):
            return True
    except OSError:
        return False
