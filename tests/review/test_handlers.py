"""Review on real Kafka and PostgreSQL: what opens, moves and closes a case, in whatever order it comes."""

from __future__ import annotations

import uuid
from typing import Any

import pytest

from contracts.case_v1 import CaseClosed, CaseDecided, CaseOpened
from contracts.order_v1 import Order
from services.review import api, handlers
from services.review.settings import Settings
from tests.harness import START, Publish, RunService, Topics, eventually
from tests.review import samples
from tests.review.desk import REVIEWERS, Desk
from tests.review.samples import discrepancy, found, held, letter, released


def new_order(partner: str = "liege-calls") -> Order:
    """An order of its own, so that no test meets another's."""
    name = uuid.uuid4().hex
    return samples.order(f"order-{name}", f"sub-{name}", partner)


def new_case() -> str:
    return f"case-{uuid.uuid4().hex}"


async def events_of(read_topic: Topics, case_id: str) -> list[str]:
    """The types of review's events about a case, in order."""
    return [each.event.type for each in await read_topic("cases") if each.event.subject == case_id]


async def test_a_discrepancy_is_one_case_with_an_hour_to_decide(desk: Desk, read_topic: Topics) -> None:
    order, case_id = new_order(), new_case()
    judged = found(case_id, "price.change", "price.monthly", of=order, published_monthly=samples.euros(8100))
    await desk.publish(judged, judged)  # the second is another message about the same case
    case = await desk.case(case_id)
    assert (case["state"], case["codes"]) == ("open", ["price.change", "price.monthly"])
    assert case["owner"] in REVIEWERS
    assert (case["order_id"], case["partner"]) == (order.id, "liege-calls")
    assert case["due_at"].startswith("2026-11-20T18:00:")
    assert case["published_monthly"] == {"amount": 8100, "currency": "EUR"}
    await desk.caught_up()
    assert len(await desk.queue(order=order.id)) == 1
    assert await events_of(read_topic, case_id) == [CaseOpened.type]


async def test_reading_everything_again_changes_nothing(
    run_service: RunService, publish: Publish, read_topic: Topics
) -> None:
    order, case_id = new_order(), new_case()
    judged = found(case_id, of=order)
    envelope = publish.envelope(judged, "intake")
    again = found(new_case(), of=order)
    async with run_service("review", handlers, routers=api.routers, settings=Settings) as service:
        desk = await Desk.opened(service, publish)
        for _ in range(3):
            await publish.raw("dead-letters", judged.to_value(), judged.key.encode(), envelope.headers())
        await publish(again, source="billing")
        await desk.case(again.case_id)
        assert [each["id"] for each in await desk.queue(order=order.id)] == [case_id, again.case_id]
        await desk.caught_up()
        assert await events_of(read_topic, case_id) == [CaseOpened.type]


async def test_a_case_is_applied_by_the_event_that_its_decision_caused(desk: Desk, read_topic: Topics) -> None:
    order, case_id = new_order(), new_case()
    await desk.publish(found(case_id, of=order), held(order, case_id))
    await desk.case(case_id)
    answer = await desk.decide(case_id, "apply_published_price")
    assert answer.status_code == 200, answer.text
    decided = answer.json()["decisions"][0]["event_id"]
    [asked] = await eventually_published(read_topic, case_id, CaseDecided)
    assert asked.envelope.id == decided
    caused = await desk.caused(samples.pending(order), by=decided)
    case = await desk.case(case_id, "applied")
    assert case["closed_by"] == {"type": "order.pending.v1", "id": caused}
    [closed] = await eventually_published(read_topic, case_id, CaseClosed)
    assert (closed.event.outcome, closed.event.by) == ("applied", f"order.pending.v1 {caused}")


async def eventually_published(read_topic: Topics, case_id: str, kind: type) -> list[Any]:
    async def there() -> list[Any]:
        messages = await read_topic("cases")
        return [each for each in messages if each.event.subject == case_id and isinstance(each.event, kind)]

    messages: list[Any] = await eventually(there)
    return messages


