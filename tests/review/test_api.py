"""The reviewers' doors, on a running review: who may do what, once, and with what answer."""

from __future__ import annotations

import asyncio
import uuid
from datetime import timedelta
from typing import Any

import pytest

from contracts.case_v1 import CaseDecided, Corrections, DecisionRefused
from contracts.order_v1 import Order
from tests.harness import MovableClock, Topics, door, eventually, make_key
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


async def test_a_fault_of_a_value_that_is_one_of_a_list_names_the_list(desk: Desk) -> None:
    case_id, order = await opened(desk, "services.lost")
    await desk.holds(order, case_id, "services.lost")
    wrong = {"removals": ["televisie", "level:tv", "+3287000001"]}
    answer = await desk.decide(case_id, "forget_it", codes=["services.lost", "price.change"], corrections=wrong)
    details = {each["pointer"]: each["detail"] for each in answer.json()["errors"]}
    assert set(details) == {"/decision", "/codes/1", "/corrections/removals/0"}
    assert "honour_quote, apply_published_price, ask_partner" in details["/decision"]
    assert "allowed: services.lost" in details["/codes/1"]
    assert "allowed: internet, tv, tv-bouquet" in details["/corrections/removals/0"]
    [searched] = (await desk.get("/v1/cases", state="lost")).json()["errors"]
    assert "open, awaiting_partner, awaiting_approval" in searched["detail"]


async def test_words_that_say_where_to_reach_somebody_go_onto_no_topic(desk: Desk, read_topic: Topics) -> None:
    case_id, _ = await opened(desk, **CHEAPER)
    for reason in ("ask valerie@example.org", "call +32 87 12 34 56", "0470/12.34.56 is hers"):
        answer = await desk.decide(case_id, "ask_partner", reason=reason)
        assert [(each["pointer"], each["code"]) for each in answer.json()["errors"]] == [("/reason", "reason.personal")]
    assert (await desk.decide(case_id, "honour_quote", reason="An says: cancel, or 75.00")).status_code == 200
    for approve in (True, False):
        answer = await desk.post(f"/v1/cases/{case_id}/approvals", "carl", approve=approve, reason="087 12 34 56")
        assert [each["code"] for each in answer.json()["errors"]] == ["reason.personal"]
    await desk.caught_up()
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


async def test_the_partner_is_asked_and_the_case_waits_for_the_answer(desk: Desk, read_topic: Topics) -> None:
    case_id, order = await opened(desk, "services.lost")
    answer = await desk.decide(case_id, "ask_partner", reason="Does she want to lose the TV?")
    assert (answer.status_code, answer.json()["state"]) == (200, "awaiting_partner"), answer.text
    [question] = answer.json()["questions"]
    assert (question["text"], question["reviewer"]) == ("Does she want to lose the TV?", "rita")
    assert question["answer"] is None
    assert answer.json()["due_at"] == question["answer_by"]
    assert question["answer_by"].startswith("2026-11-22T14:")
    await desk.caught_up()
    [event] = await decisions(read_topic, case_id)
    assert (event.decision, event.reason) == ("ask_partner", "Does she want to lose the TV?")
    assert event.answer_by is not None
    assert event.answer_by.isoformat()[:13] == question["answer_by"][:13]
    again = await desk.decide(case_id, "ask_partner")
    assert (again.status_code, again.json()["why"]) == (409, "asked-already")
    await desk.publish(samples.answered(order, case_id, "yes, she has no set any more"))
    case = await desk.case(case_id, "open")
    assert case["questions"][0]["answer"]["text"] == "yes, she has no set any more"
    assert case["due_at"] < question["answer_by"]
    assert case["timeline"][-1]["type"] == "order.answered.v1"
    assert (await desk.decide(case_id, "ask_partner")).json()["state"] == "awaiting_partner"


async def test_a_case_may_be_decided_while_the_partner_is_asked(desk: Desk) -> None:
    case_id, order = await opened(desk)
    await desk.decide(case_id, "ask_partner")
    assert (await desk.decide(case_id, "cancel")).json()["state"] == "decided"
    await desk.publish(samples.answered(order, case_id))

    async def answered() -> dict[str, Any] | None:
        case = await desk.case(case_id)
        return case if case["questions"][0]["answer"] else None

    case = await eventually(answered)
    assert (case["state"], case["decision"]) == ("decided", "cancel")
    assert case["questions"][0]["answer"]["text"] == "she was told 81.00"


