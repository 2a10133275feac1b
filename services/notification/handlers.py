"""What notification does when an order moved: letters, of which what cannot be sent becomes a case, and webhooks."""

from __future__ import annotations

from http import HTTPStatus
from typing import ClassVar

from contracts.customer_v1 import CustomerRecorded, Language
from contracts.dead_letter_v1 import DiscrepancyFound
from contracts.notice_v1 import NoticeSent, NoticeUndeliverable
from contracts.offer_v1 import OfferPublished, OfferWithdrawn
from contracts.order_v1 import (
    Discrepancy,
    OrderAcknowledged,
    OrderCancelled,
    OrderCompleted,
    OrderConfirmed,
    OrderEvent,
    OrderFailed,
    OrderHeld,
    OrderPending,
    OrderQuestioned,
    OrderRejected,
)
from services.chassis import links
from services.chassis.consuming import consumes
from services.chassis.job import GaveUp, Job, job
from services.chassis.rows import changed
from services.chassis.transaction import Places, Transaction
from services.notification import gateway, pages, rules, store
from services.notification.gateway import Answered, CallWebhook, Refused, Sent, Signed, Unanswered
from services.notification.rules import Attempt, Letter, Notice, Sms
from services.notification.settings import settings
from services.notification.store import CustomerRow, DeliveryRow, NoticeRow, OfferRow, WebhookRow

STAGE = "notification"
AGAIN_REAL_SECONDS = 0.25
SUCCESS = range(200, 300)


class UnknownNoticeError(LookupError):
    """A job names a notice that was never kept."""


class UnknownDeliveryError(LookupError):
    """A job names a delivery that was never kept."""


class SendNotice(Job):
    """Send a notice, to a customer or a partner; `tried` counts how often something that it needs was not here yet."""

    name: ClassVar[str] = "notification.send"
    notice_id: str
    customer_id: str | None = None
    tried: int = 0


class NotYet(GaveUp):
    """Something that a notice needs is not here; `patience` says how many real seconds it may be late."""

    patience: float = 0.0


@consumes(CustomerRecorded)
async def keep_customer(event: CustomerRecorded, tx: Transaction) -> None:
    """Keep where a customer reads, and in which language."""
    tx.put(CustomerRow(id=event.customer.id, customer=event.customer))


@consumes(OfferPublished)
async def keep_offer(event: OfferPublished, tx: Transaction) -> None:
    """Keep the published version: letters describe it from this copy."""
    tx.put(OfferRow(code=event.offer.code, version=event.offer.version, offer=event.offer))


@consumes(OfferWithdrawn)
async def go_on_describing(event: OfferWithdrawn, tx: Transaction) -> None:
    """Do nothing: who has an offer that is off sale still reads what it consists of."""


@consumes(OrderAcknowledged)
async def tell_of_waiting(event: OrderAcknowledged, tx: Transaction) -> None:
    """Tell the partner's webhooks that the order waits for another; nobody gets a letter."""
    await _tell(tx, event)


@consumes(OrderFailed)
async def tell_of_failure(event: OrderFailed, tx: Transaction) -> None:
    """Tell the partner's webhooks that the order could not be carried out."""
    await _tell(tx, event)


@consumes(OrderPending)
async def send_contract_summary(event: OrderPending, tx: Transaction) -> None:
    """Ask the customer: the contract summary with the link to answer goes to the address on file (S2)."""
    await _tell(tx, event)


@consumes(OrderConfirmed)
async def send_summary_of_signed_contract(event: OrderConfirmed, tx: Transaction) -> None:
    """Send the contract summary to a customer who signed in the shop; whoever answered by its link has it already."""
    await _tell(tx, event)


@consumes(OrderHeld)
async def tell_partner_of_review(event: OrderHeld, tx: Transaction) -> None:
    """Tell the partner that the order is in review, and why; and whoever's contact on file it gives otherwise."""
    await _tell(tx, event)


@consumes(OrderQuestioned)
async def ask_partner(event: OrderQuestioned, tx: Transaction) -> None:
    """Hand a reviewer's question to the partner."""
    await _tell(tx, event)


@consumes(OrderCompleted)
async def tell_of_completion(event: OrderCompleted, tx: Transaction) -> None:
    """Tell the customer what she has and pays now, and the partner that it is done."""
    await _tell(tx, event)


