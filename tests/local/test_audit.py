"""Each check of the audit, broken by hand: it and no other must say so, in these words."""

from __future__ import annotations

import marshal
from dataclasses import replace
from datetime import date
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from contracts import offer_v2
from contracts.commission_v1 import CommissionHeld
from contracts.customer_v1 import Customer, CustomerRecorded
from contracts.dead_letter_v1 import DiscrepancyFound, MessageDeadLettered
from contracts.event import Envelope
from contracts.invoice_v1 import ChargesStarted
from contracts.money import Promotion
from contracts.notice_v1 import NoticeUndeliverable
from contracts.offer_v1 import (
    OfferPublished,
    OfferWithdrawn,
    Price,
)
from contracts.order_v1 import (
    OrderCancelled,
    OrderCompleted,
    OrderConfirmed,
    OrderEvent,
    OrderHeld,
    OrderPending,
)
from contracts.subscription_v1 import ChangeFailed, Sale, services_of
from services.local import audit, audit_reading, prices
from services.local.audit import Evidence
from services.local.audit_reading import Raw
from services.local.audit_running import SMALL, judge_slice, judge_whole, processes
from services.local.audit_slices import KEPT_IN_MEMORY, Spool, put_aside
from services.local.evidence import STATEMENTS, People
from services.local.records import Record
from tests.local.world import (
    CONTRACT,
    DUO,
    MAX,
    NOW,
    TRIO,
    Break,
    World,
    add,
    all_of,
    changed,
    charge,
    charged,
    decision,
    discrepancy,
    edit,
    edit_line,
    end_held,
    euro,
    found_in,
    held_by_billing,
    honoured,
    in_the_shop,
    line,
    newer_version,
    notice,
    offer,
    opened,
    order,
    put,
    running,
    signed,
    signed_and_sent_again,
    slice_of,
    subscription,
    to,
    waiting,
    without,
)

STATE, ONE_ORDER, FORGOTTEN = (
    "each order in exactly one state",
    "one order per key and reference",
    "no order forgotten",
)
COMPLETED, YES = "completed = done and charged", "nothing before the customer's yes"
SEQUENCE, DELIVERED, ONCE = (
    "sequences per key gapless and in order",
    "everything decided was sent and consumed",
    "no effect twice",
)
CHARGE, LINE, DECISION = (
    "charge = published price or recorded decision",
    "line = charge for its days, once",
    "decisions recorded, not on one's own sale",
)
REMOVED, IN_PLACE = "nothing removed that was not named", "in place = what was ordered"
CASE, IN_HAND, FAILED, PERSONAL = (
    "every discrepancy exactly one case",
    "held orders and decisions in hand",
    "whatever failed is a case",
    "personal data on customers alone",
)


def test_finds_nothing_where_all_is_well() -> None:
    assert World().found() == []


EVERYTHING = ("internet", "tv", "decoder", "+3287123456")

HEALTHY: dict[str, Break] = {
    "an order that was cancelled": end_held("cancelled"),
    "an order that waits for its turn": waiting(),
    "a quote that was honoured": honoured(),
    "the shop's promotion": in_the_shop(running()),
    "a contract signed in the shop": signed(),
    "a signed contract whose order was sent again": signed_and_sent_again(),
    "a customer who was asked, whatever she signed": signed(asked=True, proves="held"),
    "a change that removes what it names": to(DUO, "tv", "decoder"),
    "an end": to(DUO, *EVERYTHING, action="terminate"),
    "a change that is said again because its order was sent again": put(again=changed(order=order(attempt=2))),
    "an offer that was withdrawn after the sale": put(
        withdrawn=OfferWithdrawn(code="MAX", withdrawn_at=NOW.replace(hour=15))
    ),
    "a version withdrawn that was not the one sold": put(
        withdrawn=offer_v2.OfferWithdrawn(code="MAX", versions=(2,), withdrawn_at=NOW)
    ),
    "a case beside an order that has ended": all_of(
        put(
            undeliverable=NoticeUndeliverable(
                notice_id="n",
                order_id="done",
                subscription_id="sub-1",
                kind="completed",
                recipient="customer",
                medium="email",
                case_id="case-2",
                reason="550 no such mailbox",
            ),
            found2=found_in("case-2", discrepancy("notice.undeliverable", "notification"), "done"),
            opened2=opened("case-2", discrepancy("notice.undeliverable", "notification"), "done"),
        ),
        add("cases", World.case("case-2", "open", "done", "notice.undeliverable")),
    ),
    "an order that billing holds": held_by_billing("open", order_held=True),
    "a newer version that waits behind the one that billing holds": all_of(
        held_by_billing("open", order_held=True), newer_version()
    ),
    "an order that billing held, and another case holds now": held_by_billing("overtaken", order_held=True),
    "a version that billing holds": all_of(
        put(
            another=changed(
                subscription=subscription(3, TRIO, id="sub-2"),
                before=None,
                order=None,
                imported=Sale(channel="shop", sold_at=NOW),
            ),
            found2=found_in("case-2", discrepancy("billing.mismatch", "billing"), None).model_copy(
                update={"subscription_id": "sub-2"}
            ),
            opened2=opened("case-2", discrepancy("billing.mismatch", "billing"), None).model_copy(
                update={"subscription_id": "sub-2"}
            ),
        ),
        add("cases", World.case("case-2", "open", None, "billing.mismatch")),
        add("inventory", {"id": "sub-2", "subscription": subscription(3, TRIO, id="sub-2").model_dump(mode="json")}),
    ),
}


