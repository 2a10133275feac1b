"""Writes the frozen JSON Schemas of all events (``make schemas``): their diff is what a reviewer looks at.

Every revision that a schema ever had is kept in `earlier/`, numbered by event, because messages of that time lie on the
topics and readers of that time may still run. A breaking change is refused, and nothing is written.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import contracts.topics  # noqa: F401 - it imports every event
from contracts.event import REGISTRY, Event
from tests.contracts import compatibility

FOLDER = Path(__file__).parents[2] / "contracts/schemas"
EVENTS = sorted(REGISTRY.values(), key=lambda event: event.type)


def schema(event: type[Event]) -> dict[str, Any]:
    """The JSON Schema of an event's value as its readers may rely on it: fields that they do not know are ignored."""
    described: dict[str, Any] = opened(event.model_json_schema())
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": f"urn:asquoted:schema:{event.type}",
        **({"deprecated": True} if event.sunset else {}),
        **described,
    }


def text(event: type[Event]) -> str:
    """The schema as it is kept."""
    return json.dumps(schema(event), indent=2, ensure_ascii=False, sort_keys=True) + "\n"


def opened(node: Any) -> Any:
    """Leave out what only writers are held to, and titles that say no more than the field's name."""
    if isinstance(node, dict):
        kept = {key: opened(value) for key, value in node.items() if (key, value) != ("additionalProperties", False)}
        return {key: value for key, value in kept.items() if key != "title" or "properties" in kept}
    return [opened(each) for each in node] if isinstance(node, list) else node


def earlier(type_: str, folder: Path = FOLDER) -> list[Path]:
    """The revisions that an event's schema had before the present one, oldest first."""
    found = (folder / "earlier").glob(f"{type_}.*.json")
    return sorted(found, key=lambda path: int(path.suffixes[-2].removeprefix(".")))


def breaking(event: type[Event], folder: Path = FOLDER) -> list[str]:
    """A sentence for each reason why an event as its class says it now breaks with a revision that was published."""
    current = folder / f"{event.type}.json"
    kept = [*earlier(event.type, folder), *([current] if current.exists() else [])]
    return [
        f"{event.type} breaks with {path.relative_to(folder)}: {breach}. Publish a v{version(event) + 1} beside it."
        for path in kept
        for breach in compatibility.breaches(json.loads(path.read_text(encoding="utf-8")), schema(event))
    ]


def version(event: type[Event]) -> int:
    """The version that an event's type ends with."""
    return int(event.type.rpartition(".v")[2])


def gone(folder: Path = FOLDER) -> list[str]:
    """A sentence for each event that was taken away without having been deprecated before."""
    missing = [path for path in sorted(folder.glob("*.json")) if path.stem not in REGISTRY]
    return [
        f"{path.stem} is gone: its readers would wait in vain. Say its sunset first, and publish it until then."
        for path in missing
        if not json.loads(path.read_text(encoding="utf-8")).get("deprecated")
    ]


def freeze(folder: Path = FOLDER) -> None:
    """Write what changed; what was there becomes the latest of the earlier revisions."""
    (folder / "earlier").mkdir(exist_ok=True)
    wanted = {event.type: text(event) for event in EVENTS}
    for path in sorted(folder.glob("*.json")):
        if path.read_text(encoding="utf-8") != wanted.get(path.stem):
            path.rename(folder / f"earlier/{path.stem}.{len(earlier(path.stem, folder)) + 1}.json")
    for type_, content in wanted.items():
        (folder / f"{type_}.json").write_text(content, encoding="utf-8")


def faults() -> list[str]:
    """Every sentence about what breaks."""
    return [*gone(), *(sentence for event in EVENTS for sentence in breaking(event))]


def main(arguments: list[str]) -> int:
    """Judge (``--check``), or judge and freeze; prints what breaks, each as a sentence, and writes nothing then."""
    found = faults()
    for sentence in found:
        sys.stderr.write(f"{sentence}\n")
    if not found and arguments != ["--check"]:
        freeze()
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