@consumes(OrderRejected)
async def tell_of_rejection(event: OrderRejected, tx: Transaction) -> None:
    """Tell the partner, and the customer if she was sent a summary."""
    await _tell(tx, event, asked=await store.was_asked(tx, event.order.id))


@consumes(OrderCancelled)
async def tell_of_cancellation(event: OrderCancelled, tx: Transaction) -> None:
    """Tell the partner, and the customer if she was sent a summary."""
    await _tell(tx, event, asked=await store.was_asked(tx, event.order.id))


async def _tell(tx: Transaction, event: OrderEvent, *, asked: bool = False) -> None:
    await _call_webhooks(tx, event)
    for notice in rules.notices(event, asked=asked):
        notice_id = tx.same_id("notice", notice.kind, notice.recipient, *filter(None, [notice.customer_id]))
        row = NoticeRow(id=notice_id, order_id=event.order.id, notice=notice, state="waiting", created_at=tx.now)
        tx.add(row)
        owner = notice.customer_id or event.order.customer_id
        customer_id = owner if notice.recipient == "customer" else None
        tx.schedule(SendNotice(notice_id=notice_id, customer_id=customer_id))


async def write_letter(job: SendNotice, tx: Transaction) -> Letter | Sms | GaveUp:
    """Write the letter from what is on file now; personal data is read here and kept nowhere."""
    notice = (await _kept(tx, job.notice_id)).notice
    contact = await store.contact(tx, notice)
    if contact is None:
        known_late = settings.late_customer_wait if notice.recipient == "customer" else 0.0
        return NotYet(reason=f"the {notice.recipient} is not on file", patience=known_late)
    if notice.medium == "sms" and notice.confirmation_id:
        return pages.sms(contact, links.code(settings.link_secret, notice.confirmation_id))
    offers = await store.offers(tx, notice.offers)
    missing = [f"{ref.code} v{ref.version}" for ref in notice.offers if rules.named(ref, offers) is None]
    if missing:
        return NotYet(reason=f"offers are missing: {', '.join(missing)}", patience=settings.late_offer_wait)
    return pages.letter(notice, contact, offers, _link(notice))


def _link(notice: Notice) -> str | None:
    if notice.confirmation_id is None:
        return None
    return f"{settings.public_url}/confirm/{links.sign(settings.link_secret, notice.confirmation_id)}"


def _needed(job: SendNotice) -> Places:
    customer = [(CustomerRow, (job.customer_id,))] if job.customer_id else []
    return [(NoticeRow, (job.notice_id,)), *customer]


@job(
    SendNotice,
    prepare=write_letter,
    call=gateway.send,
    reads=_needed,
)
async def record_outcome(
    job: SendNotice, answer: Sent | Refused | GaveUp, tx: Transaction
) -> list[NoticeSent | NoticeUndeliverable | DiscrepancyFound]:
    """Keep the hash of what was sent as evidence, or raise a case for what could not be delivered."""
    row = await _kept(tx, job.notice_id)
    if isinstance(answer, Sent):
        return [_sent(tx, row, answer)]
    if isinstance(answer, NotYet) and job.tried * AGAIN_REAL_SECONDS < answer.patience:
        tx.schedule(job.model_copy(update={"tried": job.tried + 1}), wait=AGAIN_REAL_SECONDS)
        return []
    return _undeliverable(tx, row, answer.reason, answer.language if isinstance(answer, Refused) else None)


async def _kept(tx: Transaction, notice_id: str) -> NoticeRow:
    row = await tx.get(NoticeRow, notice_id)
    if row is None:
        raise UnknownNoticeError(notice_id)
    return row


def _sent(tx: Transaction, row: NoticeRow, answer: Sent) -> NoticeSent:
    tx.put(changed(row, state="sent", language=answer.language, sha256=answer.sha256, sent_at=tx.now))
    return NoticeSent(
        notice_id=row.id,
        order_id=row.order_id,
        subscription_id=row.notice.order.subscription_id,
        kind=row.notice.kind,
        recipient=row.notice.recipient,
        medium=row.notice.medium,
        language=answer.language,
        sent_at=tx.now,
        sha256=answer.sha256,
    )


