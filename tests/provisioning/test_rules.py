"""What a change leaves in place, and everything that keeps one from being made."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest

from contracts.offer_v1 import Offer
from contracts.order_v1 import Discrepancy, Order
from contracts.subscription_v1 import Equipment, SubscribedService, Subscription, services_of
from services.provisioning import rules
from services.provisioning.rules import IDLE, Change, Held, Network, Reported
from tests.provisioning.samples import DUO, FIBRE, SLOW, TRIO, offer, order, trio

TODAY = date(2026, 11, 20)
EVERYTHING = ("internet", "tv", "telephony", "decoder", "+3287000001")


def change(current: Subscription | None, what: Order, to: Offer | None = TRIO, at: Network = IDLE) -> Change | Held:
    return rules.change(current, what, to, TODAY, at)


def fault(code: str, path: str = "/removals", expected: object = None, given: object = None) -> Discrepancy:
    return Discrepancy(code=code, path=path, expected=expected, given=given, stage="provisioning")


def reported(**changes: Any) -> Reported:
    """The network's answer to trio() in version 2."""
    return Reported.model_validate(
        {
            "id": "sub-1001",
            "version": 2,
            "services": services_of(TRIO),
            "equipment": [{"type": "decoder", "serial": "D-1"}],
            "numbers": ["+3287000001"],
        }
        | changes
    )


# ------------------------------------------------------------------------------------------------------- the loss guard


def test_duo_instead_of_trio_loses_tv_and_its_decoder() -> None:
    held = change(trio(), order(to=DUO), DUO)
    assert held == Held((fault("services.lost", expected=["tv", "decoder"], given=[]),), version=1)


def test_what_the_order_names_may_go() -> None:
    decided = change(trio(), order(to=DUO, removals=("decoder", "tv")), DUO)
    assert isinstance(decided, Change)
    assert decided.after.services == services_of(DUO)
    assert decided.after.equipment == ()
    assert decided.after.numbers == ("+3287000001",)


def test_one_of_two_losses_named_is_not_enough() -> None:
    held = change(trio(), order(to=DUO, removals=("tv",)), DUO)
    assert held == Held((fault("services.lost", expected=["decoder"], given=["tv"]),), version=1)


def test_a_removal_too_many_is_excess() -> None:
    held = change(trio(), order(to=DUO, removals=("tv", "decoder", "internet")), DUO)
    assert held == Held((fault("removals.excess", expected=["tv", "decoder"], given=["internet"]),), version=1)


def test_both_directions_are_judged_at_once() -> None:
    held = change(trio(), order(to=DUO, removals=("tv", "internet")), DUO)
    assert isinstance(held, Held)
    assert [each.code for each in held.discrepancies] == ["services.lost", "removals.excess"]


def test_a_lower_level_of_a_kept_service_is_a_loss() -> None:
    held = change(trio(), order(to=SLOW), SLOW)
    assert held == Held((fault("services.lost", expected=["level:internet"], given=[]),), version=1)
    assert isinstance(change(trio(), order(to=SLOW, removals=("level:internet",)), SLOW), Change)


def test_the_number_goes_with_telephony_and_has_to_be_named() -> None:
    solo = offer("SOLO", {"internet": {"download": 300, "volume": 500}, "tv": {"channels": 60}}, ("decoder",))
    held = change(trio(), order(to=solo), solo)
    assert held == Held((fault("services.lost", expected=["telephony", "+3287000001"], given=[]),), version=1)


def test_another_decoder_in_the_place_of_the_old_is_no_loss() -> None:
    swapped = trio(version=2, equipment=(Equipment(type="decoder", serial="D-9"),))
    assert rules.lacking(swapped, reported()) == ()
    assert rules.installed(swapped, reported()).equipment == (Equipment(type="decoder", serial="D-1"),)


def test_a_second_decoder_is_a_loss_if_only_one_stays() -> None:
    two = trio(equipment=(Equipment(type="decoder", serial="D-1"), Equipment(type="decoder", serial="D-2")))
    held = change(two, order())
    assert held == Held((fault("services.lost", expected=["decoder"], given=[]),), version=1)


