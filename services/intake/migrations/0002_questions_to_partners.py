"""questions to partners."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    op.add_column("order", sa.Column("question", sa.String(), nullable=True))
