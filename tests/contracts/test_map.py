"""The map cannot lie: what handlers and jobs are declared to consume and publish is what contracts/topics.py says."""

from __future__ import annotations

import importlib
import inspect
import types
import typing
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from contracts.case_v1 import CaseDecided
from contracts.event import Event
from contracts.topics import BY_EVENT, SERVICES, TOPICS, Topic, consumed_by

ROOT = Path(__file__).parents[2]
WITH_HANDLERS = [service for service in SERVICES if (ROOT / "services" / service / "handlers.py").exists()]


def handlers(service: str) -> list[Any]:
    """The handlers and the functions that do jobs."""
    module = importlib.import_module(f"services.{service}.handlers")
    members = [member for _, member in inspect.getmembers(module, inspect.iscoroutinefunction)]
    return [each for each in members if hasattr(each, "consumes") or hasattr(each, "job_kind")]


def published(function: Any) -> Iterator[type[Event]]:
    """The events in a return annotation."""
    yield from _events(typing.get_type_hints(function)["return"])


def _events(annotation: Any) -> Iterator[type[Event]]:
    if isinstance(annotation, type) and issubclass(annotation, Event):
        yield annotation
    elif typing.get_origin(annotation) in {list, typing.Union, types.UnionType}:
        for part in typing.get_args(annotation):
            yield from _events(part)


@pytest.mark.parametrize("service", WITH_HANDLERS)
def test_a_service_handles_exactly_what_the_map_says_that_it_consumes(service: str) -> None:
    handled = [each.consumes for each in handlers(service) if hasattr(each, "consumes")]
    mapped = {event for _, event in consumed_by(service)}
    assert len(handled) == len(set(handled))
    assert set(handled) - {CaseDecided} == mapped - {CaseDecided}


@pytest.mark.parametrize("service", WITH_HANDLERS)
def test_a_service_publishes_only_on_topics_that_it_writes(service: str) -> None:
    wrong = {
        f"{each.__name__} -> {event.__name__}"
        for each in handlers(service)
        for event in published(each)
        if service not in BY_EVENT[event].writers
    }
    assert wrong == set()


@pytest.mark.parametrize("service", WITH_HANDLERS)
def test_a_handler_says_what_it_takes_and_what_it_may_publish(service: str) -> None:
    for each in handlers(service):
        hints = typing.get_type_hints(each)
        returned = hints.pop("return")
        assert returned is type(None) or list(_events(returned)), f"{each.__name__} returns {returned}"
        if hasattr(each, "consumes"):
            assert next(iter(hints.values())) is each.consumes, each.__name__


def test_every_event_is_published_by_a_service_that_its_topic_names() -> None:
    """By a handler or job, or by a door: then the class is named in its source."""
    sources = {service: _source(service) for service in SERVICES}
    chassis = _source("chassis")
    silent = {
        event.__name__
        for topic in TOPICS
        for event in topic.events
        if not any(f"{event.__name__}(" in sources[writer] + chassis for writer in topic.writers)
    }
    assert silent <= _not_yet(), silent


def _source(service: str) -> str:
    return "".join(path.read_text(encoding="utf-8") for path in (ROOT / "services" / service).rglob("*.py"))


def _not_yet() -> set[str]:
    """Events that are part of the language and that no service publishes yet."""
    return {"OrderFailed"}


def test_only_the_map_says_who_may_write_a_topic() -> None:
    assert [topic.name for topic in TOPICS if len(topic.writers) != 1] == ["dead-letters"]


@pytest.mark.parametrize("topic", TOPICS, ids=lambda topic: topic.name)
def test_the_map_says_truly_whether_a_topic_is_keyed_by_subscription(topic: Topic) -> None:
    keyed = {inspect.getdoc(event.key) == "The subscription's id." for event in topic.events}
    assert keyed == {topic.by_subscription}
