"""Migrations: the migrated schema is what the code's tables say, and two instances may start at once."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Connection, text
from sqlalchemy.ext.asyncio import create_async_engine

from services.chassis import migrations
from tests.harness import MakeDatabase

SERVICES = sorted(path.parent.name for path in Path(migrations.__file__).parents[2].glob("*/store.py"))


def differences(connection: Connection, service: str) -> list[object]:
    """What Alembic would change, for the chassis' tables and the service's own."""
    found: list[object] = []
    for version_table, _, metadata in migrations.schemas(service):
        options = {
            "version_table": version_table,
            "compare_type": True,
            "include_name": lambda name, kind, _parents, m=metadata: kind != "table" or name in m.tables,
        }
        found += compare_metadata(MigrationContext.configure(connection, opts=options), metadata)
    return found


@pytest.mark.parametrize("service", ["nobody", *SERVICES])
async def test_the_migrated_schema_is_what_the_tables_in_the_code_say(
    service: str, make_database: MakeDatabase
) -> None:
    url = await make_database()
    await migrations.upgrade(service, url)
    await migrations.upgrade(service, url)
    engine = create_async_engine(url.replace("postgresql://", "postgresql+asyncpg://", 1))
    async with engine.connect() as connection:
        assert await connection.run_sync(differences, service) == []
    await engine.dispose()


async def test_a_difference_would_be_seen(make_database: MakeDatabase) -> None:
    url = await make_database()
    await migrations.upgrade("nobody", url)
    engine = create_async_engine(url.replace("postgresql://", "postgresql+asyncpg://", 1))
    async with engine.begin() as connection:
        await connection.execute(text("ALTER TABLE outbox DROP COLUMN headers"))
        assert len(await connection.run_sync(differences, "nobody")) == 1
    await engine.dispose()


async def test_instances_that_start_at_once_migrate_one_after_the_other(make_database: MakeDatabase) -> None:
    url = await make_database()
    await asyncio.gather(*(migrations.upgrade("nobody", url) for _ in range(4)))


def test_every_service_with_tables_has_migrations() -> None:
    assert [service for service in SERVICES if len(migrations.schemas(service)) == 1] == []