@pytest.mark.parametrize("name", HEALTHY)
def test_takes_for_well_what_is_well(name: str) -> None:
    world = World()
    HEALTHY[name](world)
    assert world.found() == []


LETTER = {"case_id": "case-1", "state": "failed", "queue": "q", "topic": "orders", "partition": 0, "offset": 99}
FAILED_JOB = {"service": "intake", "name": "intake.later", "payload": {}, "failed": True}


def reviewed_first(world: World) -> None:
    """Before anything else the order that is done now was held."""
    held = OrderHeld(order=order(), case_id="case-1", codes=("order.conflict",))
    world.events = {"reviewed": held, **world.events}


def left_behind(world: World) -> None:
    """The network made one more version, and the order that is still open is about another subscription."""
    world.one("orders", "held").update(subscription_id="sub-2")
    world.events["held"] = OrderHeld(
        order=order("held", subscription_id="sub-2"), case_id="case-1", codes=("price.change",)
    )
    for name, event in (("found", found_in("case-1", discrepancy())), ("opened", opened("case-1", discrepancy()))):
        world.events[name] = event.model_copy(update={"subscription_id": "sub-2"})
    world.rows["turns"].append({"id": "sub-2", "holder": "held"})
    world.one("turns", "sub-1").update(holder=None)
    world.calls.append(World.call(3, TRIO))


