"""The events of topic `dead-letters`: whatever a person must look at, published by any service."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AwareDatetime, Field, StrictInt

from contracts.event import Data, Event
from contracts.money import Money
from contracts.order_v1 import Discrepancy


class DiscrepancyFound(Event, type="discrepancy.found.v1"):
    """One judgement found discrepancies, an event never came, or a job gave up: it opens one case, `case_id`.

    `order_id`, `subscription_id`, `customer_id`, `partner` and `agent` say what it is about, as far as that is known.
    `published_monthly` and `quoted_monthly` are the monthly totals that a reviewer chooses between, where a price was
    judged; `quoted_monthly` is the lowest where several were told. `service` is the one whose job gave up: it carries
    out the decision, as for a message that it dead-lettered. Where a subscription is named, `case_id` is the id of this
    event.
    """

    case_id: str
    service: str | None = None
    order_id: str | None = None
    subscription_id: str | None = None
    customer_id: str | None = None
    partner: str | None = None
    agent: str | None = None
    discrepancies: Annotated[tuple[Discrepancy, ...], Field(min_length=1)]
    published_monthly: Money | None = None
    quoted_monthly: Money | None = None

    @property
    def key(self) -> str:
        """The subscription's id where one is known, else the case's."""
        return self.subscription_id or self.case_id

    @property
    def subject(self) -> str:
        """The case's id."""
        return self.case_id


class RawHeader(Data):
    """A header as it was on the record; the value in base64, null where it had none."""

    name: str
    value_base64: str | None


class MessageDeadLettered(Event, type="message.dead-lettered.v1"):
    """A service could not read or handle a message: the whole record is kept, bytes in base64."""

    case_id: str
    service: str
    code: str
    reason: str
    topic: str
    partition: StrictInt
    offset: StrictInt
    attempt: StrictInt = 1
    failed_at: AwareDatetime
    key_base64: str | None
    value_base64: str | None
    headers: tuple[RawHeader, ...]

    @property
    def key(self) -> str:
        """The case's id: one case per topic, partition and offset, whichever services failed."""
        return self.case_id


class MessageReleased(Event, type="message.released.v1"):
    """A service carried out the decision about a message that it had dead-lettered: handled now, or set aside.

    A job that gave up is `handled` when it is set going again; should it give up once more, that is a case of its own.
    """

    case_id: str
    service: str
    outcome: Literal["handled", "set-aside"]

    @property
    def key(self) -> str:
        """The case's id."""
        return self.case_id
