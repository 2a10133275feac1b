"""A whole stack as processes, started once; after every journey the audit must find nothing."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from services.local.doors import Doors
from services.local.stack import Stack
from tests.journeys import Journey, started, violations


@pytest.fixture(scope="session")
def stack() -> Iterator[Stack]:
    """Kafka, PostgreSQL, the outside world and all services, with the demo's data."""
    with started() as stack:
        yield stack


@pytest.fixture
def journey(stack: Stack) -> Iterator[Journey]:
    """The doors of the stack in the words of the story; audited afterwards."""
    with Doors(stack.description) as doors:
        yield Journey(doors, Path(stack.folder) / "clock.json")
        assert violations(doors) == []