BREAKS: dict[str, tuple[str, str, Break]] = {
    # orders
    "a row in another state than its history": (
        STATE,
        "held is held, its history ends with pending",
        edit("orders", "held", history=[{"state": "pending"}]),
    ),
    "a row in another state than its last event": (
        STATE,
        "held is held, its last event says pending",
        put(held=OrderPending(order=order("held"), confirmation_id="c", expires_at=NOW)),
    ),
    "a row without events": (STATE, "held is held, its last event says nothing", without("held")),
    "an order that ended twice": (
        STATE,
        "done ended more than once",
        edit("orders", "done", history=[{"state": "cancelled"}, {"state": "completed"}]),
    ),
    "an order that goes on after its end": (
        STATE,
        "done goes on after it was completed",
        put(again=OrderCompleted(order=order(), completed_at=NOW)),
    ),
    "events without a row": (
        STATE,
        "lost has events but no row",
        put(lost=OrderCancelled(order=order("lost"), reason="")),
    ),
    "two orders under one reference": (
        ONE_ORDER,
        "liege-calls done has 2 orders",
        edit("orders", "held", partner_reference="done"),
    ),
    "one order under two keys": (
        ONE_ORDER,
        "done was made under 2 idempotency keys",
        add("idempotency", {"partner": "liege-calls", "key": "again", "order_id": "done"}),
    ),
    "an order without a key": (
        ONE_ORDER,
        "held was made without an idempotency key",
        lambda world: world.rows["idempotency"].pop(),
    ),
    "an answer whose order is gone": (
        ONE_ORDER,
        "gone was answered, and is lost",
        add("idempotency", {"partner": "liege-calls", "key": "gone", "order_id": "gone"}),
    ),
    "an order whose clock is of an earlier step": (
        FORGOTTEN,
        "held is acknowledged without a clock",
        waiting(payload={"order_id": "held", "steps": 0}),
    ),
    "an order whose clock failed": (
        FORGOTTEN,
        "held is acknowledged without a clock",
        all_of(waiting(failed=True), put(told=opened("case-1", discrepancy(path="/jobs/watch"))), without("opened")),
    ),
    "an order whose clock is another service's": (
        FORGOTTEN,
        "held is acknowledged without a clock",
        waiting(service="billing"),
    ),
    "a customer who is waited for without end": (
        FORGOTTEN,
        "held is pending without a clock",
        all_of(
            waiting(),
            put(held=OrderPending(order=order("held"), confirmation_id="c", expires_at=NOW)),
            edit("orders", "held", state="pending", history=[{"state": "pending"}], confirmation_id="c"),
        ),
    ),
    "an order that waits for a turn that nobody has": (
        FORGOTTEN,
        "held waits for its turn, which nobody has",
        all_of(waiting(), edit("turns", "sub-1", holder=None)),
    ),
    "a turn that was never passed on": (
        FORGOTTEN,
        "sub-1 its turn is still with done, which has ended",
        edit("turns", "sub-1", holder="done"),
    ),
    "a commission for an order that was not completed": (
        COMPLETED,
        "held is held, but a commission is held for it",
        put(early=CommissionHeld(order_id="held", subscription_id="sub-1", partner="p", agent="a", commission=euro(1))),
    ),
    "a commission for a quote that was honoured": (
        COMPLETED,
        "done was honoured below the published price, but a commission is held for it",
        all_of(
            honoured(),
            put(
                commission=CommissionHeld(
                    order_id="done", subscription_id="sub-1", partner="p", agent="a", commission=euro(1)
                )
            ),
        ),
    ),
    "a charge for an order that was cancelled": (
        COMPLETED,
        "done is cancelled, but something was done for it",
        all_of(
            without("commission"),
            put(completed=OrderCancelled(order=order(), reason="no")),
            edit("orders", "done", state="cancelled", history=[{"state": "cancelled"}]),
        ),
    ),
    "an order that was completed as another one than was carried out": (
        COMPLETED,
        "done is completed as something else than what was carried out",
        put(completed=OrderCompleted(order=order(offer=TRIO.ref), completed_at=NOW)),
    ),
    "an order that was completed at another price than was carried out": (
        COMPLETED,
        "done is completed as something else than what was carried out",
        put(completed=OrderCompleted(order=order(price=None), completed_at=NOW)),
    ),
    "a signed contract of an order that a person decided about": (
        YES,
        "done was in review, and its customer was not asked",
        all_of(signed(), reviewed_first),
    ),
    "a yes that nobody said": (
        YES,
        "done is confirmed, but its customer did not say yes",
        edit("confirmations", "asked", answer="no"),
    ),
    "a yes to a question that nobody asked": (
        YES,
        "done is confirmed, but its customer did not say yes",
        without("pending"),
    ),
    "a yes to another price": (
        YES,
        "done is confirmed at another price",
        put(pending=OrderPending(order=order(price=None), confirmation_id="asked", expires_at=NOW)),
    ),
    "a yes to another offer": (
        YES,
        "done is confirmed at another price",
        put(pending=OrderPending(order=order(offer=TRIO.ref), confirmation_id="asked", expires_at=NOW)),
    ),
    "a signed contract that is not held": (
        YES,
        "done is confirmed, but the contract that its customer signed is not held",
        all_of(signed(), lambda world: world.rows["contracts"].clear()),
    ),
    "a signed contract that another partner gave": (
        YES,
        "done is confirmed, but the contract that its customer signed is not held",
        signed(partner="gent-calls"),
    ),
    "a signed contract that proves another order": (
        YES,
        "done is confirmed, but the contract that its customer signed proves held",
        signed(proves="held"),
    ),
    "a contract signed at the telephone": (
        YES,
        "done is confirmed, but its customer did not say yes",
        signed(channel="telesales"),
    ),
    "a recording for a yes": (
        YES,
        "done is confirmed, but its customer did not say yes",
        signed(evidence=CONTRACT.model_copy(update={"kind": "recording"})),
    ),
    "a no to a question about what was signed": (
        YES,
        "done is confirmed, but its customer did not say yes",
        all_of(signed(asked=True), edit("confirmations", "asked", answer="no")),
    ),
    "a signed contract that is sent again at another price": (
        YES,
        "done is confirmed at another price",
        signed_and_sent_again(price=None),
    ),
    "a change before any yes": (YES, "done was carried out without being confirmed", without("confirmed")),
    # effects
    "another change of the same version": (
        ONCE,
        "sub-1 version 2 was changed 2 times",
        lambda world: world.events.update(
            {"changed": changed(subscription=subscription(2, MAX, numbers=())), "again": changed()}
        ),
    ),
    "a charge twice": (ONCE, "sub-1 version 2 was charged 2 times", put(again=charged())),
    "a commission twice": (
        ONCE,
        "done was paid a commission 2 times",
        lambda world: world.events.update(again=world.events["commission"]),
    ),
    "a notice twice": (ONCE, "notice-1 was told 2 times", put(again=notice("notice-1"))),
    "the network twice": (
        ONCE,
        "sub-1 version 2 was activated 2 times",
        lambda world: world.calls.append(World.call(2, MAX)),
    ),
    "an offer that changed": (
        ONCE,
        "DUO version 1 was published 2 times",
        put(again=OfferPublished(offer=offer("DUO", 5300, "internet"), published_at=NOW)),
    ),
    # money
    "a charge one cent too high": (
        CHARGE,
        "monthly is charged as 81.01 EUR, published or decided is 81.00 EUR",
        all_of(put(charged=charged(8101)), lambda world: world.rows["lines"].clear()),
    ),
    "a charge one cent too low": (
        CHARGE,
        "monthly is charged as 80.99 EUR, published or decided is 81.00 EUR",
        all_of(put(charged=charged(8099)), lambda world: world.rows["lines"].clear()),
    ),
    "a one-off that was never published": (
        CHARGE,
        "one-off is charged as 5000, published or decided is 0",
        put(charged=charged(one_off=euro(5000))),
    ),
    "a promotion that was published and is not charged": (
        CHARGE,
        "promotion is charged as nothing, published or decided is -6.00 EUR 2026-12 to 2027-05",
        in_the_shop(None),
    ),
    "a promotion that ends a month early": (
        CHARGE,
        "promotion is charged as -6.00 EUR 2026-12 to 2027-04",
        in_the_shop(running(last="2027-04")),
    ),
    "a promotion that begins with the partial month": (
        CHARGE,
        "promotion is charged as -6.00 EUR 2026-11 to 2027-04",
        in_the_shop(running("2026-11", "2027-04")),
    ),
    "a charge for another offer": (
        CHARGE,
        "offer is charged as TRIO v1, published or decided is MAX v1",
        all_of(put(charged=charged(charge=charge(offer=TRIO.ref))), lambda world: world.rows["lines"].clear()),
    ),
    "a charge from another day": (
        CHARGE,
        "since is charged as 2026-11-19, published or decided is 2026-11-20",
        put(charged=charged(charge=charge(since=date(2026, 11, 19)))),
    ),
    "a charge that names a decision that was not taken": (
        CHARGE,
        "decision is charged as case-1, published or decided is nothing",
        put(charged=charged(case_id="case-1")),
    ),
    "a charge of an imported subscription that was not published": (
        CHARGE,
        "monthly is charged as 69.00 EUR, published or decided is 70.00 EUR",
        all_of(
            put(
                **{
                    "charged at first": charged(
                        order_id=None,
                        subscription_version=1,
                        charge=charge(6900, offer=TRIO.ref, since=date(2026, 5, 11)),
                    )
                }
            ),
            lambda world: world.rows["lines"].pop(0),
        ),
    ),
    "a charge for a version that never was": (
        CHARGE,
        "sub-1 is charged for a version that it never had",
        put(again=charged(subscription_version=3)),
    ),
    "a version that billing held, once its case is closed": (
        CHARGE,
        "sub-2 version 3 is not charged, and nobody looks at it",
        all_of(HEALTHY["a version that billing holds"], edit("cases", "case-2", state="applied")),
    ),
    "an order that billing held, once its case is closed": (
        CHARGE,
        "sub-1 version 2 is not charged, and nobody looks at it",
        held_by_billing("applied", order_held=False),
    ),
    "an order that is not charged while billing holds another one": (
        CHARGE,
        "sub-1 version 2 is not charged, and nobody looks at it",
        held_by_billing("open", order_held=True, of="elsewhere"),
    ),
    "a newer version than the one that billing once held": (
        CHARGE,
        "sub-1 version 3 is not charged, and nobody looks at it",
        all_of(held_by_billing("applied", order_held=False), put(charged=charged()), newer_version()),
    ),
    "a change that is not charged": (
        CHARGE,
        "sub-2 version 1 is not charged, and nobody looks at it",
        all_of(
            put(another=changed(subscription=subscription(1, TRIO, id="sub-2"), before=None, order=None)),
            add(
                "inventory", {"id": "sub-2", "subscription": subscription(1, TRIO, id="sub-2").model_dump(mode="json")}
            ),
        ),
    ),
    "nothing charged for what is in place": (
        CHARGE,
        "sub-1: is charged nothing",
        all_of(put(charged=charged(charge=None)), lambda world: world.rows["lines"].__delitem__(slice(1, 3))),
    ),
    "a charge after the end": (
        CHARGE,
        "sub-1: is charged after its end",
        all_of(to(DUO, *EVERYTHING, action="terminate"), put(charged=charged())),
    ),
    "a charge for an offer that was not on sale": (
        CHARGE,
        "sub-1: cannot be priced: offer.not-on-sale",
        put(withdrawn=OfferWithdrawn(code="MAX", withdrawn_at=NOW)),
    ),
    "a charge for the version that was withdrawn by name": (
        CHARGE,
        "sub-1: cannot be priced: offer.not-on-sale",
        put(withdrawn=offer_v2.OfferWithdrawn(code="MAX", versions=(1,), withdrawn_at=NOW)),
    ),
    "an honoured quote above the published price": (
        CHARGE,
        "sub-1: its honoured quote is above the published price",
        honoured(8200),
    ),
    "a line one cent off": (
        LINE,
        "sub-1 monthly 29.71 from 2026-11-20 to 2026-11-30, which is no charge of it",
        edit_line(1, amount=euro(2971).model_dump()),
    ),
    "a credit of too little": (
        LINE,
        "sub-1 credit -25.66 from 2026-11-20 to 2026-11-30, which is no charge of it",
        edit_line(0, amount=euro(-2566).model_dump()),
    ),
    "a credit of what was only charged afterwards": (
        LINE,
        "sub-1 credit -29.70 from 2026-11-20",
        edit_line(0, offer=MAX.ref.model_dump(), amount=euro(-2970).model_dump()),
    ),
    "a one-off in a line that nobody charged": (
        LINE,
        "sub-1 one-off 50.00 from 2026-11-20 to 2026-11-20, which is no charge of it",
        add("lines", line("one-off", 5000, MAX, "2026-11-20", "2026-11-20")),
    ),
    "a day billed twice": (
        LINE,
        "sub-1 is billed 2 times for 2026-12-01",
        add("lines", line("monthly", 8100, MAX, "2026-12-01", "2026-12-31")),
    ),
    "a line before its charge began": (
        LINE,
        "sub-1 monthly 81.00 from 2026-10-01 to 2026-10-31, which is no charge of it",
        add("lines", line("monthly", 8100, MAX, "2026-10-01", "2026-10-31")),
    ),
    "a decision that nobody took": (
        DECISION,
        "done goes by a decision that no reviewer took: case-9",
        all_of(honoured(8100), without("decided 9")),
    ),
    "a decision in another name": (
        DECISION,
        "done goes by a decision that no reviewer took: case-9",
        honoured(8100, reviewer="carl"),
    ),
    "a decision about another order": (
        DECISION,
        "done goes by a decision that no reviewer took: case-9",
        honoured(8100, order_id="held"),
    ),
    "another decision": (
        DECISION,
        "done goes by a decision that no reviewer took: case-9",
        honoured(8100, decision="reject"),
    ),
    "a decision without a reason": (DECISION, "rita decided case-9 without a reason", honoured(reason=" ")),
    "a decision approved by who took it": (DECISION, "rita approved what rita decided", honoured(approved_by="rita")),
    "a decision on one's own sale": (
        DECISION,
        "rita decided case-9, a sale of liege-calls",
        all_of(honoured(), lambda world: world.rows["reviewers"][0].update(attributes={"works_for": ["liege-calls"]})),
    ),
    "an approval of one's own sale": (
        DECISION,
        "ben decided case-9, a sale of liege-calls",
        all_of(
            honoured(approved_by="ben"),
            lambda world: world.rows["reviewers"][1].update(attributes={"works_for": ["liege-calls"]}),
        ),
    ),
    # what the customer has
    "a service gone that nobody named": (REMOVED, "sub-1 lost tv, which nobody named", to(DUO, "decoder")),
    "a service named that is still there": (
        REMOVED,
        "sub-1 kept internet, which was to be removed",
        to(DUO, "tv", "decoder", "internet"),
    ),
    "a snapshot of something else": (
        REMOVED,
        "sub-1: the snapshot is not what was there before",
        put(changed=changed(before=subscription(1, TRIO, numbers=()))),
    ),
    "a service that was ordered and is not there": (
        IN_PLACE,
        "sub-1 has something else than was ordered",
        to(DUO, "tv", "decoder", after=subscription(2, DUO, services=services_of(MAX)[:1] + services_of(MAX)[2:])),
    ),
    "a device that was ordered and is not there": (
        IN_PLACE,
        "sub-1 has something else than was ordered",
        to(MAX, "decoder", after=subscription(2, MAX, equipment=()), amount=8100),
    ),
    "something left after an end": (
        IN_PLACE,
        "sub-1 has something else than was ordered",
        to(
            DUO, "internet", "tv", "decoder", action="terminate", after=subscription(2, TRIO, services=(), equipment=())
        ),
    ),
    "a network that did something else": (
        IN_PLACE,
        "sub-1 version 2 is not what the network did",
        lambda world: world.calls[0]["answer"]["services"].pop(),
    ),
    "a network that was never asked": (
        IN_PLACE,
        "sub-1 version 2 is not what the network did",
        lambda world: world.calls.clear(),
    ),
    "a network that did what nobody says": (
        IN_PLACE,
        "sub-1 the network made version 3, and nobody says so",
        lambda world: world.calls.append(World.call(3, TRIO)),
    ),
    "a part of a cancelled order that was left behind": (
        IN_PLACE,
        "sub-1 has something else at the network than in the inventory, and no order is open",
        left_behind,
    ),
    "an inventory that is not what was told": (
        IN_PLACE,
        "sub-1 is not in the inventory as it was told last",
        edit("inventory", "sub-1", subscription=subscription(1, TRIO).model_dump(mode="json")),
    ),
    # people
    "a discrepancy found twice": (
        CASE,
        "case-1 was found 2 times",
        lambda world: world.events.update(again=world.events["found"]),
    ),
    "a case of nothing": (
        CASE,
        "case-2 was opened 0 times",
        add("cases", World.case("case-2", "open", None, "message.missing")),
    ),
    "a discrepancy without a case": (
        CASE,
        "case-2 is 0 cases",
        put(found2=found_in("case-2", discrepancy(), None)),
    ),
    "a failed message without a case": (
        CASE,
        "case-2 is 0 cases",
        put(
            letter=MessageDeadLettered(
                case_id="case-2",
                service="billing",
                code="message.unreadable",
                reason="",
                topic="orders",
                partition=0,
                offset=7,
                failed_at=NOW,
                key_base64=None,
                value_base64=None,
                headers=(),
            )
        ),
    ),
    "a change held in a case that is none": (
        CASE,
        "case-2 is 0 cases",
        put(
            failed=ChangeFailed(
                order_id="held", subscription_id="sub-1", case_id="case-2", discrepancies=(discrepancy(),)
            )
        ),
    ),
    "a held order in a closed case": (
        IN_HAND,
        "held is held, its case case-1 is applied",
        edit("cases", "case-1", state="applied"),
    ),
    "a held order in no case": (
        IN_HAND,
        "held is held, its case None is None",
        edit("orders", "held", case_id=None),
    ),
    "a case that waits for an order that has ended": (
        IN_HAND,
        "case-1 is open, its order held has ended",
        all_of(end_held("cancelled"), edit("cases", "case-1", state="open")),
    ),
    "a decision that nobody carried out": (
        IN_HAND,
        "case-1 was decided, and nobody carried it out",
        all_of(waiting(), edit("cases", "case-1", state="decided")),
    ),
    "a failed message whose case is closed": (
        FAILED,
        "orders/0/99 failed in billing, its case case-2 is closed or was never opened",
        add("letters", {**LETTER, "service": "billing", "case_id": "case-2"}),
    ),
    "a message that waits behind nothing": (
        FAILED,
        "orders/0/99 waits in billing behind nothing",
        add("letters", {**LETTER, "service": "billing", "state": "waiting"}),
    ),
    "a message that waits behind another service's": (
        FAILED,
        "orders/0/99 waits in billing behind nothing",
        all_of(
            add("letters", {**LETTER, "service": "billing", "state": "waiting"}),
            add("letters", {**LETTER, "service": "review"}),
        ),
    ),
    "a key parked for nothing": (
        FAILED,
        "q is parked in billing, and nothing of it failed",
        add("parked", {"service": "billing", "queue": "q"}),
    ),
    "a failed job that is no case": (
        FAILED,
        "/jobs/intake.later 1 failed in intake, 0 are cases",
        add("jobs", FAILED_JOB),
    ),
    "a name in an event": (
        PERSONAL,
        "holds the name",
        put(decided=decision(reason="Valérie D.", case_id="case-1", order_id="held", decision="send_again")),
    ),
    "an address in a sentence": (
        PERSONAL,
        "holds the name",
        put(completed=OrderCompleted(order=order(agent="<valerie@example.org> 550"), completed_at=NOW)),
    ),
    "a phone in an event": (
        PERSONAL,
        "holds the name",
        all_of(
            put(
                customer=CustomerRecorded(
                    customer=Customer(id="cust-1", name="V", email="v@example.org", phone="+32499", language="fr")
                ),
                completed=OrderCompleted(order=order(agent="+32499"), completed_at=NOW),
            ),
        ),
    ),
}


