"""What reason codes, states and decisions mean to a reviewer, in the four languages."""

CODES: dict[str, dict[str, str]] = {
    "price.monthly": {
        "fr": "prix mensuel annoncé différent du prix publié",
        "nl": "meegedeelde maandprijs verschilt van de gepubliceerde",
        "de": "genannter Monatspreis weicht vom veröffentlichten ab",
        "en": "monthly price told differs from the published one",
    },
    "price.change": {
        "fr": "variation mensuelle annoncée différente",
        "nl": "meegedeeld maandverschil klopt niet",
        "de": "genannte monatliche Änderung weicht ab",
        "en": "monthly change told differs from the published one",
    },
    "price.one-off": {
        "fr": "frais uniques annoncés différents",
        "nl": "meegedeelde eenmalige kosten kloppen niet",
        "de": "genannte einmalige Kosten weichen ab",
        "en": "one-off price told differs",
    },
    "price.promotion": {
        "fr": "promotion annoncée différente de la publiée",
        "nl": "meegedeelde promotie verschilt van de gepubliceerde",
        "de": "genannte Aktion weicht von der veröffentlichten ab",
        "en": "promotion told differs from the published one",
    },
    "price.currency": {
        "fr": "mauvaise devise",
        "nl": "verkeerde munt",
        "de": "falsche Währung",
        "en": "wrong currency",
    },
    "price.missing": {"fr": "prix inconnu", "nl": "prijs onbekend", "de": "Preis unbekannt", "en": "no price is known"},
    "quote.changed": {
        "fr": "un autre prix a été annoncé auparavant",
        "nl": "eerder werd een andere prijs meegedeeld",
        "de": "zuvor wurde ein anderer Preis genannt",
        "en": "another price was told before",
    },
    "quote.disputed": {
        "fr": "le client dit : pas ce qu'on m'a annoncé",
        "nl": "de klant zegt: niet wat mij gezegd werd",
        "de": "der Kunde sagt: nicht, was mir gesagt wurde",
        "en": "the customer says: not what I was told",
    },
    "offer.unknown": {
        "fr": "offre inconnue",
        "nl": "onbekend aanbod",
        "de": "unbekanntes Angebot",
        "en": "unknown offer",
    },
    "offer.not-on-sale": {
        "fr": "offre pas en vente à ce moment",
        "nl": "aanbod toen niet te koop",
        "de": "Angebot damals nicht im Verkauf",
        "en": "offer was not on sale at that moment",
    },
    "offer.not-for-channel": {
        "fr": "offre pas vendue par ce canal",
        "nl": "aanbod niet via dit kanaal",
        "de": "Angebot nicht für diesen Kanal",
        "en": "offer is not sold in this channel",
    },
    "sale.backdated": {
        "fr": "date de vente hors délai",
        "nl": "verkoopdatum buiten de termijn",
        "de": "Verkaufsdatum außerhalb der Frist",
        "en": "sale dated outside the allowed time",
    },
    "channel.not-allowed": {
        "fr": "canal non autorisé pour ce partenaire",
        "nl": "kanaal niet toegelaten voor deze partner",
        "de": "Kanal diesem Partner nicht erlaubt",
        "en": "channel not allowed for this partner",
    },
    "agent.unknown": {
        "fr": "agent inconnu chez ce partenaire",
        "nl": "agent onbekend bij deze partner",
        "de": "Agent bei diesem Partner unbekannt",
        "en": "agent not registered for this partner",
    },
    "agent.watched": {
        "fr": "agent sous surveillance",
        "nl": "agent onder toezicht",
        "de": "Agent unter Beobachtung",
        "en": "agent is being watched",
    },
    "subscription.unknown": {
        "fr": "abonnement inconnu pour ce client",
        "nl": "abonnement onbekend voor deze klant",
        "de": "Anschluss für diesen Kunden unbekannt",
        "en": "subscription is not this customer's",
    },
    "subscription.exists": {
        "fr": "le client a déjà ces services",
        "nl": "de klant heeft deze diensten al",
        "de": "der Kunde hat diese Dienste bereits",
        "en": "customer has these services already",
    },
    "contact.unverified": {
        "fr": "contact différent de celui du dossier",
        "nl": "contact verschilt van het dossier",
        "de": "Kontakt weicht von den Unterlagen ab",
        "en": "contact differs from the one on file",
    },
    "services.lost": {
        "fr": "des services disparaîtraient sans être nommés",
        "nl": "diensten zouden ongenoemd verdwijnen",
        "de": "Dienste gingen ungenannt verloren",
        "en": "services would be lost that the order does not name",
    },
    "removals.excess": {
        "fr": "l'ordre retire ce qui n'est pas perdu",
        "nl": "de bestelling schrapt wat niet verdwijnt",
        "de": "der Auftrag nennt zu viel als entfallend",
        "en": "order names removals that are none",
    },
    "order.conflict": {
        "fr": "une autre commande est en cours",
        "nl": "een andere bestelling is bezig",
        "de": "ein anderer Auftrag läuft",
        "en": "another order is in the way",
    },
    "order.overdue": {
        "fr": "commande trop longtemps au même point",
        "nl": "bestelling staat te lang stil",
        "de": "Auftrag steht zu lange still",
        "en": "order stayed too long where it was",
    },
    "evidence.missing": {
        "fr": "preuve manquante",
        "nl": "bewijs ontbreekt",
        "de": "Beleg fehlt",
        "en": "evidence is missing",
    },
    "evidence.reused": {
        "fr": "preuve déjà utilisée",
        "nl": "bewijs al gebruikt",
        "de": "Beleg schon verwendet",
        "en": "evidence was used before",
    },
    "reversal.superseded": {
        "fr": "annulation dépassée par une commande ultérieure",
        "nl": "terugdraaiing achterhaald door latere bestelling",
        "de": "Rückabwicklung durch späteren Auftrag überholt",
        "en": "reversal superseded by a later order",
    },
    "reversal.too-late": {
        "fr": "annulation trop tardive",
        "nl": "terugdraaiing te laat",
        "de": "Rückabwicklung zu spät",
        "en": "reversal is too late",
    },
    "provisioning.failed": {
        "fr": "le réseau a refusé",
        "nl": "het netwerk weigerde",
        "de": "das Netz hat abgelehnt",
        "en": "the network refused",
    },
    "billing.mismatch": {
        "fr": "la facturation trouve un autre prix",
        "nl": "facturatie vindt een andere prijs",
        "de": "die Abrechnung findet einen anderen Preis",
        "en": "billing finds another price",
    },
    "notice.undeliverable": {
        "fr": "message non remis au client",
        "nl": "bericht niet bezorgd",
        "de": "Nachricht nicht zustellbar",
        "en": "notice could not be delivered",
    },
    "message.unreadable": {
        "fr": "message illisible",
        "nl": "onleesbaar bericht",
        "de": "unlesbare Nachricht",
        "en": "message cannot be read",
    },
    "message.unhandled": {
        "fr": "message non traité",
        "nl": "niet verwerkt bericht",
        "de": "nicht verarbeitete Nachricht",
        "en": "message could not be handled",
    },
    "message.missing": {
        "fr": "message manquant",
        "nl": "ontbrekend bericht",
        "de": "fehlende Nachricht",
        "en": "a message never came",
    },
}

