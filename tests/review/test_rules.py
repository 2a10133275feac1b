from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from contracts.case_v1 import CaseClosed, CaseDecided, CaseOpened, Corrections, Decision
from contracts.order_v1 import Discrepancy, Evidence, Order, OrderEvent, OrderPrice
from services.review.rules import cases, decisions, following
from services.review.rules.cases import Answer, By, Case, Failure, Made
from services.review.rules.following import News, Standing
from tests.review import samples
from tests.review.samples import NOW, discrepancy, euros, found, letter, order

LATER = NOW + timedelta(minutes=5)
ORDER = order()
FINAL = [samples.completed(ORDER), samples.rejected(ORDER), samples.cancelled(ORDER), samples.failed(ORDER)]
MOVED_ON = [samples.acknowledged(ORDER), samples.pending(ORDER), samples.confirmed(ORDER), *FINAL]


def case(*codes: str, **changes: Any) -> Case:
    """An open case about ORDER."""
    return cases.opened(found("case-1", *codes, of=ORDER), NOW).model_copy(update=changes)


def technical(*services: str) -> Case:
    opened = cases.failed(None, letter(service=services[0]), NOW)
    for service in services[1:]:
        opened = cases.failed(opened, letter(service=service), NOW)
    return opened


def made(decision: Decision = "apply_published_price", **changes: Any) -> Made:
    values: dict[str, Any] = {
        "reason": "so it is",
        "codes": ("price.change",),
        "reviewer": "rita",
        "decided_at": NOW,
        "event_id": "d-1",
    }
    return Made(decision=decision, **values | changes)


def promotion(monthly: int, months: int) -> dict[str, Any]:
    return {"monthly": {"amount": monthly, "currency": "EUR"}, "months": months}


def news(event: OrderEvent, caused_by: str | None = None, event_id: str = "e-1") -> News:
    return News(event, event_id, caused_by, LATER)


def standing(*events: OrderEvent) -> Standing:
    now = Standing()
    for number, event in enumerate(events, 1):
        now = following.after(now, news(event, event_id=f"e-{number}"))
    return now


def test_a_judgement_opens_a_case_with_all_its_codes_once() -> None:
    judged = found("case-1", "price.change", "price.monthly", "price.change", of=ORDER)
    assert cases.opened(judged, NOW) == Case(
        id="case-1",
        codes=("price.change", "price.monthly"),
        due_at=NOW + timedelta(hours=4),
        created_at=NOW,
        order_id="order-1",
        subscription_id="sub-1",
        customer_id="cust-1001",
        partner="liege-calls",
        agent="agent-17",
        discrepancies=judged.discrepancies,
    )


@pytest.mark.parametrize(
    ("codes", "minutes"),
    [
        (("price.monthly",), 240),
        (("quote.changed",), 240),
        (("message.unreadable",), 60),
        (("provisioning.failed",), 60),
        (("services.lost",), 480),
        (("services.lost", "price.change"), 240),
    ],
)
def test_a_case_is_due_when_its_most_urgent_code_is(codes: tuple[str, ...], minutes: int) -> None:
    assert cases.due(codes, NOW) == NOW + timedelta(minutes=minutes)


def test_a_message_has_one_case_however_many_services_fail_on_it() -> None:
    one = technical("provisioning", "billing")
    assert (one.services, one.codes, one.state) == (("billing", "provisioning"), ("message.unreadable",), "open")


def test_a_decided_case_opens_again_when_the_message_fails_again() -> None:
    decided = decisions.decided(technical("billing"), made("send_again"))
    again = cases.failed(decided, letter(attempt=2, code="message.unhandled"), LATER)
    assert (again.state, again.codes, again.decision) == ("open", ("message.unhandled",), None)
    assert [each.attempt for each in again.failures] == [2]
    assert again.decisions == (made("send_again"),)