@pytest.mark.parametrize("name", BREAKS)
def test_finds_what_was_broken_by_hand(name: str) -> None:
    check, words, breaking = BREAKS[name]
    world = World()
    breaking(world)
    found = world.found()
    assert {each.partition(": ")[0] for each in found} == {check}, found
    assert any(words in each for each in found), found


def _second(evidence: Evidence, **envelope: Any) -> Evidence:
    """Write another envelope on the second event of the order."""
    at = next(number for number, each in enumerate(evidence.records) if isinstance(each.event, OrderConfirmed))
    record = evidence.records[at]
    assert record.envelope is not None
    evidence.records[at] = replace(record, envelope=replace(record.envelope, **envelope))
    return evidence


@pytest.mark.parametrize(
    ("sequence", "words"),
    [(1, "sequence 1 of sub-1 lies behind 1"), (3, "sequence 3 of sub-1 follows 1")],
)
def test_finds_a_gap_and_a_step_back_in_the_sequence_of_a_key(sequence: int, words: str) -> None:
    world = World()
    found = world.found(_second(world.evidence(), sequence=sequence))
    assert {each.partition(": ")[0] for each in found} == {SEQUENCE}
    assert words in found[0]


def test_asks_of_dead_letters_only_that_their_sequence_rises() -> None:
    world = World()
    evidence = world.evidence()
    at = next(number for number, each in enumerate(evidence.records) if isinstance(each.event, DiscrepancyFound))
    record = evidence.records[at]
    assert record.envelope is not None
    evidence.records[at] = replace(record, envelope=replace(record.envelope, sequence=5))
    for each in evidence.consumed:
        each["sequence"] = 5
    assert world.found(evidence) == []


