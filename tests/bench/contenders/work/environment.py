"""What a contender's process is told, and what it makes at its start: its database, its topics, its HTTP server."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from dataclasses import replace

import asyncpg
import uvicorn
from fastapi import FastAPI
from pydantic_settings import BaseSettings
from sqlalchemy import Table, text
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlmodel import SQLModel

from contracts.topics import BY_NAME
from services.chassis.broker import provision

TOPICS = ("customers", "orders", "subscriptions", "invoices", "commissions", "notices")


class Settings(BaseSettings):
    """The environment, and the knobs that tune a contender."""

    database_url: str
    kafka_bootstrap: str
    port: int
    network_url: str
    api_key_sha256: str = ""
    max_workers: int = 8
    pool_size: int = 16


async def make_database(server: str, name: str) -> str:
    """Make a database that is missing; returns its URL."""
    connection = await asyncpg.connect(server)
    try:
        with suppress(asyncpg.DuplicateDatabaseError, asyncpg.UniqueViolationError):  # there, or made at this moment
            await connection.execute(f'CREATE DATABASE "{name}"')
    finally:
        await connection.close()
    return server.rpartition("/")[0] + f"/{name}"


async def open_database(
    settings: Settings, name: str, tables: Iterable[type[SQLModel]], rows: Iterable[SQLModel]
) -> AsyncEngine:
    """Open a database with these tables and reference rows in it."""
    url = await make_database(settings.database_url, name)
    engine = create_async_engine(
        url.replace("postgresql://", "postgresql+asyncpg://", 1), pool_size=settings.pool_size, max_overflow=0
    )
    made: list[Table] = [each.__table__ for each in tables]  # type: ignore[attr-defined]
    async with engine.begin() as connection:
        await connection.execute(text("SELECT pg_advisory_xact_lock(1)"))  # another process may be making them
        for table in made:
            await connection.run_sync(table.create, checkfirst=True)
        for row in rows:
            await connection.execute(insert(type(row)).values(row.model_dump()).on_conflict_do_nothing())
    return engine


async def make_topics(settings: Settings, prefix: str) -> None:
    """Make a contender's topics, as ours are but for the name."""
    await provision([settings.kafka_bootstrap], [replace(BY_NAME[each], name=f"{prefix}.{each}") for each in TOPICS])


def serve(app: FastAPI, settings: Settings) -> None:
    """Serve until told to stop, as fast as uvicorn does."""
    uvicorn.run(
        app,
        host="127.0.0.1",
        port=settings.port,
        loop="uvloop",
        http="httptools",
        access_log=False,
        log_level="warning",
    )