def test_a_closed_case_opens_again_when_one_more_service_fails_on_the_message() -> None:
    by = By(type="message.released.v1", id="r-1")
    applied = cases.released(technical("billing"), samples.released(), by, NOW)
    again = cases.failed(applied, letter(service="provisioning"), LATER)
    assert (again.state, again.closed_by, again.waiting_services) == ("open", None, ("provisioning",))


def test_a_message_is_done_with_when_every_service_has_answered() -> None:
    by = By(type="message.released.v1", id="r-1")
    half = cases.released(technical("billing", "provisioning"), samples.released(service="billing"), by, LATER)
    assert (half.state, half.waiting_services) == ("open", ("provisioning",))
    whole = cases.released(half, samples.released(service="provisioning"), by, LATER)
    assert (whole.state, whole.closed_by, whole.closed_at) == ("applied", by, LATER)


@pytest.mark.parametrize("event", MOVED_ON, ids=lambda event: event.type)
def test_an_order_that_moves_on_leaves_the_case_that_held_it(event: OrderEvent) -> None:
    moved = standing(samples.held(ORDER, "case-1"), event)
    assert moved.left("case-1") == By(type=event.type, id="e-2")


@pytest.mark.parametrize("event", [samples.pending(ORDER), samples.confirmed(ORDER)], ids=lambda event: event.type)
def test_what_happened_before_the_order_was_held_for_a_case_does_not_close_it(event: OrderEvent) -> None:
    assert standing(event).left("case-1") is None
    assert standing(event, samples.held(ORDER, "case-1")).left("case-1") is None


@pytest.mark.parametrize("event", FINAL, ids=lambda event: event.type)
def test_an_order_that_ended_has_left_every_case(event: OrderEvent) -> None:
    assert standing(event).left("case-1") == By(type=event.type, id="e-1")


def test_a_request_to_cancel_leaves_no_case_yet() -> None:
    held = standing(samples.held(ORDER, "case-1"))
    assert following.after(held, news(samples.cancellation_requested(ORDER))) == held


@pytest.mark.parametrize("decided", [None, "send_again"])
def test_an_order_held_for_another_case_overtakes_the_first_and_says_by_what(decided: Decision | None) -> None:
    held = [samples.held(ORDER, "case-1"), samples.held(ORDER, "case-2")]
    first = decisions.decided(case(), made(decided)) if decided else case()
    second = case().model_copy(update={"id": "case-2"})
    both = standing(*held)
    after = following.followed(first, both, news(held[1], event_id="e-2"))
    assert (after.state, after.closed_by) == ("overtaken", By(type="order.held.v1", id="e-2"))
    assert following.followed(second, both, news(held[1], event_id="e-2")) == second


def test_a_case_that_is_opened_after_another_one_holds_its_order_is_overtaken_at_once() -> None:
    both = standing(samples.held(ORDER, "case-1"), samples.held(ORDER, "case-2"))
    assert following.overtaken(case(), both, LATER).closed_by == By(type="order.held.v1", id="e-2")


def test_an_order_held_again_for_the_same_case_leaves_it_open() -> None:
    again = standing(samples.held(ORDER, "case-1"), samples.held(ORDER, "case-1", "services.lost"))
    assert following.overtaken(case(), again, LATER) == case()


def test_a_case_that_held_its_order_before_another_one_did_is_open_when_it_holds_it_again() -> None:
    third = standing(*(samples.held(ORDER, f"case-{number}") for number in (1, 2, 1)))
    assert third.left("case-1") is None
    assert third.left("case-2") == By(type="order.held.v1", id="e-3")


@pytest.mark.parametrize(
    "event",
    [*MOVED_ON, samples.cancellation_requested(ORDER), samples.held(ORDER, "case-2")],
    ids=lambda event: event.type,
)
def test_a_case_is_applied_by_whatever_its_decision_caused(event: OrderEvent) -> None:
    decided = decisions.decided(case(), made())
    after = following.followed(decided, standing(samples.held(ORDER, "case-1"), event), news(event, "d-1"))
    assert (after.state, after.closed_by, after.closed_at) == ("applied", By(type=event.type, id="e-1"), LATER)


