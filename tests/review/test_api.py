"""The reviewers' doors, on a running review: who may do what, once, and with what answer."""

from __future__ import annotations

import asyncio
import uuid
from typing import Any

from contracts.case_v1 import CaseDecided
from contracts.order_v1 import Order
from tests.harness import Topics, door, make_key
from tests.review import samples
from tests.review.desk import Desk
from tests.review.samples import euros, found, letter

CHEAPER: dict[str, Any] = {"published_monthly": euros(8100), "quoted_monthly": euros(7500)}
"""7.20 a month less over a year than is published: above what one reviewer may honour."""


async def opened(desk: Desk, *codes: str, partner: str = "liege-calls", **changes: Any) -> tuple[str, Order]:
    """Open a case about an order of its own."""
    name = uuid.uuid4().hex
    order, case_id = samples.order(f"order-{name}", f"sub-{name}", partner), f"case-{name}"
    await desk.publish(found(case_id, *codes, of=order, **changes))
    await desk.case(case_id)
    return case_id, order


async def decisions(read_topic: Topics, case_id: str) -> list[CaseDecided]:
    messages = await read_topic("cases")
    return [each.event for each in messages if isinstance(each.event, CaseDecided) and each.event.subject == case_id]


async def test_the_queue_shows_open_cases_first_and_the_oldest_due_first(desk: Desk) -> None:
    slow, order = await opened(desk, "services.lost")
    soon, _ = await opened(desk, "price.change")
    soonest, _ = await opened(desk, "provisioning.failed")
    closed, ended = await opened(desk, "price.change")
    await desk.publish(samples.cancelled(ended))
    await desk.case(closed, "overtaken")
    assert [each["id"] for each in await desk.queue()] == [soonest, soon, slow, closed]
    pages, after = [], None
    while True:
        params: dict[str, Any] = {"limit": 3} | ({"after": after} if after else {})
        page = (await desk.get("/v1/cases", **params)).json()
        pages.append([each["id"] for each in page["items"]])
        after = page["next"]
        if after is None:
            break
    assert pages == [[soonest, soon, slow], [closed]]
    assert [each["id"] for each in await desk.queue(order=order.id)] == [slow]


async def test_the_queue_is_searched_by_state_code_partner_and_owner(desk: Desk) -> None:
    one, _ = await opened(desk, "price.change", "services.lost", partner="gent-calls")
    other, _ = await opened(desk, "price.monthly")
    for case_id, owner in ((one, "rita"), (other, "carl")):  # dealt by the case's id otherwise: perhaps both to carl
        await desk.post(f"/v1/cases/{case_id}/assignment", owner=owner)
    for search, expected in [
        ({"code": "services.lost"}, [one]),
        ({"partner": "gent-calls"}, [one]),
        ({"owner": "carl"}, [other]),
        ({"state": "open", "code": "price.monthly"}, [other]),
        ({"state": "decided"}, []),
    ]:
        assert [each["id"] for each in await desk.queue(**search)] == expected, search


async def test_a_search_that_makes_no_sense_is_refused(desk: Desk) -> None:
    nonsense: dict[str, Any] = {"state": "lost", "limit": 0, "after": "no cursor", "code": "\x00"}
    for name, value in nonsense.items():
        answer = await desk.get("/v1/cases", **{name: value})
        assert answer.status_code == 422, name
        assert [each["pointer"] for each in answer.json()["errors"]] == [f"/{name}"]


async def test_the_doors_are_for_reviewers_and_the_operator_only_reads(desk: Desk) -> None:
    case_id, _ = await opened(desk)
    desk.keys["desk"] = await make_key(desk.service, "service-desk", "desk")
    assert (await desk.get(f"/v1/cases/{case_id}", who="operator")).status_code == 200
    assert (await desk.get("/v1/cases", who="desk")).status_code == 403
    for who in ("operator", "desk"):
        assert (await desk.decide(case_id, "cancel", who=who)).status_code == 403
    async with door(desk.service, "nobody's") as client:
        assert (await client.get(f"/v1/cases/{case_id}")).status_code == 401
    assert (await desk.get("/v1/cases/case-0")).status_code == 404
    assert (await desk.decide("case-0", "cancel")).status_code == 404
    assert (await desk.case(case_id))["state"] == "open"


