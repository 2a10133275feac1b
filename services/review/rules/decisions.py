"""Which decision fits which case, what it changes, and how it is asked for."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any, get_args

from contracts.case_v1 import CaseDecided, Corrections, Decision, DecisionRefused
from contracts.event import Data
from contracts.money import Money
from contracts.order_v1 import Discrepancy, Order, is_untouched
from contracts.subscription_v1 import judge_removals
from contracts.things import THINGS
from services.review.rules.cases import Case, Change, Made, Question, State, unique

DECISIONS: tuple[Decision, ...] = get_args(Decision)

HONOURABLE = frozenset({"price.monthly", "price.change", "price.one-off", "price.promotion", "quote.changed"})

WITH_MESSAGE = frozenset({"message.unreadable", "message.unhandled"})

RESOLVES: dict[Decision, frozenset[str]] = {
    "honour_quote": HONOURABLE,
    "apply_published_price": HONOURABLE | {"price.currency", "price.missing"},
    "send_again": WITH_MESSAGE
    | {"provisioning.failed", "billing.mismatch", "offer.unknown", "order.overdue", "order.conflict"},
}

"""The codes that a decision can resolve, where it cannot resolve all."""

WITHOUT_PRICE = frozenset({"price.missing", "price.currency"})
"""The codes of which some are found where no price can be made at all, and some where one can."""

MONTHS_OF_A_YEAR = 12
REMOVALS = "/removals"
ABOUT_THE_OFFER = ("/offer", "/quote")
NUMBER = re.compile(r"\+?\d{6,15}")
INTAKE = "intake"
BILLING = "billing"


class Unfit(Data):
    """Why a decision does not fit a case; `why` is one word for it, which the pages translate."""

    pointer: str
    why: str
    detail: str


def unfit(case: Case, decision: Decision, codes: Sequence[str], *, confirmed: bool) -> Unfit | None:
    """Say why a decision does not fit a case; None where it does. `confirmed`: the order was once on its way."""
    if decision in RESOLVES:
        return _for_codes(case, decision, codes, RESOLVES[decision]) or _for_price(case, decision, codes)
    if decision == "set_aside" and case.about_job:
        return _unfit("job-promised", "a job is work that was promised: send it again once the cause is mended")
    if decision == "set_aside":
        return _unfit("order-waits", "an order waits for this case: cancel it") if case.holds_order else None
    if not case.holds_order:
        return _unfit("nothing-to-end", f"no order waits for this case: {decision} does nothing")
    return _for_order(case, decision, confirmed=confirmed)


def unfit_corrections(order: Order | None, corrections: Corrections) -> Unfit | None:
    """Say why an order cannot be put right like this; None where it can."""
    if order is None:
        return _unfit("order-not-here", "the order is not here yet: try again in a moment")
    if corrections.offer is not None and order.offer_code is None:
        return _unfit("no-offer", f"{order.action} has no offer", "/corrections/offer")
    if not changes(order, corrections):
        return _unfit("nothing-changed", "this changes nothing in the order", "/corrections")
    return None


class Offered(Data):
    """A decision as it is offered for a case: what it would resolve and leave, and what it would do, or why not."""

    decision: Decision
    codes: tuple[str, ...]
    leaves: tuple[str, ...]
    effect: str
    approval: bool
    unfit: Unfit | None


def offered(case: Case, *, confirmed: bool, above_minor: int) -> list[Offered]:
    """All decisions, each for the codes of a case that it can resolve."""
    found = []
    for decision in DECISIONS:
        resolved = resolvable(case, decision)
        found.append(
            Offered(
                decision=decision,
                codes=resolved,
                leaves=tuple(code for code in case.codes if code not in resolved),
                effect=effect(case, decision, confirmed=confirmed),
                approval=needs_approval(case, decision, above_minor),
                unfit=unfit(case, decision, resolved or case.codes, confirmed=confirmed),
            )
        )
    return found


def resolvable(case: Case, decision: str) -> tuple[str, ...]:
    """The codes of a case that a decision can resolve."""
    fitting = {str(name): codes for name, codes in RESOLVES.items()}.get(decision, case.codes)
    return tuple(code for code in case.codes if code in fitting)


def effect(case: Case, decision: Decision, *, confirmed: bool) -> str:
    """One word for what a decision does to what waits for this case, which the pages translate."""
    match decision:
        case "send_again" if case.failures:
            return "send_message_again"
        case "set_aside" if case.failures:
            return "set_message_aside"
        case "cancel" if confirmed:
            return "cancel_on_its_way"
        case "correct_and_resubmit" if case.given_evidence:
            return "resubmit_with_evidence"
    return decision


def changes(order: Order, corrections: Corrections) -> tuple[Change, ...]:
    """What corrections change in an order, value by value."""
    removals = None if corrections.removals is None else list(corrections.removals)
    before, after = (each and each.model_dump() for each in (order.evidence, corrections.evidence))
    compared = [
        ("/agent", order.agent, corrections.agent),
        ("/offer", order.offer_code, corrections.offer),
        ("/removals", list(order.removals), removals),
        ("/evidence", before, after),
    ]
    return tuple(
        Change(path=path, before=before, after=after)
        for path, before, after in compared
        if after is not None and after != before
    )


def removable(case: Case, order: Order) -> tuple[str, ...]:
    """What a removal may name: what the order takes away, as far as its case says, and whatever has a name of its own.

    Beside these any level and any telephone number.
    """
    said = {each.code: each for each in case.discrepancies if each.path == REMOVALS}
    excess = said["removals.excess"].given if "removals.excess" in said else []
    lost = [name for each in said.values() for name in _names(each.expected)]
    return unique([*lost, *(name for name in order.removals if name not in _names(excess)), *THINGS])


def may_be_removed(name: str, case: Case, order: Order) -> bool:
    """Whether there is such a removal: what nobody knows can only be a typing error."""
    known = removable(case, order)
    return name in known or name.removeprefix("level:") in known or bool(NUMBER.fullmatch(name))


def taken_away(case: Case, order: Order) -> tuple[str, ...] | None:
    """What an order takes away, as its last judgement said it; None where that did not come so far."""
    said = {each.code: each for each in case.discrepancies if each.path == REMOVALS}
    if "removals.excess" in said:
        return _names(said["removals.excess"].expected)
    if "services.lost" in said:
        return (*_names(said["services.lost"].given), *_names(said["services.lost"].expected))
    return order.removals if order.price else None


def foreseen(case: Case, order: Order, corrections: Corrections) -> tuple[Discrepancy, ...]:
    """What the gate would still find in an order that is put right, as far as its case tells; intake judges it anew."""
    offer = corrections.offer not in (None, order.offer_code)
    settled = {
        "agent.unknown": corrections.agent not in (None, order.agent),
        "evidence.missing": corrections.evidence is not None,
        "evidence.reused": corrections.evidence is not None,
    }
    left = [
        each
        for each in case.discrepancies
        if each.code in case.codes
        and not settled.get(each.code)
        and each.path != REMOVALS
        and not (offer and each.path.startswith(ABOUT_THE_OFFER))
    ]
    gone = None if offer else taken_away(case, order)
    removals = order.removals if corrections.removals is None else corrections.removals
    return (*left, *(judge_removals(gone, removals, INTAKE) if gone is not None else ()))


def needs_approval(case: Case, decision: Decision, above_minor: int) -> bool:
    """Whether a second reviewer is needed: what a quote is honoured for over twelve months is above an amount."""
    return decision == "honour_quote" and honoured_difference(case) > above_minor


def honoured_difference(case: Case) -> int:
    """How much less is paid over twelve months, and once, where the quote is honoured; minor units.

    What was told for good in place of a promotion stays for the months after it, too.
    """
    once = _differences(each for each in case.discrepancies if each.code == "price.one-off")
    promotions = [_promised(each) for each in case.discrepancies if each.code == "price.promotion"]
    return MONTHS_OF_A_YEAR * _monthly_difference(case) + max(once, default=0) + max(*promotions, _lasting(case), 0)


def decided(case: Case, made: Made) -> Case:
    """Keep a decision: carried out now, or once it is approved where it has no event yet."""
    earlier = case.decisions[:-1] if case.state == "awaiting_approval" else case.decisions
    state: State = "decided" if made.event_id else "awaiting_approval"
    return case.model_copy(update={"state": state, "decision": made, "decisions": (*earlier, made)})


def refused(case: Case, made: Made) -> Case:
    """Open a case again whose decision waited for approval; the refused decision stays among those it had."""
    state: State = "open"
    return case.model_copy(update={"state": state, "decision": None, "decisions": (*case.decisions[:-1], made)})


def refusing(case: Case, made: Made, by: str, reason: str, at: datetime) -> DecisionRefused:
    """The event that says that a decision is not carried out."""
    return DecisionRefused(
        case_id=case.id,
        order_id=case.order_id,
        subscription_id=case.subscription_id,
        decision=made.decision,
        codes=made.codes,
        reviewer=made.reviewer,
        refused_by=by,
        reason=reason,
        refused_at=at,
    )


def nobody_else_answers(case: Case) -> bool:
    """Whether a decision closes the case by itself: no order and no message waits for it."""
    return not case.holds_order and not case.failures


def asking(case: Case, made: Made, answer_by: datetime | None = None) -> CaseDecided:
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
        corrections=made.corrections,
        answer_by=answer_by,
        decided_at=made.approved_at or made.decided_at,
    )


def asked(case: Case, made: Made, event_id: str, answer_by: datetime) -> Case:
    """Let a case wait for its partner's answer; it is due when the answer is."""
    question = Question(
        text=made.reason, reviewer=made.reviewer, asked_at=made.decided_at, answer_by=answer_by, event_id=event_id
    )
    waiting: State = "awaiting_partner"
    return case.model_copy(
        update={
            "state": waiting,
            "due_at": answer_by,
            "decisions": (*case.decisions, made),
            "questions": (*case.questions, question),
        }
    )


