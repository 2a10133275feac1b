"""The gate: what it calls compatible lets every reader read every message; what breaks is named in a sentence."""

from __future__ import annotations

import itertools
import json
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from typing import Annotated, Any, Literal, Union

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import AwareDatetime, BaseModel, Field, ValidationError, create_model

from contracts.event import Data
from contracts.notice_v1 import NoticeSent
from tests.contracts import schemas
from tests.contracts.compatibility import NARROWER, WIDER, breaches

Model = type[BaseModel]
Fields = dict[str, Any]
THERE: Any = ...
OLD, NEW = "the reader of before", "the reader of now"


def model(name: str = "Message", /, **fields: Any) -> Model:
    """A strict writer and tolerant reader, as every event is."""
    made: Model = create_model(name, __base__=Data, **fields)
    return made


def found(before: Model, now: Model) -> list[str]:
    """What the gate says about a change."""
    was, is_now = (schemas.opened(each.model_json_schema()) for each in (before, now))
    return [str(each) for each in breaches(was, is_now)]


def reads(reader: Model, message: str) -> bool:
    """Whether a tolerant reader can read a message."""
    try:
        reader.model_validate_json(message, extra="ignore")
    except ValidationError:
        return False
    return True


def of(annotation: Any) -> Model:
    """A message with one required field."""
    return model(it=(annotation, THERE))


def deep(annotation: Any) -> Model:
    """A message that holds something at some depth: in a list of a map of an optional record."""
    inner: Any = model("Inner", it=(annotation, THERE))
    return of(list[dict[str, inner | None]])


Bounded = Annotated[int, Field(ge=1, le=9)]
Word = Annotated[str, Field(min_length=2, max_length=4, pattern="^[a-z]+$")]
Few = Annotated[list[int], Field(min_length=1, max_length=2)]
Named: Any = model("Named", name=(str, THERE))
Priced: Any = model("Priced", price=(int, THERE))