def test_a_termination_names_everything() -> None:
    held = change(trio(), order("terminate", None, removals=EVERYTHING[:-1]), None)
    assert held == Held((fault("services.lost", expected=["+3287000001"], given=list(EVERYTHING[:-1])),), version=1)
    ended = trio(version=2, state="terminated", services=(), equipment=(), numbers=())
    assert change(trio(), order("terminate", None, removals=EVERYTHING), None) == Change(trio(), ended)


def test_a_new_subscription_removes_nothing() -> None:
    held = change(None, order("add", FIBRE, removals=("tv",)), FIBRE)
    assert held == Held((fault("removals.excess", expected=[], given=["tv"]),))


def test_the_loss_guard_is_judged_before_the_version() -> None:
    held = change(trio(version=2), order(to=DUO), DUO)
    assert held == Held((fault("services.lost", expected=["tv", "decoder"], given=[]),), version=2)


# ----------------------------------------------------------------------------------------- the version, and whose it is


def test_a_subscription_that_moved_since_the_assessment_is_assessed_anew() -> None:
    assert change(trio(version=2), order()) == Held(version=2)
    assert isinstance(change(trio(version=2), order(subscription_version=2)), Change)


def test_nothing_starts_while_another_change_is_under_way() -> None:
    assert change(trio(), order(), at=Network(asked=2, busy=True)) == Held(version=1)


def test_a_version_that_the_network_was_asked_for_is_not_used_again() -> None:
    changed = change(trio(), order(), at=Network(asked=2))
    first = change(None, order("add", FIBRE), FIBRE, Network(asked=1))
    assert isinstance(changed, Change)
    assert isinstance(first, Change)
    assert (changed.after.version, first.after.version) == (3, 2)


def test_the_subscription_must_be_there() -> None:
    assert change(None, order()) == Held((fault("subscription.unknown", "/subscription_id"),))


def test_the_subscription_of_another_customer_is_unknown_and_nothing_of_it_is_shown() -> None:
    held = change(trio(), order(to=DUO, customer_id="cust-1002"), DUO)
    assert held == Held((fault("subscription.unknown", "/subscription_id"),))


def test_a_terminated_subscription_is_not_changed_back() -> None:
    ended = trio(state="terminated", services=(), equipment=(), numbers=())
    assert change(ended, order()) == Held((fault("subscription.unknown", "/subscription_id"),))


def test_a_new_subscription_must_be_new() -> None:
    assert change(trio(), order("add")) == Held((fault("subscription.exists", "/subscription_id"),))


def test_what_cannot_be_worked_out_is_an_error() -> None:
    with pytest.raises(rules.UnknownChangeError, match="reverse of sub-1001"):
        change(trio(), order("reverse", None), None)


# ----------------------------------------------------------------------------------------------- what is in place after


def test_a_modification_keeps_devices_and_numbers_and_begins_a_contract() -> None:
    wider = offer("TRIO-MAX", {**levels(TRIO), "tv-bouquet": {}}, ("decoder", "modem"), term_months=6)
    expected = trio(
        version=2,
        offer=wider.ref,
        services=services_of(wider),
        equipment=(Equipment(type="decoder", serial="D-1"), Equipment(type="modem")),
        contract_since=TODAY,
        contract_until=date(2027, 5, 20),
    )
    assert change(trio(), order(to=wider), wider) == Change(trio(), expected)


def test_a_new_subscription_is_the_first_version() -> None:
    expected = Subscription(
        id="sub-1001",
        customer_id="cust-1001",
        version=1,
        offer=FIBRE.ref,
        services=services_of(FIBRE),
        equipment=(Equipment(type="modem"),),
        contract_since=TODAY,
        contract_until=date(2027, 11, 20),
    )
    assert change(None, order("add", FIBRE), FIBRE) == Change(None, expected)


@pytest.mark.parametrize(
    ("since", "months", "until"),
    [
        (date(2026, 11, 20), 0, None),
        (date(2026, 11, 20), 1, date(2026, 12, 20)),
        (date(2026, 12, 20), 12, date(2027, 12, 20)),
        (date(2026, 1, 31), 1, date(2026, 2, 28)),
        (date(2026, 8, 31), 18, date(2028, 2, 29)),
    ],
)
def test_a_term_ends_on_the_same_day_of_its_last_month(since: date, months: int, until: date | None) -> None:
    assert rules.contract_end(since, months) == until