STATES: dict[str, dict[str, str]] = {
    "open": {"fr": "ouvert", "nl": "open", "de": "offen", "en": "open"},
    "awaiting_partner": {
        "fr": "attend le partenaire",
        "nl": "wacht op de partner",
        "de": "wartet auf den Partner",
        "en": "waits for the partner",
    },
    "awaiting_approval": {
        "fr": "attend une seconde personne",
        "nl": "wacht op een tweede persoon",
        "de": "wartet auf eine zweite Person",
        "en": "waits for a second reviewer",
    },
    "decided": {"fr": "décidé", "nl": "beslist", "de": "entschieden", "en": "decided"},
    "applied": {"fr": "appliqué", "nl": "toegepast", "de": "angewandt", "en": "applied"},
    "overtaken": {"fr": "dépassé", "nl": "achterhaald", "de": "überholt", "en": "overtaken"},
}

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
        "fr": "Le client est interrogé à nouveau, à {quoted} par mois au lieu de {published} : {difference} de moins sur douze mois.",
        "nl": "De klant wordt opnieuw gevraagd, aan {quoted} per maand in plaats van {published}: {difference} minder over twaalf maanden.",
        "de": "Der Kunde wird erneut gefragt, zu {quoted} im Monat statt {published}: {difference} weniger in zwölf Monaten.",
        "en": "The customer is asked again, at {quoted} a month instead of {published}: {difference} less over twelve months.",
    },
    "needs_approval": {
        "fr": "Une seconde personne doit approuver ; d'ici là rien ne se passe.",
        "nl": "Een tweede persoon moet goedkeuren; tot dan gebeurt niets.",
        "de": "Eine zweite Person muss zustimmen; bis dahin geschieht nichts.",
        "en": "A second reviewer has to approve; until then nothing happens.",
    },
    "apply_published_price": {
        "fr": "Le client est interrogé à nouveau, au prix publié de {published} par mois. Son silence annule la commande.",
        "nl": "De klant wordt opnieuw gevraagd, aan de gepubliceerde prijs van {published} per maand. Zwijgen annuleert de bestelling.",
        "de": "Der Kunde wird erneut gefragt, zum veröffentlichten Preis von {published} im Monat. Schweigen storniert den Auftrag.",
        "en": "The customer is asked again, at the published price of {published} a month. Silence cancels the order.",
    },
    "ask_partner": {
        "fr": "{partner} reçoit votre motif comme question et a jusqu'au {until} pour répondre. La commande reste retenue ; sans réponse le dossier revient ici.",
        "nl": "{partner} krijgt uw reden als vraag en heeft tot {until} om te antwoorden. De bestelling blijft staan; zonder antwoord komt het dossier terug.",
        "de": "{partner} erhält Ihre Begründung als Frage und hat bis {until} Zeit. Der Auftrag bleibt angehalten; ohne Antwort kommt der Fall zurück.",
        "en": "{partner} gets your reason as a question and has until {until} to answer. The order stays held; without an answer the case comes back.",
    },
    "correct_and_resubmit": {
        "fr": "La commande est corrigée comme indiqué plus bas et jugée à nouveau, entièrement. Ce que l'agent a annoncé reste tel quel.",
        "nl": "De bestelling wordt verbeterd zoals hieronder en opnieuw volledig beoordeeld. Wat de agent meedeelde, blijft zoals het is.",
        "de": "Der Auftrag wird wie unten berichtigt und ganz neu geprüft. Was der Agent genannt hat, bleibt, wie es ist.",
        "en": "The order is put right as you write below and judged again, completely. What the agent told stays as it was.",
    },
    "reject": {
        "fr": "La commande est refusée. Rien n'a été fait, rien n'est facturé ; le partenaire l'apprend avec votre motif.",
        "nl": "De bestelling wordt geweigerd. Er is niets gedaan of aangerekend; de partner verneemt het met uw reden.",
        "de": "Der Auftrag wird abgelehnt. Nichts wurde getan oder berechnet; der Partner erfährt es mit Ihrer Begründung.",
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
        "fr": "La commande repart de là où elle s'est arrêtée et est jugée à nouveau.",
        "nl": "De bestelling gaat verder waar ze stopte en wordt opnieuw beoordeeld.",
        "de": "Der Auftrag geht dort weiter, wo er anhielt, und wird neu geprüft.",
        "en": "The order goes on from where it stopped and is judged again.",
    },
    "send_message_again": {
        "fr": "{services} : le message est traité à nouveau, puis tout ce qui attend derrière lui.",
        "nl": "{services}: het bericht wordt opnieuw verwerkt, daarna wat erachter wacht.",
        "de": "{services}: Die Nachricht wird erneut verarbeitet, dann alles, was dahinter wartet.",
        "en": "{services}: the message is handled again, then whatever waits behind it.",
    },
    "set_message_aside": {
        "fr": "{services} : le message n'est jamais traité ; ce qui attend derrière lui continue.",
        "nl": "{services}: het bericht wordt nooit verwerkt; wat erachter wacht gaat verder.",
        "de": "{services}: Die Nachricht wird nie verarbeitet; was dahinter wartet, geht weiter.",
        "en": "{services}: the message is never handled; what waits behind it goes on.",
    },
    "set_aside": {
        "fr": "Le dossier est clos ; rien d'autre ne se passe.",
        "nl": "Het dossier wordt gesloten; verder gebeurt niets.",
        "de": "Der Fall wird geschlossen; sonst geschieht nichts.",
        "en": "The case is closed; nothing else happens.",
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
        "de": "Dieses Formular stammt nicht von einer Seite Ihrer Sitzung. Laden Sie neu und beginnen Sie erneut.",
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
