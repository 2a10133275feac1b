"""The case's life: the steps that doors and handlers take alike."""

from __future__ import annotations

from datetime import timedelta
from typing import ClassVar

from contracts.case_v1 import CaseDecided, DecisionRefused
from services.chassis.job import Job
from services.chassis.transaction import Transaction
from services.review import store
from services.review.rules import cases, decisions
from services.review.rules.cases import By, Case, Made
from services.review.store import About


class ReturnUnanswered(Job):
    """Bring a case back into the queue whose partner did not answer the question that this event asked."""

    name: ClassVar[str] = "review.return-unanswered"
    case_id: str
    event_id: str


def carry_out(tx: Transaction, case: Case, made: Made) -> None:
    """Ask for a decision to be carried out; one that nobody else has to answer closes the case."""
    event_id = tx.next_id(CaseDecided, case.key)
    made = made.model_copy(update={"event_id": event_id})
    event = decisions.asking(case, made)
    after = decided = decisions.decided(case, made)
    if decisions.nobody_else_answers(case):
        after = cases.closed(decided, "applied", By(type=event.type, id=event_id), tx.now)
    store.saw(tx, event, About(order_id=case.order_id, case_id=case.id, customer_id=case.customer_id), event_id)
    store.keep(tx, after)
    tx.publish(event, *cases.closing(decided, after))


def refuse(tx: Transaction, case: Case, made: Made, by: str, reason: str) -> None:
    """Take back a decision that waited for approval, and say so; the case is open again."""
    event_id = tx.next_id(DecisionRefused, case.key)
    event = decisions.refusing(case, made, by, reason, tx.now)
    store.saw(tx, event, About(order_id=case.order_id, case_id=case.id, customer_id=case.customer_id), event_id)
    taken_back = {"refused_by": by, "refused_at": tx.now, "refusal_reason": reason}
    store.keep(tx, decisions.refused(case, made.model_copy(update=taken_back)))
    tx.publish(event)


def ask_partner(tx: Transaction, case: Case, made: Made, wait: timedelta) -> None:
    """Ask the partner, whom intake hands the question; unanswered the case comes back when the time is over."""
    event_id, answer_by = tx.next_id(CaseDecided, case.key), tx.now + wait
    made = made.model_copy(update={"event_id": event_id})
    event = decisions.asking(case, made, answer_by)
    store.saw(tx, event, About(order_id=case.order_id, case_id=case.id, customer_id=case.customer_id), event_id)
    store.keep(tx, decisions.asked(case, made, event_id, answer_by))
    tx.schedule(ReturnUnanswered(case_id=case.id, event_id=event_id), due=answer_by)
    tx.publish(event)
