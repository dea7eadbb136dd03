"""Who was imported is known, also after the account is deleted: it is not brought back.

Version 0002 goes on working: it does not import while it serves.
"""

import sqlalchemy as sa
from alembic import op

from identity_service.storage.migrations.columns import ID, KEYLESS

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    op.create_table(
        "imported_users",
        sa.Column("user_id", ID, autoincrement=False, nullable=False),
        sa.PrimaryKeyConstraint("user_id"),
        **KEYLESS,
    )