@pytest.mark.parametrize("table", ["published", "consumed"])
def test_finds_an_event_that_was_decided_and_never_came(table: str) -> None:
    world = World()
    evidence = world.evidence()
    mine = [each for each in getattr(evidence, table) if each["topic"] == "orders"]
    counted = next(each for each in mine if each["service"] in {"intake", "review"})
    counted["sequence"] += 1 if table == "published" else -1
    words = {"published": "intake decided 5 events, 4 came", "consumed": "review consumed 3 of 4 events"}[table]
    found = world.found(evidence)
    assert found == [f"{DELIVERED}: orders sub-1 {words}"]


def test_finds_a_consumer_that_never_heard_of_a_key() -> None:
    world = World()
    evidence = world.evidence()
    evidence.consumed = [
        each for each in evidence.consumed if (each["service"], each["topic"]) != ("billing", "offers")
    ]
    assert f"{DELIVERED}: offers MAX billing consumed 0 of 1 events" in world.found(evidence)


def test_asks_nobody_to_have_consumed_what_only_others_consume() -> None:
    world = World()
    evidence = world.evidence()
    # The last event of the order that provisioning consumes is the second of four.
    mine = next(each for each in evidence.consumed if (each["service"], each["topic"]) == ("provisioning", "orders"))
    mine["sequence"] = 2
    assert world.found(evidence) == []


