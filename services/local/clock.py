"""Moves the business time of a stack from one due time to the next, waiting for quiet between them."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

from services.chassis.clock import read_offset, write_offset
from services.local.doors import Doors

_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
JUST_AFTER = timedelta(milliseconds=1)


class ClockError(Exception):
    """The clock cannot be moved; the message says why."""


def duration(text: str) -> timedelta:
    """Read a duration such as `14d`, `90m` or `1h30m`. Raises ClockError."""
    parts = re.findall(r"(\d+)([smhdw])", text)
    if not parts or "".join(number + unit for number, unit in parts) != text:
        message = f"{text!r} is no duration; write for example 14d, 90m or 1h30m"
        raise ClockError(message)
    return sum((timedelta(**{_UNITS[unit]: int(number)}) for number, unit in parts), timedelta())


def now(file: Path) -> datetime:
    """Business time of a stack. Raises ClockError for one that runs on real time."""
    if not file.exists():
        message = "this stack runs on real time; start it with `asquoted up --movable-clock`"
        raise ClockError(message)
    return datetime.now(UTC) + read_offset(file)


def advance(doors: Doors, file: Path, by: timedelta, progress: Callable[[datetime], None]) -> datetime:
    """Move business time forward; each job is done at its due time. Returns the new time."""
    target = now(file) + by
    doors.quiet()
    while (due := _next_due(doors)) is not None and due <= target:
        _set(file, due + JUST_AFTER)
        progress(due)
        doors.quiet()
    if now(file) < target:
        _set(file, target)
        progress(target)
    doors.quiet()
    return now(file)


def _set(file: Path, to: datetime) -> None:
    write_offset(file, to - datetime.now(UTC))


def _next_due(doors: Doors) -> datetime | None:
    times = [state["jobs"]["next_due_at"] for state in doors.readiness().values() if "jobs" in state]
    return min((datetime.fromisoformat(each) for each in times if each), default=None)
