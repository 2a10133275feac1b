"""The two clocks: business time, which tests may move, and real time."""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path


class Clock:
    """Reads business time (UTC): real time plus an offset kept in a file, re-read whenever the file changed."""

    def __init__(self, file: Path | None = None) -> None:
        """Without a file business time is real time."""
        self._file = file
        self._version: tuple[int, int] | None = None
        self._offset = timedelta()

    def now(self) -> datetime:
        """Business time: what happened when, in tables, rules and `ce_time`."""
        return self.real() + self._current_offset()

    @staticmethod
    def real() -> datetime:
        """Real time: leases, back-off, readiness."""
        return datetime.now(UTC)

    @staticmethod
    def monotonic() -> float:
        """Seconds for measuring durations."""
        return time.monotonic()

    def _current_offset(self) -> timedelta:
        if self._file is None:
            return self._offset
        found = self._file.stat()
        version = (
            found.st_mtime_ns,
            found.st_ino,
        )  # a new file each time: two moves may share one tick of the file system
        if version != self._version:
            self._offset = read_offset(self._file)
            self._version = version
        return self._offset


def read_offset(file: Path) -> timedelta:
    """Read how far business time is ahead of real time."""
    return timedelta(seconds=json.loads(file.read_text())["offset_seconds"])


def write_offset(file: Path, offset: timedelta) -> None:
    """Move business time, atomically for every process that reads the file."""
    beside = file.with_suffix(".new")
    beside.write_text(json.dumps({"offset_seconds": offset.total_seconds()}))
    beside.replace(file)
