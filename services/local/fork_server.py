"""Python processes that start at once: forked from one that has loaded already what all of them need.

To load it takes a second of CPU, and six services would each take one. The server is a process of ours with its end of
a socket as standard input: it is asked for processes and to signal them, and says when each started and ended. What it
has loaded stays as it was then: after a change of the code the whole stack is started anew. The fork server of Python's
`multiprocessing` would load our command line in each fork, and gives none outputs, a session or signals of its own.
"""

from __future__ import annotations

import gc
import importlib
import itertools
import json
import os
import runpy
import select
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future
from contextlib import suppress
from pathlib import Path
from typing import IO, Any

from services.local import guard, processes

NAME = "services.local.fork_server"
LOADED = ("services.chassis.service", "jinja2", "babel.dates", "itsdangerous")
"""What brings with it nearly all that a service loads; it reads no settings and starts nothing."""
LONGEST_MESSAGE = 1024 * 1024
"""Bytes; the kernel refuses what is longer than its buffer, which is less."""
START_SECONDS = 30.0
KILLED = -signal.SIGKILL


class Forked:
    """A process that was forked for us: what Popen has of one, as far as we use it."""

    def __init__(self, server: ForkServer, pid: int, ended: Future[int], stdout: IO[bytes]) -> None:
        """`ended` is going to be its exit code; `stdout` is what it writes, to both outputs."""
        self.pid = pid
        self.stdout = stdout
        self._server = server
        self._ended = ended

    def poll(self) -> int | None:
        """Its exit code; None while it runs."""
        return self._ended.result() if self._ended.done() else None

    def wait(self, timeout: float | None = None) -> int:
        """Its exit code, once it has ended; negative for a signal. Raises TimeoutError after `timeout` seconds."""
        return self._ended.result(timeout)

    def terminate(self) -> None:
        """SIGTERM."""
        self._signal(signal.SIGTERM)

    def kill(self) -> None:
        """SIGKILL."""
        self._signal(signal.SIGKILL)

    def _signal(self, number: signal.Signals) -> None:
        if not self._ended.done():  # else its number may be another fork's
            self._server.signal(self.pid, number)


class ForkServer:
    """The server, as the one sees it who asks; it is started with the first process, and again where it is gone."""

    def __init__(self, log: Path) -> None:
        """`log` is the file that gets what the server itself writes."""
        self._log = log
        self._numbers = itertools.count()
        self._lock = threading.Lock()
        self._control: socket.socket | None = None
        self._hearing: threading.Thread | None = None
        self._starting: dict[int, Future[tuple[int, Future[int]]]] = {}
        self._ends: dict[int, Future[int]] = {}

    @property
    def argv(self) -> list[str]:
        """The command line that the server has, and each that it forks: a fork keeps its parent's."""
        return [sys.executable, "-m", NAME]

    def warm(self) -> None:
        """Have the server load now what is going to be needed, while something else is waited for."""
        with self._lock:
            self._connected()

    def start(self, module: str, arguments: Sequence[str], env: Mapping[str, str]) -> Forked:
        """Run a module as `python -m` would. Raises OSError where that fails or the server ends meanwhile."""
        reading, writing = os.pipe()
        try:
            asked = {"module": module, "arguments": [*arguments], "env": {**env}}
            pid, ended = self._ask_for(asked, writing).result(START_SECONDS)
        except OSError as error:
            os.close(reading)
            message = f"the fork server did not start {module}: {str(error) or 'it does not answer'}; see {self._log}"
            raise ConnectionError(message) from error
        finally:
            os.close(writing)
        return Forked(self, pid, ended, os.fdopen(reading, "rb"))

    def signal(self, pid: int, number: signal.Signals) -> None:
        """Send a signal to one of its processes; none where that has ended, whoever has its number now."""
        with self._lock, suppress(OSError):  # it is going, and takes its forks along
            if self._control is not None:
                self._control.send(json.dumps({"pid": pid, "signal": int(number)}).encode())

    def stop(self) -> None:
        """End the server, and with it what it forked."""
        with self._lock:
            if self._control is None or self._hearing is None:
                return
            self._control.shutdown(socket.SHUT_RDWR)
        self._hearing.join()

    def _ask_for(self, wanted: dict[str, Any], output: int) -> Future[tuple[int, Future[int]]]:
        """Ask for a process; its id and its end are told later."""
        with self._lock:
            number, control = next(self._numbers), self._connected()
            started = self._starting[number] = Future()
            socket.send_fds(control, [json.dumps({"number": number, **wanted}).encode()], [output])
            return started

    def _connected(self) -> socket.socket:
        if self._control is None:
            ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            with theirs, self._log.open("ab") as log:
                process = processes.spawn(self.argv, output=log, stdin=theirs.fileno())
            self._control = ours
            self._hearing = threading.Thread(target=self._hear, args=(ours, process), name="fork-server", daemon=True)
            self._hearing.start()
        return self._control

    def _hear(self, control: socket.socket, process: subprocess.Popen[bytes]) -> None:
        """Note what the server tells, until it ends or is not wanted any more."""
        try:
            while message := _received(control):
                self._note(json.loads(message))
        finally:
            with self._lock:
                self._control = None
                control.close()
                starting, self._starting, ends, self._ends = self._starting, {}, self._ends, {}
            process.kill()  # it may be loading, or stuck; the kernel ends what it forked
            process.wait()
            for asked in starting.values():
                asked.set_exception(ConnectionError("it ended"))
            for ended in ends.values():
                ended.set_result(KILLED)

    def _note(self, told: dict[str, Any]) -> None:
        if "code" in told:
            self._ends.pop(told["pid"]).set_result(told["code"])
        elif "failed" in told:
            self._starting.pop(told["number"]).set_exception(ConnectionError(told["failed"]))
        else:
            ended = self._ends[told["pid"]] = Future()
            self._starting.pop(told["number"]).set_result((told["pid"], ended))


