"""The demo's offers, partners and commission rates as rows, which every service has a copy of."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import yaml

from contracts.offer_v1 import Offer
from tests.bench.contenders.work.tables import OfferRow, PartnerRow, RateRow

DEMO = Path(__file__).parents[4] / "deploy" / "demo"
SELLER = "gent-calls"
"""The partner whose key is given: it may sell in the shop."""


def offers() -> list[OfferRow]:
    """Every offer version."""
    published = datetime(2026, 1, 1, tzinfo=UTC)
    read = [Offer.model_validate(each) for each in _read("offers.yaml")["offers"]]
    return [
        OfferRow(code=each.code, version=each.version, offer=each.model_dump(mode="json"), published_at=published)
        for each in read
    ]


def partners(key_sha256: str) -> list[PartnerRow]:
    """Every partner; only the seller has a key."""
    return [
        PartnerRow(
            id=each["id"],
            key_sha256=key_sha256 if each["id"] == SELLER else "",
            channels=each["channels"],
            agents=each["agents"],
            email=each["email"],
            language=each["language"],
        )
        for each in _read("partners.yaml")["partners"]
    ]


def rates() -> list[RateRow]:
    """Every partner's commission rates."""
    return [
        RateRow(
            partner=each["partner"],
            position=position,
            action=each["action"],
            offer_code=each.get("offer"),
            since=each["since"],
            amount=each["commission"],
        )
        for position, each in enumerate(_read("partners.yaml")["commission_rates"])
    ]


def _read(name: str) -> dict[str, Any]:
    read: dict[str, Any] = yaml.safe_load((DEMO / name).read_text(encoding="utf-8"))
    return read
