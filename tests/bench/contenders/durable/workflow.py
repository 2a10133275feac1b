"""The workflow of one order and its steps."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from typing import TypeVar

from dbos import DBOS
from sqlmodel.ext.asyncio.session import AsyncSession

from contracts.customer_v1 import CustomerRecorded
from contracts.event import REGISTRY, Event
from contracts.order_v1 import Order, OrderCompleted, OrderConfirmed
from contracts.subscription_v1 import SubscriptionChanged
from services.intake.api.body import OrderForm
from services.intake.rules import step as state_after
from services.notification.rules import Notice, notices
from tests.bench.contenders.durable.wiring import outside, settings
from tests.bench.contenders.work import billing, intake, notification, provisioning
from tests.bench.contenders.work.tables import CustomerRow, OrderRow, PartnerRow, StepRow, now

Found = TypeVar("Found", bound=Event)


@DBOS.workflow()
async def carry_out(order_id: str, partner: str, body: str, received_at: datetime) -> str:
    """Carry out one order from its reception to the last notice; returns its state."""
    await outside.open()
    confirmed = await take(order_id, partner, body, received_at)
    if confirmed is None:
        return "held"
    await tell(notices(confirmed)[0])
    changed = await change_network(confirmed)
    await charge(changed)
    completed = await complete(order_id)
    await commission(completed)
    for notice in notices(completed):
        await tell(notice)
    return "completed"


async def _once(work: Callable[[AsyncSession], Awaitable[Sequence[Event]]]) -> Sequence[Event]:
    """Do a step's work once and publish its events; one that died before DBOS wrote it down only publishes again."""
    place = (DBOS.workflow_id or "", DBOS.step_id or 0)
    async with outside.session() as session:
        row = await session.get(StepRow, place)
        if row is None:
            decided = await work(session)
            kept = [[each.type, each.model_dump_json()] for each in decided]
            session.add(StepRow(workflow=place[0], step=place[1], events=kept))
            await session.commit()
        else:
            decided = [REGISTRY[kind].from_value(value.encode()) for kind, value in row.events]
    await outside.publish(place, decided)
    return decided


@DBOS.step()
async def take(order_id: str, partner_id: str, body: str, received_at: datetime) -> OrderConfirmed | None:
    """Record the customer, judge the order; None where it is held."""
    form = OrderForm.model_validate_json(body)

    async def work(session: AsyncSession) -> Sequence[Event]:
        partner = await session.get_one(PartnerRow, partner_id)
        customer = intake.customer_of(form, f"cust-{order_id}")
        order = intake.order_of(form, partner_id, customer.id, (order_id, f"sub-{order_id}"), received_at)
        publications = await intake.publications(session, order.offer_code)
        proves = await intake.claim(session, order)
        order, assessment = intake.judged(order, partner, publications, proves)
        session.add(CustomerRow(id=customer.id, customer=customer.model_dump(mode="json")))
        session.add(intake.order_row(order, assessment, received_at))
        return [CustomerRecorded(customer=customer), intake.decided(order, assessment, received_at)]

    decision = (await _once(work))[-1]
    return decision if isinstance(decision, OrderConfirmed) else None


@DBOS.step(retries_allowed=True, max_attempts=8)
async def change_network(event: OrderConfirmed) -> SubscriptionChanged:
    """Plan the change, ask the network and keep what it says."""

    async def work(session: AsyncSession) -> Sequence[Event]:
        wanted = await provisioning.plan(session, event)
        reported = await provisioning.ask_network(outside.client, settings.network_url, wanted, event.order.id)
        return await provisioning.finish(session, event.order.id, reported)

    return _only(await _once(work), SubscriptionChanged)


@DBOS.step()
async def charge(event: SubscriptionChanged) -> None:
    """Charge what the customer has now."""
    await _once(lambda session: billing.start_charges(session, event))


@DBOS.step()
async def complete(order_id: str) -> OrderCompleted:
    """Complete the order."""

    async def work(session: AsyncSession) -> Sequence[Event]:
        row, at = await session.get_one(OrderRow, order_id, with_for_update=True), now()
        row.state, row.updated_at = state_after("inProgress", "completed"), at
        row.history = [*row.history, {"state": "completed", "at": at.isoformat(), "by": "intake", "reason": None}]
        return [OrderCompleted(order=Order.model_validate(row.order), completed_at=at)]

    return _only(await _once(work), OrderCompleted)


@DBOS.step()
async def commission(event: OrderCompleted) -> None:
    """Fix what the partner earns."""
    await _once(lambda session: billing.hold_commission(session, event))


@DBOS.step()
async def tell(notice: Notice) -> None:
    """Send one notice."""

    async def work(session: AsyncSession) -> Sequence[Event]:
        letter = await notification.write_letter(session, notice)
        if letter is None:
            raise LookupError(notice.order.customer_id)
        row = notification.keep_notice(session, notice)
        return [notification.sent(row, notice, letter, await notification.send(letter))]

    await _once(work)


def _only(decided: Sequence[Event], kind: type[Found]) -> Found:
    [event] = decided
    if not isinstance(event, kind):
        raise TypeError(type(event).__name__)
    return event
