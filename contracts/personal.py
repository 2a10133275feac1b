"""What an e-mail address and a telephone number look like in words: personal data has a topic of its own; pure.

They are known by their form, so that whoever knows no customer finds them, too.
"""

from __future__ import annotations

import re

_AT = r"(?:@|[(\[{]\s*(?:at|arobase|apenstaartje)\s*[)\]}])"
_DOT = r"(?:\.|[(\[{]\s*(?:dot|point|punt|punkt)\s*[)\]}])"
_EMAIL = re.compile(
    rf"[^\s@]\s*{_AT}\s*[\w-]+(?:\s*{_DOT}\s*[\w-]+)*\s*{_DOT}\s*[^\W\d_]{{2,}}"
    r"|\S@\[[\d.]+\]",  # a server by its number
    re.IGNORECASE,
)
_DATE = re.compile(
    r"(?<![\d./,])(?:\d{1,2}([./-])\d{1,2}\1(?:19|20)\d\d|(?:19|20)\d\d([./-])\d{1,2}\2\d{1,2})(?![./,]?\d)"
)
_AMOUNT = re.compile(
    r"(?<![\d./,])[+-]?\d{1,4}[.,]\d\d(?![./,]?\d)"
    r"|(?<![\d+(.,/-])(?<!\d )\d{4}(?: \d{4}){2,}(?! ?\d)"  # cents beside each other: no number is set in fours alone
)
_APART = r"[ \u00a0\u202f./()\u2013-]{0,3}"
_TELEPHONE = re.compile(rf"(?<![\w.,/-])(?:\+|\(?0)(?:{_APART}\d){{8,15}}(?!\w)")
"""From a trunk or country prefix on, at least nine digits with a nought, eight with a plus."""


def has_email(words: str) -> bool:
    """Whether an e-mail address stands in words, with its signs or with `(at)` and `[dot]`."""
    return _EMAIL.search(words) is not None


def has_telephone(words: str) -> bool:
    """Whether a telephone number stands in words, from `+`, `00` or `0` on; dates and amounts are none."""
    return _TELEPHONE.search(_AMOUNT.sub(" x ", without_dates(words))) is not None


def without_dates(words: str) -> str:
    """Words whose dates are no digits any more."""
    return _DATE.sub(" x ", words)


def reaches_somebody(words: str) -> bool:
    """Whether an e-mail address or a telephone number stands in words."""
    return has_email(words) or has_telephone(words)
