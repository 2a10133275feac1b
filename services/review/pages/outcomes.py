"""What decisions are called and will do, and what a page says where one is not taken, in the four languages."""

DECISIONS: dict[str, dict[str, str]] = {
    "honour_quote": {
        "fr": "Honorer le prix annoncé",
        "nl": "De meegedeelde prijs nakomen",
        "de": "Genannten Preis einhalten",
        "en": "Honour the quote",
    },
    "apply_published_price": {
        "fr": "Appliquer le prix publié",
        "nl": "De gepubliceerde prijs toepassen",
        "de": "Veröffentlichten Preis anwenden",
        "en": "Apply the published price",
    },
    "ask_partner": {
        "fr": "Interroger le partenaire",
        "nl": "De partner vragen",
        "de": "Partner fragen",
        "en": "Ask the partner",
    },
    "correct_and_resubmit": {
        "fr": "Corriger et resoumettre",
        "nl": "Verbeteren en opnieuw indienen",
        "de": "Berichtigen und neu einreichen",
        "en": "Correct and resubmit",
    },
    "reject": {"fr": "Refuser", "nl": "Weigeren", "de": "Ablehnen", "en": "Reject"},
    "cancel": {"fr": "Annuler", "nl": "Annuleren", "de": "Stornieren", "en": "Cancel"},
    "send_again": {"fr": "Renvoyer", "nl": "Opnieuw sturen", "de": "Erneut senden", "en": "Send again"},
    "set_aside": {"fr": "Mettre de côté", "nl": "Terzijde leggen", "de": "Beiseitelegen", "en": "Set aside"},
}

