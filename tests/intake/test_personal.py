"""Which texts tell who or where a person is, row by row."""

from __future__ import annotations

import pytest

from services.intake.rules.personal import identifies, is_personal
from tests.harness import OPERATOR_KEY, door, make_key
from tests.intake.shop import GENT, Shop

PHONE = "+3287123456"


@pytest.mark.parametrize(
    ("words", "name"),
    [
        ("Valérie called back", "Valérie Dupont"),
        ("VALERIE called back", "Valérie Dupont"),
        ("mevrouw dupont wil niet", "Valérie Dupont"),
        ("Mr. Dupont's order", "Valérie Dupont"),
        ("D'HONDT a rappelé", "Léa D'Hondt"),
        ("Groß hat abgesagt", "Anna Gross"),
        ("Jan Sorensen", "Jan Sørensen"),
        ("it is for An Li", "An Li"),
        ("it is for Li, An", "An Li"),
        ("Marie changed her mind", "Anne-Marie Li"),
        ("van den Berg belde", "Jan van den Berg"),
    ],
)
def test_a_customers_name_in_whole_words_is_found_whatever_its_accents(words: str, name: str) -> None:
    assert is_personal(words, name)


@pytest.mark.parametrize(
    ("words", "name"),
    [
        ("please cancel, an error", "An Li"),
        ("the client cancels", "Li An"),
        ("de klant wil van pakket veranderen, den eerste", "Jan van den Berg"),
        ("an order in duplicate", "Valérie D."),
        ("marieke", "Marie Li"),
        ("dupontel", "Valérie Dupont"),
        ("she called back", ""),
        ("", "Valérie Dupont"),
    ],
)
def test_a_word_that_only_holds_a_name_or_a_short_part_of_it_is_none(words: str, name: str) -> None:
    assert not is_personal(words, name)


@pytest.mark.parametrize(
    "words",
    [
        "ask v@example.org",
        "call 0487 12 34 56 tonight",
        "87 12 34 56, without the nought",
        "rue de la Loi 16",
        "Chaussée de l'Europe, 5",
        "Wetstraat 16",
        "Hauptstraße 3",
    ],
)
def test_numbers_and_addresses_are_found_and_her_own_number_without_its_nought(words: str) -> None:
    assert is_personal(words, "Valérie Dupont", PHONE)


@pytest.mark.parametrize(
    "words",
    [
        "sold on 2026-11-20 at 14:00",
        "81.00 and not 75.00",
        "87 told on 12/03/2026, 456",
        "the street is not served",
    ],
)
def test_dates_and_amounts_are_no_numbers_of_hers(words: str) -> None:
    assert not is_personal(words, "Valérie Dupont", PHONE)


@pytest.mark.parametrize(
    ("reference", "phone", "found"),
    [
        ("LC-2026-000123", PHONE, False),
        ("rec-0412345678-20261120", PHONE, False),
        ("00012345678", PHONE, False),
        ("Valérie, Wetstraat 16", PHONE, False),
        ("rec-087123456.wav", "", False),
        ("valerie@example.org", "", True),
        ("order of valerie@example.org", PHONE, True),
        ("rec-087123456.wav", PHONE, True),
        ("+32 87 12 34 56", PHONE, True),
        ("2026/87.12.34.56", PHONE, True),
        ("0612345678", "+33612345678", True),
        ("order-00000001", "+32400000001", False),
    ],
)
def test_a_reference_may_look_like_a_number_as_long_as_it_is_not_the_customers(
    reference: str, phone: str, *, found: bool
) -> None:
    assert identifies(reference, phone) is found


async def put_on_file(shop: Shop, line: str) -> None:
    file = {"name": "Valérie Dupont", "email": "v@example.org", "phone": PHONE, "language": "fr"}
    async with door(shop.service, OPERATOR_KEY) as client:
        assert (await client.put(f"/v1/customers/cust-of-{line}", json=file)).is_success


