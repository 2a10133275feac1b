"""What a case is, how it moves, and which decision fits which case; pure."""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal, TypeVar, get_args

from pydantic import AwareDatetime, Field

from contracts.case_v1 import CaseClosed, CaseDecided, CaseOpened, Decision
from contracts.dead_letter_v1 import DiscrepancyFound, MessageDeadLettered, MessageReleased
from contracts.event import Data, Event
from contracts.money import Money
from contracts.order_v1 import (
    Discrepancy,
    OrderCancelled,
    OrderCompleted,
    OrderConfirmed,
    OrderEvent,
    OrderFailed,
    OrderHeld,
    OrderPending,
    OrderRejected,
)
from services.review.settings import MINUTES_OTHERWISE, MINUTES_TO_DECIDE

Read = TypeVar("Read", bound=Event)
State = Literal["open", "awaiting_partner", "awaiting_approval", "decided", "applied", "overtaken"]

DECISIONS: tuple[Decision, ...] = get_args(Decision)
NOT_AVAILABLE: frozenset[Decision] = frozenset({"ask_partner", "correct_and_resubmit"})
UNDECIDED: frozenset[State] = frozenset({"open", "awaiting_partner"})
CLOSED: frozenset[State] = frozenset({"applied", "overtaken"})

HONOURABLE = frozenset({"price.monthly", "price.change", "price.one-off", "price.promotion", "quote.changed"})
WITH_MESSAGE = frozenset({"message.unreadable", "message.unhandled"})
RESOLVES: dict[Decision, frozenset[str]] = {
    "honour_quote": HONOURABLE,
    "apply_published_price": HONOURABLE | {"price.currency", "price.missing"},
    "send_again": WITH_MESSAGE | {"provisioning.failed", "billing.mismatch", "order.overdue", "order.conflict"},
}
"""The codes that a decision can resolve, where it cannot resolve all."""

BESIDE_THE_ORDER = frozenset({"notice.undeliverable"})
"""Codes about an order that goes on all the same: nothing that becomes of it answers such a case."""

FINAL_EVENTS = (OrderCompleted, OrderRejected, OrderCancelled, OrderFailed)
MONTHS_OF_A_YEAR = 12
INTAKE = "intake"
BILLING = "billing"


class By(Data):
    """The event that did something: its type and its id."""

    type: str
    id: str


class Made(Data):
    """A decision as a reviewer made it; `event_id` is the CaseDecided that asks for it, null until it is approved."""

    decision: Decision
    reason: str
    codes: tuple[str, ...]
    reviewer: str
    decided_at: AwareDatetime
    approved_by: str | None = None
    approved_at: AwareDatetime | None = None
    approval_reason: str | None = None
    event_id: str | None = None


class Failure(Data):
    """One service's failure on a message, until it says what became of it (`released`)."""

    service: str
    code: str
    reason: str
    attempt: int
    failed_at: AwareDatetime
    released: Literal["handled", "set-aside"] | None = None


class Case(Data):
    """An entry of the review queue: discrepancies, or a message that services failed on."""

    id: str
    state: State = "open"
    codes: tuple[str, ...]
    owner: str | None = None
    due_at: AwareDatetime
    created_at: AwareDatetime
    order_id: str | None = None
    subscription_id: str | None = None
    customer_id: str | None = None
    partner: str | None = None
    agent: str | None = None
    discrepancies: tuple[Discrepancy, ...] = ()
    published_monthly: Money | None = None
    quoted_monthly: Money | None = None
    failures: tuple[Failure, ...] = ()
    decision: Made | None = None
    decisions: tuple[Made, ...] = ()
    closed_by: By | None = None
    closed_at: AwareDatetime | None = None

    @property
    def services(self) -> tuple[str, ...]:
        """Every service that failed on the message."""
        return tuple(each.service for each in self.failures)

    @property
    def waiting_services(self) -> tuple[str, ...]:
        """The services that have not said yet what became of the message."""
        return tuple(each.service for each in self.failures if each.released is None)

    @property
    def holds_order(self) -> bool:
        """Whether an order waits for this case."""
        return self.order_id is not None and not BESIDE_THE_ORDER.issuperset(self.codes)

    @property
    def key(self) -> str:
        """The key of the case's events."""
        return self.subscription_id or self.id


class Standing(Data):
    """Where an order stands as far as cases care: which case held it, and which event took it on from there.

    Topics are not ordered against each other, so a case may be opened after its order moved on.
    """

    holds: Mapping[str, By | None] = Field(default_factory=dict)
    ended_by: By | None = None

    def left(self, case_id: str) -> By | None:
        """The event after which this case no longer held the order; None while it does, or before it did."""
        return self.holds.get(case_id) or self.ended_by


