"""Version 2 of events of topic `offers`, published beside version 1 until its sunset."""

from __future__ import annotations

from typing import Annotated

from pydantic import AwareDatetime, Field, StrictInt

from contracts.event import Event
from contracts.offer_v1 import Code


class OfferWithdrawn(Event, type="offer.withdrawn.v2"):
    """The named versions of an offer are off sale from a moment on; running subscriptions keep theirs.

    Version 1 left it to each reader to find out which versions there are; who has them all by name reads none he does
    not need, and finds the same whatever else he knows of the offer.
    """

    code: Code
    versions: Annotated[tuple[Annotated[StrictInt, Field(ge=1)], ...], Field(min_length=1)]
    withdrawn_at: AwareDatetime

    @property
    def key(self) -> str:
        """The offer's code."""
        return self.code
