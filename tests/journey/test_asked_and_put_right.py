"""A held order whose partner is asked, which is then put right and judged again: from the door to the charge."""

from __future__ import annotations

import re
from typing import Any

import httpx
import pytest

from tests.journeys import Journey, euro

pytestmark = pytest.mark.timeout(120)


def test_a_loss_that_the_partner_confirms_is_named_by_the_reviewer_and_agreed_by_the_customer(journey: Journey) -> None:
    line = journey.customer_with("TRIO", 2)
    order = journey.order(journey.body(line, offer="DUO", quote={"monthly_total": euro(5200)}))
    assert order["state"] == "held"
    case_id = order["case_id"]

    asked_and_answered(journey, order, "liege-calls", text="She has no television any more.")
    [question] = journey.case(case_id)["questions"]
    assert question["answer"]["text"] == "She has no television any more."

    corrections: dict[str, Any] = {"removals": ["tv", "decoder"]}
    put_right = journey.decide(case_id, "correct_and_resubmit", corrections=corrections)
    assert put_right.json()["changes"] == [{"path": "/removals", "before": [], "after": ["tv", "decoder"]}]
    journey.becomes(order["id"], "pending")
    journey.case_becomes(case_id, "applied")
    journey.answer(journey.link(line), "yes")
    journey.becomes(order["id"], "completed")
    services = [each["code"] for each in journey.subscription(line.subscription_id)["services"]]
    assert services == ["internet", "telephony"]
    assert journey.charged(line.subscription_id) == 5200


def asked_and_answered(journey: Journey, order: dict[str, Any], partner: str = "gent-calls", **said: Any) -> None:
    """A reviewer asks about an order, its partner answers, and the case is open again."""
    assert journey.decide(order["case_id"], "ask_partner").json()["state"] == "awaiting_partner"

    def answered() -> bool:
        key, path = journey.doors.key("partners", partner), f"/v1/orders/{order['id']}/answers"
        return journey.doors.call("intake", "POST", path, key=key, json=said, expect=(409,)).is_success

    journey.doors.until("the question to be the partner's", answered)
    journey.case_becomes(order["case_id"], "open")


@pytest.mark.parametrize("code", ["evidence.missing", "evidence.reused"])
def test_evidence_that_the_partner_gives_in_an_answer_is_judged_and_the_customer_asked(
    journey: Journey, code: str
) -> None:
    line, used = journey.customer_with("TRIO", 2), journey.signed(b"a contract of another order " + code.encode())
    if code == "evidence.reused":
        first = journey.order(journey.in_the_shop(journey.customer_with("TRIO", 2), used), partner="gent-calls")
        journey.becomes(first["id"], "completed", "gent-calls")
    evidence = {"evidence.missing": None, "evidence.reused": used}[code]
    order = journey.order(journey.in_the_shop(line, evidence), partner="gent-calls")
    assert (order["state"], [each["code"] for each in order["discrepancies"]]) == ("held", [code])

    contract = journey.signed(b"the contract that was forgotten " + code.encode())
    asked_and_answered(journey, order, text="It is here now.", evidence=contract)
    case = journey.case(order["case_id"])
    assert case["questions"][-1]["answer"]["evidence"] == contract
    assert case["questions"][-1]["answer"]["evidence_held"] is True

    resubmitted = journey.decide(order["case_id"], "correct_and_resubmit")
    assert resubmitted.json()["changes"] == [{"path": "/evidence", "before": evidence, "after": contract}]
    journey.becomes(order["id"], "pending", "gent-calls")
    journey.case_becomes(order["case_id"], "applied")
    journey.answer(journey.link(line), "yes")
    journey.becomes(order["id"], "completed", "gent-calls")
    again = journey.order(journey.in_the_shop(journey.customer_with("TRIO", 2), contract), partner="gent-calls")
    assert [each["code"] for each in again["discrepancies"]] == ["evidence.reused"]
    assert journey.decide(again["case_id"], "cancel").is_success
    journey.becomes(again["id"], "cancelled", "gent-calls")


def test_what_is_put_right_is_judged_again_completely(journey: Journey) -> None:
    line = journey.customer_with("TRIO", 2)
    body = journey.body(line, agent="agent-0", quote={"monthly_total": euro(7500)})
    first = journey.order(body)
    assert [each["code"] for each in first["discrepancies"]] == ["agent.unknown", "price.monthly"]
    journey.doors.until("the case to show its order", lambda: journey.case(first["case_id"])["order"])
    assert journey.decide(first["case_id"], "correct_and_resubmit", corrections={"agent": "agent-17"}).is_success
    journey.case_becomes(first["case_id"], "applied")
    again = journey.view(first["id"])
    assert (again["state"], [each["code"] for each in again["discrepancies"]]) == ("held", ["price.monthly"])
    assert journey.decide(again["case_id"], "cancel").is_success
    journey.becomes(first["id"], "cancelled")


def test_a_reviewer_signs_in_and_decides_on_the_pages(journey: Journey) -> None:
    line = journey.customer_with("TRIO", 2)
    order = journey.order(journey.body(line, quote={"monthly_change": euro(500)}))
    journey.case(order["case_id"])
    address = journey.doors.description["services"]["review"]["url"]
    path = f"{address}/cases/{order['case_id']}"
    with httpx.Client(follow_redirects=True) as browser:
        queue = browser.post(f"{address}/sign-in", data={"key": journey.doors.key("reviewers", "rita")})
        assert (queue.status_code, queue.url.path) == (200, "/cases")
        [token, *_] = re.findall(r'name="token" value="([^"]+)"', browser.get(path).text)
        form = {"token": token, "decision": "apply_published_price", "reason": "published is +11.00"}
        assert browser.post(f"{path}/decision", data=form).status_code == 200
    journey.becomes(order["id"], "pending")
    journey.case_becomes(order["case_id"], "applied")
    journey.answer(journey.link(line), "no")
    journey.becomes(order["id"], "cancelled")
