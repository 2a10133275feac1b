"""The letters in four languages: both prices, every removal, the link."""

import re
from datetime import timedelta

import pytest

from contracts import things
from contracts.customer_v1 import Language
from contracts.offer_v1 import OfferRef
from contracts.order_v1 import EarlierQuote, Order, Quote
from services.notification import pages
from services.notification.pages import texts
from services.notification.rules import Contact, Letter, Notice
from tests.harness import START
from tests.notification.samples import MAX, OFFERS, TRIO, eur, offer, order, promoted

LINK = "http://door/confirm/a-token"
LANGUAGES: list[Language] = ["fr", "nl", "de", "en"]


def plain(text: str) -> str:
    """With ordinary spaces: amounts are kept together by others."""
    return text.replace("\xa0", " ").replace("\u202f", " ")


def summary(language: Language, ordered: Order, current: OfferRef | None = TRIO) -> Letter:
    notice = Notice(
        kind="contract-summary",
        recipient="customer",
        order=ordered,
        current_offer=current,
        confirmation_id="conf-1",
        expires_at=START + timedelta(days=14),
    )
    return pages.letter(notice, Contact("valerie@example.org", language, "Valérie <D>"), OFFERS, LINK)


def bodies(letter: Letter) -> list[str]:
    return [plain(letter.text), plain(letter.html)]


@pytest.mark.parametrize(
    ("language", "today", "new", "difference", "heading", "until"),
    [
        ("fr", "70,00 € par mois", "81,00 € par mois", "+11,00 €", "Services et équipements", "4 décembre 2026, 15:00"),
        (
            "nl",
            "€ 70,00 per maand",
            "€ 81,00 per maand",
            "+€ 11,00",
            "Diensten en apparatuur",
            "4 december 2026, 15:00",
        ),
        ("de", "70,00 € pro Monat", "81,00 € pro Monat", "+11,00 €", "Dienste und Geräte", "4. Dezember 2026, 15:00"),
        ("en", "€70.00 per month", "€81.00 per month", "+€11.00", "Services and equipment", "4 December 2026, 15:00"),
    ],
)
def test_the_summary_holds_both_prices_the_difference_and_the_link(
    language: Language, today: str, new: str, difference: str, heading: str, until: str
) -> None:
    letter = summary(language, order())
    for body in bodies(letter):
        for part in (today, new, difference, until, LINK):
            assert part in body
    assert heading in letter.html
    assert heading.upper() in letter.text
    assert until in letter.subject
    assert letter.language == language


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_summary_says_what_a_promotion_is_worth_and_what_comes_after(language: Language) -> None:
    for body in bodies(summary(language, order(price=promoted()))):
        amounts = re.findall(r"\d+[.,]\d\d\b", body.rpartition("<h1>")[2])
        assert [each.replace(",", ".") for each in amounts] == ["70.00", "75.00", "5.00", "6.00", "81.00", "50.00"]


@pytest.mark.parametrize(
    ("language", "signed"),
    [
        ("fr", "Vous avez signé ce contrat sur papier au magasin"),
        ("nl", "U hebt dit contract in de winkel op papier ondertekend"),
        ("de", "Sie haben diesen Vertrag im Geschäft auf Papier unterschrieben"),
        ("en", "You signed this contract on paper in the shop"),
    ],
)
def test_the_summary_of_a_signed_contract_holds_the_same_and_asks_nothing(language: Language, signed: str) -> None:
    notice = Notice(kind="contract-summary", recipient="customer", order=order(), current_offer=TRIO)
    letter = pages.letter(notice, Contact("valerie@example.org", language, "Valérie D."), OFFERS, None)
    asked = summary(language, order())
    assert letter.subject == texts.SUBJECTS["signed-contract"][language]
    for body, other in zip(bodies(letter), bodies(asked), strict=True):
        assert signed in body
        assert "confirm" not in body
        assert texts.WORDS["answer"][language] not in body
        amounts = re.compile(r"\d+[.,]\d\d\b")
        assert amounts.findall(body) == amounts.findall(other)
    assert "Trio" in letter.text
    assert "Trio-Max" in letter.text


@pytest.mark.parametrize(
    ("language", "removals"),
    [
        ("fr", ["Télévision", "Décodeur", "moins de: Internet", "le numéro +3287123456"]),
        ("nl", ["Televisie", "Decoder", "minder van: Internet", "het nummer +3287123456"]),
        ("de", ["Fernsehen", "Decoder", "weniger: Internet", "die Nummer +3287123456"]),
        ("en", ["Television", "Decoder", "less of: Internet", "the number +3287123456"]),
    ],
)
def test_the_summary_lists_every_removal(language: Language, removals: list[str]) -> None:
    ordered = order(removals=("tv", "decoder", "level:internet", "+3287123456"))
    text = summary(language, ordered).text
    lost = text[text.index(texts.WORDS["removed"][language]) :]
    assert [line.removeprefix("  - ") for line in lost.splitlines()[1:5]] == removals


