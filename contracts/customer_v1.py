"""The event of topic `customers`: the only one that carries personal data."""

from __future__ import annotations

from typing import Literal

from contracts.event import Data, Event

Language = Literal["fr", "nl", "de", "en"]


class Customer(Data):
    """A person as on file; e-mail and phone are where links and codes go."""

    id: str
    name: str
    email: str
    phone: str
    language: Language


class CustomerRecorded(Event, type="customer.recorded.v1"):
    """A customer is on file, or the file changed."""

    customer: Customer

    @property
    def key(self) -> str:
        """The customer's id; a tombstone under it means erased."""
        return self.customer.id
