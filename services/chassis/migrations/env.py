"""Alembic's entry: runs on the connection that it is given, in the transaction that is already open."""

from typing import Literal

from alembic import context

from services.chassis.database import Json


def render(kind: str, item: object, _context: object) -> str | Literal[False]:
    """Write typed JSON columns as what they are in the database."""
    if kind == "type" and isinstance(item, Json):
        return "postgresql.JSONB()"
    if kind == "type" and type(item).__name__ == "AutoString":
        return "sa.String()"
    return False


attributes = context.config.attributes
context.configure(
    connection=attributes["connection"],
    target_metadata=attributes["metadata"],
    version_table=attributes["version_table"],
    compare_type=True,
    render_item=render,
    include_name=lambda name, kind, _parents: kind != "table" or name in attributes["metadata"].tables,
    transaction_per_migration=False,
)
context.run_migrations()