def _unfit(why: str, detail: str, pointer: str = "/decision") -> Unfit:
    return Unfit(pointer=pointer, why=why, detail=detail)


def _for_order(case: Case, decision: Decision, *, confirmed: bool) -> Unfit | None:
    stages = {each.stage for each in case.discrepancies}
    match decision:
        case "ask_partner" if case.state == "awaiting_partner":
            return _unfit("asked-already", "the partner was asked already: wait for the answer, or decide")
        case "cancel" | "correct_and_resubmit" if BILLING in stages:
            return _unfit("carried-out", "it is carried out already: send it again")
        case "correct_and_resubmit" if not is_untouched(case.discrepancies, confirmed=confirmed):
            return _unfit("may-be-done", "a part of it may be done already: send it again, or cancel it")
        case "reject" if confirmed or stages - {INTAKE}:
            return _unfit("confirmed", "the order was confirmed already: cancel it")
    return None


def _for_codes(case: Case, decision: Decision, codes: Sequence[str], fitting: frozenset[str]) -> Unfit | None:
    others = [code for code in codes if code not in fitting]
    if others:
        return _unfit("not-resolved", f"{decision} does not resolve {', '.join(others)}", "/codes")
    if nobody_else_answers(case):
        return _unfit("nothing-waits", f"no order and no message waits for this case: {decision} does nothing")
    return None


