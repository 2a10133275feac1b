"""The words of the letters, in the four languages of customers and partners."""

from __future__ import annotations

from contracts.things import Texts

SUBJECTS: dict[str, Texts] = {
    "contract-summary": {
        "fr": "Votre récapitulatif contractuel: répondez avant le {until}",
        "nl": "Uw contractsamenvatting: antwoord vóór {until}",
        "de": "Ihre Vertragszusammenfassung: Antworten Sie vor dem {until}",
        "en": "Your contract summary: please answer before {until}",
    },
    "signed-contract": {
        "fr": "Le récapitulatif du contrat que vous avez signé",
        "nl": "De samenvatting van het contract dat u hebt ondertekend",
        "de": "Die Zusammenfassung des Vertrags, den Sie unterschrieben haben",
        "en": "The summary of the contract that you signed",
    },
    "completed": {
        "fr": "Votre commande est exécutée",
        "nl": "Uw bestelling is uitgevoerd",
        "de": "Ihre Bestellung ist ausgeführt",
        "en": "Your order is done",
    },
    "cancelled": {
        "fr": "Votre commande est annulée: rien ne change",
        "nl": "Uw bestelling is geannuleerd: er verandert niets",
        "de": "Ihre Bestellung ist storniert: Nichts ändert sich",
        "en": "Your order is cancelled: nothing changes",
    },
    "rejected": {
        "fr": "Votre commande n'est pas acceptée: rien ne change",
        "nl": "Uw bestelling is niet aanvaard: er verandert niets",
        "de": "Ihre Bestellung ist nicht angenommen: Nichts ändert sich",
        "en": "Your order was not accepted: nothing changes",
    },
    "contact-differs": {
        "fr": "Une commande donne un autre contact que le vôtre, ou le vôtre pour quelqu'un d'autre",
        "nl": "Een bestelling vermeldt een ander contact dan het uwe, of het uwe voor iemand anders",
        "de": "Eine Bestellung nennt einen anderen Kontakt als Ihren, oder Ihren für jemand anderen",
        "en": "An order gives another contact than yours, or yours for somebody else",
    },
}
"""To the customer, by kind of notice; `signed-contract` is the summary of one that she signed on paper."""

INTROS: dict[str, Texts] = {
    "contract-summary": {
        "fr": "Une commande a été passée pour vous. Rien ne change avant votre accord. "
        "Vérifiez, puis répondez oui ou non.",
        "nl": "Er is een bestelling voor u geplaatst. Er verandert niets voor u akkoord gaat. "
        "Kijk na en antwoord ja of nee.",
        "de": "Für Sie wurde bestellt. Ohne Ihre Zustimmung ändert sich nichts. "
        "Bitte prüfen und mit Ja oder Nein antworten.",
        "en": "An order was placed for you. Nothing changes before you agree. Please check it, then answer yes or no.",
    },
    "signed-contract": {
        "fr": "Vous avez signé ce contrat sur papier au magasin, et nous en avons une copie. La commande est en cours; "
        "vous ne devez pas répondre. Si ce n'est pas ce que vous avez signé, dites-le-nous tout de suite.",
        "nl": "U hebt dit contract in de winkel op papier ondertekend, en wij hebben er een kopie van. De bestelling "
        "is in uitvoering; u hoeft niet te antwoorden. Is dit niet wat u ondertekende, zeg het ons dan meteen.",
        "de": "Sie haben diesen Vertrag im Geschäft auf Papier unterschrieben, und wir haben eine Kopie davon. Die "
        "Bestellung wird ausgeführt; Sie müssen nicht antworten. Haben Sie etwas anderes unterschrieben, sagen Sie es "
        "uns sofort.",
        "en": "You signed this contract on paper in the shop, and we hold a copy of it. The order is being carried "
        "out; you need not answer. If this is not what you signed, tell us at once.",
    },
    "completed": {
        "fr": "C'est fait. Voici ce que vous avez et ce que vous payez à présent.",
        "nl": "Het is klaar. Dit is wat u nu hebt en wat u nu betaalt.",
        "de": "Es ist erledigt. Das haben Sie jetzt, und das zahlen Sie jetzt.",
        "en": "It is done. This is what you have and what you pay now.",
    },
    "cancelled": {
        "fr": "Rien ne change pour vous: ni vos services, ni votre prix. Vous ne devez rien faire.",
        "nl": "Voor u verandert er niets: niet aan uw diensten, niet aan uw prijs. U hoeft niets te doen.",
        "de": "Für Sie ändert sich nichts: weder Ihre Dienste noch Ihr Preis. Sie müssen nichts tun.",
        "en": "Nothing changes for you: neither your services nor your price. There is nothing you need to do.",
    },
    "rejected": {
        "fr": "Rien ne change pour vous: ni vos services, ni votre prix. Vous ne devez rien faire.",
        "nl": "Voor u verandert er niets: niet aan uw diensten, niet aan uw prijs. U hoeft niets te doen.",
        "de": "Für Sie ändert sich nichts: weder Ihre Dienste noch Ihr Preis. Sie müssen nichts tun.",
        "en": "Nothing changes for you: neither your services nor your price. There is nothing you need to do.",
    },
    "contact-differs": {
        "fr": "Nous avons arrêté cette commande et nous vous écrivons au contact que nous connaissons. Rien n'a "
        "changé, et vous ne devez rien faire. Si personne ne vous a appelé, dites-le-nous.",
        "nl": "We hebben deze bestelling tegengehouden en schrijven u op het contact dat we kennen. Er is niets "
        "veranderd en u hoeft niets te doen. Heeft niemand u gebeld, zeg het ons dan.",
        "de": "Wir haben diese Bestellung angehalten und schreiben Ihnen an den Kontakt, den wir kennen. Nichts hat "
        "sich geändert, und Sie müssen nichts tun. Hat Sie niemand angerufen, sagen Sie es uns.",
        "en": "We stopped this order and write to you at the contact that we know. Nothing has changed, and there is "
        "nothing you need to do. If nobody called you, tell us.",
    },
}
"""The first paragraph to the customer, by kind of notice as above."""

