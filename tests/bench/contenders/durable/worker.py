"""A worker: carries out the workflows of the queue."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import uvloop
from dbos import DBOS
from fastapi import FastAPI, Response

import tests.bench.contenders.durable.workflow  # noqa: F401 - registers the workflow with DBOS
from tests.bench.contenders.durable.wiring import QUEUE, configuration, settings
from tests.bench.contenders.work import environment


@asynccontextmanager
async def lifespan(_: FastAPI) -> AsyncIterator[None]:
    """Run DBOS beside the HTTP server."""
    await asyncio.to_thread(DBOS.launch)
    await DBOS.register_queue_async(
        QUEUE, worker_concurrency=settings.max_workers, polling_interval_sec=settings.queue_poll_seconds
    )
    yield
    await asyncio.to_thread(DBOS.destroy)


def main() -> None:
    """Serve until told to stop."""
    asyncio.set_event_loop_policy(uvloop.EventLoopPolicy())  # DBOS makes a loop of its own
    app = FastAPI(lifespan=lifespan)
    app.add_api_route("/readyz", lambda: Response(status_code=200))
    DBOS(config=configuration())
    environment.serve(app, settings)


if __name__ == "__main__":
    main()
