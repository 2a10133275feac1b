"""The customer's page as she sees it: in a real browser, on a phone and on a desk, with JavaScript and without."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any, Literal

import pytest
import pytest_asyncio
from playwright.async_api import Page, expect

from contracts.dead_letter_v1 import DiscrepancyFound
from contracts.offer_v1 import OfferPublished
from contracts.subscription_v1 import Equipment, SubscriptionChanged
from services.chassis import links
from tests.browsing import Browse, Screen, overflow, served, violations
from tests.harness import OPERATOR_KEY, START, MovableClock, door, eventually
from tests.intake.shop import TRIO, Shop, charged, euro, trio

LIGHT = TRIO.model_copy(update={"code": "LIGHT", "services": TRIO.services[:1], "equipment": ()})
"""A pack of internet alone, 50 Mbit/s slower than what this customer has."""

TO_LIGHT: dict[str, Any] = {
    "offer": "LIGHT",
    "channel": "telesales",
    "quote": {"monthly_change": {"amount": 0, "currency": "EUR"}},
    "removals": ["tv", "telephony", "decoder", "+3287123456", "level:internet"],
}

REST = "20 Mbit/s upload 300 GB a month"
"""What does not change about her internet."""

pytestmark = pytest.mark.timeout(180)  # a browser beside Kafka and PostgreSQL, all of them just started

Theme = Literal["light", "dark"]


@pytest_asyncio.fixture
async def url(shop: Shop) -> AsyncIterator[str]:
    """Where a browser reaches intake."""
    async with served(shop.service) as where:
        yield where


async def home(shop: Shop, language: str = "fr") -> str:
    """A customer on file with fast internet, a decoder and a number, at 70.00; returns her subscription."""
    line = await shop.line()
    body = {"name": "Valérie D.", "email": "valerie@example.org", "phone": "+3287123456", "language": language}
    async with door(shop.service, OPERATOR_KEY) as client:
        assert (await client.put(f"/v1/customers/cust-of-{line}", json=body)).is_success
    before = trio(line, 2)
    fast = before.services[0].model_copy(update={"level": {**before.services[0].level, "download": 200}})
    has = before.model_copy(
        update={
            "services": (fast, *before.services[1:]),
            "equipment": (Equipment(type="decoder", serial="DC-1"),),
            "numbers": ("+3287123456",),
        }
    )
    await shop.publish(SubscriptionChanged(subscription=has, effective_at=START), charged(line, 2, 7000))
    await shop.knows(line, 2)
    return line


async def light_is_on_sale(shop: Shop) -> None:
    await shop.publish(OfferPublished(offer=LIGHT, published_at=START - timedelta(days=90)))
    await eventually(lambda: shop.has("SELECT count(*) = 3 FROM offer"))


async def asked(shop: Shop, url: str, **changes: Any) -> tuple[str, str]:
    """An order that a customer is asked about; its id and her link."""
    order = await shop.order(shop.body(await home(shop), **changes))
    assert order["state"] == "pending", order["discrepancies"]
    confirmation = await shop.has('SELECT confirmation_id FROM "order" WHERE id = :id', id=order["id"])
    return order["id"], f"{url}/confirm/{links.sign(shop.service.settings.link_secret, confirmation)}"


async def says(page: Page) -> str:
    """The page's text, with plain spaces."""
    return " ".join((await page.locator("main").inner_text()).split())


async def disputes(shop: Shop, order_id: str) -> list[DiscrepancyFound]:
    """What intake found about an order."""
    events = await shop.topics.events("dead-letters")
    return [each for each in events if isinstance(each, DiscrepancyFound) and each.order_id == order_id]


# --- how it looks -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("screen", ["desktop", "phone"])
async def test_axe_finds_nothing_on_any_page_and_each_fits_its_screen(
    shop: Shop, url: str, browse: Browse, screen: Screen, theme: Theme
) -> None:
    await light_is_on_sale(shop)
    _, link = await asked(shop, url, **TO_LIGHT)
    async with browse(screen) as page:
        await page.emulate_media(color_scheme=theme)
        for language in ("fr", "nl", "de", "en"):
            await page.goto(f"{link}?language={language}")
            assert (await violations(page), await overflow(page)) == ([], 0), language
        await page.locator("#told_monthly_change").fill("cinq")
        await page.locator("button[value=not-what-i-was-told]").click()
        assert (await violations(page), await overflow(page)) == ([], 0), "a fault"
        await page.locator("button[value=no]").click()
        assert (await violations(page), await overflow(page)) == ([], 0), "an answer"


