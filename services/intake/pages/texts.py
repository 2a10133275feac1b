"""The words of the customer's page, in the four languages."""

from __future__ import annotations

from contracts.things import Texts

TEXTS: dict[str, Texts] = {
    "title": {"fr": "Votre commande", "nl": "Uw bestelling", "de": "Ihre Bestellung", "en": "Your order"},
    "languages": {"fr": "Langue", "nl": "Taal", "de": "Sprache", "en": "Language"},
    "intro": {
        "fr": "Une commande a été passée pour vous le {day}. Rien ne change avant votre accord. "
        "Vérifiez, puis répondez avant le {until}; sans réponse, la commande est annulée.",
        "nl": "Op {day} is voor u een bestelling geplaatst. Er verandert niets voor u akkoord gaat. "
        "Kijk na en antwoord vóór {until}; zonder antwoord wordt de bestelling geannuleerd.",
        "de": "Am {day} wurde für Sie bestellt. Ohne Ihre Zustimmung ändert sich nichts. "
        "Bitte prüfen und vor dem {until} antworten; ohne Antwort wird die Bestellung storniert.",
        "en": "An order was placed for you on {day}. Nothing changes before you agree. "
        "Please check it and answer before {until}; without an answer the order is cancelled.",
    },
    # --- the price ---------------------------------------------------------------------------------------------------
    "price": {"fr": "Ce que vous payez", "nl": "Wat u betaalt", "de": "Was Sie zahlen", "en": "What you pay"},
    "today": {"fr": "Aujourd'hui", "nl": "Vandaag", "de": "Heute", "en": "Today"},
    "new": {"fr": "Nouveau", "nl": "Nieuw", "de": "Neu", "en": "New"},
    "per-month": {"fr": "par mois", "nl": "per maand", "de": "pro Monat", "en": "per month"},
    "difference": {"fr": "Différence", "nl": "Verschil", "de": "Unterschied", "en": "Difference"},
    "promotion": {
        "fr": "promotion de {money} par mois comprise, pendant {months} mois",
        "nl": "promotie van {money} per maand inbegrepen, {months} maanden lang",
        "de": "Aktion von {money} pro Monat eingerechnet, {months} Monate lang",
        "en": "promotion of {money} per month included, for {months} months",
    },
    "after-promotion": {
        "fr": "Après la promotion",
        "nl": "Na de promotie",
        "de": "Nach der Aktion",
        "en": "After the promotion",
    },
    "recent-change": {
        "fr": "Avec vos autres changements des 30 derniers jours",
        "nl": "Met uw andere wijzigingen van de laatste 30 dagen",
        "de": "Mit Ihren anderen Änderungen der letzten 30 Tage",
        "en": "With your other changes of the last 30 days",
    },
    "than-today": {
        "fr": "{money} par rapport à aujourd'hui",
        "nl": "{money} tegenover vandaag",
        "de": "{money} gegenüber heute",
        "en": "{money} compared with today",
    },
    "once": {"fr": "À payer une seule fois", "nl": "Eenmalig te betalen", "de": "Einmalig", "en": "To pay once"},
    "taxes": {
        "fr": "Tous les prix comprennent la TVA de 21 %.",
        "nl": "Alle prijzen zijn inclusief 21 % btw.",
        "de": "Alle Preise enthalten 21 % MwSt.",
        "en": "All prices include 21 % VAT.",
    },
    "told-otherwise": {
        "fr": "Le vendeur a annoncé autre chose",
        "nl": "De verkoper noemde iets anders",
        "de": "Der Verkäufer hat anderes genannt",
        "en": "The seller told something else",
    },
    "told-on": {
        "fr": "Le {day}: {what}",
        "nl": "Op {day}: {what}",
        "de": "Am {day}: {what}",
        "en": "On {day}: {what}",
    },
    "told-total-was": {
        "fr": "{money} par mois en tout",
        "nl": "{money} per maand in totaal",
        "de": "{money} pro Monat insgesamt",
        "en": "{money} per month in all",
    },
    "told-change-was": {
        "fr": "{money} par mois par rapport à avant",
        "nl": "{money} per maand tegenover voordien",
        "de": "{money} pro Monat gegenüber vorher",
        "en": "{money} per month compared with before",
    },
    "told-once-was": {
        "fr": "{money} une seule fois",
        "nl": "{money} eenmalig",
        "de": "{money} einmalig",
        "en": "{money} once",
    },
    # --- what she has ------------------------------------------------------------------------------------------------
    "services": {
        "fr": "Services et appareils",
        "nl": "Diensten en toestellen",
        "de": "Dienste und Geräte",
        "en": "Services and devices",
    },
    "included": {"fr": "oui", "nl": "ja", "de": "ja", "en": "yes"},
    "not-there": {"fr": "non", "nl": "nee", "de": "nein", "en": "no"},
    "numbers": {"fr": "Numéro", "nl": "Nummer", "de": "Nummer", "en": "Number"},
    "number": {"fr": "Numéro {number}", "nl": "Nummer {number}", "de": "Nummer {number}", "en": "Number {number}"},
    "removed": {
        "fr": "Ce que vous n'aurez plus",
        "nl": "Wat u niet meer zult hebben",
        "de": "Was Sie nicht mehr haben werden",
        "en": "What you will no longer have",
    },
    "nothing-removed": {
        "fr": "Rien: vous gardez tout ce que vous avez.",
        "nl": "Niets: u behoudt alles wat u hebt.",
        "de": "Nichts: Sie behalten alles, was Sie haben.",
        "en": "Nothing: you keep all that you have.",
    },
    "less": {
        "fr": "{what}: {new} au lieu de {old}",
        "nl": "{what}: {new} in plaats van {old}",
        "de": "{what}: {new} statt {old}",
        "en": "{what}: {new} instead of {old}",
    },
    "terminated": {
        "fr": "tout est arrêté",
        "nl": "alles wordt stopgezet",
        "de": "alles wird beendet",
        "en": "everything is ended",
    },
    # --- the answer --------------------------------------------------------------------------------------------------
    "answer": {"fr": "Votre réponse", "nl": "Uw antwoord", "de": "Ihre Antwort", "en": "Your answer"},
    "yes": {"fr": "Oui, d'accord", "nl": "Ja, akkoord", "de": "Ja, einverstanden", "en": "Yes, I agree"},
    "no": {"fr": "Non, annuler", "nl": "Nee, annuleren", "de": "Nein, stornieren", "en": "No, cancel"},
    "code": {
        "fr": "Le code de six chiffres de notre SMS",
        "nl": "De code van zes cijfers uit onze sms",
        "de": "Der sechsstellige Code aus unserer SMS",
        "en": "The six-digit code from our text message",
    },
    "told": {
        "fr": "Ce n'est pas ce qu'on m'a dit",
        "nl": "Dit is niet wat mij is gezegd",
        "de": "Das wurde mir anders gesagt",
        "en": "This is not what I was told",
    },
    "told-intro": {
        "fr": "Écrivez le montant que le vendeur vous a annoncé; un des deux suffit. "
        "La commande est annulée, rien ne change, et nous vérifions ce qui vous a été dit.",
        "nl": "Schrijf het bedrag dat de verkoper u noemde; een van de twee volstaat. "
        "De bestelling wordt geannuleerd, er verandert niets, en wij gaan na wat u is gezegd.",
        "de": "Schreiben Sie den Betrag, den der Verkäufer Ihnen nannte; einer von beiden genügt. "
        "Die Bestellung wird storniert, nichts ändert sich, und wir prüfen, was Ihnen gesagt wurde.",
        "en": "Write the amount that the seller told you; one of the two is enough. "
        "The order is cancelled, nothing changes, and we look into what you were told.",
    },
    "told-change": {
        "fr": "En plus ou en moins par mois, en euros",
        "nl": "Meer of minder per maand, in euro",
        "de": "Mehr oder weniger pro Monat, in Euro",
        "en": "More or less per month, in euros",
    },
    "told-total": {
        "fr": "En tout par mois, en euros",
        "nl": "In totaal per maand, in euro",
        "de": "Insgesamt pro Monat, in Euro",
        "en": "In all per month, in euros",
    },
    "told-send": {
        "fr": "Annuler: on m'a dit autre chose",
        "nl": "Annuleren: mij is iets anders gezegd",
        "de": "Stornieren: Mir wurde anderes gesagt",
        "en": "Cancel: I was told something else",
    },
    "reference": {
        "fr": "Commande {order}",
        "nl": "Bestelling {order}",
        "de": "Bestellung {order}",
        "en": "Order {order}",
    },
}

