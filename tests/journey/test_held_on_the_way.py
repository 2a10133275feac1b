"""An order that passed intake's gate and is stopped on its way: by provisioning, by the network, by the clock."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import asyncpg
import pytest

from tests.journeys import Journey, Line, euro

pytestmark = pytest.mark.timeout(120)


def stale_copy(journey: Journey, line: Line, **changes: Any) -> None:
    """Make intake's copy of a subscription differ from what provisioning has, as if an event were still on its way."""
    url = journey.doors.description["services"]["intake"]["database"]

    async def update() -> None:
        connection = await asyncpg.connect(url)
        try:
            await connection.execute(
                "UPDATE subscription SET subscription = subscription || $1::jsonb WHERE id = $2",
                json.dumps(changes),
                line.subscription_id,
            )
        finally:
            await connection.close()

    asyncio.run(update())


def billing_reads(journey: Journey, offer: str, version: int, monthly: int) -> None:
    """Make billing's copy of an offer say another price than intake's."""
    url = journey.doors.description["services"]["billing"]["database"]
    statement = (
        "UPDATE offer SET offer = jsonb_set(offer, '{monthly,amount}', $1::jsonb) WHERE code = $2 AND version = $3"
    )

    async def update() -> None:
        connection = await asyncpg.connect(url)
        try:
            await connection.execute(statement, str(monthly), offer, version)
            await connection.execute("UPDATE reference_version SET version = version + 1 WHERE name = 'offer'")
        finally:
            await connection.close()

    asyncio.run(update())


def network(journey: Journey, line: Line, mode: str, times: int) -> None:
    url = f"{journey.doors.description['network']['url']}/control"
    body = {"subscription_id": line.subscription_id, "mode": mode, "seconds": 1.0, "times": times}
    assert journey.doors.client.post(url, json=body).is_success


def test_provisioning_stops_a_loss_that_intakes_stale_copy_does_not_show(journey: Journey) -> None:
    line = journey.customer_with("TRIO", 2)
    services = journey.subscription(line.subscription_id)["services"]
    without_tv = [each for each in services if each["code"] != "tv"]
    stale_copy(journey, line, version=0, services=without_tv, equipment=[])
    order = journey.order(journey.body(line, offer="DUO", quote={"monthly_total": euro(5200)}))
    assert order["state"] == "pending"

    journey.answer(journey.link(line), "yes")

    held = journey.becomes(order["id"], "held")
    assert [(each["code"], each["expected"], each["stage"]) for each in held["discrepancies"]] == [
        ("services.lost", ["tv", "decoder"], "provisioning")
    ]
    assert journey.decide(held["case_id"], "cancel").is_success
    journey.becomes(order["id"], "cancelled")
    journey.case_becomes(held["case_id"], "applied")
    assert [each["code"] for each in journey.subscription(line.subscription_id)["services"]] == [
        "internet",
        "tv",
        "telephony",
    ]


def test_a_version_that_moved_means_a_new_summary_and_a_new_yes(journey: Journey) -> None:
    line = journey.customer_with("TRIO", 2)
    stale_copy(journey, line, version=0)
    order = journey.order(journey.body(line))
    journey.answer(journey.link(line), "yes")
    second = journey.link(line, count=2)
    stale_copy(journey, line, version=1)
    journey.becomes(order["id"], "pending")

    third_is_due = journey.answer(second, "yes")  # the version is another one than she was shown
    assert third_is_due.status_code == 410
    journey.answer(journey.link(line, count=3), "yes")

    journey.becomes(order["id"], "completed")
    assert journey.charged(line.subscription_id) == 8100


def test_what_the_network_refuses_is_a_case_and_goes_on_when_it_is_sent_again(journey: Journey) -> None:
    line = journey.customer_with("TRIO", 2)
    network(journey, line, "conflict", times=1)
    order = journey.order(journey.body(line))
    journey.answer(journey.link(line), "yes")
    held = journey.becomes(order["id"], "held")
    assert [each["code"] for each in held["discrepancies"]] == ["provisioning.failed"]
    assert journey.charged(line.subscription_id) == 7000

    assert journey.decide(held["case_id"], "send_again").is_success

    journey.becomes(order["id"], "completed")
    assert journey.charged(line.subscription_id) == 8100
    assert journey.events(order["id"])["orders"] == [
        "order.pending",
        "order.confirmed",
        "order.held",
        "order.confirmed",
        "order.completed",
    ]