# What changes, a value that breaks it, who cannot read that, and what the gate says about it.
CASES: dict[str, tuple[Any, Any, Any, str, str]] = {
    "type": (int, str, "two", OLD, "/it: type 'integer' → 'string'"),
    "to a number": (int, float, 1.5, OLD, "/it: type 'integer' → 'number'"),
    "a new value of an enum": (Literal["a", "b"], Literal["a", "b", "c"], "c", OLD, "/it: may now be 'c'"),
    "one value of an enum fewer": (Literal["a", "b"], Literal["a"], "b", NEW, "/it: may no longer be 'b'"),
    "an enum set free": (Literal["a"], str, "z", OLD, "/it: its values are now free"),
    "a text that becomes an enum": (str, Literal["a"], "z", NEW, "/it: its values are now listed"),
    "a wider range below": (Bounded, Annotated[int, Field(ge=0, le=9)], 0, OLD, "/it: minimum 1 → 0"),
    "a wider range above": (Bounded, Annotated[int, Field(ge=1, le=10)], 10, OLD, "/it: maximum 9 → 10"),
    "no range": (Bounded, int, 99, OLD, "/it: maximum 9 → none"),
    "a narrower range below": (Bounded, Annotated[int, Field(ge=2, le=9)], 1, NEW, "/it: minimum 1 → 2"),
    "a narrower range above": (Bounded, Annotated[int, Field(ge=1, le=8)], 9, NEW, "/it: maximum 9 → 8"),
    "a range where there was none": (int, Bounded, -1, NEW, "/it: minimum none → 1"),
    "an open bound": (Bounded, Annotated[int, Field(ge=1, lt=9)], 9, NEW, "/it: exclusiveMaximum none → 9"),
    "a shorter text": (Word, Annotated[str, Field(min_length=1)], "a", OLD, "/it: minLength 2 → 1"),
    "a longer text": (
        Word,
        Annotated[str, Field(min_length=2, max_length=5, pattern="^[a-z]+$")],
        "abcde",
        OLD,
        "/it: maxLength 4 → 5",
    ),
    "another pattern": (
        Word,
        Annotated[str, Field(min_length=2, max_length=4, pattern="^[a-z0-9]+$")],
        "a1",
        OLD,
        "/it: pattern '^[a-z]+$' → '^[a-z0-9]+$'",
    ),
    "a pattern where there was none": (
        str,
        Annotated[str, Field(pattern="^[a-z]+$")],
        "A",
        NEW,
        "/it: pattern none → '^[a-z]+$'",
    ),
    "another format": (AwareDatetime, date, "2026-11-20", OLD, "/it: format 'date-time' → 'date'"),
    "a format where there was none": (str, date, "today", NEW, "/it: format none → 'date'"),
    "no format": (date, str, "today", OLD, "/it: format 'date' → none"),
    "null": (int, int | None, None, OLD, "/it: may now also be null"),
    "no null": (int | None, int, None, NEW, "/it: may no longer be null"),
    "one more of a union": (int | None, int | str | None, "two", OLD, "/it: may now also be string"),
    "one of a union changed": (Bounded | None, Annotated[int, Field(ge=1)] | None, 10, OLD, "/it: maximum 9 → none"),
    "another record": (Named, Priced, {"price": 1}, OLD, "/it/name: the field was taken away"),
    "a record for a value": (str, Named, "Trio", NEW, "/it: type 'string' → 'object'"),
    "a list for one": (int, list[int], [1], OLD, "/it: type 'integer' → 'array'"),
    "an empty list": (Few, Annotated[list[int], Field(max_length=2)], [], OLD, "/it: minItems 1 → none"),
    "a longer list": (Few, Annotated[list[int], Field(min_length=1)], [1, 2, 3], OLD, "/it: maxItems 2 → none"),
    "elements": (list[int], list[str], ["a"], OLD, "/it[]: type 'integer' → 'string'"),
    "values of a map": (dict[str, int], dict[str, str], {"a": "b"}, OLD, "/it/*: type 'integer' → 'string'"),
    "a map that holds anything": (dict[str, int], dict[str, Any], {"a": "b"}, OLD, "/it: what it may hold beside"),
    "a tuple": (tuple[int, int], tuple[int, str], [1, "a"], OLD, "/it[1]: type 'integer' → 'string'"),
    "a longer tuple": (tuple[int, int], tuple[int, int, int], [1, 2, 3], OLD, "/it[]: its elements changed"),
}


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("place", [of, deep], ids=["at the top", "nested"])
def test_a_breaking_change_is_named_and_does_break(case: str, place: Any) -> None:
    was, is_now, value, who, sentence = CASES[case]
    before, now = place(was), place(is_now)
    wrapped = value if place is of else [{"key": {"it": value}}]
    writer, reader = (now, before) if who is OLD else (before, now)
    message = writer.model_validate_json(json.dumps({"it": wrapped})).model_dump_json()
    assert not reads(reader, message)
    expected = sentence if place is of else sentence.replace("/it", "/it[]/*/it", 1)
    [said] = [each for each in found(before, now) if each.startswith(expected)]
    right, wrong = (WIDER, NARROWER) if who is OLD else (NARROWER, WIDER)
    assert right in said or wrong not in said  # where neither can be told, or both are so, it says that
    assert found(before, before) == found(now, now) == []


def test_a_field_that_becomes_required_or_optional_or_comes_as_required_breaks() -> None:
    required, optional, nothing = model(it=(int, THERE)), model(it=(int, 0)), model()
    assert found(optional, required) == [
        "/it: is now required: messages that lie on the topic can no longer be read where it is missing"
    ]
    assert found(required, optional) == [
        "/it: is no longer required, so it may be missing: readers of before refuse it"
    ]
    assert found(nothing, required) == [
        "/it: a required field was added: messages that lie on the topic can no longer be read, for they do not have it"
    ]
    assert not reads(required, nothing().model_dump_json())


def test_a_field_that_is_taken_away_or_has_another_default_breaks_though_it_can_be_read() -> None:
    zero, one = model(it=(int, 0)), model(it=(int, 1))
    assert found(zero, model()) == ["/it: the field was taken away: its readers would wait for it in vain"]
    assert found(zero, one) == ["/it: its default changed (0 → 1): messages without it would mean something else"]


def test_a_field_in_a_map_would_claim_a_key_that_is_data() -> None:
    free = {"type": "object", "additionalProperties": {"type": "string"}}
    claimed = {**free, "properties": {"level": {"type": "integer"}}}
    [breach] = breaches(free, claimed)
    assert "level is now a field of a map" in breach.reason


