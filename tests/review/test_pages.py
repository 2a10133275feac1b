"""The reviewers' pages as any browser gets them, without JavaScript: who may, what is shown, what is done."""

from __future__ import annotations

import re
import uuid
from datetime import timedelta
from string import Formatter

import pytest

from contracts.case_v1 import CaseDecided, DecisionRefused
from contracts.topics import consumed_by
from services.chassis.faults import LANGUAGES
from services.review.pages import codes, outcomes, texts
from services.review.pages import fields as fields_of_orders
from services.review.pages.words import Words
from services.review.rules import cases, decisions
from tests.harness import MovableClock, Topics
from tests.review import samples
from tests.review.desk import Desk
from tests.review.reviewing import lost, poisoned, promised, revoked, sent, signed_in, token, visiting
from tests.review.samples import discrepancy, euros, found

TABLES = [
    texts.TEXTS,
    codes.CODES,
    codes.STATES,
    codes.EVENTS,
    outcomes.DECISIONS,
    outcomes.EFFECTS,
    outcomes.UNFIT,
    outcomes.FAULTS,
    fields_of_orders.FIELDS,
    fields_of_orders.VALUES,
]


def fields(text: str) -> set[str]:
    return {name for _, name, _, _ in Formatter().parse(text) if name}


async def decisions_of(read_topic: Topics, case_id: str) -> list[str]:
    events = [each.event for each in await read_topic("cases") if each.event.subject == case_id]
    return [event.decision for event in events if isinstance(event, CaseDecided)]


def test_every_text_is_there_in_four_languages_and_names_the_same_values() -> None:
    for table in TABLES:
        for name, said in table.items():
            assert set(said) == set(LANGUAGES), name
            assert len({frozenset(fields(each)) for each in said.values()}) == 1, name


def test_every_state_decision_and_effect_has_its_words() -> None:
    assert set(codes.STATES) == set(cases.State.__args__)  # type: ignore[attr-defined]
    assert set(outcomes.DECISIONS) == set(decisions.DECISIONS)
    assert set(decisions.DECISIONS) <= set(outcomes.EFFECTS)
    consumed = {event.type for _, event in consumed_by("review")}
    assert set(codes.EVENTS) == consumed | {CaseDecided.type, DecisionRefused.type}


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (None, "\N{EN DASH}"),
        ([], "\N{EN DASH}"),
        (["tv", "decoder", "level:internet", "alarm"], "Television, Decoder, lower level: Internet, alarm"),
        ("telesales", "telesales"),
        ("2026-11-20T14:00:00Z", "20/11/2026, 15:00\N{NO-BREAK SPACE}CET"),
        ({"from": "2026-07-20T14:00:00Z", "until": "b"}, "20/07/2026, 16:00\N{NO-BREAK SPACE}CEST \N{EN DASH} b"),
        ({"amount": 1100, "currency": "EUR"}, "€11.00"),
        ({"monthly": {"amount": -600, "currency": "EUR"}, "months": 6}, "-€6.00 \N{MULTIPLICATION SIGN} 6 months"),
        ({"since": "a", "until": "b"}, "since: a, until: b"),
        (7, "7"),
    ],
)
def test_a_value_is_shown_as_people_read_it(value: object, shown: str) -> None:
    assert Words("en").value(value) == shown


async def test_nobody_sees_a_page_without_signing_in(desk: Desk) -> None:
    case_id, _ = await promised(desk)
    async with visiting(desk) as client:
        for path in ("/cases", f"/cases/{case_id}", "/groups?cause=x"):
            answer = await client.get(path)
            assert (answer.status_code, answer.headers["location"].split("?")[0]) == (303, "/sign-in"), path
        standing = await client.get(f"/cases/{case_id}/standing?seen=open", headers={"hx-request": "true"})
        assert (standing.status_code, standing.headers["hx-redirect"]) == (401, "/sign-in")
        wrong = await client.post("/sign-in", data={"key": "nobody's"})
        assert (wrong.status_code, "This key is not known here." in wrong.text) == (401, True)
        operator = await client.post("/sign-in", data={"key": desk.keys["operator"]})
        assert (operator.status_code, "set-cookie" in operator.headers) == (403, False)
        client.cookies.set("review", "IjEi.forged.by-me")
        assert (await client.get("/cases")).status_code == 303


