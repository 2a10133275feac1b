"""Writes the AsyncAPI 3.0 document of all topics (``make schemas``): what the map, the classes and the examples say."""

from __future__ import annotations

import inspect
import json
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from contracts.event import SEQUENCE_DIGITS, Event
from contracts.topics import BY_EVENT, DAY_MS, TOPICS, Topic
from tests.contracts import schemas

FILE = Path(__file__).parents[2] / "contracts/asyncapi.json"
EXAMPLES = FILE.parent / "examples"
Node = dict[str, Any]

INTRODUCTION = """What the services of AsQuoted tell each other, for whoever wants to listen.

The value of a record is JSON; its envelope is CloudEvents 1.0 in binary mode, so that any CloudEvents library reads it
as it is. Messages with one key come in order. Delivery is at least once: `ce_sequence` counts 1, 2, 3 … per source,
topic and key, so who keeps the highest one that he handled, in the transaction of its effect, never acts twice.

Ignore fields and types that you do not know. Within a version only optional fields are added; anything else is a next
version, published beside the one before until its `ce_deprecationsunset`."""

HEADERS: dict[str, tuple[str, Node]] = {
    "content-type": ("The form of the value.", {"const": "application/json"}),
    "ce_specversion": ("The version of CloudEvents.", {"const": "1.0"}),
    "ce_id": ("The id of the event; a message that is sent again has the same.", {"minLength": 1}),
    "ce_source": ("The service that published it.", {}),
    "ce_type": ("What happened, with its version.", {}),
    "ce_time": ("When it was decided: business time, UTC.", {"format": "date-time"}),
    "ce_subject": ("The id of what it happened to.", {}),
    "ce_dataschema": ("The name of the frozen JSON Schema of the value.", {"format": "uri"}),
    "ce_partitionkey": ("The key, once more.", {"minLength": 1}),
    "ce_sequence": (
        "Counts the events of this source, topic and key, without gaps where the topic is kept for ever.",
        {"pattern": f"^[0-9]{{{SEQUENCE_DIGITS}}}$"},
    ),
    "ce_correlationid": ("The id of what it all began with.", {}),
    "ce_causationid": ("The id of what made it happen: an event, a request or a job.", {}),
    "ce_deprecated": ("Says that a next version replaces this one.", {"const": "true"}),
    "ce_deprecationsunset": ("Until when this version is published beside the next one.", {"format": "date-time"}),
    "traceparent": ("W3C trace context.", {}),
}
ALWAYS = ("content-type", "ce_specversion", "ce_id", "ce_source", "ce_type", "ce_time", "ce_subject", "ce_dataschema")
COUNTED = ("ce_partitionkey", "ce_sequence", "ce_correlationid", "ce_causationid")


def document() -> Node:
    """The whole document."""
    shared: Node = {}
    values = {event.type: _value(event, shared) for event in schemas.EVENTS}
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "AsQuoted",
            "version": tomllib.loads((FILE.parents[1] / "pyproject.toml").read_text())["project"]["version"],
            "description": INTRODUCTION,
            "license": {"name": "Apache-2.0"},
        },
        "defaultContentType": "application/json",
        "servers": {"kafka": _server()},
        "channels": {topic.name: _channel(topic) for topic in TOPICS},
        "operations": {name: each for topic in TOPICS for name, each in _operations(topic)},
        "components": {
            "messages": {event.type: _message(event) for event in schemas.EVENTS},
            "schemas": {"CloudEvent": _headers(), **dict(sorted({**shared, **values}.items()))},
        },
    }


def text() -> str:
    """The document as it is kept."""
    return json.dumps(document(), indent=1, ensure_ascii=False) + "\n"


def _server() -> Node:
    return {
        "host": "{bootstrap}",
        "protocol": "kafka",
        "description": "Apache Kafka 4; values are compressed with LZ4.",
        "variables": {"bootstrap": {"description": "As `kafka` in stack.json says, or whoever runs the brokers."}},
    }