async def test_a_partner_who_does_not_answer_in_time_brings_the_case_back(desk: Desk, clock: MovableClock) -> None:
    case_id, _ = await opened(desk)
    answered_in_time, order = await opened(desk)
    for each in (case_id, answered_in_time):
        assert (await desk.decide(each, "ask_partner")).status_code == 200
    await desk.publish(samples.answered(order, answered_in_time))
    await desk.case(answered_in_time, "open")
    assert (await desk.decide(answered_in_time, "ask_partner")).status_code == 200
    clock.advance(timedelta(days=1, hours=23))
    await desk.caught_up()
    assert (await desk.case(case_id))["state"] == "awaiting_partner"
    clock.advance(timedelta(hours=1, minutes=5))
    back = await desk.case(case_id, "open")
    assert back["questions"][0]["answer"] is None
    assert [each["decision"] for each in back["decisions"]] == ["ask_partner"]


async def test_an_order_is_put_right_with_each_change_named(desk: Desk, read_topic: Topics) -> None:
    case_id, order = await opened(desk, "services.lost")
    right = {"agent": "agent-17", "removals": ["tv", "decoder"]}
    early = await desk.decide(case_id, "correct_and_resubmit", corrections=right)
    assert (early.status_code, early.json()["why"]) == (409, "order-not-here")
    await desk.holds(order, case_id, "services.lost")
    answer = await desk.decide(case_id, "correct_and_resubmit", corrections=right)
    assert (answer.status_code, answer.json()["state"]) == (200, "decided"), answer.text
    assert answer.json()["changes"] == [{"path": "/removals", "before": [], "after": ["tv", "decoder"]}]
    await desk.caught_up()
    [event] = await decisions(read_topic, case_id)
    assert event.corrections == Corrections(agent="agent-17", removals=("tv", "decoder"))


async def test_a_correction_that_corrects_nothing_is_refused_with_every_fault(desk: Desk) -> None:
    case_id, order = await opened(desk, "services.lost")
    await desk.holds(order, case_id, "services.lost")
    path = f"/v1/cases/{case_id}/decisions"
    for corrections, pointers in [
        (None, {"/corrections"}),
        (
            {"quote": 5, "agent": "", "removals": "tv"},
            {f"/corrections/{each}" for each in ("quote", "agent", "removals")},
        ),
    ]:
        answer = await desk.post(path, decision="correct_and_resubmit", reason="why", corrections=corrections)
        assert (answer.status_code, {each["pointer"] for each in answer.json()["errors"]}) == (422, pointers)
    misplaced = await desk.post(path, decision="cancel", reason="why", corrections={"agent": "agent-18"})
    assert [each["code"] for each in misplaced.json()["errors"]] == ["corrections.unexpected"]
    for nothing in ({}, {"agent": "agent-17", "offer": "TRIO-MAX", "removals": []}):
        answer = await desk.decide(case_id, "correct_and_resubmit", corrections=nothing)
        assert (answer.status_code, answer.json()["why"]) == (409, "nothing-changed")
    assert (await desk.case(case_id))["state"] == "open"


async def test_the_timeline_is_the_customers_and_not_only_the_orders(desk: Desk) -> None:
    case_id, order = await opened(desk)
    other = samples.order(f"other-{order.id}", order.subscription_id)
    stranger = samples.order(f"stranger-{order.id}").model_copy(update={"customer_id": "cust-1002"})
    await desk.publish(samples.confirmed(stranger))
    await desk.publish(samples.confirmed(other))

    async def timeline() -> list[tuple[str, str]] | None:
        shown = [(each["type"], each["order_id"]) for each in (await desk.case(case_id))["timeline"]]
        return shown if len(shown) > 1 else None

    expected = [("discrepancy.found.v1", order.id), ("order.confirmed.v1", other.id)]
    assert await eventually(timeline) == expected


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


