"""Group commit: what is asked for while a transaction is under way shares the next one, and its one commit.

A commit waits for the disk, a statement for the server; alone, each request pays for both. Every work still has a
Transaction of its own: one that raises leaves nothing and disturbs no other. Each is answered after the commit.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar, cast

from sqlalchemy.exc import SQLAlchemyError

from services.chassis.cause import Cause
from services.chassis.connections import Connection, Connections
from services.chassis.database import is_away
from services.chassis.transaction import Committed, Place, Transaction, UnitOfWork

Result = TypeVar("Result")
Work = Callable[[Transaction], Awaitable[Result]]

MOST_TOGETHER = 128
"""Works in one transaction: more would make the first of them wait."""
AT_ONCE = 2
"""Transactions: while one waits for a lock, others go on."""


@dataclass(slots=True)
class _Asked:
    work: Work[Any]
    cause: Cause
    reads: Sequence[Place]
    answer: asyncio.Future[Any] = field(default_factory=lambda: asyncio.get_running_loop().create_future())

    def settle(self, outcome: object) -> None:
        if self.answer.done():
            return  # whoever asked has gone
        if isinstance(outcome, BaseException):
            self.answer.set_exception(outcome)
        else:
            self.answer.set_result(outcome)


class Group:
    """Does works in shared transactions."""

    def __init__(
        self,
        connections: Connections,
        begin: Callable[[Connection], UnitOfWork],
        committed: Callable[[Committed], None],
    ) -> None:
        """`begin` makes a unit of work, `committed` is told of every commit."""
        self._connections = connections
        self._begin = begin
        self._committed = committed
        self._waiting: deque[_Asked] = deque()
        self._running: set[asyncio.Task[None]] = set()

    def looking(self) -> Group:
        """Return another group, for works that only read: what they read is not locked."""

        def begin(connection: Connection) -> UnitOfWork:
            unit = self._begin(connection)
            unit.locking = False
            return unit

        return Group(self._connections, begin, self._committed)

    async def do(self, work: Work[Result], cause: Cause, reads: Sequence[Place] = ()) -> Result:
        """Do one work; raises what it raises, or what the commit does. `reads` are rows that it is going to need."""
        asked = _Asked(work, cause, reads)
        self._waiting.append(asked)
        if len(self._running) < AT_ONCE:
            task = asyncio.create_task(self._take_turns())
            self._running.add(task)
            task.add_done_callback(self._running.discard)
        return cast("Result", await asked.answer)

    async def _take_turns(self) -> None:
        while self._waiting:
            together = [self._waiting.popleft() for _ in range(min(MOST_TOGETHER, len(self._waiting)))]
            await self._together(together)

    async def _together(self, group: Sequence[_Asked], *, again: bool = False) -> None:
        """Do a group in one transaction; where the database refuses that, each alone, so that one is to blame.

        Where the connection was gone, once more: it may have been so for long, and another is there at once.
        """
        try:
            outcomes = await self._in_one_transaction(group)
        except (SQLAlchemyError, OSError, TimeoutError) as error:
            if is_away(error) and not again:
                await self._together(group, again=True)
                return
            if len(group) > 1 and not is_away(error):
                for each in group:
                    await self._together([each], again=True)
                return
            outcomes = [error] * len(group)
        except BaseException as error:
            for each in group:
                each.settle(error)
            raise
        for each, outcome in zip(group, outcomes, strict=True):
            each.settle(outcome)

    async def _in_one_transaction(self, group: Sequence[_Asked]) -> list[Any]:
        async with self._connections.use() as connection:
            unit = self._begin(connection)
            await unit.load(place for each in group for place in each.reads)
            outcomes = [await _outcome(unit, each) for each in group]
            self._committed(await unit.commit())
        return outcomes


async def _outcome(unit: UnitOfWork, asked: _Asked) -> object:
    tx = unit.transaction(asked.cause)
    try:
        result = await asked.work(tx)
    except (SQLAlchemyError, OSError, TimeoutError):
        raise  # the transaction is spoilt for all of the group
    except Exception as error:  # noqa: BLE001 - handed to whoever asked
        return error
    unit.absorb(tx)
    return result
