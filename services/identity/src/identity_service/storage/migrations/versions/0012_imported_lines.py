"""Which lines of users were imported is known: who was deleted is not brought back.

Version 0011 goes on working: it does not import while it serves.
"""

import sqlalchemy as sa
from alembic import op

from identity_service.storage.migrations.columns import KEYLESS

revision = "0012"
down_revision = "0011"


def upgrade() -> None:
    op.create_table(
        "imported_lines",
        sa.Column("digest", sa.String(43), nullable=False),
        sa.PrimaryKeyConstraint("digest"),
        **KEYLESS,
    )
