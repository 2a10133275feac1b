"""The catalogue's doors on a real PostgreSQL and a real Kafka: all or nothing, every fault with its line."""

import asyncio
import copy
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest_asyncio
import yaml

from contracts import offer_v1, offer_v2
from contracts.offer_v1 import Offer, OfferPublished
from services.catalogue import api
from services.catalogue.settings import Settings
from services.chassis.service import Service
from tests.harness import MovableClock, RunService, Topics, door, eventually, make_key

DEMO = (Path(__file__).parents[2] / "deploy/demo/offers.yaml").read_text(encoding="utf-8")
YAML = {"content-type": "application/yaml"}
TRIO: dict[str, Any] = {
    "code": "TRIO",
    "version": 1,
    "names": {"fr": "Trio", "nl": "Trio", "de": "Trio", "en": "Trio"},
    "monthly": {"amount": 7000, "currency": "EUR"},
    "services": [{"code": "internet"}, {"code": "tv"}],
    "on_sale_from": "2026-01-01",
    "channels": ["telesales"],
}


def trio(**changes: Any) -> dict[str, Any]:
    return copy.deepcopy(TRIO) | changes


@pytest_asyncio.fixture
async def catalogue(run_service: RunService) -> AsyncIterator[Service]:
    async with run_service("catalogue", routers=(api.router,), settings=Settings) as service:
        yield service


@pytest_asyncio.fixture
async def client(catalogue: Service) -> AsyncIterator[httpx.AsyncClient]:
    async with door(catalogue, await make_key(catalogue, "catalogue", "tests")) as opened:
        yield opened


async def events(read_topic: Topics, count: int) -> list[Any]:
    """The events on `offers`, once there are that many."""

    async def enough() -> list[Any] | None:
        found = await read_topic.events("offers")
        return found if len(found) >= count else None

    found: list[Any] = await eventually(enough)
    return found


def errors(answer: httpx.Response) -> list[tuple[Any, ...]]:
    assert answer.status_code == 422, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    return [(each["pointer"], each["code"], each.get("line")) for each in answer.json()["errors"]]


async def test_the_demo_catalogue_is_published_from_yaml(client: httpx.AsyncClient, read_topic: Topics) -> None:
    answer = await client.post("/v1/offers", content=DEMO, headers=YAML)
    assert answer.status_code == 201, answer.text
    sent = [Offer.model_validate(each) for each in yaml.safe_load(DEMO)["offers"]]
    assert answer.json() == {"published": [each.ref.model_dump() for each in sent], "already_published": []}
    found = await events(read_topic, len(sent))
    assert {each.offer.ref: each.offer for each in found} == {each.ref: each for each in sent}
    assert [each.offer.version for each in found if each.key == "TRIO-MAX"] == [1, 2]


async def test_publishing_again_does_nothing(client: httpx.AsyncClient, read_topic: Topics) -> None:
    await client.post("/v1/offers", json=trio())
    again = await client.post("/v1/offers", json={"offers": [trio(), trio(code="DUO")]})
    assert (again.status_code, again.json()) == (
        201,
        {"published": [{"code": "DUO", "version": 1}], "already_published": [{"code": "TRIO", "version": 1}]},
    )
    once_more = await client.post("/v1/offers", json=trio())
    assert (once_more.status_code, once_more.json()["published"]) == (200, [])
    assert [each.key for each in await events(read_topic, 2)].count("TRIO") == 1


async def test_an_offer_is_published_now(client: httpx.AsyncClient, read_topic: Topics, clock: MovableClock) -> None:
    before = clock.now()
    await client.post("/v1/offers", json=trio())
    [published] = await events(read_topic, 1)
    assert published == OfferPublished(offer=Offer.model_validate(trio()), published_at=published.published_at)
    assert before <= published.published_at <= clock.now()


async def test_one_fault_keeps_all_offers_of_a_request_back(client: httpx.AsyncClient, read_topic: Topics) -> None:
    faulty = trio(code="DUO", monthly={"amount": 0, "currency": "EUR"})
    answer = await client.post("/v1/offers", json={"offers": [trio(), faulty]})
    assert errors(answer) == [("/offers/1/monthly", "offer.monthly", None)]
    assert (await client.get("/v1/offers/TRIO/versions")).status_code == 404
    await client.post("/v1/offers", json=trio(code="LAST"))
    assert [each.key for each in await events(read_topic, 1)] == ["LAST"]