async def test_the_session_is_a_signed_cookie_that_ends_with_the_key(desk: Desk) -> None:
    async with visiting(desk) as client:
        answer = await client.post("/sign-in", data={"key": desk.keys["carl"], "following": "//evil.example"})
        cookie = answer.headers["set-cookie"]
        assert answer.headers["location"] == "/cases"
        assert "HttpOnly" in cookie
        assert "SameSite=strict" in cookie
        assert desk.keys["carl"] not in cookie
        assert (await client.get("/cases")).status_code == 200
        await revoked(desk, "carl")
        assert (await client.get("/cases")).status_code == 303


async def test_who_signs_out_is_out(desk: Desk) -> None:
    async with signed_in(desk) as client:
        assert (await sent(client, "/cases", "/sign-out")).headers["location"] == "/sign-in"
        assert (await client.get("/cases")).status_code == 303


async def test_a_form_that_another_site_makes_does_nothing(desk: Desk, read_topic: Topics) -> None:
    case_id, _ = await promised(desk)
    path, form = f"/cases/{case_id}/decision", {"decision": "cancel", "reason": "why"}
    async with signed_in(desk) as client, signed_in(desk, "carl") as other:
        mine, others = [token((await each.get(f"/cases/{case_id}")).text) for each in (client, other)]
        forged: list[tuple[dict[str, str], dict[str, str]]] = [
            ({}, {}),
            ({"token": "x"}, {}),
            ({"token": others}, {}),
            ({"token": mine}, {"sec-fetch-site": "cross-site"}),
        ]
        for extra, headers in forged:
            answer = await client.post(path, data=form | extra, headers=headers)
            assert answer.status_code == 403, extra
        assert (
            await client.post("/sign-in", data={"key": "k"}, headers={"sec-fetch-site": "cross-site"})
        ).status_code == 403
    assert (await desk.case(case_id))["state"] == "open"
    assert await decisions_of(read_topic, case_id) == []


async def test_no_page_may_be_framed_kept_or_run_what_is_not_ours(desk: Desk) -> None:
    case_id, _ = await promised(desk)
    evil = await poisoned(desk, b"<script>alert(1)</script>")
    async with signed_in(desk) as client:
        for path in ("/cases", f"/cases/{case_id}", f"/cases/{evil}", "/sign-in"):
            answer = await client.get(path)
            policy = answer.headers["content-security-policy"]
            assert ("script-src 'self'" in policy, "frame-ancestors 'none'" in policy) == (True, True)
            assert answer.headers["cache-control"] == "no-store"
        assert "<script>alert" not in (await client.get(f"/cases/{evil}")).text
        assert "&lt;script&gt;alert(1)" in (await client.get(f"/cases/{evil}")).text
        for name in ("desk.css", "desk.js", "htmx.min.js"):
            assert (await client.get(f"/static/{name}")).status_code == 200
        assert (await client.get("/static/texts.py")).status_code == 404


async def test_the_queue_is_filtered_and_counted(desk: Desk) -> None:
    price, _ = await promised(desk)
    gent, _ = await promised(desk, "gent-calls")
    message = await poisoned(desk)
    async with signed_in(desk) as client:

        async def shown(query: str = "") -> list[str]:
            return re.findall(r'href="/cases/(case-\w+)', (await client.get(f"/cases{query}")).text)

        assert await shown() == [message, price, gent]
        assert await shown("?partner=gent-calls") == [gent]
        assert await shown("?code=message.unreadable") == [message]
        assert await shown("?state=decided") == []
        page = (await client.get("/cases")).text
        assert "price.change (2)" in page
        assert "message.unreadable (1)" in page
        assert "gent-calls (1)" in page
        assert (await client.get("/cases?after=nonsense")).status_code == 422