def test_takes_a_repeat_of_the_same_record_for_no_second_effect() -> None:
    world = World()
    evidence = world.evidence()
    evidence.records += [each for each in evidence.records if isinstance(each.event, ChargesStarted | CommissionHeld)]
    assert world.found(evidence) == []


def test_does_not_count_what_a_stranger_put_on_a_topic() -> None:
    world = World()
    evidence = world.evidence()
    stranger = Envelope("x", "stranger", OrderCompleted.type, NOW, "done", "sub-1", 9)
    evidence.records.append(Record("orders", 1, 0, 0, b"sub-1", b"?", stranger, None))
    evidence.records.append(Record("orders", 1, 1, 0, b"sub-1", b"?", None, None))
    evidence.records.append(Record("orders", 1, 2, 0, b"sub-1", b"?", replace(stranger, source="intake"), None))
    assert world.found(evidence) == []


def test_takes_a_message_that_billing_could_not_handle_for_looked_at(tmp_path: Path) -> None:
    world = World()
    HEALTHY["a version that billing holds"](world)
    for name in ("found2", "opened2"):
        world.events.pop(name)
    world.rows["cases"].pop()
    evidence = world.evidence()
    at = next(each for each in evidence.records if each.key == b"sub-2")
    letter = {**LETTER, "service": "billing", "offset": at.offset, "topic": at.topic}
    assert [each.partition(": ")[0] for each in world.found(evidence)] == [CHARGE]
    evidence.letters.append(letter)
    assert world.found(evidence) == []
    _put_all_aside(evidence, tmp_path)
    assert not [each for each in _found_in_slices(tmp_path) if each.startswith(CHARGE)]


