"""What a reviewer asks and a partner answers: the order stays held meanwhile."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from contracts.case_v1 import Corrections
from contracts.order_v1 import Evidence, OrderAnswered, OrderHeld, OrderPending, OrderQuestioned
from tests.intake.shop import LIEGE, QUOTES, Shop

WRONG: dict[str, Any] = {"channel": "telesales", "quote": {"monthly_change": {"amount": 500, "currency": "EUR"}}}
PROOF = Evidence(kind="recording", reference="rec-1", sha256="ab" * 32)
RECORDING = PROOF.model_dump()


async def asked(shop: Shop, **changes: Any) -> dict[str, Any]:
    """A held order about which a reviewer asks something; its view."""
    order = await shop.order(shop.body(await shop.line(), **WRONG) | changes)
    await shop.decides(order, "ask_partner", reason="Was the promotion told?")
    await shop.said(order["id"], 2)
    return order


SIGNED: dict[str, Any] = {"channel": "shop", "quote": QUOTES["shop"]}
"""An order that is right, but for its evidence."""


async def answer(shop: Shop, order: dict[str, Any], partner: str = "gent-calls", **body: Any) -> httpx.Response:
    async with shop.at(partner) as client:
        return await client.post(f"/v1/orders/{order['id']}/answers", json=body, headers={"Accept-Language": "nl"})


async def test_a_question_is_told_and_shown_and_its_answer_goes_to_review(shop: Shop) -> None:
    order = await asked(shop)
    view = await shop.becomes(order["id"], "held")
    assert (view["question"], view["case_id"]) == ("Was the promotion told?", order["case_id"])

    answered = await answer(shop, order, text="No, five euros for good.", evidence=RECORDING)

    assert (answered.status_code, answered.json()["state"], answered.json()["question"]) == (201, "held", None)
    _, question, said = await shop.said(order["id"], 3)
    assert isinstance(question, OrderQuestioned)
    assert (question.question, question.case_id) == ("Was the promotion told?", order["case_id"])
    assert isinstance(said, OrderAnswered)
    assert (said.text, said.case_id) == ("No, five euros for good.", order["case_id"])
    assert (said.evidence, said.evidence_held) == (PROOF, False)
    assert said.order.evidence != PROOF, "nobody judged it yet"


async def test_nobody_answers_what_was_not_asked_or_was_answered(shop: Shop) -> None:
    held = await shop.order(shop.body(await shop.line(), **WRONG))
    refused = await answer(shop, held, text="Hello?")
    assert (refused.status_code, refused.json()["code"]) == (409, "question.none")
    order = await asked(shop)
    assert (await answer(shop, order, text="Yes.")).status_code == 201
    assert (await answer(shop, order, text="No.")).status_code == 409


async def test_another_partners_order_is_not_there(shop: Shop) -> None:
    order = await asked(shop)
    assert (await answer(shop, order, LIEGE, text="Yes.")).status_code == 404


async def test_an_answer_that_names_people_or_proves_with_what_is_used_is_refused_and_can_be_given_again(
    shop: Shop,
) -> None:
    order = await asked(shop)
    for text in ("ask valerie@example.org", "call +32 87 12 34 56"):
        refused = await answer(shop, order, text=text)
        assert refused.status_code == 422
        assert [(each["pointer"], each["code"]) for each in refused.json()["errors"]] == [("/text", "text.personal")]
        assert "zonder namen" in refused.text
    told = await answer(shop, order, text="See there.", evidence={**RECORDING, "reference": "v@example.org"})
    assert [(each["pointer"], each["code"]) for each in told.json()["errors"]] == [
        ("/evidence/reference", "reference.personal")
    ]
    await shop.order(shop.body(await shop.line(), "cd" * 32, channel="telesales"))
    reused = await answer(shop, order, text="See there.", evidence={**RECORDING, "sha256": "cd" * 32})
    assert (reused.status_code, reused.json()["code"]) == (409, "evidence.reused")
    assert (await answer(shop, order, text="See there.", evidence=RECORDING)).status_code == 201


@pytest.mark.parametrize("first", [None, "cd" * 32], ids=["evidence.missing", "evidence.reused"])
async def test_evidence_of_an_answer_is_judged_when_a_reviewer_resubmits(shop: Shop, first: str | None) -> None:
    await shop.order(shop.body(await shop.line(), "cd" * 32, channel="telesales"))
    evidence = {**RECORDING, "sha256": first} if first else None
    order = await asked(shop, **SIGNED, evidence=evidence)
    assert [each["code"] for each in order["discrepancies"]] == ["evidence.reused" if first else "evidence.missing"]
    assert (await answer(shop, order, text="Here.", evidence=RECORDING)).status_code == 201
    await shop.decides(order, "correct_and_resubmit", Corrections(evidence=PROOF))
    *_, asked_her = await shop.said(order["id"], 4)
    assert isinstance(asked_her, OrderPending), "even a signed contract that comes with an answer is no yes"
    assert asked_her.order.evidence == PROOF
    other = await shop.order(shop.body(await shop.line(), **SIGNED) | {"evidence": RECORDING})
    assert [each["code"] for each in other["discrepancies"]] == ["evidence.reused"]


async def test_a_resubmitted_order_is_judged_in_whole_and_used_evidence_stays_used(shop: Shop) -> None:
    await shop.order(shop.body(await shop.line(), "cd" * 32, channel="telesales"))
    order = await asked(shop, evidence=None, quote=WRONG["quote"], channel="shop")
    used = PROOF.model_copy(update={"sha256": "cd" * 32})
    await shop.decides(order, "correct_and_resubmit", Corrections(evidence=used))
    *_, held = await shop.said(order["id"], 3)
    assert isinstance(held, OrderHeld)
    assert {"evidence.reused", "price.promotion"} <= set(held.codes)
    assert "evidence.missing" not in held.codes
