"""Child processes that never outlive us: the kernel ends them with us, and what it missed the next start stops."""

from __future__ import annotations

import json
import os
import queue
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from contextlib import suppress
from pathlib import Path
from typing import IO, Any

import psutil

GUARD = Path(__file__).with_name("guard.py")
CLOCK_SLEW_SECONDS = 60
"""A process's start time as told by the kernel may move by so much when the system clock is set."""


class _Forker(threading.Thread):
    """Starts all children: the kernel's promise is bound to the thread that forked, so that one must live as we do."""

    def __init__(self) -> None:
        super().__init__(name="forker", daemon=True)
        self._starts: queue.SimpleQueue[tuple[Callable[[], subprocess.Popen[bytes]], Future[subprocess.Popen[bytes]]]]
        self._starts = queue.SimpleQueue()

    def run(self) -> None:
        while True:
            start, answer = self._starts.get()
            try:
                answer.set_result(start())
            except (OSError, ValueError) as error:
                answer.set_exception(error)

    def start_child(self, start: Callable[[], subprocess.Popen[bytes]]) -> subprocess.Popen[bytes]:
        """Run this in the forker's thread."""
        answer: Future[subprocess.Popen[bytes]] = Future()
        self._starts.put((start, answer))
        return answer.result()


_forker: _Forker | None = None
_forker_lock = threading.Lock()


def _the_forker() -> _Forker:
    """The one of this process, started when first needed; a thread does not survive a fork of ours."""
    global _forker  # noqa: PLW0603 - one per process is the point
    with _forker_lock:
        if _forker is None or not _forker.is_alive():
            _forker = _Forker()
            _forker.start()
        return _forker


def spawn(  # noqa: PLR0913 - what a process needs
    argv: Sequence[str | Path],
    *,
    output: int | IO[Any],
    stdin: int = subprocess.DEVNULL,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    user: str = "",
    orphaned: signal.Signals = signal.SIGKILL,
) -> subprocess.Popen[bytes]:
    """Start a program (its whole path first) in a session of its own, both outputs to `output`.

    `orphaned` is the signal that it gets when we are gone, `user` whom it runs as when we are root.
    """
    guarded = [sys.executable, "-I", "-S", GUARD, str(os.getpid()), str(int(orphaned)), user, *argv]

    def start() -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            guarded,
            stdin=stdin,
            stdout=output,
            stderr=subprocess.STDOUT,
            env=None if env is None else dict(env),
            cwd=cwd,
            start_new_session=True,  # Ctrl-C in the terminal is for us; we stop them in our order
        )

    return _the_forker().start_child(start)


def end(process: subprocess.Popen[bytes] | psutil.Process, *steps: tuple[signal.Signals, float]) -> None:
    """Send one signal after the other, each with its time in seconds to take effect; then kill."""
    for signal_number, seconds in steps:
        with suppress(psutil.NoSuchProcess):
            process.send_signal(signal_number)
        with suppress(subprocess.TimeoutExpired, psutil.TimeoutExpired):
            process.wait(seconds)
            return
    with suppress(psutil.NoSuchProcess):
        process.kill()
    process.wait()


def record(folder: Path, name: str, pid: int, argv: Sequence[str | Path]) -> None:
    """Note a child, so that `stop_leftovers` finds it should we be gone without it."""
    folder.mkdir(parents=True, exist_ok=True)
    with suppress(psutil.NoSuchProcess):
        started = psutil.Process(pid).create_time()
        note = {"pid": pid, "started": started, "argv": [str(part) for part in argv]}
        (folder / f"{name}.json").write_text(json.dumps(note), encoding="utf-8")


def forget(folder: Path, name: str) -> None:
    """A child that ended is no leftover."""
    (folder / f"{name}.json").unlink(missing_ok=True)


def stop_leftovers(folder: Path) -> list[str]:
    """Stop what was recorded in this folder and still runs; returns the names."""
    stopped = []
    for note in sorted(folder.glob("*.json")):
        process = _leftover(note)
        if process:
            end(process, (signal.SIGTERM, 5))
            stopped.append(note.stem)
        note.unlink()
    return stopped


def _leftover(note: Path) -> psutil.Process | None:
    """The process of a note, if it is still that one and not another under the same number."""
    try:
        noted = json.loads(note.read_text(encoding="utf-8"))
        process = psutil.Process(noted["pid"])
        same_program = process.cmdline()[-len(noted["argv"]) :] == noted["argv"]
        same_start = abs(process.create_time() - noted["started"]) < CLOCK_SLEW_SECONDS
    except (ValueError, psutil.NoSuchProcess, psutil.ZombieProcess):  # half written, or gone
        return None
    return process if same_program and same_start else None
