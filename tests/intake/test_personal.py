"""Which texts tell who or where a person is, row by row."""

from __future__ import annotations

import pytest

from services.intake.rules.personal import identifies, is_personal
from tests.harness import OPERATOR_KEY, door
from tests.intake.shop import Shop

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
        "+32 87 12 34 56",
        "+32(0)87/12.34.56",
        "0032 87 12 34 56",
        "call 087/12.34.56 tonight",
        "(087) 12 34 56",
        "0487 12 34 56",
        "0487-123-456",
        "0487123456",
        "tel:0487123456",
        "87 12 34 56, without the nought",
        "v@example.org",
        "ask v.d @ example.org",
        "v (at) example.org",
        "v[at]example[dot]org",
        "rue de la Loi 16",
        "Chaussée de l'Europe, 5",
        "Wetstraat 16",
        "Hauptstraße 3",
    ],
)
def test_numbers_and_addresses_are_found_in_any_usual_writing(words: str) -> None:
    assert is_personal(words, "Valérie Dupont", PHONE)


@pytest.mark.parametrize(
    "words",
    [
        "sold on 2026-11-20 at 14:00",
        "le 01.11.2026 et le 05/11/2026",
        "01-11-2026 09:00",
        "81.00 and not 75.00",
        "order 01a1f941-f5e0-7a21-814e-464a6b56701e",
        "LC-2026-000123",
        "0.50 a day, 1000 minutes",
        "2 @ 5.00",
        "she is at the shop",
        "the street is not served",
        "TRIO-MAX v3, 1500/500",
    ],
)
def test_dates_amounts_and_ids_are_no_numbers_of_people(words: str) -> None:
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


@pytest.mark.parametrize(
    ("of_the_body", "on_file"),
    [({"email": "made-up@example.org", "phone": "+3287123456"}, False), ({}, True)],
    ids=["in the body", "on file"],
)
async def test_an_order_whose_references_tell_whom_it_is_for_is_refused_in_every_place(
    shop: Shop, of_the_body: dict[str, str], *, on_file: bool
) -> None:
    line = await shop.line()
    if on_file:
        file = {"name": "Valérie D.", "email": "v@example.org", "phone": PHONE, "language": "fr"}
        async with door(shop.service, OPERATOR_KEY) as client:
            assert (await client.put(f"/v1/customers/cust-of-{line}", json=file)).is_success
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