def test_a_decision_that_leaves_codes_opens_the_case_again_with_those() -> None:
    decided = decisions.decided(case("price.change", "evidence.missing"), made())
    held = samples.held(ORDER, "case-1", "evidence.missing")
    after = following.followed(decided, standing(held), news(held, "d-1"))
    assert (after.state, after.codes, after.decision) == ("open", ("evidence.missing",), None)
    assert after.decisions == (made(),)


def test_a_decided_case_is_overtaken_by_an_end_that_it_did_not_cause() -> None:
    decided = decisions.decided(case(), made())
    cancelled = samples.cancelled(ORDER)
    after = following.followed(decided, standing(cancelled), news(cancelled, "somebody else"))
    assert (after.state, after.closed_by) == ("overtaken", By(type="order.cancelled.v1", id="e-1"))


def test_a_case_that_waits_for_approval_is_overtaken_too() -> None:
    waiting = decisions.decided(case(), made("honour_quote", event_id=None))
    cancelled = samples.cancelled(ORDER)
    assert following.followed(waiting, standing(cancelled), news(cancelled)).state == "overtaken"


def test_a_closed_case_stays_as_it_was_closed() -> None:
    by = By(type="order.pending.v1", id="e-0")
    applied = cases.closed(case(), "applied", by, NOW)
    assert following.followed(applied, standing(samples.cancelled(ORDER)), news(samples.cancelled(ORDER))) == applied


@pytest.mark.parametrize(
    ("decision", "codes"),
    [
        ("honour_quote", ("price.monthly", "price.change", "price.one-off", "price.promotion", "quote.changed")),
        ("apply_published_price", ("price.monthly", "price.change", "quote.changed")),
        ("reject", ("services.lost",)),
        ("cancel", ("services.lost",)),
        ("send_again", ("provisioning.failed",)),
        ("send_again", ("billing.mismatch",)),
        ("send_again", ("offer.unknown",)),
    ],
)
def test_a_decision_fits_the_codes_that_it_resolves(decision: Decision, codes: tuple[str, ...]) -> None:
    assert decisions.unfit(case(*codes), decision, codes, confirmed=False) is None


@pytest.mark.parametrize(
    ("decision", "codes"),
    [
        ("honour_quote", ("price.missing",)),
        ("honour_quote", ("price.currency",)),
        ("honour_quote", ("price.change", "services.lost")),
        ("apply_published_price", ("offer.not-on-sale",)),
        ("apply_published_price", ("services.lost",)),
        ("send_again", ("services.lost",)),
        ("send_again", ("price.change",)),
    ],
)
def test_a_decision_does_not_fit_codes_that_it_cannot_resolve(decision: Decision, codes: tuple[str, ...]) -> None:
    unfit = decisions.unfit(case(*codes), decision, codes, confirmed=False)
    assert unfit is not None
    assert unfit.pointer == "/codes"
    assert codes[-1] in unfit.detail


@pytest.mark.parametrize("code", ["price.missing", "price.currency"])
def test_a_published_price_is_applied_only_where_there_is_one(code: str) -> None:
    priced = case(code, "quote.changed", published_monthly=euros(8100))
    assert decisions.unfit(priced, "apply_published_price", priced.codes, confirmed=False) is None
    without = case(code, "quote.changed")
    for codes in (without.codes, ("quote.changed",)):
        unfit = decisions.unfit(without, "apply_published_price", codes, confirmed=False)
        assert unfit is not None
        assert (unfit.pointer, unfit.why) == ("/codes", "no-price")


def test_only_the_codes_that_are_named_have_to_fit() -> None:
    both = case("price.change", "services.lost")
    assert decisions.unfit(both, "honour_quote", ("price.change",), confirmed=False) is None


