"""Puts a service together from its rooms and runs it: database, Kafka, relay, jobs, doors, graceful stop."""

from __future__ import annotations

import asyncio
import functools
import gc
import inspect
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any, TypeVar

import structlog
import uvicorn
import uvloop
from aiokafka.errors import KafkaError
from fastapi import APIRouter
from faststream.kafka import KafkaBroker
from sqlalchemy import func, select
from sqlalchemy.exc import SQLAlchemyError
from sqlmodel import col

from contracts.topics import TOPICS
from services.chassis import broker, dead_letters, jobs, migrations, operator, outbox, outside, telemetry
from services.chassis.cause import Cause
from services.chassis.clock import Clock
from services.chassis.connections import Connection, Connections
from services.chassis.consuming import Consumer, handlers_in
from services.chassis.database import ConsumerState, DeadLetter, ParkedKey, make_engine
from services.chassis.group import Group
from services.chassis.http import make_app
from services.chassis.job import job
from services.chassis.outbox import Relay
from services.chassis.references import References
from services.chassis.settings import Settings
from services.chassis.transaction import Committed, Place, Transaction, UnitOfWork

log = structlog.get_logger()

Result = TypeVar("Result")
POLL_AGE_LIMIT_SECONDS = 15.0
KAFKA_ANSWER_SECONDS = 2.0
KEEP_ALIVE_SECONDS = 75
"""How long a partner's connection may be silent: longer than what usually stands before us would keep it."""


class ServiceStoppedError(Exception):
    """A part of the service died; the process ends so that it is started anew."""