def test_a_network_that_stumbles_and_answers_twice_changes_nothing_twice(journey: Journey) -> None:
    line = journey.customer_with("TRIO", 2)
    network(journey, line, "twice", times=1)
    order = journey.order(journey.body(line))
    journey.answer(journey.link(line), "yes")
    journey.becomes(order["id"], "completed")
    assert journey.events(order["id"])["subscriptions"] == ["subscription.changed"]


def test_an_order_that_never_gets_its_turn_becomes_a_case(journey: Journey) -> None:
    line = journey.customer_with("TRIO", 2)
    first = journey.order(journey.body(line, quote={"monthly_change": euro(500)}))
    second = journey.order(journey.body(line))
    assert (first["state"], second["waits_for"]) == ("held", first["id"])
    journey.advance("2d1h")
    waited = journey.becomes(second["id"], "held")
    assert [each["code"] for each in waited["discrepancies"]] == ["order.conflict"]
    assert journey.decide(waited["case_id"], "cancel").is_success
    journey.becomes(second["id"], "cancelled")


def test_two_reviewers_at_once_one_wins_and_the_other_is_told(journey: Journey) -> None:
    line = journey.customer_with("TRIO", 2)
    order = journey.order(journey.body(line, quote={"monthly_total": euro(7500)}))
    first = journey.decide(order["case_id"], "reject", reviewer="rita")
    second = journey.decide(order["case_id"], "apply_published_price", reviewer="carl")
    assert (first.status_code, second.status_code) == (200, 409)
    journey.becomes(order["id"], "rejected")


def test_a_partner_sees_only_its_own_orders(journey: Journey) -> None:
    line = journey.customer_with("TRIO", 2)
    order = journey.order(journey.body(line))
    key = journey.doors.key("partners", "gent-calls")
    hidden = journey.doors.call("intake", "GET", f"/v1/orders/{order['id']}", key=key, expect=(404,))
    assert (hidden.status_code, hidden.json()["code"]) == (404, "order.unknown")
    path = f"/v1/orders?partner_reference={order['partner_reference']}"
    assert journey.doors.call("intake", "GET", path, key=key).json() == {"items": [], "next": None}
    mine = journey.doors.call("intake", "GET", path, key=journey.doors.key("partners", "liege-calls")).json()
    assert [each["id"] for each in mine["items"]] == [order["id"]]


def test_a_key_that_is_not_known_opens_nothing(journey: Journey) -> None:
    refused = journey.doors.call("intake", "GET", "/v1/orders", key="aq_partner_wrong", expect=(401,))
    assert (refused.status_code, refused.headers["content-type"]) == (401, "application/problem+json")


def test_billing_charges_nothing_that_its_own_copy_does_not_say_and_judges_again_when_it_is_sent_again(
    journey: Journey,
) -> None:
    line = journey.customer_with("TRIO", 2)
    order = journey.order(journey.body(line))
    link = journey.link(line)
    billing_reads(journey, "TRIO-MAX", 2, 8200)
    try:
        journey.answer(link, "yes")
        held = journey.becomes(order["id"], "held")
    finally:
        billing_reads(journey, "TRIO-MAX", 2, 8100)
    assert {(each["code"], each["stage"]) for each in held["discrepancies"]} == {("billing.mismatch", "billing")}
    assert journey.charged(line.subscription_id) == 7000
    assert journey.decide(held["case_id"], "cancel").status_code == 409

    assert journey.decide(held["case_id"], "send_again").is_success

    journey.becomes(order["id"], "completed")
    assert journey.charged(line.subscription_id) == 8100


def held_by_another(journey: Journey, order: dict[str, Any], case_id: str) -> str | None:
    """The case that holds an order now, if it is another one."""
    view = journey.view(order["id"])
    return view["case_id"] if view["state"] == "held" and view["case_id"] != case_id else None


