"""Reference tables: small, read by every order, seldom written (offers, agents, keys); kept whole in memory.

No reader sees less than the database has: every unit of work asks once for the tables' versions, which a writer raises
in the transaction of its rows. What another process takes off sale is off sale here with its commit.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeVar, cast

from sqlalchemy import select

from services.chassis.bulk import Statement
from services.chassis.connections import Connection
from services.chassis.rows import Row

Member = TypeVar("Member", bound=Row)
Arranged = TypeVar("Arranged")
Arrange = Callable[[Sequence[Member]], Arranged]

_RAISE = """
    INSERT INTO reference_version (name, version) SELECT name, 1 FROM unnest(CAST($1 AS text[])) AS name ORDER BY name
    ON CONFLICT (name) DO UPDATE SET version = reference_version.version + 1
"""


class References:
    """What one process has in memory of its service's reference tables."""

    def __init__(self) -> None:
        """Nothing is in memory yet."""
        self._kept: dict[Arrange[Any, Any], tuple[int, Any]] = {}

    async def arranged(
        self, connection: Connection, row_class: type[Member], arrange: Arrange[Member, Arranged], version: int
    ) -> Arranged:
        """Return the table as `arrange` puts it (a module's function), read again if it is older than `version`."""
        known = self._kept.get(arrange)
        if known is None or known[0] != version:
            known = self._kept[arrange] = version, arrange(await read(connection, row_class))
        return cast("Arranged", known[1])

    def latest(self, arrange: Arrange[Any, Arranged]) -> Arranged | None:
        """Return what was last read, which may be too old to decide anything by."""
        known = self._kept.get(arrange)
        return None if known is None else cast("Arranged", known[1])


async def read(connection: Connection, row_class: type[Member]) -> list[Member]:
    """Read a whole table, by key."""
    table = cast("Any", row_class).__table__
    rows = await connection.execute(select(table).order_by(*table.primary_key.columns))
    return [row_class(**row) for row in rows.mappings()]


async def versions(connection: Connection) -> dict[str, int]:
    """Return the versions of all reference tables; one that was never written has none."""
    return dict(await connection.fetch("SELECT name, version FROM reference_version"))


def raising(tables: Iterable[str]) -> list[Statement]:
    """Raise the versions of tables that a transaction writes."""
    names = sorted(tables)
    return [Statement(_RAISE, (names,))] if names else []