def _channel(topic: Topic) -> Node:
    names = " or ".join(sorted({str(inspect.getdoc(event.key)).rstrip(".") for event in topic.events}))
    writers = ", ".join(topic.writers)
    kept = f"for {topic.retention_ms // DAY_MS} days" if topic.retention_ms > 0 else "for ever"
    return {
        "address": topic.name,
        "title": topic.name,
        "description": f"Owned by {writers}. Key: {names}. Kept {'compacted, ' if topic.compacted else ''}{kept}.",
        "messages": {event.type: {"$ref": f"#/components/messages/{event.type}"} for event in topic.events},
        "tags": [{"name": f"owner:{writer}"} for writer in topic.writers],
        "bindings": {
            "kafka": {
                "topic": topic.name,
                "partitions": topic.partitions,
                "topicConfiguration": {
                    "cleanup.policy": ["compact" if topic.compacted else "delete"],
                    "retention.ms": topic.retention_ms,
                    "max.message.bytes": topic.max_message_bytes,
                },
                "bindingVersion": "0.5.0",
            }
        },
    }


def _operations(topic: Topic) -> Iterator[tuple[str, Node]]:
    """What each service does with a topic."""
    for writer in topic.writers:
        yield f"{writer}.publishes.{topic.name}", _operation("send", topic, topic.events, writer)
    for consumer, events in topic.consumers.items():
        yield f"{consumer}.consumes.{topic.name}", _operation("receive", topic, events, consumer)


def _operation(action: str, topic: Topic, events: tuple[type[Event], ...], service: str) -> Node:
    return {
        "action": action,
        "channel": {"$ref": f"#/channels/{topic.name}"},
        "summary": f"{service} {'publishes' if action == 'send' else 'consumes'} {topic.name}",
        "tags": [{"name": service}],
        "messages": [{"$ref": f"#/channels/{topic.name}/messages/{event.type}"} for event in events],
    }


def _headers() -> Node:
    described = {name: {"type": "string", "description": words, **more} for name, (words, more) in HEADERS.items()}
    return {
        "title": "CloudEvent",
        "description": "The headers of every message: CloudEvents 1.0, Kafka protocol binding, binary mode.",
        "type": "object",
        "required": [*ALWAYS, *COUNTED],
        "properties": described,
    }


def _message(event: type[Event]) -> Node:
    words = str(inspect.getdoc(event))
    key = {"type": "string", "description": inspect.getdoc(event.key)}
    kept = json.loads((EXAMPLES / f"{event.type}.json").read_text(encoding="utf-8"))
    message = {
        "name": event.type,
        "title": event.__name__,
        "summary": words.partition("\n")[0],
        "description": words,
        "headers": {"allOf": [{"$ref": "#/components/schemas/CloudEvent"}, _exactly(event)]},
        "payload": {"$ref": f"#/components/schemas/{event.type}"},
        "bindings": {"kafka": {"key": key, "bindingVersion": "0.5.0"}},
        "examples": [{"name": event.type, "headers": kept["headers"], "payload": kept["value"]}],
    }
    if event.sunset:
        message["tags"] = [{"name": "deprecated", "description": f"Published until {event.sunset}."}]
    return message


def _exactly(event: type[Event]) -> Node:
    """What the headers of this event's messages say, beside what those of all messages do."""
    exact: Node = {
        "ce_type": {"const": event.type},
        "ce_dataschema": {"const": f"urn:asquoted:schema:{event.type}"},
        "ce_source": {"enum": list(BY_EVENT[event].writers)},
    }
    if event.sunset:
        exact |= {"ce_deprecated": {"const": "true"}, "ce_deprecationsunset": {"const": event.sunset}}
    return {"type": "object", "required": list(exact), "properties": exact}


def _value(event: type[Event], shared: Node) -> Node:
    """The schema of an event's value; what it holds comes into `shared`, with the version in its name if it differs."""
    schema = {key: value for key, value in schemas.schema(event).items() if key not in {"$schema", "$id"}}
    held = schema.pop("$defs", {})
    names = {name: name for name in held}
    placed = {name: _moved(each, names) for name, each in held.items()}
    if any(shared.get(name, each) != each for name, each in placed.items()):
        names = {name: f"{name}.v{schemas.version(event)}" for name in held}
    shared.update({names[name]: _moved(each, names) for name, each in held.items()})
    moved: Node = _moved(schema, names)
    return moved


def _moved(node: Any, names: dict[str, str]) -> Any:
    """Let references point to where the document keeps what they name."""
    if isinstance(node, list):
        return [_moved(each, names) for each in node]
    if not isinstance(node, dict):
        return node
    moved = {key: _moved(value, names) for key, value in node.items()}
    if "$ref" in moved:
        moved["$ref"] = f"#/components/schemas/{names[moved['$ref'].rpartition('/')[2]]}"
    return moved


def main() -> None:
    """Write the document."""
    FILE.write_text(text(), encoding="utf-8")


if __name__ == "__main__":
    main()