PARTNER: dict[str, Texts] = {
    "question": {
        "fr": "Un réviseur vous pose une question sur la commande {reference}. Répondez par POST /v1/orders/…/answers.",
        "nl": "Een beoordelaar stelt u een vraag over bestelling {reference}. Antwoord via POST /v1/orders/…/answers.",
        "de": "Ein Prüfer hat eine Frage zur Bestellung {reference}. Antworten Sie mit POST /v1/orders/…/answers.",
        "en": "A reviewer asks you something about order {reference}. Answer with POST /v1/orders/…/answers.",
    },
    "held": {
        "fr": "La commande {reference} est en révision. Elle continue dès qu'un réviseur a décidé.",
        "nl": "Bestelling {reference} wordt nagekeken. Ze gaat verder zodra een beoordelaar beslist heeft.",
        "de": "Die Bestellung {reference} wird geprüft. Es geht weiter, sobald ein Prüfer entschieden hat.",
        "en": "Order {reference} is in review. It goes on as soon as a reviewer has decided.",
    },
    "completed": {
        "fr": "La commande {reference} est exécutée.",
        "nl": "Bestelling {reference} is uitgevoerd.",
        "de": "Die Bestellung {reference} ist ausgeführt.",
        "en": "Order {reference} is done.",
    },
    "cancelled": {
        "fr": "La commande {reference} est annulée; rien n'a changé chez le client.",
        "nl": "Bestelling {reference} is geannuleerd; bij de klant is niets veranderd.",
        "de": "Die Bestellung {reference} ist storniert; beim Kunden hat sich nichts geändert.",
        "en": "Order {reference} is cancelled; nothing changed for the customer.",
    },
    "rejected": {
        "fr": "La commande {reference} est refusée; rien n'a changé chez le client.",
        "nl": "Bestelling {reference} is geweigerd; bij de klant is niets veranderd.",
        "de": "Die Bestellung {reference} ist abgelehnt; beim Kunden hat sich nichts geändert.",
        "en": "Order {reference} is rejected; nothing changed for the customer.",
    },
}
"""The one paragraph to the partner, by kind of notice."""

