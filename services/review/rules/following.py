"""How a case moves with its order: what the order became, and what its partner answered."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from pydantic import Field

from contracts.case_v1 import CLOSED
from contracts.event import Data
from contracts.order_v1 import (
    OrderAcknowledged,
    OrderCancelled,
    OrderCompleted,
    OrderConfirmed,
    OrderEvent,
    OrderFailed,
    OrderHeld,
    OrderPending,
    OrderRejected,
)
from services.review.rules.cases import Answer, By, Case, closed, due, reopened, unique

FINAL_EVENTS = (OrderCompleted, OrderRejected, OrderCancelled, OrderFailed)


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


def remembered(event: OrderEvent) -> bool:
    """Whether an event matters to a case that may be opened after it."""
    return isinstance(event, (OrderHeld, *FINAL_EVENTS))


def after(standing: Standing, news: News) -> Standing:
    """Where an order stands after one more of its events; a request to cancel changes nothing yet.

    One case holds an order: another one that holds it takes the place of the one before, which nobody answers any more.
    """
    event = news.event
    holds = {case_id: before or news.by for case_id, before in standing.holds.items()}
    if isinstance(event, OrderHeld):
        return standing.model_copy(update={"holds": {**holds, event.case_id: None}})
    final = isinstance(event, FINAL_EVENTS)
    if not final and not isinstance(event, OrderAcknowledged | OrderPending | OrderConfirmed):
        return standing
    return Standing(holds=holds, ended_by=standing.ended_by or (news.by if final else None))


def followed(case: Case, standing: Standing, news: News) -> Case:
    """Move a case to where its order went: an answer to its decision, or an order that moved on without it."""
    if case.state in CLOSED:
        return case
    if case.decision and case.decision.event_id and news.caused_by == case.decision.event_id:
        if isinstance(news.event, OrderHeld) and news.event.case_id == case.id:
            return reopened(case, unique(news.event.codes))
        return closed(case, "applied", news.by, news.at)
    return overtaken(case, standing, news.at)


def overtaken(case: Case, standing: Standing, now: datetime) -> Case:
    """Close a case whose order has moved on without it."""
    left = standing.left(case.id)
    return closed(case, "overtaken", left, now) if left else case


def answered(case: Case, answer: Answer) -> Case:
    """Keep what the partner answered to the last question; a case that waited for it is open again."""
    *before, last = case.questions
    kept = case.model_copy(update={"questions": (*before, last.model_copy(update={"answer": answer}))})
    if case.state != "awaiting_partner":
        return kept
    return kept.model_copy(update={"state": "open", "due_at": due(case.codes, answer.answered_at)})


def unanswered(case: Case, event_id: str) -> Case:
    """Open a case again whose partner did not answer in time; it is due now."""
    waits = case.state == "awaiting_partner" and case.questions[-1].event_id == event_id
    return case.model_copy(update={"state": "open"}) if waits else case
