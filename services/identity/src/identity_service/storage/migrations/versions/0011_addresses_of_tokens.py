"""Tokens are found by the address that they are about.

Version 0010 goes on working.
"""

from alembic import op

revision = "0011"
down_revision = "0010"


def upgrade() -> None:
    op.create_index("ix_one_time_tokens_email_key", "one_time_tokens", ["email_key"])
