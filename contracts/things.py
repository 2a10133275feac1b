"""What people call services, devices and levels, in the four languages: the same on pages and in letters."""

from __future__ import annotations

from contracts.customer_v1 import Language

Texts = dict[Language, str]

THINGS: dict[str, Texts] = {
    "internet": {"fr": "Internet", "nl": "Internet", "de": "Internet", "en": "Internet"},
    "tv": {"fr": "Télévision", "nl": "Televisie", "de": "Fernsehen", "en": "Television"},
    "tv-bouquet": {"fr": "Bouquet TV", "nl": "Tv-bouquet", "de": "TV-Paket", "en": "TV bouquet"},
    "telephony": {"fr": "Téléphone fixe", "nl": "Vaste telefonie", "de": "Festnetz", "en": "Telephone"},
    "mobile": {"fr": "Mobile", "nl": "Mobiel", "de": "Mobilfunk", "en": "Mobile"},
    "decoder": {"fr": "Décodeur", "nl": "Decoder", "de": "Decoder", "en": "Decoder"},
    "modem": {"fr": "Modem", "nl": "Modem", "de": "Modem", "en": "Modem"},
    "sim": {"fr": "Carte SIM", "nl": "Simkaart", "de": "SIM-Karte", "en": "SIM card"},
}
"""Services and equipment; a code that is not here is shown as it is."""

LEVELS: dict[str, Texts] = {
    "download": {
        "fr": "{amount} Mbit/s en réception",
        "nl": "{amount} Mbit/s downloaden",
        "de": "{amount} Mbit/s im Download",
        "en": "{amount} Mbit/s download",
    },
    "upload": {
        "fr": "{amount} Mbit/s en émission",
        "nl": "{amount} Mbit/s uploaden",
        "de": "{amount} Mbit/s im Upload",
        "en": "{amount} Mbit/s upload",
    },
    "volume": {
        "fr": "{amount} Go par mois",
        "nl": "{amount} GB per maand",
        "de": "{amount} GB pro Monat",
        "en": "{amount} GB a month",
    },
    "channels": {
        "fr": "{amount} chaînes",
        "nl": "{amount} zenders",
        "de": "{amount} Sender",
        "en": "{amount} channels",
    },
    "minutes": {
        "fr": "{amount} minutes par mois",
        "nl": "{amount} minuten per maand",
        "de": "{amount} Minuten pro Monat",
        "en": "{amount} minutes a month",
    },
    "texts": {
        "fr": "{amount} SMS par mois",
        "nl": "{amount} sms'en per maand",
        "de": "{amount} SMS pro Monat",
        "en": "{amount} texts a month",
    },
}
"""Levels of services; one that is not here is shown with its own name."""