WORDS: dict[str, Texts] = {
    "title": {
        "fr": "Récapitulatif contractuel",
        "nl": "Samenvatting van het contract",
        "de": "Vertragszusammenfassung",
        "en": "Contract summary",
    },
    "greeting": {"fr": "Bonjour {name},", "nl": "Dag {name},", "de": "Guten Tag {name},", "en": "Hello {name},"},
    "services": {
        "fr": "Services et équipements",
        "nl": "Diensten en apparatuur",
        "de": "Dienste und Geräte",
        "en": "Services and equipment",
    },
    "price": {"fr": "Prix", "nl": "Prijs", "de": "Preis", "en": "Price"},
    "duration": {
        "fr": "Durée, renouvellement et résiliation",
        "nl": "Duur, verlenging en beëindiging",
        "de": "Laufzeit, Verlängerung und Kündigung",
        "en": "Duration, renewal and termination",
    },
    "open-ended": {
        "fr": "Durée indéterminée. Vous pouvez résilier à tout moment.",
        "nl": "Onbepaalde duur. U kunt op elk moment opzeggen.",
        "de": "Unbefristet. Sie können jederzeit kündigen.",
        "en": "Open-ended. You may end it at any time.",
    },
    "term": {
        "fr": "{months} mois, puis durée indéterminée. Résilier ne coûte rien après le sixième mois; "
        "avant, au plus les mensualités jusque-là.",
        "nl": "{months} maanden, daarna onbepaalde duur. Opzeggen kost niets na de zesde maand; "
        "daarvoor hoogstens de maandprijzen tot dan.",
        "de": "{months} Monate, danach unbefristet. Nach dem sechsten Monat kostet die Kündigung nichts, "
        "vorher höchstens die Monatspreise bis dahin.",
        "en": "{months} months, then open-ended. Ending it costs nothing after the sixth month; "
        "before that at most the monthly prices until then.",
    },
    "ends": {
        "fr": "Votre contrat prend fin quand la commande est exécutée.",
        "nl": "Uw contract eindigt wanneer de bestelling is uitgevoerd.",
        "de": "Ihr Vertrag endet, wenn die Bestellung ausgeführt ist.",
        "en": "Your contract ends when the order is done.",
    },
    "today": {"fr": "Aujourd'hui", "nl": "Vandaag", "de": "Heute", "en": "Today"},
    "new": {"fr": "Nouveau", "nl": "Nieuw", "de": "Neu", "en": "New"},
    "now": {"fr": "À présent", "nl": "Nu", "de": "Jetzt", "en": "Now"},
    "removed": {
        "fr": "Ce que vous n'aurez plus",
        "nl": "Wat u niet meer zult hebben",
        "de": "Was Sie nicht mehr haben werden",
        "en": "What you will no longer have",
    },
    "nothing": {"fr": "rien", "nl": "niets", "de": "nichts", "en": "nothing"},
    "lower": {"fr": "moins de: {what}", "nl": "minder van: {what}", "de": "weniger: {what}", "en": "less of: {what}"},
    "number": {
        "fr": "le numéro {what}",
        "nl": "het nummer {what}",
        "de": "die Nummer {what}",
        "en": "the number {what}",
    },
    "difference": {"fr": "Différence", "nl": "Verschil", "de": "Unterschied", "en": "Difference"},
    "recent": {
        "fr": "Toutes les modifications des 30 derniers jours",
        "nl": "Alle wijzigingen van de laatste 30 dagen",
        "de": "Alle Änderungen der letzten 30 Tage",
        "en": "All changes of the last 30 days",
    },
    "earlier": {
        "fr": "Un autre prix annoncé le {day}",
        "nl": "Een andere prijs, meegedeeld op {day}",
        "de": "Ein anderer Preis, genannt am {day}",
        "en": "Another price told on {day}",
    },
    "promotion": {
        "fr": "Promotion comprise, {months} mois",
        "nl": "Promotie inbegrepen, {months} maanden",
        "de": "Aktion eingerechnet, {months} Monate",
        "en": "Promotion included, {months} months",
    },
    "after": {
        "fr": "Après la promotion",
        "nl": "Na de promotie",
        "de": "Nach der Aktion",
        "en": "After the promotion",
    },
    "one-off": {"fr": "Une seule fois", "nl": "Eenmalig", "de": "Einmalig", "en": "Once"},
    "monthly": {
        "fr": "{money} par mois",
        "nl": "{money} per maand",
        "de": "{money} pro Monat",
        "en": "{money} per month",
    },
    "taxes": {
        "fr": "Tous les prix comprennent la TVA de 21 %.",
        "nl": "Alle prijzen zijn inclusief 21 % btw.",
        "de": "Alle Preise enthalten 21 % MwSt.",
        "en": "All prices include 21 % VAT.",
    },
    "answer": {
        "fr": "Vérifier et répondre",
        "nl": "Nakijken en antwoorden",
        "de": "Prüfen und antworten",
        "en": "Answer",
    },
    "until": {
        "fr": "Sans réponse de votre part avant le {until}, la commande est annulée.",
        "nl": "Zonder antwoord vóór {until} wordt de bestelling geannuleerd.",
        "de": "Ohne Ihre Antwort vor dem {until} wird die Bestellung storniert.",
        "en": "Without your answer before {until} the order is cancelled.",
    },
    "code": {
        "fr": "AsQuoted: votre code est {code}. Il complète le lien de notre e-mail. Ne le donnez à personne.",
        "nl": "AsQuoted: uw code is {code}. Ze hoort bij de link in onze e-mail. Geef ze aan niemand.",
        "de": "AsQuoted: Ihr Code ist {code}. Er gehört zum Link in unserer E-Mail. Geben Sie ihn niemandem.",
        "en": "AsQuoted: your code is {code}. It goes with the link in our e-mail. Give it to nobody.",
    },
    "reference": {
        "fr": "Commande {order}",
        "nl": "Bestelling {order}",
        "de": "Bestellung {order}",
        "en": "Order {order}",
    },
    "codes": {"fr": "Motifs: {codes}", "nl": "Redenen: {codes}", "de": "Gründe: {codes}", "en": "Reasons: {codes}"},
    "reason": {"fr": "Motif: {reason}", "nl": "Reden: {reason}", "de": "Grund: {reason}", "en": "Reason: {reason}"},
}
"""Headings and sentences; those of the summary follow Implementing Regulation (EU) 2019/2243."""
