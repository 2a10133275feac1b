"""Events: class, file, topic and type hold together; schemas are frozen; any CloudEvents SDK reads the examples."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from cloudevents.core.bindings.kafka import KafkaMessage, from_binary_event
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel

from contracts.dead_letter_v1 import DiscrepancyFound
from contracts.event import HIGHEST_SEQUENCE, REGISTRY, Envelope, Event, UnreadableMessageError
from contracts.order_v1 import OrderHeld
from contracts.topics import BY_EVENT, SERVICES, TOPICS
from tests.contracts import schemas

EVENTS = schemas.EVENTS
FOLDER = Path(__file__).parents[2] / "contracts/examples"
EXAMPLES = sorted(FOLDER.glob("*.json"))
PERSONAL = {"name", "names", "email", "phone", "birth_date", "address"}
NAMES_OF_OFFERS = "Offer.names"


def named(event: type[Event]) -> str:
    return event.type


def example(path: Path) -> tuple[Envelope, Event, dict[str, Any]]:
    """An example, decoded by ourselves."""
    kept = json.loads(path.read_text(encoding="utf-8"))
    envelope = Envelope.from_headers([(name, value.encode()) for name, value in kept["headers"].items()])
    value = json.dumps(kept["value"]).encode()
    return envelope, REGISTRY[envelope.type].from_value(value), kept


@pytest.mark.parametrize("event", EVENTS, ids=named)
def test_class_type_file_and_topic_say_the_same(event: type[Event]) -> None:
    subject, happened, version = event.type.split(".")
    words = f"{subject}-{happened}".split("-")
    assert event.__name__ == "".join(word.capitalize() for word in words)
    topic = BY_EVENT[event].name
    assert event.__module__ == f"contracts.{topic.removesuffix('s').replace('-', '_')}_{version}"


def test_every_event_has_a_topic_and_every_topic_names_with_dashes() -> None:
    assert set(BY_EVENT) == set(EVENTS)
    assert sum(len(topic.events) for topic in TOPICS) == len(EVENTS)
    assert [topic.name for topic in TOPICS if not re.fullmatch(r"[a-z]+(-[a-z]+)*", topic.name)] == []


def test_writers_and_consumers_are_services_and_consume_what_is_there() -> None:
    for topic in TOPICS:
        assert {*topic.writers, *topic.consumers} <= set(SERVICES)
        assert all(set(events) <= set(topic.events) for events in topic.consumers.values())


@pytest.mark.parametrize("event", EVENTS, ids=named)
def test_the_schema_is_the_frozen_one(event: type[Event]) -> None:
    """After a change: `make schemas`, then look at `git diff contracts/schemas`; optional additions are allowed."""
    frozen = schemas.FOLDER / f"{event.type}.json"
    assert frozen.read_text(encoding="utf-8") == schemas.text(event), "see: make schemas, git diff contracts/schemas"


def test_there_is_no_schema_or_example_of_an_event_that_is_gone() -> None:
    assert {path.stem for path in schemas.FOLDER.glob("*.json")} == set(REGISTRY)
    assert {example(path)[0].type for path in EXAMPLES} == set(REGISTRY)


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_an_example_is_what_its_class_says(path: Path) -> None:
    envelope, event, kept = example(path)
    assert path.stem == envelope.type
    written = json.loads(type(event).model_validate_json(json.dumps(kept["value"])).to_value())
    assert _only(written, kept["value"]) == kept["value"]
    assert (event.key, event.subject) == (kept["key"], envelope.subject)
    assert envelope.key == kept["key"]
    assert envelope.source in BY_EVENT[type(event)].writers
    assert envelope.sunset == event.sunset
    assert [(name, value.decode()) for name, value in envelope.headers()] == list(kept["headers"].items())
    if isinstance(event, DiscrepancyFound):
        assert event.case_id == envelope.id


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_a_stranger_reads_an_example_with_the_stock_cloudevents_sdk(path: Path) -> None:
    envelope, _, kept = example(path)
    headers = {name: value.encode() for name, value in kept["headers"].items()}
    read = from_binary_event(KafkaMessage(headers, kept["key"].encode(), json.dumps(kept["value"]).encode()))
    assert (read.get_id(), read.get_source(), read.get_type()) == (envelope.id, envelope.source, envelope.type)
    assert (read.get_subject(), read.get_time()) == (envelope.subject, envelope.time)
    assert read.get_dataschema() == f"urn:asquoted:schema:{envelope.type}"
    assert read.get_extension("partitionkey") == kept["key"]
    assert int(read.get_extension("sequence")) == envelope.sequence
    assert read.get_data() == kept["value"]


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_a_reader_ignores_what_a_later_version_adds_at_any_depth(path: Path) -> None:
    _, event, kept = example(path)
    more = json.dumps(_with_more(kept["value"])).encode()
    assert type(event).from_value(more) == event


def _only(written: Any, known: Any) -> Any:
    """What an older message knew of: later optional additions are no difference, anything else is."""
    if isinstance(written, dict) and isinstance(known, dict):
        return {key: _only(value, known[key]) for key, value in written.items() if key in known}
    if isinstance(written, list) and isinstance(known, list) and len(written) == len(known):
        return [_only(*pair) for pair in zip(written, known, strict=True)]
    return written


def _with_more(node: Any, name: str = "") -> Any:
    if name in {"level", "expected", "given"}:  # data of their own, no fields
        return node
    if isinstance(node, dict):
        return {**{key: _with_more(value, key) for key, value in node.items()}, "added_later": {"any": 1}}
    return [_with_more(each) for each in node] if isinstance(node, list) else node


def test_a_producer_cannot_make_an_event_with_a_field_that_is_not_declared() -> None:
    _, event, kept = example(FOLDER / f"{OrderHeld.type}.json")
    with pytest.raises(ValueError, match="colour"):
        type(event).model_validate({**kept["value"], "colour": "red"})


def test_personal_data_travels_on_customers_only() -> None:
    found = {
        f"{owner.__name__}.{field}"
        for event in EVENTS
        if BY_EVENT[event].name != "customers"
        for owner in _models(event)
        for field in owner.model_fields
        if field in PERSONAL
    }
    # Names of offers in four languages, and of headers of a record, are no person's.
    assert found == {NAMES_OF_OFFERS, "RawHeader.name"}
    written = "".join(path.read_text(encoding="utf-8") for path in EXAMPLES if path.stem != "customer.recorded.v1")
    assert "@" not in written
    assert "Valérie" not in written


def _models(model: type[BaseModel]) -> set[type[BaseModel]]:
    """A model and all that it holds."""
    found = {model}
    for field in model.model_fields.values():
        for part in _parts(field.annotation):
            found |= _models(part)
    return found


def _parts(annotation: Any) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [part for argument in getattr(annotation, "__args__", ()) for part in _parts(argument)]


texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), min_size=1, max_size=40)
envelopes = st.builds(
    Envelope,
    id=texts,
    source=texts,
    type=st.sampled_from([event.type for event in EVENTS]),
    time=st.datetimes(timezones=st.just(UTC)),
    subject=texts,
    key=texts,
    sequence=st.integers(1, HIGHEST_SEQUENCE),
    correlation_id=texts | st.none(),
    causation_id=texts | st.none(),
    traceparent=texts | st.none(),
    sunset=texts | st.none(),
)


@given(envelopes)
def test_an_envelope_survives_its_headers(envelope: Envelope) -> None:
    assert Envelope.from_headers(envelope.headers()) == envelope


@given(st.integers(1, HIGHEST_SEQUENCE), st.integers(1, HIGHEST_SEQUENCE))
def test_sequences_have_20_digits_and_sort_as_texts_like_numbers(one: int, other: int) -> None:
    def written(sequence: int) -> bytes:
        envelope = Envelope("id", "intake", "order.held.v1", _ANY.time, sequence=sequence)
        return dict(envelope.headers())["ce_sequence"]

    assert len(written(one)) == 20
    assert (written(one) < written(other)) == (one < other)


@pytest.mark.parametrize(
    "sequence", ["1", "0" * 20, "9" * 20, "-" + "1" * 19, "+" + "1" * 19, "\uff11" * 20, " " + "1" * 19]
)
def test_a_sequence_of_another_form_is_unreadable(sequence: str) -> None:
    headers = [(name, sequence.encode() if name == "ce_sequence" else value) for name, value in _ANY.headers()]
    with pytest.raises(UnreadableMessageError, match="ce_sequence"):
        Envelope.from_headers(headers)


@pytest.mark.parametrize("moment", ["2026-11-20", "2026-11-20T14:00:00", "yesterday", ""])
def test_a_time_without_an_offset_or_sense_is_unreadable(moment: str) -> None:
    headers = [(name, moment.encode() if name == "ce_time" else value) for name, value in _ANY.headers()]
    with pytest.raises(UnreadableMessageError, match="ce_time"):
        Envelope.from_headers(headers)


def test_a_deprecated_version_says_until_when() -> None:
    headers = dict(replace(_ANY, sunset="2027-06-30T00:00:00Z").headers())
    assert (headers["ce_deprecated"], headers["ce_deprecationsunset"]) == (b"true", b"2027-06-30T00:00:00Z")


def test_an_event_with_a_sunset_has_its_next_version_on_the_same_topic() -> None:
    old = [event for event in EVENTS if event.sunset]
    assert [event.type for event in old] == ["offer.withdrawn.v1"]
    for event in old:
        successor = REGISTRY[event.type.replace(f".v{schemas.version(event)}", f".v{schemas.version(event) + 1}")]
        assert successor.sunset is None
        assert BY_EVENT[successor] is BY_EVENT[event]
        assert datetime.fromisoformat(str(event.sunset)).tzinfo is UTC
        assert schemas.schema(event)["deprecated"] is True


def test_a_consumer_reads_one_version_of_an_event() -> None:
    for topic in TOPICS:
        for service, consumed in topic.consumers.items():
            subjects = [event.type.rpartition(".v")[0] for event in consumed]
            assert len(subjects) == len(set(subjects)), f"{service} reads two versions of {subjects}"


@pytest.mark.parametrize("type_", ["OrderHeld", "order.held", "order.held.v0", "order_held.v1", "order.held.v1"])
def test_a_type_of_another_form_or_one_that_is_taken_cannot_be_declared(type_: str) -> None:
    with pytest.raises(TypeError):
        type("Wrong", (Event,), {}, type=type_)


_ANY = example(FOLDER / f"{OrderHeld.type}.json")[0]