# --- what it says -----------------------------------------------------------------------------------------------------


async def test_both_prices_the_difference_and_what_comes_after_the_promotion_are_shown(
    shop: Shop, url: str, browse: Browse
) -> None:
    _, link = await asked(shop, url)
    async with browse("phone") as page:
        await page.goto(link)
        rows = [" ".join(each.split()) for each in await page.get_by_role("row").all_inner_texts()]
    assert rows[:5] == [
        "Aujourd'hui Trio 70,00 € par mois",
        "Nouveau Trio Max: promotion de -6,00 € par mois comprise, pendant 6 mois 75,00 € par mois",
        "Différence +5,00 € par mois",
        "Après la promotion +11,00 € par rapport à aujourd'hui 81,00 € par mois",
        "À payer une seule fois 0,00 €",
    ]


async def test_what_she_loses_is_named_in_words_that_people_read(shop: Shop, url: str, browse: Browse) -> None:
    await light_is_on_sale(shop)
    _, link = await asked(shop, url, **TO_LIGHT)
    async with browse() as page:
        await page.goto(link)
        assert await page.locator(".loss li").all_inner_texts() == [
            "Télévision",
            "Téléphone fixe",
            "Décodeur",
            "Numéro +3287123456",
            "Internet: 150 Mbit/s en réception au lieu de 200 Mbit/s en réception",
        ]


async def test_what_is_there_today_and_then_stands_side_by_side(shop: Shop, url: str, browse: Browse) -> None:
    await light_is_on_sale(shop)
    _, link = await asked(shop, url, **TO_LIGHT)
    async with browse() as page:
        await page.goto(f"{link}?language=en")
        rows = await page.locator(".things tr").all_inner_texts()
    assert [" ".join(each.split()) for each in rows] == [
        "Today New",
        f"Internet 200 Mbit/s download {REST} 150 Mbit/s download {REST}",
        "Television 80 channels no",
        "Telephone 1,000 minutes a month no",
        "Decoder yes no",
        "Number +3287123456 no",
    ]


async def test_a_customer_who_loses_nothing_is_told_so(shop: Shop, url: str, browse: Browse) -> None:
    _, link = await asked(shop, url)
    async with browse() as page:
        await page.goto(f"{link}?language=en")
        assert "Nothing: you keep all that you have." in await says(page)


async def test_a_new_customer_is_shown_no_today(shop: Shop, url: str, browse: Browse) -> None:
    new = {"name": "New", "email": "new@example.org", "phone": "+32470000001"}
    quote = {"monthly_total": {"amount": 8100, "currency": "EUR"}}
    _, link = await asked(
        shop, url, action="add", channel="telesales", subscription_id=None, customer=new, quote=quote, language="nl"
    )
    async with browse("phone") as page:
        await page.goto(link)
        text = await says(page)
        assert "Vandaag" not in text
        assert "Nieuw Trio Max 81,00" in text.replace("€ ", "")
        assert await violations(page) == []


async def test_a_new_customers_yes_takes_the_code_from_her_phone(shop: Shop, url: str, browse: Browse) -> None:
    new = {"name": "New", "email": "code@example.org", "phone": "+32470000002"}
    quote = {"monthly_total": {"amount": 8100, "currency": "EUR"}}
    order_id, link = await asked(
        shop, url, action="add", channel="telesales", subscription_id=None, customer=new, quote=quote, language="nl"
    )
    secret = shop.service.settings.link_secret
    code = links.code(secret, links.read(secret, link.rpartition("/")[2]))
    wrong = f"{(int(code) + 1) % 1_000_000:06d}"
    async with browse("phone", javascript=False) as page:
        await page.goto(link)
        await page.locator("#code").fill(wrong)
        await page.locator("button[value=yes]").click()
        await expect(page.get_by_role("alert")).to_contain_text("Deze code klopt niet.")
        await shop.becomes(order_id, "pending")
        async with door(shop.service) as client:
            arabic = code.translate({ord("0") + each: 0x660 + each for each in range(10)})
            answer = await client.post(link.removeprefix(url), data={"answer": "yes", "code": arabic})
        assert answer.status_code == 422
        await page.locator("#code").fill(f"{code[:3]} {code[3:]}")
        await page.locator("button[value=yes]").click()
        await expect(page.get_by_role("status")).to_contain_text("U zei ja op 20 november 2026")
    await shop.becomes(order_id, "inProgress")


