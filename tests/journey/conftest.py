"""A whole stack as processes, started once; after every journey the audit must find nothing."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from services.local import loading
from services.local.doors import Doors
from services.local.stack import DEFAULT_START, Options, Stack
from tests.journeys import Journey, violations


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """Kafka, PostgreSQL, the outside world and all services, with the demo's data."""
    stack = Stack(Options(tmp_path_factory.mktemp("stack"), start=DEFAULT_START), progress=lambda _: None)
    try:
        stack.start()
        with Doors(stack.description) as doors:
            loading.load(doors, lambda _: None)
            doors.quiet()
        stack.ready()
        yield stack
    finally:
        stack.stop()


@pytest.fixture
def journey(stack: Stack) -> Iterator[Journey]:
    """The doors of the stack in the words of the story; audited afterwards."""
    with Doors(stack.description) as doors:
        yield Journey(doors, Path(stack.folder) / "clock.json")
        assert violations(doors) == []
