"""What provisioning makes of a network that is slow, fails, refuses, answers twice or takes away too much."""

from __future__ import annotations

import pytest
from sqlalchemy import text

from contracts.order_v1 import Discrepancy, Order
from contracts.subscription_v1 import (
    ChangeCancelled,
    ChangeFailed,
    ChangeHeld,
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
    stage.network.next("leave out tv")
    await stage.confirm(stage.order())
    answer = await stage.answer()
    assert isinstance(answer, ChangeFailed)
    assert str(answer.discrepancies[0].given).startswith("the network lacks: tv;")
    assert (await stage.shown())["version"] == 1


# ------------------------------------------------------------------------------------- what was done in part is undone


async def take_a_part(stage: Stage, *behaviours: str) -> Order:
    """Have the network put in place only a part of a modification; returns the order."""
    stage.network.next(*(behaviours or ("leave out tv",)))
    ordered = stage.order()
    await stage.confirm(ordered)
    assert isinstance(await stage.answer(), ChangeFailed)
    return ordered


def has(stage: Stage) -> tuple[list[str], list[str]]:
    """The services and numbers that the network has in place."""
    place = stage.network.in_place[stage.sub]
    return [each["code"] for each in place["services"]], place["numbers"]


async def test_the_case_says_what_was_put_in_place_and_what_lacks_and_the_report_is_kept(stage: Stage) -> None:
    await stage.have_trio()
    ordered = await take_a_part(stage)
    [case] = await stage.cases()
    said = "the network lacks: tv; in place: internet, telephony, decoder, +3287000001"
    assert case.discrepancies == (failed(said),)
    assert await stage.state(ordered) == "partial"
    shown = await stage.shown()
    assert [each["code"] for each in shown["changes"][0]["reported"]["services"]] == ["internet", "telephony"]
    assert shown["version"] == 1


async def test_cancelling_what_was_done_in_part_has_the_network_restore_what_was_there_before(stage: Stage) -> None:
    await stage.have_trio()
    ordered = await take_a_part(stage)
    await stage.cancel(ordered)
    assert await stage.answer(2) == ChangeCancelled(order_id=ordered.id, subscription_id=stage.sub)
    assert has(stage) == (["internet", "tv", "telephony"], ["+3287000001"])
    assert [body["action"] for _, body in stage.network.requests] == ["modify", "modify"]
    assert len({key for key, _ in stage.network.requests}) == 2
    assert await stage.state(ordered) == "cancelled"
    await stage.cancel(ordered)
    await stage.confirm(ordered, attempt=2)
    again = [ChangeCancelled(order_id=ordered.id, subscription_id=stage.sub)] * 2
    assert list(await stage.said(5))[3:] == again
    assert len(stage.network.requests) == 2
    assert (await stage.shown())["version"] == 1


async def test_nothing_is_said_to_be_cancelled_before_the_network_confirms_it(stage: Stage) -> None:
    await stage.have_trio()
    ordered = await take_a_part(stage)
    stage.network.next("stall")
    await stage.cancel(ordered)
    await eventually(lambda: len(stage.network.requests) == 2)
    await stage.cancel(ordered)
    await stage.confirm(ordered, attempt=2)
    await stage.cancel(stage.order(id="another"))  # its answer shows that those before it were handled
    assert await stage.answer(2) == ChangeCancelled(order_id="another", subscription_id=stage.sub)
    assert await stage.state(ordered) == "restoring"
    stage.network.go_on.set()
    assert await stage.answer(3) == ChangeCancelled(order_id=ordered.id, subscription_id=stage.sub)
    assert len(stage.network.requests) == 2


async def test_an_addition_in_part_is_taken_down_when_it_is_cancelled(stage: Stage) -> None:
    stage.network.next("leave out internet")
    ordered = stage.order("add", FIBRE)
    await stage.confirm(ordered)
    [answer] = await stage.said(1)
    assert isinstance(answer, ChangeFailed)
    await stage.cancel(ordered)
    assert (await stage.said(2))[1] == ChangeCancelled(order_id=ordered.id, subscription_id=stage.sub)
    assert stage.network.requests[1][1]["action"] == "deactivate"
    assert has(stage) == ([], [])


async def test_a_restoring_that_fails_is_a_case_and_can_be_asked_for_again(stage: Stage) -> None:
    await stage.have_trio()
    ordered = await take_a_part(stage)
    stage.network.next("conflict", "leave out tv")
    await stage.cancel(ordered)
    refused = await stage.answer(2)
    assert isinstance(refused, ChangeFailed)
    assert refused.undoing
    assert refused.discrepancies == (
        failed("what was there before is not restored: network.conflict: port 7 is taken"),
    )
    assert await stage.state(ordered) == "partial"
    await stage.cancel(ordered)
    in_part = await stage.answer(3)
    assert isinstance(in_part, ChangeFailed)
    assert "lacking: tv; left over: nothing" in str(in_part.discrepancies[0].given)
    assert [each.case_id for each in await stage.cases()][1:] == [refused.case_id, in_part.case_id]
    await stage.cancel(ordered)
    assert isinstance(await stage.answer(4), ChangeCancelled)
    assert has(stage)[0] == ["internet", "tv", "telephony"]


async def test_what_was_done_in_part_is_sent_to_the_network_anew(stage: Stage) -> None:
    await stage.have_trio()
    ordered = await take_a_part(stage)
    await stage.confirm(ordered, attempt=2)
    changed = await stage.answer(2)
    assert isinstance(changed, SubscriptionChanged)
    assert changed.subscription.version == stage.network.in_place[stage.sub]["version"] == 3
    assert has(stage)[0] == [each.code for each in changed.subscription.services]
    assert (await stage.shown())["changes"][0]["reported"] is None


@pytest.mark.parametrize(
    ("first", "second"),
    [(("leave out tv",), "conflict"), (("fail", "fail", "fail"), "conflict")],
    ids=["in part", "unanswered"],
)
async def test_a_later_attempt_that_is_refused_does_not_forget_what_an_earlier_one_did(
    stage: Stage, first: tuple[str, ...], second: str
) -> None:
    await stage.have_trio()
    ordered = await take_a_part(stage, *first)
    stage.network.next(second)
    await stage.confirm(ordered, attempt=2)
    await stage.answer(2)
    asked = len(stage.network.requests)
    await stage.cancel(ordered)
    assert isinstance(await stage.answer(3), ChangeCancelled)
    assert len(stage.network.requests) == asked + 1


async def test_a_network_that_never_answered_is_not_taken_to_have_done_nothing(stage: Stage) -> None:
    await stage.have_trio()
    stage.network.next(*["lose the answer"] * 3)
    ordered = stage.order(to=DUO, removals=TV)
    await stage.confirm(ordered)
    assert isinstance(await stage.answer(), ChangeFailed)
    assert has(stage)[0] == ["internet", "telephony"]
    await stage.cancel(ordered)
    assert isinstance(await stage.answer(2), ChangeCancelled)
    assert has(stage)[0] == ["internet", "tv", "telephony"]
    await stage.confirm(stage.order(id=f"next-of-{stage.sub}", to=DUO, removals=TV))
    following = await stage.answer(3)
    assert isinstance(following, SubscriptionChanged)
    assert following.subscription.version == stage.network.in_place[stage.sub]["version"]


async def test_a_refusal_needs_no_restoring(stage: Stage) -> None:
    await stage.have_trio()
    ordered = await take_a_part(stage, "conflict")
    await stage.cancel(ordered)
    assert isinstance(await stage.answer(2), ChangeCancelled)
    assert len(stage.network.requests) == 1


async def test_nothing_is_restored_while_another_order_is_at_work(stage: Stage) -> None:
    await stage.have_trio()
    ordered = await take_a_part(stage)
    stage.network.next("stall")
    await stage.confirm(stage.order(id=f"next-of-{stage.sub}"))
    await eventually(lambda: len(stage.network.requests) == 2)
    await stage.cancel(ordered)
    held = await stage.answer(2)
    assert isinstance(held, ChangeHeld)
    assert [each.code for each in held.discrepancies] == ["order.conflict"]
    assert await stage.state(ordered) == "partial"