@pytest.mark.parametrize("late", [False, True], ids=["case first", "case last"])
async def test_an_order_that_ends_by_itself_overtakes_its_case_in_either_order(desk: Desk, *, late: bool) -> None:
    order, case_id = new_order(), new_case()
    judged, ends = found(case_id, of=order), [held(order, case_id), samples.cancelled(order)]
    if late:
        await desk.publish(*ends)
        await desk.caught_up()
        await desk.publish(judged)
    else:
        await desk.publish(judged)
        await desk.case(case_id, "open")
        await desk.publish(*ends)
    case = await desk.case(case_id, "overtaken")
    assert case["closed_by"]["type"] == "order.cancelled.v1"
    refused = await desk.decide(case_id, "cancel")
    assert (refused.status_code, refused.json()["code"], refused.json()["state"]) == (409, "case.decided", "overtaken")


@pytest.mark.parametrize("late", [False, True], ids=["case first", "case last"])
async def test_what_the_order_did_before_it_was_held_closes_nothing_in_either_order(desk: Desk, *, late: bool) -> None:
    order, case_id = new_order(), new_case()
    judged = found(case_id, "services.lost", of=order, stage="provisioning")
    before = [samples.pending(order), samples.confirmed(order), held(order, case_id, "services.lost")]
    if late:
        await desk.publish(*before)
        await desk.caught_up()
        await desk.publish(judged)
    else:
        await desk.publish(judged)
        await desk.case(case_id)
        await desk.publish(*before)
        await desk.caught_up()
    assert (await desk.case(case_id))["state"] == "open"


async def test_an_order_that_goes_on_by_itself_overtakes_the_case_that_held_it(desk: Desk) -> None:
    order, first, second = new_order(), new_case(), new_case()
    await desk.publish(found(first, of=order), held(order, first), samples.pending(order), found(second, of=order))
    assert (await desk.case(first, "overtaken"))["closed_by"]["type"] == "order.pending.v1"
    assert (await desk.case(second))["state"] == "open"


async def test_a_decided_case_is_overtaken_by_what_it_did_not_cause(desk: Desk) -> None:
    order, case_id = new_order(), new_case()
    await desk.publish(found(case_id, of=order), held(order, case_id))
    await desk.case(case_id)
    assert (await desk.decide(case_id, "cancel")).status_code == 200
    await desk.publish(samples.cancelled(order))
    case = await desk.case(case_id, "overtaken")
    assert (case["decision"], case["decided_by"], case["reason"]) == ("cancel", "rita", "why")


async def test_a_decision_that_leaves_codes_opens_the_case_again(desk: Desk) -> None:
    order, case_id = new_order(), new_case()
    await desk.publish(found(case_id, "price.change", "evidence.missing", of=order))
    await desk.case(case_id)
    answer = await desk.decide(case_id, "apply_published_price", codes=["price.change"])
    decided = answer.json()["decisions"][0]["event_id"]
    await desk.caused(held(order, case_id, "evidence.missing"), by=decided)
    case = await desk.case(case_id, "open")
    assert (case["codes"], case["decision"]) == (["evidence.missing"], None)
    assert [each["decision"] for each in case["decisions"]] == ["apply_published_price"]
    again = await desk.decide(case_id, "reject")
    assert again.status_code == 200, again.text
    await desk.caused(samples.rejected(order), by=again.json()["decisions"][1]["event_id"])
    assert (await desk.case(case_id, "applied"))["closed_by"]["type"] == "order.rejected.v1"


async def test_the_timeline_shows_what_was_seen_of_the_order_oldest_first(desk: Desk) -> None:
    order, case_id = new_order(), new_case()
    [first] = await desk.publish(samples.pending(order))
    [second] = await desk.publish(samples.confirmed(order))
    await desk.caught_up()
    [third] = await desk.publish(found(case_id, "services.lost", of=order, stage="provisioning"), source="provisioning")
    await desk.case(case_id)
    await desk.decide(case_id, "cancel")
    seen = (await desk.case(case_id))["timeline"]
    decided = (await desk.case(case_id))["decisions"][0]["event_id"]
    assert [(each["type"], each["id"], each["topic"]) for each in seen] == [
        ("order.pending.v1", first.id, "orders"),
        ("order.confirmed.v1", second.id, "orders"),
        ("discrepancy.found.v1", third.id, "dead-letters"),
        ("case.decided.v1", decided, "cases"),
    ]
    assert seen[0]["time"] == first.time.isoformat().replace("+00:00", "Z")


