"""Notification's work: the letter, and the notice of what was sent to a gateway that takes all."""

from __future__ import annotations

import hashlib
import uuid

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from contracts.customer_v1 import Customer, CustomerRecorded
from contracts.event import Event
from contracts.notice_v1 import NoticeSent
from contracts.offer_v1 import Offer
from services.notification import pages
from services.notification.rules import Contact, Letter, Notice
from tests.bench.contenders.work.tables import CustomerRow, NoticeRow, OfferRow, PartnerRow, now

TABLES = (OfferRow, PartnerRow, CustomerRow, NoticeRow)


async def keep_customer(session: AsyncSession, event: CustomerRecorded) -> list[Event]:
    """Keep where a customer reads, and in which language."""
    session.add(CustomerRow(id=event.customer.id, customer=event.customer.model_dump(mode="json")))
    return []


def keep_notice(session: AsyncSession, notice: Notice) -> NoticeRow:
    """Keep a notice that is to be sent."""
    row = NoticeRow(
        id=str(uuid.uuid4()),
        order_id=notice.order.id,
        notice=notice.model_dump(mode="json"),
        state="waiting",
        created_at=now(),
    )
    session.add(row)
    return row


async def write_letter(session: AsyncSession, notice: Notice) -> Letter | None:
    """Write the letter from what is on file; None while the customer is not here yet."""
    contact = await _contact(session, notice)
    if contact is None:
        return None
    codes = [each.code for each in notice.offers]
    rows = await session.scalars(select(OfferRow).where(col(OfferRow.code).in_(codes))) if codes else ()
    return pages.letter(notice, contact, [Offer.model_validate(row.offer) for row in rows], None)


async def _contact(session: AsyncSession, notice: Notice) -> Contact | None:
    if notice.recipient == "partner":
        partner = await session.get_one(PartnerRow, notice.order.partner)
        return Contact(partner.email, partner.language)  # type: ignore[arg-type]
    row = await session.get(CustomerRow, notice.order.customer_id)
    customer = Customer.model_validate(row.customer) if row else None
    return Contact(customer.email, customer.language, customer.name) if customer else None


async def send(letter: Letter) -> str:
    """Hand a letter to a gateway that takes all; returns the hash of its text."""
    return hashlib.sha256(letter.text.encode()).hexdigest()


def sent(row: NoticeRow, notice: Notice, letter: Letter, sha256: str) -> NoticeSent:
    """Keep the hash of what was sent as evidence."""
    at = now()
    row.state, row.language, row.sha256, row.sent_at = "sent", letter.language, sha256, at
    return NoticeSent(
        notice_id=row.id,
        order_id=row.order_id,
        subscription_id=notice.order.subscription_id,
        kind=notice.kind,
        recipient=notice.recipient,
        medium="email",
        language=letter.language,
        sent_at=at,
        sha256=sha256,
    )