@pytest.mark.parametrize(
    ("monthly", "months", "above"),
    [(8100, 6, False), (8100, 12, False), (8100, 3, True), (8100, None, True), (7500, None, False), (7501, None, True)],
)
def test_takes_a_promotion_that_is_over_before_the_published_one_for_above_the_published_price(
    monthly: int, months: int | None, *, above: bool
) -> None:
    told = Promotion(monthly=euro(7500 - monthly), months=months) if months else None
    total = 7500 if told else monthly
    price = Price(monthly_total=euro(total), monthly_full=euro(monthly), one_off=euro(0), promotion=told)
    published = MAX.price("shop", "modify", NOW)
    assert prices._above(price, published) is above


SLICES = 5


def _put_all_aside(evidence: Evidence, folder: Path) -> None:
    """Put a world aside as if it had been read from topics and databases."""
    with Spool(folder, SLICES, "reader") as spool:
        for record in evidence.records:
            headers = record.envelope.headers() if record.envelope else []
            place = (record.topic, record.partition, record.offset, record.timestamp_ms)
            audit_reading.put_record_aside(Raw(*place, record.key, record.value, headers), spool)
        for call in evidence.calls:
            spool.add(call["id"].encode(), "calls", (tuple(call), tuple(call.values())))
        for table in sorted({table for table, _, _ in STATEMENTS}):
            for each in getattr(evidence, table):
                key = slice_of(table, each, evidence)
                row = (tuple(each), tuple(each.values()))
                spool.add(None if key is None else key.encode(), table, row)
                if table == "cases" and each["state"] not in {"applied", "overtaken"}:
                    spool.add(None, table, row)
    people = evidence.people
    (folder / "people").write_bytes(marshal.dumps((people.texts, people.addresses)))


