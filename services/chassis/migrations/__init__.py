"""Brings a service's database to the schema of its code: the chassis' tables, then its own; expand, then contract."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

from alembic import command
from alembic.config import Config
from sqlalchemy import Connection, MetaData, text
from sqlalchemy.ext.asyncio import create_async_engine

from services.chassis.database import ChassisTable

LOCK = 20_261_120
"""Any number, the same everywhere: two instances that start at once migrate one after the other."""

HERE = Path(__file__).parent


def schemas(service: str) -> list[tuple[str, Path, MetaData]]:
    """Return (version table, folder of revisions, tables) of the chassis and of a service."""
    found = [("alembic_version_chassis", HERE / "versions", ChassisTable.metadata)]
    own = HERE.parent.parent / service / "migrations"
    if own.is_dir():
        store = importlib.import_module(f"services.{service}.store")
        found.append(("alembic_version", own, store.Table.metadata))
    return found


def config_for(connection: Connection, version_table: str, folder: Path, metadata: MetaData) -> Config:
    """Return Alembic's configuration for one of the schemas on an open connection."""
    config = Config()
    config.set_main_option("script_location", str(HERE))
    config.set_main_option("version_locations", str(folder))
    config.set_main_option("path_separator", "os")
    config.set_main_option("file_template", "%%(rev)s_%%(slug)s")
    config.attributes.update(connection=connection, version_table=version_table, metadata=metadata)
    return config


async def upgrade(service: str, url: str) -> None:
    """Migrate a service's database to the newest schema; another instance that does the same is waited for."""
    await _with_schemas(service, url, lambda config: command.upgrade(config, "head"))


async def revise(service: str, url: str, message: str) -> None:
    """Write a new revision from the difference between the tables in the code and those in the database."""
    (HERE.parent.parent / service / "migrations").mkdir(exist_ok=True)
    await _with_schemas(service, url, lambda config: _revision(config, message))


def _revision(config: Config, message: str) -> None:
    def drop_empty(_context: Any, _revision: Any, directives: list[Any]) -> None:  # noqa: ANN401 - Alembic's hook
        if directives and directives[0].upgrade_ops.is_empty():
            directives[:] = []

    command.upgrade(config, "head")
    folder = Path(config.get_main_option("version_locations") or "")
    command.revision(
        config,
        rev_id=f"{len(list(folder.glob('0*.py'))) + 1:04d}",
        message=message,
        autogenerate=True,
        version_path=str(folder),
        process_revision_directives=drop_empty,
    )


def _worked(work: Callable[[Config], None], table: str, folder: Path, tables: MetaData) -> Callable[[Connection], None]:
    return lambda connection: work(config_for(connection, table, folder, tables))


async def _with_schemas(service: str, url: str, work: Callable[[Config], None]) -> None:
    engine = create_async_engine(url.replace("postgresql://", "postgresql+asyncpg://", 1))
    try:
        async with engine.begin() as connection:
            await connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": LOCK})
            for version_table, folder, metadata in schemas(service):
                await connection.run_sync(_worked(work, version_table, folder, metadata))
    finally:
        await engine.dispose()
