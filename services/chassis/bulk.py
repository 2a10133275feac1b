"""Rows in bulk: one statement per table and kind, with one array per column (`unnest`), made from the table itself.

Row by row a statement costs more than the row. With an array per column a row costs 3 µs, through SQLAlchemy's
executemany 8 µs (2 cores, PostgreSQL 18). Keys are given sorted, so that two transactions never wait crosswise. What a
transaction writes travels as one statement (`together`): its way to the server and back costs more than a table's part.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar, cast

import orjson
from sqlalchemy import Column, Table
from sqlalchemy.dialects import postgresql
from sqlalchemy.dialects.postgresql import JSONB

from services.chassis.connections import Connection, columns
from services.chassis.database import Json, JsonText
from services.chassis.rows import Row

Found = TypeVar("Found", bound=Row)
Key = tuple[object, ...]
Convert = Callable[[Any], Any] | None
Encoders = tuple[tuple[str, Convert], ...]

_DIALECT = postgresql.dialect()  # type: ignore[no-untyped-call]


@dataclass(frozen=True, slots=True)
class Shape:
    """How rows of a table travel: its columns with what turns their values into PostgreSQL's and back, and the SQL."""

    encoders: Encoders
    new: Encoders
    """Of a row that is inserted: without the number that the database gives it."""
    decoders: Encoders
    keys: tuple[str, ...]
    look: str
    load: str
    insert: str
    insert_missing: str
    upsert: str
    delete: str


@dataclass(frozen=True, slots=True)
class Statement:
    """SQL with its values ($1, $2 …); later statements of the same chain read what it returns by its name."""

    sql: str
    values: tuple[Any, ...]
    name: str = ""


def place(row: Row) -> tuple[type[Row], Key]:
    """Where a row belongs: its table and primary key."""
    values = row.__dict__
    return type(row), tuple([values[name] for name in shape(type(row)).keys])


async def load(
    connection: Connection, row_class: type[Found], keys: Sequence[Key], *, lock: bool = True
) -> dict[Key, Found]:
    """Read the rows of these keys, and lock them in the order of the keys unless they are only looked at."""
    of = shape(row_class)
    found = await connection.fetch(of.load if lock else of.look, *columns(keys))
    return {place(row)[1]: row for row in read(row_class, found)}


def read(row_class: type[Found], found: Iterable[Sequence[Any]]) -> Iterable[Found]:
    """Make rows of what a statement returned, columns in the table's order."""
    decoders = shape(row_class).decoders
    for values in found:
        yield row_class(
            **{
                name: value if decode is None or value is None else decode(value)
                for (name, decode), value in zip(decoders, values, strict=True)
            }
        )


def inserting(row_class: type[Row], rows: Sequence[Row]) -> Statement:
    """Write rows that must be new."""
    of = shape(row_class)
    return Statement(of.insert, _arrays(of.new, rows))


def inserting_missing(row_class: type[Row], rows: Sequence[Row]) -> Statement:
    """Write the rows that are not there yet."""
    of = shape(row_class)
    return Statement(of.insert_missing, _arrays(of.new, rows))


def upserting(row_class: type[Row], rows: Sequence[Row]) -> Statement:
    """Write rows whether they are there or not."""
    of = shape(row_class)
    return Statement(of.upsert, _arrays(of.encoders, rows))


def updating(row_class: type[Row], rows: Sequence[Row], names: frozenset[str]) -> Statement:
    """Write some columns of rows that are there and locked."""
    of = shape(row_class)
    chosen = tuple(each for each in of.encoders if each[0] in names or each[0] in of.keys)
    return Statement(_update(row_class, names), _arrays(chosen, rows))


def deleting(row_class: type[Row], keys: Sequence[Key]) -> Statement:
    """Take the rows of these keys away."""
    return Statement(shape(row_class).delete, tuple(columns(keys)))


async def together(connection: Connection, statements: Sequence[Statement]) -> list[Any]:
    """Run statements as one; returns what the last of them returns.

    They see nothing of each other but what a later one reads from an earlier one by its name. So no two of them may
    write the same row; nor, where a table has a unique column beside its key, give one row's value to another.
    """
    if not statements:
        return []
    sql = _as_one(tuple((each.sql, each.name, len(each.values)) for each in statements))
    return await connection.fetch(sql, *(value for each in statements for value in each.values))


@functools.cache
def _as_one(parts: tuple[tuple[str, str, int], ...]) -> str:
    """Chain statements with WITH, their placeholders numbered on."""
    chained, before = [], 0
    for number, (sql, name, values) in enumerate(parts):
        shifted = re.sub(r"\$(\d+)", functools.partial(_shifted, before), sql)
        chained.append((name or f"part_{number}", shifted))
        before += values
    *first, (_, last) = chained
    return (f"WITH {', '.join(f'{name} AS ({sql})' for name, sql in first)} " if first else "") + last


