"""The AsyncAPI document: it is what map, classes and examples say, and valid to whoever wrote the standard."""

from __future__ import annotations

import copy
import json
import subprocess
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft7Validator, Draft202012Validator

from contracts.event import Envelope, Event
from contracts.topics import TOPICS
from tests.contracts import asyncapi, schemas

STANDARD = Path(__file__).parent / "vendored/asyncapi-3.0.0.json"
NEWER_EXISTS = "asyncapi-latest-version"


@pytest.fixture(scope="module")
def kept() -> Any:
    """The document as it is kept."""
    return json.loads(asyncapi.FILE.read_text(encoding="utf-8"))


def judged(node: Path, document: Any, folder: Path) -> list[str]:
    """What the official parser finds, but for the news that there is a later AsyncAPI."""
    file = folder / "asyncapi.json"
    file.write_text(json.dumps(document), encoding="utf-8")
    done = subprocess.run(
        ["node", "validate.mjs", file], cwd=node, capture_output=True, text=True, timeout=120, check=True
    )
    found = json.loads(done.stdout)
    told = [f"{each['code']} {each['path']}: {each['message']}" for each in found["diagnostics"]]
    assert found["valid"] or told
    return [each for each in told if not each.startswith(NEWER_EXISTS)]


def test_the_document_is_what_the_contracts_say() -> None:
    assert asyncapi.FILE.read_text(encoding="utf-8") == asyncapi.text(), "see: make schemas"


def test_the_document_is_valid_by_the_schema_of_the_standard(kept: Any) -> None:
    validator = Draft7Validator(json.loads(STANDARD.read_text(encoding="utf-8")))
    assert [f"{each.json_path}: {each.message}" for each in validator.iter_errors(kept)] == []
    kept = copy.deepcopy(kept)
    kept["channels"]["offers"]["bindings"]["kafka"]["partitions"] = "twelve"
    assert not validator.is_valid(kept)


@pytest.mark.timeout(400)
def test_the_document_is_valid_to_the_official_parser(node: Path, kept: Any, tmp_path: Path) -> None:
    assert judged(node, kept, tmp_path) == []


@pytest.mark.timeout(400)
def test_the_official_parser_sees_a_reference_to_nothing(node: Path, kept: Any, tmp_path: Path) -> None:
    wrong = copy.deepcopy(kept)
    wrong["components"]["messages"]["offer.withdrawn.v2"]["payload"] = {"$ref": "#/components/schemas/gone"}
    assert [each for each in judged(node, wrong, tmp_path) if "schemas/gone" in each or "does not exist" in each]


def test_every_topic_says_its_owner_its_readers_its_keys_and_how_long_it_is_kept(kept: Any) -> None:
    assert list(kept["channels"]) == [topic.name for topic in TOPICS]
    for topic in TOPICS:
        channel = kept["channels"][topic.name]
        assert list(channel["messages"]) == [event.type for event in topic.events]
        assert [each["name"] for each in channel["tags"]] == [f"owner:{writer}" for writer in topic.writers]
        assert channel["bindings"]["kafka"]["topicConfiguration"]["retention.ms"] == topic.retention_ms
        told = {
            (name.split(".")[0], operation["action"]): [each["$ref"].split("/")[-1] for each in operation["messages"]]
            for name, operation in kept["operations"].items()
            if operation["channel"]["$ref"] == f"#/channels/{topic.name}"
        }
        publishing = {(writer, "send"): [event.type for event in topic.events] for writer in topic.writers}
        reading = {(who, "receive"): [event.type for event in events] for who, events in topic.consumers.items()}
        assert told == publishing | reading


def test_the_headers_described_are_those_of_an_envelope() -> None:
    now = datetime(2026, 11, 20, tzinfo=UTC)
    full = Envelope(
        "id", "intake", "order.held.v1", now, "subject", "key", 1, "c", "c", "trace", "2027-06-30T00:00:00Z"
    )
    bare = Envelope("id", "intake", "order.held.v1", now, "subject")
    assert [name for name, _ in full.headers()] == list(asyncapi.HEADERS)
    assert [name for name, _ in bare.headers()] == list(asyncapi.ALWAYS)


@pytest.mark.parametrize("event", schemas.EVENTS, ids=lambda event: event.type)
def test_a_stranger_validates_an_example_by_the_frozen_schema(event: type[Event]) -> None:
    validator = Draft202012Validator(schemas.schema(event))
    validator.check_schema(validator.schema)
    kept = json.loads((asyncapi.EXAMPLES / f"{event.type}.json").read_text(encoding="utf-8"))
    assert [each.message for each in validator.iter_errors(kept["value"])] == []


@pytest.mark.parametrize("event", schemas.EVENTS, ids=lambda event: event.type)
def test_an_example_is_valid_by_what_the_document_says_of_its_value_and_its_headers(
    event: type[Event], kept: Any
) -> None:
    message = kept["components"]["messages"][event.type]
    [example] = message["examples"]
    for part in ("headers", "payload"):
        validator = Draft7Validator({"allOf": [message[part]], "components": kept["components"]})
        assert [each.message for each in validator.iter_errors(example[part])] == []
        first = required(kept, message[part])[0]
        assert not validator.is_valid({name: value for name, value in example[part].items() if name != first})


def required(kept: Any, schema: Any) -> list[str]:
    """The fields that a schema of the document requires."""
    while "$ref" in schema or "allOf" in schema:
        schema = schema["allOf"][0] if "allOf" in schema else kept["components"]["schemas"][schema["$ref"][21:]]
    return list(schema["required"])


def test_two_forms_of_one_name_are_kept_apart() -> None:
    shared: dict[str, Any] = {"Money": {"type": "integer"}}
    event = next(each for each in schemas.EVENTS if each.type == "commission.held.v1")
    value = asyncapi._value(event, shared)
    assert value["properties"]["commission"] == {"$ref": "#/components/schemas/Money.v1"}
    assert shared["Money"] == {"type": "integer"}
    assert shared["Money.v1"]["properties"].keys() == {"amount", "currency"}
