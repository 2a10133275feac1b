"""The gate: whether a change of a frozen schema lets every reader read every message, of before and of now.

Topics are kept for ever and services are replaced one after the other. So within a version readers of before must read
what is written now, and readers of now what lies on the topic: only optional fields may be added, and words about them
may change. Readers ignore fields that they do not know, writers write none that is not declared. What the gate does not
know (a keyword, a change of a pattern or a format) is breaking.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

Schema = dict[str, Any]

ANNOTATIONS = {"$comment", "$defs", "$id", "$schema", "default", "deprecated", "description", "examples", "title"}
LOWER = {"exclusiveMinimum", "minimum", "minItems", "minLength", "minProperties"}
UPPER = {"exclusiveMaximum", "maximum", "maxItems", "maxLength", "maxProperties"}
STRUCTURE = {"additionalProperties", "const", "enum", "items", "prefixItems", "properties", "required"}
ABSENT = object()

WIDER = "readers of before refuse it"
NARROWER = "messages that lie on the topic can no longer be read"
UNSURE = "whether one includes the other cannot be told, so neither side can rely on it"


@dataclass(frozen=True, slots=True)
class Breach:
    """Where a change breaks (a path of fields), and why, in words."""

    where: str
    reason: str

    def __str__(self) -> str:
        """Put it as a sentence."""
        return f"{self.where or 'the whole'}: {self.reason}"


def breaches(before: Schema, now: Schema) -> list[Breach]:
    """Every reason why `now` is not compatible with `before`, two JSON Schemas of one event; none if it is."""
    return list(_Comparison(before, now).judge(before, now, ""))


@dataclass
class _Comparison:
    """Two schemas being compared; `judged` are the pairs of references under way or done, for schemas with cycles."""

    before: Schema
    now: Schema
    judged: set[tuple[str, str]] = field(default_factory=set)

    def judge(self, before: Schema, now: Schema, where: str) -> Iterator[Breach]:
        pair = before.get("$ref", ""), now.get("$ref", "")
        if all(pair):
            if pair in self.judged:
                return
            self.judged.add(pair)
        ours, theirs = _alternatives(before, self.before), _alternatives(now, self.now)
        if len(ours) == len(theirs) == 1:
            yield from self._plain(ours[0], theirs[0], where)
        else:
            yield from self._unions(ours, theirs, where)

    def _unions(self, before: list[Schema], now: list[Schema], where: str) -> Iterator[Breach]:
        """Pair off the alternatives that go together; what is left over was added, taken away or changed."""
        added = list(now)
        gone = []
        for each in before:
            match = next((other for other in added if not self._differ(each, other)), None)
            if match is None:
                gone.append(each)
            else:
                added.remove(match)
        if len(gone) == len(added) == 1:
            yield from self._plain(gone[0], added[0], where)
            return
        for each in added:
            yield Breach(where, f"may now also be {_named(each)}: {WIDER}")
        for each in gone:
            yield Breach(where, f"may no longer be {_named(each)}: {NARROWER}")

    def _differ(self, before: Schema, now: Schema) -> bool:
        trial = _Comparison(self.before, self.now, set(self.judged))
        return next(trial.judge(before, now, ""), None) is not None

    def _plain(self, before: Schema, now: Schema, where: str) -> Iterator[Breach]:
        yield from _values(before, now, where)
        yield from self._fields(before, now, where)
        yield from self._rest(before, now, where)
        yield from self._elements(before, now, where)
        for keyword in sorted({*before, *now} - STRUCTURE - ANNOTATIONS):
            yield from _keyword(keyword, before.get(keyword), now.get(keyword), where)

    def _fields(self, before: Schema, now: Schema, where: str) -> Iterator[Breach]:
        ours, theirs = before.get("properties", {}), now.get("properties", {})
        must, must_now = set(before.get("required", ())), set(now.get("required", ()))
        for name in sorted({*ours, *theirs, *must, *must_now}):
            place = f"{where}/{name}"
            if name not in ours and name in must_now - must:
                yield Breach(place, f"a required field was added: {NARROWER}, for they do not have it")
            elif name not in theirs and name in ours:
                yield Breach(place, "the field was taken away: its readers would wait for it in vain")
            elif name in must - must_now:
                yield Breach(place, f"is no longer required, so it may be missing: {WIDER}")
            elif name in must_now - must:
                yield Breach(place, f"is now required: {NARROWER} where it is missing")
            elif name not in must and name in ours and _default(ours[name]) != _default(theirs[name]):
                change = f"{_default(ours[name])} → {_default(theirs[name])}"
                yield Breach(place, f"its default changed ({change}): messages without it would mean something else")
            if name in ours and name in theirs:
                yield from self.judge(ours[name], theirs[name], place)

    def _rest(self, before: Schema, now: Schema, where: str) -> Iterator[Breach]:
        """Judge what an object may hold beside its fields: in a map that is data, and a new field would claim a key."""
        ours, theirs = before.get("additionalProperties", ABSENT), now.get("additionalProperties", ABSENT)
        if isinstance(ours, dict) and isinstance(theirs, dict):
            yield from self.judge(ours, theirs, f"{where}/*")
        elif ours != theirs:
            yield Breach(where, f"what it may hold beside its fields changed: {UNSURE}")
        added = set(now.get("properties", {})) - set(before.get("properties", {}))
        if added and ABSENT not in (ours, theirs):
            names = ", ".join(sorted(added))
            yield Breach(where, f"{names} is now a field of a map: a message may hold it as data of another form")

    def _elements(self, before: Schema, now: Schema, where: str) -> Iterator[Breach]:
        for keyword in ("items", "prefixItems"):
            ours, theirs = before.get(keyword), now.get(keyword)
            if isinstance(ours, dict) and isinstance(theirs, dict):
                yield from self.judge(ours, theirs, f"{where}[]")
            elif isinstance(ours, list) and isinstance(theirs, list) and len(ours) == len(theirs):
                for index, pair in enumerate(zip(ours, theirs, strict=True)):
                    yield from self.judge(*pair, f"{where}[{index}]")
            elif ours != theirs:
                yield Breach(f"{where}[]", f"its elements changed: {UNSURE}")


def _alternatives(schema: Schema, root: Schema) -> list[Schema]:
    """Resolve references and split unions: each alternative, with what is said beside the union or reference."""
    if "$ref" in schema:
        beside = {key: value for key, value in schema.items() if key != "$ref"}
        return _alternatives({**_target(schema["$ref"], root), **beside}, root)
    for keyword in ("anyOf", "oneOf"):
        if keyword in schema:
            beside = {key: value for key, value in schema.items() if key != keyword}
            return [one for each in schema[keyword] for one in _alternatives({**beside, **each}, root)]
    if isinstance(schema.get("type"), list):
        return [{**schema, "type": each} for each in schema["type"]]
    return [schema]


def _target(reference: str, root: Schema) -> Schema:
    found: Any = root
    for part in reference.removeprefix("#/").split("/"):
        found = found[part]
    return dict(found)


def _values(before: Schema, now: Schema, where: str) -> Iterator[Breach]:
    """Judge the values that are allowed by name."""
    ours, theirs = _listed(before), _listed(now)
    if ours is None and theirs is None:
        return
    if ours is None or theirs is None:
        freed = theirs is None
        yield Breach(where, f"its values are now free: {WIDER}" if freed else f"its values are now listed: {NARROWER}")
        return
    for value in theirs:
        if value not in ours:
            yield Breach(where, f"may now be {value}: {WIDER}")
    for value in ours:
        if value not in theirs:
            yield Breach(where, f"may no longer be {value}: {NARROWER}")


def _listed(schema: Schema) -> list[str] | None:
    values = schema.get("enum", [schema["const"]] if "const" in schema else None)
    return None if values is None else [repr(each) for each in values]


def _keyword(keyword: str, before: object, now: object, where: str) -> Iterator[Breach]:
    if before == now and type(before) is type(now):
        return
    change = f"{keyword} {_shown(before)} → {_shown(now)}"
    if keyword in LOWER | UPPER:
        low = float("-inf") if keyword in LOWER else float("inf")
        was, is_now = (low if each is None else float(str(each)) for each in (before, now))
        rises = is_now > was
        yield Breach(where, f"{change}: {NARROWER if rises == (keyword in LOWER) else WIDER}")
    elif keyword == "type":
        yield Breach(where, f"{change}: {WIDER}, and {NARROWER}")
    else:
        yield Breach(where, f"{change}: {UNSURE}")


def _default(schema: Schema) -> str:
    return _shown(schema.get("default", ABSENT))


def _shown(value: object) -> str:
    return "none" if value is None or value is ABSENT else repr(value)


def _named(schema: Schema) -> str:
    return str(schema.get("title") or schema.get("const") or schema.get("type") or "something else")