FAULTS: dict[str, Texts] = {
    "answer": {
        "fr": "Nous n'avons pas compris votre réponse. Choisissez-en une ci-dessous.",
        "nl": "Wij hebben uw antwoord niet begrepen. Kies er hieronder een.",
        "de": "Wir haben Ihre Antwort nicht verstanden. Bitte wählen Sie unten eine aus.",
        "en": "We did not understand your answer. Please choose one below.",
    },
    "told-missing": {
        "fr": "Écrivez un montant, s'il vous plaît. Rien n'a été envoyé.",
        "nl": "Schrijf een bedrag, alstublieft. Er is niets verstuurd.",
        "de": "Bitte schreiben Sie einen Betrag. Es wurde nichts gesendet.",
        "en": "Please write an amount. Nothing was sent.",
    },
    "told-unclear": {
        "fr": "Ce montant n'est pas clair. Écrivez par exemple 5 ou 5,00.",
        "nl": "Dit bedrag is niet duidelijk. Schrijf bijvoorbeeld 5 of 5,00.",
        "de": "Dieser Betrag ist nicht eindeutig. Schreiben Sie zum Beispiel 5 oder 5,00.",
        "en": "This amount is not clear. Write for example 5 or 5.00.",
    },
    "code": {
        "fr": "Ce code n'est pas le bon. Écrivez les six chiffres de notre SMS.",
        "nl": "Deze code klopt niet. Schrijf de zes cijfers uit onze sms.",
        "de": "Dieser Code stimmt nicht. Schreiben Sie die sechs Ziffern aus unserer SMS.",
        "en": "This code is not right. Write the six digits of our text message.",
    },
}
"""Why an answer could not be taken; the question stays open."""

