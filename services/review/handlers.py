"""What review does when something is found, fails, is released, or an order moves."""

from __future__ import annotations

from collections.abc import Iterable

from contracts.case_v1 import CLOSED, CaseClosed, CaseOpened
from contracts.dead_letter_v1 import DiscrepancyFound, MessageDeadLettered, MessageReleased
from contracts.order_v1 import (
    OrderAcknowledged,
    OrderAnswered,
    OrderCancellationRequested,
    OrderCancelled,
    OrderCompleted,
    OrderConfirmed,
    OrderEvent,
    OrderFailed,
    OrderHeld,
    OrderPending,
    OrderRejected,
)
from services.chassis.consuming import consumes
from services.chassis.job import job
from services.chassis.transaction import Transaction
from services.review import store
from services.review.life import ReturnUnanswered
from services.review.rules import cases, following
from services.review.rules.cases import Answer, By, Case
from services.review.rules.following import News
from services.review.store import About, OrderRow


def order_row(event: OrderEvent) -> Iterable[tuple[type[OrderRow], tuple[str]]]:
    """Name the row that an order event needs."""
    yield OrderRow, (event.order.id,)


@consumes(DiscrepancyFound)
async def open_case(event: DiscrepancyFound, tx: Transaction) -> list[CaseOpened | CaseClosed]:
    """Open the one case of a judgement; where its order has moved on already, it is overtaken at once."""
    event = cases.storable(event)
    store.saw(tx, event, About(order_id=event.order_id, case_id=event.case_id, customer_id=event.customer_id))
    if await store.case(tx, event.case_id) is not None:
        return []
    case = opened = cases.owned(cases.opened(event, tx.now), await store.reviewers(tx))
    if case.order_id is not None and case.holds_order:
        order = await store.order(tx, case.order_id)
        case = following.overtaken(case, order.standing, tx.now)
        _keep_order(tx, order, [case])
    store.keep(tx, case)
    return [cases.opening(opened), *cases.closing(opened, case)]


@consumes(MessageDeadLettered)
async def keep_message(event: MessageDeadLettered, tx: Transaction) -> list[CaseOpened]:
    """Open the one case of a message, or add this service's failure to it."""
    event = cases.storable(event)
    store.saw(tx, event, About(case_id=event.case_id))
    before = await store.case(tx, event.case_id)
    case = cases.owned(cases.failed(before, event, tx.now), await store.reviewers(tx))
    store.keep(tx, case)
    if before is not None:
        return []
    store.keep_message(tx, event)
    return [cases.opening(case)]


@consumes(MessageReleased)
async def close_message(event: MessageReleased, tx: Transaction) -> list[CaseClosed]:
    """Close the case of a message once every service that failed on it has said what became of it."""
    store.saw(tx, event, About(case_id=event.case_id))
    before = await store.case(tx, event.case_id)
    if before is None:
        return []  # dead letters are kept for 30 days: one that was found before is no case here
    case = cases.released(before, event, By(type=event.type, id=tx.cause.id), tx.now)
    store.keep(tx, case)
    return cases.closing(before, case)


@consumes(OrderHeld, reads=order_row)
async def follow_held(event: OrderHeld, tx: Transaction) -> list[CaseClosed]:
    """Remember which case holds an order; one whose decision left codes unresolved is open again."""
    return await _follow(event, tx)


@consumes(OrderAnswered)
async def take_answer(event: OrderAnswered, tx: Transaction) -> None:
    """Show what the partner answered: the case is open again, with a new due time."""
    event = cases.storable(event)
    store.saw(tx, event, About(order_id=event.order.id, case_id=event.case_id, customer_id=event.order.customer_id))
    case = await store.case(tx, event.case_id)
    if case is not None and case.questions:
        given = event.model_dump(include={"text", "evidence", "evidence_held", "answered_at"})
        answer = Answer.model_validate(given)
        store.keep(tx, following.answered(case, answer))


@job(ReturnUnanswered)
async def return_unanswered(job_: ReturnUnanswered, tx: Transaction) -> None:
    """Bring a case back into the queue whose partner did not answer in time."""
    case = await store.case(tx, job_.case_id)
    if case is not None:
        store.keep(tx, following.unanswered(case, job_.event_id))


@consumes(OrderAcknowledged, reads=order_row)
async def follow_acknowledged(event: OrderAcknowledged, tx: Transaction) -> list[CaseClosed]:
    """Close the case of an order that was sent again and waits for another one once more."""
    return await _follow(event, tx)


@consumes(OrderPending, reads=order_row)
async def follow_pending(event: OrderPending, tx: Transaction) -> list[CaseClosed]:
    """Close the cases of an order that waits for its customer again."""
    return await _follow(event, tx)


@consumes(OrderConfirmed, reads=order_row)
async def follow_confirmed(event: OrderConfirmed, tx: Transaction) -> list[CaseClosed]:
    """Close the cases of an order that is on its way again."""
    return await _follow(event, tx)


@consumes(OrderCancellationRequested, reads=order_row)
async def follow_cancellation(event: OrderCancellationRequested, tx: Transaction) -> list[CaseClosed]:
    """Close the case whose decision asked for the cancellation."""
    return await _follow(event, tx)


@consumes(OrderCompleted, reads=order_row)
async def follow_completed(event: OrderCompleted, tx: Transaction) -> list[CaseClosed]:
    """Close the cases of an order that was carried out."""
    return await _follow(event, tx)


@consumes(OrderRejected, reads=order_row)
async def follow_rejected(event: OrderRejected, tx: Transaction) -> list[CaseClosed]:
    """Close the cases of an order that was refused."""
    return await _follow(event, tx)


@consumes(OrderCancelled, reads=order_row)
async def follow_cancelled(event: OrderCancelled, tx: Transaction) -> list[CaseClosed]:
    """Close the cases of an order that was cancelled."""
    return await _follow(event, tx)


@consumes(OrderFailed, reads=order_row)
async def follow_failed(event: OrderFailed, tx: Transaction) -> list[CaseClosed]:
    """Close the cases of an order that could not be carried out."""
    return await _follow(event, tx)


async def _follow(event: OrderEvent, tx: Transaction) -> list[CaseClosed]:
    store.saw(tx, event, About(order_id=event.order.id, customer_id=event.order.customer_id))
    if not following.remembered(event) and await tx.get(OrderRow, event.order.id) is None:
        return []  # nothing is known of the order and nothing is to be: most orders have no case
    order = await store.order(tx, event.order.id)
    news = News(event, tx.cause.id, tx.cause.causation_id, tx.now)
    standing = following.after(order.standing, news)
    before = [case for case in [await store.case(tx, each) for each in order.cases] if case is not None]
    moved = [following.followed(case, standing, news) for case in before]
    for case in moved:
        store.keep(tx, case)
    if standing != order.standing or moved != before:
        _keep_order(tx, OrderRow(id=order.id, standing=standing, cases=order.cases, order=event.order), moved)
    return [closed for earlier, case in zip(before, moved, strict=True) for closed in cases.closing(earlier, case)]


def _keep_order(tx: Transaction, order: OrderRow, moved: list[Case]) -> None:
    closed = {case.id for case in moved if case.state in CLOSED}
    known = dict.fromkeys([*order.cases, *(case.id for case in moved)])
    left = [each for each in known if each not in closed]
    tx.put(OrderRow(id=order.id, standing=order.standing, order=order.order, cases=left))
