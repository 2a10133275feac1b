"""Writes the frozen JSON Schemas of all events (``make schemas``): their diff is what a reviewer looks at."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import contracts.topics  # noqa: F401 - it imports every event
from contracts.event import REGISTRY, Event

FOLDER = Path(__file__).parents[2] / "contracts/schemas"


def schema(event: type[Event]) -> dict[str, Any]:
    """The JSON Schema of an event's value as its readers may rely on it: fields that they do not know are ignored."""
    described: dict[str, Any] = _open(event.model_json_schema())
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": f"urn:asquoted:schema:{event.type}",
        **described,
    }


def text(event: type[Event]) -> str:
    """The schema as it is kept."""
    return json.dumps(schema(event), indent=2, ensure_ascii=False, sort_keys=True) + "\n"


def _open(node: Any) -> Any:
    if isinstance(node, dict):
        kept = {key: _open(value) for key, value in node.items() if (key, value) != ("additionalProperties", False)}
        return {key: value for key, value in kept.items() if key != "title" or "properties" in kept}
    return [_open(each) for each in node] if isinstance(node, list) else node


def main() -> None:
    """Write them all, and take away those of events that are gone."""
    wanted = {f"{type_}.json": text(event) for type_, event in REGISTRY.items()}
    for file in FOLDER.glob("*.json"):
        if file.name not in wanted:
            file.unlink()
    for name, content in wanted.items():
        (FOLDER / name).write_text(content, encoding="utf-8")


if __name__ == "__main__":
    main()
