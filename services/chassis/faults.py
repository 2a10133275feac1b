"""Faults of what came in at a door, in the four languages of those who read them."""

from __future__ import annotations

import re
from typing import TypedDict

LANGUAGES = ("fr", "nl", "de", "en")

_TEXTS: dict[str, dict[str, str]] = {
    "missing": {
        "fr": "ce champ est obligatoire",
        "nl": "dit veld is verplicht",
        "de": "dieses Feld ist erforderlich",
        "en": "this field is required",
    },
    "extra_forbidden": {
        "fr": "ce champ est inconnu",
        "nl": "dit veld is onbekend",
        "de": "dieses Feld ist unbekannt",
        "en": "this field is unknown",
    },
    "int_type": {
        "fr": "un nombre entier de centimes est attendu, sans décimales ni guillemets",
        "nl": "een geheel aantal cent wordt verwacht, zonder decimalen of aanhalingstekens",
        "de": "eine ganze Zahl in Cent wird erwartet, ohne Nachkommastellen oder Anführungszeichen",
        "en": "a whole number of minor units is expected, without decimals or quotes",
    },
    "string_type": {
        "fr": "un texte est attendu",
        "nl": "een tekst wordt verwacht",
        "de": "ein Text wird erwartet",
        "en": "a text is expected",
    },
    "string_pattern_mismatch": {
        "fr": "ce texte n'a pas la forme attendue",
        "nl": "deze tekst heeft niet de verwachte vorm",
        "de": "dieser Text hat nicht die erwartete Form",
        "en": "this text is not of the expected form",
    },
    "string_too_short": {
        "fr": "ce texte est trop court",
        "nl": "deze tekst is te kort",
        "de": "dieser Text ist zu kurz",
        "en": "this text is too short",
    },
    "string_too_long": {
        "fr": "ce texte est trop long",
        "nl": "deze tekst is te lang",
        "de": "dieser Text ist zu lang",
        "en": "this text is too long",
    },
    "datetime": {
        "fr": "une date et heure avec fuseau est attendue, par exemple 2026-11-20T13:57:00Z",
        "nl": "een datum en uur met tijdzone wordt verwacht, bijvoorbeeld 2026-11-20T13:57:00Z",
        "de": "Datum und Uhrzeit mit Zeitzone werden erwartet, zum Beispiel 2026-11-20T13:57:00Z",
        "en": "a date and time with a time zone is expected, for example 2026-11-20T13:57:00Z",
    },
    "choice": {
        "fr": "cette valeur n'est pas permise ici",
        "nl": "deze waarde is hier niet toegestaan",
        "de": "dieser Wert ist hier nicht erlaubt",
        "en": "this value is not allowed here",
    },
    "number_range": {
        "fr": "ce nombre est hors limites",
        "nl": "dit getal valt buiten de grenzen",
        "de": "diese Zahl liegt außerhalb der Grenzen",
        "en": "this number is out of range",
    },
    "object": {
        "fr": "un objet JSON est attendu",
        "nl": "een JSON-object wordt verwacht",
        "de": "ein JSON-Objekt wird erwartet",
        "en": "a JSON object is expected",
    },
    "list": {
        "fr": "une liste est attendue",
        "nl": "een lijst wordt verwacht",
        "de": "eine Liste wird erwartet",
        "en": "a list is expected",
    },
    "list_length": {
        "fr": "cette liste est trop longue ou trop courte",
        "nl": "deze lijst is te lang of te kort",
        "de": "diese Liste ist zu lang oder zu kurz",
        "en": "this list is too long or too short",
    },
    "json.invalid": {
        "fr": "ce n'est pas du JSON",
        "nl": "dit is geen JSON",
        "de": "das ist kein JSON",
        "en": "this is not JSON",
    },
    "field.not-here": {
        "fr": "ce champ ne va pas avec cette action",
        "nl": "dit veld past niet bij deze actie",
        "de": "dieses Feld passt nicht zu dieser Aktion",
        "en": "this field does not go with this action",
    },
    "quote.without-monthly": {
        "fr": "le prix mensuel annoncé (monthly_total) ou sa variation (monthly_change) est obligatoire",
        "nl": "de meegedeelde maandprijs (monthly_total) of het verschil (monthly_change) is verplicht",
        "de": "der genannte Monatspreis (monthly_total) oder die Änderung (monthly_change) ist erforderlich",
        "en": "the monthly price told (monthly_total) or its change (monthly_change) is required",
    },
    "webhook.address": {
        "fr": "une adresse https joignable depuis Internet est attendue, sans nom ni mot de passe",
        "nl": "een https-adres dat via internet bereikbaar is, wordt verwacht, zonder naam of wachtwoord",
        "de": "eine aus dem Internet erreichbare https-Adresse wird erwartet, ohne Namen oder Passwort",
        "en": "an https address that can be reached from the Internet is expected, without a name or password",
    },
    "reason.blank": {
        "fr": "dites pourquoi : c'est conservé et montré",
        "nl": "zeg waarom: het wordt bewaard en getoond",
        "de": "sagen Sie warum: es wird aufbewahrt und gezeigt",
        "en": "say why: it is kept and shown",
    },
    "reason.personal": {
        "fr": "une adresse e-mail ou un numéro de téléphone s'y trouve ; un motif est publié, sans rien de personnel",
        "nl": "er staat een e-mailadres of telefoonnummer in; een reden wordt gepubliceerd, zonder iets persoonlijks",
        "de": "eine E-Mail-Adresse oder Telefonnummer steht darin; ein Grund wird veröffentlicht, ohne Persönliches",
        "en": "an e-mail address or a telephone number is in it; a reason is published, where nothing personal may go",
    },
    "removal.unknown": {
        "fr": "ce retrait est inconnu, et n'est ni level:<service> ni un numéro de téléphone",
        "nl": "deze schrapping is onbekend, en is geen level:<dienst> of telefoonnummer",
        "de": "dieser Wegfall ist unbekannt, und weder level:<Dienst> noch eine Telefonnummer",
        "en": "this removal is unknown, and neither level:<service> nor a telephone number",
    },
    "bool_type": {
        "fr": "true ou false est attendu",
        "nl": "true of false wordt verwacht",
        "de": "true oder false wird erwartet",
        "en": "true or false is expected",
    },
    "code.unknown": {
        "fr": "le dossier n'a pas ce code",
        "nl": "het dossier heeft deze code niet",
        "de": "der Fall hat diesen Code nicht",
        "en": "the case has no such code",
    },
    "corrections.missing": {
        "fr": "dites ce qui est à corriger",
        "nl": "zeg wat er verbeterd wordt",
        "de": "sagen Sie, was berichtigt wird",
        "en": "say what is put right",
    },
    "corrections.unexpected": {
        "fr": "seule correct_and_resubmit corrige quelque chose",
        "nl": "alleen correct_and_resubmit verbetert iets",
        "de": "nur correct_and_resubmit berichtigt etwas",
        "en": "only correct_and_resubmit puts something right",
    },
    "text.personal": {
        "fr": "dites-le sans noms, adresses ni numéros de personnes",
        "nl": "zeg het zonder namen, adressen of nummers van personen",
        "de": "sagen Sie es ohne Namen, Adressen und Nummern von Personen",
        "en": "say it without names, addresses and numbers of people",
    },
    "reference.personal": {
        "fr": "une référence ne contient ni adresse e-mail ni le numéro de téléphone du client",
        "nl": "een referentie bevat geen e-mailadres en niet het telefoonnummer van de klant",
        "de": "eine Referenz enthält weder eine E-Mail-Adresse noch die Telefonnummer des Kunden",
        "en": "a reference holds no e-mail address, nor the customer's telephone number",
    },
    "action.not-available": {
        "fr": "cette action n'est pas encore disponible",
        "nl": "deze actie is nog niet beschikbaar",
        "de": "diese Aktion ist noch nicht verfügbar",
        "en": "this action is not available yet",
    },
}

