"""what was done in part."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    op.add_column("change", sa.Column("touched", sa.Boolean(), nullable=False, server_default=sa.false()))
    op.add_column("change", sa.Column("reported", postgresql.JSONB(), nullable=True))