def test_a_quote_is_honoured_as_a_whole_or_not_at_all() -> None:
    both = case("price.change", "price.one-off")
    assert decisions.unfit(both, "honour_quote", ("price.change", "price.one-off"), confirmed=False) is None
    assert decisions.unfit(both, "apply_published_price", ("price.change",), confirmed=False) is None
    part = decisions.unfit(both, "honour_quote", ("price.change",), confirmed=False)
    assert part is not None
    assert (part.pointer, part.why) == ("/codes", "whole-quote")
    published = case("price.change").model_copy(update={"decisions": (made("apply_published_price"),)})
    assert decisions.unfit(published, "honour_quote", ("price.change",), confirmed=False) is not None


@pytest.mark.parametrize("decision", ["reject", "cancel", "honour_quote", "apply_published_price"])
def test_decisions_about_an_order_do_not_fit_a_message(decision: Decision) -> None:
    assert decisions.unfit(technical("billing"), decision, ("message.unreadable",), confirmed=False) is not None


@pytest.mark.parametrize("decision", ["send_again", "set_aside"])
def test_a_message_is_sent_again_or_set_aside(decision: Decision) -> None:
    assert decisions.unfit(technical("billing"), decision, ("message.unreadable",), confirmed=False) is None


def test_a_job_that_gave_up_is_sent_again_and_nothing_else() -> None:
    job = cases.opened(found("case-1", "message.unhandled", service="billing"), NOW)
    fitting = [each.decision for each in decisions.offered(job, confirmed=False, above_minor=0) if each.unfit is None]
    assert fitting == ["send_again"]
    aside = decisions.unfit(job, "set_aside", job.codes, confirmed=False)
    assert aside is not None
    assert (aside.pointer, aside.why) == ("/decision", "job-promised")


def test_a_message_that_never_came_is_set_aside_and_cannot_be_sent_again() -> None:
    gap = cases.opened(found("case-1", "message.missing"), NOW)
    assert decisions.unfit(gap, "set_aside", gap.codes, confirmed=False) is None
    assert decisions.unfit(gap, "send_again", gap.codes, confirmed=False) is not None
    assert decisions.nobody_else_answers(gap)


def test_an_undeliverable_notice_holds_no_order_and_is_set_aside() -> None:
    notice = case("notice.undeliverable")
    assert decisions.unfit(notice, "set_aside", notice.codes, confirmed=True) is None
    assert decisions.unfit(notice, "cancel", notice.codes, confirmed=False) is not None
    assert decisions.nobody_else_answers(notice)


def test_a_case_of_an_order_is_not_set_aside() -> None:
    assert decisions.unfit(case("evidence.missing"), "set_aside", ("evidence.missing",), confirmed=False) is not None
    assert not decisions.nobody_else_answers(case())


def test_an_order_that_was_confirmed_is_cancelled_and_not_rejected() -> None:
    at_provisioning = cases.opened(found("case-1", "services.lost", of=ORDER, stage="provisioning"), NOW)
    for confirmed, of in [(True, case("order.overdue")), (False, at_provisioning)]:
        unfit = decisions.unfit(of, "reject", of.codes, confirmed=confirmed)
        assert unfit is not None
        assert "cancel" in unfit.detail
        assert decisions.unfit(of, "cancel", of.codes, confirmed=confirmed) is None


def test_nobody_decides_a_sale_of_their_own_partner() -> None:
    assert cases.own_sale(case(), ["liege-calls"])
    assert not cases.own_sale(case(), ["gent-calls"])
    assert not cases.own_sale(technical("billing"), ["gent-calls"])


