"""Which lines of users were imported is known: who was deleted is not brought back.

Version 0011 goes on working: it does not import while it serves.
"""

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None

OPTIONS: dict[str, Any] = {
    f"{dialect}_{option}": value
    for dialect in ("mysql", "mariadb")
    for option, value in (
        ("engine", "InnoDB"),
        ("charset", "utf8mb4"),
        ("collate", "utf8mb4_bin"),
    )
}


def upgrade() -> None:
    op.create_table(
        "imported_lines",
        sa.Column("digest", sa.String(43), nullable=False),
        sa.PrimaryKeyConstraint("digest"),
        **OPTIONS,
    )


def downgrade() -> None:
    op.drop_table("imported_lines")