async def test_a_case_says_what_each_decision_will_do_before_it_is_taken(desk: Desk) -> None:
    case_id, order = await promised(desk)
    message = await poisoned(desk)
    async with signed_in(desk) as client:
        page = (await client.get(f"/cases/{case_id}")).text
        technical = (await client.get(f"/cases/{message}")).text
    for said in (
        "at €75.00 a month instead of €81.00: €72.00 less over twelve months",
        "A second reviewer has to approve",
        "+€11.00",
        "+€5.00",
        "at the published price of €81.00 a month. Silence cancels",
        "liege-calls gets your reason as a question and has until",
        "Set aside: an order waits for this case: cancel it",
        order.partner_reference,
    ):
        assert said in page, said
    assert "billing: what failed (message or job) is done again" in technical
    assert "{not json" in technical
    assert "orders/3/41" in technical
    assert "Reject: no order waits for this case" in technical


async def test_a_case_says_what_a_price_told_for_good_in_place_of_a_promotion_gives_away(desk: Desk) -> None:
    untold = discrepancy("price.promotion", "intake", {"monthly": {"amount": -600, "currency": "EUR"}, "months": 6})
    case_id, _ = await promised(
        desk, published_monthly=euros(7500), quoted_monthly=euros(7500), discrepancies=(untold,)
    )
    async with signed_in(desk) as client:
        page = (await client.get(f"/cases/{case_id}")).text
    assert "at €75.00 a month instead of €75.00: €36.00 less over twelve months" in page
    assert "A second reviewer has to approve" in page
    assert (await desk.decide(case_id, "honour_quote")).json()["state"] == "awaiting_approval"


async def test_a_job_that_gave_up_is_not_offered_to_be_set_aside(desk: Desk) -> None:
    case_id = f"case-{uuid.uuid4().hex}"
    await desk.publish(found(case_id, "message.unhandled", service="billing"), source="billing")
    await desk.case(case_id)
    async with signed_in(desk) as client:
        page = (await client.get(f"/cases/{case_id}")).text
    assert "Set aside: a job is work that was promised: send it again" in page


async def test_a_case_is_decided_with_a_form_and_leads_on_to_the_next(desk: Desk, read_topic: Topics) -> None:
    first, _ = await promised(desk)
    second, _ = await promised(desk)
    async with signed_in(desk) as client:
        assert (
            f'href="/cases/{second}?partner=liege-calls"'
            in (await client.get(f"/cases/{first}?partner=liege-calls")).text
        )
        answer = await sent(
            client,
            f"/cases/{first}",
            f"/cases/{first}/decision?partner=liege-calls",
            decision="apply_published_price",
            reason="81.00 is published",
        )
        assert (answer.status_code, answer.headers["location"]) == (
            303,
            f"/cases/{first}?done=decided&partner=liege-calls",
        )
        page = (await client.get(answer.headers["location"])).text
    assert "Noted. The services are asked to carry it out." in page
    assert "81.00 is published" in page
    assert 'name="decision"' not in page
    assert f'rel="next" data-key="j" href="/cases/{second}?partner=liege-calls"' in page
    await desk.caught_up()
    assert await decisions_of(read_topic, first) == ["apply_published_price"]


async def test_a_refused_decision_is_said_on_the_case_and_what_was_typed_is_kept(desk: Desk) -> None:
    case_id, _ = await promised(desk)
    async with signed_in(desk, language="fr") as client:
        answer = await sent(client, f"/cases/{case_id}", f"/cases/{case_id}/decision", decision="reject", reason=" ")
        assert answer.status_code == 422
        assert "dites pourquoi" in answer.text
        assert re.search(r'value="reject"[^>]* checked', answer.text)
        unfit = await sent(
            client, f"/cases/{case_id}", f"/cases/{case_id}/decision", decision="set_aside", reason="kept <b>so</b>"
        )
        assert unfit.status_code == 409
        assert "une commande attend ce dossier" in unfit.text
        assert "kept &lt;b&gt;so&lt;/b&gt;" in unfit.text
    assert (await desk.case(case_id))["state"] == "open"