EFFECTS: dict[str, dict[str, str]] = {
    "honour_quote": {
        "fr": (
            "Le client est interrogé à nouveau, à {quoted} par mois au lieu de {published} : {difference} de "
            "moins sur douze mois."
        ),
        "nl": (
            "De klant wordt opnieuw gevraagd, aan {quoted} per maand in plaats van {published}: {difference} "
            "minder over twaalf maanden."
        ),
        "de": (
            "Der Kunde wird erneut gefragt, zu {quoted} im Monat statt {published}: {difference} weniger in "
            "zwölf Monaten."
        ),
        "en": (
            "The customer is asked again, at {quoted} a month instead of {published}: {difference} less over "
            "twelve months."
        ),
    },
    "needs_approval": {
        "fr": "Une seconde personne doit approuver ; d'ici là rien ne se passe.",
        "nl": "Een tweede persoon moet goedkeuren; tot dan gebeurt niets.",
        "de": "Eine zweite Person muss zustimmen; bis dahin geschieht nichts.",
        "en": "A second reviewer has to approve; until then nothing happens.",
    },
    "apply_published_price": {
        "fr": (
            "Le client est interrogé à nouveau, au prix publié de {published} par mois. Son silence annule la commande."
        ),
        "nl": (
            "De klant wordt opnieuw gevraagd, aan de gepubliceerde prijs van {published} per maand. Zwijgen "
            "annuleert de bestelling."
        ),
        "de": (
            "Der Kunde wird erneut gefragt, zum veröffentlichten Preis von {published} im Monat. Schweigen "
            "storniert den Auftrag."
        ),
        "en": (
            "The customer is asked again, at the published price of {published} a month. Silence cancels the order."
        ),
    },
    "ask_partner": {
        "fr": (
            "{partner} reçoit votre motif comme question et a jusqu'au {until} pour répondre. La commande "
            "reste retenue ; sans réponse le dossier revient ici."
        ),
        "nl": (
            "{partner} krijgt uw reden als vraag en heeft tot {until} om te antwoorden. De bestelling blijft "
            "staan; zonder antwoord komt het dossier terug."
        ),
        "de": (
            "{partner} erhält Ihre Begründung als Frage und hat bis {until} Zeit. Der Auftrag bleibt "
            "angehalten; ohne Antwort kommt der Fall zurück."
        ),
        "en": (
            "{partner} gets your reason as a question and has until {until} to answer. The order stays held; "
            "without an answer the case comes back."
        ),
    },
    "correct_and_resubmit": {
        "fr": (
            "La commande est corrigée comme indiqué plus bas et jugée à nouveau, entièrement. Ce que l'agent "
            "a annoncé reste tel quel."
        ),
        "nl": (
            "De bestelling wordt verbeterd zoals hieronder en opnieuw volledig beoordeeld. Wat de agent "
            "meedeelde, blijft zoals het is."
        ),
        "de": (
            "Der Auftrag wird wie unten berichtigt und ganz neu geprüft. Was der Agent genannt hat, bleibt, wie es ist."
        ),
        "en": (
            "The order is put right as you write below and judged again, completely. What the agent told "
            "stays as it was."
        ),
    },
    "resubmit_with_evidence": {
        "fr": (
            "La preuve donnée dans la réponse ({evidence}) remplace celle de la commande, qui est jugée à nouveau, "
            "entièrement, avec ce que vous corrigez plus bas. Si rien n'est trouvé, le client est interrogé."
        ),
        "nl": (
            "Het bewijs uit het antwoord ({evidence}) komt in de plaats van dat van de bestelling, die opnieuw "
            "volledig beoordeeld wordt, met wat u hieronder verbetert. Is alles in orde, dan wordt de klant gevraagd."
        ),
        "de": (
            "Der Beleg aus der Antwort ({evidence}) tritt an die Stelle dessen im Auftrag, der ganz neu geprüft wird, "
            "mit dem, was Sie unten berichtigen. Wird nichts gefunden, wird der Kunde gefragt."
        ),
        "en": (
            "The evidence of the answer ({evidence}) takes the place of the order's, which is judged again, "
            "completely, with what you put right below. If nothing is found, the customer is asked."
        ),
    },
    "reject": {
        "fr": (
            "La commande est refusée. Rien n'a été fait, rien n'est facturé ; le partenaire l'apprend avec votre motif."
        ),
        "nl": (
            "De bestelling wordt geweigerd. Er is niets gedaan of aangerekend; de partner verneemt het met uw reden."
        ),
        "de": (
            "Der Auftrag wird abgelehnt. Nichts wurde getan oder berechnet; der Partner erfährt es mit Ihrer "
            "Begründung."
        ),
        "en": "The order is refused. Nothing was done or charged; the partner is told, with your reason.",
    },
    "cancel": {
        "fr": "La commande est annulée sans effet ; client et partenaire l'apprennent.",
        "nl": "De bestelling wordt zonder gevolg geannuleerd; klant en partner vernemen het.",
        "de": "Der Auftrag wird ohne Wirkung storniert; Kunde und Partner erfahren es.",
        "en": "The order ends without effect; customer and partner are told.",
    },
    "cancel_on_its_way": {
        "fr": "Le réseau est prié d'arrêter ; une fois confirmé, la commande est annulée.",
        "nl": "Het netwerk wordt gevraagd te stoppen; na bevestiging is de bestelling geannuleerd.",
        "de": "Das Netz wird gebeten anzuhalten; nach Bestätigung ist der Auftrag storniert.",
        "en": "Provisioning is asked to stop; once that is confirmed the order is cancelled.",
    },
    "send_again": {
        "fr": (
            "La commande repart de là où elle s'est arrêtée et est jugée à nouveau ; si le client, interrogé, n'a "
            "pas dit oui, son annulation est redemandée."
        ),
        "nl": (
            "De bestelling gaat verder waar ze stopte en wordt opnieuw beoordeeld; zei de klant op de vraag geen ja, "
            "dan wordt haar annulering opnieuw gevraagd."
        ),
        "de": (
            "Der Auftrag geht dort weiter, wo er anhielt, und wird neu geprüft; hat der Kunde auf die Frage nicht ja "
            "gesagt, wird erneut um Stornierung gebeten."
        ),
        "en": (
            "The order goes on from where it stopped and is judged again; where its customer was asked and did not say "
            "yes, its cancellation is asked for again."
        ),
    },
    "send_message_again": {
        "fr": "{services} : ce qui a échoué (message ou tâche) est refait, puis tout ce qui attend derrière.",
        "nl": "{services}: wat mislukte (bericht of taak) wordt opnieuw gedaan, daarna wat erachter wacht.",
        "de": "{services}: Was fehlschlug (Nachricht oder Aufgabe), wird erneut getan, dann alles dahinter.",
        "en": "{services}: what failed (message or job) is done again, then whatever waits behind it.",
    },
    "set_message_aside": {
        "fr": "{services} : ce qui a échoué n'est jamais fait ; ce qui attend derrière continue.",
        "nl": "{services}: wat mislukte wordt nooit gedaan; wat erachter wacht gaat verder.",
        "de": "{services}: Was fehlschlug, wird nie getan; was dahinter wartet, geht weiter.",
        "en": "{services}: what failed is never done; what waits behind it goes on.",
    },
    "set_aside": {
        "fr": "Le dossier est clos ; rien d'autre ne se passe.",
        "nl": "Het dossier wordt gesloten; verder gebeurt niets.",
        "de": "Der Fall wird geschlossen; sonst geschieht nichts.",
        "en": "The case is closed; nothing else happens.",
    },
    "honour_each": {
        "fr": (
            "Chaque client est interrogé à nouveau, au montant le plus bas de son dossier. Au-dessus du "
            "seuil une seconde personne doit approuver."
        ),
        "nl": (
            "Elke klant wordt opnieuw gevraagd, aan het laagste bedrag van haar dossier. Boven de drempel "
            "moet een tweede persoon goedkeuren."
        ),
        "de": (
            "Jeder Kunde wird erneut gefragt, zum niedrigsten Betrag seines Falls. Über der Grenze muss eine "
            "zweite Person zustimmen."
        ),
        "en": (
            "Each customer is asked again, at the lower amount of her case. Above the set amount a second "
            "reviewer has to approve."
        ),
    },
    "apply_each": {
        "fr": ("Chaque client est interrogé à nouveau, au prix publié de son dossier. Son silence annule la commande."),
        "nl": (
            "Elke klant wordt opnieuw gevraagd, aan de gepubliceerde prijs van haar dossier. Zwijgen "
            "annuleert de bestelling."
        ),
        "de": (
            "Jeder Kunde wird erneut gefragt, zum veröffentlichten Preis seines Falls. Schweigen storniert den Auftrag."
        ),
        "en": "Each customer is asked again, at the published price of her case. Silence cancels the order.",
    },
    "leaves": {
        "fr": "Restera ouvert : {codes}.",
        "nl": "Blijft open: {codes}.",
        "de": "Bleibt offen: {codes}.",
        "en": "Stays open: {codes}.",
    },
}
"""What a decision will do, before it is taken."""

