"""The load generator, a process of its own: posts orders over keep-alive connections and sees when each is completed.

It reads a `Plan` from its first line of input and then one `Task` a line; for each it prints one JSON line, before that
lines with the progress. It is lean, so that it measures the system and not itself; what it costs is reported as well.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import re
import sys
import time
from collections.abc import Callable, Collection, Coroutine, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, cast
from urllib.parse import urlparse

import uvloop
from aiokafka import AIOKafkaConsumer, TopicPartition

from tests.bench.orders import Requests, yes

COMPLETED = b"order.completed.v1"
ORDER_ID = re.compile(rb'"id":\s*"([^"]+)"')
STATE = re.compile(rb'"state":\s*"(\w+)"')
LINK_TO = re.compile(rb'"to":"bench-(\d{8})@.*?(/confirm/[\w.-]+)')
CODE_TO = re.compile(rb'"to":"\+324(\d{8})".*?\b(\d{6})\b')
LENGTH = re.compile(rb"(?i)\r\ncontent-length:\s*(\d+)")
PAUSE_SECONDS = 0.01
"""Between two looks at the topic or the mail catcher: one record at a time would cost more than what is measured."""
PATIENCE_SECONDS = 60.0
"""So long without a completion and the run has failed."""
PROGRESS_SECONDS = 0.5


class UnexpectedAnswerError(Exception):
    """An answer that is not the expected one; the message says what it was."""


@dataclass(frozen=True)
class Plan:
    """Where the orders go, in which state they are answered, and where they are seen to be complete.

    `mail` is the mail catcher's journal: given, the orders are of the channel telesales and each waits for a yes.
    """

    urls: Sequence[str]
    key: str
    kafka: str
    topic: str
    agent: str
    state: str = "inProgress"
    mail: str | None = None
    connections: int = 32


@dataclass(frozen=True)
class Task:
    """What to do with the orders numbered from `first` on: `upload` their contracts, or `run` them.

    `rate` is orders per second, latencies are then measured from the scheduled times; None: as fast as answers come.
    `wait` tells whether to wait until all are completed; `behind`, to wait for those of the task before as well.
    """

    do: str
    first: int
    count: int
    rate: float | None = None
    wait: bool = True
    behind: bool = False


@dataclass
class Times:
    """When each order was posted (or scheduled), answered and completed; seconds of one clock."""

    posted: dict[bytes, float] = field(default_factory=dict)
    answers: list[float] = field(default_factory=list)
    completed: dict[bytes, float] = field(default_factory=dict)


class Connection(asyncio.Protocol):
    """One keep-alive HTTP/1.1 connection with one request at a time; opened anew where it was idle for too long."""

    def __init__(self, url: str) -> None:
        parts = urlparse(url)
        self._address = (parts.hostname or "", parts.port or 80)
        self._received = b""
        self._answer: asyncio.Future[tuple[int, bytes]] | None = None
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is no subclass of it

    def data_received(self, data: bytes) -> None:
        self._received += data
        head = self._received.find(b"\r\n\r\n")
        if head < 0 or self._answer is None:
            return
        length = LENGTH.search(self._received, 0, head)
        end = head + 4 + (int(length[1]) if length else 0)
        if len(self._received) >= end:
            answer, self._answer = self._answer, None
            answer.set_result((int(self._received[9:12]), self._received[head + 4 : end]))
            self._received = b""

    def connection_lost(self, error: Exception | None) -> None:
        if self._answer is not None:
            self._answer.set_exception(ConnectionError(f"closed before the answer came: {error}"))

    async def ask(self, request: bytes) -> tuple[int, bytes]:
        """Send a request; returns status and body."""
        loop = asyncio.get_running_loop()
        if self._transport is None or self._transport.is_closing():
            self._transport, _ = await loop.create_connection(lambda: self, *self._address)
        self._answer = loop.create_future()
        self._transport.write(request)
        return await self._answer


class Load:
    """Does one task after the other over the same connections."""

    def __init__(self, plan: Plan, requests: Requests) -> None:
        self._plan = plan
        self._requests = requests
        self._connections = [Connection(url) for url in itertools.islice(itertools.cycle(plan.urls), plan.connections)]
        self._expected = plan.state.encode()
        self._times = Times()
        self._customers = plan.connections if plan.mail else 0
        self._links = _links(Path(plan.mail)) if plan.mail else iter(())

    async def do(self, task: Task) -> dict[str, Any]:
        """Do a task; returns what it measured."""
        numbers = iter(range(task.first, task.first + task.count))
        if task.do == "upload":
            await self._each(lambda connection: self._upload(connection, numbers))
            return {"orders": task.count}
        earlier = self._times.posted if task.behind else {}
        times = self._times = Times(completed=self._times.completed if task.behind else {})
        began = time.monotonic()
        scheduled = itertools.count(began, 1 / task.rate) if task.rate else None
        async with asyncio.TaskGroup() as tasks:
            confirming = [tasks.create_task(self._confirm()) for _ in range(self._customers)]
            expected = task.count + len(earlier) if task.wait else 0
            completing = tasks.create_task(self._until_completed(expected))
            await self._each(lambda connection: self._post(connection, numbers, scheduled, times))
            posted = time.monotonic()
            await completing
            for each in confirming:
                each.cancel()
        ended = max(times.completed.values(), default=posted)
        figures = _figures(times, task.count, posted - began, max(posted, ended) - began)
        return figures | ({"notes": _drained(times, earlier)} if earlier else {})

    async def watch(self, consumer: AIOKafkaConsumer) -> None:
        """Note the completion of orders, from now on."""
        while True:
            for records in (await consumer.getmany(timeout_ms=500)).values():
                now = time.monotonic()
                for record in records:
                    subject = _completed(record.headers)
                    if subject is not None:
                        self._times.completed[subject] = now
            await asyncio.sleep(PAUSE_SECONDS)

    async def _each(self, work: Callable[[Connection], Coroutine[Any, Any, None]]) -> None:
        async with asyncio.TaskGroup() as tasks:
            for connection in self._connections:
                tasks.create_task(work(connection))

    async def _upload(self, connection: Connection, numbers: Iterator[int]) -> None:
        for number in numbers:
            status, body = await connection.ask(self._requests.contract(number))
            if status not in {200, 201}:
                raise UnexpectedAnswerError(f"contract {number}: {status} {body[:500]!r}")

    async def _post(
        self, connection: Connection, numbers: Iterator[int], scheduled: Iterator[float] | None, times: Times
    ) -> None:
        for number in numbers:
            request = self._requests.order(number)
            began = time.monotonic() if scheduled is None else await _wait_for(next(scheduled))
            status, body = await connection.ask(request)
            times.answers.append(time.monotonic() - began)
            state, order_id = STATE.search(body), ORDER_ID.search(body)
            if status != 201 or order_id is None or state is None or state[1] != self._expected:
                raise UnexpectedAnswerError(f"order {number}: {status} {body[:500]!r}")
            times.posted[order_id[1]] = began

    async def _confirm(self) -> None:
        """Answer every link that the mail catcher has, as it comes."""
        connection = Connection(self._plan.urls[0])
        while True:
            for path, code in itertools.takewhile(any, self._links):
                status, body = await connection.ask(yes(path, code))
                if status != 200:
                    raise UnexpectedAnswerError(f"{path!r}: {status} {body[:500]!r}")
            await asyncio.sleep(PAUSE_SECONDS)

    async def _until_completed(self, count: int) -> None:
        """Wait, telling how far it is. Raises UnexpectedAnswerError where nothing moves any more."""
        done, moved, told = 0, time.monotonic(), 0.0
        while (now := time.monotonic()) and len(self._times.completed) < count:
            if len(self._times.completed) > done:
                done, moved = len(self._times.completed), now
            if now - moved > PATIENCE_SECONDS:
                raise UnexpectedAnswerError(f"{count - done} of {count} orders were not completed")
            if now - told > PROGRESS_SECONDS:
                told = now
                say({"progress": done})
            await asyncio.sleep(PAUSE_SECONDS)


async def _wait_for(moment: float) -> float:
    """Sleep until a moment, which may have passed; returns it."""
    await asyncio.sleep(max(0.0, moment - time.monotonic()))
    return moment


def _completed(headers: Sequence[tuple[str, bytes]]) -> bytes | None:
    """The order that this record says is completed."""
    completed = False
    for name, value in headers:
        if name == "ce_type":
            if value != COMPLETED:
                return None
            completed = True
        elif name == "ce_subject" and completed:
            return value
    return None


def _links(journal: Path) -> Iterator[tuple[bytes, bytes]]:
    """The links to answer in what the mail catcher got, each once with its code; empty when there is none for now."""
    while not journal.exists():
        yield b"", b""
    links, codes = dict[bytes, bytes](), dict[bytes, bytes]()
    with journal.open("rb") as file:
        rest = b""
        while True:
            *lines, rest = (rest + file.read()).split(b"\n")
            for line in lines:
                for known, found in ((links, LINK_TO.search(line)), (codes, CODE_TO.search(line))):
                    if found is None:
                        continue
                    known[found[1]] = found[2]
                    if found[1] in links and found[1] in codes:
                        yield links.pop(found[1]), codes.pop(found[1])
            yield b"", b""


def _figures(times: Times, count: int, posting: float, total: float) -> dict[str, Any]:
    """Orders per second and latencies in milliseconds."""
    waits = [at - times.posted[order] for order, at in times.completed.items() if order in times.posted]
    return {
        "orders": count,
        "seconds": total,
        "posting_seconds": posting,
        "post_ms": percentiles(times.answers),
        "completed_ms": percentiles(waits),
    }


def _drained(times: Times, earlier: Collection[bytes]) -> dict[str, float]:
    """How fast orders that were behind were completed, and with them those that came meanwhile."""
    first, last = min(times.completed.values()), max(times.completed[order] for order in earlier)
    meanwhile = sum(at <= last for at in times.completed.values())
    return {
        "behind": len(earlier),
        "drained_per_second": len(earlier) / (last - first),
        "completed_per_second": meanwhile / (last - first),
    }


def percentiles(seconds: Sequence[float]) -> dict[str, float]:
    """The usual ones, in milliseconds."""
    ordered = sorted(seconds)
    if not ordered:
        return {}
    return {f"p{each}": 1000 * ordered[min(len(ordered) - 1, len(ordered) * each // 100)] for each in (50, 95, 99)}


def say(line: dict[str, Any]) -> None:
    """Tell the one who started us."""
    sys.stdout.write(json.dumps(line) + "\n")
    sys.stdout.flush()


async def _consumer(plan: Plan) -> AIOKafkaConsumer:
    """A consumer of the topic without a group, from its end on."""
    consumer = AIOKafkaConsumer(
        bootstrap_servers=plan.kafka.split(","), enable_auto_commit=False, check_crcs=False, fetch_min_bytes=1
    )
    await consumer.start()
    while not (partitions := consumer.partitions_for_topic(plan.topic)):
        await consumer._client.force_metadata_update()
        await asyncio.sleep(0.2)
    places = [TopicPartition(plan.topic, each) for each in partitions]
    consumer.assign(places)
    await consumer.seek_to_end(*places)
    for each in places:
        await consumer.position(each)
    return consumer


async def main() -> None:
    """Do what is read from the input, until it ends."""
    lines = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(lines), sys.stdin)
    plan = Plan(**json.loads(await lines.readline()))
    sold_at = (datetime.now(UTC) - timedelta(minutes=1)).isoformat()
    requests = Requests(plan.key, plan.agent, sold_at, signed=plan.mail is None)
    load = Load(plan, requests)
    consumer = await _consumer(plan)
    watching = asyncio.ensure_future(load.watch(consumer))
    say({"ready": True})
    try:
        while line := await lines.readline():
            doing = asyncio.ensure_future(load.do(Task(**json.loads(line))))
            await asyncio.wait({doing, watching}, return_when=asyncio.FIRST_COMPLETED)
            if watching.done():
                watching.result()
            say(doing.result())
    finally:
        watching.cancel()
        await consumer.stop()


def _cause(error: BaseException) -> BaseException:
    """The first of those that failed at once: the others say the same."""
    return _cause(error.exceptions[0]) if isinstance(error, BaseExceptionGroup) else error


if __name__ == "__main__":
    try:
        uvloop.run(main())
    except (UnexpectedAnswerError, ConnectionError, ExceptionGroup) as failed:
        sys.exit(f"load generator: {_cause(failed)!r}")
