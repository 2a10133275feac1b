"""contacts, quotes, and codes of new customers."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    op.create_table(
        "contact",
        sa.Column("contact", sa.String(), nullable=False),
        sa.Column("customer_id", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("contact"),
    )
    op.create_table(
        "quote",
        sa.Column("partner", sa.String(), nullable=False),
        sa.Column("customer", sa.String(), nullable=False),
        sa.Column("offer", sa.String(), nullable=False),
        sa.Column("told", postgresql.JSONB(), nullable=False),
        sa.PrimaryKeyConstraint("partner", "customer", "offer"),
    )
    for what in ("email", "phone"):
        op.execute(
            "INSERT INTO contact (contact, customer_id) SELECT lower(regexp_replace("  # noqa: S608 - words of our own
            f"customer ->> '{what}', '\\s', '', 'g')), id FROM customer ORDER BY id ON CONFLICT DO NOTHING"
        )
    op.create_index("subscription_customer", "subscription", [sa.text("(subscription ->> 'customer_id')")])
    op.add_column("order", sa.Column("reversed_by", sa.String(), nullable=True))
    empty = sa.text("'{}'::jsonb")
    op.add_column("order", sa.Column("reception", postgresql.JSONB(), nullable=False, server_default=empty))
    no = sa.false()
    op.add_column("customer", sa.Column("verified", sa.Boolean(), nullable=False, server_default=sa.true()))
    op.add_column("confirmation", sa.Column("code_required", sa.Boolean(), nullable=False, server_default=no))
    op.add_column("confirmation", sa.Column("wrong_codes", sa.Integer(), nullable=False, server_default="0"))
    none = sa.text("'[]'::jsonb")
    op.add_column("partner", sa.Column("contacts", postgresql.JSONB(), nullable=False, server_default=none))
