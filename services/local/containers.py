"""Prepares the stack of compose.yaml before its services start: databases and roles, keys, the clock, stack.json.

Runs at each start, to its end; what is there already stays. Its folder is made of volumes:

    stack.json, secrets.json    for the command `asquoted` alone
    clock/clock.json            the business time, read by every service
    SERVICE/environment         what that service alone may know, as a shell reads it
"""

from __future__ import annotations

import argparse
import asyncio
import json
import shlex
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import asyncpg

from contracts.topics import SERVICES
from services.local.stack import (
    DEFAULT_START,
    PORTS,
    describe,
    keep_secrets,
    make_databases,
    secret_environment,
    start_clock,
)

PORT = 8000
"""Where each container but intake's listens for HTTP."""
SMTP_PORT = 1025
REAL_TIME = "real"


def addresses(intake_port: int) -> dict[str, str]:
    """Host and port of everything, as containers see each other.

    Intake's port is the same inside and outside: the links in mails name it, for a browser outside and the demo inside.
    """
    at = {name: f"{name}:{PORT}" for name in PORTS}
    return at | {"intake": f"intake:{intake_port}", "smtp": f"mail:{SMTP_PORT}"}


def write_environments(folder: Path, databases: dict[str, str], kept: dict[str, Any]) -> None:
    """Write for each service what it alone may know."""
    for service in SERVICES:
        values = secret_environment(service, databases, kept)
        exports = (f"export {name}={shlex.quote(value)}\n" for name, value in values.items())
        _write(folder / service / "environment", "".join(exports))


def _write(file: Path, text: str) -> None:
    """A file that only we, and containers with the same user, can read."""
    file.parent.mkdir(parents=True, exist_ok=True)
    file.touch(mode=0o600)
    file.write_text(text)


async def close_superuser(server: str) -> None:
    """Let PostgreSQL's superuser in by the server's own socket only: the password of its image is no secret."""
    connection: Any = await asyncpg.connect(server)
    try:
        await connection.execute("ALTER ROLE CURRENT_USER PASSWORD NULL")
    finally:
        await connection.close()


def _start(text: str) -> datetime:
    return datetime.now(UTC) if text == REAL_TIME else datetime.fromisoformat(text)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="services.local.containers", description=__doc__)
    parser.add_argument("--folder", type=Path, required=True, help="the volume")
    parser.add_argument("--server", required=True, help="URL of PostgreSQL's superuser, over its socket")
    parser.add_argument("--postgres", default="postgres:5432", help="host and port of PostgreSQL for the services")
    parser.add_argument("--kafka", default="kafka:9092", help="host and port of Kafka")
    parser.add_argument("--intake-port", type=int, required=True, help="where intake listens, inside and outside")
    parser.add_argument("--start", type=_start, default=DEFAULT_START, help=f"business time begins, or {REAL_TIME}")
    return parser.parse_args()


def main() -> None:
    """Make what is missing, and end."""
    options = _options()
    folder: Path = options.folder
    asyncio.run(close_superuser(options.server))
    kept = keep_secrets(folder / "secrets.json")
    start_clock(folder / "clock" / "clock.json", options.start)
    databases = make_databases(options.server, kept["databases"], options.postgres)
    write_environments(folder, databases, kept)
    description = describe(options.kafka, databases, addresses(options.intake_port), kept)
    _write(folder / "stack.json", json.dumps(description | {"clock": "clock/clock.json"}, indent=2))


if __name__ == "__main__":
    main()