async def test_faults_of_form_and_of_rules_are_named_together(client: httpx.AsyncClient) -> None:
    misformed = trio(monthly={"amount": 70.5, "currency": "EUR"}, colour="red", channels=["shop", "fax"])
    del misformed["names"]["de"]
    faulty = trio(code="DUO", version=2)
    answer = await client.post("/v1/offers", json={"offers": [misformed, faulty], "more": 1})
    assert sorted(errors(answer)) == [
        ("/more", "extra_forbidden", None),
        ("/offers/0/channels/1", "enum", None),
        ("/offers/0/colour", "extra_forbidden", None),
        ("/offers/0/monthly/amount", "int_type", None),
        ("/offers/0/names/de", "missing", None),
        ("/offers/1/version", "offer.version", None),
    ]


async def test_faults_are_told_in_the_language_that_was_asked_for(client: httpx.AsyncClient) -> None:
    answer = await client.post("/v1/offers", json=trio(colour="red"), headers={"accept-language": "nl-BE"})
    assert answer.json()["errors"] == [
        {"pointer": "/colour", "code": "extra_forbidden", "detail": "dit veld is onbekend", "line": None}
    ]


FAULTY_YAML = """\
# an offer
offers:
  - code: TRIO
    version: 1
    names: {fr: Trio, nl: Trio, en: Trio}
    monthly:
      amount: 0070
      currency: EUR
    services:
      - code: internet
        share: {amount: 10, currency: EUR}
      - code: tv
    on_sale_from: 2026-13-01
    channels: [telesales]
    channels: [shop]
  - code: DUO
    version: 1
    names: {fr: Duo, nl: Duo, de: Duo, en: Duo}
    monthly: {amount: 100, currency: EUR}
    promotions:
      - channel: shop
        monthly: {amount: -100, currency: EUR}
        months: 6
    services: [{code: internet}]
    on_sale_from: 2026-01-02
    on_sale_until: 2026-01-01
    channels: [shop]
"""


async def test_every_fault_of_a_yaml_file_is_named_with_its_line(client: httpx.AsyncClient) -> None:
    answer = await client.post("/v1/offers", content=FAULTY_YAML, headers=YAML)
    assert errors(answer) == [
        ("/offers/0/names/de", "missing", 5),
        ("/offers/0/monthly/amount", "int_type", 7),
        ("/offers/0/on_sale_from", "date_from_datetime_parsing", 13),
        ("/offers/0/channels", "yaml.twice", 15),
        ("/offers/1/promotions/0/monthly", "offer.promotion", 22),
        ("/offers/1/on_sale_until", "offer.dates", 26),
    ]


async def test_what_is_no_yaml_is_named_with_its_line(client: httpx.AsyncClient) -> None:
    for text, line in (
        ("offers:\n  - code: [TRIO\n", 3),
        ("offers:\n  - &one {code: TRIO}\n  - *one\n", 3),
        ("a: 1\nb: !!python/name:os.system ''\n", 2),
        ("- " * 5000, 1),
        ("", None),
    ):
        answer = await client.post("/v1/offers", content=text, headers=YAML)
        [(pointer, code, found)] = errors(answer)
        assert (pointer, code, found) == ("", "yaml.invalid" if text else "offers.missing", line)


async def test_what_is_no_offer_is_refused(client: httpx.AsyncClient) -> None:
    for content, code in (
        (b"{", "json.invalid"),
        (b"[1]", "offers.missing"),
        (b'{"offers": []}', "offers.missing"),
        (b'{"offers": 1}', "offers.missing"),
    ):
        answer = await client.post("/v1/offers", content=content, headers={"content-type": "application/json"})
        assert [each["code"] for each in answer.json()["errors"]] == [code]
    assert (await client.post("/v1/offers", content=b"x", headers={"content-type": "text/csv"})).status_code == 415
    too_large = b" " * (512 * 1024 + 1)
    assert (await client.post("/v1/offers", content=too_large, headers=YAML)).status_code == 413


async def test_a_published_version_never_changes(client: httpx.AsyncClient, clock: MovableClock) -> None:
    await client.post("/v1/offers", json=trio())
    changed = await client.post("/v1/offers", json=trio(term_months=12))
    assert errors(changed) == [("", "offer.published", None)]
    clock.advance(timedelta(days=1))
    backdated = await client.post("/v1/offers", json=trio(version=2, on_sale_from="2026-11-20"))
    assert errors(backdated) == [("/on_sale_from", "offer.backdated", None)]
    assert (await client.post("/v1/offers", json=trio(version=2, on_sale_from="2026-11-21"))).status_code == 201


