"""What provisioning makes of a network that is slow, fails, refuses, answers twice or takes away too much."""

from __future__ import annotations

import pytest
from sqlalchemy import text

from contracts.order_v1 import Discrepancy
from contracts.subscription_v1 import (
    ChangeFailed,
    Equipment,
    Subscription,
    SubscriptionChanged,
)
from services.provisioning.settings import settings
from services.provisioning.store import ReservationRow
from tests.harness import eventually
from tests.provisioning.samples import DUO, FIBRE
from tests.provisioning.stage import Stage

TV = ("tv", "decoder")


def failed(reason: str) -> Discrepancy:
    return Discrepancy(code="provisioning.failed", path="/subscription_id", given=reason, stage="provisioning")


async def test_a_network_that_fails_is_called_again_until_it_works(stage: Stage) -> None:
    await stage.have_trio()
    stage.network.next("fail", "fail")
    await stage.confirm(stage.order(to=DUO, removals=TV))
    assert isinstance(await stage.answer(), SubscriptionChanged)
    assert len(await stage.settled()) == 2
    assert len(stage.network.requests) == 3
    assert len({key for key, _ in stage.network.requests}) == 1


async def test_a_slow_network_is_called_again_and_the_change_is_made_once(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(settings, "network_timeout", 0.3)
    stage.network.next("stall")
    await stage.confirm(stage.order("add", FIBRE))
    [changed] = await stage.said(1)
    stage.network.go_on.set()
    assert isinstance(changed, SubscriptionChanged)
    assert await stage.settled() == [changed]
    assert len({key for key, _ in stage.network.requests}) == 1


async def test_a_network_that_did_it_and_lost_the_answer_does_not_do_it_twice(stage: Stage) -> None:
    stage.network.next("lose the answer")
    await stage.confirm(stage.order("add", FIBRE))
    [changed] = await stage.settled()
    assert isinstance(changed, SubscriptionChanged)
    assert changed.subscription.equipment == (Equipment(type="modem", serial="S-1"),)
    assert len(stage.network.requests) == 2


async def test_a_second_answer_does_nothing(stage: Stage) -> None:
    stage.network.next("stall")
    ordered = stage.order("add", FIBRE)
    await stage.confirm(ordered)
    await eventually(lambda: stage.network.requests)
    async with stage.service.engine.begin() as connection:  # a twin of the job, for later; the network will refuse it
        await connection.execute(text("CREATE TEMP TABLE twin ON COMMIT DROP AS SELECT * FROM job"))
        await connection.execute(text("UPDATE twin SET id = 'twin', not_before = due_at + interval '1 year'"))
        await connection.execute(text("INSERT INTO job SELECT * FROM twin"))
    stage.network.go_on.set()
    [changed] = await stage.said(1)
    assert isinstance(changed, SubscriptionChanged)
    async with stage.service.engine.begin() as connection:
        await connection.execute(text("UPDATE job SET not_before = due_at - interval '1 year'"))
    assert await stage.settled() == [changed]
    assert len(stage.network.requests) == 2
    assert await stage.state(ordered) == "done"
    assert await stage.cases() == []


@pytest.mark.parametrize(
    ("mood", "reason"),
    [
        ("conflict", "network.conflict: port 7 is taken"),
        ("older", "version.older"),
        ("refuse", "the network answered 400"),
    ],
)
async def test_a_refusal_is_a_case_and_nothing_is_changed(stage: Stage, mood: str, reason: str) -> None:
    before = await stage.have_trio()
    stage.network.next(mood)
    ordered = stage.order(to=DUO, removals=TV)
    await stage.confirm(ordered)
    answer = await stage.answer()
    [case] = await stage.cases()
    assert answer == ChangeFailed(
        order_id=ordered.id,
        subscription_id=stage.sub,
        case_id=case.case_id,
        discrepancies=(failed(reason),),
    )
    assert case.discrepancies == (failed(reason),)
    assert len(await stage.settled()) == 2
    assert len(stage.network.requests) == 1
    shown = await stage.shown()
    assert Subscription.model_validate({name: shown[name] for name in Subscription.model_fields}) == before
    assert await stage.count(ReservationRow) == 0


@pytest.mark.parametrize(
    ("mood", "reason"),
    [
        ("fail", "the network answered 503"),
        ("talk nonsense", "the network's answer cannot be read: 1 faults"),
    ],
)
async def test_a_network_that_stays_away_is_given_up(stage: Stage, mood: str, reason: str) -> None:
    await stage.have_trio()
    stage.network.next(mood, mood, mood)
    await stage.confirm(stage.order(to=DUO, removals=TV))
    answer = await stage.answer()
    assert isinstance(answer, ChangeFailed)
    assert answer.discrepancies == (failed(reason),)
    assert len(stage.network.requests) == 3


async def test_a_change_that_was_made_but_given_up_can_be_sent_again(stage: Stage) -> None:
    await stage.have_trio()
    stage.network.next(*["lose the answer"] * 3)
    ordered = stage.order(to=DUO, removals=TV)
    await stage.confirm(ordered)
    assert isinstance(await stage.answer(), ChangeFailed)
    assert stage.network.in_place[stage.sub]["version"] == 2
    await stage.confirm(ordered, attempt=2)
    changed = await stage.answer(2)
    assert isinstance(changed, SubscriptionChanged)
    assert changed.subscription.version == stage.network.in_place[stage.sub]["version"] == 3


async def test_nobody_listening_is_given_up_too(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settings, "network_url", "http://127.0.0.1:9")
    await stage.have_trio()
    await stage.confirm(stage.order(to=DUO, removals=TV))
    answer = await stage.answer()
    assert isinstance(answer, ChangeFailed)
    assert "does not answer" in str(answer.discrepancies[0].given)


async def test_a_network_that_took_away_more_than_was_named_is_a_case(stage: Stage) -> None:
    await stage.have_trio()
    stage.network.next("take tv")
    await stage.confirm(stage.order())
    answer = await stage.answer()
    assert isinstance(answer, ChangeFailed)
    assert answer.discrepancies == (failed("the network lacks: tv"),)
    assert (await stage.shown())["version"] == 1