@dataclass(frozen=True)
class News:
    """An order event as it came: what caused it, and when it is handled (business time)."""

    event: OrderEvent
    id: str
    caused_by: str | None
    at: datetime

    @property
    def by(self) -> By:
        """The event, to be named."""
        return By(type=self.event.type, id=self.id)


class Unfit(Data):
    """Why a decision does not fit a case."""

    pointer: str
    detail: str


def opened(found: DiscrepancyFound, now: datetime) -> Case:
    """Open the case of a judgement."""
    codes = _unique(each.code for each in found.discrepancies)
    return Case(
        id=found.case_id,
        codes=codes,
        due_at=due(codes, now),
        created_at=now,
        order_id=found.order_id,
        subscription_id=found.subscription_id,
        customer_id=found.customer_id,
        partner=found.partner,
        agent=found.agent,
        discrepancies=found.discrepancies,
        published_monthly=found.published_monthly,
        quoted_monthly=found.quoted_monthly,
    )


def owned(case: Case, reviewers: Sequence[tuple[str, Sequence[str]]]) -> Case:
    """Give a case that nobody has to a reviewer who may decide it (S6): an owner and a due time, from the first moment.

    `reviewers` are their names, each with the partners that they also work for.
    """
    able = [name for name, works_for in reviewers if not own_sale(case, works_for)]
    if case.owner is not None or not able:
        return case
    return case.model_copy(update={"owner": able[zlib.crc32(case.id.encode()) % len(able)]})


def failed(case: Case | None, letter: MessageDeadLettered, now: datetime) -> Case:
    """Open the case of a message, or add one more failure to it; a case that was decided or closed opens again."""
    failure = Failure(
        service=letter.service,
        code=letter.code,
        reason=letter.reason,
        attempt=letter.attempt,
        failed_at=letter.failed_at,
    )
    if case is None:
        codes = (letter.code,)
        return Case(id=letter.case_id, codes=codes, due_at=due(codes, now), created_at=now, failures=(failure,))
    others = tuple(each for each in case.failures if each.service != letter.service)
    failures = tuple(sorted((*others, failure), key=lambda each: each.service))
    return _reopened(case, _unique(each.code for each in failures if each.released is None), failures=failures)


def released(case: Case, event: MessageReleased, by: By, now: datetime) -> Case:
    """Keep what one service did with the message; the case is applied once every service has answered."""
    failures = tuple(
        each.model_copy(update={"released": event.outcome}) if each.service == event.service else each
        for each in case.failures
    )
    answered = case.model_copy(update={"failures": failures})
    return answered if answered.waiting_services else closed(answered, "applied", by, now)


def due(codes: Iterable[str], now: datetime) -> datetime:
    """Until when a case with these codes has to be decided: the soonest of them (business time)."""
    minutes = min(MINUTES_TO_DECIDE.get(code.partition(".")[0], MINUTES_OTHERWISE) for code in codes)
    return now + timedelta(minutes=minutes)


def remembered(event: OrderEvent) -> bool:
    """Whether an event matters to a case that may be opened after it."""
    return isinstance(event, (OrderHeld, *FINAL_EVENTS))


def after(standing: Standing, news: News) -> Standing:
    """Where an order stands after one more of its events; a request to cancel changes nothing yet."""
    event = news.event
    if isinstance(event, OrderHeld):
        return standing.model_copy(update={"holds": {**standing.holds, event.case_id: None}})
    final = isinstance(event, FINAL_EVENTS)
    if not final and not isinstance(event, OrderPending | OrderConfirmed):
        return standing
    holds = {case_id: before or news.by for case_id, before in standing.holds.items()}
    return Standing(holds=holds, ended_by=standing.ended_by or (news.by if final else None))


def followed(case: Case, standing: Standing, news: News) -> Case:
    """Move a case to where its order went: an answer to its decision, or an order that moved on without it."""
    if case.state in CLOSED:
        return case
    if case.decision and case.decision.event_id and news.caused_by == case.decision.event_id:
        if isinstance(news.event, OrderHeld) and news.event.case_id == case.id:
            return _reopened(case, _unique(news.event.codes))
        return closed(case, "applied", news.by, news.at)
    return overtaken(case, standing, news.at)


def overtaken(case: Case, standing: Standing, now: datetime) -> Case:
    """Close a case whose order has moved on without it."""
    left = standing.left(case.id)
    return closed(case, "overtaken", left, now) if left else case


def closed(case: Case, outcome: Literal["applied", "overtaken"], by: By, now: datetime) -> Case:
    """Close a case, saying by what."""
    return case.model_copy(update={"state": outcome, "closed_by": by, "closed_at": now})


