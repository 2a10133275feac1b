"""causes and customers: cases of the same cause are grouped, and a customer's timeline is found by her id."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    op.add_column("case", sa.Column("cause", sa.String(), nullable=True))
    op.create_index(op.f("ix_case_cause"), "case", ["cause"], unique=False)
    op.add_column("seen", sa.Column("customer_id", sa.String(), nullable=True))
    op.create_index("seen_customer", "seen", ["customer_id", "at", "id"], unique=False)
