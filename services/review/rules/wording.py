"""What may not stand in words that go onto topics: where to reach a person; pure.

Review knows no customer, so it cannot look for a name; an address or a number is known by its form.
"""

from __future__ import annotations

import re

_DATE_OR_AMOUNT = re.compile(
    r"(?<![\d./,])(?:\d{1,2}([./-])\d{1,2}\1(?:19|20)\d\d|(?:19|20)\d\d-\d\d-\d\d|[+-]?\d{1,4}[.,]\d\d)(?![./,]?\d)"
)
_EMAIL = re.compile(r"\S@\S+\.\S")
_TELEPHONE = re.compile(
    r"(?<![\w.,/-])(?:"
    r"\+(?:[ ./()-]*\d){8,15}"  # international
    r"|\(?0(?:[ ./()-]*\d){8,13}"  # national, or with 00 in place of +
    r")(?!\w)"
)


def reaches_somebody(words: str) -> bool:
    """Whether an e-mail address or a telephone number stands in words; dates and amounts are none."""
    return bool(_EMAIL.search(words) or _TELEPHONE.search(_DATE_OR_AMOUNT.sub(" x ", words)))