UNFIT: dict[str, dict[str, str]] = {
    "whole-quote": {
        "fr": "une offre annoncée est honorée en entier, pas en partie",
        "nl": "wat meegedeeld werd, wordt als geheel gehonoreerd, niet deels",
        "de": "was genannt wurde, wird als Ganzes eingehalten, nicht in Teilen",
        "en": "a quote is honoured as a whole, not in parts",
    },
    "not-resolved": {
        "fr": "ne résout aucun de ces codes",
        "nl": "lost geen van deze codes op",
        "de": "löst keinen dieser Codes",
        "en": "resolves none of these codes",
    },
    "nothing-waits": {
        "fr": "ni commande ni message n'attend ce dossier",
        "nl": "geen bestelling of bericht wacht op dit dossier",
        "de": "kein Auftrag und keine Nachricht wartet auf diesen Fall",
        "en": "no order and no message waits for this case",
    },
    "order-waits": {
        "fr": "une commande attend ce dossier : annulez-la",
        "nl": "een bestelling wacht op dit dossier: annuleer ze",
        "de": "ein Auftrag wartet auf diesen Fall: stornieren Sie ihn",
        "en": "an order waits for this case: cancel it",
    },
    "job-promised": {
        "fr": "une tâche est un travail promis : renvoyez",
        "nl": "een taak is beloofd werk: stuur opnieuw",
        "de": "eine Aufgabe ist zugesagte Arbeit: erneut senden",
        "en": "a job is work that was promised: send it again",
    },
    "no-price": {
        "fr": "aucun prix n'a pu être établi",
        "nl": "er kon geen prijs worden bepaald",
        "de": "es ließ sich kein Preis bilden",
        "en": "no price could be made",
    },
    "nothing-to-end": {
        "fr": "aucune commande n'attend ce dossier",
        "nl": "geen bestelling wacht op dit dossier",
        "de": "kein Auftrag wartet auf diesen Fall",
        "en": "no order waits for this case",
    },
    "carried-out": {
        "fr": "déjà exécuté : renvoyez",
        "nl": "al uitgevoerd: stuur opnieuw",
        "de": "bereits ausgeführt: erneut senden",
        "en": "carried out already: send it again",
    },
    "may-be-done": {
        "fr": "une partie est peut-être déjà exécutée : renvoyez ou annulez",
        "nl": "een deel is misschien al uitgevoerd: stuur opnieuw of annuleer",
        "de": "ein Teil ist vielleicht schon ausgeführt: erneut senden oder stornieren",
        "en": "a part of it may be done already: send it again, or cancel it",
    },
    "confirmed": {
        "fr": "déjà confirmée par le client : annulez",
        "nl": "al bevestigd door de klant: annuleer",
        "de": "vom Kunden bereits bestätigt: stornieren",
        "en": "confirmed by the customer already: cancel it",
    },
    "asked-already": {
        "fr": "le partenaire a déjà été interrogé",
        "nl": "de partner werd al gevraagd",
        "de": "der Partner wurde bereits gefragt",
        "en": "the partner was asked already",
    },
    "order-not-here": {
        "fr": "la commande n'est pas encore arrivée ici : réessayez",
        "nl": "de bestelling is hier nog niet: probeer opnieuw",
        "de": "der Auftrag ist noch nicht hier: erneut versuchen",
        "en": "the order is not here yet: try again in a moment",
    },
    "no-offer": {
        "fr": "cette commande n'a pas d'offre",
        "nl": "deze bestelling heeft geen aanbod",
        "de": "dieser Auftrag hat kein Angebot",
        "en": "this order has no offer",
    },
    "nothing-changed": {
        "fr": "cela ne change rien à la commande",
        "nl": "dit verandert niets aan de bestelling",
        "de": "das ändert nichts am Auftrag",
        "en": "this changes nothing in the order",
    },
}
"""Why a decision does not fit a case, by the word of `Unfit.why`."""