def test_a_case_is_overtaken_by_another_one_that_holds_its_order(journey: Journey) -> None:
    line = journey.customer_with("TRIO", 2)
    order = journey.order(journey.body(line))
    link = journey.link(line)
    billing_reads(journey, "TRIO-MAX", 2, 8200)
    try:
        journey.answer(link, "yes")
        of_billing = journey.becomes(order["id"], "held")["case_id"]
        partner, path = journey.doors.key("partners", "liege-calls"), f"/v1/orders/{order['id']}/cancellation"
        journey.doors.call("intake", "POST", path, key=partner, json={"reason": "she thought again"})
        # what is done is not cancelled: provisioning holds the order for that
        of_provisioning = journey.doors.until("the second case", lambda: held_by_another(journey, order, of_billing))
    finally:
        billing_reads(journey, "TRIO-MAX", 2, 8100)
    journey.case_becomes(of_billing, "overtaken")
    assert journey.case(of_billing)["closed_by"]["type"] == "order.held.v1"
    second = journey.case(of_provisioning)
    assert (second["codes"], second["state"]) == (["order.conflict"], "open")
    assert journey.decide(of_billing, "send_again").status_code == 409

    assert journey.decide(of_provisioning, "send_again").is_success

    journey.becomes(order["id"], "completed")
    assert journey.charged(line.subscription_id) == 8100


def test_an_order_that_waited_too_long_is_judged_once_it_is_sent_again(journey: Journey) -> None:
    line = journey.customer_with("TRIO", 2)
    first = journey.order(journey.body(line, agent="agent-99"))  # the same quote: two would be a discrepancy of both
    assert first["state"] == "held"
    second = journey.order(journey.body(line))
    journey.advance("2d1h")
    waited = journey.becomes(second["id"], "held")
    assert journey.decide(first["case_id"], "reject").is_success
    journey.becomes(first["id"], "rejected")
    assert journey.decide(waited["case_id"], "send_again").is_success
    journey.becomes(second["id"], "pending")


def services_at_the_network(journey: Journey, line: Line) -> list[str]:
    url = f"{journey.doors.description['network']['url']}/tmf-api/ServiceActivationAndConfiguration/v4/service"
    place = journey.doors.client.get(f"{url}/{line.subscription_id}").json()
    return [each["code"] for each in place["services"]]


def done_in_part(journey: Journey, line: Line) -> dict[str, Any]:
    """An order that is held because the network put in place only a part of it."""
    network(journey, line, "partial", times=1)
    order = journey.order(journey.body(line))
    journey.answer(journey.link(line), "yes")
    held = journey.becomes(order["id"], "held")
    [found] = held["discrepancies"]
    assert (found["code"], found["stage"]) == ("provisioning.failed", "provisioning")
    assert found["given"].startswith("the network lacks: tv-bouquet; in place: internet, tv, ")
    return held


def test_an_order_that_was_done_in_part_is_cancelled_once_the_network_has_what_was_there_before(
    journey: Journey,
) -> None:
    line = journey.customer_with("TRIO", 2)
    held = done_in_part(journey, line)
    network(journey, line, "conflict", times=1)

    assert journey.decide(held["case_id"], "cancel").is_success

    def another_case() -> dict[str, Any] | None:  # restoring is refused: a person looks again
        view = journey.view(held["id"])
        return view if view["state"] == "held" and view["case_id"] != held["case_id"] else None

    again = journey.doors.until("the second case", another_case)
    assert "is not restored: network.conflict" in again["discrepancies"][0]["given"]
    assert journey.decide(again["case_id"], "cancel").is_success

    cancelled = journey.becomes(held["id"], "cancelled")
    assert [each["state"] for each in cancelled["history"]][-6:] == [
        *("assessingCancellation", "pendingCancellation", "held"),
        *("assessingCancellation", "pendingCancellation", "cancelled"),
    ]
    has = [each["code"] for each in journey.subscription(line.subscription_id)["services"]]
    assert services_at_the_network(journey, line) == has == ["internet", "tv", "telephony"]
    assert journey.charged(line.subscription_id) == 7000
    following = journey.order(journey.body(line))
    journey.answer(journey.link(line, count=2), "yes")
    journey.becomes(following["id"], "completed")


def test_an_order_that_was_done_in_part_goes_on_when_it_is_sent_again(journey: Journey) -> None:
    line = journey.customer_with("TRIO", 2)
    held = done_in_part(journey, line)
    assert journey.decide(held["case_id"], "send_again").is_success
    journey.becomes(held["id"], "completed")
    has = [each["code"] for each in journey.subscription(line.subscription_id)["services"]]
    assert services_at_the_network(journey, line) == has
    assert journey.charged(line.subscription_id) == 8100