class Service:
    """One service: its name, settings, handlers and doors. `run` serves until SIGTERM or Ctrl-C."""

    def __init__(
        self,
        name: str,
        settings: Settings,
        *,
        handlers: object = None,
        routers: tuple[APIRouter, ...] = (),
    ) -> None:
        """`handlers` holds the `@consumes` and `@job` functions (a module), `routers` are the doors."""
        self.name = name
        self.settings = settings
        self.clock = Clock(settings.clock_file)
        self.engine = make_engine(settings.database_url)
        self.connections = Connections(self.engine)
        self.references = References()
        self.consumer = Consumer(name, settings, self.connections, handlers_in(handlers), self._begin)
        release = job(dead_letters.ReleaseQueue)(functools.partial(self._release))
        job_handlers: dict[str, Callable[..., Any]] = {dead_letters.ReleaseQueue.name: release, **_jobs(handlers)}
        self.relay = Relay(settings, self.connections, self.clock)
        self._doors = Group(self.connections, self._begin, self._committed)
        self.worker = jobs.Worker(
            settings, self.connections, self.clock, job_handlers, Group(self.connections, self._begin, self._committed)
        )
        self.consumer.on_commit = self._committed
        self.consumer.on_fatal = self._stop_because
        self.app = make_app(self, *routers, operator.router)
        self._offsets = broker.Offsets()
        self._broker: KafkaBroker | None = None
        self._subscriber: Any = None
        self._server: uvicorn.Server | None = None
        self._fault: BaseException | None = None

    def run(self) -> None:
        """Serve until told to stop. Raises ServiceStoppedError where a part of it died."""
        telemetry.configure_logging(self.name, self.settings.log_level)
        _spare_the_collector()
        uvloop.run(self._serve())
        if self._fault is not None:
            raise ServiceStoppedError(self.name) from self._fault

    async def _serve(self) -> None:
        config = uvicorn.Config(
            self.app,
            host=self.settings.host,
            port=self.settings.port,
            log_config=None,
            access_log=False,
            timeout_keep_alive=KEEP_ALIVE_SECONDS,
            timeout_graceful_shutdown=int(self.settings.graceful_stop),
        )
        async with self.running():
            self._server = uvicorn.Server(config)
            self._server.should_exit = self._fault is not None
            await self._server.serve()

    @asynccontextmanager
    async def running(self) -> AsyncIterator[Service]:
        """Everything but the HTTP server, which tests call in process."""
        await migrations.upgrade(self.name, self.settings.database_url)
        await broker.provision(self.settings.brokers, TOPICS)
        background = [self._background(each.run()) for each in (self.relay, self.worker, self._offsets)]
        try:
            await self._start_consuming()
            yield self
        finally:
            await self._stop(background)

    async def _stop(self, background: Sequence[asyncio.Task[None]]) -> None:
        """Finish what is under way: the batch first, then jobs and the page of the relay; what lasts longer is cut."""
        self.consumer.stop()
        self.worker.stop()
        await self._offsets.end()
        if self._broker is not None:
            await self._broker.stop()
        self.relay.stop()
        _, late = await asyncio.wait(background, timeout=self.settings.graceful_stop)
        for task in late:
            task.cancel()
        await asyncio.gather(*background, return_exceptions=True)
        await outside.close()
        await self.connections.close()
        await self.engine.dispose()

    async def _start_consuming(self) -> None:
        if not self.consumer.topics:
            return
        self._broker, self._subscriber = broker.subscribe(
            self.settings, self.name, self.consumer.topics, self.consumer.handle_batch, self._offsets
        )
        await self._broker.start()

    def _background(self, work: Any) -> asyncio.Task[None]:  # noqa: ANN401 - a coroutine
        task: asyncio.Task[None] = asyncio.create_task(work)
        task.add_done_callback(self._ended)
        return task

    def _ended(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled() and task.exception() is not None:
            self._stop_because(task.exception() or ServiceStoppedError(self.name))

    def _stop_because(self, error: BaseException) -> None:
        log.error("service.stopping", error=repr(error), exc_info=error)
        self._fault = error
        if self._server is not None:
            self._server.should_exit = True

    def _begin(self, connection: Connection) -> UnitOfWork:
        unit = UnitOfWork(self.name, connection, self.clock, self.references)
        unit.claim_seconds = self.worker.claim_seconds
        return unit

    def _committed(self, committed: Committed) -> None:
        self.relay.committed(committed.messages)
        self.worker.committed(committed.jobs)

    async def _release(self, decided: dead_letters.ReleaseQueue, tx: Transaction) -> None:
        """Carry out a decision about what failed here: a job that gave up, or a record."""
        if not await dead_letters.release_job(decided, tx):
            await self.consumer.release(decided, tx)

    async def transact(
        self, work: Callable[[Transaction], Awaitable[Result]], cause: Cause, reads: Sequence[Place] = ()
    ) -> Result:
        """Do work and commit it; nothing of it stays if it raises. `reads` are rows that it is going to need."""
        return await self._doors.do(work, cause, reads)

    async def look(self, work: Callable[[Transaction], Awaitable[Result]]) -> Result:
        """Do work that only reads; nothing of it stays."""
        async with self.connections.use() as connection:
            unit = self._begin(connection)
            unit.locking = False
            return await work(unit.transaction(Cause("look", "request")))

    async def readiness(self) -> dict[str, Any]:
        """Say what an operator wants to know first; `ready` is the verdict."""
        state: dict[str, Any] = {"service": self.name, "ready": False, "business_time": self.clock.now().isoformat()}
        try:
            async with self.connections.use() as connection:
                state["unsent_events"] = await outbox.unsent(connection)
                state["jobs"] = await jobs.due_counts(connection, self.clock)
                state["stopped"] = bool(await connection.scalar(select(col(ConsumerState.stopped))))
                state["parked_keys"] = await connection.scalar(select(func.count()).select_from(ParkedKey))
                failed = select(func.count()).where(col(DeadLetter.state) == "failed")
                state["dead_letters"] = await connection.scalar(failed)
        except (SQLAlchemyError, OSError) as error:
            return state | {"fault": f"database: {error!r}"}
        following = state["jobs"]["next_due_at"]
        state["jobs"]["next_due_at"] = following.isoformat() if following else None
        state["consumer"] = await self._consumer_state()
        telemetry.PARKED.set(state["parked_keys"])
        polls = state["consumer"].get("last_poll_seconds")
        consuming = not self.consumer.topics or (polls is not None and polls < POLL_AGE_LIMIT_SECONDS)
        return state | {"ready": consuming and not state["stopped"]}

    async def _consumer_state(self) -> dict[str, Any]:
        """Assignment, lag and the age of the last poll; a batch that does not end counts as not polling."""
        away = {"partitions": 0, "lag": None, "last_poll_seconds": None}
        kafka = self._subscriber.consumer if self._subscriber else None
        if kafka is None or not kafka.assignment():
            return away
        assigned = kafka.assignment()
        try:
            async with asyncio.timeout(KAFKA_ANSWER_SECONDS):
                lags = [max(0, (kafka.highwater(each) or 0) - await kafka.position(each)) for each in assigned]
        except (KafkaError, TimeoutError) as error:
            return away | {"fault": repr(error)}
        last = max(kafka.last_poll_timestamp(each) or 0 for each in assigned)
        age = max(self.clock.real().timestamp() - last / 1000, self.consumer.busy_seconds) if last else None
        return {"partitions": len(assigned), "lag": sum(lags), "last_poll_seconds": age and round(age, 3)}


def _spare_the_collector() -> None:
    """Have the garbage collector look at what is new, and seldom: at code and tables it would look in vain.

    It took a sixth of the time of a busy service. What is not in a cycle is freed at once in any case.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 50, 50)


def _jobs(module: object) -> dict[str, Callable[..., Any]]:
    members = inspect.getmembers(module, inspect.iscoroutinefunction) if module else []
    return {member.job_kind.name: member for _, member in members if hasattr(member, "job_kind")}
