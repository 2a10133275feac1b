"""The two clocks, and links that only we can sign."""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from services.chassis import links
from services.chassis.clock import Clock, read_offset, write_offset
from services.chassis.links import ForgedLinkError

MINUTE = timedelta(minutes=1)


def test_without_a_file_business_time_is_real_time() -> None:
    assert abs(Clock().now() - datetime.now(UTC)) < MINUTE


def test_every_process_sees_a_move_at_once(tmp_path: Path) -> None:
    file = tmp_path / "clock.json"
    write_offset(file, timedelta(days=3))
    one, other = Clock(file), Clock(file)
    assert abs(one.now() - other.now()) < MINUTE
    write_offset(file, timedelta(days=17))
    for clock in (one, other):
        assert abs(clock.now() - clock.real() - timedelta(days=17)) < MINUTE
    assert read_offset(file) == timedelta(days=17)


def test_two_moves_within_one_tick_of_the_file_system_are_both_seen(tmp_path: Path) -> None:
    file = tmp_path / "clock.json"
    write_offset(file, timedelta(days=1))
    os.utime(file, ns=(1, 1))
    clock = Clock(file)
    clock.now()
    write_offset(file, timedelta(days=2))
    os.utime(file, ns=(1, 1))
    assert abs(clock.now() - clock.real() - timedelta(days=2)) < MINUTE


def test_a_link_names_what_it_was_signed_for_and_no_other_key_makes_one() -> None:
    token = links.sign("secret", "confirmation-1")
    assert links.read("secret", token) == "confirmation-1"
    for forged in (links.sign("another", "confirmation-1"), token[:-1], token + "x", "confirmation-1", ""):
        with pytest.raises(ForgedLinkError):
            links.read("secret", forged)


def test_without_a_secret_nothing_is_signed_or_read() -> None:
    with pytest.raises(ValueError, match="LINK_SECRET"):
        links.sign("", "confirmation-1")