# --------------------------------------------------------------------------------------------- what the network answers


def test_the_network_assigns_serials_and_numbers() -> None:
    planned = trio(equipment=(Equipment(type="decoder", serial="D-1"), Equipment(type="decoder")), numbers=())
    two = reported(equipment=[{"type": "decoder", "serial": "D-2"}, {"type": "decoder", "serial": "D-1"}])
    assert rules.installed(planned, two) == trio(
        equipment=(Equipment(type="decoder", serial="D-1"), Equipment(type="decoder", serial="D-2"))
    )


def test_what_the_network_has_beyond_the_order_is_not_taken_over() -> None:
    more = reported(equipment=[{"type": "decoder", "serial": "D-1"}, {"type": "modem", "serial": "M-1"}])
    assert rules.installed(trio(), more) == trio()
    without = trio(services=services_of(DUO)[:1], numbers=())
    assert rules.installed(without, more).numbers == ()


def test_what_the_network_took_away_is_lacking() -> None:
    slower = SubscribedService(code="internet", level={"download": 299, "volume": 500})
    answer = reported(services=(slower, *services_of(TRIO)[2:]), equipment=[], numbers=[])
    assert rules.lacking(trio(), answer) == ("tv", "decoder", "+3287000001", "level:internet")
    assert rules.lacking(trio(), reported()) == ()


def test_removed_numbers_and_devices_stay_reserved() -> None:
    ended = trio(services=(), equipment=(), numbers=())
    assert rules.reserved(trio(), ended) == ("+3287000001", "D-1")
    assert rules.reserved(trio(), trio()) == ()
    assert rules.reserved(None, trio()) == ()


# ---------------------------------------------------------------------------------------------- which confirmation acts


@pytest.mark.parametrize(
    ("known", "attempt", "starts"),
    [
        (None, 1, True),
        ("held", 1, False),
        ("held", 2, True),
        ("failed", 1, False),
        ("failed", 2, True),
        ("planned", 2, False),
        ("waiting", 2, False),
        ("done", 2, False),
        ("cancelled", 2, False),
    ],
)
def test_only_the_first_confirmation_or_a_later_attempt_starts(known: Any, attempt: int, *, starts: bool) -> None:
    assert rules.starts(known, 1, attempt) is starts


def levels(of: Offer) -> dict[str, dict[str, int]]:
    return {each.code: each.level for each in of.services}


# ----------------------------------------------------------------------------------------------------------- restoring


def restored(current: Subscription | None, what: Order, at: Network = IDLE) -> Subscription:
    return rules.restored(current, what, TODAY, at)


def test_what_the_customer_has_is_asked_for_again_under_a_version_that_is_new() -> None:
    assert restored(trio(), order(), Network(asked=4)) == trio(version=5)


def test_of_a_new_subscription_nothing_is_left() -> None:
    nothing = restored(None, order("add", FIBRE), Network(asked=1))
    assert (nothing.version, nothing.state, nothing.named()) == (2, "terminated", ())


@pytest.mark.parametrize(
    ("there", "found"),
    [
        ({}, None),
        ({"equipment": [{"type": "decoder", "serial": "D-2"}]}, None),
        ({"numbers": []}, "lacking: +3287000001; left over: nothing"),
        ({"equipment": [{"type": "decoder"}, {"type": "modem"}]}, "lacking: nothing; left over: modem"),
        ({"services": services_of(SLOW)}, "lacking: level:internet; left over: nothing"),
    ],
    ids=["all of it", "another device of the type", "a number lacks", "a device too many", "slower"],
)
def test_restored_is_neither_too_little_nor_too_much(there: dict[str, Any], found: str | None) -> None:
    fault_ = rules.not_restored(trio(version=2), reported(**there))
    assert (fault_ is None) == (found is None)
    assert fault_ is None or str(found) in str(fault_.given)
