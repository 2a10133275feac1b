"""What a case is, and what opens and closes it."""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any, Literal, TypeVar

from pydantic import AwareDatetime

from contracts.case_v1 import CLOSED, CaseClosed, CaseOpened, Corrections, Decision, Outcome
from contracts.dead_letter_v1 import DiscrepancyFound, MessageDeadLettered, MessageReleased
from contracts.event import Data, Event
from contracts.money import Money
from contracts.order_v1 import Discrepancy, Evidence
from services.review.settings import MINUTES_OTHERWISE, MINUTES_TO_DECIDE

Read = TypeVar("Read", bound=Event)
State = Literal["open", "awaiting_partner", "awaiting_approval", "decided", Outcome]

UNDECIDED: frozenset[State] = frozenset({"open", "awaiting_partner"})

BESIDE_THE_ORDER = frozenset({"notice.undeliverable", "quote.disputed"})

"""Codes that ask more than what becomes of the order: it goes on, or has ended, and the case waits all the same."""

LONGEST_CAUSE = 300
_VARYING = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}|\d+")


class By(Data):
    """The event that did something: its type and its id."""

    type: str
    id: str


class Change(Data):
    """One value that a correction puts in the place of another."""

    path: str
    before: Any
    after: Any


class Made(Data):
    """A decision as a reviewer made it; `event_id` is the CaseDecided that asks for it, null until it is approved.

    One that waited for approval may be refused, or taken back by who made it (`refused_by`): it is never carried out.
    `changes` is what its corrections change in the order.
    """

    decision: Decision
    reason: str
    codes: tuple[str, ...]
    reviewer: str
    decided_at: AwareDatetime
    approved_by: str | None = None
    approved_at: AwareDatetime | None = None
    approval_reason: str | None = None
    refused_by: str | None = None
    refused_at: AwareDatetime | None = None
    refusal_reason: str | None = None
    corrections: Corrections | None = None
    changes: tuple[Change, ...] = ()
    event_id: str | None = None


class Answer(Data):
    """What the partner answered to a question; whether the file of its evidence was here then."""

    text: str
    evidence: Evidence | None = None
    evidence_held: bool | None = None
    answered_at: AwareDatetime


class Question(Data):
    """What a reviewer asked the partner, until when an answer is waited for, and the answer once it is here."""

    text: str
    reviewer: str
    asked_at: AwareDatetime
    answer_by: AwareDatetime
    event_id: str
    answer: Answer | None = None


class Failure(Data):
    """One service's failure on a message or in a job, until it says what became of it (`released`)."""

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
    questions: tuple[Question, ...] = ()
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
    def about_job(self) -> bool:
        """Whether it is about a job that gave up: a service failed, and what it found is no message."""
        return bool(self.failures and self.discrepancies)

    @property
    def given_evidence(self) -> Evidence | None:
        """The last evidence that the partner gave in an answer; nobody judged it yet, for that makes a new case."""
        answers = [each.answer for each in self.questions if each.answer and each.answer.evidence]
        return answers[-1].evidence if answers else None

    @property
    def key(self) -> str:
        """The key of the case's events."""
        return self.subscription_id or self.id


def opened(found: DiscrepancyFound, now: datetime) -> Case:
    """Open the case of a judgement."""
    codes = unique(each.code for each in found.discrepancies)
    failures = [
        Failure(service=found.service, code=each.code, reason=str(each.given), attempt=1, failed_at=now)
        for each in found.discrepancies
        if found.service is not None
    ]
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
        failures=tuple(failures),
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


def own_sale(case: Case, works_for: Iterable[str]) -> bool:
    """Whether a reviewer would decide a sale of a partner that they also work for."""
    return case.partner is not None and case.partner in works_for


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
    return reopened(case, unique(each.code for each in failures if each.released is None), failures=failures)


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


def closed(case: Case, outcome: Outcome, by: By, now: datetime) -> Case:
    """Close a case, saying by what."""
    return case.model_copy(update={"state": outcome, "closed_by": by, "closed_at": now})


def reopened(case: Case, codes: tuple[str, ...], **changes: object) -> Case:
    """Open a case again, with the codes that are left."""
    reset = {"state": "open", "codes": codes, "decision": None, "closed_by": None, "closed_at": None}
    return case.model_copy(update=reset | changes)


def cause(case: Case) -> str:
    """What a case was opened for, in a form that cases of the same cause share: they may be decided together.

    Of a business case its codes, stages, partner and agent; of a message the services and what they said, without its
    numbers and ids.
    """
    if case.failures:
        said = [f"{each.service}: {each.code}: {_VARYING.sub('#', each.reason)}" for each in case.failures]
        return "\n".join(said)[:LONGEST_CAUSE]
    stages = unique(each.stage for each in case.discrepancies)
    parts = (", ".join(case.codes), ", ".join(stages), case.partner, case.agent)
    return " · ".join(filter(None, parts))[:LONGEST_CAUSE]


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


def unique(codes: Iterable[str]) -> tuple[str, ...]:
    """Name each code once, in the order in which they came."""
    return tuple(dict.fromkeys(codes))
