"""What an offer must be to be published; pure: offers and what is published already in, faults out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from itertools import combinations

from contracts.money import Money
from contracts.offer_v1 import ChannelPromotion, Offer, OfferRef


@dataclass(frozen=True, slots=True)
class Fault:
    """What is wrong, where (a JSON pointer into what was sent), and in words."""

    pointer: str
    code: str
    detail: str


@dataclass(frozen=True, slots=True)
class Candidate:
    """An offer to be published, and where it stands in what was sent."""

    pointer: str
    offer: Offer


def judge(candidates: Sequence[Candidate], published: Iterable[Offer], today: date) -> list[Fault]:
    """Find every fault of every offer; `today` is the Brussels day. A version that is published as it is has none."""
    known = {offer.ref: offer for offer in published}
    found = [*_judge_twice(candidates)]
    for each in unpublished(candidates, known.values()):
        found += _judge_version(each, known, candidates)
        found += _judge_dates(each, known, today)
        found += _judge_contents(each)
    return found


def unpublished(candidates: Iterable[Candidate], published: Iterable[Offer]) -> list[Candidate]:
    """Leave out the versions that are published with the same content."""
    known = list(published)
    return [each for each in candidates if each.offer not in known]


def _judge_twice(candidates: Sequence[Candidate]) -> Iterator[Fault]:
    seen: set[OfferRef] = set()
    for each in candidates:
        if each.offer.ref in seen:
            yield Fault(each.pointer, "offer.twice", f"{_name(each.offer)} was sent twice")
        seen.add(each.offer.ref)


def _judge_version(
    candidate: Candidate, known: dict[OfferRef, Offer], candidates: Sequence[Candidate]
) -> Iterator[Fault]:
    offer, published = candidate.offer, known.get(candidate.offer.ref)
    if published is not None:
        differing = [name for name in type(offer).model_fields if getattr(offer, name) != getattr(published, name)]
        detail = f"{_name(offer)} is published and never changes; different: {', '.join(differing)}"
        yield Fault(candidate.pointer, "offer.published", detail)
        return
    versions = {ref.version for ref in (*known, *(each.offer.ref for each in candidates)) if ref.code == offer.code}
    if offer.version > 1 and offer.version - 1 not in versions:
        detail = f"versions rise by one: there is no {offer.code} v{offer.version - 1}"
        yield Fault(f"{candidate.pointer}/version", "offer.version", detail)


def _judge_dates(candidate: Candidate, known: Collection[OfferRef], today: date) -> Iterator[Fault]:
    offer, pointer = candidate.offer, candidate.pointer
    if offer.on_sale_until and offer.on_sale_until < offer.on_sale_from:
        detail = f"on sale until {offer.on_sale_until}, before {offer.on_sale_from}"
        yield Fault(f"{pointer}/on_sale_until", "offer.dates", detail)
    further = offer.ref not in known and any(ref.code == offer.code for ref in known)
    if further and offer.on_sale_from < today:
        detail = f"{offer.code} is on sale already: a further version begins today ({today}) at the earliest"
        yield Fault(f"{pointer}/on_sale_from", "offer.backdated", detail)


def _judge_contents(candidate: Candidate) -> Iterator[Fault]:
    offer, pointer = candidate.offer, candidate.pointer
    if offer.monthly.amount <= 0:
        yield Fault(f"{pointer}/monthly", "offer.monthly", "the monthly price must be above 0")
    if offer.one_off and offer.one_off.price.amount < 0:
        yield Fault(f"{pointer}/one_off/price", "offer.one-off", "a one-off price is not below 0")
    for language, name in offer.names:
        if not name.strip():
            yield Fault(f"{pointer}/names/{language}", "offer.name", "a name is missing")
    yield from _judge_currency(candidate)
    yield from _judge_services(candidate)
    yield from _judge_shares(candidate)
    for index, promotion in enumerate(offer.promotions):
        yield from _judge_promotion(offer, promotion, f"{pointer}/promotions/{index}")
    yield from _judge_overlaps(candidate)


def _judge_currency(candidate: Candidate) -> Iterator[Fault]:
    currency = candidate.offer.monthly.currency
    for pointer, money in _amounts(candidate.offer):
        if money.currency != currency:
            detail = f"{money.currency} beside a monthly price in {currency}"
            yield Fault(f"{candidate.pointer}{pointer}/currency", "offer.currency", detail)


def _amounts(offer: Offer) -> Iterator[tuple[str, Money]]:
    if offer.one_off:
        yield "/one_off/price", offer.one_off.price
    for index, promotion in enumerate(offer.promotions):
        yield f"/promotions/{index}/monthly", promotion.monthly
    for index, service in enumerate(offer.services):
        if service.share:
            yield f"/services/{index}/share", service.share


def _judge_services(candidate: Candidate) -> Iterator[Fault]:
    counted = Counter(service.code for service in candidate.offer.services)
    for code, times in counted.items():
        if times > 1:
            yield Fault(f"{candidate.pointer}/services", "offer.service-twice", f"{code} stands there {times} times")


def _judge_shares(candidate: Candidate) -> Iterator[Fault]:
    """Shares are the basis of compensation: for all services or for none, and together the monthly price."""
    offer, pointer = candidate.offer, f"{candidate.pointer}/services"
    shares = [service.share for service in offer.services if service.share]
    if not shares:
        return
    if len(shares) < len(offer.services):
        without = ", ".join(service.code for service in offer.services if not service.share)
        yield Fault(pointer, "offer.shares", f"no share for {without}: all services have one, or none")
    elif sum(share.amount for share in shares) != offer.monthly.amount or min(share.amount for share in shares) < 0:
        total = sum(share.amount for share in shares)
        yield Fault(
            pointer, "offer.shares", f"the shares add up to {total}, the monthly price is {offer.monthly.amount}"
        )


def _judge_promotion(offer: Offer, promotion: ChannelPromotion, pointer: str) -> Iterator[Fault]:
    amount = promotion.monthly.amount
    if not -offer.monthly.amount < amount < 0:
        detail = f"a promotion is below 0 and smaller than the price: {amount} of {offer.monthly.amount}"
        yield Fault(f"{pointer}/monthly", "offer.promotion", detail)
    if promotion.channel not in offer.channels:
        detail = f"the offer is not sold in the channel {promotion.channel}"
        yield Fault(f"{pointer}/channel", "offer.promotion-channel", detail)
    if promotion.since and promotion.until and promotion.until < promotion.since:
        yield Fault(f"{pointer}/until", "offer.dates", f"until {promotion.until}, before {promotion.since}")


def _judge_overlaps(candidate: Candidate) -> Iterator[Fault]:
    """One channel has one published promotion on a day, else two services could choose differently."""
    for (_, one), (index, other) in combinations(enumerate(candidate.offer.promotions), 2):
        later = max(one.since or date.min, other.since or date.min)
        sooner = min(one.until or date.max, other.until or date.max)
        if one.channel == other.channel and later <= sooner:
            pointer = f"{candidate.pointer}/promotions/{index}"
            yield Fault(pointer, "offer.promotion-twice", f"two promotions in the channel {other.channel} on one day")


def _name(offer: Offer) -> str:
    return f"{offer.code} v{offer.version}"