def unfit(case: Case, decision: Decision, codes: Sequence[str], *, confirmed: bool) -> Unfit | None:
    """Say why a decision does not fit a case; None where it does. `confirmed`: the order was once on its way."""
    if decision in RESOLVES:
        return _for_codes(case, decision, codes, RESOLVES[decision])
    match decision:
        case "set_aside" if case.holds_order:
            return Unfit(pointer="/decision", detail="an order waits for this case: cancel it")
        case "reject" | "cancel" if not case.holds_order:
            return Unfit(pointer="/decision", detail=f"no order waits for this case: {decision} has nothing to end")
        case "cancel" if any(each.stage == BILLING for each in case.discrepancies):
            return Unfit(pointer="/decision", detail="it is carried out already: send it again")
        case "reject" if confirmed or any(each.stage != INTAKE for each in case.discrepancies):
            return Unfit(pointer="/decision", detail="the order was confirmed already: cancel it")
    return None


def own_sale(case: Case, works_for: Iterable[str]) -> bool:
    """Whether a reviewer would decide a sale of a partner that they also work for."""
    return case.partner is not None and case.partner in works_for


def needs_approval(case: Case, decision: Decision, above_minor: int) -> bool:
    """Whether a second reviewer is needed: what a quote is honoured for over twelve months is above an amount."""
    return decision == "honour_quote" and MONTHS_OF_A_YEAR * _monthly_difference(case) > above_minor


def decided(case: Case, made: Made) -> Case:
    """Keep a decision: carried out now, or once it is approved where it has no event yet."""
    earlier = case.decisions[:-1] if case.state == "awaiting_approval" else case.decisions
    state: State = "decided" if made.event_id else "awaiting_approval"
    return case.model_copy(update={"state": state, "decision": made, "decisions": (*earlier, made)})


def nobody_else_answers(case: Case) -> bool:
    """Whether a decision closes the case by itself: no order and no message waits for it."""
    return not case.holds_order and not case.failures


def opening(case: Case) -> CaseOpened:
    """The event that says that a case waits for a reviewer."""
    return CaseOpened(
        case_id=case.id,
        order_id=case.order_id,
        subscription_id=case.subscription_id,
        codes=case.codes,
        discrepancies=case.discrepancies,
        services=case.services,
        partner=case.partner,
        due_at=case.due_at,
    )


def asking(case: Case, made: Made) -> CaseDecided:
    """The event that asks for a decision to be carried out."""
    return CaseDecided(
        case_id=case.id,
        order_id=case.order_id,
        subscription_id=case.subscription_id,
        decision=made.decision,
        codes=made.codes,
        reason=made.reason,
        reviewer=made.reviewer,
        approved_by=made.approved_by,
        services=case.waiting_services,
        decided_at=made.approved_at or made.decided_at,
    )


def closing(before: Case, case: Case) -> list[CaseClosed]:
    """The event that says how a case was closed, where it now was."""
    if before.state in CLOSED or case.closed_by is None or case.state not in ("applied", "overtaken"):
        return []
    return [
        CaseClosed(
            case_id=case.id,
            order_id=case.order_id,
            subscription_id=case.subscription_id,
            outcome=case.state,
            by=f"{case.closed_by.type} {case.closed_by.id}",
        )
    ]


def storable(event: Read) -> Read:
    """Return the event without NUL characters: PostgreSQL takes none, and an event about odd bytes must be kept."""
    return event.model_validate(_without_nul(event.model_dump()))


def _without_nul(value: Any) -> Any:  # noqa: ANN401 - whatever JSON holds
    if isinstance(value, str):
        return value.replace("\x00", "\\x00")
    if isinstance(value, dict):
        return {_without_nul(name): _without_nul(each) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [_without_nul(each) for each in value]
    return value


def _reopened(case: Case, codes: tuple[str, ...], **changes: object) -> Case:
    reset = {"state": "open", "codes": codes, "decision": None, "closed_by": None, "closed_at": None}
    return case.model_copy(update=reset | changes)


def _for_codes(case: Case, decision: Decision, codes: Sequence[str], fitting: frozenset[str]) -> Unfit | None:
    others = [code for code in codes if code not in fitting]
    if others:
        return Unfit(pointer="/codes", detail=f"{decision} does not resolve {', '.join(others)}")
    if nobody_else_answers(case):
        return Unfit(
            pointer="/decision", detail=f"no order and no message waits for this case: {decision} does nothing"
        )
    return None


def _monthly_difference(case: Case) -> int:
    """How much less per month was told than is published, in minor units; the most that any discrepancy says."""
    told = [each for each in case.discrepancies if each.code in ("price.monthly", "price.change")]
    pairs = [(each.expected, each.given) for each in told] + [(case.published_monthly, case.quoted_monthly)]
    amounts = [(_amount(expected), _amount(given)) for expected, given in pairs]
    return max((e - g for e, g in amounts if e is not None and g is not None), default=0)


def _amount(money: Any) -> int | None:  # noqa: ANN401 - a discrepancy's value may be anything
    if isinstance(money, Money):
        return money.amount
    amount = money.get("amount") if isinstance(money, dict) else None
    return amount if isinstance(amount, int) else None


def _unique(codes: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(codes))
