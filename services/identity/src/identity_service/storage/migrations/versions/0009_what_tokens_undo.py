"""A token that was mailed may say what it undoes.

Version 0008 goes on working: it leaves the new column null.
"""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"


def upgrade() -> None:
    op.add_column("one_time_tokens", sa.Column("about", sa.String(64)))
