"""A contract signed on paper in the shop, from its file to the customer's charges."""

from __future__ import annotations

import os

import pytest

from tests.journeys import Journey, Line

pytestmark = pytest.mark.timeout(120)

GENT = "gent-calls"


def contract() -> bytes:
    """A file that nobody gave before."""
    return b"%PDF-1.7 " + os.urandom(2000)


def summary(journey: Journey, line: Line) -> dict[str, object]:
    """The contract summary that the customer got."""

    def found() -> dict[str, object] | None:
        mails = journey.doors.mails(line.customer["email"])
        return next((mail for mail in mails if "Vous avez sign" in str(mail["text"])), None)

    mail: dict[str, object] = journey.doors.until("the summary", found)
    return mail


def test_an_order_signed_in_the_shop_is_carried_out_without_asking_and_the_summary_arrives(journey: Journey) -> None:
    line = journey.customer_with("TRIO", 2)
    order = journey.order(journey.in_the_shop(line, journey.signed(contract())), GENT)
    assert order["state"] == "inProgress"

    journey.becomes(order["id"], "completed", GENT)

    assert journey.charged(line.subscription_id) == 7500
    mail = summary(journey, line)
    assert mail["links"] == []
    for shown in ("Aujourd'hui (Trio)", "70,00", "Nouveau (Trio Max)", "75,00", "81,00"):
        assert shown in str(mail["text"])
    assert journey.events(order["id"]) == {
        "orders": ["order.confirmed", "order.completed"],
        "subscriptions": ["subscription.changed"],
        "invoices": ["charges.started"],
        "commissions": ["commission.held"],
        "notices": ["notice.sent"] * 3,
    }


def test_a_contract_is_signed_for_one_order(journey: Journey) -> None:
    first, second = journey.customer_with("TRIO", 2), journey.customer_with("TRIO", 2)
    signed = journey.signed(contract())
    journey.becomes(journey.order(journey.in_the_shop(first, signed), GENT)["id"], "completed", GENT)

    order = journey.order(journey.in_the_shop(second, signed), GENT)

    assert (order["state"], [each["code"] for each in order["discrepancies"]]) == ("held", ["evidence.reused"])
    assert journey.case(order["case_id"])["codes"] == ["evidence.reused"]
    assert journey.charged(second.subscription_id) == 7000


def test_a_recording_in_the_shop_is_no_yes(journey: Journey) -> None:
    line = journey.customer_with("TRIO", 2)
    recording = {**journey.signed(contract()), "kind": "recording"}
    order = journey.order(journey.in_the_shop(line, recording), GENT)
    assert order["state"] == "pending"
    journey.answer(journey.link(line), "yes")
    journey.becomes(order["id"], "completed", GENT)


def test_who_signed_hears_that_her_order_was_cancelled(journey: Journey) -> None:
    line = journey.customer_with("TRIO", 2)
    refusal = {"subscription_id": line.subscription_id, "mode": "conflict", "seconds": 1.0, "times": 1}
    assert journey.doors.client.post(f"{journey.doors.description['network']['url']}/control", json=refusal).is_success
    order = journey.order(journey.in_the_shop(line, journey.signed(contract())), GENT)
    held = journey.becomes(order["id"], "held", GENT)
    assert [each["code"] for each in held["discrepancies"]] == ["provisioning.failed"]
    assert journey.decide(held["case_id"], "cancel").is_success
    journey.becomes(order["id"], "cancelled", GENT)
    journey.doors.quiet()
    assert [mail["subject"] for mail in journey.doors.mails(line.customer["email"])] == [
        "Votre commande est annulée: rien ne change",
        "Le récapitulatif du contrat que vous avez signé",
    ]