async def test_of_two_reviewers_one_decides_and_the_other_is_told_who(desk: Desk, read_topic: Topics) -> None:
    case_id, _ = await promised(desk)
    async with signed_in(desk) as rita, signed_in(desk, "carl") as carl:
        seen = token((await carl.get(f"/cases/{case_id}")).text)
        assert (await carl.get(f"/cases/{case_id}/standing?seen=open")).status_code == 204
        await sent(rita, f"/cases/{case_id}", f"/cases/{case_id}/decision", decision="cancel", reason="first")
        told = await carl.get(f"/cases/{case_id}/standing?seen=open")
        assert "rita: Cancel" in told.text
        late = await carl.post(
            f"/cases/{case_id}/decision", data={"token": seen, "decision": "reject", "reason": "second"}
        )
    assert late.status_code == 409
    assert "Too late: rita decided already (Cancel)" in late.text
    await desk.caught_up()
    assert await decisions_of(read_topic, case_id) == ["cancel"]


async def test_a_second_reviewer_approves_what_the_first_would_honour(desk: Desk, read_topic: Topics) -> None:
    case_id, _ = await promised(desk)
    path = f"/cases/{case_id}"
    async with signed_in(desk) as rita, signed_in(desk, "carl") as carl:
        first = await sent(rita, path, f"{path}/decision", decision="honour_quote", reason="she has it in writing")
        assert first.headers["location"].endswith("done=waiting")
        assert 'value="approve"' not in (await rita.get(path)).text
        own = await sent(rita, path, f"{path}/approval")
        assert (own.status_code, "You decided yourself" in own.text) == (403, True)
        waiting = (await carl.get(path)).text
        assert "rita decided: Honour the quote." in waiting
        assert "€72.00 less over twelve months" in waiting
        assert (await sent(carl, path, f"{path}/approval", reason="")).headers["location"].endswith("done=decided")
    await desk.caught_up()
    assert await decisions_of(read_topic, case_id) == ["honour_quote"]
    assert (await desk.case(case_id))["approved_by"] == "carl"


async def test_a_second_reviewer_refuses_or_the_first_takes_the_decision_back(desk: Desk) -> None:
    case_id, _ = await promised(desk)
    path = f"/cases/{case_id}"
    form = {"decision": "honour_quote", "reason": "she has it in writing"}
    async with signed_in(desk) as rita, signed_in(desk, "carl") as carl:
        for who, said in ((carl, "refused by carl"), (rita, "taken back by rita")):
            await sent(rita, path, f"{path}/decision", **form)
            without = await sent(who, path, f"{path}/approval", step="refuse")
            assert without.status_code == 422
            assert (await desk.case(case_id))["state"] == "awaiting_approval"
            answer = await sent(who, path, f"{path}/approval", step="refuse", reason="the recording says otherwise")
            assert answer.headers["location"].endswith("done=refused")
            page = (await who.get(answer.headers["location"])).text
            assert "the case is open again" in page
            assert said in page
            assert "the recording says otherwise" in page
            assert 'name="decision"' in page


async def test_the_evidence_of_an_answer_is_shown_and_what_resubmitting_does_with_it(desk: Desk) -> None:
    case_id, order = await promised(desk, discrepancies=(discrepancy("evidence.missing"),))
    path = f"/cases/{case_id}"
    await desk.decide(case_id, "ask_partner")
    await desk.publish(samples.answered(order, case_id, "here", samples.RECORDING))
    await desk.case(case_id, "open")
    async with signed_in(desk) as client:
        page = (await client.get(path)).text
        assert "recording of the call rec-1, its file was not given to us" in page
        assert "The evidence of the answer (recording of the call rec-1) takes the place of the order" in page
        shown = await sent(client, path, f"{path}/decision", decision="correct_and_resubmit", step="preview")
        assert "<ins>recording of the call rec-1</ins>" in shown.text
        done = await sent(client, path, f"{path}/decision", decision="correct_and_resubmit", reason="it is there")
        assert done.status_code == 303


async def test_what_a_correction_changes_is_shown_before_and_after(desk: Desk) -> None:
    case_id, _ = await lost(desk)
    path = f"/cases/{case_id}"
    typed = {"decision": "correct_and_resubmit", "removals": "tv, decoder"}
    async with signed_in(desk) as client:
        shown = await sent(client, path, f"{path}/decision", **typed, step="preview")
        assert (
            shown.status_code,
            "<ins>Television, Decoder</ins><br><small><code>tv, decoder</code></small>" in shown.text,
        ) == (200, True)
        assert (await desk.case(case_id))["state"] == "open"
        nothing = await sent(client, path, f"{path}/decision", decision="correct_and_resubmit", step="preview")
        assert (nothing.status_code, "this changes nothing in the order" in nothing.text) == (409, True)
        done = await sent(client, path, f"{path}/decision", **typed, reason="the partner confirms")
        assert done.status_code == 303
        assert "<ins>Television, Decoder</ins>" in (await client.get(path)).text


