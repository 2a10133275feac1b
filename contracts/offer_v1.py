"""The events of topic `offers`, and what every service must decide alike: which version is on sale, at what price."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, datetime
from enum import StrEnum
from typing import Annotated, Literal
from zoneinfo import ZoneInfo

from pydantic import AwareDatetime, Field, StrictInt

from contracts.event import Data, Event
from contracts.money import Money, Promotion

BRUSSELS = ZoneInfo("Europe/Brussels")

Action = Literal["add", "modify", "terminate", "reverse"]
Code = Annotated[str, Field(min_length=1, max_length=64, pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")]


class Channel(StrEnum):
    """The ways in which offers are sold; `desk` is the operator's own service desk."""

    TELESALES = "telesales"
    SHOP = "shop"
    DESK = "desk"


class Names(Data):
    """A name in the four languages of customers."""

    fr: str
    nl: str
    de: str
    en: str


class OfferedService(Data):
    """One service of an offer: its level (more is better, e.g. speed in Mbit/s) and its share of the monthly price."""

    code: Code
    level: dict[str, StrictInt] = Field(default_factory=dict)
    share: Money | None = None


class OneOff(Data):
    """A price paid once, and the actions it applies to."""

    price: Money
    actions: tuple[Action, ...]


class ChannelPromotion(Data):
    """A promotion published with the offer for one channel, on Brussels days `since` to `until` (both included)."""

    channel: Channel
    monthly: Money
    months: Annotated[StrictInt, Field(ge=1, le=120)]
    since: date | None = None
    until: date | None = None

    def runs(self, channel: str, day: date) -> bool:
        """Whether it is published for that channel on that day."""
        return self.channel == channel and (self.since or day) <= day <= (self.until or day)


class Price(Data):
    """What an offer costs in one channel at one moment: published price with the published promotion."""

    monthly_total: Money
    monthly_full: Money
    one_off: Money
    promotion: Promotion | None = None


class OfferRef(Data):
    """Names one version of an offer."""

    code: Code
    version: Annotated[StrictInt, Field(ge=1)]


class Offer(Data):
    """One published version of an offer; it never changes [ProductOffering + ProductOfferingPrice].

    `on_sale_from` and `on_sale_until` are days in Europe/Brussels, both included. Prices are tax-inclusive minor units.
    """

    code: Code
    version: Annotated[StrictInt, Field(ge=1)]
    names: Names
    monthly: Money
    one_off: OneOff | None = None
    promotions: tuple[ChannelPromotion, ...] = ()
    services: Annotated[tuple[OfferedService, ...], Field(min_length=1)]
    equipment: tuple[Code, ...] = ()
    term_months: Annotated[StrictInt, Field(ge=0, le=24)] = 0
    on_sale_from: date
    on_sale_until: date | None = None
    channels: Annotated[tuple[Channel, ...], Field(min_length=1)]

    @property
    def ref(self) -> OfferRef:
        """The name of this version."""
        return OfferRef(code=self.code, version=self.version)

    def price(self, channel: str, action: str, at: datetime) -> Price:
        """What it costs in a channel at a moment, for an action."""
        day = brussels_day(at)
        running = next((each for each in self.promotions if each.runs(channel, day)), None)
        free = Money(amount=0, currency=self.monthly.currency)
        return Price(
            monthly_total=self.monthly + running.monthly if running else self.monthly,
            monthly_full=self.monthly,
            one_off=self.one_off.price if self.one_off and action in self.one_off.actions else free,
            promotion=Promotion(monthly=running.monthly, months=running.months) if running else None,
        )


class Publication(Data):
    """One version as it came from the catalogue: when it was published and from when on it was withdrawn."""

    offer: Offer
    published_at: AwareDatetime
    withdrawn_at: AwareDatetime | None = None


OfferFault = Literal["offer.unknown", "offer.not-on-sale", "offer.not-for-channel"]


def on_sale(versions: Iterable[Publication], channel: str, at: datetime) -> Offer | OfferFault:
    """Return the version on sale in a channel at a moment, or why there is none.

    The answer for a past moment never changes: a version published later does not displace the one that was on sale,
    and a later withdrawal does not reach back.
    """
    publications = list(versions)
    if not publications:
        return "offer.unknown"
    dated = [each for each in publications if _on_sale(each, at)]
    if not dated:
        return "offer.not-on-sale"
    here = [each for each in dated if channel in each.offer.channels]
    if not here:
        return "offer.not-for-channel"
    published = [each for each in here if each.published_at <= at]
    if published:
        return max(published, key=lambda each: each.offer.version).offer
    return min(here, key=lambda each: (each.published_at, -each.offer.version)).offer


def _on_sale(publication: Publication, at: datetime) -> bool:
    day, offer = brussels_day(at), publication.offer
    if publication.withdrawn_at and at >= publication.withdrawn_at:
        return False
    return offer.on_sale_from <= day <= (offer.on_sale_until or day)


def brussels_day(at: datetime) -> date:
    """The calendar day in Europe/Brussels of an aware moment."""
    return at.astimezone(BRUSSELS).date()


class OfferPublished(Event, type="offer.published.v1"):
    """A version of an offer was published; from now on it never changes."""

    offer: Offer
    published_at: AwareDatetime

    @property
    def key(self) -> str:
        """The offer's code."""
        return self.offer.code


class OfferWithdrawn(Event, type="offer.withdrawn.v1", sunset="2027-06-30T00:00:00Z"):
    """All versions of an offer are off sale from a moment on; running subscriptions keep theirs. See offer_v2.py."""

    code: Code
    withdrawn_at: AwareDatetime

    @property
    def key(self) -> str:
        """The offer's code."""
        return self.code