async def test_a_decision_is_refused_with_every_fault_at_once(desk: Desk, read_topic: Topics) -> None:
    case_id, _ = await opened(desk, "price.change")
    answer = await desk.post(
        f"/v1/cases/{case_id}/decisions",
        decision="forget_it",
        reason="  ",
        codes=["price.change", "price.monthly"],
        colour="red",
    )
    assert (answer.status_code, answer.headers["content-type"]) == (422, "application/problem+json")
    assert {(each["pointer"], each["code"]) for each in answer.json()["errors"]} == {
        ("/decision", "literal_error"),
        ("/reason", "reason.blank"),
        ("/codes/1", "code.unknown"),
        ("/colour", "extra_forbidden"),
    }
    without = await desk.post(f"/v1/cases/{case_id}/decisions", decision="cancel", codes=[])
    assert {each["pointer"] for each in without.json()["errors"]} == {"/reason", "/codes"}
    assert (await desk.case(case_id))["state"] == "open"
    assert await decisions(read_topic, case_id) == []


async def test_the_faults_are_in_the_readers_language(desk: Desk) -> None:
    case_id, _ = await opened(desk)
    async with door(desk.service, desk.keys["rita"]) as client:
        answer = await client.post(
            f"/v1/cases/{case_id}/decisions", json={"decision": "cancel"}, headers={"accept-language": "fr-BE"}
        )
    assert [each["detail"] for each in answer.json()["errors"]] == ["ce champ est obligatoire"]
    blank = {"decision": "cancel", "reason": " "}
    async with door(desk.service, desk.keys["rita"]) as client:
        answer = await client.post(f"/v1/cases/{case_id}/decisions", json=blank, headers={"accept-language": "nl"})
    assert [each["detail"] for each in answer.json()["errors"]] == ["zeg waarom: het wordt bewaard en getoond"]


async def test_a_decision_that_is_not_available_yet_says_so(desk: Desk) -> None:
    case_id, _ = await opened(desk)
    for decision in ("ask_partner", "correct_and_resubmit"):
        answer = await desk.decide(case_id, decision)
        assert (answer.status_code, answer.json()["code"]) == (422, "decision.not-available"), decision
        assert answer.json()["errors"][0]["pointer"] == "/decision"


async def test_a_decision_that_does_not_fit_is_refused_and_nothing_is_done(desk: Desk, read_topic: Topics) -> None:
    case_id, order = await opened(desk, "services.lost")
    await desk.publish(samples.confirmed(order))
    await desk.caught_up()
    for decision, pointer in [("honour_quote", "/codes"), ("set_aside", "/decision"), ("reject", "/decision")]:
        answer = await desk.decide(case_id, decision)
        assert (answer.status_code, answer.json()["code"]) == (409, "decision.unfit"), decision
        assert [each["pointer"] for each in answer.json()["errors"]] == [pointer]
    assert "cancel" in (await desk.decide(case_id, "reject")).json()["detail"]
    assert (await desk.case(case_id))["state"] == "open"
    assert await decisions(read_topic, case_id) == []


async def test_a_decision_is_published_as_it_was_made(desk: Desk, read_topic: Topics) -> None:
    case_id, order = await opened(desk, "price.change", "services.lost")
    answer = await desk.decide(case_id, "apply_published_price", codes=["price.change"], reason=" told wrong ")
    case = answer.json()
    assert (answer.status_code, case["state"], case["decision"]) == (200, "decided", "apply_published_price")
    assert (case["decided_by"], case["reason"]) == ("rita", "told wrong")
    await desk.caught_up()
    [event] = await decisions(read_topic, case_id)
    assert (event.order_id, event.subscription_id, event.key) == (
        order.id,
        order.subscription_id,
        order.subscription_id,
    )
    assert (event.decision, event.codes, event.reason) == ("apply_published_price", ("price.change",), "told wrong")
    assert (event.reviewer, event.approved_by, event.services) == ("rita", None, ())


async def test_a_case_is_decided_once(desk: Desk) -> None:
    case_id, _ = await opened(desk)
    await desk.decide(case_id, "apply_published_price")
    answer = await desk.decide(case_id, "cancel", who="carl")
    problem = answer.json()
    assert (answer.status_code, problem["code"]) == (409, "case.decided")
    assert (problem["decision"], problem["decided_by"]) == ("apply_published_price", "rita")
    assert "apply_published_price by rita" in problem["detail"]


