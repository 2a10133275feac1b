"""What fields, channels and actions of an order are called, in the four languages."""

from services.review.pages.texts import TEXTS

FIELDS: dict[str, dict[str, str]] = {
    "action": TEXTS["action"],
    "after": TEXTS["queue"],
    "agent": TEXTS["agent"],
    "channel": TEXTS["channel"],
    "codes": TEXTS["code"],
    "customer": TEXTS["customer"],
    "decision": TEXTS["decision"],
    "evidence": TEXTS["evidence"],
    "monthly_change": TEXTS["change"],
    "monthly_total": TEXTS["total"],
    "offer": TEXTS["offer"],
    "one_off": TEXTS["one_off"],
    "owner": TEXTS["owner"],
    "promotion": TEXTS["promotion"],
    "removals": TEXTS["removals"],
    "reverses": TEXTS["order"],
    "sold_at": TEXTS["sold_at"],
    "state": TEXTS["state"],
    "subscription_id": TEXTS["subscription"],
    "quote": {
        "fr": "Ce qui a été annoncé",
        "nl": "Wat meegedeeld werd",
        "de": "Was genannt wurde",
        "en": "What was told",
    },
    "email": {"fr": "Adresse e-mail", "nl": "E-mailadres", "de": "E-Mail-Adresse", "en": "E-mail address"},
    "phone": {"fr": "Téléphone", "nl": "Telefoonnummer", "de": "Telefonnummer", "en": "Telephone number"},
    "reason": {"fr": "Motif", "nl": "Reden", "de": "Begründung", "en": "Reason"},
    "corrections": {"fr": "Corrections", "nl": "Verbeteringen", "de": "Berichtigungen", "en": "Corrections"},
}
"""By the part of a pointer that names a field."""

VALUES: dict[str, dict[str, str]] = {
    "add": {"fr": "nouvel abonnement", "nl": "nieuw abonnement", "de": "neuer Anschluss", "en": "new subscription"},
    "modify": {"fr": "modification", "nl": "wijziging", "de": "Änderung", "en": "change"},
    "terminate": {"fr": "résiliation", "nl": "opzegging", "de": "Kündigung", "en": "termination"},
    "reverse": {"fr": "retour en arrière", "nl": "terugdraaiing", "de": "Rückabwicklung", "en": "reversal"},
    "telesales": {"fr": "vente par téléphone", "nl": "telefonische verkoop", "de": "Telefonverkauf", "en": "telesales"},
    "shop": {"fr": "boutique", "nl": "winkel", "de": "Laden", "en": "shop"},
    "desk": {"fr": "service client", "nl": "klantendienst", "de": "Kundendienst", "en": "service desk"},
}
"""Actions and channels."""
