"""The events of topic `cases`: what reviewers decide, published by review."""

from __future__ import annotations

from typing import Literal, get_args

from pydantic import AwareDatetime

from contracts.event import Data, Event
from contracts.order_v1 import Discrepancy, Evidence

Decision = Literal[
    "honour_quote",
    "apply_published_price",
    "ask_partner",
    "correct_and_resubmit",
    "reject",
    "cancel",
    "send_again",
    "set_aside",
]


class Corrections(Data):
    """What a reviewer puts right in an order that was encoded wrongly; what is absent stays as it was.

    What the agent told the customer is no part of it: a quote is evidence, and is honoured or not. `evidence` is what
    the partner gave in the answer to a question.
    """

    agent: str | None = None
    offer: str | None = None
    removals: tuple[str, ...] | None = None
    evidence: Evidence | None = None


class CaseEvent(Event):
    """What all events about one case share: the key is the subscription's id where one is known."""

    case_id: str
    order_id: str | None = None
    subscription_id: str | None = None

    @property
    def key(self) -> str:
        """The subscription's id where one is known, else the case's."""
        return self.subscription_id or self.case_id

    @property
    def subject(self) -> str:
        """The case's id."""
        return self.case_id


class CaseOpened(CaseEvent, type="case.opened.v1"):
    """A discrepancy or a failed message waits for a reviewer until `due_at`."""

    codes: tuple[str, ...]
    discrepancies: tuple[Discrepancy, ...] = ()
    services: tuple[str, ...] = ()
    partner: str | None = None
    due_at: AwareDatetime


class CaseDecided(CaseEvent, type="case.decided.v1"):
    """A reviewer asks for a decision to be carried out: intake answers a business one, the failed services a technical.

    `approved_by` names the second reviewer where the amount asked for two. With `ask_partner` the reason is the
    question, in time until `answer_by`; with `correct_and_resubmit` the order is judged again, put right as
    `corrections` say.
    """

    decision: Decision
    codes: tuple[str, ...]
    reason: str
    reviewer: str
    approved_by: str | None = None
    services: tuple[str, ...] = ()
    corrections: Corrections | None = None
    answer_by: AwareDatetime | None = None
    decided_at: AwareDatetime


class DecisionRefused(CaseEvent, type="decision.refused.v1"):
    """A decision that waited for a second reviewer is not carried out: the case is open again.

    `refused_by` is another reviewer, or the one who decided and takes the decision back.
    """

    decision: Decision
    codes: tuple[str, ...]
    reviewer: str
    refused_by: str
    reason: str
    refused_at: AwareDatetime


Outcome = Literal["applied", "overtaken"]
"""How a case ends: its last state."""

CLOSED: frozenset[Outcome] = frozenset(get_args(Outcome))


class CaseClosed(CaseEvent, type="case.closed.v1"):
    """A decision was applied, or the order had moved on (`overtaken`); `by` names the event that shows it."""

    outcome: Outcome
    by: str