@pytest.mark.parametrize(
    ("published", "told", "promotions", "less"),
    [
        (7500, 7500, [(promotion(-600, 6), None)], 6 * 600),  # 75.00 for good, not 81.00 after six months
        (7500, 7300, [(promotion(-600, 6), None)], 12 * 200 + 6 * 600),
        (7500, 7800, [(promotion(-600, 6), None)], 6 * 300),  # 75.00 first, then never above 78.00
        (7500, 8100, [(promotion(-600, 6), None)], 0),
        (7500, 8500, [(promotion(-600, 6), None)], 0),
        (7500, None, [(promotion(-600, 6), None)], 6 * 600),
        (7500, 7500, [(promotion(-600, 12), None)], 0),
        (7500, 7500, [(promotion(-600, 24), None)], 0),
        (7500, 7500, [(promotion(-600, 6), promotion(-600, 3))], 0),
        (7500, 7500, [(promotion(-600, 6), promotion(-600, 12))], 6 * 600),
        (8100, 7500, [(None, promotion(-600, 6))], 12 * 600 + 6 * 600),  # never less than each part of it
        (8100, 7500, [], 12 * 600),
    ],
)
def test_what_honouring_gives_away_in_a_year_counts_a_promotion_and_what_outlasts_it(
    published: int, told: int | None, promotions: list[tuple[Any, Any]], less: int
) -> None:
    judged = case().model_copy(
        update={
            "published_monthly": euros(published),
            "quoted_monthly": None if told is None else euros(told),
            "discrepancies": tuple(discrepancy("price.promotion", "intake", *each) for each in promotions),
        }
    )
    assert decisions.honoured_difference(judged) == less
    assert decisions.needs_approval(judged, "honour_quote", 2000) is (less > 2000)


@pytest.mark.parametrize(
    ("earlier", "now", "less"),
    [
        (None, promotion(-600, 6), 6 * 600),
        (promotion(-600, 6), promotion(-600, 6), 0),
        (None, None, 0),
    ],
)
def test_what_was_told_for_good_in_an_earlier_quote_counts_too(earlier: Any, now: Any, less: int) -> None:
    told = {"at": "2026-11-20T13:00:00Z", "quote": {"monthly_total": {"amount": 7500}, "promotion": earlier}}
    changed = discrepancy("quote.changed", "intake", [told], {"monthly_total": {"amount": 7500}, "promotion": now})
    judged = case("quote.changed").model_copy(
        update={"published_monthly": euros(7500), "quoted_monthly": euros(7500), "discrepancies": (changed,)}
    )
    assert decisions.honoured_difference(judged) == less


@pytest.mark.parametrize(
    ("changes", "needed"),
    [
        ({"published_monthly": euros(8100), "quoted_monthly": euros(7934)}, False),
        ({"published_monthly": euros(8100), "quoted_monthly": euros(7933)}, True),
        ({"published_monthly": euros(8100), "quoted_monthly": euros(9000)}, False),
        ({"discrepancies": (discrepancy("price.change", "intake", *({"amount": a} for a in (1100, 500))),)}, True),
        ({"discrepancies": (discrepancy("price.change", "intake", {"amount": 1100}),)}, False),
        ({"discrepancies": (discrepancy("price.one-off", "intake", {"amount": 5000}, {"amount": 2999}),)}, True),
        ({"discrepancies": (discrepancy("price.one-off", "intake", {"amount": 5000}, {"amount": 3000}),)}, False),
        ({"discrepancies": (discrepancy("price.promotion", "intake", None, promotion(-500, 5)),)}, True),
        ({"discrepancies": (discrepancy("price.promotion", "intake", promotion(-500, 1), promotion(-500, 5)),)}, False),
    ],
)
def test_a_second_reviewer_is_needed_above_an_amount_a_year(changes: dict[str, Any], *, needed: bool) -> None:
    priced = case().model_copy(update=changes)
    assert decisions.needs_approval(priced, "honour_quote", 2000) is needed
    assert not decisions.needs_approval(priced, "apply_published_price", 2000)