async def test_the_page_is_in_the_customers_language_or_in_the_one_she_chooses(
    shop: Shop, url: str, browse: Browse
) -> None:
    _, link = await asked(shop, url)
    async with browse("phone", javascript=False) as page:
        await page.goto(link)
        await expect(page.locator("h1")).to_have_text("Votre commande")
        await page.get_by_role("link", name="Deutsch").click()
        await expect(page.locator("h1")).to_have_text("Ihre Bestellung")
        await page.locator("button[value=no]").click()
        await expect(page.get_by_role("status")).to_contain_text("Sie haben am 20. November 2026")


# --- what she answers -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("javascript", [True, False], ids=["with-javascript", "without-javascript"])
async def test_a_yes_starts_the_order(shop: Shop, url: str, browse: Browse, javascript: bool) -> None:  # noqa: FBT001
    order_id, link = await asked(shop, url)
    async with browse("phone", javascript=javascript) as page:
        await page.goto(link)
        await page.locator("button[value=yes]").click()
        await expect(page.get_by_role("status")).to_contain_text("Vous avez dit oui le 20 novembre 2026")
    await shop.becomes(order_id, "inProgress")


async def test_a_no_cancels_the_order(shop: Shop, url: str, browse: Browse) -> None:
    order_id, link = await asked(shop, url)
    async with browse(javascript=False) as page:
        await page.goto(link)
        await page.locator("button[value=no]").click()
        await expect(page.get_by_role("status")).to_contain_text("La commande est annulée et rien ne change.")
    await shop.becomes(order_id, "cancelled")
    assert await disputes(shop, order_id) == []


@pytest.mark.parametrize("javascript", [True, False], ids=["with-javascript", "without-javascript"])
async def test_not_what_she_was_told_cancels_and_opens_a_case_with_the_amount_told(
    shop: Shop,
    url: str,
    browse: Browse,
    javascript: bool,  # noqa: FBT001
) -> None:
    order_id, link = await asked(shop, url)
    async with browse("phone", javascript=javascript) as page:
        await page.goto(link)
        await page.get_by_label("En plus ou en moins par mois").fill("3,00 €")
        await page.get_by_label("En tout par mois").fill("73")
        await page.locator("button[value=not-what-i-was-told]").click()
        await expect(page.get_by_role("status")).to_contain_text("Nous vérifions ce qui vous a été dit.")
        await expect(page.get_by_role("status")).to_contain_text("La commande est annulée et rien ne change.")
    await shop.becomes(order_id, "cancelled")

    async def found() -> list[DiscrepancyFound]:
        return await disputes(shop, order_id)

    (raised,) = await eventually(found)
    assert (raised.partner, raised.agent, raised.published_monthly) == ("gent-calls", "agent-21", euro(7500))
    assert [(each.code, each.path, each.expected["amount"], each.given["amount"]) for each in raised.discrepancies] == [
        ("quote.disputed", "/quote/monthly_change", 500, 300),
        ("quote.disputed", "/quote/monthly_total", 7500, 7300),
    ]


@pytest.mark.parametrize(
    ("written", "fault"), [("", "Écrivez un montant"), ("cinq", "Ce montant n'est pas clair"), ("<b>", "pas clair")]
)
async def test_an_amount_that_is_missing_or_unclear_leaves_the_question_open(
    shop: Shop, url: str, browse: Browse, written: str, fault: str
) -> None:
    order_id, link = await asked(shop, url)
    async with browse("phone", javascript=False) as page:
        await page.goto(link)
        await page.locator("#told_monthly_change").fill(written)
        await page.locator("button[value=not-what-i-was-told]").click()
        await expect(page.get_by_role("alert")).to_contain_text(fault)
        await expect(page.locator("#told_monthly_change")).to_have_value(written)
        await expect(page.locator("#told_monthly_change")).to_have_attribute("aria-invalid", "true")
        await shop.becomes(order_id, "pending")
        await page.locator("button[value=yes]").click()
    await shop.becomes(order_id, "inProgress")


async def test_the_enter_key_in_an_amount_never_says_yes(shop: Shop, url: str, browse: Browse) -> None:
    order_id, link = await asked(shop, url)
    async with browse() as page:
        await page.goto(link)
        await page.locator("#told_monthly_total").fill("75 euros")
        await page.locator("#told_monthly_total").press("Enter")
        await expect(page.get_by_role("status")).to_contain_text("que ce n'est pas ce qu'on vous avait dit")
    await shop.becomes(order_id, "cancelled")