async def test_of_two_reviewers_at_once_one_decides(desk: Desk, read_topic: Topics) -> None:
    for _ in range(5):
        case_id, _ = await opened(desk)
        answers = await asyncio.gather(
            *(desk.decide(case_id, decision, who) for decision, who in [("reject", "rita"), ("cancel", "carl")] * 2)
        )
        assert sorted(each.status_code for each in answers) == [200, 409, 409, 409]
        await desk.caught_up()
        [event] = await decisions(read_topic, case_id)
        [won] = [each.json() for each in answers if each.status_code == 200]
        assert (event.decision, event.reviewer) == (won["decision"], won["decided_by"])


async def test_nobody_decides_the_sale_of_a_partner_they_work_for(desk: Desk, read_topic: Topics) -> None:
    case_id, _ = await opened(desk, partner="gent-calls", **CHEAPER)
    refused = await desk.decide(case_id, "apply_published_price", who="ben")
    assert (refused.status_code, refused.json()["code"]) == (403, "case.own-sale")
    assert (await desk.case(case_id))["state"] == "open"
    assert (await desk.decide(case_id, "honour_quote")).json()["state"] == "awaiting_approval"
    assert (await desk.post(f"/v1/cases/{case_id}/approvals", who="ben")).status_code == 403
    assert await decisions(read_topic, case_id) == []
    other, _ = await opened(desk, partner="liege-calls")
    assert (await desk.decide(other, "apply_published_price", who="ben")).status_code == 200


async def test_a_quote_is_honoured_by_two_reviewers_above_an_amount(desk: Desk, read_topic: Topics) -> None:
    case_id, _ = await opened(desk, **CHEAPER)
    waiting = (await desk.decide(case_id, "honour_quote")).json()
    assert (waiting["state"], waiting["decision"], waiting["approved_by"]) == (
        "awaiting_approval",
        "honour_quote",
        None,
    )
    assert (await desk.decide(case_id, "cancel", who="carl")).status_code == 409
    same = await desk.post(f"/v1/cases/{case_id}/approvals")
    assert (same.status_code, same.json()["code"]) == (403, "approval.same-reviewer")
    await desk.caught_up()
    assert await decisions(read_topic, case_id) == []
    approved = await desk.post(f"/v1/cases/{case_id}/approvals", who="carl")
    assert (approved.status_code, approved.json()["state"]) == (200, "decided")
    assert (approved.json()["decided_by"], approved.json()["approved_by"]) == ("rita", "carl")
    await desk.caught_up()
    [event] = await decisions(read_topic, case_id)
    assert (event.decision, event.reviewer, event.approved_by) == ("honour_quote", "rita", "carl")
    assert (await desk.post(f"/v1/cases/{case_id}/approvals", who="ben")).status_code == 409


async def test_what_waits_for_nobody_cannot_be_approved(desk: Desk) -> None:
    case_id, _ = await opened(desk)
    answer = await desk.post(f"/v1/cases/{case_id}/approvals")
    assert (answer.status_code, answer.json()["code"]) == (409, "case.not-awaiting-approval")


async def test_a_small_amount_is_honoured_by_one_reviewer(desk: Desk) -> None:
    case_id, _ = await opened(desk, published_monthly=euros(8100), quoted_monthly=euros(8000))
    assert (await desk.decide(case_id, "honour_quote")).json()["state"] == "decided"


async def test_a_case_gets_an_owner_until_it_is_closed(desk: Desk) -> None:
    case_id, order = await opened(desk)
    assert (await desk.post(f"/v1/cases/{case_id}/assignment")).json()["owner"] == "rita"
    async with door(desk.service, desk.keys["ben"]) as client:
        assert (await client.post(f"/v1/cases/{case_id}/assignment")).json()["owner"] == "ben"
    assert (await desk.post(f"/v1/cases/{case_id}/assignment", owner="carl")).json()["owner"] == "carl"
    assert (await desk.post(f"/v1/cases/{case_id}/assignment", owner="")).status_code == 422
    await desk.publish(samples.cancelled(order))
    assert (await desk.case(case_id, "overtaken"))["owner"] == "carl"
    assert (await desk.post(f"/v1/cases/{case_id}/assignment")).status_code == 409


async def test_a_message_is_not_decided_like_an_order(desk: Desk) -> None:
    case_id = f"case-{uuid.uuid4().hex}"
    await desk.publish(letter(case_id), source="billing")
    await desk.case(case_id)
    for decision in ("reject", "cancel", "apply_published_price", "honour_quote"):
        assert (await desk.decide(case_id, decision)).status_code == 409
    assert (await desk.decide(case_id, "send_again")).json()["state"] == "decided"
