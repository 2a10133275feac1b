"""HTTP calls to the outside: one session per process, which keeps connections open between calls."""

from __future__ import annotations

import asyncio
from weakref import WeakKeyDictionary

import aiohttp

_sessions: WeakKeyDictionary[asyncio.AbstractEventLoop, aiohttp.ClientSession] = WeakKeyDictionary()


def session() -> aiohttp.ClientSession:
    """Return the session of this process; what is outside is reached directly, whatever proxy the machine has."""
    loop = asyncio.get_running_loop()
    known = _sessions.get(loop)
    if known is None or known.closed:
        known = _sessions[loop] = aiohttp.ClientSession(trust_env=False, connector=aiohttp.TCPConnector(limit=0))
    return known


async def close() -> None:
    """Close what is open."""
    known = _sessions.pop(asyncio.get_running_loop(), None)
    if known is not None:
        await known.close()