@pytest.mark.parametrize("form", [{}, {"answer": "maybe"}, {"answer": ""}, {"something": "else"}])
async def test_an_answer_that_is_none_leaves_the_question_open(shop: Shop, form: dict[str, str]) -> None:
    order_id, link = await asked(shop, "")
    async with door(shop.service) as client:
        answer = await client.post(link, data=form)
    assert answer.status_code == 422
    assert "Nous n&#39;avons pas compris votre réponse." in answer.text
    await shop.becomes(order_id, "pending")


# --- twice, late, forged ----------------------------------------------------------------------------------------------


async def test_a_link_that_is_opened_again_says_what_was_answered_and_how_the_order_stands(
    shop: Shop, url: str, browse: Browse
) -> None:
    order_id, link = await asked(shop, url)
    async with browse("phone") as page, browse("phone", javascript=False) as elsewhere:
        await elsewhere.goto(link)
        await page.goto(link)
        await page.locator("button[value=yes]").click()
        await expect(page.get_by_role("status")).to_contain_text("Vous avez dit oui le 20 novembre 2026")
        await elsewhere.locator("button[value=no]").click()
        await expect(elsewhere.get_by_role("status")).to_contain_text("Vous avez dit oui le 20 novembre 2026")
        await expect(elsewhere.get_by_role("status")).to_contain_text("n'a pas été prise en compte")
        again = await page.goto(link)
        assert again is not None
        assert again.status == 200
        await expect(page.get_by_role("status")).to_contain_text("Nous exécutons la commande")
        assert "prise en compte" not in await says(page)
    await shop.becomes(order_id, "inProgress")


async def test_a_yes_that_comes_too_late_starts_nothing_and_says_until_when_it_could(
    shop: Shop, url: str, browse: Browse, clock: MovableClock
) -> None:
    order_id, link = await asked(shop, url)
    async with browse("phone", javascript=False) as page:
        await page.goto(link)
        clock.advance(timedelta(days=14, minutes=1))
        await page.locator("button[value=yes]").click()
        await expect(page.get_by_role("status")).to_contain_text("Vous pouviez répondre jusqu'au 4 décembre 2026")
    await shop.becomes(order_id, "cancelled")


async def test_a_question_that_was_asked_anew_sends_her_to_the_newer_one(shop: Shop, url: str, browse: Browse) -> None:
    order_id, link = await asked(shop, url)
    line = await shop.has('SELECT subscription_id FROM "order" WHERE id = :id', id=order_id)
    await shop.publish(SubscriptionChanged(subscription=trio(line, 3), effective_at=START), charged(line, 3, 7000))
    await shop.knows(line, 3)
    async with browse("phone") as page:
        await page.goto(link)
        await page.locator("button[value=yes]").click()
        await expect(page.get_by_role("status")).to_contain_text("Nous vous avons envoyé un nouveau message")
        again = await page.goto(link)
        assert again is not None
        assert again.status == 410
        await expect(page.get_by_role("status")).to_contain_text("Nous vous avons envoyé un nouveau message")
    await shop.becomes(order_id, "pending")


async def test_a_forged_link_is_refused_in_the_language_of_the_browser(shop: Shop, browse: Browse, url: str) -> None:
    order_id, link = await asked(shop, url)
    token = link.rpartition("/")[2]
    forged = links.sign("another secret", order_id)
    async with browse("phone", javascript=False) as page:
        await page.set_extra_http_headers({"Accept-Language": "nl-BE,nl;q=0.9"})
        for wrong in (forged, token[:-1], f"x{token}", order_id, "%00"):
            answer = await page.goto(f"{url}/confirm/{wrong}")
            assert answer is not None
            assert answer.status == 404, wrong
            await expect(page.get_by_role("status")).to_have_text(
                "Deze link is niet geldig. Gebruik die uit ons bericht, helemaal."
            )
    async with door(shop.service) as client:
        assert (await client.post(f"/confirm/{forged}", data={"answer": "yes"})).status_code == 404
    await shop.becomes(order_id, "pending")


async def test_the_page_is_kept_nowhere_and_stands_in_no_frame(shop: Shop) -> None:
    _, link = await asked(shop, "")
    async with door(shop.service) as client:
        headers = (await client.get(link)).headers
    assert headers["cache-control"] == "no-store"
    assert headers["referrer-policy"] == "no-referrer"
    assert "frame-ancestors 'none'" in headers["content-security-policy"]