FAULTS: dict[str, dict[str, str]] = {
    "case.decided": {
        "fr": "Trop tard : {who} a déjà décidé ({decision}). Votre décision n'a pas été prise en compte.",
        "nl": "Te laat: {who} besliste al ({decision}). Met uw beslissing is niets gedaan.",
        "de": "Zu spät: {who} hat bereits entschieden ({decision}). Ihre Entscheidung wurde nicht ausgeführt.",
        "en": "Too late: {who} decided already ({decision}). Nothing was done with your decision.",
    },
    "case.overtaken": {
        "fr": "Trop tard : la commande a avancé entre-temps et le dossier est clos.",
        "nl": "Te laat: de bestelling ging intussen verder en het dossier is gesloten.",
        "de": "Zu spät: Der Auftrag ist inzwischen weitergegangen, der Fall ist geschlossen.",
        "en": "Too late: the order has moved on meanwhile, and the case is closed.",
    },
    "case.own-sale": {
        "fr": "Vous travaillez pour ce partenaire : quelqu'un d'autre doit décider.",
        "nl": "U werkt voor deze partner: iemand anders moet beslissen.",
        "de": "Sie arbeiten für diesen Partner: Jemand anderes muss entscheiden.",
        "en": "You work for this partner: somebody else has to decide.",
    },
    "case.unknown": {
        "fr": "Ce dossier n'existe pas.",
        "nl": "Dit dossier bestaat niet.",
        "de": "Diesen Fall gibt es nicht.",
        "en": "There is no such case.",
    },
    "case.not-awaiting-approval": {
        "fr": "Aucune décision n'attend d'approbation.",
        "nl": "Geen beslissing wacht op goedkeuring.",
        "de": "Keine Entscheidung wartet auf Zustimmung.",
        "en": "No decision waits for approval.",
    },
    "approval.same-reviewer": {
        "fr": "Vous avez décidé vous-même : une autre personne doit approuver.",
        "nl": "U besliste zelf: iemand anders moet goedkeuren.",
        "de": "Sie haben selbst entschieden: Jemand anderes muss zustimmen.",
        "en": "You decided yourself: another reviewer has to approve.",
    },
    "key.unknown": {
        "fr": "Cette clé n'est pas connue ici.",
        "nl": "Deze sleutel is hier niet bekend.",
        "de": "Dieser Schlüssel ist hier nicht bekannt.",
        "en": "This key is not known here.",
    },
    "key.role": {
        "fr": "Cette clé n'est pas celle d'un réviseur.",
        "nl": "Dit is geen sleutel van een beoordelaar.",
        "de": "Dieser Schlüssel gehört keinem Prüfer.",
        "en": "This is not a reviewer's key.",
    },
    "form.forged": {
        "fr": "Ce formulaire ne vient pas d'une page de votre session. Rechargez-la et recommencez.",
        "nl": "Dit formulier komt niet van een pagina van uw sessie. Laad ze opnieuw en herbegin.",
        "de": ("Dieses Formular stammt nicht von einer Seite Ihrer Sitzung. Laden Sie neu und beginnen Sie erneut."),
        "en": "This form does not come from a page of your session. Load it again and start anew.",
    },
    "cursor.unknown": {
        "fr": "Cette page de la liste n'existe pas.",
        "nl": "Deze pagina van de lijst bestaat niet.",
        "de": "Diese Seite der Liste gibt es nicht.",
        "en": "There is no such page of the list.",
    },
}
"""What a page says when something was refused."""