def test_nothing_removed_is_said() -> None:
    assert "What you will no longer have:\n  - nothing\n" in summary("en", order()).text


def test_services_before_and_after_stand_side_by_side() -> None:
    text = summary("en", order()).text
    before, after = text.index("Today (Trio)"), text.index("New (Trio-Max)")
    assert "TV bouquet" not in text[before:after]
    assert "TV bouquet (1,500 Mbit/s download)" in text[after:]


def test_who_is_new_has_nothing_today() -> None:
    text = summary("en", order(action="add"), None).text
    assert "Today:\n  - nothing\n" in text


def test_a_termination_says_that_the_contract_ends() -> None:
    letter = summary("en", order(action="terminate", offer=None, price=None, removals=("internet",)))
    assert "Your contract ends when the order is done." in letter.text
    assert "PRICE" not in letter.text


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_duration_follows_from_the_offer(language: Language) -> None:
    notice = Notice(kind="contract-summary", recipient="customer", order=order())
    contact = Contact("valerie@example.org", language)
    bound = pages.letter(notice, contact, [offer(MAX, 8100, "tv", term_months=12)], LINK)
    assert texts.WORDS["term"][language].format(months=12) in bound.text
    assert texts.WORDS["open-ended"][language] in pages.letter(notice, contact, OFFERS, LINK).text


@pytest.mark.parametrize("language", LANGUAGES)
def test_completion_says_what_she_has_and_pays_now(language: Language) -> None:
    notice = Notice(kind="completed", recipient="customer", order=order(price=promoted()))
    for body in bodies(pages.letter(notice, Contact("valerie@example.org", language), OFFERS, None)):
        shown = body.replace(",", ".")
        assert "75.00" in shown
        assert "81.00" in shown
        assert "70.00" not in shown
        assert things.THINGS["tv-bouquet"][language] in body
        assert "confirm" not in body


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("kind", ["held", "question", "completed", "cancelled", "rejected"])
def test_a_partner_reads_the_reference_and_the_state(language: Language, kind: str) -> None:
    notice = Notice.model_validate(
        {"kind": kind, "recipient": "partner", "order": order(), "codes": ("price.change",), "reason": "a duplicate"}
    )
    letter = pages.letter(notice, Contact("orders@liege-calls.example", language), [], None)
    assert letter.subject == f"LC-2026-000123: {kind}"
    for body in bodies(letter):
        assert "LC-2026-000123" in body
        assert "price.change" in body
        assert "a duplicate" in body
        assert "Valérie" not in body
        assert "81" not in body


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("kind", ["cancelled", "rejected", "contact-differs"])
def test_the_customer_reads_that_nothing_changes(language: Language, kind: str) -> None:
    notice = Notice.model_validate({"kind": kind, "recipient": "customer", "order": order()})
    letter = pages.letter(notice, Contact("valerie@example.org", language, "Valérie D."), OFFERS, None)
    assert letter.subject == texts.SUBJECTS[kind][language]
    assert texts.INTROS[kind][language] in letter.text


def test_names_cannot_bring_markup_into_the_html() -> None:
    letter = summary("fr", order())
    assert "Valérie &lt;D&gt;" in letter.html
    assert "Valérie <D>" in letter.text


def test_what_has_no_translation_is_shown_as_it_is() -> None:
    odd = offer(MAX, 8100, "quantum").model_copy(update={"equipment": ("flux",)})
    notice = Notice(kind="completed", recipient="customer", order=order())
    text = pages.letter(notice, Contact("valerie@example.org", "en"), [odd], None).text
    assert "  - quantum (1,500 Mbit/s download)\n  - flux\n" in text


def test_every_text_is_there_in_every_language() -> None:
    tables = (texts.SUBJECTS, texts.INTROS, texts.PARTNER, texts.WORDS, things.THINGS, things.LEVELS)
    assert [
        (name, language)
        for table in tables
        for name, said in table.items()
        for language in LANGUAGES
        if not said.get(language)
    ] == []


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_text_holds_the_code_and_fits_into_one_message(language: Language) -> None:
    text = pages.sms(Contact("valerie@example.org", language, "Valérie D.", "+3287123456"), "012345")
    assert (text.to, text.language) == ("+3287123456", language)
    assert "012345" in text.text
    assert len(text.text) <= 160
    assert "http" not in text.text


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_summary_shows_what_else_was_told_and_all_changes_of_a_month(language: Language) -> None:
    told = EarlierQuote(quote=Quote(monthly_change=eur(400)), told_at=START - timedelta(days=2))
    hidden = order(recent_change=eur(1600), earlier_quotes=(told,))
    for body, plain_body in zip(bodies(summary(language, hidden)), bodies(summary(language, order())), strict=True):
        for word in ("recent", "earlier"):
            heading = texts.WORDS[word][language].partition("{")[0]
            assert heading in body
            assert heading not in plain_body
        shown = body.replace(",", ".")
        assert "16.00" in shown
        assert "4.00" in shown
        assert "18" in shown
    same = summary(language, order(recent_change=eur(1100)))
    assert texts.WORDS["recent"][language] not in same.text
