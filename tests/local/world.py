"""A small world for the audit: one offer bought and one order held, and ways to change what happened in it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime
from typing import Any

from contracts.case_v1 import CaseDecided, CaseOpened
from contracts.commission_v1 import CommissionHeld
from contracts.customer_v1 import Customer, CustomerRecorded
from contracts.dead_letter_v1 import DiscrepancyFound
from contracts.event import Envelope, Event
from contracts.invoice_v1 import Charge, ChargesStarted, RunningPromotion
from contracts.money import Money
from contracts.notice_v1 import NoticeSent
from contracts.offer_v1 import (
    Channel,
    ChannelPromotion,
    Names,
    Offer,
    OfferedService,
    OfferPublished,
    Price,
)
from contracts.order_v1 import (
    Discrepancy,
    Order,
    OrderAcknowledged,
    OrderCancelled,
    OrderCompleted,
    OrderConfirmed,
    OrderHeld,
    OrderPending,
    OrderPrice,
    PriceDecision,
)
from contracts.order_v1 import (
    Evidence as OfSale,
)
from contracts.subscription_v1 import Equipment, Sale, Subscription, SubscriptionChanged, services_of
from contracts.topics import BY_EVENT, SERVICES, consumed_by
from services.local import audit
from services.local.audit import Evidence
from services.local.evidence import People
from services.local.records import Record

NOW = datetime(2026, 11, 20, 14, tzinfo=UTC)
MAY = datetime(2026, 5, 11, 16, tzinfo=UTC)


def euro(amount: int) -> Money:
    return Money(amount=amount, currency="EUR")


def offer(code: str, monthly: int, *services: str, **more: Any) -> Offer:
    return Offer(
        code=code,
        version=1,
        names=Names(fr=code, nl=code, de=code, en=code),
        monthly=euro(monthly),
        services=tuple(OfferedService(code=each, level={"speed": 100}) for each in services),
        on_sale_from=date(2026, 1, 1),
        channels=(Channel.TELESALES, Channel.SHOP),
        **{"equipment": ("decoder",), **more},
    )


SHOP = ChannelPromotion(channel=Channel.SHOP, monthly=euro(-600), months=6)
TRIO, MAX = offer("TRIO", 7000, "internet", "tv"), offer("MAX", 8100, "internet", "tv", "bouquet", promotions=(SHOP,))
DUO = offer("DUO", 5200, "internet", equipment=())


def order(identity: str = "done", **changes: Any) -> Order:
    price = OrderPrice(
        new_monthly=euro(8100), monthly_change=euro(1100), one_off=euro(0), monthly_after_promotion=euro(8100)
    )
    values = {
        "id": identity,
        "partner": "liege-calls",
        "partner_reference": identity,
        "agent": "agent-17",
        "channel": "telesales",
        "action": "modify",
        "customer_id": "cust-1",
        "subscription_id": "sub-1",
        "subscription_version": 1,
        "offer_code": "MAX",
        "offer": MAX.ref,
        "price": price,
        "sold_at": NOW,
        "received_at": NOW,
    }
    return Order(**{**values, **changes})


def subscription(version: int, of: Offer, **changes: Any) -> Subscription:
    values = {
        "id": "sub-1",
        "customer_id": "cust-1",
        "version": version,
        "offer": of.ref,
        "services": services_of(of),
        "equipment": tuple(Equipment(type=each, serial="DC-1") for each in of.equipment),
        "numbers": ("+3287123456",),
        "contract_since": date(2026, 5, 11),
    }
    return Subscription(**{**values, **changes})


def changed(**changes: Any) -> SubscriptionChanged:
    values = {"subscription": subscription(2, MAX), "before": subscription(1, TRIO), "order": order()}
    return SubscriptionChanged(**{"effective_at": NOW, **values, **changes})


def charge(amount: int = 8100, **changes: Any) -> Charge:
    return Charge(**{"offer": MAX.ref, "monthly": euro(amount), "since": date(2026, 11, 20), **changes})


def charged(amount: int = 8100, **changes: Any) -> ChargesStarted:
    values = {"order_id": "done", "subscription_version": 2, "charge": charge(amount)}
    return ChargesStarted(**{"subscription_id": "sub-1", "customer_id": "cust-1", **values, **changes})


def discrepancy(code: str = "price.change", stage: str = "intake", path: str = "/quote") -> Discrepancy:
    return Discrepancy(code=code, path=path, stage=stage)


def opened(case_id: str, found: Discrepancy, order_id: str | None = "held") -> CaseOpened:
    return CaseOpened(
        case_id=case_id,
        order_id=order_id,
        subscription_id="sub-1",
        codes=(found.code,),
        discrepancies=(found,),
        due_at=NOW,
    )


def found_in(case_id: str, found: Discrepancy, order_id: str | None = "held") -> DiscrepancyFound:
    return DiscrepancyFound(case_id=case_id, order_id=order_id, subscription_id="sub-1", discrepancies=(found,))


def notice(identity: str) -> NoticeSent:
    return NoticeSent(
        notice_id=identity,
        order_id="done",
        subscription_id="sub-1",
        kind="completed",
        recipient="customer",
        medium="email",
        language="fr",
        sent_at=NOW,
        sha256="0" * 64,
    )


def line(kind: str, amount: int, of: Offer, since: str, until: str) -> dict[str, Any]:
    body: dict[str, Any] = {"kind": kind, "invoice": "2026-12", "since": since, "until": until}
    body |= {"offer": of.ref.model_dump(), "amount": euro(amount).model_dump()}
    return {"subscription_id": "sub-1", "version": 2, "order_id": "done", "line": body}


def row(identity: str, *states: str, **more: Any) -> dict[str, Any]:
    history = [{"state": each} for each in states]
    values = {"case_id": None, "confirmation_id": None, "subscription_id": "sub-1", "partner_reference": identity}
    return {"id": identity, "partner": "liege-calls", "state": states[-1], "history": history, **values, **more}


class World:
    """A small world in which all is well: one offer bought, one order held."""

    def __init__(self) -> None:
        self.events: dict[str, Event] = {
            "TRIO": OfferPublished(offer=TRIO, published_at=MAY),
            "MAX": OfferPublished(offer=MAX, published_at=MAY),
            "DUO": OfferPublished(offer=DUO, published_at=MAY),
            "customer": CustomerRecorded(
                customer=Customer(
                    id="cust-1", name="Valérie D.", email="valerie@example.org", phone="+3287123456", language="fr"
                )
            ),
            "imported": SubscriptionChanged(
                subscription=subscription(1, TRIO), imported=Sale(channel="telesales", sold_at=MAY), effective_at=NOW
            ),
            "charged at first": charged(
                order_id=None,
                subscription_version=1,
                charge=charge(7000, offer=TRIO.ref, since=date(2026, 5, 11)),
            ),
            "pending": OrderPending(order=order(), confirmation_id="asked", expires_at=NOW),
            "confirmed": OrderConfirmed(order=order(), confirmed_at=NOW, medium="email-link"),
            "changed": changed(),
            "charged": charged(),
            "completed": OrderCompleted(order=order(), completed_at=NOW),
            "commission": CommissionHeld(
                order_id="done", subscription_id="sub-1", partner="liege-calls", agent="agent-17", commission=euro(2500)
            ),
            "notice": notice("notice-1"),
            "found": found_in("case-1", discrepancy()),
            "opened": opened("case-1", discrepancy()),
            "held": OrderHeld(order=order("held"), case_id="case-1", codes=("price.change",)),
        }
        self.rows: dict[str, list[dict[str, Any]]] = {
            "orders": [
                row("done", "pending", "inProgress", "completed", confirmation_id="asked"),
                row("held", "held", case_id="case-1"),
            ],
            "idempotency": [{"partner": "liege-calls", "key": each, "order_id": each} for each in ("done", "held")],
            "contracts": [],
            "confirmations": [{"id": "asked", "order_id": "done", "answer": "yes"}],
            "turns": [{"id": "sub-1", "holder": "held"}],
            "inventory": [{"id": "sub-1", "subscription": subscription(2, MAX).model_dump(mode="json")}],
            "cases": [self.case("case-1", "open", "held", "price.change")],
            "reviewers": [{"holder": "rita", "attributes": {}}, {"holder": "ben", "attributes": {"works_for": ["us"]}}],
            "lines": [
                line("credit", -2567, TRIO, "2026-11-20", "2026-11-30"),
                line("monthly", 2970, MAX, "2026-11-20", "2026-11-30"),
                line("monthly", 8100, MAX, "2026-12-01", "2026-12-31"),
            ],
            "jobs": [],
            "letters": [],
            "parked": [],
        }
        self.calls = [self.call(2, MAX)]

    @staticmethod
    def case(identity: str, state: str, order_id: str | None, *codes: str) -> dict[str, Any]:
        return {"id": identity, "state": state, "order_id": order_id, "partner": "liege-calls", "codes": list(codes)}

    @staticmethod
    def call(version: int, of: Offer) -> dict[str, Any]:
        services = [each.model_dump() for each in services_of(of)]
        return {"id": "sub-1", "version": version, "answer": {"services": services}}

    def one(self, table: str, identity: str) -> dict[str, Any]:
        return next(each for each in self.rows[table] if each["id"] == identity)

    def evidence(self) -> Evidence:
        records: list[Record] = []
        for number, event in enumerate(self.events.values()):
            topic = BY_EVENT[type(event)]
            sequence = 1 + sum(each.topic == topic.name and each.key == event.key.encode() for each in records)
            envelope = Envelope(f"id-{number}", topic.writers[0], event.type, NOW, event.subject, event.key, sequence)
            records.append(Record(topic.name, 0, number, 0, event.key.encode(), event.to_value(), envelope, event))
        rows = {"published": _published(records), "consumed": _consumed(records), **self.rows}
        references = [{name: each[name] for name in ("partner", "partner_reference")} for each in self.rows["orders"]]
        offers = [each for each in records if each.topic == "offers"]
        return Evidence(records, offers, _people(records), self.calls, references=references, **rows)

    def found(self, evidence: Evidence | None = None) -> list[str]:
        """What the audit finds, as `check: about fault`."""
        return [f"{each.check}: {each.about} {each.fault}" for each in audit.judge(evidence or self.evidence())]


def slice_of(table: str, row: dict[str, Any], evidence: Evidence) -> str | None:
    """Under which key a row is put aside, as the statements of the audit say it."""
    subscriptions: dict[str | None, str] = {each["id"]: each["subscription_id"] for each in evidence.orders}
    told = {e.case_id: e.subscription_id for _, e in evidence.events(CaseOpened, DiscrepancyFound) if e.subscription_id}
    order_id: str | None = row.get("order_id") or row.get("payload", {}).get("order_id")
    match table:
        case "reviewers" | "letters" | "parked":
            return None
        case "jobs" if row["failed"]:
            return None
        case "references":
            return f"{row['partner']} {row['partner_reference']}"
        case "idempotency" | "confirmations" | "contracts" | "jobs":
            return subscriptions.get(order_id, order_id)
        case "cases":
            return str(told.get(row["id"], row["id"]))
    return str(next(row[each] for each in ("key", "subscription_id", "id") if each in row))


def _people(records: list[Record]) -> People:
    events = [each.event for each in records]
    contacts = [
        (c.name, c.phone, c.email) for each in events if isinstance(each, CustomerRecorded) for c in [each.customer]
    ]
    numbers = {n for each in events if isinstance(each, SubscriptionChanged) for n in each.subscription.numbers}
    return People.of(contacts, numbers)


def _published(records: list[Record]) -> list[dict[str, Any]]:
    envelopes = [(each.topic, each.envelope) for each in records if each.envelope]
    last = {(each.source, topic, each.key): each.sequence for topic, each in envelopes}
    return [{"service": where[0], "topic": where[1], "key": where[2], "sequence": n} for where, n in last.items()]


def _consumed(records: list[Record]) -> list[dict[str, Any]]:
    topics = {service: {topic.name for topic, _ in consumed_by(service)} for service in SERVICES}
    return [
        {"source": each.pop("service"), **each, "service": service}
        for service in SERVICES
        for each in _published(records)
        if each["topic"] in topics[service]
    ]


Break = Callable[[World], Any]
"""Something that is done to a world."""


def put(**events: Event) -> Break:
    """Put events in the place of those of the same name, or at the end."""
    return lambda world: world.events.update(events)


def without(name: str) -> Break:
    return lambda world: world.events.pop(name)


def add(table: str, each: dict[str, Any]) -> Break:
    return lambda world: world.rows[table].append(dict(each))


def edit(table: str, identity: str, **changes: Any) -> Break:
    return lambda world: world.one(table, identity).update(changes)


def edit_line(number: int, **changes: Any) -> Break:
    return lambda world: world.rows["lines"][number]["line"].update(changes)


def all_of(*breaks: Break) -> Break:
    return lambda world: [each(world) for each in breaks]


def end_held(state: str) -> Break:
    """Let the held order end well, in a way that nobody did anything for it."""
    return all_of(
        put(ended=OrderCancelled(order=order("held"), reason="no")),
        edit("orders", "held", state=state, history=[{"state": "held"}, {"state": "cancelled"}]),
        edit("turns", "sub-1", holder=None),
        edit("cases", "case-1", state="overtaken"),
    )


def held_by_billing(state: str, *, order_held: bool, of: str = "done") -> Break:
    """Let billing have held the order that was bought, in a case that may be closed; then nobody charged it.

    Where the order is held all the same, another case has taken the place of billing's. `of`: another order's case.
    """
    clock = {"service": "intake", "name": "watch", "payload": {"order_id": "done", "steps": 3}, "failed": False}
    states = ("pending", "inProgress", "held" if order_held else "inProgress")
    now_in = "case-2" if state == "open" else "case-3"
    mismatch, conflict = discrepancy("billing.mismatch", "billing"), discrepancy("order.conflict", "provisioning")
    last = OrderHeld(order=order(), case_id=now_in, codes=("order.conflict",))
    row_now = row("done", *states, case_id=now_in if order_held else None, confirmation_id="asked")
    return all_of(
        end_held("cancelled"),
        *(without(name) for name in ("charged", "completed", "commission")),
        put(
            found2=found_in("case-2", mismatch, of),
            opened2=opened("case-2", mismatch, of),
            last=last if order_held else OrderConfirmed(order=order(), confirmed_at=NOW, medium="email-link"),
        ),
        add("cases", World.case("case-2", state, of, "billing.mismatch")),
        put(found3=found_in("case-3", conflict, "done"), opened3=opened("case-3", conflict, "done")),
        add(
            "cases",
            World.case("case-3", "open" if now_in == "case-3" and order_held else "applied", "done", "order.conflict"),
        ),
        edit("orders", "done", **row_now),
        edit("turns", "sub-1", holder="done"),
        add("jobs", clock),
        lambda world: world.rows["lines"].clear(),
    )


def newer_version() -> Break:
    """Let the subscription have one more version, which is not charged."""
    return all_of(
        put(newer=changed(subscription=subscription(3, MAX), before=subscription(2, MAX), order=None)),
        edit("inventory", "sub-1", subscription=subscription(3, MAX).model_dump(mode="json")),
        lambda world: world.calls.append(World.call(3, MAX)),
    )


def waiting(**changes: Any) -> Break:
    """Let the held order wait for its turn instead."""
    clock = {"service": "intake", "name": "watch", "payload": {"order_id": "held", "steps": 1}, "failed": False}
    return all_of(
        put(held=OrderAcknowledged(order=order("held"), waits_for="other")),
        edit("cases", "case-1", state="overtaken"),
        edit("orders", "held", state="acknowledged", history=[{"state": "acknowledged"}]),
        add("jobs", {**clock, **changes}),
    )


def decision(**changes: Any) -> CaseDecided:
    values = {
        "case_id": "case-9",
        "order_id": "done",
        "subscription_id": "sub-1",
        "decision": "honour_quote",
        "codes": ("price.change",),
        "reason": "promised on tape",
        "reviewer": "rita",
        "decided_at": NOW,
    }
    return CaseDecided(**{**values, **changes})


def honoured(amount: int = 7500, **changes: Any) -> Break:
    """Let the order have been charged an honoured quote, by a decision that may be changed."""
    price = Price(monthly_total=euro(amount), monthly_full=euro(amount), one_off=euro(0))
    taken = PriceDecision(kind="honour_quote", case_id="case-9", reviewer="rita", honoured=price)
    mine = order(decision=taken)

    def honour(world: World) -> None:
        world.events.pop("commission")
        recorded = decision(**changes)
        world.events |= {
            "found 9": found_in("case-9", discrepancy(), "done"),
            "opened 9": opened("case-9", discrepancy(), "done"),
            "decided 9": recorded,
            "pending": OrderPending(order=mine, confirmation_id="asked", expires_at=NOW),
            "confirmed": OrderConfirmed(order=mine, confirmed_at=NOW, medium="email-link"),
            "changed": changed(order=mine),
            "charged": charged(amount, case_id="case-9"),
            "completed": OrderCompleted(order=mine, completed_at=NOW),
        }
        world.rows["cases"].append(World.case("case-9", "applied", "done", "price.change"))
        world.rows["lines"][1:] = [line("monthly", amount, MAX, "2026-12-01", "2026-12-31")]

    return honour


def in_the_shop(running: RunningPromotion | None) -> Break:
    """Let the order have been sold in the shop, with its promotion as charged."""
    mine = order(channel="shop")

    def sell(world: World) -> None:
        world.events |= {
            "pending": OrderPending(order=mine, confirmation_id="asked", expires_at=NOW),
            "confirmed": OrderConfirmed(order=mine, confirmed_at=NOW, medium="email-link"),
            "changed": changed(order=mine),
            "charged": charged(charge=charge(promotion=running)),
            "completed": OrderCompleted(order=mine, completed_at=NOW),
        }
        world.rows["lines"][1:] = []

    return sell


CONTRACT = OfSale(kind="signed-contract", reference="C-1", sha256="c0" * 32)


def signed(*, asked: bool = False, proves: str = "done", partner: str = "liege-calls", **changes: Any) -> Break:
    """Let the customer have signed in the shop, a contract that is held, instead of being asked or before that."""
    mine = order(**{"channel": "shop", "evidence": CONTRACT, **changes})

    def sign(world: World) -> None:
        if mine.channel == "shop":
            in_the_shop(running())(world)
        if not asked:
            del world.events["pending"]
            world.rows["confirmations"] = []
        world.events |= {
            "confirmed": OrderConfirmed(order=mine, confirmed_at=NOW, medium="signed-contract"),
            "changed": changed(order=mine),
            "completed": OrderCompleted(order=mine, completed_at=NOW),
        }
        world.rows["contracts"] = [{"partner": partner, "sha256": CONTRACT.sha256, "order_id": proves}]

    return sign


def signed_and_sent_again(**changes: Any) -> Break:
    """Let the signed order have been sent on its way twice, maybe changed the second time."""
    again = order(**{"channel": "shop", "evidence": CONTRACT, "attempt": 2, **changes})

    def send(world: World) -> None:
        signed()(world)
        completed = world.events.pop("completed")
        confirmed = OrderConfirmed(order=again, confirmed_at=NOW, medium="sent-again", attempt=2)
        world.events |= {"again": confirmed, "completed": completed}

    return send


def running(first: str = "2026-12", last: str = "2027-05") -> RunningPromotion:
    return RunningPromotion(monthly=euro(-600), first_month=first, last_month=last)


def to(of: Offer, *named: str, action: str = "modify", after: Subscription | None = None, amount: int = 5200) -> Break:
    """Let the order have gone to another offer, or to an end."""
    ends = action == "terminate"
    mine = order(
        action=action, removals=named, offer_code=None if ends else of.code, offer=None if ends else of.ref, price=None
    )
    now = after or (
        subscription(1, TRIO).terminated().model_copy(update={"version": 2}) if ends else subscription(2, of)
    )

    def go(world: World) -> None:
        world.events |= {
            "pending": OrderPending(order=mine, confirmation_id="asked", expires_at=NOW),
            "confirmed": OrderConfirmed(order=mine, confirmed_at=NOW, medium="email-link"),
            "changed": changed(order=mine, subscription=now),
            "charged": charged(charge=None if ends else charge(amount, offer=of.ref)),
            "completed": OrderCompleted(order=mine, completed_at=NOW),
        }
        world.rows["inventory"] = [{"id": "sub-1", "subscription": now.model_dump(mode="json")}]
        world.rows["lines"][1:] = []
        world.calls[0]["answer"]["services"] = [each.model_dump() for each in now.services]

    return go