async def test_of_two_requests_at_once_one_publishes(client: httpx.AsyncClient, read_topic: Topics) -> None:
    bodies = [trio(), trio(), trio(), trio(term_months=12), trio(version=2)]
    answers = await asyncio.gather(*(client.post("/v1/offers", json=body) for body in bodies))
    first = [each.status_code for each in answers[:4]].count(201)
    assert first == 1
    assert {each.status_code for each in answers} <= {200, 201, 422}
    published = 1 + (answers[4].status_code == 201)
    assert [each.offer.version for each in await events(read_topic, published)] == [1, 2][:published]


async def test_a_withdrawal_takes_all_versions_off_sale_once(client: httpx.AsyncClient, read_topic: Topics) -> None:
    await client.post("/v1/offers", json={"offers": [trio(), trio(version=2)]})
    answer = await client.post("/v1/offers/TRIO/withdrawal")
    again = await client.post("/v1/offers/TRIO/withdrawal")
    assert (answer.status_code, again.status_code) == (200, 200)
    assert answer.json() == again.json()
    [_, _, *withdrawn] = await events(read_topic, 4)
    at = answer.json()["withdrawn_at"]
    assert withdrawn == [
        offer_v1.OfferWithdrawn(code="TRIO", withdrawn_at=at),
        offer_v2.OfferWithdrawn(code="TRIO", versions=(1, 2), withdrawn_at=at),
    ]
    assert (await client.post("/v1/offers/TRIO-XXL/withdrawal")).status_code == 404
    assert len(await events(read_topic, 4)) == 4


async def test_the_old_version_of_an_event_says_until_when_it_is_published_and_the_new_one_does_not(
    client: httpx.AsyncClient, read_topic: Topics
) -> None:
    await client.post("/v1/offers", json=trio())
    await client.post("/v1/offers/TRIO/withdrawal")
    await events(read_topic, 3)
    told = {each.envelope.type: dict(each.headers) for each in await read_topic("offers")}
    old, new = told["offer.withdrawn.v1"], told["offer.withdrawn.v2"]
    assert (old["ce_deprecated"], old["ce_deprecationsunset"]) == (b"true", b"2027-06-30T00:00:00Z")
    assert {"ce_deprecated", "ce_deprecationsunset"}.isdisjoint(new)
    assert old["ce_causationid"] == new["ce_causationid"]


async def test_a_later_withdrawal_names_only_what_was_still_on_sale(
    client: httpx.AsyncClient, read_topic: Topics
) -> None:
    await client.post("/v1/offers", json=trio())
    await client.post("/v1/offers/TRIO/withdrawal")
    await client.post("/v1/offers", json=trio(version=2, on_sale_from="2026-11-20"))
    await client.post("/v1/offers/TRIO/withdrawal")
    told = await events(read_topic, 6)
    assert [each.versions for each in told if isinstance(each, offer_v2.OfferWithdrawn)] == [(1,), (2,)]


async def test_the_versions_of_an_offer_are_listed(client: httpx.AsyncClient) -> None:
    await client.post("/v1/offers", json={"offers": [trio(), trio(version=2), trio(version=3)]})
    await client.post("/v1/offers/TRIO/withdrawal")
    page = (await client.get("/v1/offers/TRIO/versions")).json()
    assert [each["version"] for each in page["items"]] == [1, 2, 3]
    assert page["next"] is None
    second = page["items"][1]
    assert None not in (second.pop("published_at"), second.pop("withdrawn_at"))
    assert Offer.model_validate(second) == Offer.model_validate(trio(version=2))
    first = (await client.get("/v1/offers/TRIO/versions", params={"limit": 2})).json()
    assert ([each["version"] for each in first["items"]], first["next"]) == ([1, 2], "2")
    rest = (await client.get("/v1/offers/TRIO/versions", params={"limit": 2, "after": first["next"]})).json()
    assert ([each["version"] for each in rest["items"]], rest["next"]) == ([3], None)
    unknown = await client.get("/v1/offers/TRIO-XXL/versions")
    assert (unknown.status_code, unknown.json()["code"]) == (404, "offer.unknown")


async def test_the_doors_open_for_their_roles_only(catalogue: Service) -> None:
    desk = await make_key(catalogue, "service-desk", "desk")
    partner = await make_key(catalogue, "partner", "liege-calls")
    async with door(catalogue, desk) as client:
        assert (await client.post("/v1/offers", json=trio())).status_code == 403
        assert (await client.post("/v1/offers/TRIO/withdrawal")).status_code == 403
        assert (await client.get("/v1/offers/TRIO/versions")).status_code == 404
    async with door(catalogue, partner) as client:
        assert (await client.get("/v1/offers/TRIO/versions")).status_code == 403
    async with door(catalogue) as client:
        assert (await client.post("/v1/offers", json=trio())).status_code == 401