def _shifted(by: int, placeholder: re.Match[str]) -> str:
    return f"${int(placeholder[1]) + by}"


def _arrays(encoders: Encoders, rows: Sequence[Row]) -> tuple[list[Any], ...]:
    return tuple(
        [row.__dict__[name] for row in rows]
        if encode is None
        else [None if (value := row.__dict__[name]) is None else encode(value) for row in rows]
        for name, encode in encoders
    )


@functools.cache
def shape(row_class: type[Row]) -> Shape:
    """Derive from a table how its rows travel."""
    table = cast("Table", row_class.__table__)  # type: ignore[attr-defined]
    every, keys = list(table.columns), list(table.primary_key.columns)
    written = [column for column in every if column.identity is None]
    name, quoted = _quoted(table.name), _list(every)
    new = f"INSERT INTO {name} ({_list(written)}) SELECT * FROM {_unnest(written)}"  # noqa: S608 - names of our own
    whole = f"INSERT INTO {name} ({quoted}) SELECT * FROM {_unnest(every)}"  # noqa: S608
    rest = ", ".join(f"{_quoted(c.name)} = excluded.{_quoted(c.name)}" for c in every if c not in keys)
    same = _same(keys)
    wanted = f"{_unnest(keys)} AS k ({_list(keys)})"
    return Shape(
        encoders=tuple((column.name, _encoder(column)) for column in every),
        new=tuple((column.name, _encoder(column)) for column in written),
        decoders=tuple((column.name, _decoder(column)) for column in every),
        keys=tuple(key.name for key in keys),
        # LATERAL: one look into the index per key, in the order of the keys, whatever the planner knows of the table.
        look=f"SELECT {', '.join(map(_read, every))} FROM {wanted}"  # noqa: S608
        f" CROSS JOIN LATERAL (SELECT {quoted} FROM {name} t WHERE {same}) AS t",
        load=f"SELECT {', '.join(map(_read, every))} FROM {wanted}"  # noqa: S608
        f" CROSS JOIN LATERAL (SELECT {quoted} FROM {name} t WHERE {same} FOR UPDATE) AS t",
        insert=new,
        insert_missing=f"{new} ON CONFLICT DO NOTHING",
        upsert=f"{whole} ON CONFLICT ({_list(keys)}) DO " + (f"UPDATE SET {rest}" if rest else "NOTHING"),
        delete=f"DELETE FROM {name} t USING {wanted} WHERE {same}",  # noqa: S608
    )


@functools.cache
def _update(row_class: type[Row], names: frozenset[str]) -> str:
    table = cast("Table", row_class.__table__)  # type: ignore[attr-defined]
    keys = list(table.primary_key.columns)
    chosen = [column for column in table.columns if column.name in names or column in keys]
    new = ", ".join(f"{_quoted(c.name)} = k.{_quoted(c.name)}" for c in chosen if c not in keys)
    source = f"{_unnest(chosen)} AS k ({_list(chosen)})"
    return f"UPDATE {_quoted(table.name)} AS t SET {new} FROM {source} WHERE {_same(keys)}"  # noqa: S608 - names of our own


def _same(keys: Iterable[Column[Any]]) -> str:
    return " AND ".join(f"t.{_quoted(key.name)} = k.{_quoted(key.name)}" for key in keys)


def _unnest(columns: Sequence[Column[Any]]) -> str:
    # Texts without their length: a cast to VARCHAR(20) would cut in silence what the column refuses.
    types = [re.sub(r"^VARCHAR.*", "TEXT", str(column.type.compile(_DIALECT))) for column in columns]
    return f"unnest({', '.join(f'CAST(${number} AS {kind}[])' for number, kind in enumerate(types, start=1))})"


def _list(columns: Iterable[Column[Any]]) -> str:
    return ", ".join(_quoted(column.name) for column in columns)


def _read(column: Column[Any]) -> str:
    """Name a column as it is read: JSON as its text, which is decoded here, once."""
    name = f"t.{_quoted(column.name)}"
    return f"CAST({name} AS TEXT)" if _decoder(column) else name


def _quoted(name: str) -> str:
    return _DIALECT.identifier_preparer.quote_identifier(name)


def _encoder(column: Column[Any]) -> Convert:
    if isinstance(column.type, Json | JsonText):
        return column.type.to_text
    return _json_text if isinstance(column.type, JSONB) else None


def _json_text(value: Any) -> str:  # noqa: ANN401 - JSON
    return orjson.dumps(value).decode()


def _decoder(column: Column[Any]) -> Convert:
    if isinstance(column.type, Json | JsonText):
        return column.type.from_text
    return orjson.loads if isinstance(column.type, JSONB) else None
