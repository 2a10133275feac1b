"""Whether a text that travels on topics tells who or where a person is: personal data has a topic of its own; pure."""

from __future__ import annotations

import re
from unicodedata import combining, normalize

from contracts.personal import has_email, reaches_somebody, without_dates

SHORTEST_PART = 3
"""Parts of a name with fewer letters say nobody's name alone: "An" is an article, too."""

PARTICLES = frozenset({"van", "von", "den", "der", "des", "del", "della", "dos", "les", "ten", "ter", "zum", "zur"})
"""Parts of surnames that are words of every other sentence."""

STREET = re.compile(
    r"\b(?:rue|avenue|chaussee|boulevard)\s+(?:[^\W\d_]+[\s'.-]+){0,5}[^\W\d_]+[\s,]+\d"
    r"|\b[^\W\d_]+(?:straat|laan|steenweg|strasse|allee)\s+\d"
)
"""A street with a number, in words that were folded."""

BELGIUM = "32"
NATIONAL_DIGITS = 9
FEWEST_DIGITS = 6

_LIGATURES = str.maketrans({"œ": "oe", "æ": "ae", "ø": "o", "ł": "l", "đ": "d"})


def is_personal(words: str, name: str = "", phone: str = "") -> bool:
    """Whether words hold an e-mail address, a street, a telephone number, or the customer's own name or number."""
    return (
        reaches_somebody(words)
        or STREET.search(folded(words)) is not None
        or _has_number(without_dates(words), phone)
        or _names(words, name)
    )


def identifies(reference: str, phone: str) -> bool:
    """Whether an id that a partner chose holds an e-mail address or the customer's own number; it may look like one."""
    return has_email(reference) or _has_number(reference, phone)


def folded(text: str) -> str:
    """A text without capitals and accents."""
    plain = normalize("NFKD", text.casefold().translate(_LIGATURES))
    return "".join(each for each in plain if not combining(each))


def _names(words: str, name: str) -> bool:
    """Whether whole words are a part of a name that says something alone, or all of it, in either order."""
    said, parts = _words(words), _words(name)
    if any(len(part) >= SHORTEST_PART and part not in PARTICLES and part in said for part in parts):
        return True
    wholes = (parts, parts[::-1]) if parts else ()
    return any(said[at : at + len(parts)] == whole for whole in wholes for at in range(len(said)))


def _words(text: str) -> list[str]:
    return re.findall(r"[^\W_]+", folded(text))


def _has_number(text: str, phone: str) -> bool:
    """Whether the digits of a number as it is dialled at home are in a text, however they are set apart there."""
    digits = _digits(phone)
    home = digits.removeprefix(BELGIUM) if digits.startswith(BELGIUM) else digits[-NATIONAL_DIGITS:]
    return len(home) >= FEWEST_DIGITS and home in _digits(text)


def _digits(text: str) -> str:
    return "".join(each for each in text if each.isdecimal())
