"""Words that go onto topics: no address and no number of a person, and nothing else is mistaken for one."""

from __future__ import annotations

import pytest

from services.review.rules.wording import reaches_somebody


@pytest.mark.parametrize(
    "words",
    [
        "ask valerie@example.org",
        "v.d@mail.example.be told it",
        "call +32 87 12 34 56",
        "+3287123456",
        "+32 (0)470/12.34.56",
        "0032 470 12 34 56",
        "she is at 0470 12 34 56.",
        "0470/12.34.56",
        "087/12.34.56, after six",
        "087123456",
        "02 123 45 67",
        "(087) 12 34 56",
        "02.12.34.56.78",
        "de +49 30 1234567",
    ],
)
def test_where_to_reach_a_person_is_seen_in_any_form(words: str) -> None:
    assert reaches_somebody(words)


@pytest.mark.parametrize(
    "words",
    [
        "cancel: An was told 75.00 and not 81.00",
        "+11.00 81.00 70.00 is published, -6.00 was told",
        "+5,00 75,00 81,00 70,00",
        "told on 05/11/2026 at 14:00, sold on 01-12-2026 10 minutes later",
        "2026-11-05 14:00:00 until 2026-12-01",
        "order 01a1f941-f5e0-7a21-814e-464a6b56701e of LC-2026-000123",
        "partition 3, offset 41; attempt 2 of 10",
        "12345678 records, 0 of them",
        "agent-17 @ liege-calls",
    ],
)
def test_dates_amounts_and_references_are_no_numbers_of_people(words: str) -> None:
    assert not reaches_somebody(words)