@pytest.mark.parametrize("who", ["carl", "rita"], ids=["the second reviewer", "the one who decided"])
async def test_a_decision_that_waits_for_approval_is_refused_and_another_may_be_taken(
    desk: Desk, read_topic: Topics, who: str
) -> None:
    case_id, order = await opened(desk, **CHEAPER)
    due_at = (await desk.case(case_id))["due_at"]
    assert (await desk.decide(case_id, "honour_quote")).json()["state"] == "awaiting_approval"
    path = f"/v1/cases/{case_id}/approvals"
    for without in ({"approve": False}, {"approve": False, "reason": " "}):
        answer = await desk.post(path, who, **without)
        assert (answer.status_code, [each["pointer"] for each in answer.json()["errors"]]) == (422, ["/reason"])
    assert (await desk.post(path, who, approve="no", reason="no")).status_code == 422
    answer = await desk.post(path, who, approve=False, reason="the recording says otherwise")
    case = answer.json()
    assert (answer.status_code, case["state"], case["decision"]) == (200, "open", None)
    assert case["due_at"] == due_at
    [kept] = case["decisions"]
    assert (kept["decision"], kept["reviewer"], kept["refused_by"]) == ("honour_quote", "rita", who)
    assert (kept["refusal_reason"], kept["approved_by"]) == ("the recording says otherwise", None)
    timeline = (await desk.case(case_id))["timeline"]
    assert {each["type"] for each in timeline} == {"discrepancy.found.v1", "decision.refused.v1"}
    again = await desk.post(path, "carl")
    assert (again.status_code, again.json()["code"]) == (409, "case.not-awaiting-approval")
    assert (await desk.decide(case_id, "apply_published_price", who="carl")).json()["state"] == "decided"
    await desk.caught_up()
    _, event, decided = [each.event for each in await read_topic("cases") if each.event.subject == case_id]
    assert isinstance(event, DecisionRefused)
    assert (event.refused_by, event.reviewer, event.order_id) == (who, "rita", order.id)
    assert isinstance(decided, CaseDecided)
    assert decided.decision == "apply_published_price"


async def test_nobody_refuses_a_decision_about_their_own_sale(desk: Desk) -> None:
    case_id, _ = await opened(desk, partner="gent-calls", **CHEAPER)
    await desk.decide(case_id, "honour_quote")
    answer = await desk.post(f"/v1/cases/{case_id}/approvals", who="ben", approve=False, reason="mine")
    assert (answer.status_code, answer.json()["code"]) == (403, "case.own-sale")
    assert (await desk.case(case_id))["state"] == "awaiting_approval"


async def test_of_an_approval_and_a_refusal_at_once_one_wins(desk: Desk, read_topic: Topics) -> None:
    for _ in range(5):
        case_id, _ = await opened(desk, **CHEAPER)
        await desk.decide(case_id, "honour_quote")
        path = f"/v1/cases/{case_id}/approvals"
        answers = await asyncio.gather(
            *(desk.post(path, "carl", approve=approve, reason="why") for approve in (True, False) * 2)
        )
        assert sorted(each.status_code for each in answers) == [200, 409, 409, 409]
        [won] = [each.json() for each in answers if each.status_code == 200]
        await desk.caught_up()
        carried_out = [each.approved_by for each in await decisions(read_topic, case_id)]
        assert carried_out == (["carl"] if won["state"] == "decided" else [])


async def test_evidence_of_an_answer_goes_with_a_resubmission(desk: Desk, read_topic: Topics) -> None:
    case_id, order = await opened(desk, "evidence.missing")
    await desk.holds(order, case_id, "evidence.missing")
    await desk.decide(case_id, "ask_partner")
    await desk.publish(samples.answered(order, case_id, "here it is", samples.RECORDING))
    case = await desk.case(case_id, "open")
    [question] = case["questions"]
    assert (question["answer"]["evidence"], question["answer"]["evidence_held"]) == (
        samples.RECORDING.model_dump(),
        False,
    )
    answer = await desk.decide(case_id, "correct_and_resubmit")
    assert (answer.status_code, answer.json()["state"]) == (200, "decided"), answer.text
    assert answer.json()["changes"] == [{"path": "/evidence", "before": None, "after": samples.RECORDING.model_dump()}]
    await desk.caught_up()
    *_, event = await decisions(read_topic, case_id)
    assert event.corrections == Corrections(evidence=samples.RECORDING)


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