SAID: dict[str, Texts] = {
    "yes": {
        "fr": "Vous avez dit oui le {at}.",
        "nl": "U zei ja op {at}.",
        "de": "Sie haben am {at} Ja gesagt.",
        "en": "You said yes on {at}.",
    },
    "no": {
        "fr": "Vous avez dit non le {at}.",
        "nl": "U zei nee op {at}.",
        "de": "Sie haben am {at} Nein gesagt.",
        "en": "You said no on {at}.",
    },
    "not-what-i-was-told": {
        "fr": "Vous avez dit le {at} que ce n'est pas ce qu'on vous avait dit. Nous vérifions ce qui vous a été dit.",
        "nl": "U zei op {at} dat dit niet is wat u werd gezegd. Wij gaan na wat u is gezegd.",
        "de": "Sie haben am {at} gesagt, dass Ihnen anderes gesagt wurde. Wir prüfen, was Ihnen gesagt wurde.",
        "en": "You said on {at} that this is not what you were told. We look into what you were told.",
    },
}
"""What the customer answered, and when."""

STANDINGS: dict[str, Texts] = {
    "inProgress": {
        "fr": "Nous exécutons la commande et vous écrivons dès que c'est fait.",
        "nl": "Wij voeren de bestelling uit en schrijven u zodra het klaar is.",
        "de": "Wir führen die Bestellung aus und schreiben Ihnen, sobald es erledigt ist.",
        "en": "We carry out the order and write to you when it is done.",
    },
    "completed": {
        "fr": "La commande est exécutée.",
        "nl": "De bestelling is uitgevoerd.",
        "de": "Die Bestellung ist ausgeführt.",
        "en": "The order is done.",
    },
    "held": {
        "fr": "Quelqu'un de chez nous vérifie la commande. Vous ne devez rien faire: nous vous écrirons.",
        "nl": "Iemand van ons kijkt de bestelling na. U hoeft niets te doen: wij schrijven u.",
        "de": "Jemand von uns prüft die Bestellung. Sie müssen nichts tun: Wir schreiben Ihnen.",
        "en": "One of us is checking the order. There is nothing you need to do: we will write to you.",
    },
    "cancelling": {
        "fr": "La commande est en train d'être annulée.",
        "nl": "De bestelling wordt geannuleerd.",
        "de": "Die Bestellung wird gerade storniert.",
        "en": "The order is being cancelled.",
    },
    "cancelled": {
        "fr": "La commande est annulée et rien ne change.",
        "nl": "De bestelling is geannuleerd en er verandert niets.",
        "de": "Die Bestellung ist storniert und nichts ändert sich.",
        "en": "The order is cancelled and nothing changes.",
    },
    "rejected": {
        "fr": "La commande n'a pas été acceptée et rien ne change.",
        "nl": "De bestelling is niet aanvaard en er verandert niets.",
        "de": "Die Bestellung wurde nicht angenommen und nichts ändert sich.",
        "en": "The order was not accepted and nothing changes.",
    },
    "expired": {
        "fr": "Vous pouviez répondre jusqu'au {until}. Sans réponse la commande est annulée et rien ne change.",
        "nl": "U kon antwoorden tot {until}. Zonder antwoord is de bestelling geannuleerd en er verandert niets.",
        "de": "Sie konnten bis {until} antworten. Ohne Antwort ist die Bestellung storniert und nichts ändert sich.",
        "en": "You could answer until {until}. Without an answer the order is cancelled and nothing changes.",
    },
    "replaced": {
        "fr": "Quelque chose a changé entre-temps: rien n'est exécuté. Nous vous avons envoyé un nouveau message; "
        "répondez par son lien.",
        "nl": "Intussen is er iets veranderd: er wordt niets uitgevoerd. Wij hebben u een nieuw bericht gestuurd; "
        "antwoord via de link daarin.",
        "de": "Inzwischen hat sich etwas geändert: Es wird nichts ausgeführt. Wir haben Ihnen eine neue Nachricht "
        "geschickt; antworten Sie über deren Link.",
        "en": "Something changed in the meantime: nothing is carried out. We have sent you a new message; "
        "please answer through its link.",
    },
    "unknown": {
        "fr": "Ce lien n'est pas valable. Utilisez celui de notre message, en entier.",
        "nl": "Deze link is niet geldig. Gebruik die uit ons bericht, helemaal.",
        "de": "Dieser Link ist nicht gültig. Verwenden Sie den aus unserer Nachricht, vollständig.",
        "en": "This link is not valid. Use the one in our message, all of it.",
    },
}
"""How an order stands that is no longer asked about."""

NOT_TAKEN: Texts = {
    "fr": "Votre nouvelle réponse n'a pas été prise en compte: on ne répond qu'une fois.",
    "nl": "Uw nieuwe antwoord is niet meegeteld: u antwoordt maar één keer.",
    "de": "Ihre neue Antwort wurde nicht übernommen: Es gibt nur eine Antwort.",
    "en": "Your new answer was not taken: a question is answered once.",
}
