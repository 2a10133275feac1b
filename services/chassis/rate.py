"""How often a holder of a key may come in: a bucket for each, in the memory of this process."""

from __future__ import annotations

import math
import time

from services.chassis.http import Problem


class Rate:
    """Lets holders in so many times a second, and twice as many times at once."""

    def __init__(self) -> None:
        """Nobody has come in yet."""
        self._left: dict[str, tuple[float, float]] = {}

    def take(self, holder: str, per_second: int) -> None:
        """Let a holder in once; 0: any number of times. Raises Problem 429 that says when to come back."""
        if not per_second:
            return
        now, most = time.monotonic(), 2.0 * per_second
        left, since = self._left.get(holder, (most, now))
        left = min(most, left + (now - since) * per_second)
        if left < 1:
            seconds = math.ceil((1 - left) / per_second)
            detail = f"more than {per_second} requests a second: come back in {seconds} s"
            raise Problem(429, "requests.too-many", detail, headers={"Retry-After": str(seconds)})
        self._left[holder] = left - 1, now