def _for_price(case: Case, decision: Decision, codes: Sequence[str]) -> Unfit | None:
    """A quote is honoured as a whole: a price of which some parts are told and others published, nobody decided.

    Where no price could be made there is no published one to apply.
    """
    if (
        decision == "apply_published_price"
        and case.published_monthly is None
        and not WITHOUT_PRICE.isdisjoint(case.codes)
    ):
        return _unfit("no-price", "there is no published price to apply: no price could be made", "/codes")
    if decision != "honour_quote":
        return None
    left = [code for code in resolvable(case, decision) if code not in codes]
    if left or any(each.decision == "apply_published_price" for each in case.decisions):
        return _unfit("whole-quote", "a quote is honoured as a whole, with all its codes", "/codes")
    return None


def _names(value: Any) -> tuple[str, ...]:  # noqa: ANN401 - a discrepancy's value may be anything
    return tuple(map(str, value)) if isinstance(value, list | tuple) else ()


def _monthly_difference(case: Case) -> int:
    """How much less per month was told than is published, in minor units; the most that any discrepancy says."""
    told = _differences(each for each in case.discrepancies if each.code in ("price.monthly", "price.change"))
    published, quoted = _amount(case.published_monthly), _amount(case.quoted_monthly)
    whole = [published - quoted] if published is not None and quoted is not None else []
    return max(*told, *whole, 0, 0)


def _differences(discrepancies: Iterable[Discrepancy]) -> list[int]:
    pairs = [(_amount(each.expected), _amount(each.given)) for each in discrepancies]
    return [expected - given for expected, given in pairs if expected is not None and given is not None]


def _promised(found: Discrepancy) -> int:
    """What a promotion that was told takes off in all, beyond the published one."""
    (told, told_months), (published, months) = _promotion(found.given), _promotion(found.expected)
    return max(told * told_months - published * months, 0)


def _lasting(case: Case) -> int:
    """What a price that was told without the published promotion takes off in the year's months after it.

    Where more was told than the promotion leaves, that much less stays.
    """
    left_out = [(each.expected, each.given) for each in case.discrepancies if each.code == "price.promotion"]
    for each in case.discrepancies:
        if each.code == "quote.changed" and isinstance(each.given, dict) and isinstance(each.expected, list | tuple):
            told = [quote.get("quote", {}).get("promotion") for quote in each.expected if isinstance(quote, dict)]
            published = left_out[0][0] if left_out else each.given.get("promotion")
            left_out += [(published, promotion) for promotion in told]
    promotions = [_promotion(published) for published, told in left_out if told is None]
    return max(
        (max(off - _told_above(case), 0) * max(MONTHS_OF_A_YEAR - months, 0) for off, months in promotions), default=0
    )


def _told_above(case: Case) -> int:
    """How much more a month was told than is published, promotion included; 0 where that is not known."""
    published, quoted = _amount(case.published_monthly), _amount(case.quoted_monthly)
    return max(quoted - published, 0) if published is not None and quoted is not None else 0


def _promotion(value: Any) -> tuple[int, int]:  # noqa: ANN401 - a discrepancy's value may be anything
    """How much a promotion takes off a month, and for how many months; none takes nothing off."""
    monthly = _amount(value.get("monthly")) if isinstance(value, dict) else None
    months = value.get("months") if isinstance(value, dict) else None
    return (-monthly, months) if monthly is not None and isinstance(months, int) else (0, 0)


def _amount(money: Any) -> int | None:  # noqa: ANN401 - a discrepancy's value may be anything
    if isinstance(money, Money):
        return money.amount
    amount = money.get("amount") if isinstance(money, dict) else None
    return amount if isinstance(amount, int) else None