@pytest.mark.parametrize(
    ("pointer", "place"),
    [
        ("/reason", "Motif"),
        ("/quote/monthly_change", "Variation par mois"),
        ("/corrections/removals/0", "Retraits"),
        ("/evidence/sha256", "Preuve"),
        ("/colour", "/colour"),
    ],
)
def test_a_field_is_named_in_the_readers_language(pointer: str, place: str) -> None:
    assert Words("fr").place(pointer) == place


async def test_things_fields_and_zones_are_named_beside_their_codes(desk: Desk) -> None:
    case_id, _ = await lost(desk)
    async with signed_in(desk, language="de") as client:
        page = (await client.get(f"/cases/{case_id}")).text
        for said in (
            "Fernsehen, Decoder<br><small><code>tv, decoder</code></small>",
            "Entfällt <code>/removals</code>",
            "Telefonverkauf",
            "15:00\N{NO-BREAK SPACE}MEZ",
            "1\N{EN DASH}4 wählen",
            "Der Auftrag nimmt weg: Fernsehen, Decoder",
        ):
            assert said in page, said
        blank = await sent(client, f"/cases/{case_id}", f"/cases/{case_id}/decision", decision="cancel", reason=" ")
        assert "Begründung: sagen Sie warum" in blank.text
        assert page.count('name="decision"') == 4
        await desk.decide(case_id, "cancel")
        closed = (await client.get(f"/cases/{case_id}")).text
        assert "wählen," not in closed


async def test_a_preview_says_what_the_gate_would_still_find_and_refuses_what_cannot_be_removed(desk: Desk) -> None:
    case_id, _ = await lost(desk)
    path = f"/cases/{case_id}"
    for removals, said in [
        ("tv, decoder", ["nothing would be left"]),
        ("tv", ["there would be left", "services.lost</code>: Decoder"]),
        ("tv, decoder, telephony", ["removals.excess</code>: Telephone"]),
    ]:
        async with signed_in(desk) as client:
            shown = await sent(client, path, f"{path}/decision", removals=removals, step="preview")
            assert shown.status_code == 200
            for each in (*said, "judged again, completely: only that counts"):
                assert each in shown.text, each
    async with signed_in(desk, language="nl") as client:
        for step in ("preview", "decide"):
            wrong = await sent(
                client,
                path,
                f"{path}/decision",
                decision="correct_and_resubmit",
                removals="tv, televisie",
                reason="zo is het",
                step=step,
            )
            assert (wrong.status_code, "Schrappingen: deze schrapping is onbekend" in wrong.text) == (422, True)
            assert "toegestaan: tv, decoder, internet," in wrong.text
        long = await sent(client, path, f"{path}/decision", agent="a" * 101, step="preview")
        assert long.status_code == 422
    assert (await desk.case(case_id))["state"] == "open"


async def test_the_case_that_an_order_waits_for_after_a_resubmission_is_offered(desk: Desk) -> None:
    case_id, order = await lost(desk)
    path = f"/cases/{case_id}"
    async with signed_in(desk) as client:
        await sent(client, path, f"{path}/decision", decision="correct_and_resubmit", removals="tv", reason="so it is")
        assert "waits for another case" not in (await client.get(path)).text
        again = f"{case_id}-again"
        await desk.publish(found(again, of=order))
        await desk.case(again)
        for page in (path, f"{path}/standing?seen=open"):
            shown = (await client.get(page)).text
            assert f'href="/cases/{again}"' in shown
            assert "The order waits for another case" in shown
        assert "waits for another case" not in (await client.get(f"/cases/{again}")).text


