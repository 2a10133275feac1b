"""Whoever reads a page of ours reads it in a language of the four."""

from services.intake.pages.texts import FAULTS, NOT_TAKEN, SAID, STANDINGS, TEXTS

LANGUAGES = {"fr", "nl", "de", "en"}


def test_the_customers_page_says_everything_in_the_four_languages() -> None:
    texts = [*TEXTS.values(), *FAULTS.values(), *SAID.values(), *STANDINGS.values(), NOT_TAKEN]
    assert {frozenset(each) for each in texts} == {frozenset(LANGUAGES)}