def test_an_approved_decision_stands_once_in_the_history() -> None:
    waiting = decisions.decided(case(), made("honour_quote", event_id=None))
    approved = decisions.decided(waiting, made("honour_quote", approved_by="carl"))
    assert (waiting.state, approved.state) == ("awaiting_approval", "decided")
    assert approved.decisions == (made("honour_quote", approved_by="carl"),)


def test_the_events_of_a_case_say_what_was_decided() -> None:
    by = By(type="order.pending.v1", id="e-1")
    about: dict[str, Any] = {"case_id": "case-1", "order_id": "order-1", "subscription_id": "sub-1"}
    opened = case()
    assert cases.opening(opened) == CaseOpened(
        **about,
        codes=("price.change",),
        discrepancies=opened.discrepancies,
        partner="liege-calls",
        due_at=opened.due_at,
    )
    assert decisions.asking(opened, made()) == CaseDecided(
        **about,
        decision="apply_published_price",
        codes=("price.change",),
        reason="so it is",
        reviewer="rita",
        decided_at=NOW,
    )
    applied = cases.closed(opened, "applied", by, NOW)
    assert cases.closing(opened, applied) == [CaseClosed(**about, outcome="applied", by="order.pending.v1 e-1")]
    assert cases.closing(applied, applied) == []
    assert cases.closing(opened, opened) == []


def test_a_technical_decision_names_the_services_that_wait() -> None:
    by = By(type="message.released.v1", id="r-1")
    half = cases.released(technical("billing", "provisioning"), samples.released(service="billing"), by, NOW)
    assert decisions.asking(half, made("send_again")).services == ("provisioning",)


def test_what_postgresql_cannot_keep_is_made_visible() -> None:
    odd = letter(reason="a\x00b", headers=[("na\x00me", None)])
    kept = cases.storable(odd)
    assert (kept.reason, kept.headers[0].name, kept.value_base64) == ("a\\x00b", "na\\x00me", odd.value_base64)
    judged = found("case-1", discrepancies=(discrepancy(given={"\x00": ["x\x00"]}),))
    assert cases.storable(judged).discrepancies[0].given == {"\\x00": ["x\\x00"]}


def test_a_failure_keeps_what_the_service_said() -> None:
    expected = Failure(
        service="billing", code="message.unreadable", reason="missing headers: ce_id", attempt=1, failed_at=NOW
    )
    assert technical("billing").failures == (expected,)


def test_a_case_has_an_owner_from_the_first_moment_but_never_one_who_sold_it() -> None:
    case = cases.opened(found("case-1", partner="gent-calls"), NOW)
    assert cases.owned(case, [("ben", ["gent-calls"]), ("rita", [])]).owner == "rita"
    assert cases.owned(case, [("ben", ["gent-calls"])]).owner is None


@pytest.mark.parametrize("decision", ["ask_partner", "correct_and_resubmit"])
def test_what_holds_no_order_is_neither_asked_about_nor_put_right(decision: Decision) -> None:
    for of in (technical("billing"), case("notice.undeliverable")):
        unfit = decisions.unfit(of, decision, of.codes, confirmed=False)
        assert unfit is not None
        assert unfit.why == "nothing-to-end"
    assert decisions.unfit(case("services.lost"), decision, ("services.lost",), confirmed=True) is None


@pytest.mark.parametrize("decision", ["cancel", "correct_and_resubmit"])
def test_what_is_carried_out_is_not_put_right_any_more(decision: Decision) -> None:
    of = cases.opened(found("case-1", "billing.mismatch", of=ORDER, stage="billing"), NOW)
    unfit = decisions.unfit(of, decision, of.codes, confirmed=True)
    assert unfit is not None
    assert unfit.why == "carried-out"


