"""Who is told what becomes of an order."""

import pytest

from contracts.order_v1 import (
    OrderCancelled,
    OrderCompleted,
    OrderConfirmed,
    OrderEvent,
    OrderHeld,
    OrderPending,
    OrderQuestioned,
    OrderRejected,
)
from services.notification.rules import Notice, named, notices
from tests.harness import START
from tests.notification.samples import MAX, OFFERS, TRIO, order


def told(event: OrderEvent, *, asked: bool = False) -> list[tuple[str, str]]:
    return [(each.recipient, each.kind) for each in notices(event, asked=asked)]


def test_the_customer_is_asked_with_all_that_the_summary_needs() -> None:
    event = OrderPending(order=order(), confirmation_id="conf-1", current_offer=TRIO, expires_at=START)
    assert notices(event) == [
        Notice(
            kind="contract-summary",
            recipient="customer",
            order=order(),
            current_offer=TRIO,
            confirmation_id="conf-1",
            expires_at=START,
        )
    ]


def test_a_new_customer_gets_the_link_by_mail_and_the_code_by_sms() -> None:
    event = OrderPending(order=order(), confirmation_id="conf-1", code_required=True, expires_at=START)
    assert [(each.kind, each.medium, each.confirmation_id) for each in notices(event)] == [
        ("contract-summary", "email", "conf-1"),
        ("confirmation-code", "sms", "conf-1"),
    ]


def test_who_signed_in_the_shop_gets_the_summary_and_no_question() -> None:
    event = OrderConfirmed(order=order(), confirmed_at=START, medium="signed-contract", current_offer=TRIO)
    assert notices(event) == [Notice(kind="contract-summary", recipient="customer", order=order(), current_offer=TRIO)]


@pytest.mark.parametrize("medium", ["email-link", "sent-again"])
def test_who_agreed_otherwise_has_the_summary_already(medium: str) -> None:
    assert notices(OrderConfirmed(order=order(), confirmed_at=START, medium=medium, current_offer=TRIO)) == []


def test_a_review_is_told_to_the_partner_alone() -> None:
    event = OrderHeld(order=order(), case_id="case-1", codes=("price.change",))
    assert told(event, asked=True) == [("partner", "held")]
    assert notices(event)[0].codes == ("price.change",)


def test_completion_is_told_to_both() -> None:
    event = OrderCompleted(order=order(), completed_at=START)
    assert told(event) == [("customer", "completed"), ("partner", "completed")]


@pytest.mark.parametrize(("happened", "kind"), [(OrderCancelled, "cancelled"), (OrderRejected, "rejected")])
def test_an_end_is_told_to_the_customer_only_if_she_was_asked(
    happened: type[OrderCancelled | OrderRejected], kind: str
) -> None:
    event = happened(order=order(), reason="the customer said no")
    assert told(event) == [("partner", kind)]
    assert told(event, asked=True) == [("customer", kind), ("partner", kind)]


def test_the_reason_is_for_the_partner() -> None:
    event = OrderRejected(order=order(), reason="a duplicate")
    assert [each.reason for each in notices(event, asked=True)] == [None, "a duplicate"]


def test_a_partner_is_told_nothing_of_what_the_customer_has() -> None:
    event = OrderCompleted(order=order(), completed_at=START)
    assert [each.offers for each in notices(event)] == [(MAX,), ()]


def test_an_offer_is_found_by_code_and_version() -> None:
    assert named(MAX, OFFERS) == OFFERS[1]
    assert named(MAX.model_copy(update={"version": 1}), OFFERS) is None
    assert named(None, OFFERS) is None


def test_a_question_goes_to_the_partner_in_the_reviewers_words() -> None:
    event = OrderQuestioned(order=order(), case_id="case-1", question="What was told?", asked_at=START)
    assert notices(event) == [Notice(kind="question", recipient="partner", order=order(), reason="What was told?")]


def test_whoevers_contact_is_given_otherwise_is_told_and_nothing_of_the_order() -> None:
    event = OrderHeld(order=order(), case_id="case-1", codes=("contact.unverified",), contact_owners=("cust-7",))
    assert told(event) == [("partner", "held"), ("customer", "contact-differs")]
    assert (notices(event)[1].customer_id, notices(event)[1].offers) == ("cust-7", ())
