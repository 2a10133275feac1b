"""What a reviewer asks and a partner answers: the order stays held meanwhile."""

from __future__ import annotations

from typing import Any

import httpx

from contracts.case_v1 import CaseDecided
from contracts.order_v1 import OrderAnswered, OrderQuestioned
from tests.harness import START, Publish
from tests.intake.shop import LIEGE, Shop

WRONG: dict[str, Any] = {"channel": "telesales", "quote": {"monthly_change": {"amount": 500, "currency": "EUR"}}}
RECORDING = {"kind": "recording", "reference": "rec-1", "sha256": "ab" * 32}


async def asked(shop: Shop, publish: Publish) -> dict[str, Any]:
    """A held order about which a reviewer asks something; its view."""
    order = await shop.order(shop.body(await shop.line(), **WRONG))
    await publish(
        CaseDecided(
            case_id=order["case_id"],
            order_id=order["id"],
            subscription_id=order["subscription_id"],
            decision="ask_partner",
            codes=("price.change",),
            reason="Was the promotion told?",
            reviewer="rita",
            decided_at=START,
        )
    )
    await shop.said(order["id"], 2)
    return order


async def answer(shop: Shop, order: dict[str, Any], partner: str = "gent-calls", **body: Any) -> httpx.Response:
    async with shop.at(partner) as client:
        return await client.post(f"/v1/orders/{order['id']}/answers", json=body, headers={"Accept-Language": "nl"})


async def test_a_question_is_told_and_shown_and_its_answer_goes_to_review(shop: Shop, publish: Publish) -> None:
    order = await asked(shop, publish)
    view = await shop.becomes(order["id"], "held")
    assert (view["question"], view["case_id"]) == ("Was the promotion told?", order["case_id"])

    answered = await answer(shop, order, text="No, five euros for good.", evidence=RECORDING)

    assert (answered.status_code, answered.json()["state"], answered.json()["question"]) == (201, "held", None)
    _, question, said = await shop.said(order["id"], 3)
    assert isinstance(question, OrderQuestioned)
    assert (question.question, question.case_id) == ("Was the promotion told?", order["case_id"])
    assert isinstance(said, OrderAnswered)
    assert (said.text, said.case_id) == ("No, five euros for good.", order["case_id"])
    assert said.evidence is not None
    assert said.order.evidence == said.evidence


async def test_nobody_answers_what_was_not_asked_or_was_answered(shop: Shop, publish: Publish) -> None:
    held = await shop.order(shop.body(await shop.line(), **WRONG))
    refused = await answer(shop, held, text="Hello?")
    assert (refused.status_code, refused.json()["code"]) == (409, "question.none")
    order = await asked(shop, publish)
    assert (await answer(shop, order, text="Yes.")).status_code == 201
    assert (await answer(shop, order, text="No.")).status_code == 409


async def test_another_partners_order_is_not_there(shop: Shop, publish: Publish) -> None:
    order = await asked(shop, publish)
    assert (await answer(shop, order, LIEGE, text="Yes.")).status_code == 404


async def test_an_answer_that_names_people_or_proves_with_what_is_used_is_refused_and_can_be_given_again(
    shop: Shop, publish: Publish
) -> None:
    order = await asked(shop, publish)
    for text in ("ask valerie@example.org", "call +32 87 12 34 56"):
        refused = await answer(shop, order, text=text)
        assert refused.status_code == 422
        assert [(each["pointer"], each["code"]) for each in refused.json()["errors"]] == [("/text", "text.personal")]
        assert "zonder namen" in refused.text
    await shop.order(shop.body(await shop.line(), "cd" * 32, channel="telesales"))
    reused = await answer(shop, order, text="See there.", evidence={**RECORDING, "sha256": "cd" * 32})
    assert (reused.status_code, reused.json()["code"]) == (409, "evidence.reused")
    assert (await answer(shop, order, text="See there.", evidence=RECORDING)).status_code == 201
