"""versions that wait behind a held one."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    none = sa.text("'[]'::jsonb")
    op.add_column("subscription", sa.Column("behind", postgresql.JSONB(), nullable=False, server_default=none))
