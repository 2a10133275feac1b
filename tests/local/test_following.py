"""What is printed of a record: a line, on a narrow screen two, and what was found wrong stands out."""

from __future__ import annotations

import io
from datetime import UTC, datetime, timedelta

import pytest
from rich.console import Console

from contracts.event import Envelope
from contracts.order_v1 import Order, OrderHeld
from services.local import following
from services.local.following import Wanted
from services.local.records import Record

NOW = datetime(2026, 11, 20, 14, 0, tzinfo=UTC)


def held() -> Record:
    order = Order(
        id="order-1",
        partner="liege-calls",
        partner_reference="LC-1",
        agent="agent-17",
        channel="telesales",
        action="modify",
        customer_id="cust-1001",
        subscription_id="sub-1001",
        offer_code="TRIO-MAX",
        sold_at=NOW,
        received_at=NOW,
    )
    event = OrderHeld(order=order, case_id="case-1", codes=("price.change", "services.lost"))
    envelope = Envelope(
        id="1",
        source="intake",
        type=event.type,
        time=NOW,
        subject=event.subject,
        key=event.key,
        sequence=1,
        correlation_id="1",
    )
    return Record("orders", 3, 5, 0, event.key.encode(), event.to_value(), envelope, event)


def shown(record: Record, *, width: int, terminal: bool) -> str:
    screen = io.StringIO()
    console = Console(file=screen, width=width, force_terminal=terminal, color_system=None, legacy_windows=False)
    following.show(record, console, as_json=False)
    return screen.getvalue()


@pytest.mark.parametrize(("width", "terminal"), [(80, False), (130, True)])
def test_an_event_is_one_line_in_a_pipe_and_on_a_wide_screen(width: int, terminal: bool) -> None:  # noqa: FBT001
    told = shown(held(), width=width, terminal=terminal)
    assert told == (
        "2026-11-20 14:00:00  order.held.v1                    order-1                             "
        "  modify TRIO-MAX liege-calls/agent-17  price.change, services.lost  orders/3/5\n"
    )


def test_an_event_is_two_lines_within_80_columns_on_a_narrow_screen() -> None:
    told = shown(held(), width=80, terminal=True).splitlines()
    assert told == [
        "2026-11-20 14:00:00  order.held.v1  orders/3/5",
        "    order-1  modify TRIO-MAX liege-calls/agent-17  price.change, services.lost",
    ]


def test_an_unreadable_record_is_shown_as_its_bytes() -> None:
    told = shown(Record("orders", 3, 6, 0, b"poison", b"\xff", None, None), width=130, terminal=True)
    assert told.split() == ["?", "unreadable", "b'\\xff'", "orders/3/6"]


@pytest.mark.parametrize(
    ("types", "names", "wanted"),
    [
        ((), (), True),
        (("order.held",), (), True),
        (("order.held.v1",), ("sub-1001", "cust-1001"), True),
        (("order.hel",), (), False),
        (("order.pending", "order.held"), (), True),
        ((), ("sub-1001", "sub-1002"), False),
    ],
)
def test_a_record_is_wanted_by_type_and_by_what_it_names(
    types: tuple[str, ...],
    names: tuple[str, ...],
    wanted: bool,  # noqa: FBT001
) -> None:
    assert Wanted(("orders",), timedelta(0), types, names).has(held()) is wanted