def _undeliverable(
    tx: Transaction, row: NoticeRow, reason: str, language: Language | None
) -> list[NoticeSent | NoticeUndeliverable | DiscrepancyFound]:
    tx.put(changed(row, state="undeliverable", language=language, reason=reason))
    order, notice = row.notice.order, row.notice
    case_id = tx.next_id(DiscrepancyFound, order.subscription_id)
    undeliverable = NoticeUndeliverable(
        notice_id=row.id,
        order_id=order.id,
        subscription_id=order.subscription_id,
        kind=notice.kind,
        recipient=notice.recipient,
        medium=notice.medium,
        language=language,
        case_id=case_id,
        reason=reason,
    )
    return [_found(notice, case_id, reason), undeliverable]


def _found(notice: Notice, case_id: str, reason: str) -> DiscrepancyFound:
    order, path = notice.order, f"/{notice.recipient}/{notice.kind}"
    return DiscrepancyFound(
        case_id=case_id,
        order_id=order.id,
        subscription_id=order.subscription_id,
        customer_id=order.customer_id,
        partner=order.partner,
        agent=order.agent,
        discrepancies=(Discrepancy(code="notice.undeliverable", path=path, given=reason, stage=STAGE),),
    )


# --- webhooks -------------------------------------------------------------------------------------------------------


class NotWanted(GaveUp):
    """The webhook for which a message was made is not there any more, or is disabled."""


async def _call_webhooks(tx: Transaction, event: OrderEvent) -> None:
    """Make a message for each webhook of the order's partner that asked for this event."""
    told = rules.told_as(event)
    for webhook in await store.webhooks_of(tx, event.order.partner):
        if webhook.state == "active" and told in webhook.events:
            delivery = DeliveryRow(
                id=tx.same_id("webhook", webhook.id),
                webhook_id=webhook.id,
                order_id=event.order.id,
                type=told,
                body=rules.message(event, tx.now),
                created_at=tx.now,
            )
            tx.add(delivery)
            tx.schedule(CallWebhook(delivery_id=delivery.id))


async def sign(job: CallWebhook, tx: Transaction) -> Signed | GaveUp:
    """Sign the message with the secrets that are valid now; its timestamp is that of this attempt, in real time."""
    delivery = await _delivery(tx, job.delivery_id)
    webhook = await store.webhook(tx, delivery.webhook_id)
    if webhook is None or webhook.state != "active":
        return NotWanted(reason="the webhook is disabled" if webhook else "the webhook is gone")
    timestamp = int(tx.unit.clock.real().timestamp())
    headers = {
        "content-type": "application/json",
        "user-agent": "AsQuoted-Webhooks/1",
        "webhook-id": delivery.id,
        "webhook-timestamp": str(timestamp),
        "webhook-signature": rules.signatures(webhook.secrets, tx.now, delivery.id, timestamp, delivery.body),
    }
    return Signed(webhook_id=webhook.id, url=webhook.url, headers=headers, body=delivery.body)


@job(
    CallWebhook,
    prepare=sign,
    call=gateway.call_webhook,
    reads=lambda job: [(DeliveryRow, (job.delivery_id,))],
)
async def record_call(job: CallWebhook, answer: Answered | Unanswered | GaveUp, tx: Transaction) -> None:
    """Keep what a call came to; one without success is repeated over a day, and 410 disables the webhook."""
    delivery = await _delivery(tx, job.delivery_id)
    status = answer.status if isinstance(answer, Answered) else None
    reason = None if isinstance(answer, Answered) else answer.reason
    attempts = (*delivery.attempts, Attempt(at=tx.now, status=status, reason=reason))
    pause = rules.next_try(job.tried)
    if status in SUCCESS:
        state = "delivered"
    elif status == HTTPStatus.GONE or isinstance(answer, NotWanted) or pause is None:
        state = "failed"
    else:
        state = "waiting"
        tx.schedule(job.model_copy(update={"tried": job.tried + 1}), due=tx.now + pause)
    tx.put(changed(delivery, state=state, attempts=attempts))
    if status == HTTPStatus.GONE:
        await _disable(tx, delivery.webhook_id)


async def _disable(tx: Transaction, webhook_id: str) -> None:
    webhook = await tx.get(WebhookRow, webhook_id)
    if webhook is not None:
        tx.put(changed(webhook, state="disabled", reason="its server answered 410 Gone"))


async def _delivery(tx: Transaction, delivery_id: str) -> DeliveryRow:
    row = await tx.get(DeliveryRow, delivery_id)
    if row is None:
        raise UnknownDeliveryError(delivery_id)
    return row