def _received(control: socket.socket) -> bytes:
    try:
        return control.recv(LONGEST_MESSAGE)
    except ConnectionError:
        return b""


def load() -> None:
    """Load what is going to be needed; what cannot be loaded is told by the process that needs it."""
    for module in LOADED:
        with suppress(Exception):
            importlib.import_module(module)
    gc.collect()
    gc.freeze()


def serve(control: socket.socket) -> dict[str, Any] | None:
    """Fork what is asked for; returns None when nobody is there any more, and in each fork what it is to become."""
    woken, wake = socket.socketpair()
    wake.settimeout(0)
    signal.set_wakeup_fd(wake.fileno())
    signal.signal(signal.SIGCHLD, lambda *_: None)
    server, living = os.getpid(), set[int]()
    with control, woken, wake:
        while True:
            ready, _, _ = select.select([control, woken], [], [])
            if woken in ready:
                woken.recv(LONGEST_MESSAGE)
            for pid, code in _ended():
                living.discard(pid)
                control.send(json.dumps({"pid": pid, "code": code}).encode())
            if control not in ready:
                continue
            message, outputs, _, _ = socket.recv_fds(control, LONGEST_MESSAGE, 1)
            if not message:
                return None
            asked: dict[str, Any] = json.loads(message)
            if "signal" in asked:
                for each in living & {asked["pid"]}:
                    os.kill(each, asked["signal"])
                continue
            forked = _fork(control, asked["number"])
            if forked == 0:
                _settle(server, outputs[0])
                return asked
            os.close(outputs[0])
            if forked is not None:
                living.add(forked)


def _fork(control: socket.socket, number: int) -> int | None:
    """Fork and say so; returns 0 in the fork, and None where it failed: the others need not die of that."""
    try:
        pid = os.fork()
    except OSError as error:
        control.send(json.dumps({"number": number, "failed": str(error)}).encode())
        return None
    if pid != 0:
        control.send(json.dumps({"number": number, "pid": pid}).encode())
    return pid


def _ended() -> Iterator[tuple[int, int]]:
    """The forks that ended, with their exit codes."""
    with suppress(ChildProcessError):
        while (found := os.waitpid(-1, os.WNOHANG)) != (0, 0):
            yield found[0], os.waitstatus_to_exitcode(found[1])


def _settle(server: int, output: int) -> None:
    """Have a fork be a process like one that was started: a session, outputs and signals of its own."""
    signal.set_wakeup_fd(-1)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    os.setsid()
    guard.end_with_parent(server, signal.SIGKILL)
    nothing = os.open(os.devnull, os.O_RDONLY)
    for number, place in enumerate((nothing, output, output)):
        os.dup2(place, number)
    os.close(nothing)
    os.close(output)


def main() -> None:
    """Serve; each fork becomes the module that it is asked to be."""
    load()
    asked = serve(socket.socket(fileno=os.dup(0)))
    if asked is None:
        return
    os.environ.clear()
    os.environ.update(asked["env"])
    sys.argv = [asked["module"], *asked["arguments"]]
    guard.call_it(asked["module"].rpartition(".")[2])
    runpy.run_module(asked["module"], run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
