"""The events of topic `notices`: what was told to whom, published by notification; never the text or the address."""

from __future__ import annotations

from typing import Literal

from pydantic import AwareDatetime

from contracts.customer_v1 import Language
from contracts.event import Event

Kind = Literal[
    "contract-summary",
    "confirmation-code",
    "completed",
    "cancelled",
    "rejected",
    "held",
    "question",
    "contact-differs",
    "acknowledged",
]


class NoticeEvent(Event):
    """What both notices share; `recipient` says who (`customer` or `partner`)."""

    notice_id: str
    order_id: str
    subscription_id: str
    kind: Kind
    recipient: Literal["customer", "partner"]
    medium: Literal["email", "sms"]

    @property
    def key(self) -> str:
        """The subscription's id."""
        return self.subscription_id

    @property
    def subject(self) -> str:
        """The order's id."""
        return self.order_id


class NoticeSent(NoticeEvent, type="notice.sent.v1"):
    """The message was handed to the mail server in `language`; `sha256` of its text is kept as evidence."""

    language: Language
    sent_at: AwareDatetime
    sha256: str


class NoticeUndeliverable(NoticeEvent, type="notice.undeliverable.v1"):
    """The message could not be handed over; a case was opened. `language` is unknown where nobody is on file."""

    language: Language | None = None
    case_id: str
    reason: str