def test_a_keyword_that_the_gate_does_not_know_breaks_when_it_changes() -> None:
    unevaluated = {"type": "object", "unevaluatedProperties": False}
    assert [str(each).split(":")[0] for each in breaches({"type": "object"}, unevaluated)] == ["the whole"]
    assert breaches(unevaluated, unevaluated) == []


def test_optional_additions_and_other_words_are_compatible() -> None:
    before = model(it=(Annotated[Named, Field(description="old words")], THERE))
    longer = model("Renamed", name=(str, THERE), nickname=(str | None, None))
    now = model("Other", it=(Annotated[longer, Field(description="new words")], THERE), more=(list[Priced], []))
    assert found(before, now) == []


def test_a_union_may_be_written_in_another_order() -> None:
    assert found(of(Union[int, str, None]), of(Union[None, str, int])) == []  # noqa: UP007 - the order is what counts


def test_a_field_that_was_gone_for_a_while_cannot_come_back_as_something_else(tmp_path: Path) -> None:
    """Each revision is compared, not the last alone: the second would hide the first."""
    kept = {"earlier/notice.sent.v1.1": {"colour": {"type": "string"}}, "notice.sent.v1": {}}
    (tmp_path / "earlier").mkdir()
    for name, more in kept.items():
        written = schemas.schema(NoticeSent)
        written["properties"] = {**written["properties"], "language": {"type": "string"}, **more}
        written["required"] = [*written["required"]]
        (tmp_path / f"{name}.json").write_text(json.dumps(written))
    sentences = schemas.breaking(NoticeSent, tmp_path)
    assert [each for each in sentences if "earlier/notice.sent.v1.1.json: /colour: the field was taken away" in each]
    assert all(each.endswith("Publish a v2 beside it.") for each in sentences)
    assert len([each for each in sentences if "/language" in each]) == 2


def test_what_is_frozen_anew_keeps_what_was_there(tmp_path: Path) -> None:
    schemas.freeze(tmp_path)
    path = tmp_path / "notice.sent.v1.json"
    now = path.read_text()
    for number in (1, 2):
        path.write_text(json.dumps({"revision": number}))
        schemas.freeze(tmp_path)
    assert [json.loads(each.read_text()) for each in schemas.earlier("notice.sent.v1", tmp_path)] == [
        {"revision": 1},
        {"revision": 2},
    ]
    assert path.read_text() == now
    schemas.freeze(tmp_path)
    assert len(schemas.earlier("notice.sent.v1", tmp_path)) == 2


def test_an_event_is_taken_away_only_after_it_was_deprecated(tmp_path: Path) -> None:
    (tmp_path / "notice.lost.v1.json").write_text("{}")
    (tmp_path / "notice.old.v1.json").write_text('{"deprecated": true}')
    assert [each.split(" is gone")[0] for each in schemas.gone(tmp_path)] == ["notice.lost.v1"]


def test_nothing_of_what_is_published_breaks() -> None:
    assert schemas.faults() == []


# ------------------------------------------------------------------------------------------- any change, any message
@dataclass(frozen=True)
class Shape:
    """A form of data: how it is declared, which values it has, and what it holds."""

    kind: str
    arguments: tuple[Any, ...] = ()
    parts: tuple[Shape, ...] = ()
    fields: tuple[tuple[str, Shape, bool], ...] = ()


SCALARS: dict[str, Any] = {
    "integer": lambda low, high: (Annotated[int, Field(ge=low, le=high)], st.integers(low, high)),
    "text": lambda signs, most: (
        Annotated[str, Field(pattern=f"^[{signs}]*$", max_length=most)],
        st.text(signs, max_size=most),
    ),
    "choice": lambda *values: (Literal[values], st.sampled_from(values)),
    "day": lambda: (date, st.dates().map(str)),
    "free": lambda: (str, st.text("a-1", max_size=3)),
}
NAMES = ("a", "b", "c")
OF_KIND: dict[str, st.SearchStrategy[Shape]] = {
    "integer": st.builds(lambda low, size: Shape("integer", (low, low + size)), st.integers(0, 1), st.integers(0, 1)),
    "text": st.builds(lambda *given: Shape("text", given), st.sampled_from(["a", "ab", "abc"]), st.integers(1, 2)),
    "choice": st.lists(st.sampled_from(NAMES), min_size=1, unique=True).map(lambda some: Shape("choice", tuple(some))),
    "day": st.just(Shape("day")),
    "free": st.just(Shape("free")),
}
scalars = st.one_of(*OF_KIND.values())