@pytest.mark.parametrize(
    ("code", "stage", "confirmed", "why"),
    [
        ("order.overdue", "intake", True, "may-be-done"),
        ("provisioning.failed", "provisioning", True, "may-be-done"),
        ("order.conflict", "provisioning", True, "may-be-done"),
        ("order.conflict", "intake", False, None),
        ("services.lost", "provisioning", True, None),
    ],
)
def test_an_order_of_which_a_part_may_be_done_does_not_become_another_one(
    code: str, stage: str, why: str | None, *, confirmed: bool
) -> None:
    of = cases.opened(found("case-1", code, of=ORDER, stage=stage), NOW)
    unfit = decisions.unfit(of, "correct_and_resubmit", of.codes, confirmed=confirmed)
    assert (unfit and unfit.why) == why


def test_an_offer_is_not_put_right_where_there_is_none() -> None:
    ends = ORDER.model_copy(update={"action": "terminate", "offer_code": None})
    unfit = decisions.unfit_corrections(ends, Corrections(offer="TRIO"))
    assert unfit is not None
    assert (unfit.why, unfit.pointer) == ("no-offer", "/corrections/offer")
    assert decisions.unfit_corrections(ORDER, Corrections(offer="TRIO")) is None


def asked_and_answered(*evidence: Evidence | None, held: Evidence | None = None) -> tuple[Case, Order]:
    """A case whose partner was asked as often as there are answers, and its order."""
    of = case("evidence.reused" if held else "evidence.missing")
    for number, each in enumerate(evidence):
        of = decisions.asked(of, made("ask_partner", event_id=f"q-{number}"), f"q-{number}", LATER)
        of = following.answered(of, Answer(text="here", evidence=each, answered_at=NOW))
    return of, ORDER.model_copy(update={"evidence": held})


OTHER_RECORDING = samples.RECORDING.model_copy(update={"sha256": "cd" * 32})


@pytest.mark.parametrize(
    ("held", "answers", "taken"),
    [
        (None, [samples.RECORDING], samples.RECORDING),
        (OTHER_RECORDING, [samples.RECORDING], samples.RECORDING),
        (None, [OTHER_RECORDING, samples.RECORDING], samples.RECORDING),
        (None, [samples.RECORDING, None], samples.RECORDING),
        (None, [None], None),
        (None, [], None),
        (samples.RECORDING, [samples.RECORDING], None),
    ],
)
def test_the_last_evidence_that_was_answered_is_what_a_resubmission_changes(
    held: Evidence | None, answers: list[Evidence | None], taken: Evidence | None
) -> None:
    of, ordered = asked_and_answered(*answers, held=held)
    corrections = Corrections(evidence=of.given_evidence)
    expected = [("/evidence", held and held.model_dump(), taken.model_dump())] if taken else []
    assert [(each.path, each.before, each.after) for each in decisions.changes(ordered, corrections)] == expected
    unfit = decisions.unfit_corrections(ordered, corrections)
    assert (unfit.why if unfit else None) == (None if taken else "nothing-changed")


def test_a_reviewer_reads_that_a_resubmission_takes_the_evidence_of_the_answer() -> None:
    for of, effect in [
        (asked_and_answered(samples.RECORDING)[0], "resubmit_with_evidence"),
        (asked_and_answered(None)[0], "correct_and_resubmit"),
    ]:
        assert decisions.effect(of, "correct_and_resubmit", confirmed=False) == effect


def removals(code: str, expected: list[str], given: list[str]) -> Discrepancy:
    return discrepancy(code, "intake", expected, given).model_copy(update={"path": "/removals"})


LOST = removals("services.lost", ["tv"], ["decoder"])
EXCESS = removals("removals.excess", ["decoder", "tv"], ["telly"])
PRICED = OrderPrice(
    new_monthly=euros(5200), monthly_change=euros(0), one_off=euros(0), monthly_after_promotion=euros(5200)
)