async def test_overdue_cases_are_filtered_and_counted(desk: Desk, clock: MovableClock) -> None:
    late, _ = await promised(desk)
    asked, _ = await promised(desk)
    await desk.decide(asked, "ask_partner")
    decided, _ = await promised(desk)
    await desk.decide(decided, "cancel")
    clock.advance(timedelta(hours=5))
    early, _ = await promised(desk)
    assert [each["id"] for each in await desk.queue(overdue=True)] == [late]
    assert {each["id"] for each in await desk.queue(overdue=False)} == {asked, decided, early}
    assert (await desk.get("/v1/cases", overdue="perhaps")).status_code == 422
    async with signed_in(desk) as client:
        queue = (await client.get("/cases")).text
        assert "overdue (1)" in queue
        assert '<a href="/cases?state=overdue"><b>1</b> overdue</a>' in queue
        page = (await client.get("/cases?state=overdue")).text
        assert re.findall(r'class="case" id="to-(case-\w+)"', page) == [late]


async def test_the_partners_answer_stands_beside_the_question(desk: Desk) -> None:
    case_id, order = await lost(desk)
    path = f"/cases/{case_id}"
    async with signed_in(desk, language="nl") as client:
        asked = await sent(client, path, f"{path}/decision", decision="ask_partner", reason="TV weg?")
        assert asked.headers["location"].endswith("done=asked")
        assert "nog geen antwoord" in (await client.get(path)).text
        await desk.publish(samples.answered(order, case_id, "ja, weg"))
        await desk.case(case_id, "open")
        assert "ja, weg" in (await client.get(path)).text


async def test_cases_of_the_same_cause_are_decided_together_and_each_says_how_it_went(
    desk: Desk, read_topic: Topics
) -> None:
    together = [(await promised(desk))[0] for _ in range(3)]
    elsewhere, _ = await promised(desk, "gent-calls")
    async with signed_in(desk) as client, signed_in(desk, "carl") as carl:
        queue = (await client.get("/cases")).text
        [link] = re.findall(r'href="(/groups\?cause=[^"]+)"', queue)
        group = (await client.get(link)).text
        assert re.findall(r'name="case" value="(case-\w+)" checked', group) == together
        assert "fits 3 of 3" in group
        await sent(carl, f"/cases/{together[1]}", f"/cases/{together[1]}/decision", decision="cancel", reason="quicker")
        answer = await client.post(
            link,
            data={"token": token(group), "case": together, "decision": "apply_published_price", "reason": "published"},
        )
    assert answer.status_code == 200
    assert answer.text.count("<td>decided</td>") == 2
    assert "Too late: carl decided already (Cancel)" in answer.text
    await desk.caught_up()
    assert [await decisions_of(read_topic, each) for each in (*together, elsewhere)] == [
        ["apply_published_price"],
        ["cancel"],
        ["apply_published_price"],
        [],
    ]


async def test_a_group_is_opened_by_the_longest_cause_that_there_is(desk: Desk) -> None:
    async with signed_in(desk) as client:
        assert (await client.get("/groups", params={"cause": "x" * cases.LONGEST_CAUSE})).status_code == 200
        assert (await client.get("/groups", params={"cause": "x" * (cases.LONGEST_CAUSE + 1)})).status_code == 422


async def test_nobody_decides_a_sale_of_their_own_on_the_pages_either(desk: Desk) -> None:
    case_id, _ = await promised(desk, "gent-calls")
    path = f"/cases/{case_id}"
    async with signed_in(desk, "ben") as client:
        answer = await sent(client, path, f"{path}/decision", decision="cancel", reason="mine")
        assert (answer.status_code, "You work for this partner" in answer.text) == (403, True)
        taken = await sent(client, path, f"{path}/assignment")
        assert taken.headers["location"].endswith("done=taken")
    assert (await desk.case(case_id))["owner"] == "ben"


@pytest.mark.parametrize("language", LANGUAGES)
async def test_the_pages_speak_four_languages_and_remember_which(desk: Desk, language: str) -> None:
    case_id, _ = await promised(desk)
    words = Words(language)
    async with signed_in(desk) as client:
        assert f'<html lang="{language}">' in (await client.get(f"/cases?language={language}")).text
        page = (await client.get(f"/cases/{case_id}")).text
        assert words("both_numbers") in page
        assert words.decision("honour_quote") in page
        assert f'<html lang="{language}">' in (await client.get("/cases")).text