async def test_two_services_that_fail_on_one_message_have_one_case_until_both_have_answered(
    desk: Desk, read_topic: Topics
) -> None:
    case_id = new_case()
    await desk.publish(
        letter(case_id, "billing", reason="\x00 is no JSON", value=b"\xff\x00{not json"), source="billing"
    )
    await desk.publish(letter(case_id, "provisioning", value=b"\xff\x00{not json"), source="provisioning")
    await eventually(lambda: two_services(desk, case_id))
    case = await desk.case(case_id)
    assert (case["state"], case["codes"], case["order_id"]) == ("open", ["message.unreadable"], None)
    assert case["failures"][0]["reason"] == "\\x00 is no JSON"
    message = case["message"]
    assert (message["topic"], message["partition"], message["offset"]) == ("orders", 3, 41)
    assert (message["value_text"], message["value_base64"]) == ("\ufffd\x00{not json", "/wB7bm90IGpzb24=")
    assert message["key_text"] == "sub-1"
    answer = await desk.decide(case_id, "send_again")
    [asked] = await eventually_published(read_topic, case_id, CaseDecided)
    assert asked.event.services == ("billing", "provisioning")
    await desk.publish(released(case_id, "billing"), source="billing")
    await desk.caught_up()
    assert (await desk.case(case_id))["state"] == "decided"
    [last] = await desk.publish(released(case_id, "provisioning"), source="provisioning")
    closed = await desk.case(case_id, "applied")
    assert closed["closed_by"] == {"type": "message.released.v1", "id": last.id}
    assert answer.json()["decision"] == "send_again"


async def two_services(desk: Desk, case_id: str) -> bool:
    answer = await desk.get(f"/v1/cases/{case_id}")
    return answer.status_code == 200 and answer.json()["services"] == ["billing", "provisioning"]


async def test_a_message_that_fails_again_opens_its_case_again(desk: Desk) -> None:
    case_id = new_case()
    await desk.publish(letter(case_id), source="billing")
    await desk.case(case_id)
    await desk.decide(case_id, "send_again")
    await desk.publish(letter(case_id, attempt=2, code="message.unhandled"), source="billing")
    case = await desk.case(case_id, "open")
    assert ([each["attempt"] for each in case["failures"]], case["codes"]) == ([2], ["message.unhandled"])
    assert (await desk.decide(case_id, "set_aside", who="carl")).status_code == 200


async def test_a_megabyte_of_odd_bytes_is_kept(desk: Desk) -> None:
    case_id = new_case()
    await desk.publish(letter(case_id, value=b"\x00\xff" * 450_000), source="billing")
    message = (await desk.case(case_id))["message"]
    assert len(message["value_base64"]) == 1_200_000
    assert message["value_text"].startswith("\x00\ufffd")


async def test_a_case_about_nothing_that_can_go_on_is_applied_by_setting_it_aside(
    desk: Desk, read_topic: Topics
) -> None:
    case_id = new_case()
    await desk.publish(found(case_id, "message.missing"), source="billing")
    await desk.case(case_id)
    answer = await desk.decide(case_id, "set_aside")
    assert (answer.status_code, answer.json()["state"]) == (200, "applied")
    assert answer.json()["closed_by"]["type"] == "case.decided.v1"
    await eventually_published(read_topic, case_id, CaseClosed)
    assert await events_of(read_topic, case_id) == [CaseOpened.type, CaseDecided.type, CaseClosed.type]


async def test_an_undeliverable_notice_outlives_its_order_until_it_is_set_aside(desk: Desk) -> None:
    order, case_id = new_order(), new_case()
    await desk.publish(samples.completed(order))
    await desk.caught_up()
    await desk.publish(found(case_id, "notice.undeliverable", of=order), source="notification")
    assert (await desk.case(case_id))["state"] == "open"
    assert (await desk.decide(case_id, "set_aside")).json()["state"] == "applied"