@pytest.mark.parametrize(
    ("discrepancies", "ordered", "corrections", "left"),
    [
        ([LOST], ["decoder"], {"removals": ("tv", "decoder")}, []),
        ([LOST], ["decoder"], {"removals": ("tv",)}, ["services.lost"]),
        ([LOST], ["decoder"], {"removals": ("tv", "decoder", "internet")}, ["removals.excess"]),
        ([EXCESS], ["tv", "decoder", "telly"], {"removals": ("tv", "decoder")}, []),
        ([EXCESS], ["tv", "decoder", "telly"], {"agent": "agent-18"}, ["removals.excess"]),
        ([discrepancy("agent.unknown")], [], {"agent": "agent-18"}, []),
        ([discrepancy("agent.unknown")], [], {"agent": "agent-17"}, ["agent.unknown"]),
        ([discrepancy("agent.unknown")], ["tv"], {"agent": "agent-18", "removals": ()}, ["services.lost"]),
        ([discrepancy("evidence.missing")], [], {"evidence": samples.RECORDING}, []),
        (
            [discrepancy("evidence.missing"), discrepancy("price.change")],
            [],
            {"evidence": samples.RECORDING, "offer": "DUO"},
            [],
        ),
        ([discrepancy("price.change"), LOST], ["decoder"], {"removals": ("tv", "decoder")}, ["price.change"]),
        ([discrepancy("price.change"), LOST], ["decoder"], {"offer": "DUO"}, []),
    ],
)
def test_what_the_gate_would_still_find_is_foreseen_as_far_as_the_case_tells(
    discrepancies: list[Discrepancy], ordered: list[str], corrections: dict[str, Any], left: list[str]
) -> None:
    of = cases.opened(found("case-1", of=ORDER, discrepancies=tuple(discrepancies)), NOW)
    order_ = ORDER.model_copy(update={"removals": tuple(ordered), "price": PRICED})
    assert [each.code for each in decisions.foreseen(of, order_, Corrections(**corrections))] == left


def test_what_may_be_removed_is_what_the_order_takes_away_and_what_has_a_name() -> None:
    excess = removals("removals.excess", ["alarm", "level:garden"], ["telly"])
    of = cases.opened(found("case-1", of=ORDER, discrepancies=(excess,)), NOW)
    order_ = ORDER.model_copy(update={"removals": ("alarm", "telly", "siren")})
    for name in ("alarm", "siren", "tv", "level:internet", "level:alarm", "level:garden", "+3287000001"):
        assert decisions.may_be_removed(name, of, order_), name
    for name in ("telly", "television", "garden", "level:", "TV", "12345"):
        assert not decisions.may_be_removed(name, of, order_), name


def test_a_refused_decision_stays_in_the_history_and_the_case_is_open_again() -> None:
    asked_first = decisions.asked(case(), made("ask_partner"), "q-1", LATER)
    waiting = decisions.decided(asked_first, made("honour_quote", event_id=None))
    assert waiting.state == "awaiting_approval"
    refused = made("honour_quote", event_id=None, refused_by="carl", refused_at=LATER, refusal_reason="no")
    again = decisions.refused(waiting, refused)
    assert (again.state, again.decision, again.due_at) == ("open", None, waiting.due_at)
    assert again.decisions == (made("ask_partner"), refused)
    assert decisions.decided(again, made()).decisions == (made("ask_partner"), refused, made())


def test_cases_of_the_same_cause_are_known_by_it_whatever_their_numbers() -> None:
    one = cases.failed(None, letter(reason="no row 41 for 01a1f941-f5e0-782f-83e9-c695dc6b8d1b"), NOW)
    other = cases.failed(None, letter("case-n", reason="no row 7 for 01a1f941-f5e0-782f-83e9-c695dc6b8d1c"), NOW)
    elsewhere = cases.failed(None, letter("case-o", reason="no column 7"), NOW)
    assert cases.cause(one) == cases.cause(other) == "billing: message.unreadable: no row # for #"
    assert cases.cause(elsewhere) != cases.cause(one)
    assert cases.cause(case()) == "price.change · intake · liege-calls · agent-17"
