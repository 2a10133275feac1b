"""Offers, orders and a mail server for the tests of notification."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from email.message import EmailMessage
from typing import Any

from aiosmtpd.smtp import SMTP, Envelope

from contracts.customer_v1 import Customer, Language
from contracts.money import Money, Promotion
from contracts.offer_v1 import Offer, OfferRef
from contracts.order_v1 import Order, OrderPrice
from tests.harness import START

VALERIE = Customer(id="cust-1001", name="Valérie D.", email="valerie@example.org", phone="+3287123456", language="fr")
TRIO, MAX = OfferRef(code="TRIO", version=2), OfferRef(code="TRIO-MAX", version=2)


def eur(amount: int) -> Money:
    return Money(amount=amount, currency="EUR")


def customer(language: Language) -> Customer:
    return VALERIE.model_copy(update={"language": language})


def offer(ref: OfferRef, monthly: int, *services: str, term_months: int = 0) -> Offer:
    return Offer.model_validate(
        {
            "code": ref.code,
            "version": ref.version,
            "names": {each: ref.code.title() for each in ("fr", "nl", "de", "en")},
            "monthly": {"amount": monthly, "currency": "EUR"},
            "services": [{"code": each, "level": {"download": 1500}} for each in services],
            "equipment": ["decoder"],
            "term_months": term_months,
            "on_sale_from": "2026-01-01",
            "channels": ["telesales"],
        }
    )


OFFERS = [offer(TRIO, 7000, "internet", "tv"), offer(MAX, 8100, "internet", "tv", "tv-bouquet")]


def order(**changes: Any) -> Order:
    """Valérie's change from TRIO at 70.00 to TRIO-MAX at 81.00."""
    price = OrderPrice(
        current_monthly=eur(7000),
        new_monthly=eur(8100),
        monthly_change=eur(1100),
        one_off=eur(0),
        monthly_after_promotion=eur(8100),
    )
    return Order(
        id="order-1",
        partner="liege-calls",
        partner_reference="LC-2026-000123",
        agent="agent-17",
        channel="telesales",
        action="modify",
        customer_id=VALERIE.id,
        subscription_id="sub-1001",
        subscription_version=1,
        offer_code=MAX.code,
        offer=MAX,
        price=price,
        sold_at=START,
        received_at=START,
    ).model_copy(update=changes)


def promoted() -> OrderPrice:
    """75.00 for six months, then 81.00."""
    return OrderPrice(
        current_monthly=eur(7000),
        new_monthly=eur(7500),
        monthly_change=eur(500),
        one_off=eur(5000),
        promotion=Promotion(monthly=eur(-600), months=6),
        monthly_after_promotion=eur(8100),
    )


@dataclass
class MailServer:
    """An SMTP server that keeps what it took; `answers` are given to the next recipients, then 250."""

    port: int = 0
    mails: list[EmailMessage] = field(default_factory=list)
    answers: list[str] = field(default_factory=list)
    recipients: list[str] = field(default_factory=list)

    async def handle_RCPT(  # noqa: N802 - aiosmtpd's name
        self, _server: SMTP, _session: object, envelope: Envelope, address: str, _options: list[str]
    ) -> str:
        self.recipients.append(address)
        answer = self.answers.pop(0) if self.answers else "250 OK"
        if answer.startswith("250"):
            envelope.rcpt_tos.append(address)
        return answer

    async def handle_DATA(self, _server: SMTP, _session: object, envelope: Envelope) -> str:  # noqa: N802 - the same
        assert isinstance(envelope.content, bytes)
        self.mails.append(message_from_bytes(envelope.content, policy=policy.default))
        return "250 OK"

    def to(self, address: str) -> list[EmailMessage]:
        return [mail for mail in self.mails if mail["To"] == address]

    @asynccontextmanager
    async def listening(self, port: int = 0) -> AsyncIterator[MailServer]:
        loop = asyncio.get_running_loop()
        server = await loop.create_server(lambda: SMTP(self, loop=loop), "127.0.0.1", port)
        self.port = server.sockets[0].getsockname()[1]
        try:
            yield self
        finally:
            server.close()
            await server.wait_closed()


def text_of(mail: EmailMessage, kind: str = "plain") -> str:
    """The text as it was written: on its way lines end as SMTP wants it."""
    body = mail.get_body((kind,))
    assert body is not None
    return str(body.get_content()).replace("\r\n", "\n")
