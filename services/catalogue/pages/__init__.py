"""What events there are, as a page for people: rendered from the AsyncAPI document that `contracts` keeps."""

from __future__ import annotations

import functools
import json
from importlib.resources import files
from typing import Any

import yaml
from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape

PAGES = Environment(
    loader=PackageLoader("services.catalogue", "pages"),
    autoescape=select_autoescape(),
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
_DUMPER: Any = getattr(yaml, "CSafeDumper", yaml.SafeDumper)  # twenty times as fast, where PyYAML was built with it


@functools.cache
def as_json() -> str:
    """The document as it is kept."""
    return (files("contracts") / "asyncapi.json").read_text(encoding="utf-8")


@functools.cache
def document() -> dict[str, Any]:
    """The document's data."""
    read: dict[str, Any] = json.loads(as_json())
    return read


@functools.cache
def as_yaml() -> str:
    """The same as YAML."""
    return str(yaml.dump(document(), Dumper=_DUMPER, sort_keys=False, allow_unicode=True, width=120))


@functools.cache
def page() -> str:
    """The same as a page: no script, a link for every topic, event and form of data."""
    template = PAGES.get_template("asyncapi.html")
    return template.render(document=document(), services=services, part=_part, shown=_shown, last=_last)


def services(document: dict[str, Any], topic: str, action: str) -> dict[str, list[str]]:
    """Which services publish (`send`) or consume (`receive`) a topic, and which of its events."""
    reference = f"#/channels/{topic}"
    return {
        each["tags"][0]["name"]: [_last(message["$ref"]) for message in each["messages"]]
        for each in document["operations"].values()
        if each["action"] == action and each["channel"]["$ref"] == reference
    }


def _part(document: dict[str, Any], reference: str) -> Any:  # noqa: ANN401 - any part of the document
    """What a reference in the document names."""
    return functools.reduce(lambda node, name: node[name], reference.removeprefix("#/").split("/"), document)


def _last(reference: str) -> str:
    return reference.rpartition("/")[2]


def _shown(node: Any) -> str:  # noqa: ANN401 - an example may be anything
    return json.dumps(node, indent=2, ensure_ascii=False)
