"""Rows as values: tables are SQLModel's, but a row belongs to no session, so making one costs next to nothing.

SQLModel builds a table's instance for SQLAlchemy's unit of work, attribute by attribute: 90 µs for an order, against
2 µs here. Nothing of ours uses that unit of work: rows are read, replaced by changed copies, and written in bulk.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, ClassVar, NoReturn, TypeVar, cast

from pydantic_core import PydanticUndefined
from sqlalchemy.orm import configure_mappers
from sqlmodel import SQLModel
from sqlmodel.main import SQLModelMetaclass

Value = TypeVar("Value", bound="Row")

Defaults = tuple[frozenset[str], dict[str, Any], dict[str, Callable[[], Any]]]


class _ValueMetaclass(SQLModelMetaclass):
    def __call__(cls, /, **values: Any) -> Any:  # noqa: ANN401, N805 - of a metaclass, an instance of the class
        names, constants, factories = _defaults(cast("type[Row]", cls))
        if values.keys() != names:
            made = {name: factory() for name, factory in factories.items() if name not in values}
            values = {**constants, **made, **values}
            if values.keys() != names:
                _refuse(cls, values)
        return _made(cls, values)


class Row(SQLModel, metaclass=_ValueMetaclass):
    """What every table's class is made from. A row never changes: `changed` makes another one.

    `reference`: a small table that every order reads and that seldom changes; each process keeps it whole in memory,
    see references.py. `shared`: its rows may be made by events of two topics at once, so that a row which is not there
    yet is locked by its key.
    """

    reference: ClassVar[bool] = False
    shared: ClassVar[bool] = False

    def __setattr__(self, name: str, value: object) -> NoReturn:
        message = f"a {type(self).__name__} is a value: make another one with changed(row, {name}=…)"
        raise TypeError(message)


def changed(row: Value, **changes: object) -> Value:
    """Return a row that differs in some columns. Raises TypeError for a column that is none."""
    values = {**row.__dict__, **changes}
    if len(values) != len(row.__dict__):
        _refuse(type(row), values)
    return cast("Value", _made(type(row), values))


def differences(one: Row, other: Row) -> set[str]:
    """Return the columns in which `changed` made one row differ from another of its table."""
    values = one.__dict__
    return {name for name, value in other.__dict__.items() if value is not values[name]}


@functools.cache
def _defaults(cls: type[Row]) -> Defaults:
    """The columns, and what one is where none is given: constants, and what makes a fresh one."""
    configure_mappers()  # before the first row: until then SQLAlchemy's attributes cannot be read
    constants, factories = {}, {}
    for name, field in cls.model_fields.items():
        if field.default_factory is not None:
            factories[name] = cast("Callable[[], Any]", field.default_factory)
        elif field.default is not PydanticUndefined:
            constants[name] = field.default
    return frozenset(cls.model_fields), constants, factories


def _made(cls: type, values: dict[str, Any]) -> Any:  # noqa: ANN401 - an instance of the class
    row: Any = object.__new__(cls)
    for name, value in (
        ("__dict__", values),
        ("__pydantic_fields_set__", set()),
        ("__pydantic_extra__", None),
        ("__pydantic_private__", None),
    ):
        object.__setattr__(row, name, value)
    return row


def _refuse(cls: type, values: dict[str, Any]) -> NoReturn:
    names = set(cast("type[Row]", cls).model_fields)
    unknown, missing = sorted(set(values) - names), sorted(names - set(values))
    raise TypeError(f"{cls.__name__}: unknown {unknown}, missing {missing}")
