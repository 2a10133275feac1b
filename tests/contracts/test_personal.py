"""Words that go onto topics: no address and no number of a person, and nothing else is mistaken for one."""

from __future__ import annotations

import pytest

from contracts.personal import has_email, has_telephone, reaches_somebody


@pytest.mark.parametrize(
    "words",
    [
        "v@example.org",
        "ask valerie@example.org",
        "v.d@mail.example.be told it",
        "ask v.d @ example.org",
        "v (at) example.org",
        "v[at]example[dot]org",
        "v {arobase} example (point) org",
        "root@[192.0.2.1]",
    ],
)
def test_an_email_address_is_found(words: str) -> None:
    assert has_email(words)
    assert reaches_somebody(words)


@pytest.mark.parametrize(
    "words",
    [
        "+3287123456",
        "call +32 87 12 34 56",
        "+32(0)87/12.34.56",
        "+32 (0)470/12.34.56",
        "+32 - 470 - 12 34 56",
        "+32\u00a0470\u00a012\u00a034\u00a056",
        "0032 470 12 34 56",
        "087123456",
        "087/12.34.56, after six",
        "she is at 0470 12 34 56.",
        "(087) 12 34 56",
        "0487-123-456",
        "0487\u2013123\u2013456",
        "tel:0487123456",
        "02 123 45 67",
        "02.12.34.56.78",
        "de +49 30 1234567",
        "+49 1512 3456 7890",
        "sold on 05/11/2026, call 0470 12 34 56",
        "price 8100 0500 0700, call 0470 12 34 56",
    ],
)
def test_a_telephone_number_is_found_however_its_digits_are_set_apart(words: str) -> None:
    assert has_telephone(words)
    assert reaches_somebody(words)


@pytest.mark.parametrize(
    "words",
    [
        "cancel: An was told 75.00 and not 81.00",
        "+11.00 81.00 70.00 is published, -6.00 was told",
        "+5,00 75,00 81,00 70,00",
        "price 8100 0500 0700 0900",
        "0500 8100 0700 were told",
        "told on 05/11/2026 at 14:00, sold on 01-12-2026 10 minutes later",
        "le 01.11.2026 et le 05/11/2026",
        "01-11-2026 09:00",
        "2026-11-05 14:00:00 until 2026/12/01",
        "order 01a1f941-f5e0-7a21-814e-464a6b56701e of LC-2026-000123",
        "partition 3, offset 41; attempt 2 of 10",
        "12345678 records, 0 of them",
        "0.50 a day, 1000 minutes",
        "TRIO-MAX v3, 1500/500",
        "2 @ 5.00",
        "agent-17 @ liege-calls",
        "she is at the shop",
    ],
)
def test_dates_amounts_and_references_are_no_numbers_of_people(words: str) -> None:
    assert not reaches_somebody(words)