_SAME_TEXT = {
    "int_parsing": "int_type",
    "int_from_float": "int_type",
    "literal_error": "choice",
    "enum": "choice",
    "timezone_aware": "datetime",
    "timezone_naive": "datetime",
    "datetime_type": "datetime",
    "datetime_parsing": "datetime",
    "datetime_from_date_parsing": "datetime",
    "greater_than_equal": "number_range",
    "less_than_equal": "number_range",
    "model_type": "object",
    "model_attributes_type": "object",
    "too_long": "list_length",
    "too_short": "list_length",
    "dict_type": "object",
    "tuple_type": "list",
    "list_type": "list",
    "json_invalid": "json.invalid",
}


_OF_A_LIST = frozenset({"choice", "code.unknown", "removal.unknown"})
_QUOTED = re.compile("'([^']+)'")
_ALLOWED = {"fr": " ; permis : ", "nl": "; toegestaan: ", "de": "; erlaubt: ", "en": "; allowed: "}


class Fault(TypedDict):
    """One fault of a request: where (JSON pointer), a stable code, and what to do about it."""

    pointer: str
    code: str
    detail: str


def translated(pointer: str, code: str, fallback: str, language: str) -> Fault:
    """Return a fault in a language; a code without a translation says its fallback, in English.

    Where one of a list is expected the values are named, as pydantic quotes them in `fallback`.
    """
    name = _SAME_TEXT.get(code, code)
    texts = _TEXTS.get(name)
    allowed = _QUOTED.findall(fallback) if name in _OF_A_LIST else []
    listed = _ALLOWED[language] + ", ".join(allowed) if allowed else ""
    return Fault(pointer=pointer, code=code, detail=texts[language] + listed if texts else fallback)


def preferred_language(accept_language: str) -> str:
    """Return the first of our languages that an Accept-Language header asks for (RFC 9110), else English."""
    ranked = sorted(enumerate(accept_language.lower().split(",")), key=lambda each: (-_quality(each[1]), each[0]))
    for _, item in ranked:
        language = item.split(";")[0].strip()[:2]
        if language in LANGUAGES:
            return language
    return "en"


def _quality(item: str) -> float:
    _, _, weight = item.partition(";q=")
    try:
        return float(weight) if weight else 1.0
    except ValueError:
        return 0.0