LONG_ID = "".join(uuid.uuid4().hex for _ in range(300))
GOOD: dict[str, str | bytes | None] = {
    "ce_specversion": "1.0",
    "ce_id": "1",
    "ce_source": "intake",
    "ce_time": "2026-11-20T14:00:00Z",
}
FOUND: dict[str, str | bytes | None] = {"ce_type": "discrepancy.found.v1"}
DEAD: dict[str, str | bytes | None] = {"ce_type": "message.dead-lettered.v1"}
TOO_LARGE = found("case-large", discrepancies=(discrepancy(given="x" * 2_000_000),))
POISONS: dict[str, tuple[bytes | None, dict[str, str | bytes | None]]] = {
    "no JSON": (b"{not json", {**GOOD, **FOUND}),
    "wrong shape": (b'{"case_id": 7}', {**GOOD, **FOUND}),
    "no type": (b"{}", {**GOOD}),
    "malformed type": (b"{}", {**GOOD, "ce_type": "Discrepancy"}),
    "null header": (b"{}", {**GOOD, **FOUND, "x": None}),
    "non-UTF-8 header": (b"{}", {**GOOD, **FOUND, "x": b"\xff"}),
    "NUL in a header": (b"{}", {**GOOD, **FOUND, "x": b"\x00"}),
    "tombstone": (None, {**GOOD, **FOUND}),
    "no headers": (b"\x00\xff", {}),
    "no sequence": (b"{}", {**GOOD, **FOUND, "ce_sequence": ""}),
    "not a writer": (b"{}", {**GOOD, **FOUND, "ce_source": "somebody"}),
    "900 KB": (b"\xff" * 900_000, {}),
    "more than a dead letter may hold": (b"\xff" * 4_000_000, {}),
    "an id that PostgreSQL refuses": (found(LONG_ID).to_value(), {**GOOD, **FOUND}),
    "an event too large to publish": (TOO_LARGE.to_value(), {**GOOD, **FOUND}),
    "a dead letter that cannot be read": (b"{}", {**GOOD, **DEAD}),
    "a dead letter that cannot be kept": (letter(LONG_ID).to_value(), {**GOOD, **DEAD}),
}


async def poison(desk: Desk, kind: str) -> tuple[int, int]:
    """Put a poison on the dead letters, under a key of its own; returns where it is."""
    value, headers = POISONS[kind]
    place_of_key = {"ce_partitionkey": kind, "ce_sequence": f"{1:020d}"}
    keyed: dict[str, str | bytes | None] = {**place_of_key, **headers} if headers else {}
    raw = [(name, each.encode() if isinstance(each, str) else each) for name, each in keyed.items()]
    place = await desk.publish.raw("dead-letters", value, kind.encode(), raw)
    return place.partition, place.offset


async def test_every_poison_on_the_dead_letters_themselves_is_exactly_one_case(desk: Desk, read_topic: Topics) -> None:
    places = {await poison(desk, kind): kind for kind in POISONS}
    after = new_case()
    await desk.publish(found(after))  # whatever comes next is handled
    await eventually(lambda: as_many_cases(desk, len(POISONS) + 1))
    await desk.caught_up()
    cases = [await desk.case(each["id"]) for each in await desk.queue() if each["id"] != after]
    assert {(each["state"], *each["services"], each["message"]["topic"]) for each in cases} == {
        ("open", "review", "dead-letters")
    }
    messages = [each["message"] for each in cases]
    assert sorted(places[each["partition"], each["offset"]] for each in messages) == sorted(POISONS)
    assert {each["id"] for each in cases} <= {each.event.subject for each in await read_topic("cases")}
    assert len(await read_topic.records("dead-letters")) == len(POISONS) + 1  # and no dead letter about dead letters


async def as_many_cases(desk: Desk, number: int) -> bool:
    return len(await desk.queue()) == number


async def test_a_poison_on_the_dead_letters_is_set_aside_and_its_key_goes_on(desk: Desk) -> None:
    await poison(desk, "no JSON")
    [case] = await eventually(desk.queue)
    behind = found(new_case()).model_copy(update={"subscription_id": "no JSON"})
    await desk.publish(behind, source="billing")
    await desk.caught_up()
    assert len(await desk.queue()) == 1
    assert (await desk.decide(case["id"], "set_aside")).status_code == 200
    assert (await desk.case(case["id"], "applied"))["closed_by"]["type"] == "message.released.v1"
    assert (await desk.case(behind.case_id))["state"] == "open"


async def test_a_poison_that_is_sent_again_in_vain_opens_its_case_again(desk: Desk) -> None:
    await desk.publish.raw("dead-letters", b"{not json", b"poison", [])
    [case] = await eventually(desk.queue)
    await desk.decide(case["id"], "send_again")
    again = await desk.case(case["id"], "open")
    assert [each["attempt"] for each in again["failures"]] == [2]
    assert len(await desk.queue()) == 1


async def test_business_time_is_what_a_case_is_due_by(desk: Desk) -> None:
    case_id = new_case()
    await desk.publish(letter(case_id), source="billing")
    case = await desk.case(case_id)
    assert case["created_at"].startswith(START.isoformat()[:14])
    assert case["due_at"].startswith("2026-11-20T15:0")
