"""Services share no code, but letters and pages must call things by the same names."""

from services.intake.pages import things
from services.intake.pages.texts import FAULTS, NOT_TAKEN, SAID, STANDINGS, TEXTS
from services.notification.pages.texts import LEVELS, THINGS

LANGUAGES = {"fr", "nl", "de", "en"}


def test_the_customers_page_and_her_letters_call_things_by_the_same_names() -> None:
    assert (things.THINGS, things.LEVELS) == (THINGS, LEVELS)


def test_the_customers_page_says_everything_in_the_four_languages() -> None:
    texts = [*TEXTS.values(), *FAULTS.values(), *SAID.values(), *STANDINGS.values(), NOT_TAKEN]
    assert {frozenset(each) for each in texts} == {frozenset(LANGUAGES)}
