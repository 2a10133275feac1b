"""Loads the demo data through the doors, as an operator would: keys, partners, offers, customers, subscriptions."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml

from services.chassis.ids import sha256
from services.local.doors import Doors

DEMO = Path(__file__).parents[2] / "deploy" / "demo"
DESK_SERVICES = ("catalogue", "intake", "provisioning", "billing", "notification")


def load(doors: Doors, progress: Callable[[str], None]) -> None:
    """Load everything; doing it again changes nothing."""
    partners = yaml.safe_load((DEMO / "partners.yaml").read_text())
    people = yaml.safe_load((DEMO / "customers.yaml").read_text())
    progress("loading keys and partners")
    _keys(doors, partners)
    _partners(doors, partners)
    progress("publishing the demo's offers")
    doors.call(
        "catalogue",
        "POST",
        "/v1/offers",
        key=doors.key("catalogue"),
        content=(DEMO / "offers.yaml").read_bytes(),
        headers={"Content-Type": "application/yaml"},
    )
    progress("loading customers and subscriptions")
    for customer in people["customers"]:
        identity = customer.pop("id")
        _operator(doors, "intake", f"/v1/customers/{identity}", customer)
    for each in people["subscriptions"]:
        _subscription(doors, each["subscription"], each["sale"])


def _keys(doors: Doors, partners: dict[str, Any]) -> None:
    for partner in partners["partners"]:
        key = doors.key("partners", partner["id"])
        channels = {"channels": partner["channels"]}
        _key(doors, "intake", key, "partner", holder=partner["id"], attributes=channels)
        _key(doors, "notification", key, "partner", holder=partner["id"])
    for reviewer in partners["reviewers"]:
        key = doors.key("reviewers", reviewer["id"])
        works_for = {"works_for": reviewer["works_for"]}
        _key(doors, "review", key, "reviewer", holder=reviewer["id"], attributes=works_for)
    for service in DESK_SERVICES:
        desk = {"channels": ["desk"]}
        _key(doors, service, doors.key("service_desk"), "service-desk", holder="service-desk", attributes=desk)
    _key(doors, "catalogue", doors.key("catalogue"), "catalogue", holder="catalogue")


def _key(doors: Doors, service: str, key: str, role: str, **who: Any) -> None:  # noqa: ANN401 - JSON
    body = {"role": role, "sha256": sha256(key), **who}
    doors.call(service, "POST", "/v1/keys", key=doors.key("operator"), json=body)


def _partners(doors: Doors, partners: dict[str, Any]) -> None:
    _operator(doors, "intake", "/v1/partners/service-desk", {"agents": ["desk"]})
    contact = {"email": "desk@asquoted.example", "language": "fr"}
    _operator(doors, "notification", "/v1/partners/service-desk", contact)
    for partner in partners["partners"]:
        theirs = {"agents": partner["agents"], "contacts": [partner["email"]]}
        _operator(doors, "intake", f"/v1/partners/{partner['id']}", theirs)
        contact = {"email": partner["email"], "language": partner["language"]}
        _operator(doors, "notification", f"/v1/partners/{partner['id']}", contact)
        rates = [
            {
                "action": rate["action"],
                "offer_code": rate.get("offer"),
                "since": rate["since"].isoformat(),
                "amount": rate["commission"],
            }
            for rate in partners["commission_rates"]
            if rate["partner"] == partner["id"]
        ]
        _operator(doors, "billing", f"/v1/partners/{partner['id']}/commission-rates", rates)


def _subscription(doors: Doors, subscription: dict[str, Any], sale: dict[str, Any]) -> None:
    body = {
        "customer_id": subscription["customer_id"],
        "offer": subscription["offer"],
        "channel": sale["channel"],
        "sold_at": sale["sold_at"].isoformat(),
        "equipment": subscription.get("equipment", []),
        "numbers": subscription.get("numbers", []),
        "contract_since": subscription["contract_since"].isoformat(),
    }
    if "contract_until" in subscription:
        body["contract_until"] = subscription["contract_until"].isoformat()
    path = f"/v1/subscriptions/{subscription['id']}"

    def imported() -> bool:
        """The offer may still be on its way to provisioning: then the door says 409 and we ask again."""
        answer = doors.call("provisioning", "PUT", path, key=doors.key("operator"), json=body, expect=(409,))
        return answer.status_code != 409  # noqa: PLR2004 - HTTP's conflict

    doors.until(f"the import of {subscription['id']}", imported)


def _operator(doors: Doors, service: str, path: str, body: Any) -> None:  # noqa: ANN401 - JSON
    doors.call(service, "PUT", path, key=doors.key("operator"), json=body)