@pytest.mark.parametrize(
    ("of_the_body", "on_file"),
    [({"email": "made-up@example.org", "phone": "+3287123456"}, False), ({"email": "v@example.org"}, True)],
    ids=["in the body", "on file"],
)
async def test_an_order_whose_references_tell_whom_it_is_for_is_refused_in_every_place(
    shop: Shop, of_the_body: dict[str, str], *, on_file: bool
) -> None:
    line = await shop.line()
    if on_file:
        await put_on_file(shop, line)
    recording = {"kind": "recording", "reference": "rec-087/12.34.56", "sha256": "ab" * 32}
    body = shop.body(
        line,
        channel="telesales",
        customer={"id": f"cust-of-{line}", **of_the_body},
        partner_reference="for 087 123456",
    ) | {"evidence": recording}
    for path in ("/v1/orders", "/v1/order-checks"):
        async with shop.at() as client:
            headers = {"Idempotency-Key": "one", "Accept-Language": "de"}
            refused = await client.post(path, json=body, headers=headers)
        assert refused.status_code == 422
        assert [(each["pointer"], each["code"]) for each in refused.json()["errors"]] == [
            ("/partner_reference", "reference.personal"),
            ("/evidence/reference", "reference.personal"),
        ]
        assert "eine Referenz enthält" in refused.json()["errors"][0]["detail"]
    assert await shop.has('SELECT count(*) = 0 FROM "order"')
    allowed = {**body, "partner_reference": "LC-1", "evidence": {**recording, "reference": "rec-1"}}
    assert (await shop.post(allowed)).status_code == 201


WRONG_CONTACT = {"name": "N", "email": "made-up@example.org", "phone": "+3299999999"}


@pytest.mark.parametrize("action", ["modify", "add"])
@pytest.mark.parametrize("path", ["/v1/orders", "/v1/order-checks"])
async def test_who_knows_nobody_is_not_told_whether_a_number_is_the_customers(
    shop: Shop, path: str, action: str
) -> None:
    line = await shop.line()
    await put_on_file(shop, line)
    customer = {"id": f"cust-of-{line}", **(WRONG_CONTACT if action == "add" else {})}
    guess = shop.body(line, channel="telesales", action=action, customer=customer)
    if action == "add":
        del guess["subscription_id"]
    guess["partner_reference"] = "no. 087111111, 087123456"
    async with shop.at() as client:
        answer = await client.post(path, json=guess, headers={"Idempotency-Key": "one"})
    assert answer.is_success, answer.text


@pytest.mark.parametrize("reason", ["Dupont called back", "Valérie", "87 12 34 56"])
async def test_a_name_and_a_number_on_file_are_looked_for_in_words_of_those_who_may_know_her(
    shop: Shop, reason: str
) -> None:
    line = await shop.line()
    await put_on_file(shop, line)
    shop.keys["desk"] = await make_key(shop.service, "service-desk", "desk", channels=["desk", "telesales"])
    for email, partner, status in [(None, "desk", 422), ("v@example.org", GENT, 422), (None, GENT, 202)]:
        customer = {"id": f"cust-of-{line}", **({"email": email} if email else {})}
        order = await shop.order(shop.body(line, channel="telesales", customer=customer))
        async with shop.at(partner) as client:
            answer = await client.post(f"/v1/orders/{order['id']}/cancellation", json={"reason": reason})
        assert answer.status_code == status, (email, partner)
        async with shop.at() as client:
            await client.post(f"/v1/orders/{order['id']}/cancellation", json={"reason": "a mistake"})


async def test_a_number_is_found_by_its_form_whoever_writes_it(shop: Shop) -> None:
    order = await shop.order(shop.body(await shop.line(), channel="telesales"))
    async with shop.at() as client:
        answer = await client.post(f"/v1/orders/{order['id']}/cancellation", json={"reason": "call 087 12 34 56"})
    assert [each["code"] for each in answer.json()["errors"]] == ["text.personal"]