def holding(inner: st.SearchStrategy[Shape]) -> st.SearchStrategy[Shape]:
    """Records, lists, maps and what may be null, of something."""
    one = st.tuples(st.sampled_from(NAMES), inner, st.booleans())
    some = st.lists(one, min_size=1, max_size=3, unique_by=lambda each: each[0])
    return st.one_of(
        some.map(lambda fields: Shape("record", fields=tuple(fields))),
        st.tuples(st.sampled_from(["list", "map", "nullable"]), inner).map(lambda p: Shape(p[0], parts=(p[1],))),
    )


def as_record(shape: Shape) -> Shape:
    """The shape, or a record that holds it: what an event is."""
    return shape if shape.kind == "record" else Shape("record", fields=(("a", shape, True),))


records = st.recursive(scalars, holding, max_leaves=4).map(as_record)


@st.composite
def grown(draw: st.DrawFn, shape: Shape) -> Shape:
    """The shape some time later, where only optional fields came, anywhere in it."""
    parts = tuple(draw(grown(each)) for each in shape.parts)
    fields = [(name, draw(grown(each)), required) for name, each, required in shape.fields]
    if shape.kind == "record" and draw(st.booleans()):
        fields.append(("x", draw(scalars), False))
    return replace(shape, parts=parts, fields=tuple(fields))


@st.composite
def changed(draw: st.DrawFn, shape: Shape) -> Shape:
    """The shape after one change, somewhere in it, that may be anything."""
    deeper = draw(st.integers(0, 3)) > 0
    if shape.parts and deeper:
        return replace(shape, parts=(draw(changed(shape.parts[0])),))
    if shape.fields and deeper:
        fields = list(shape.fields)
        at = draw(st.integers(0, len(fields) - 1))
        name, each, required = fields[at]
        fields[at] = (name, draw(changed(each)), required)
        return replace(shape, fields=tuple(fields))
    if shape.kind == "record":
        dropped = replace(shape, fields=shape.fields[1:])
        return draw(st.just(dropped) | st.just(replace(shape, fields=(*shape.fields, ("x", draw(scalars), True)))))
    return draw(OF_KIND.get(shape.kind, scalars) | scalars | st.just(Shape("nullable", parts=(shape,))))


numbers = itertools.count()


def declared(shape: Shape) -> tuple[Any, st.SearchStrategy[Any]]:
    """How a shape is declared, and its values; records have names that come only once, for names do not count."""
    if shape.kind in SCALARS:
        return SCALARS[shape.kind](*shape.arguments)  # type: ignore[no-any-return]
    if shape.kind == "record":
        fields: Fields = {}
        values = {}
        for name, each, required in shape.fields:
            annotation, values[name] = declared(each)
            fields[name] = (annotation, THERE) if required else (annotation | None, None)
        return model(f"Record{next(numbers)}", **fields), st.fixed_dictionaries(values)
    one: Any
    one, inner = declared(shape.parts[0])
    holders: dict[str, tuple[Any, st.SearchStrategy[Any]]] = {
        "nullable": (one | None, st.none() | inner),
        "list": (list[one], st.lists(inner, max_size=2)),
        "map": (dict[str, one], st.dictionaries(st.sampled_from(NAMES), inner, max_size=2)),
    }
    return holders[shape.kind]


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.data())
def test_what_the_gate_calls_compatible_lets_readers_of_before_and_of_now_read_each_other(
    data: st.DataObject,
) -> None:
    shape, gently = data.draw(records), data.draw(st.booleans())
    before, old = declared(shape)
    now, new = declared(as_record(data.draw(grown(shape) if gently else changed(shape))))
    sentences = found(before, now)
    assert not (gently and sentences)
    if sentences:
        return
    for writer, reader, values in ((now, before, new), (before, now, old)):
        for value in data.draw(st.lists(values, min_size=2, max_size=5)):
            message = writer.model_validate_json(json.dumps(value)).model_dump_json()
            assert reads(reader, message), message
