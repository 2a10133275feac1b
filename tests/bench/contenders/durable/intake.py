"""The door: takes an order's key and reference, enqueues its workflow, and answers."""

from __future__ import annotations

import hashlib
import json
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from dbos import DBOSClient, EnqueueOptions
from fastapi import FastAPI, Request, Response
from sqlalchemy.exc import IntegrityError

from services.chassis.faults import preferred_language
from services.intake.api.body import FaultyBodyError, OrderForm, read_order
from tests.bench.contenders.durable.wiring import NAMESPACE, QUEUE, outside, settings, system_database
from tests.bench.contenders.work import environment
from tests.bench.contenders.work.door import response
from tests.bench.contenders.work.intake import Answer, UnknownKeyError, problem, replayed, seller
from tests.bench.contenders.work.tables import IdempotencyRow, ReferenceRow, now


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    """Open the database and DBOS's."""
    await outside.open()
    app.state.client = DBOSClient(
        system_database_url=system_database(),
        system_database_pool_size=settings.system_pool_size,
        application_name="durable",
    )
    yield
    app.state.client.destroy()


app = FastAPI(lifespan=lifespan)


@app.get("/readyz")
async def readyz() -> Response:
    """Whether orders may be posted."""
    return Response(status_code=200)


@app.post("/v1/orders")
async def post_order(request: Request) -> Response:
    """Take an order: its workflow is enqueued once, whatever happens to this request."""
    raw, key = await request.body(), request.headers.get("idempotency-key", "")
    if not key:
        return response(problem(400, "idempotency-key.missing", "send an Idempotency-Key"))
    try:
        async with outside.session() as session:
            partner = (await seller(session, request.headers.get("authorization", ""))).id
        form = read_order(raw, preferred_language(request.headers.get("accept-language", "")))
    except UnknownKeyError:
        return response(problem(401, "key.unknown", "this key is not known here"))
    except FaultyBodyError as error:
        return response(problem(422, "request.invalid", str(error), [dict(each) for each in error.faults]))
    answer, order_id = await taken(partner, key, form, hashlib.sha256(raw).hexdigest())
    if order_id is not None:
        await enqueue(request.app.state.client, f"{partner}/{key}", order_id, partner, form)
    return response(answer)


async def taken(partner: str, key: str, form: OrderForm, body_sha256: str) -> tuple[Answer, str | None]:
    """Take the key and the reference; returns the order's id where its workflow is to be enqueued."""
    order_id = str(uuid.uuid5(NAMESPACE, f"{partner}/{key}"))
    view = {"id": order_id, "partner_reference": form.partner_reference, "state": "acknowledged"}
    answer = Answer(201, json.dumps(view), {"Location": f"/v1/orders/{order_id}"})
    async with outside.session() as session:
        row = IdempotencyRow(
            partner=partner,
            key=key,
            body_sha256=body_sha256,
            order_id=order_id,
            answer=answer.body,
            created_at=now(),
        )
        session.add_all([row, ReferenceRow(partner=partner, name=form.partner_reference, order_id=order_id)])
        try:
            await session.commit()
        except IntegrityError:
            await session.rollback()
            first = await session.get(IdempotencyRow, (partner, key))
            if first is None:
                return problem(409, "partner-reference.in-use", "an order has this partner_reference"), None
            again = replayed(first, body_sha256)
            return again, first.order_id if again.status == 201 else None
    return answer, order_id


async def enqueue(client: DBOSClient, workflow_id: str, order_id: str, partner: str, form: OrderForm) -> None:
    """Enqueue the workflow of an order; one that is there already stays as it is."""
    options: EnqueueOptions = {"workflow_name": "carry_out", "queue_name": QUEUE, "workflow_id": workflow_id}
    await client.enqueue_async(options, order_id, partner, form.model_dump_json(), now())


if __name__ == "__main__":
    environment.serve(app, settings)
