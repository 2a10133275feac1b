"""What provisioning does with orders, on the real Kafka and PostgreSQL, beside a network over HTTP."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest
from sqlalchemy import select

from contracts import offer_v1
from contracts.dead_letter_v1 import MessageDeadLettered
from contracts.offer_v1 import OfferRef
from contracts.offer_v2 import OfferWithdrawn
from contracts.order_v1 import Discrepancy
from contracts.subscription_v1 import (
    ChangeCancelled,
    ChangeFailed,
    ChangeHeld,
    Equipment,
    Subscription,
    SubscriptionChanged,
    services_of,
)
from services.chassis.database import JobRow
from services.provisioning.settings import settings
from services.provisioning.store import OfferRow, ReservationRow
from tests.harness import START, MovableClock, eventually
from tests.provisioning.samples import DUO, FIBRE, TRIO, confirmed, offer, published
from tests.provisioning.stage import Stage

TV = ("tv", "decoder")


# --------------------------------------------------------------------------------------------- what was ordered is done


async def test_the_customer_gets_what_was_ordered(stage: Stage) -> None:
    before = await stage.have_trio()
    ordered = stage.order(to=DUO, removals=TV)
    await stage.confirm(ordered)
    changed = await stage.answer()
    assert isinstance(changed, SubscriptionChanged)
    assert changed == SubscriptionChanged(
        subscription=before.model_copy(
            update={
                "version": 2,
                "offer": DUO.ref,
                "services": services_of(DUO),
                "equipment": (),
                "contract_since": date(2026, 11, 20),
            }
        ),
        before=before,
        removed=TV,
        order=ordered,
        effective_at=changed.effective_at,
    )
    assert START < changed.effective_at < START + timedelta(minutes=1)
    assert (await stage.shown())["offer"] == {"code": "DUO", "version": 1}
    assert await stage.cases() == []


async def test_the_network_is_told_the_whole_subscription_under_the_jobs_id(stage: Stage) -> None:
    await stage.have_trio()
    stage.network.next("stall")
    await stage.confirm(stage.order(to=DUO, removals=TV))
    await eventually(lambda: stage.network.requests)
    [(key, body)] = stage.network.requests
    assert body == {
        "id": stage.sub,
        "version": 2,
        "action": "modify",
        "services": [
            {"code": "internet", "level": {"download": 300, "volume": 500}},
            {"code": "telephony", "level": {}},
        ],
        "equipment": [],
        "numbers": ["+3287000001"],
    }
    assert key == await stage.scalar(select(JobRow.id))  # type: ignore[call-overload]


async def test_a_new_subscription_gets_the_serials_and_numbers_of_the_network(stage: Stage) -> None:
    ordered = stage.order("add", FIBRE)
    await stage.confirm(ordered)
    [changed] = await stage.said(1)
    expected = Subscription(
        id=stage.sub,
        customer_id="cust-1001",
        version=1,
        offer=FIBRE.ref,
        services=services_of(FIBRE),
        equipment=(Equipment(type="modem", serial="S-1"),),
        numbers=("+3287000000",),
        contract_since=date(2026, 11, 20),
        contract_until=date(2027, 11, 20),
    )
    assert isinstance(changed, SubscriptionChanged)
    assert (changed.subscription, changed.before, changed.removed) == (expected, None, ())
    assert stage.network.requests[0][1]["action"] == "activate"


async def test_a_contract_begins_on_the_day_in_brussels(stage: Stage, clock: MovableClock) -> None:
    clock.set_to(datetime(2026, 11, 20, 23, 30, tzinfo=UTC))
    await stage.confirm(stage.order("add", FIBRE))
    [changed] = await stage.said(1)
    assert isinstance(changed, SubscriptionChanged)
    assert changed.subscription.contract_since == date(2026, 11, 21)


async def test_a_termination_leaves_nothing_and_reserves_what_was_there(stage: Stage) -> None:
    before = await stage.have_trio()
    await stage.confirm(stage.order("terminate", None, removals=before.named()))
    changed = await stage.answer()
    assert isinstance(changed, SubscriptionChanged)
    assert changed.subscription == before.terminated().model_copy(update={"version": 2})
    assert changed.removed == before.named()
    assert stage.network.requests[0][1]["action"] == "deactivate"
    async with stage.service.engine.connect() as connection:
        rows = (await connection.execute(select(ReservationRow).order_by("what"))).mappings().all()
    until = changed.effective_at + timedelta(days=60)
    assert [(row["what"], row["subscription_id"], row["until"]) for row in rows] == [
        ("+3287000001", stage.sub, until),
        ("D-1", stage.sub, until),
    ]


# ----------------------------------------------------------------------------------------------------- what is not done


async def test_what_would_be_lost_unnamed_is_held_as_one_case_and_nothing_is_done(stage: Stage) -> None:
    await stage.have_trio()
    ordered = stage.order(to=DUO)
    await stage.confirm(ordered)
    held = await stage.answer()
    lost = Discrepancy(
        code="services.lost", path="/removals", expected=["tv", "decoder"], given=[], stage="provisioning"
    )
    [case] = await stage.cases()
    assert held == ChangeHeld(
        order_id=ordered.id,
        subscription_id=stage.sub,
        case_id=case.case_id,
        discrepancies=(lost,),
        subscription_version=1,
    )
    assert (case.order_id, case.customer_id, case.partner, case.agent) == (
        *(ordered.id, "cust-1001", "liege-calls", "agent-17"),
    )
    assert case.discrepancies == (lost,)
    [found] = await stage.topics("dead-letters", stage.sub)
    assert found.envelope.id == case.case_id
    assert len(await stage.settled()) == 2
    assert stage.network.requests == []
    assert (await stage.shown())["version"] == 1


async def test_a_stale_order_is_given_back_without_a_case(stage: Stage) -> None:
    await stage.have_trio()
    ordered = stage.order(to=DUO, removals=TV, subscription_version=7)
    await stage.confirm(ordered)
    assert await stage.answer() == ChangeHeld(order_id=ordered.id, subscription_id=stage.sub, subscription_version=1)
    assert await stage.cases() == []
    assert stage.network.requests == []


async def test_another_order_does_not_start_while_one_is_under_way(stage: Stage) -> None:
    await stage.have_trio()
    stage.network.next("stall")
    first, second = stage.order(to=DUO, removals=TV), stage.order(id=f"second-of-{stage.sub}")
    await stage.confirm(first)
    await stage.confirm(second)
    assert await stage.answer() == ChangeHeld(order_id=second.id, subscription_id=stage.sub, subscription_version=1)
    stage.network.go_on.set()
    changed = await stage.answer(2)
    assert isinstance(changed, SubscriptionChanged)
    assert changed.order == first


async def test_a_subscription_of_somebody_else_is_held_and_nothing_of_it_is_shown(stage: Stage) -> None:
    await stage.have_trio()
    await stage.confirm(stage.order(to=DUO, customer_id="cust-1002"))
    held = await stage.answer()
    assert isinstance(held, ChangeHeld)
    assert [(each.code, each.expected, each.given) for each in held.discrepancies] == [
        ("subscription.unknown", None, None)
    ]
    assert held.subscription_version is None


async def test_a_reversal_is_not_guessed_at(stage: Stage) -> None:
    await stage.have_trio()
    await stage.confirm(stage.order("reverse", None, reverses="order-0"))

    async def dead_lettered() -> list[MessageDeadLettered]:
        found = await stage.topics.events("dead-letters")
        return [each for each in found if isinstance(each, MessageDeadLettered) and stage.sub in each.reason]

    [letter] = await eventually(dead_lettered)
    assert letter.code == "message.unhandled"


# -------------------------------------------------------------------------------------------------- once, and once more


async def test_a_confirmation_that_comes_again_has_no_second_effect(stage: Stage) -> None:
    await stage.have_trio()
    ordered = stage.order(to=DUO, removals=TV)
    [envelope] = await stage.publish(confirmed(ordered))
    await stage.answer()
    await stage.publish.raw("orders", confirmed(ordered).to_value(), stage.sub.encode(), envelope.headers())
    await stage.confirm(ordered)
    assert len(await stage.settled()) == 2
    assert len(stage.network.requests) == 1


@pytest.mark.parametrize("twice", [True, False], ids=["seen twice", "sent again"])
async def test_only_a_later_attempt_starts_a_failed_change_anew(stage: Stage, *, twice: bool) -> None:
    await stage.have_trio()
    stage.network.next("conflict")
    ordered = stage.order(to=DUO, removals=TV)
    await stage.confirm(ordered)
    await stage.answer()
    await stage.confirm(ordered, attempt=1 if twice else 2)
    said = [type(each) for each in await stage.settled()]
    assert said == [SubscriptionChanged, ChangeFailed] + ([] if twice else [SubscriptionChanged])


async def test_a_held_change_starts_anew_with_what_is_named_now(stage: Stage) -> None:
    await stage.have_trio()
    await stage.confirm(stage.order(to=DUO))
    assert isinstance(await stage.answer(), ChangeHeld)
    await stage.confirm(stage.order(to=DUO, removals=TV), attempt=2)
    assert isinstance(await stage.answer(2), SubscriptionChanged)


async def test_a_done_change_that_is_sent_again_is_said_again_but_not_made_again(stage: Stage) -> None:
    await stage.have_trio()
    ordered = stage.order(to=DUO, removals=TV)
    await stage.confirm(ordered)
    done = await stage.answer()
    decided = ordered.model_copy(update={"partner_reference": "LC-2"})
    await stage.confirm(decided, attempt=2)
    assert isinstance(done, SubscriptionChanged)
    assert await stage.answer(2) == done.model_copy(update={"order": decided})
    assert len(stage.network.requests) == 1


# --------------------------------------------------------------------------------------------------------- a late offer


async def test_an_offer_that_is_only_late_is_waited_for(stage: Stage) -> None:
    new = offer("NEW", {"internet": {"download": 500}})
    ordered = stage.order("add", new)
    await stage.confirm(ordered)

    async def waiting() -> bool:
        return bool(await stage.state(ordered) == "waiting")

    await eventually(waiting)
    await stage.publish(*published(new))
    [changed] = await stage.said(1)
    assert isinstance(changed, SubscriptionChanged)
    assert changed.subscription.offer == new.ref


async def test_an_offer_that_never_comes_is_a_case(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settings, "late_offer_wait", 0.5)
    ordered = stage.order("add", TRIO, offer=OfferRef(code="TRIO", version=9))
    await stage.confirm(ordered)
    [answer] = await stage.settled()
    [case] = await stage.cases()
    unknown = Discrepancy(
        code="offer.unknown", path="/offer", given={"code": "TRIO", "version": 9}, stage="provisioning"
    )
    assert answer == ChangeFailed(
        order_id=ordered.id, subscription_id=stage.sub, case_id=case.case_id, discrepancies=(unknown,)
    )
    assert stage.network.requests == []


async def test_an_order_cancelled_while_its_offer_is_late_is_not_carried_out(stage: Stage) -> None:
    new = offer("NEW", {"internet": {"download": 500}})
    ordered = stage.order("add", new)
    await stage.confirm(ordered)
    await stage.cancel(ordered)
    await stage.said(1)
    await stage.publish(*published(new))
    await stage.offers_are_here(5)
    assert await stage.settled() == [ChangeCancelled(order_id=ordered.id, subscription_id=stage.sub)]
    assert stage.network.requests == []


async def test_a_withdrawn_offer_is_put_in_place_for_who_bought_it_before(stage: Stage) -> None:
    before = offer_v1.OfferWithdrawn(code="FIBRE", withdrawn_at=START - timedelta(days=1))
    await stage.publish(before, OfferWithdrawn(code="FIBRE", versions=(1, 2), withdrawn_at=START))
    withdrawn = select(OfferRow.withdrawn_at).where(OfferRow.code == "FIBRE")  # type: ignore[call-overload]
    await eventually(lambda: stage.scalar(withdrawn))
    assert await stage.scalar(withdrawn) == START  # what version 1 says is not read here any more
    await stage.confirm(stage.order("add", FIBRE))
    assert isinstance((await stage.said(1))[0], SubscriptionChanged)


# -------------------------------------------------------------------------------------------------------- cancellations


async def test_an_order_cancelled_before_it_came_never_acts(stage: Stage) -> None:
    await stage.have_trio()
    ordered = stage.order(to=DUO, removals=TV)
    await stage.cancel(ordered)
    assert await stage.answer() == ChangeCancelled(order_id=ordered.id, subscription_id=stage.sub)
    await stage.confirm(ordered)
    await stage.confirm(ordered, attempt=2)
    again = ChangeCancelled(order_id=ordered.id, subscription_id=stage.sub)
    assert list(await stage.settled())[2:] == [again, again]  # whoever asks is told, and nothing is done
    assert stage.network.requests == []


@pytest.mark.parametrize("mood", ["conflict", None], ids=["failed", "held"])
async def test_a_failed_or_held_change_is_cancelled_at_once(stage: Stage, mood: str | None) -> None:
    await stage.have_trio()
    stage.network.next("conflict")
    ordered = stage.order(to=DUO, removals=TV if mood else ())
    await stage.confirm(ordered)
    await stage.answer()
    await stage.cancel(ordered)
    assert await stage.answer(2) == ChangeCancelled(order_id=ordered.id, subscription_id=stage.sub)
    assert await stage.state(ordered) == "cancelled"


async def test_a_change_under_way_at_the_network_is_not_stopped(stage: Stage) -> None:
    await stage.have_trio()
    stage.network.next("stall")
    ordered = stage.order(to=DUO, removals=TV)
    await stage.confirm(ordered)
    await eventually(lambda: stage.network.requests)
    await stage.cancel(ordered)
    await stage.cancel(stage.order(id="another"))  # its answer shows that the first cancellation was handled
    await stage.answer()
    stage.network.go_on.set()
    assert isinstance(await stage.answer(2), SubscriptionChanged)
    assert [type(each) for each in await stage.settled()] == [
        *(SubscriptionChanged, ChangeCancelled, SubscriptionChanged),
    ]


async def test_a_done_change_is_not_cancelled_but_held_for_a_person(stage: Stage) -> None:
    await stage.have_trio()
    ordered = stage.order(to=DUO, removals=TV)
    await stage.confirm(ordered)
    await stage.answer()
    await stage.cancel(ordered)
    held = (await stage.settled())[2]
    assert isinstance(held, ChangeHeld)
    assert [each.code for each in held.discrepancies] == ["order.conflict"]
    assert await stage.state(ordered) == "done"