def _found_in_slices(folder: Path) -> list[str]:
    reports = [judge_whole(folder), *(judge_slice(folder, each) for each in range(SLICES))]
    return sorted(f"{each.check}: {each.about} {each.fault}" for report in reports for each in report.findings)


@pytest.mark.parametrize("name", [*HEALTHY, *BREAKS])
def test_finds_the_same_slice_by_slice(name: str, tmp_path: Path) -> None:
    world = World()
    (HEALTHY[name] if name in HEALTHY else BREAKS[name][2])(world)
    evidence = world.evidence()
    _put_all_aside(evidence, tmp_path)
    assert _found_in_slices(tmp_path) == sorted(world.found(evidence))


def test_finds_an_order_whose_row_and_events_name_different_subscriptions(tmp_path: Path) -> None:
    world = World()
    world.one("orders", "held").update(subscription_id="sub-2")
    _put_all_aside(world.evidence(), tmp_path)
    assert f"{STATE}: held has events but no row" in _found_in_slices(tmp_path)


def test_judges_the_same_in_processes_of_their_own(tmp_path: Path) -> None:
    world = World()
    BREAKS["a charge one cent too high"][2](world)
    _put_all_aside(world.evidence(), tmp_path)
    tasks = [partial(judge_slice, tmp_path, each) for each in range(SLICES)]
    told: list[tuple[str, int, int]] = []
    with processes(SMALL + 1) as at_once, processes(SMALL) as one_after_another:
        apart = list(at_once(tasks, "judging", lambda *each: told.append(each)))
        here = list(one_after_another(tasks, "judging", lambda *_: None))
    assert [each for report in apart for each in report.findings] == [each for it in here for each in it.findings]
    assert (sum(each.records for each in apart), sum(each.orders for each in apart)) == (16, 2)
    assert told == [("judging", each, SLICES) for each in range(1, SLICES + 1)]


def test_a_reader_that_fails_ends_the_audit(tmp_path: Path) -> None:
    with processes(SMALL + 1) as at_once, pytest.raises(FileNotFoundError):
        list(at_once([partial(judge_slice, tmp_path / "nowhere", 0)], "judging", lambda *_: None))


def test_keeps_the_order_of_a_key_in_one_slice(tmp_path: Path) -> None:
    count = 3 * KEPT_IN_MEMORY + 1
    with Spool(tmp_path, 7, "reader") as spool:
        for number in range(count):
            spool.add(b"sub-%d" % (number % 10), "records", number)
    slices = [[each for _, each in put_aside(tmp_path, number)] for number in range(7)]
    assert sorted(each for some in slices for each in some) == list(range(count))
    for key in range(10):
        mine = [[each for each in some if each % 10 == key] for some in slices]
        assert [each for each in mine if each] == [list(range(key, count, 10))]


def test_counts_events_of_two_types_under_one_id_as_two() -> None:
    world = World()
    world.events["again"] = OrderConfirmed(order=order(attempt=2), confirmed_at=NOW, medium="sent-again", attempt=2)
    evidence = world.evidence()
    numbers = {type(each.event): number for number, each in enumerate(evidence.records)}
    first, last = (evidence.records[numbers[kind]] for kind in (OrderPending, OrderCompleted))
    assert first.envelope is not None
    assert last.envelope is not None
    evidence.records[numbers[OrderCompleted]] = replace(last, envelope=replace(last.envelope, id=first.envelope.id))
    assert [event for _, event in evidence.events(OrderEvent)] == [
        world.events[name] for name in ("pending", "confirmed", "completed", "held", "again")
    ]


@pytest.mark.parametrize(
    ("value", "found"),
    [
        (b'{"a":"Anna"}', True),
        (b'{"a":"Anna B."}', False),
        (b'{"a":"\\"Anna\\""}', False),
        (b'{"a":"said \\"Anna"}', False),
        (b'{"a":"write to <anna@example.org>."}', True),
        (b'{"a":"write to joanna@example.org"}', False),
        (b'{"a":"+32499"}', True),
        (b'{"a":"+3248712"}', False),
        (b"\xff", False),
    ],
)
def test_finds_a_name_as_a_whole_text_and_an_address_anywhere(value: bytes, *, found: bool) -> None:
    people = People.of({("Anna", "+32499", "anna@example.org"), ("Bert", "+3248712", "b@c.d")}, {"+3248712"})
    record = Record("orders", 0, 0, 0, None, value, None, None)
    assert bool(list(audit.personal(Evidence([record], people=people)))) is found


def test_breaks_every_check_there_is() -> None:
    assert {check for check, _, _ in BREAKS.values()} | {SEQUENCE, DELIVERED} == set(audit.CHECKS)
