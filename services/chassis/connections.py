"""Connections that stay open from one transaction to the next, for SQLAlchemy's statements and for the driver's own.

Taking a connection from SQLAlchemy's pool costs 400 µs of checks, a statement through it 80 µs, one through asyncpg
15 µs (2 cores). What every batch and every group of requests runs goes to the driver, the rest through SQLAlchemy.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any, cast

import asyncpg
from sqlalchemy import Executable
from sqlalchemy.engine import CursorResult
from sqlalchemy.exc import DBAPIError, IntegrityError, SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

INTEGRITY = "23"
"""The class of SQLSTATE that says a row is there already, or something else that a constraint forbids."""


MOST_IN_USE = 16
"""Connections of a process that are in use at one time; who wants one more waits."""


class Connection:
    """One open connection. A transaction begins with the first statement and ends with `commit` or `rollback`."""

    def __init__(self, sqlalchemy: AsyncConnection, driver: Any) -> None:  # noqa: ANN401 - asyncpg has no types
        """SQLAlchemy leaves transactions to us (AUTOCOMMIT): both use the same one."""
        self._sqlalchemy = sqlalchemy
        self._driver = driver
        self._begun = False

    async def fetch(self, statement: str, *values: object) -> list[Any]:
        """Run a statement of the driver's ($1, $2 …). Raises SQLAlchemy's errors, as `execute` does."""
        await self._begin()
        return await self.alone(statement, *values)

    async def alone(self, statement: str, *values: object) -> list[Any]:
        """Run a statement of the driver's that is a transaction by itself."""
        try:
            return cast("list[Any]", await self._driver.fetch(statement, *values))
        except (asyncpg.PostgresError, asyncpg.InterfaceError) as error:
            raise _as_sqlalchemy(error, statement) from error

    async def execute(self, statement: Executable, values: Any = None) -> CursorResult[Any]:  # noqa: ANN401 - its parameters
        """Run a statement of SQLAlchemy's."""
        await self._begin()
        return await self._sqlalchemy.execute(statement, values)

    async def scalar(self, statement: Executable, values: Any = None) -> Any:  # noqa: ANN401 - whatever is selected
        """Run a statement of SQLAlchemy's; returns the first value of its first row."""
        return (await self.execute(statement, values)).scalar()

    @asynccontextmanager
    async def savepoint(self) -> AsyncIterator[None]:
        """Go back to here if what is done within raises."""
        await self.fetch("SAVEPOINT here")
        try:
            yield
        except BaseException:
            await self.fetch("ROLLBACK TO SAVEPOINT here")
            raise
        await self.fetch("RELEASE SAVEPOINT here")

    async def commit(self) -> None:
        """Make everything stay. Raises SQLAlchemy's errors."""
        await self._end("COMMIT")

    async def rollback(self) -> None:
        """Undo everything."""
        await self._end("ROLLBACK")

    async def close(self) -> None:
        """Never use it again; what it did and did not commit is undone by the server."""
        self._driver.terminate()
        await self._sqlalchemy.invalidate()
        await self._sqlalchemy.close()

    async def _begin(self) -> None:
        if not self._begun:
            self._begun = True
            await self._send("BEGIN")

    async def _end(self, how: str) -> None:
        if self._begun:
            self._begun = False
            await self._send(how)

    async def _send(self, statement: str) -> None:
        try:
            await self._driver.execute(statement)
        except (asyncpg.PostgresError, asyncpg.InterfaceError) as error:
            raise _as_sqlalchemy(error, statement) from error


class Connections:
    """Those that are open and free."""

    def __init__(self, engine: AsyncEngine) -> None:
        """Nothing is open yet."""
        self._engine = engine.execution_options(isolation_level="AUTOCOMMIT")
        self._free: list[Connection] = []
        self._turns = asyncio.Semaphore(MOST_IN_USE)

    @asynccontextmanager
    async def use(self) -> AsyncIterator[Connection]:
        """Lend a connection; what was not committed is rolled back. After an error of its own it is not used again."""
        async with self._turns:
            connection = self._free.pop() if self._free else await self._open()
            async with self._settled(connection):
                yield connection

    @asynccontextmanager
    async def _settled(self, connection: Connection) -> AsyncIterator[None]:
        try:
            yield
            await connection.rollback()
        except (SQLAlchemyError, OSError, TimeoutError):
            await connection.close()
            await self.close()  # what happened to one may have happened to all
            raise
        except Exception:
            await connection.rollback()
            self._free.append(connection)
            raise
        except BaseException:
            await connection.close()
            raise
        self._free.append(connection)

    async def close(self) -> None:
        """Close those that are free."""
        free, self._free = self._free, []
        for each in free:
            await each.close()

    async def _open(self) -> Connection:
        sqlalchemy = await self._engine.connect()
        driver = (await sqlalchemy.get_raw_connection()).driver_connection
        return Connection(sqlalchemy, driver)


def _as_sqlalchemy(error: Exception, statement: str) -> DBAPIError:
    """Return the error as SQLAlchemy would have raised it, so that there is one kind to be told apart."""
    gone = isinstance(error, asyncpg.InterfaceError | asyncpg.PostgresConnectionError)
    kind = IntegrityError if str(getattr(error, "sqlstate", "") or "").startswith(INTEGRITY) else DBAPIError
    return kind(statement, None, error, hide_parameters=True, connection_invalidated=gone)


def columns(rows: Sequence[Sequence[Any]]) -> list[list[Any]]:
    """Turn rows into columns, one array each, as `unnest` takes them."""
    return [list(each) for each in zip(*rows, strict=True)]
